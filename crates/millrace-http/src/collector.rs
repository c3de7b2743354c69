//! The collector's router: the routes of all protocols, and what every collector answers.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::HeaderMap;
use axum::http::{Response, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::routing::get;

use millrace_model::code::Code;
use millrace_model::entropy::Entropy;
use millrace_model::intake::Intake;
use millrace_model::time::Clock;

use crate::answer::{Refusal, answer};
use crate::counts::{self, Counts};
use crate::doors::Doors;
use crate::options::{CollectorOptions, PipelineOptions};
use crate::paths::OtherPaths;
use crate::rate::DayUsage;
use crate::readmission::Readmission;
use crate::routes;
use crate::taking::Collector;

/// The collector's router: every protocol, `/healthz` and `/readyz`. It answers every other path
/// with 404. [`CollectorHandle`] gives the same router and a hold on what is behind it.
pub fn collector(
    options: CollectorOptions,
    intake: Arc<dyn Intake>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Router {
    CollectorHandle::new(options, intake, clock, entropy).router()
}

/// A collector that can be told and asked while it answers.
#[derive(Clone)]
pub struct CollectorHandle {
    collector: Arc<Collector>,
    other_paths: OtherPaths,
}

impl CollectorHandle {
    /// A collector that nobody can reach yet.
    #[must_use]
    pub fn new(
        options: CollectorOptions,
        intake: Arc<dyn Intake>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> CollectorHandle {
        let other_paths = options.other_paths.clone();
        let collector = Arc::new(Collector::new(options, intake, clock, entropy));
        CollectorHandle { collector, other_paths }
    }

    /// Its router.
    pub fn router(&self) -> Router {
        let inner = Router::new()
            .route("/healthz", get(async || alive()))
            .route("/readyz", get(ready))
            .merge(routes::mixpanel::routes())
            .merge(routes::script::routes())
            .merge(routes::spec::routes())
            .merge(routes::quiet::routes())
            .merge(routes::pixel::routes())
            .merge(routes::webhook::routes())
            .merge(routes::syft::routes())
            .method_not_allowed_fallback(method_not_allowed)
            .fallback(other_path)
            .with_state(Arc::clone(&self.collector))
            .layer(from_fn_with_state(Arc::clone(&self.collector), counts::count));
        let collector = Arc::clone(&self.collector);
        self.other_paths.clone().around(inner, move |path| is_named(&collector.doors.get(), path))
    }

    /// Puts these pipelines in the place of those of now, all at once: keys, origins, limits, rules.
    /// Requests under way end with the pipelines that they began with. What the keys have sent so
    /// far goes on counting.
    pub fn replace(&self, pipelines: &[PipelineOptions]) {
        let seed = self.collector.entropy.next_u64();
        self.collector.doors.replace(Doors::new(pipelines, seed));
    }

    /// The way in for what had been set aside.
    #[must_use]
    pub fn readmission(&self) -> Readmission {
        Readmission::new(Arc::clone(&self.collector))
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.collector.counters.read()
    }

    /// What the keys with a quota have sent today. To be kept over a restart.
    #[must_use]
    pub fn day_usage(&self) -> DayUsage {
        self.collector.meters.usage(self.collector.clock.now())
    }

    /// Goes on with what was kept. Of another day it is without effect.
    pub fn restore_day_usage(&self, usage: &DayUsage) {
        self.collector.meters.restore(usage, self.collector.clock.elapsed());
    }
}

impl fmt::Debug for CollectorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CollectorHandle").finish_non_exhaustive()
    }
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

/// True for a path that [`other_path`] knows.
fn is_named(doors: &Doors, path: &str) -> bool {
    routes::script::is_name(doors, path)
        || routes::edge::is_call(doors, path)
        || doors.syft.contains_key(path.trim_end_matches('/'))
}

/// Paths that configuration names, which no table of routes can hold.
async fn other_path(State(collector): State<Arc<Collector>>, request: Request) -> Response<Body> {
    if let Some(script) = routes::script::by_name(&collector.doors.get(), &request) {
        return script;
    }
    let request = match routes::edge::answer(Arc::clone(&collector), request).await {
        Ok(answered) => return answered,
        Err(request) => request,
    };
    match routes::syft::on_own_path(collector, request).await {
        Ok(answered) => answered,
        Err(request) => answer(Err(no_such_path()), request.headers()),
    }
}

pub(crate) fn no_such_path() -> Refusal {
    let message = "there is no such path here: see docs/collector.md for those that there are";
    Refusal::new(StatusCode::NOT_FOUND, Code::UnknownPath, message)
}
