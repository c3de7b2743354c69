//! The seam through which a request leaves: production has HTTP behind it, tests a script.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

use super::request::RequestParts;

/// An answer, as far as its meaning depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header as it stands.
    pub retry_after: Option<String>,
    /// The body, at most [`MAX_RESPONSE_BYTES`] of it.
    pub body: Bytes,
    /// True when the body was longer than that and was cut.
    pub cut: bool,
}

impl Response {
    /// An answer that was read whole, without further headers.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Bytes>) -> Response {
        Response { status, retry_after: None, body: body.into(), cut: false }
    }
}

/// How much of an answer is read. An answer to 2,000 refused rows stays below it.
pub const MAX_RESPONSE_BYTES: usize = 1024 * 1024;

/// At which step a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportErrorKind {
    /// The host name has no address.
    Dns,
    /// No connection could be made.
    Connect,
    /// The two ends could not agree on TLS, or the certificate is wrong.
    Tls,
    /// It took too long; the request may have arrived.
    Timeout,
    /// The connection broke; the request may have arrived.
    Reset,
    /// The request could not be written down: a fault of this program.
    Invalid,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}", kind = self.kind.as_str())]
pub struct TransportError {
    /// At which step.
    pub kind: TransportErrorKind,
    /// In plain words, without credentials.
    pub message: String,
}

impl TransportErrorKind {
    /// A short name, as it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            TransportErrorKind::Dns => "the host name cannot be resolved",
            TransportErrorKind::Connect => "no connection",
            TransportErrorKind::Tls => "tls failed",
            TransportErrorKind::Timeout => "no answer in time",
            TransportErrorKind::Reset => "the connection broke",
            TransportErrorKind::Invalid => "the request cannot be built",
        }
    }

    /// True when the other end may have taken the request nonetheless.
    #[must_use]
    pub const fn may_have_arrived(self) -> bool {
        match self {
            TransportErrorKind::Timeout | TransportErrorKind::Reset => true,
            TransportErrorKind::Dns
            | TransportErrorKind::Connect
            | TransportErrorKind::Tls
            | TransportErrorKind::Invalid => false,
        }
    }
}

/// The future of [`Transport::send`].
pub type TransportFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Response, TransportError>> + Send + 'a>>;

/// Carries a request to Mixpanel and brings the answer.
pub trait Transport: Send + Sync + Debug {
    /// Sends the request once. Follows no redirect and repeats nothing: both are the scheduler's to
    /// decide.
    ///
    /// # Errors
    /// When there is no answer; see [`TransportErrorKind::may_have_arrived`].
    fn send(&self, request: RequestParts) -> TransportFuture<'_>;
}
