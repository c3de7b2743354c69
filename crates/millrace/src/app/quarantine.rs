//! The quarantine as the management API shows it, and feeding items in again.

use std::borrow::Cow;

use axum::http::StatusCode;
use bytes::Bytes;
use millrace_delivery::journal::{Held, HeldQuery, Journal, ReadError, RefeedError};
use millrace_http::management::bytes_as_json;
use millrace_http::{Again, Readmission, Refed, RefeedOrder, SetAsideQuestion, Unshown};
use millrace_model::code::Code;
use millrace_model::event::{Batch, Item, SetAside};
use millrace_model::id::Position;
use millrace_model::intake::Admitted;
use serde_json::{Value, json};

/// What a question says as the journal takes it.
fn query(question: &SetAsideQuestion) -> HeldQuery {
    HeldQuery {
        pipeline: question.pipeline.clone(),
        code: question.code,
        since: question.since,
        oldest_first: question.oldest_first,
        behind: question.cursor,
        limit: question.limit,
    }
}

/// The answer when the journal cannot read.
pub(super) fn unread(error: &ReadError) -> Unshown {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Unshown { status, code: error.code(), message: error.to_string() }
}

/// A page of the quarantine.
pub(super) async fn list(journal: &Journal, question: &SetAsideQuestion) -> Result<Value, Unshown> {
    let read = journal.held_with_reasons(query(question)).await;
    let (page, reasons) = read.map_err(|error| unread(&error))?;
    let next = page.items.last().filter(|_| page.more).map(|held| held.position.to_string());
    let items: Vec<Value> =
        page.items.iter().zip(reasons).map(|(held, reason)| item(held, &reason)).collect();
    let dropped: Vec<Value> = page
        .dropped
        .iter()
        .map(|(pipeline, code, items)| {
            json!({ "pipeline": pipeline, "code": code.as_str(), "items": items })
        })
        .collect();
    Ok(json!({
        "set_aside": items,
        "next": next,
        "held": { "items": page.entries, "bytes": page.bytes },
        "dropped": dropped,
    }))
}

fn item(held: &Held, reason: &str) -> Value {
    json!({
        "position": held.position.to_string(),
        "pipeline": held.pipeline,
        "received_at": held.received_at.to_string(),
        "code": held.code.as_str(),
        "reason": reason,
        "origin": held.origin.as_str(),
        "kind": held.kind.map(|kind| kind.as_str()),
        "bytes": held.full_length,
        "kept_bytes": held.kept,
        "whole": held.kept == held.full_length,
    })
}

/// One item with its bytes.
pub(super) async fn show(journal: &Journal, position: Position) -> Result<Value, Unshown> {
    let found = journal.held_item(position).await.map_err(|error| unread(&error))?;
    let (held, aside) = found.ok_or_else(|| {
        let error = RefeedError::NotHeld(position);
        Unshown { status: StatusCode::NOT_FOUND, code: error.code(), message: error.to_string() }
    })?;
    let mut shown = item(&held, &aside.reason);
    if let Some(members) = shown.as_object_mut() {
        members.insert("body".to_owned(), bytes_as_json(&aside.body));
    }
    Ok(shown)
}

