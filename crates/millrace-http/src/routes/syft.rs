//! Syft's uploads, on a path of the pipeline's own or one with a write key in it: its clients send
//! no key of any kind (`reference/sdk-wire-formats.md` section 10).
//!
//! A client takes any answer but 2xx for a failure, resends at once up to three times and then
//! drops what it had. So what cannot be read is set aside under 200; only what could be taken
//! another time, or is too large to be stored, is answered otherwise.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{Method, Response, header};
use axum::routing::post;
use bytes::Bytes;

use millrace_model::event::Batch;
use millrace_model::passage::Origin;
use millrace_protocol::segment::Admission;
use millrace_protocol::{DecodeError, syft};

use super::{preflighted, set_aside_whole};
use crate::answer::{Refusal, answer, preflight, show};
use crate::doors::{Doors, Entrance};
use crate::keys::Credentials;
use crate::taking::{Collector, Decoded, Received};

/// The routes that are the same for every pipeline.
pub(crate) fn routes() -> Router<Arc<Collector>> {
    Router::new().route("/syft/{key}", preflighted(post(keyed)))
}

async fn keyed(
    State(collector): State<Arc<Collector>>,
    key: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response<Body> {
    let key = key.map_or_else(|_| String::new(), |Path(key)| key);
    let find = move |doors: &Doors| doors.keys.owner(&Credentials::in_path(&key), None);
    upload(collector, request, find).await
}

/// Takes an upload when the path is one that a pipeline has for itself; gives the request back when
/// it is not, or when this path takes no such method.
pub(crate) async fn on_own_path(
    collector: Arc<Collector>,
    request: Request,
) -> Result<Response<Body>, Request> {
    let path = request.uri().path().trim_end_matches('/').to_owned();
    let Some(door) = collector.doors.get().syft.get(&path).map(Arc::clone) else {
        return Err(request);
    };
    match *request.method() {
        Method::POST => {}
        Method::OPTIONS => {
            let judged = door.judge_origin(request.headers());
            return Ok(match judged {
                Ok(()) => preflight(request.headers()),
                Err(refusal) => answer(Err(refusal), request.headers()),
            });
        }
        _ => return Err(request),
    }
    let find = move |doors: &Doors| {
        let found = doors.syft.get(&path).map(|door| Entrance::from(Arc::clone(door)));
        // It is gone since a moment ago.
        found.ok_or_else(crate::collector::no_such_path)
    };
    Ok(upload(collector, request, find).await)
}

async fn upload(
    collector: Arc<Collector>,
    request: Request,
    find: impl Fn(&Doors) -> Result<Entrance, Refusal> + Send + Sync + Clone + 'static,
) -> Response<Body> {
    let early = find.clone();
    let (head, taken) = collector
        .take(
            request,
            move |doors, _| early(doors).map(|_| ()),
            move |collector, received| {
                let door = find(&received.doors)?;
                decode(collector, received, door)
            },
        )
        .await;
    show(taken.map(|_| serde_json::json!({})), &head.headers)
}

fn decode(
    collector: &Collector,
    received: &mut Received,
    door: Entrance,
) -> Result<Decoded, Refusal> {
    let raw = received.body.clone();
    let body = match received.plain_body(&collector.limits) {
        Ok(body) => body,
        Err(refusal)
            if refusal.status.is_client_error()
                && refusal.status != 413
                && refusal.retry_after.is_none() =>
        {
            return Ok(aside(
                collector,
                received,
                door,
                refusal.code,
                refusal.message.into_owned(),
                &raw,
            ));
        }
        Err(refusal) => return Err(refusal),
    };
    // Events are written anew with what the upload says about all of them.
    received.reserve(body.len().saturating_mul(2))?;
    let user_agent = received.header(header::USER_AGENT);
    let envelope = match syft::read(body.clone(), user_agent, &collector.limits) {
        Ok(envelope) => envelope,
        Err(error @ (DecodeError::TooLarge { .. } | DecodeError::TooManyEvents { .. })) => {
            return Err(error.into());
        }
        Err(error) => {
            return Ok(aside(collector, received, door, error.code(), error.to_string(), &body));
        }
    };
    received.reserve(envelope.admission_bytes())?;
    let batch = envelope.admit(&Admission {
        pipeline: &door.id,
        origin: Origin::Syft,
        received_at: received.at,
        client_ip: received.client_ip,
        from_device: true,
        limits: &collector.limits,
        entropy: collector.entropy.as_ref(),
    });
    Ok(Decoded { door, batch })
}

fn aside(
    collector: &Collector,
    received: &Received,
    door: Entrance,
    code: millrace_model::code::Code,
    reason: String,
    body: &Bytes,
) -> Decoded {
    let item = set_aside_whole(Origin::Syft, None, code, reason, body, &collector.limits);
    let batch = Batch { pipeline: door.id.clone(), received_at: received.at, items: vec![item] };
    Decoded { door, batch }
}
