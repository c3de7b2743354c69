//! The collector's router: the routes of all protocols, and what every collector answers.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::HeaderMap;
use axum::http::{Response, StatusCode};
use axum::routing::get;

use millrace_model::code::Code;
use millrace_model::entropy::Entropy;
use millrace_model::intake::Intake;
use millrace_model::time::Clock;

use crate::answer::{Refusal, answer};
use crate::options::CollectorOptions;
use crate::routes;
use crate::taking::Collector;

/// The collector's router: every protocol, `/healthz` and `/readyz`. It answers every other path
/// with 404.
pub fn collector(
    options: CollectorOptions,
    intake: Arc<dyn Intake>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Router {
    let collector = Arc::new(Collector::new(options, intake, clock, entropy));
    Router::new()
        .route("/healthz", get(async || alive()))
        .route("/readyz", get(ready))
        .merge(routes::spec::routes())
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(other_path)
        .with_state(collector)
}

fn alive() -> Response<Body> {
    answer(Ok(()), &HeaderMap::new())
}

async fn ready(State(collector): State<Arc<Collector>>) -> Response<Body> {
    answer(collector.intake.ready().map_err(Refusal::from), &HeaderMap::new())
}

async fn method_not_allowed(headers: HeaderMap) -> Response<Body> {
    let message = "this path does not take this method: SDKs post their events";
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, message);
    answer(Err(refusal), &headers)
}

/// Paths that configuration names, which no table of routes can hold.
async fn other_path(State(collector): State<Arc<Collector>>, request: Request) -> Response<Body> {
    match routes::edge::answer(collector, request).await {
        Ok(answered) => answered,
        Err(request) => unknown_path(request.headers()),
    }
}

fn unknown_path(headers: &HeaderMap) -> Response<Body> {
    let message = "there is no such path here: see docs/collector.md for those that there are";
    let refusal = Refusal::new(StatusCode::NOT_FOUND, Code::UnknownPath, message);
    answer(Err(refusal), headers)
}
