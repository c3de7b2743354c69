//! What the collector counts of its requests: by protocol, and those that it refuses by pipeline and
//! code. Also the last hand that every answer passes through: what a page must not read is closed to
//! it here, whichever protocol has written the answer.
//!
//! The sets of labels are bounded: protocols by a table of paths, pipelines by the configuration,
//! codes by their list.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::http::header::{self, HeaderValue};
use axum::http::request::Parts;
use axum::middleware::Next;

use millrace_model::code::Code;
use millrace_model::id::PipelineId;

use crate::taking::Collector;

/// The protocols by their paths: the first that fits counts. What has its own name under a path of
/// another stands before it.
const PROTOCOLS: [(&str, &str); 20] = [
    ("/v1/pixel", "pixel"),
    ("/pixel", "pixel"),
    ("/v1/webhook", "webhook"),
    ("/v1/events", "datafly"),
    ("/v1", "spec"),
    ("/beacon", "spec"),
    ("/sourceConfig", "spec"),
    ("/rsaMetrics", "spec"),
    ("/track", "mixpanel"),
    ("/engage", "mixpanel"),
    ("/groups", "mixpanel"),
    ("/import", "mixpanel"),
    ("/settings", "mixpanel"),
    ("/flags", "mixpanel"),
    ("/decide", "mixpanel"),
    ("/record", "mixpanel"),
    ("/ee", "edge"),
    ("/api/syft", "syft"),
    ("/syft", "syft"),
    ("/analytics.js", "script"),
];
/// Health checks, scripts under names of the configuration, and what leads nowhere.
const OTHER: usize = PROTOCOLS.len();

fn protocol_of(path: &str) -> usize {
    let fits = |(start, _): &(&str, &str)| {
        path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    PROTOCOLS.iter().position(fits).unwrap_or(OTHER)
}

/// True for the paths of Mixpanel's SDKs.
pub(crate) fn is_mixpanel(path: &str) -> bool {
    PROTOCOLS.get(protocol_of(path)).is_some_and(|(_, name)| *name == "mixpanel")
}

/// What has been counted since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests by protocol.
    pub requests: BTreeMap<&'static str, u64>,
    /// Refused requests by pipeline, if it was known by then, and code.
    pub refusals: BTreeMap<(Option<PipelineId>, Code), u64>,
}

/// The counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: [AtomicU64; OTHER + 1],
    refusals: Mutex<BTreeMap<(Option<PipelineId>, Code), u64>>,
}

impl Counters {
    pub(crate) fn read(&self) -> Counts {
        let mut requests = BTreeMap::new();
        let names = PROTOCOLS.iter().map(|(_, name)| *name).chain(["other"]);
        for (name, count) in names.zip(&self.requests) {
            *requests.entry(name).or_default() += count.load(Ordering::Relaxed);
        }
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Counts { requests, refusals }
    }

    fn refused(&self, pipeline: Option<PipelineId>, code: Code) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        *refusals.entry((pipeline, code)).or_default() += 1;
    }
}

/// What becomes known of a request on its way. Stands among its extensions.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    pipeline: OnceLock<PipelineId>,
    code: OnceLock<Code>,
}

impl Marks {
    /// Notes whose request this is.
    pub(crate) fn pipeline(head: &Parts, id: &PipelineId) {
        if let Some(marks) = head.extensions.get::<Arc<Marks>>() {
            let _ = marks.pipeline.set(id.clone());
        }
    }

    /// Notes why it is refused.
    pub(crate) fn refused(head: &Parts, code: Code) {
        if let Some(marks) = head.extensions.get::<Arc<Marks>>() {
            let _ = marks.code.set(code);
        }
    }
}

/// The code of a refusal, among the extensions of an answer that was written without
/// [`Collector::take`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct RefusedWith(pub(crate) Code);

/// Counts a request and looks over its answer.
pub(crate) async fn count(
    State(collector): State<Arc<Collector>>,
    mut request: Request,
    next: Next,
) -> Response<Body> {
    if let Some(requests) = collector.counters.requests.get(protocol_of(request.uri().path())) {
        requests.fetch_add(1, Ordering::Relaxed);
    }
    let marks = Arc::new(Marks::default());
    request.extensions_mut().insert(Arc::clone(&marks));
    let mut response = next.run(request).await;
    let written = response.extensions().get::<RefusedWith>().map(|refused| refused.0);
    let code = marks.code.get().copied().or(written);
    if let Some(code) = code {
        collector.counters.refused(marks.pipeline.get().cloned(), code);
    }
    let headers = response.headers_mut();
    if code == Some(Code::OriginRefused) {
        headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        headers.remove(header::ACCESS_CONTROL_ALLOW_CREDENTIALS);
        headers.remove(header::ACCESS_CONTROL_EXPOSE_HEADERS);
    }
    // What is answered depends on who asks, whether or not this one said so.
    headers.entry(header::VARY).or_insert(HeaderValue::from_static("Origin"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_its_protocol() {
        for (path, protocol) in [
            ("/v1/track", "spec"),
            ("/v1/pixel/track", "pixel"),
            ("/v1/webhook/stripe", "webhook"),
            ("/track/", "mixpanel"),
            ("/tracking", "other"),
            ("/ee/irl1/v1/interact", "edge"),
            ("/healthz", "other"),
            ("", "other"),
        ] {
            let name = PROTOCOLS.get(protocol_of(path)).map_or("other", |(_, name)| *name);
            assert_eq!(name, protocol, "{path}");
        }
    }
}
