//! What the collector accepts: a batch of items, as it came in one HTTP request.
//!
//! An event keeps the bytes that its SDK sent. What admission adds or corrects (message id, time,
//! the client's address) stands beside them as [`Facts`] and wins over the members of the same
//! name when a blueprint reads them, so nothing is ever re-serialised on the way in.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::disposition::FilterReason;
use crate::id::PipelineId;
use crate::passage::{Consent, Origin, Passage};
use crate::time::UnixMillis;

/// The kind of an event: the call that the SDK made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// Something that a user did.
    Track,
    /// Who the user is.
    Identify,
    /// A web page was seen.
    Page,
    /// An app's screen was seen.
    Screen,
    /// The user belongs to a group.
    Group,
    /// Two ids are the same user.
    Alias,
    /// A profile of a user or of a group is changed, in the form of Mixpanel's own API. No call of
    /// the Segment spec is of this kind.
    Profile,
}

impl EventKind {
    /// Every kind, in the order of their byte form.
    pub const ALL: [EventKind; 7] = [
        EventKind::Track,
        EventKind::Identify,
        EventKind::Page,
        EventKind::Screen,
        EventKind::Group,
        EventKind::Alias,
        EventKind::Profile,
    ];

    /// The kinds that the Segment spec has.
    pub const SPEC: [EventKind; 6] = [
        EventKind::Track,
        EventKind::Identify,
        EventKind::Page,
        EventKind::Screen,
        EventKind::Group,
        EventKind::Alias,
    ];

    /// The name as it stands in the `type` member.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            EventKind::Track => "track",
            EventKind::Identify => "identify",
            EventKind::Page => "page",
            EventKind::Screen => "screen",
            EventKind::Group => "group",
            EventKind::Alias => "alias",
            EventKind::Profile => "profile",
        }
    }

    /// The kind of that name; lower case only, as every SDK writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<EventKind> {
        EventKind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Where an event's time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeSource {
    /// The event's own time, as sent.
    Client,
    /// The event's own time, corrected by the skew of the client's clock.
    Corrected,
    /// The event has no readable time: the time of receipt.
    Receipt,
}

/// What admission knows about an event beside its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The client's message id, or one made at admission.
    pub message_id: String,
    /// When the event happened (DESIGN 9.6).
    pub time: UnixMillis,
    /// Where [`Facts::time`] comes from.
    pub time_source: TimeSource,
    /// The address of the person's device, when the request came from it and the event does not
    /// say it: `$.context.ip` of the canonical event. Never the address of a server.
    pub client_ip: Option<String>,
}

/// Identifies an event for duplicate detection: a hash of pipeline and message id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DedupeKey(pub u128);

impl DedupeKey {
    /// The key of a message of a pipeline. Stable: it is stored.
    #[must_use]
    pub fn new(pipeline: &PipelineId, message_id: &str) -> DedupeKey {
        let seed = xxhash_rust::xxh3::xxh3_64(pipeline.as_str().as_bytes());
        DedupeKey(xxhash_rust::xxh3::xxh3_128_with_seed(message_id.as_bytes(), seed))
    }

    /// The key of an item of a pipeline that was set aside: its kept bytes, how many there were,
    /// and why and how it came. None when no bytes are kept, since nothing then tells two items
    /// apart. Stable: it is stored.
    #[must_use]
    pub fn of_set_aside(pipeline: &PipelineId, aside: &SetAside) -> Option<DedupeKey> {
        if aside.body.is_empty() {
            return None;
        }
        let kind = aside.kind.map_or("", EventKind::as_str);
        let (origin, code) = (aside.origin.as_str(), aside.code);
        let head = format!("aside {pipeline} {origin} {kind} {code} {}", aside.full_length);
        let seed = xxhash_rust::xxh3::xxh3_64(head.as_bytes());
        Some(DedupeKey(xxhash_rust::xxh3::xxh3_128_with_seed(&aside.body, seed)))
    }
}

/// One accepted event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The call.
    pub kind: EventKind,
    /// What admission adds.
    pub facts: Facts,
    /// How it came in and what was decided at the door.
    pub passage: Passage,
    /// For duplicate detection.
    pub dedupe_key: DedupeKey,
    /// A hash of the event as it came, without the value of its `sentAt` (which a resend renews),
    /// to tell a resend from another event under the same id.
    pub body_hash: u64,
    /// The event as one JSON object: valid JSON, within the size and depth limits.
    pub body: Bytes,
}

/// An item that was put aside: it costs itself and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The protocol that it came in by: with `kind`, how to read it again.
    pub origin: Origin,
    /// What its path said it is; none where the item itself has to say it.
    pub kind: Option<EventKind>,
    /// Why, as a stable code.
    pub code: Code,
    /// Why, in plain words and with the place.
    pub reason: String,
    /// The item's bytes, cut at the keep limit.
    pub body: Bytes,
    /// The item's full length in bytes.
    pub full_length: u64,
}

/// An item that had been accepted before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The message id of both.
    pub message_id: String,
    /// True when the bytes differ from those of the first: perhaps not a resend at all.
    pub differs: bool,
}

/// An item that the door keeps from being sent, on purpose. It is counted; no byte of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filtered {
    /// Which kind of rule.
    pub reason: FilterReason,
    /// Which rule, such as the pattern of a bot. Never a value of the event.
    pub rule: String,
    /// The item's length in bytes.
    pub full_length: u64,
    /// What its person said about consent, with ids as hashes only: it holds for what they did
    /// before and is not sent yet, too.
    pub consent: Option<Box<Consent>>,
}

/// One item of an accepted batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An event to deliver.
    Event(Event),
    /// A broken item.
    SetAside(SetAside),
    /// A repeated item.
    Duplicate(Duplicate),
    /// An item that a rule of the door keeps from being sent.
    Filtered(Filtered),
}

/// All that one HTTP request brought, in its order. One record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The pipeline of the write key.
    pub pipeline: PipelineId,
    /// When the request was received.
    pub received_at: UnixMillis,
    /// The items.
    pub items: Vec<Item>,
}
