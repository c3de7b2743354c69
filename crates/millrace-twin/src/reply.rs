//! The answers of the ingestion endpoints, to the byte (reference/mixpanel-api.md 2.2, 2.3, 3.2).

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};

use crate::body::Params;

/// A transparent GIF of one pixel.
const PIXEL: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\
\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// One row of `failed_records`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Failure {
    /// The place of the record in its request, from 0.
    pub(crate) index: usize,
    /// The record's insert id, empty when it has none.
    pub(crate) insert_id: String,
    /// The field at fault.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) message: String,
}

/// How a lenient answer is dressed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Style {
    verbose: bool,
    image: bool,
    callback: Option<String>,
}

impl Style {
    /// The style that the parameters ask for.
    pub(crate) fn of(params: &Params) -> Style {
        let name = |text: &&str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.');
            !text.is_empty() && text.len() <= 128 && text.chars().all(plain)
        };
        Style {
            verbose: params.on("verbose"),
            image: params.on("img"),
            callback: params.get("callback").filter(name).map(str::to_owned),
        }
    }

    /// `1` or `0`, or `{"error":..,"status":..}`, as an image, or as a call of a function.
    pub(crate) fn answer(&self, done: Result<(), &str>) -> Response {
        self.answer_with(done, None)
    }

    /// The same for `/import` without `strict`, whose verbose form also counts.
    pub(crate) fn answer_import(&self, done: Result<(), &str>, imported: usize) -> Response {
        self.answer_with(done, Some(imported))
    }

    fn answer_with(&self, done: Result<(), &str>, imported: Option<usize>) -> Response {
        let status = u8::from(done.is_ok());
        if self.image {
            return respond(StatusCode::OK, "image/gif", PIXEL);
        }
        let text = if self.verbose {
            let error = done.err();
            match imported {
                None => json!({ "error": error, "status": status }),
                Some(count) => json!({
                    "code": 200, "error": error, "num_records_imported": count, "status": status
                }),
            }
            .to_string()
        } else {
            status.to_string()
        };
        match (&self.callback, self.verbose) {
            (Some(function), _) => {
                respond(StatusCode::OK, "text/javascript", format!("{function}({text});"))
            }
            (None, true) => respond(StatusCode::OK, "application/json", text),
            (None, false) => respond(StatusCode::OK, "text/plain", text),
        }
    }
}

/// The strict answer of `/import` to a batch that is stored as a whole.
pub(crate) fn imported(count: usize) -> Response {
    json_reply(
        StatusCode::OK,
        &json!({ "code": 200, "num_records_imported": count, "status": "OK" }),
    )
}

const SOME_FAILED: &str = "some data points in the request failed validation";

/// The strict answer of `/import` to a batch of which some records are stored.
pub(crate) fn import_failures(count: usize, failures: &[Failure]) -> Response {
    let rows: Vec<Value> = failures
        .iter()
        .map(|failure| {
            // The specification says `insert_id`, the prose page `$insert_id`: both are sent.
            json!({
                "index": failure.index, "insert_id": failure.insert_id,
                "$insert_id": failure.insert_id, "field": failure.field, "message": failure.message
            })
        })
        .collect();
    import_refused(count, &Value::Array(rows))
}

/// The strict answer of `/import` to a batch with identity verbs.
pub(crate) fn import_verbs(text: &str) -> Response {
    import_refused(0, &json!([text]))
}

fn import_refused(count: usize, rows: &Value) -> Response {
    json_reply(
        StatusCode::BAD_REQUEST,
        &json!({
            "code": 400, "error": SOME_FAILED, "status": "Bad Request",
            "num_records_imported": count, "failed_records": rows
        }),
    )
}

/// The strict answer of `/engage` and `/groups`. Data problems are answered with HTTP 200.
pub(crate) fn updated(good: usize, failures: &[Failure]) -> Response {
    if failures.is_empty() {
        let body = json!({ "code": 200, "num_good_events": good, "error": null, "status": 1 });
        return json_reply(StatusCode::OK, &body);
    }
    let rows: Vec<Value> = failures
        .iter()
        .map(|f| json!({ "index": f.index, "field": f.field, "message": f.message }))
        .collect();
    json_reply(
        StatusCode::OK,
        &json!({
            "code": 400, "error": SOME_FAILED, "status": "Bad Request",
            "num_good_events": good, "failed_records": rows
        }),
    )
}

/// An error with Mixpanel's three members.
pub(crate) fn error(status: StatusCode, text: &str) -> Response {
    let reason = status.canonical_reason().unwrap_or("Error");
    // Mixpanel's own word for 413, where the HTTP standard has changed it since.
    let reason =
        if status == StatusCode::PAYLOAD_TOO_LARGE { "Request Entity Too Large" } else { reason };
    json_reply(status, &json!({ "code": status.as_u16(), "error": text, "status": reason }))
}

/// A JSON answer.
pub(crate) fn json_reply(status: StatusCode, body: &Value) -> Response {
    respond(status, "application/json", body.to_string())
}

/// Any answer.
pub(crate) fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Body>,
) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let value = header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}
