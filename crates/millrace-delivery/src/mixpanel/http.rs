//! The transport of production: HTTP/1.1 with kept connections, TLS by rustls and ring.
//!
//! It follows no redirect (a redirect would carry the credentials elsewhere, and is a wrong setting
//! to be seen), takes no proxy from the environment, and reads at most
//! [`MAX_RESPONSE_BYTES`] of an answer.

use std::error::Error as _;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use millrace_model::code::{Code, ErrorKind};

use super::options::Region;
use super::projects::Projects;
use super::request::RequestParts;
use super::transport::{
    MAX_RESPONSE_BYTES, Response, Transport, TransportError, TransportErrorKind, TransportFuture,
};

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpTimeouts {
    /// Until a connection stands, TLS included.
    pub connect: Duration,
    /// From the start of a request to the last byte of its answer.
    pub overall: Duration,
}

impl Default for HttpTimeouts {
    fn default() -> HttpTimeouts {
        HttpTimeouts { connect: Duration::from_secs(10), overall: Duration::from_secs(60) }
    }
}

/// Why there can be no transport.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be set up; are the system's certificates installed?")]
pub struct HttpSetupError {
    #[source]
    source: reqwest::Error,
}

impl HttpSetupError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::Unreachable
    }

    /// What to do: install certificates.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Fix
    }
}

/// Sends over TCP. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct HttpTransport {
    client: reqwest::Client,
}

impl HttpTransport {
    /// A transport for a region. For a plain HTTP base URL no certificates are needed.
    ///
    /// # Errors
    /// When the system has no certificates to check Mixpanel's against.
    pub fn new(region: &Region, timeouts: HttpTimeouts) -> Result<HttpTransport, HttpSetupError> {
        HttpTransport::build(is_plain(region), timeouts)
    }

    /// A transport for all projects of an integration.
    ///
    /// # Errors
    /// As [`HttpTransport::new`].
    pub fn for_projects(
        projects: &Projects,
        timeouts: HttpTimeouts,
    ) -> Result<HttpTransport, HttpSetupError> {
        HttpTransport::build(projects.all().all(|options| is_plain(options.region())), timeouts)
    }

    fn build(plain: bool, timeouts: HttpTimeouts) -> Result<HttpTransport, HttpSetupError> {
        // Fails when a provider stands already: then that one is used, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("millrace/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .tcp_nodelay(true)
            .pool_idle_timeout(Duration::from_secs(50))
            .connect_timeout(timeouts.connect)
            .timeout(timeouts.overall);
        if plain {
            builder = builder.tls_certs_only(std::iter::empty());
        }
        let client = builder.build().map_err(|source| HttpSetupError { source })?;
        Ok(HttpTransport { client })
    }

    async fn exchange(&self, parts: RequestParts) -> Result<Response, TransportError> {
        let mut url = reqwest::Url::parse(&parts.url).map_err(|error| TransportError {
            kind: TransportErrorKind::Invalid,
            message: error.to_string(),
        })?;
        // Even an empty list of pairs would put a question mark behind the address.
        if !parts.params.is_empty() {
            let pairs = parts.params.iter().map(|(name, value)| (*name, value));
            url.query_pairs_mut().extend_pairs(pairs);
        }
        let method = reqwest::Method::from_bytes(parts.method.as_bytes()).map_err(|error| {
            TransportError { kind: TransportErrorKind::Invalid, message: error.to_string() }
        })?;
        let mut request = self.client.request(method, url);
        for (name, value) in &parts.headers {
            request = request.header(*name, value.as_str());
        }
        let mut response = request.body(parts.body).send().await.map_err(read_error)?;
        let retry_after = response
            .headers()
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let status = response.status().as_u16();
        let (body, cut) = read_body(&mut response).await?;
        Ok(Response { status, retry_after, body, cut })
    }
}

/// Plain HTTP, for which no certificates are needed.
fn is_plain(region: &Region) -> bool {
    region.base_url().starts_with("http://")
}

impl Transport for HttpTransport {
    fn send(&self, request: RequestParts) -> TransportFuture<'_> {
        Box::pin(self.exchange(request))
    }
}

async fn read_body(response: &mut reqwest::Response) -> Result<(Bytes, bool), TransportError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(read_error)? {
        let room = MAX_RESPONSE_BYTES - body.len();
        if chunk.len() > room {
            body.extend_from_slice(chunk.get(..room).unwrap_or_default());
            return Ok((body.freeze(), true));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((body.freeze(), false))
}

fn read_error(error: reqwest::Error) -> TransportError {
    // The address may have a token among its parameters.
    let error = error.without_url();
    let kind = if error.is_dns() {
        TransportErrorKind::Dns
    } else if is_tls(&error) {
        TransportErrorKind::Tls
    } else if error.is_connect() {
        TransportErrorKind::Connect
    } else if error.is_timeout() {
        TransportErrorKind::Timeout
    } else if error.is_builder() {
        TransportErrorKind::Invalid
    } else {
        TransportErrorKind::Reset
    };
    // The innermost cause says what happened; the outer ones only where in the client.
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    TransportError { kind, message: innermost.to_string() }
}

fn is_tls(error: &reqwest::Error) -> bool {
    let mut next = error.source();
    while let Some(source) = next {
        if holds_tls_error(source) {
            return true;
        }
        next = source.source();
    }
    false
}

/// An I/O error does not name the error that it wraps as its source, and TLS errors arrive wrapped
/// in several.
fn holds_tls_error(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut error = error;
    while let Some(inner) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref)
    {
        error = inner;
    }
    error.is::<rustls::Error>()
}
