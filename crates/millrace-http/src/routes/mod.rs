//! The routes of the SDKs, one module for each protocol: which paths, how a body is read, and what
//! its clients need to hear.

pub(crate) mod edge;
pub(crate) mod spec;

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::routing::MethodRouter;

use crate::answer::preflight;
use crate::taking::Collector;

/// A route that answers the preflight of a browser, too.
fn preflighted(route: MethodRouter<Arc<Collector>>) -> MethodRouter<Arc<Collector>> {
    route.options(async |headers: HeaderMap| preflight(&headers))
}
