//! How an event came in and what was decided about it at the door: the first part of its trace.
//!
//! It is stored with the event. Invariant: nothing in here is a value that a privacy rule has taken
//! out of the event; a note names the place and the rule, never what stood there.

use std::collections::BTreeMap;

/// The protocol that an event came in by. The byte form is stored: never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Origin {
    /// The calls of the Segment and RudderStack spec.
    #[default]
    Spec,
    /// The ingestion API of Mixpanel, proxied.
    Mixpanel,
    /// The Edge Network API of Adobe.
    Edge,
    /// The calls of Datafly Signal.
    Datafly,
    /// An image request.
    Pixel,
    /// A webhook of another system.
    Webhook,
    /// Syft's upload form.
    Syft,
    /// The browser collector of this project.
    Browser,
}

impl Origin {
    /// Every origin, in the order of its byte form.
    pub const ALL: [Origin; 8] = [
        Origin::Spec,
        Origin::Mixpanel,
        Origin::Edge,
        Origin::Datafly,
        Origin::Pixel,
        Origin::Webhook,
        Origin::Syft,
        Origin::Browser,
    ];

    /// The name in traces, such as `mixpanel`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Origin::Spec => "spec",
            Origin::Mixpanel => "mixpanel",
            Origin::Edge => "edge",
            Origin::Datafly => "datafly",
            Origin::Pixel => "pixel",
            Origin::Webhook => "webhook",
            Origin::Syft => "syft",
            Origin::Browser => "browser",
        }
    }

    /// The byte form.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self as u8
    }

    /// The origin of a byte form.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Origin> {
        Origin::ALL.get(usize::from(byte)).copied()
    }
}

/// What a person allows, as far as their event says it. Categories are lower case; those that many
/// systems share are `essential`, `functional`, `analytics`, `marketing` and `personalization`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Consent {
    /// Category, and whether it is granted. What is not named was not said.
    pub categories: BTreeMap<String, bool>,
}

/// What a note of the door is about. The byte form is stored: never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NoteKind {
    /// A value was replaced by its hash.
    Hashed,
    /// A value was replaced by a mask.
    Masked,
    /// A value was taken out.
    Removed,
    /// Places were added from the address of the client.
    Located,
    /// Nothing was said about consent, so the default of the pipeline holds.
    ConsentAssumed,
    /// The consent that the event names, or that is known of its person.
    ConsentRead,
    /// It looks like a bot, and the pipeline keeps such events.
    Bot,
    /// It looks like internal traffic, and the pipeline keeps such events.
    Internal,
    /// The id has had so many events today that Mixpanel may rename it.
    HotIdentity,
    /// Something else that a reader of the trace should know.
    Remark,
}

impl NoteKind {
    /// Every kind, in the order of its byte form.
    pub const ALL: [NoteKind; 10] = [
        NoteKind::Hashed,
        NoteKind::Masked,
        NoteKind::Removed,
        NoteKind::Located,
        NoteKind::ConsentAssumed,
        NoteKind::ConsentRead,
        NoteKind::Bot,
        NoteKind::Internal,
        NoteKind::HotIdentity,
        NoteKind::Remark,
    ];

    /// The name in traces and metrics, such as `hashed`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            NoteKind::Hashed => "hashed",
            NoteKind::Masked => "masked",
            NoteKind::Removed => "removed",
            NoteKind::Located => "located",
            NoteKind::ConsentAssumed => "consent_assumed",
            NoteKind::ConsentRead => "consent_read",
            NoteKind::Bot => "bot",
            NoteKind::Internal => "internal",
            NoteKind::HotIdentity => "hot_identity",
            NoteKind::Remark => "remark",
        }
    }

    /// The byte form.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        self as u8
    }

    /// The kind of a byte form.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<NoteKind> {
        NoteKind::ALL.get(usize::from(byte)).copied()
    }
}

/// One decision of the door about an event that it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What was decided.
    pub kind: NoteKind,
    /// The place or the rule, such as `$.traits.email`. Short, and never a value of the event.
    pub detail: String,
}

/// How an event came in and what was decided about it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Passage {
    /// The protocol.
    pub origin: Origin,
    /// What its person allows; none when neither the event nor a default says anything.
    pub consent: Option<Box<Consent>>,
    /// The decisions, in their order.
    pub notes: Vec<Note>,
}

impl Passage {
    /// The passage of an event about which nothing was decided.
    #[must_use]
    pub fn of(origin: Origin) -> Passage {
        Passage { origin, ..Passage::default() }
    }

    /// Adds a decision.
    pub fn note(&mut self, kind: NoteKind, detail: impl Into<String>) {
        self.notes.push(Note { kind, detail: detail.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_forms_are_inverse() {
        for origin in Origin::ALL {
            assert_eq!(Origin::from_byte(origin.to_byte()), Some(origin));
        }
        for kind in NoteKind::ALL {
            assert_eq!(NoteKind::from_byte(kind.to_byte()), Some(kind));
        }
        assert_eq!((Origin::from_byte(8), NoteKind::from_byte(10)), (None, None));
    }
}
