//! The certificate of the collector: from files that are looked at again, or a throw-away one.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use millrace_http::tls::{Certificate, CertificateError};
use millrace_model::code::Code;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio::sync::watch;

use crate::config::{CertificateSource, read_pem};
use crate::exit::Failure;

/// How often the files are looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// The folder of a throw-away certificate inside of the data folder.
const FOLDER: &str = "tls";

/// Names that a throw-away certificate is for: this machine, and what a test may call it. A
/// wildcard right below `test` is not taken by every client.
const NAMES: [&str; 9] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "*.localhost",
    "*.test",
    "millrace.test",
    "*.millrace.test",
    "edge.test",
    "collect.test",
];

/// A certificate that is ready to serve.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) certificate: Arc<Certificate>,
    /// What clients have to trust; none for a certificate that others have issued.
    pub(super) authority: Option<PathBuf>,
    files: Option<Files>,
}

#[derive(Debug)]
struct Files {
    chain: PathBuf,
    key: PathBuf,
    /// What was read last, so that only a change is acted upon.
    seen: (String, String),
}

/// Loads or makes the certificate.
pub(super) fn load(source: &CertificateSource, data_dir: &Path) -> Result<Loaded, Failure> {
    match source {
        CertificateSource::Files { chain, key } => {
            let read = |path: &Path| {
                read_pem(path).map_err(|reason| {
                    let code = Code::BadCertificate;
                    Failure::usage(anyhow::anyhow!(
                        "{code} cannot read {}: {reason}",
                        path.display()
                    ))
                })
            };
            let seen = (read(chain)?, read(key)?);
            let certificate = Certificate::from_pem(seen.0.as_bytes(), seen.1.as_bytes())
                .map_err(|error| unusable(chain, &error))?;
            let files = Files { chain: chain.clone(), key: key.clone(), seen };
            Ok(Loaded { certificate: Arc::new(certificate), authority: None, files: Some(files) })
        }
        CertificateSource::ThrowAway => {
            let made = ThrowAway::make().map_err(Failure::internal)?;
            let authority = made.keep(&data_dir.join(FOLDER))?;
            let certificate = Certificate::from_pem(made.chain.as_bytes(), made.key.as_bytes())
                .map_err(|error| unusable(&authority, &error))?;
            let authority = Some(authority);
            Ok(Loaded { certificate: Arc::new(certificate), authority, files: None })
        }
    }
}

fn unusable(path: &Path, error: &CertificateError) -> Failure {
    Failure::usage(anyhow::anyhow!("{} {}: {error}", error.code(), path.display()))
}

impl Loaded {
    /// Takes a renewed certificate over until the stop.
    pub(super) async fn follow(self, mut stopping: watch::Receiver<bool>) {
        let Some(mut files) = self.files else { return };
        loop {
            let stopped = async { drop(stopping.wait_for(|stop| *stop).await) };
            tokio::select! {
                () = stopped => return,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            let certificate = Arc::clone(&self.certificate);
            // Files are read where a slow disk holds up nobody.
            let looked = tokio::task::spawn_blocking(move || {
                files.look(&certificate);
                files
            });
            match looked.await {
                Ok(back) => files = back,
                Err(_) => return,
            }
        }
    }
}

impl Files {
    /// Takes the files over when they have changed and are good. Chain and key are written one
    /// after the other, so a pair that does not fit may fit the next time.
    fn look(&mut self, certificate: &Certificate) {
        let read = match (read_pem(&self.chain), read_pem(&self.key)) {
            (Ok(chain), Ok(key)) => (chain, key),
            (Err(reason), _) | (_, Err(reason)) => {
                let code = Code::BadCertificate.as_str();
                tracing::warn!(code, %reason, "the certificate cannot be read again; the former one stays");
                return;
            }
        };
        if read == self.seen {
            return;
        }
        match certificate.renew(read.0.as_bytes(), read.1.as_bytes()) {
            Ok(()) => tracing::info!(path = %self.chain.display(), "the certificate was renewed"),
            Err(error) => {
                let code = error.code().as_str();
                tracing::warn!(code, %error, "the new certificate cannot be used; the former one stays");
            }
        }
        self.seen = read;
    }
}

/// A certificate for this machine, by an authority whose key is thrown away at once.
struct ThrowAway {
    authority: String,
    chain: String,
    key: String,
}

impl ThrowAway {
    fn make() -> Result<ThrowAway, rcgen::Error> {
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.distinguished_name.push(DnType::CommonName, "Millrace development");
        let signing = KeyPair::generate()?;
        let authority_pem = authority.self_signed(&signing)?.pem();
        let issuer = Issuer::new(authority, signing);

        let names: Vec<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name.push(DnType::CommonName, "localhost");
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        let leaf = leaf.signed_by(&key, &issuer)?;
        Ok(ThrowAway {
            chain: format!("{}{authority_pem}", leaf.pem()),
            authority: authority_pem,
            key: key.serialize_pem(),
        })
    }

    /// Writes what clients have to trust. Keys stay in memory.
    fn keep(&self, folder: &Path) -> Result<PathBuf, Failure> {
        let path = folder.join("ca.pem");
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, &self.authority))
            .map_err(|error| {
                let text = format!("cannot write {}", path.display());
                Failure::unavailable(anyhow::Error::new(error).context(text))
            })?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (String, String) {
        let made = ThrowAway::make().unwrap();
        (made.chain, made.key)
    }

    #[test]
    fn files_are_taken_over_when_both_have_changed_and_only_then() {
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let (former, renewed) = (pair(), pair());
        let write = |chain_text: &str, key_text: &str| {
            std::fs::write(&chain, chain_text).unwrap();
            std::fs::write(&key, key_text).unwrap();
        };
        write(&former.0, &former.1);
        let source = CertificateSource::Files { chain: chain.clone(), key: key.clone() };
        let loaded = load(&source, folder.path()).unwrap();
        assert!(loaded.authority.is_none());
        let mut files = loaded.files.unwrap();
        let before = format!("{:?}", loaded.certificate.identity());
        let now = || format!("{:?}", loaded.certificate.identity());

        files.look(&loaded.certificate);
        assert_eq!(now(), before, "nothing has changed");
        write(&renewed.0, &former.1);
        files.look(&loaded.certificate);
        assert_eq!(now(), before, "half of a renewal");
        std::fs::remove_file(&key).unwrap();
        files.look(&loaded.certificate);
        assert_eq!(now(), before, "a file is missing");
        write(&renewed.0, &renewed.1);
        files.look(&loaded.certificate);
        assert_ne!(now(), before);
    }

    #[test]
    fn files_that_cannot_be_used_are_told_with_their_code() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cert.pem");
        let source = CertificateSource::Files { chain: path.clone(), key: path.clone() };
        let told = |source: &CertificateSource| {
            format!("{:?}", load(source, folder.path()).err().map(|failure| failure.to_string()))
        };
        assert!(told(&source).contains("MR5119"), "{}", told(&source));
        std::fs::write(&path, "no certificate").unwrap();
        assert!(told(&source).contains("MR5119"), "{}", told(&source));
    }

    #[test]
    fn of_a_throw_away_certificate_only_what_is_to_be_trusted_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let loaded = load(&CertificateSource::ThrowAway, folder.path()).unwrap();
        let kept = std::fs::read_to_string(loaded.authority.unwrap()).unwrap();
        assert!(kept.starts_with("-----BEGIN CERTIFICATE-----"));
        assert_eq!(std::fs::read_dir(folder.path().join("tls")).unwrap().count(), 1);
    }
}
