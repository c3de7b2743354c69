//! TLS: the certificate of a listener, which can be renewed while it serves, and the handshake.
//!
//! Invariants: a certificate that cannot be used never takes the place of one that can; a handshake
//! has a time limit and is the connection's own, so a slow client holds up nobody.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::server::TlsStream;
use xxhash_rust::xxh3::xxh3_64;

use millrace_model::code::{Code, ErrorKind};

/// More certificates than this are no chain.
const MOST_CERTIFICATES: usize = 16;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The text holds no certificate.
    #[error("there is no PEM certificate in it")]
    NoCertificate,
    /// The certificates cannot be read.
    #[error("the certificates cannot be read: {0}")]
    BadCertificate(rustls_pki_types::pem::Error),
    /// The chain is too long.
    #[error("there are more than {MOST_CERTIFICATES} certificates in it")]
    TooMany,
    /// The text holds no private key that can be read.
    #[error("there is no PEM private key that can be read in it")]
    NoKey,
    /// The key is not that of the certificate, or is of a kind that is not known.
    #[error("the certificate and the key cannot be used together: {0}")]
    Unusable(tokio_rustls::rustls::Error),
}

impl CertificateError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::BadCertificate
    }

    /// What to do: other files are needed.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Fix
    }

    /// True when the key is wrong and not the certificate.
    #[must_use]
    pub const fn is_about_key(&self) -> bool {
        matches!(self, CertificateError::NoKey)
    }
}

/// The certificate and key of a listener.
pub struct Certificate(RwLock<Serving>);

/// A certificate that serves, and what tells it from another.
struct Serving {
    config: Arc<ServerConfig>,
    identity: u64,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificate")
    }
}

impl Certificate {
    /// Reads a chain of certificates, the server's own first, and its private key, both as PEM.
    ///
    /// # Errors
    /// When one cannot be read, and when they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Certificate, CertificateError> {
        Ok(Certificate(RwLock::new(read(chain, key)?)))
    }

    /// Puts another certificate in the place of this one. Connections that are open keep theirs.
    ///
    /// # Errors
    /// As [`Certificate::from_pem`]; the former one then stays.
    pub fn renew(&self, chain: &[u8], key: &[u8]) -> Result<(), CertificateError> {
        let serving = read(chain, key)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = serving;
        Ok(())
    }

    /// A number that changes with the certificate: a hash of the server's own.
    #[must_use]
    pub fn identity(&self) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).identity
    }

    /// The encrypted connection; none when the client does not come to it in time.
    pub(crate) async fn handshake(
        &self,
        stream: TcpStream,
        limit: Duration,
    ) -> Option<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).config);
        let accepting = TlsAcceptor::from(config).accept(stream);
        match tokio::time::timeout(limit, accepting).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                tracing::debug!(%error, "no TLS handshake");
                None
            }
            Err(_) => {
                tracing::debug!("the TLS handshake took too long");
                None
            }
        }
    }
}

fn read(chain: &[u8], key: &[u8]) -> Result<Serving, CertificateError> {
    let chain = CertificateDer::pem_slice_iter(chain)
        .take(MOST_CERTIFICATES + 1)
        .collect::<Result<Vec<_>, _>>()
        .map_err(CertificateError::BadCertificate)?;
    match chain.len() {
        0 => return Err(CertificateError::NoCertificate),
        1..=MOST_CERTIFICATES => {}
        _ => return Err(CertificateError::TooMany),
    }
    let identity = chain.first().map_or(0, |own| xxh3_64(own));
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| CertificateError::NoKey)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(CertificateError::Unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(CertificateError::Unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Serving { config: Arc::new(config), identity })
}
