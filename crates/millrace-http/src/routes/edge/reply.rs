//! What Adobe's clients hear: handles, cookies, and problems in their own words.
//!
//! Facts: `reference/sdk-wire-formats.md` sections 8 and 9. The Web SDK tries 429, 502, 503 and 504
//! again and drops the event after a 500, so whatever is the matter on this side is a 503.

use axum::body::Body;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use millrace_model::code::Code;
use millrace_protocol::edge::{
    CONSENT_SECONDS, IDENTITY_SECONDS, consent_cookie, cookie_of_ecid, identity_cookie,
};

use crate::answer::{Refusal, allow_origin, retry_after};
use crate::counts::RefusedWith;

const JSON: HeaderValue = HeaderValue::from_static("application/json;charset=utf-8");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const EXPOSED: HeaderValue = HeaderValue::from_static("Retry-After, x-adobe-edge");
/// Answers hold ids of one visitor.
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-cache, no-store, max-age=0");
/// How many warnings an answer holds at most; all of them are in the set-aside items.
const MOST_WARNINGS: usize = 10;

/// What a client is told about its visitor.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The visitor's ECID.
    pub(super) ecid: Option<String>,
    /// What the consent cookie is to say.
    pub(super) consent: Option<bool>,
    /// The organisation, which the names of cookies hold.
    pub(super) organisation: Option<String>,
    /// The domain of the page when the request came to a host within it: the browser then takes
    /// cookies from the answer itself.
    pub(super) own_domain: Option<String>,
}

struct Cookie {
    name: String,
    value: String,
    seconds: u32,
}

impl Told {
    fn cookies(&self) -> Vec<Cookie> {
        let Some(organisation) = &self.organisation else { return Vec::new() };
        let identity = self.ecid.as_ref().map(|ecid| Cookie {
            name: identity_cookie(organisation),
            value: cookie_of_ecid(ecid),
            seconds: IDENTITY_SECONDS,
        });
        let consent = self.consent.map(|allowed| Cookie {
            name: consent_cookie(organisation),
            value: format!("general={}", if allowed { "in" } else { "out" }),
            seconds: CONSENT_SECONDS,
        });
        identity.into_iter().chain(consent).collect()
    }

    fn handles(&self) -> Vec<Value> {
        let mut handles = Vec::new();
        if let Some(ecid) = &self.ecid {
            let payload = json!([{ "id": ecid, "namespace": { "code": "ECID" } }]);
            handles.push(json!({ "type": "identity:result", "payload": payload }));
        }
        let store = |cookie: &Cookie| {
            // `None` would need a page on https.
            json!({ "key": cookie.name, "value": cookie.value, "maxAge": cookie.seconds,
                    "attrs": { "SameSite": "Lax" } })
        };
        let payload: Vec<Value> = self.cookies().iter().map(store).collect();
        if !payload.is_empty() {
            handles.push(json!({ "type": "state:store", "payload": payload }));
        }
        handles
    }
}

/// The answer with handles.
pub(super) fn handles(
    told: &Told,
    set_aside: &[(usize, Code, String)],
    answer_id: &str,
    request: &HeaderMap,
) -> Response<Body> {
    let mut body = json!({ "requestId": answer_id, "handle": told.handles() });
    warn(&mut body, set_aside);
    let mut response = with_json(StatusCode::OK, &body);
    if let Some(domain) = &told.own_domain {
        for Cookie { name, value, seconds } in told.cookies() {
            let cookie =
                format!("{name}={value}; Path=/; Domain={domain}; Max-Age={seconds}; SameSite=Lax");
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
        }
    }
    finish(response, answer_id, request)
}

/// The answer of version 2 to events that want none: 202.
pub(super) fn accepted(
    set_aside: &[(usize, Code, String)],
    answer_id: &str,
    request: &HeaderMap,
) -> Response<Body> {
    let mut body = json!({ "requestId": answer_id });
    warn(&mut body, set_aside);
    finish(with_json(StatusCode::ACCEPTED, &body), answer_id, request)
}

/// The answer without a body: 204.
pub(super) fn nothing(answer_id: &str, request: &HeaderMap) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    finish(response, answer_id, request)
}

/// The answer to a preflight, which allows what is asked for.
pub(super) fn preflight(request: &HeaderMap) -> Response<Body> {
    let mut response = crate::answer::preflight(request);
    expose(response.headers_mut());
    response
}

