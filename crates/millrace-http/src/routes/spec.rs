//! The calls of the Segment and RudderStack spec, which Datafly's clients make as well, and what
//! browser SDKs ask first.

use std::sync::{Arc, OnceLock};

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Response, StatusCode, Uri};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};

use serde_json::{Value, json};

use millrace_model::code::Code;
use millrace_model::event::{Batch, EventKind, Item};
use millrace_model::passage::Origin;
use millrace_protocol::DecodeError;
use millrace_protocol::segment::{Admission, Call, Envelope};

use super::preflighted;
use super::script::LIBRARY;
use super::signed::sender;
use crate::answer::{Refusal, answer, show};
use crate::cookie;
use crate::counts::Marks;
use crate::keys::Credentials;
use crate::paths::RoutePrefix;
use crate::startup;
use crate::taking::{Collector, Decoded, Received, Taken};

/// Every path and what its body is. The one-letter paths are those of Segment's browser SDK, the
/// beacon is RudderStack's. `/v1/events` is Datafly's for servers: its calls are signed.
const ROUTES: [(&str, Call); 17] = [
    ("/v1/track", Call::Single(EventKind::Track)),
    ("/v1/identify", Call::Single(EventKind::Identify)),
    ("/v1/page", Call::Single(EventKind::Page)),
    ("/v1/screen", Call::Single(EventKind::Screen)),
    ("/v1/group", Call::Single(EventKind::Group)),
    ("/v1/alias", Call::Single(EventKind::Alias)),
    ("/v1/batch", Call::Batch),
    ("/v1/import", Call::Batch),
    ("/v1/t", Call::Single(EventKind::Track)),
    ("/v1/i", Call::Single(EventKind::Identify)),
    ("/v1/p", Call::Single(EventKind::Page)),
    ("/v1/s", Call::Single(EventKind::Screen)),
    ("/v1/g", Call::Single(EventKind::Group)),
    ("/v1/a", Call::Single(EventKind::Alias)),
    ("/v1/b", Call::Batch),
    ("/beacon/v1/batch", Call::Batch),
    ("/v1/events", Call::Typed),
];

/// What Datafly takes in one body.
const DATAFLY_BODY_BYTES: usize = 524_288;
/// What Datafly takes in one batch.
const DATAFLY_EVENTS: usize = 500;

/// The routes.
pub(crate) fn routes() -> Router<Arc<Collector>> {
    let mut router = Router::new()
        .route("/v1/projects/{key}/settings", preflighted(get(segment_settings)))
        .route("/sourceConfig", preflighted(get(rudder_source_config)))
        .route("/sourceConfig/", preflighted(get(rudder_source_config)));
    for (path, call) in ROUTES {
        let demanded = call == Call::Typed;
        router = router
            .route(path, call_route(call, demanded))
            .route(&format!("{path}/"), call_route(call, demanded));
    }
    router
}

fn call_route(call: Call, demanded: bool) -> MethodRouter<Arc<Collector>> {
    let take = async move |State(collector): State<Arc<Collector>>, request: Request| {
        let credentials = Credentials::of(request.headers(), request.uri());
        let early = Credentials::of(request.headers(), request.uri());
        let outcome = Arc::new(OnceLock::new());
        let told = Arc::clone(&outcome);
        let (head, taken) = collector
            .take(
                request,
                move |doors, head| match doors.keys.check_early(&early)? {
                    Some(entrance) => {
                        Marks::pipeline(head, &entrance.id);
                        entrance.judge_origin(&head.headers)
                    }
                    None => Ok(()),
                },
                move |collector, received| {
                    let asked = Asked { call, demanded, credentials: &credentials };
                    let (decoded, outcome) = decode(collector, received, asked)?;
                    // Nobody else sets it.
                    let _ = told.set(outcome);
                    Ok(decoded)
                },
            )
            .await;
        respond(taken, outcome.get(), &head.headers)
    };
    preflighted(post(take))
}

/// What the head of a call says.
#[derive(Clone, Copy)]
struct Asked<'a> {
    call: Call,
    /// Whether the path takes signed calls only.
    demanded: bool,
    credentials: &'a Credentials,
}

/// What the answer says beside success.
#[derive(Debug)]
struct Outcome {
    cookies: Vec<HeaderValue>,
    strict: bool,
}

