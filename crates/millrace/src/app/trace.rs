//! The trace of an event as the management API shows it.
//!
//! Notes name places and rules and never values, and the event itself is shown only when it is asked
//! for: as it was stored, after the privacy rules of its pipeline.

use axum::http::StatusCode;
use millrace_delivery::journal::{AtIntegration, Copy, Journal, Standing};
use millrace_http::management::bytes_as_json;
use millrace_http::{TraceQuestion, Unshown};
use millrace_model::code::Code;
use millrace_model::event::{Event, Item, TimeSource};
use serde_json::{Value, json};

use super::quarantine::unread;

/// Everything that is known under a message id.
pub(super) async fn trace(journal: &Journal, question: &TraceQuestion) -> Result<Value, Unshown> {
    let found = journal.trace(&question.pipeline, &question.message_id).await;
    let found = found.map_err(|error| unread(&error))?;
    if found.copies.is_empty() {
        let searched = if found.incomplete { " in what was searched" } else { "" };
        return Err(Unshown {
            status: StatusCode::NOT_FOUND,
            code: Code::NothingKnown,
            message: format!("nothing is kept under this message id{searched}"),
        });
    }
    // The first event under an id is what its duplicates are duplicates of.
    let is_event = |copy: &&Copy| matches!(copy.item, Item::Event(_));
    let first = found.copies.iter().filter(is_event).map(|copy| copy.position).min();
    let copies: Vec<Value> = found
        .copies
        .iter()
        .map(|copy| {
            let mut shown = json!({
                "position": copy.position.to_string(),
                "received_at": copy.received_at.to_string(),
                "fed_again_from": copy.takes_place_of.map(|position| position.to_string()),
            });
            let told = match &copy.item {
                Item::Event(event) => event_told(event, &copy.integrations, question.body),
                Item::Duplicate(duplicate) => json!({
                    "outcome": "duplicate", "differs": duplicate.differs,
                    "duplicate_of": first.map(|position| position.to_string()),
                }),
                Item::SetAside(aside) => {
                    let body = question.body.then(|| bytes_as_json(&aside.body));
                    json!({
                        "outcome": "set_aside", "code": aside.code.as_str(),
                        "reason": aside.reason, "origin": aside.origin.as_str(),
                        "kind": aside.kind.map(|kind| kind.as_str()), "body": body,
                    })
                }
                Item::Filtered(filtered) => json!({
                    "outcome": "filtered", "code": filtered.reason.as_str(),
                    "reason": filtered.rule,
                }),
            };
            if let (Some(shown), Value::Object(told)) = (shown.as_object_mut(), told) {
                shown.extend(told);
            }
            shown
        })
        .collect();
    Ok(json!({
        "pipeline": question.pipeline,
        "message_id": question.message_id,
        "copies": copies,
        "searched_from": found.searched_from,
        "complete": !found.incomplete,
    }))
}

fn event_told(event: &Event, integrations: &[AtIntegration], body: bool) -> Value {
    let source = match event.facts.time_source {
        TimeSource::Client => "client",
        TimeSource::Corrected => "corrected",
        TimeSource::Receipt => "receipt",
    };
    let notes: Vec<Value> = event
        .passage
        .notes
        .iter()
        .map(|note| json!({ "kind": note.kind.as_str(), "detail": note.detail }))
        .collect();
    let consent = event.passage.consent.as_ref().map(|consent| json!(consent.categories));
    let integrations: Vec<Value> = integrations.iter().map(standing).collect();
    json!({
        "outcome": "event",
        "kind": event.kind.as_str(),
        "origin": event.passage.origin.as_str(),
        "time": event.facts.time.to_string(),
        "time_source": source,
        "bytes": event.body.len(),
        "consent": consent,
        "notes": notes,
        "integrations": integrations,
        "body": body.then(|| bytes_as_json(&event.body)),
    })
}

fn standing(at: &AtIntegration) -> Value {
    let AtIntegration { integration, standing } = at;
    match standing {
        Standing::Open { perhaps_sent } => json!({
            "integration": integration, "state": "open", "perhaps_sent": perhaps_sent,
        }),
        Standing::Ended { state, code, detail, rows, resent } => json!({
            "integration": integration, "state": state.as_str(), "code": code,
            "detail": detail, "rows": rows, "resent": resent,
        }),
        Standing::Closed => json!({
            "integration": integration, "state": "ended",
            "detail": "how it ended lies further on in the log than a trace looks",
        }),
    }
}
