//! The routes: Mixpanel's paths with and without a trailing slash, the harmless answers to what is
//! not served, and CORS for browsers (reference/mixpanel-api.md 10).

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use axum::routing::{MethodRouter, any, get, post, put};
use serde_json::json;

use crate::deletions;
use crate::events_in;
use crate::export::export;
use crate::intake;
use crate::lookup_tables;
use crate::profiles_in;
use crate::reply::{self, json_reply, respond};
use crate::twin::Inner;
use crate::views;

type Shared = State<Arc<Inner>>;

/// All routes.
pub(crate) fn routes(inner: Arc<Inner>) -> Router {
    let both = |router: Router<Arc<Inner>>, path: &str, method: MethodRouter<Arc<Inner>>| {
        router.route(path, method.clone()).route(&format!("{path}/"), method)
    };
    let mut mixpanel = Router::new();
    for (path, method) in [
        ("/import", get(import).post(import)),
        ("/track", get(track).post(track)),
        ("/engage", get(engage).post(engage)),
        ("/groups", get(groups).post(groups)),
        ("/api/2.0/export", get(export)),
        ("/api/app/data-deletions/v3.0", post(delete_users)),
        ("/api/app/data-deletions/v3.0/{task}", get(deletion_task)),
        ("/lookup-tables", get(lookup_tables::list)),
        ("/lookup-tables/{id}", put(lookup_tables::put)),
        ("/settings", any(empty)),
        ("/decide", any(empty)),
        ("/flags", any(flags)),
        ("/flags/definitions", any(flags)),
        ("/record", any(record)),
    ] {
        mixpanel = both(mixpanel, path, method);
    }
    mixpanel
        .route("/", any(welcome))
        .route("/healthz", get(healthy))
        .layer(axum::middleware::from_fn(cors))
        .merge(views::routes(Arc::clone(&inner)))
        .fallback(unknown)
        .with_state(inner)
}

async fn import(State(inner): Shared, request: Request) -> Response {
    intake::serve(inner, request, events_in::import).await
}

async fn track(State(inner): Shared, request: Request) -> Response {
    intake::serve(inner, request, events_in::track).await
}

async fn engage(State(inner): Shared, request: Request) -> Response {
    intake::serve(inner, request, profiles_in::engage).await
}

async fn groups(State(inner): Shared, request: Request) -> Response {
    intake::serve(inner, request, profiles_in::groups).await
}

async fn delete_users(State(inner): Shared, request: Request) -> Response {
    intake::serve(inner, request, deletions::ask).await
}

async fn deletion_task(
    State(inner): Shared,
    Path(task): Path<String>,
    request: Request,
) -> Response {
    deletions::state(&inner, &task, &request)
}

/// No remote settings: SDKs go on with their own.
async fn empty() -> Response {
    json_reply(StatusCode::OK, &json!({}))
}

/// No feature flags.
async fn flags() -> Response {
    json_reply(StatusCode::OK, &json!({ "flags": {} }))
}

/// Session replays are taken and dropped.
async fn record() -> Response {
    json_reply(StatusCode::OK, &json!({ "code": 200, "status": "OK" }))
}

async fn welcome() -> Response {
    let text = "this is the ingestion API of a millrace twin, see its documentation";
    json_reply(StatusCode::OK, &json!({ "error": text }))
}

async fn healthy() -> Response {
    respond(StatusCode::OK, "text/plain", "ok")
}

async fn unknown() -> Response {
    reply::error(StatusCode::NOT_FOUND, "there is no such path")
}

/// Browser SDKs send credentials, so the origin is echoed: `*` would be refused by browsers.
async fn cors(request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let wanted = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let preflight = request.method() == Method::OPTIONS;
    let mut response = if preflight {
        respond(StatusCode::NO_CONTENT, "text/plain", "")
    } else {
        next.run(request).await
    };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        set(headers, header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
        set(headers, header::VARY, "origin");
        if preflight {
            set(headers, header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS");
            set(headers, header::ACCESS_CONTROL_MAX_AGE, "600");
            if let Some(wanted) = wanted {
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted);
            }
        }
    }
    response
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}
