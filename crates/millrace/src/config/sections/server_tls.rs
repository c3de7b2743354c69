//! `[server.tls]`: a collector that speaks TLS itself, with certificates from files.

use std::net::SocketAddr;
use std::path::PathBuf;

use millrace_http::tls::Certificate;
use millrace_model::code::Code;

use super::super::document::{Field, Report, Section};
use super::super::read_text;
use super::super::tree::{CertificateSource, MAX_PEM_BYTES, Tls};
use super::{address, non_empty};

/// Reads the table, and the files that it names: a certificate that cannot be used is a mistake of
/// the configuration.
pub(super) fn read(mut section: Section<'_>, report: &mut Report<'_>) -> Option<Tls> {
    let listen = section.required(report, "listen", "listen = \"0.0.0.0:443\"");
    let chain = section.required(report, "cert", "cert = \"./tls/fullchain.pem\"");
    let key = section.required(report, "key", "key = \"./tls/privkey.pem\"");
    section.finish(report);
    let listen = listen
        .and_then(|field| address(Some(&field), report, SocketAddr::from(([0, 0, 0, 0], 443))));
    let (chain_field, key_field) = (chain?, key?);
    let chain = file(&chain_field, "./tls/fullchain.pem", report);
    let key = file(&key_field, "./tls/privkey.pem", report);
    let ((chain, chain_text), (key, key_text)) = (chain?, key?);
    if let Err(error) = Certificate::from_pem(chain_text.as_bytes(), key_text.as_bytes()) {
        let field = if error.is_about_key() { &key_field } else { &chain_field };
        let message = format!("`{}` cannot be used: {error}", field.name);
        report.mistake(field.at(), Code::BadCertificate, message, None);
        return None;
    }
    Some(Tls { listen: listen?, source: CertificateSource::Files { chain, key } })
}

/// The path and the text of a file.
fn file(field: &Field<'_>, example: &str, report: &mut Report<'_>) -> Option<(PathBuf, String)> {
    let path = non_empty(field, report, example)?;
    let path = report.resolve(path);
    match read_text(&path, MAX_PEM_BYTES) {
        Ok(text) => Some((path, text)),
        Err(reason) => {
            let message =
                format!("`{}` cannot be read from {}: {reason}", field.name, path.display());
            report.mistake(field.at(), Code::BadCertificate, message, None);
            None
        }
    }
}
