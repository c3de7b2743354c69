//! The routes of the SDKs, one module for each protocol: which paths, how a body is read, and what
//! its clients need to hear.

pub(crate) mod edge;
pub(crate) mod mixpanel;
pub(crate) mod pixel;
pub(crate) mod quiet;
pub(crate) mod script;
pub(crate) mod signed;
pub(crate) mod spec;
pub(crate) mod syft;
pub(crate) mod webhook;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::routing::MethodRouter;
use bytes::Bytes;

use millrace_model::code::Code;
use millrace_model::event::{EventKind, Item, SetAside};
use millrace_model::passage::Origin;
use millrace_protocol::Limits;
use millrace_protocol::json::write_text;

use crate::answer::{answer, preflight};
use crate::taking::{Collector, Received};

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

/// What cannot be read as a whole and is kept as it is, cut at the limit.
fn set_aside_whole(
    origin: Origin,
    kind: Option<EventKind>,
    code: Code,
    reason: String,
    body: &Bytes,
    limits: &Limits,
) -> Item {
    Item::SetAside(SetAside {
        origin,
        kind,
        code,
        reason,
        body: body.slice(..body.len().min(limits.kept_bytes)),
        full_length: body.len() as u64,
    })
}

/// The context of an event whose client cannot say which browser it is.
fn user_agent_context(received: &Received) -> Vec<u8> {
    let mut context = b"{".to_vec();
    if let Some(user_agent) = received.header(header::USER_AGENT) {
        context.extend_from_slice(b"\"userAgent\":");
        write_text(user_agent, &mut context);
    }
    context.push(b'}');
    context
}
