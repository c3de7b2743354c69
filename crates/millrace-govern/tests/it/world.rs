//! Batches and circumstances to govern.

use bytes::Bytes;
use millrace_govern::{Circumstances, RuleOptions, Rules};
use millrace_model::event::{Batch, DedupeKey, Event, EventKind, Facts, Item, TimeSource};
use millrace_model::id::PipelineId;
use millrace_model::passage::{Origin, Passage};
use millrace_model::time::UnixMillis;

pub(crate) const NOW: UnixMillis = UnixMillis(1_750_000_000_000);

pub(crate) fn pipeline() -> PipelineId {
    "shop".parse().unwrap()
}

pub(crate) fn event(origin: Origin, body: impl Into<Bytes>) -> Event {
    Event {
        kind: EventKind::Track,
        facts: Facts {
            message_id: "m-1".to_owned(),
            time: NOW,
            time_source: TimeSource::Client,
            client_ip: None,
        },
        passage: Passage::of(origin),
        dedupe_key: DedupeKey::new(&pipeline(), "m-1"),
        body_hash: 7,
        body: body.into(),
    }
}

/// The request of a server, which says nothing about a person.
pub(crate) fn server() -> Circumstances<'static> {
    Circumstances {
        received_at: NOW,
        client_ip: Some("10.1.2.3".parse().unwrap()),
        from_device: false,
        user_agent: Some("python-requests/2.31"),
        cookies: None,
        global_privacy_control: false,
    }
}

pub(crate) fn browser(user_agent: &'static str) -> Circumstances<'static> {
    Circumstances {
        client_ip: Some("203.0.113.7".parse().unwrap()),
        from_device: true,
        user_agent: Some(user_agent),
        ..server()
    }
}

pub(crate) fn govern_item(rules: &Rules, item: Item, circumstances: &Circumstances<'_>) -> Item {
    let mut batch = Batch { pipeline: pipeline(), received_at: NOW, items: vec![item] };
    rules.govern(&mut batch, circumstances);
    batch.items.pop().unwrap()
}

pub(crate) fn govern(options: &RuleOptions, event: Event) -> Event {
    match govern_item(&Rules::new(options), Item::Event(event), &server()) {
        Item::Event(event) => event,
        other => panic!("it was an event: {other:?}"),
    }
}

pub(crate) fn json(event: &Event) -> serde_json::Value {
    serde_json::from_slice(&event.body).unwrap()
}

/// The notes of an event, as `hashed $.traits.email`.
pub(crate) fn notes(event: &Event) -> Vec<String> {
    let notes = event.passage.notes.iter();
    notes.map(|note| format!("{} {}", note.kind.as_str(), note.detail)).collect()
}
