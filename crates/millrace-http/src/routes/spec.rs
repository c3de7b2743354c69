//! The calls of the Segment and RudderStack spec, and what their browser SDKs ask first.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::HeaderMap;
use axum::http::{Response, Uri};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};

use millrace_model::event::EventKind;
use millrace_model::passage::Origin;
use millrace_protocol::segment::{Admission, Call, Envelope};

use super::preflighted;
use crate::answer::{Refusal, answer, show};
use crate::counts::Marks;
use crate::keys::Credentials;
use crate::paths::RoutePrefix;
use crate::startup;
use crate::taking::{Collector, Decoded, Received};

/// Every path and what its body is. The one-letter paths are those of Segment's browser SDK, the
/// beacon is RudderStack's.
const ROUTES: [(&str, Call); 16] = [
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
];

/// The routes.
pub(crate) fn routes() -> Router<Arc<Collector>> {
    let mut router = Router::new()
        .route("/v1/projects/{key}/settings", preflighted(get(segment_settings)))
        .route("/sourceConfig", preflighted(get(rudder_source_config)))
        .route("/sourceConfig/", preflighted(get(rudder_source_config)));
    for (path, call) in ROUTES {
        router = router.route(path, call_route(call)).route(&format!("{path}/"), call_route(call));
    }
    router
}

fn call_route(call: Call) -> MethodRouter<Arc<Collector>> {
    let take = async move |State(collector): State<Arc<Collector>>, request: Request| {
        let credentials = Credentials::of(request.headers(), request.uri());
        let early = Credentials::of(request.headers(), request.uri());
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
                move |collector, received| decode(collector, received, call, &credentials),
            )
            .await;
        answer(taken.map(|_| ()), &head.headers)
    };
    preflighted(post(take))
}

fn decode(
    collector: &Collector,
    received: &mut Received,
    call: Call,
    credentials: &Credentials,
) -> Result<Decoded, Refusal> {
    let body = received.plain_body(&collector.limits)?;
    let envelope = Envelope::read(call, body, &collector.limits)?;
    let door = received.doors.keys.owner(credentials, envelope.write_key())?;
    received.reserve(envelope.admission_bytes())?;
    let batch = envelope.admit(&Admission {
        pipeline: &door.id,
        origin: Origin::Spec,
        received_at: received.at,
        client_ip: received.client_ip,
        from_device: received.from_device,
        limits: &collector.limits,
        entropy: collector.entropy.as_ref(),
    });
    Ok(Decoded { door, batch })
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
