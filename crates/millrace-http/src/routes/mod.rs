//! The routes of the SDKs, one module for each protocol: which paths, how a body is read, and what
//! its clients need to hear.

pub(crate) mod edge;
pub(crate) mod quiet;
pub(crate) mod spec;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::routing::MethodRouter;

use crate::answer::{answer, preflight};
use crate::taking::Collector;

/// A route that answers the preflight of a browser, too. A preflight holds neither a key nor a body:
/// it is refused only when its address alone says which pipeline it is for, and that one does not
/// list the origin. Otherwise the call itself is.
fn preflighted(route: MethodRouter<Arc<Collector>>) -> MethodRouter<Arc<Collector>> {
    route.options(async |State(collector): State<Arc<Collector>>, uri: Uri, headers: HeaderMap| {
        let known = collector.doors.get().by_address(&uri);
        match known.map_or(Ok(()), |entrance| entrance.judge_origin(&headers)) {
            Ok(()) => preflight(&headers),
            Err(refusal) => answer(Err(refusal), &headers),
        }
    })
}
