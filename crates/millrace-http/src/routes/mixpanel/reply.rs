//! What each of Mixpanel's SDKs has to hear (`reference/sdk-wire-formats.md` 7): a bare digit, an
//! object whose `status` is a number, or on `/import` with a JSON body one with counts.

use axum::body::Body;
use axum::http::header::{self, HeaderValue};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use millrace_model::code::Code;
use millrace_protocol::mixpanel::{Endpoint, Failure, Options};

use crate::answer::{Refusal, allow_origin};

/// The transparent image of one pixel.
const PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\
    \x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// What Mixpanel says above a list of failed records.
const SOME_FAILED: &str = "some data points in the request failed validation";

/// What decoding found out about a call, for its answer.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) options: Options,
    /// True when the records came in a form or in the query.
    pub(super) is_form: bool,
    /// The number of records that were taken.
    pub(super) good: usize,
    /// The others.
    pub(super) failures: Vec<Failure>,
}

impl Told {
    pub(super) fn new(options: Options, is_form: bool) -> Told {
        Told { options, is_form, good: 0, failures: Vec::new() }
    }

    /// What can be told of a call that was not read: its head.
    fn of_head(head: &Parts) -> Told {
        let options = Options::of_query(head.uri.query().unwrap_or_default());
        let kind = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        let is_form = !kind.is_some_and(|kind| {
            kind.starts_with(b"application/json") || kind.starts_with(b"application/x-ndjson")
        });
        Told::new(options, is_form)
    }

    /// True for calls that are answered with counts and lists.
    fn by_record(&self, endpoint: Endpoint) -> bool {
        match endpoint {
            Endpoint::Import => !self.is_form || self.options.strict,
            Endpoint::Engage | Endpoint::Groups => self.options.strict,
            Endpoint::Track => false,
        }
    }
}

/// The answer to a call.
pub(super) fn reply(
    endpoint: Endpoint,
    told: Option<&Told>,
    taken: Result<(), Refusal>,
    head: &Parts,
) -> Response<Body> {
    let unread;
    let told = match told {
        Some(told) => told,
        None => {
            unread = Told::of_head(head);
            &unread
        }
    };
    let mut response = match taken {
        Ok(()) if told.by_record(endpoint) => counted(endpoint, told),
        Ok(()) => plain(told, told.failures.first().map(|failure| failure.message.as_str())),
        Err(refusal) => refused(endpoint, told, &refusal),
    };
    allow_origin(response.headers_mut(), &head.headers);
    response
}

/// A call that was answered in the form of `/track`: well, when one record or none at all was bad.
fn plain(told: &Told, first_error: Option<&str>) -> Response<Body> {
    let well = told.good > 0 || first_error.is_none();
    let text = match (told.options.verbose, well) {
        (true, true) => "{\"status\":1,\"error\":null}".to_owned(),
        (true, false) => json!({ "status": 0, "error": first_error }).to_string(),
        (false, true) => "1".to_owned(),
        (false, false) => "0".to_owned(),
    };
    if told.options.img {
        return typed(StatusCode::OK, "image/gif", PIXEL.to_vec());
    }
    if let Some(callback) = &told.options.callback {
        // JSON may hold two characters that end a line of a script.
        let text = text.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
        let mut response =
            typed(StatusCode::OK, "text/javascript; charset=utf-8", format!("{callback}({text});"));
        let nosniff = HeaderValue::from_static("nosniff");
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        return response;
    }
    let kind = if told.options.verbose { "application/json" } else { "text/plain" };
    typed(StatusCode::OK, kind, text)
}

/// A call that was answered record by record.
fn counted(endpoint: Endpoint, told: &Told) -> Response<Body> {
    let failed: Vec<Value> = told.failures.iter().map(failed_record).collect();
    let is_import = endpoint == Endpoint::Import;
    let body = match (is_import, failed.is_empty()) {
        (true, true) => json!({ "code": 200, "num_records_imported": told.good, "status": "OK" }),
        (true, false) if told.options.strict => json!({
            "code": 400, "error": SOME_FAILED, "failed_records": failed,
            "num_records_imported": told.good, "status": "Bad Request",
        }),
        (true, false) => json!({
            "code": 200, "error": SOME_FAILED, "num_records_imported": told.good,
            "status": i32::from(told.good > 0),
        }),
        (false, true) => {
            json!({ "code": 200, "error": null, "num_good_events": told.good, "status": 1 })
        }
        (false, false) => json!({
            "code": 400, "error": SOME_FAILED, "failed_records": failed,
            "num_good_events": told.good, "status": "Bad Request",
        }),
    };
    // Profiles are answered 200 whatever was in them (`reference/mixpanel-api.md` 3.2).
    let bad = is_import && !failed.is_empty() && told.options.strict;
    let status = if bad { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    typed(status, "application/json", body.to_string())
}

/// Clients look for the id under either name (`reference/mixpanel-api.md` 2.3).
fn failed_record(failure: &Failure) -> Value {
    json!({
        "index": failure.index,
        "insert_id": failure.insert_id,
        "$insert_id": failure.insert_id,
        "field": failure.field,
        "message": failure.message,
    })
}

/// A call of which nothing was taken.
fn refused(endpoint: Endpoint, told: &Told, refusal: &Refusal) -> Response<Body> {
    tracing::debug!(
        status = refusal.status.as_u16(),
        code = refusal.code.as_str(),
        reason = %refusal.message,
        "call of a Mixpanel SDK refused"
    );
    let by_record = told.by_record(endpoint);
    // These SDKs retry a 503 and not a 429, or do not read what a 429 says
    // (`reference/mixpanel-api.md` 9).
    let status = match refusal.status {
        StatusCode::TOO_MANY_REQUESTS => StatusCode::SERVICE_UNAVAILABLE,
        // A body that nobody can read will be no better the next time, and mobile SDKs send what
        // got a 4xx for ever: they hear under 200 that it was nothing.
        StatusCode::BAD_REQUEST if !by_record && refusal.code != Code::BodyIncomplete => {
            return plain(told, Some(&refusal.message));
        }
        status => status,
    };
    let body = if by_record {
        let reason = status.canonical_reason().unwrap_or_default();
        json!({ "code": status.as_u16(), "error": refusal.message, "status": reason })
    } else {
        json!({ "error": refusal.message, "status": 0 })
    };
    let mut response = typed(status, "application/json", body.to_string());
    if let Some(span) = refusal.retry_after {
        // Whole seconds, never fewer than the span.
        let seconds = span.as_secs() + u64::from(span.subsec_nanos() > 0);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    response
}

fn typed(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
