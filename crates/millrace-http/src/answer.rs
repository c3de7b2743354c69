//! What the collector says to SDKs.
//!
//! Success is exactly 200, because rudder-sdk-python resends after any other 2xx. An error is a
//! JSON object with `code` and `message`, because without both that SDK resends a 400
//! (`reference/sdk-wire-formats.md` 1.4 and 1.5). Every answer to a browser carries CORS headers,
//! errors too: without them a page sees a network failure and acts differently (1.3).

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};

use serde_json::Value;

use millrace_model::code::Code;
use millrace_model::intake::AdmitError;
use millrace_model::time::UnixMillis;
use millrace_protocol::DecodeError;

use crate::counts::RefusedWith;
use crate::rate::Wait;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// When the bound is open again, in seconds since 1970.
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const SUCCESS: &str = "{\"success\":true}";
/// A day: browsers ask again no sooner (most cap it lower by themselves).
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("86400");

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: Code,
    pub(crate) message: Cow<'static, str>,
    pub(crate) retry_after: Option<Duration>,
    /// When the bound that was met is open again, as Segment tells it beside `Retry-After`.
    pub(crate) reset_at: Option<UnixMillis>,
}

impl Refusal {
    pub(crate) fn new(
        status: StatusCode,
        code: Code,
        message: impl Into<Cow<'static, str>>,
    ) -> Refusal {
        Refusal { status, code, message: message.into(), retry_after: None, reset_at: None }
    }

    /// Too much at the moment. 429 and not 503: Segment's SDKs then wait as long as they are told,
    /// without using up their tries (`reference/sdk-wire-formats.md` section 11).
    pub(crate) fn overloaded(message: &'static str) -> Refusal {
        let retry_after = Some(Duration::from_secs(1));
        Refusal {
            retry_after,
            ..Refusal::new(StatusCode::TOO_MANY_REQUESTS, Code::Overloaded, message)
        }
    }
}

impl Refusal {
    /// The key has to wait. 429: Segment's SDKs then wait without using up their tries.
    pub(crate) fn too_fast(wait: Wait, now: UnixMillis) -> Refusal {
        let message = match wait.code {
            Code::QuotaUsedUp => "this key has sent all that it may in a day",
            _ => "this key sends faster than it may",
        };
        Refusal {
            retry_after: Some(wait.span),
            reset_at: Some(now.plus(wait.span)),
            ..Refusal::new(StatusCode::TOO_MANY_REQUESTS, wait.code, message)
        }
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Refusal {
        let status = match error {
            DecodeError::TooLarge { .. } | DecodeError::TooManyEvents { .. } => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            DecodeError::Empty
            | DecodeError::BadGzip
            | DecodeError::UnknownEncoding
            | DecodeError::BadJson { .. }
            | DecodeError::TooDeep { .. }
            | DecodeError::NoBatch
            | DecodeError::NoEvents => StatusCode::BAD_REQUEST,
        };
        Refusal::new(status, error.code(), error.to_string())
    }
}

impl From<AdmitError> for Refusal {
    fn from(error: AdmitError) -> Refusal {
        let status = match error {
            AdmitError::Overloaded { .. } => StatusCode::TOO_MANY_REQUESTS,
            AdmitError::DiskFull { .. } | AdmitError::Poisoned | AdmitError::ShuttingDown => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        Refusal {
            retry_after: Some(error.retry_after()),
            ..Refusal::new(status, error.code(), error.to_string())
        }
    }
}

/// The answer to a call, with CORS headers when a page made it.
pub(crate) fn answer(result: Result<(), Refusal>, request: &HeaderMap) -> Response<Body> {
    dressed(result.map(|()| Body::from(SUCCESS)), request)
}

/// The answer to a question of an SDK.
pub(crate) fn show(result: Result<Value, Refusal>, request: &HeaderMap) -> Response<Body> {
    dressed(result.map(|value| Body::from(value.to_string())), request)
}

fn dressed(result: Result<Body, Refusal>, request: &HeaderMap) -> Response<Body> {
    let mut response = match result {
        Ok(body) => Response::new(body),
        Err(refusal) => refused(&refusal),
    };
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    allow_origin(response.headers_mut(), request);
    response
}

fn refused(refusal: &Refusal) -> Response<Body> {
    tracing::debug!(
        status = refusal.status.as_u16(),
        code = refusal.code.as_str(),
        reason = %refusal.message,
        "request refused"
    );
    let mut body = serde_json::json!({
        "success": false,
        "code": refusal.code.as_str(),
        "message": refusal.message,
    });
    // Datafly's clients read the code of an error there (`reference/datafly-adobe.md` 1.10); those of
    // RudderStack need `code` and `message` at the top, and have them all the same.
    if let (Code::MissingWriteKey | Code::UnknownWriteKey, Some(members)) =
        (refusal.code, body.as_object_mut())
    {
        let error = serde_json::json!({
            "code": "INVALID_PIPELINE_KEY",
            "message": refusal.message,
        });
        members.insert("error".to_owned(), error);
    }
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = refusal.status;
    if let Some(span) = refusal.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, retry_after(span));
    }
    if let Some(reset_at) = refusal.reset_at {
        let seconds = HeaderValue::from(reset_at.0.div_euclid(1_000).saturating_add(1));
        response.headers_mut().insert(RESET, seconds);
    }
    response.extensions_mut().insert(RefusedWith(refusal.code));
    response
}

/// Whole seconds, never fewer than the span.
pub(crate) fn retry_after(span: Duration) -> HeaderValue {
    let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
    HeaderValue::from(seconds.max(1))
}

/// The answer to a preflight: everything that the page asks for is allowed.
pub(crate) fn preflight(request: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, OPTIONS"),
    );
    if let Some(wanted) = request.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
    allow_origin(headers, request);
    headers
        .insert(header::VARY, HeaderValue::from_static("Origin, Access-Control-Request-Headers"));
    response
}

/// The exact origin and not `*`, which pages that send credentials cannot use.
pub(crate) fn allow_origin(headers: &mut HeaderMap, request: &HeaderMap) {
    const EXPOSED: (HeaderName, HeaderValue) =
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
    let Some(origin) = request.get(header::ORIGIN) else {
        return;
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(EXPOSED.0, EXPOSED.1);
    headers.insert(header::VARY, HeaderValue::from_static("Origin"));
}