fn decode(
    collector: &Collector,
    received: &mut Received,
    asked: Asked<'_>,
) -> Result<(Decoded, Outcome), Refusal> {
    let raw = received.body.clone();
    let body = received.plain_body(&collector.limits)?;
    let length = body.len();
    let mut envelope = Envelope::read(asked.call, body, &collector.limits)?;
    let in_body = envelope.write_key();
    let sender = sender(received, &raw, asked.credentials, in_body, asked.demanded)?;
    drop(raw);
    let by_bearer = in_body.is_none() && asked.credentials.is_bearer_alone();
    let door = sender.door;
    let strict = sender.signed || door.datafly.strict;
    if strict {
        check_datafly_limits(&envelope, length)?;
        envelope.be_strict();
    }
    let mut outcome = Outcome { cookies: Vec::new(), strict };
    if let Some(options) = door.cookie.as_ref().filter(|_| received.from_device) {
        let entropy = collector.entropy.as_ref();
        outcome.cookies = cookie::give(options, &received.head.headers, entropy, &mut envelope);
    }
    received.reserve(envelope.admission_bytes())?;
    let origin = match () {
        // Only pages send it, so nothing else is asked.
        () if received.from_device && envelope.is_made_by(LIBRARY) => Origin::Browser,
        () if strict || by_bearer => Origin::Datafly,
        () => Origin::Spec,
    };
    let batch = envelope.admit(&Admission {
        pipeline: &door.id,
        origin,
        received_at: received.at,
        client_ip: received.client_ip,
        from_device: received.from_device,
        limits: &collector.limits,
        entropy: collector.entropy.as_ref(),
    });
    // What comes with a revoked key is set aside, whatever it is.
    if strict && asked.call != Call::Batch && !door.is_revoked_at(received.at) {
        refuse_what_is_wrong(&batch)?;
    }
    Ok((Decoded { door, batch }, outcome))
}

/// Datafly's own limits (`reference/datafly-adobe.md` 1.2).
fn check_datafly_limits(envelope: &Envelope, length: usize) -> Result<(), Refusal> {
    if length > DATAFLY_BODY_BYTES {
        return Err(DecodeError::TooLarge { limit: DATAFLY_BODY_BYTES }.into());
    }
    if envelope.len() > DATAFLY_EVENTS {
        return Err(DecodeError::TooManyEvents { limit: DATAFLY_EVENTS }.into());
    }
    Ok(())
}

/// A single call that is wrong is refused, and nothing of it is kept.
fn refuse_what_is_wrong(batch: &Batch) -> Result<(), Refusal> {
    let Some(Item::SetAside(aside)) = batch.items.first() else { return Ok(()) };
    let status = match aside.code {
        Code::EventTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    Err(Refusal::new(status, aside.code, aside.reason.clone()))
}

fn respond(
    taken: Result<Taken, Refusal>,
    outcome: Option<&Outcome>,
    request: &HeaderMap,
) -> Response<Body> {
    let Some(outcome) = outcome.filter(|_| taken.is_ok()) else {
        return answer(taken.map(|_| ()), request);
    };
    let is_partial = |taken: &Taken| outcome.strict && !taken.set_aside.is_empty();
    let mut response = match taken {
        Ok(taken) if is_partial(&taken) => show(Ok(wrong_items(&taken)), request),
        taken => answer(taken.map(|_| ()), request),
    };
    for cookie in &outcome.cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie.clone());
    }
    response
}

/// Success of a batch in which some events are wrong: the others are taken.
fn wrong_items(taken: &Taken) -> Value {
    let errors: Vec<Value> = taken
        .set_aside
        .iter()
        .map(|(index, code, reason)| json!({"index": index, "code": code.as_str(), "message": reason}))
        .collect();
    json!({"success": true, "errors": errors})
}

async fn segment_settings(
    State(collector): State<Arc<Collector>>,
    key: Result<Path<String>, PathRejection>,
    prefix: Option<Extension<RoutePrefix>>,
    headers: HeaderMap,
) -> Response<Body> {
    // What is no text is no key. axum's own answer has no CORS headers and is no JSON.
    let key = key.map_or_else(|_| String::new(), |Path(key)| key);
    let prefix = prefix.map(|Extension(prefix)| prefix.0).unwrap_or_default();
    let keys = &collector.doors.get().keys;
    show(startup::segment_settings(keys, &key, &prefix, &headers), &headers)
}

async fn rudder_source_config(
    State(collector): State<Arc<Collector>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    show(startup::rudder_source_config(&collector.doors.get().keys, &headers, &uri), &headers)
}