/// Items that were set aside, as warnings, which the Web SDK writes to the console of the page.
fn warn(body: &mut Value, set_aside: &[(usize, Code, String)]) {
    if set_aside.is_empty() {
        return;
    }
    let warning = |(place, code, reason): &(usize, Code, String)| {
        json!({
            "type": "about:blank",
            "status": 422,
            "title": "The event was set aside.",
            "detail": reason,
            "code": code.as_str(),
            "report": { "eventIndex": place },
        })
    };
    body["warnings"] = set_aside.iter().take(MOST_WARNINGS).map(warning).collect();
}

/// A refusal, as a problem of RFC 9457 with Adobe's code where it has one.
pub(super) fn problem(
    refusal: &Refusal,
    organisation: Option<&str>,
    answer_id: &str,
    request: &HeaderMap,
) -> Response<Body> {
    let (status, adobe) = adobe_code(refusal);
    tracing::debug!(
        status = status.as_u16(),
        code = refusal.code.as_str(),
        reason = %refusal.message,
        "request refused"
    );
    let kind = match adobe {
        Some(code) => format!("https://ns.adobe.com/aep/errors/EXEG-{code}"),
        None => "about:blank".to_owned(),
    };
    let body = json!({
        "type": kind,
        "status": status.as_u16(),
        "title": status.canonical_reason().unwrap_or("Refused"),
        "detail": refusal.message,
        "code": refusal.code.as_str(),
        "report": { "requestId": answer_id, "orgId": organisation, "errors": [] },
    });
    let mut response = with_json(status, &body);
    response.headers_mut().insert(header::CONTENT_TYPE, PROBLEM);
    if let Some(span) = refusal.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, retry_after(span));
    }
    response.extensions_mut().insert(RefusedWith(refusal.code));
    finish(response, answer_id, request)
}

/// The status for Adobe's clients, and Adobe's own number of the problem.
fn adobe_code(refusal: &Refusal) -> (StatusCode, Option<&'static str>) {
    let own = |status: StatusCode, code| (status, Some(code));
    match (refusal.code, refusal.status) {
        (Code::MissingDatastream, _) => own(StatusCode::BAD_REQUEST, "0002-400"),
        (Code::UnknownDatastream, _) => own(StatusCode::BAD_REQUEST, "0003-400"),
        (Code::DisabledDatastream, _) => own(StatusCode::UNPROCESSABLE_ENTITY, "0004-422"),
        (Code::BadJson | Code::TooDeep | Code::BadCompression, _) => {
            own(StatusCode::BAD_REQUEST, "0101-400")
        }
        (Code::BadBody, StatusCode::UNPROCESSABLE_ENTITY) => {
            own(StatusCode::UNPROCESSABLE_ENTITY, "0104-422")
        }
        (Code::BadBody, _) => own(StatusCode::BAD_REQUEST, "0103-400"),
        (Code::MediaTypeRefused, StatusCode::BAD_REQUEST) => {
            own(StatusCode::BAD_REQUEST, "0106-400")
        }
        (Code::MediaTypeRefused, _) => own(StatusCode::UNSUPPORTED_MEDIA_TYPE, "0111-415"),
        (Code::EmptyBody, _) | (Code::BodyIncomplete, StatusCode::REQUEST_TIMEOUT) => {
            own(StatusCode::REQUEST_TIMEOUT, "0109-408")
        }
        (Code::BodyTooLarge | Code::TooManyEvents, _) => {
            own(StatusCode::PAYLOAD_TOO_LARGE, "0112-413")
        }
        (Code::BearerRefused, _) => own(StatusCode::UNAUTHORIZED, "0500-401"),
        // Limits, too: the SDK waits and sends again.
        (_, StatusCode::TOO_MANY_REQUESTS) => (StatusCode::SERVICE_UNAVAILABLE, None),
        (_, status) if status.is_server_error() => (StatusCode::SERVICE_UNAVAILABLE, None),
        (_, status) => (status, None),
    }
}

fn with_json(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// What every answer has: its id, and leave for the page to read it.
fn finish(mut response: Response<Body>, answer_id: &str, request: &HeaderMap) -> Response<Body> {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(answer_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::CACHE_CONTROL, NOT_KEPT);
    allow_origin(headers, request);
    expose(headers);
    response
}

/// The SDK reads these two headers of answers to other sites.
fn expose(headers: &mut HeaderMap) {
    if headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
}