/// Why one item is not fed again: code and words.
type NotFed = (Code, Cow<'static, str>);

/// Feeds items in again, each on its own: what becomes of one does not touch the others.
pub(super) async fn refeed(
    journal: &Journal,
    readmission: &Readmission,
    order: RefeedOrder,
) -> Result<Value, Unshown> {
    let (positions, more) = match &order.items {
        Refed::Positions(positions) => (positions.clone(), false),
        Refed::All(question) => {
            let page = journal.held(query(question)).await.map_err(|error| unread(&error))?;
            (page.items.iter().map(|held| held.position).collect(), page.more)
        }
    };
    let (mut results, mut fed) = (Vec::with_capacity(positions.len()), 0_u64);
    for position in positions {
        let outcome = feed_one(journal, readmission, position, &order).await;
        fed += u64::from(outcome.is_ok());
        results.push(match outcome {
            Ok((batch, admitted)) => taken(position, &batch, admitted),
            Err((code, reason)) => json!({
                "position": position.to_string(), "outcome": "refused",
                "code": code.as_str(), "reason": reason,
            }),
        });
    }
    let refused = results.len() as u64 - fed;
    Ok(json!({
        "dry_run": order.dry_run, "fed": fed, "refused": refused, "more": more, "results": results,
    }))
}

async fn feed_one(
    journal: &Journal,
    readmission: &Readmission,
    position: Position,
    order: &RefeedOrder,
) -> Result<(Batch, Option<Admitted>), NotFed> {
    let found = journal.held_item(position).await;
    let found = found.map_err(|error| (error.code(), error.to_string().into()))?;
    let (held, aside) = found.ok_or_else(|| not_fed(&RefeedError::NotHeld(position)))?;
    let replaced = order.body.is_some();
    let body = match &order.body {
        Some(body) => body.clone(),
        None => whole_body(&aside)?,
    };
    let again = Again {
        pipeline: &held.pipeline,
        received_at: held.received_at,
        origin: held.origin,
        kind: held.kind,
        code: held.code,
        body,
    };
    let batch =
        readmission.readmit(&again).map_err(|refused| (refused.code, refused.reason.into()));
    let batch = batch?;
    if order.dry_run {
        return Ok((batch, None));
    }
    let stored = journal.refeed(position, batch.clone()).await;
    let admitted = stored.map_err(|error| not_fed(&error))?;
    tracing::info!(
        target: "millrace::audit", %position, now = %admitted.seq, pipeline = %held.pipeline,
        code = held.code.as_str(), events = admitted.events, replaced_body = replaced,
        "an item that had been set aside was fed in again"
    );
    Ok((batch, Some(admitted)))
}

fn not_fed(error: &RefeedError) -> NotFed {
    (error.code(), error.to_string().into())
}

/// The bytes of an item, if all of them are kept.
fn whole_body(aside: &SetAside) -> Result<Bytes, NotFed> {
    let kept = aside.body.len() as u64;
    if kept == 0 || kept < aside.full_length {
        let reason =
            format!("{kept} of its {} bytes are kept: give a body of your own", aside.full_length);
        return Err((Code::CannotBeFedAgain, reason.into()));
    }
    Ok(aside.body.clone())
}

/// What became of an item, or would become: the worst of its parts.
fn taken(position: Position, batch: &Batch, admitted: Option<Admitted>) -> Value {
    let now = |index: usize| admitted.map(|admitted| format!("{}:{index}", admitted.seq));
    let parts: Vec<Value> = batch
        .items
        .iter()
        .enumerate()
        .map(|(index, item)| match item {
            Item::Event(event) => json!({
                "outcome": "event", "kind": event.kind.as_str(),
                "message_id": event.facts.message_id, "now": now(index),
            }),
            Item::SetAside(aside) => json!({
                "outcome": "set_aside", "code": aside.code.as_str(), "reason": aside.reason,
                "now": now(index),
            }),
            Item::Filtered(filtered) => json!({
                "outcome": "filtered", "code": filtered.reason.as_str(), "reason": filtered.rule,
                "now": now(index),
            }),
            Item::Duplicate(duplicate) => json!({
                "outcome": "duplicate", "message_id": duplicate.message_id, "now": now(index),
            }),
        })
        .collect();
    let mut parts = parts.into_iter();
    match (parts.next(), parts.len()) {
        (Some(mut only), 0) => {
            if let Some(members) = only.as_object_mut() {
                members.insert("position".to_owned(), position.to_string().into());
            }
            only
        }
        (first, _) => json!({
            "position": position.to_string(), "outcome": "several",
            "parts": first.into_iter().chain(parts).collect::<Vec<_>>(),
        }),
    }
}
