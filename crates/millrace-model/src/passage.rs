//! How an event came in and what was decided about it at the door: the first part of its trace.
//!
//! It is stored with the event. Invariant: nothing in here is a value that a privacy rule has taken
//! out of the event; a note names the place and the rule, never what stood there.

use std::collections::BTreeMap;

use crate::id::PipelineId;

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

/// What a person allows, as far as their event or its request says it. Categories are lower case;
/// those that many systems share are `essential`, `functional`, `analytics`, `marketing` and
/// `personalization`, others are the codes of a consent platform.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Consent {
    /// Category, and whether it is granted. What is not named was not said; when none is named,
    /// nothing was said at all.
    pub categories: BTreeMap<String, bool>,
    /// What holds for a category that is not named: the default of the pipeline at that time.
    pub otherwise: bool,
    /// Whose consent it is: the ids of the event.
    pub subjects: Vec<Subject>,
}

impl Consent {
    /// What was said of a category. What is essential needs no consent.
    #[must_use]
    pub fn of(&self, category: &str) -> Option<bool> {
        match self.categories.get(category) {
            Some(granted) => Some(*granted),
            None => (category == ESSENTIAL).then_some(true),
        }
    }
}

/// The category that needs no consent.
pub const ESSENTIAL: &str = "essential";

/// A person of a pipeline, known by one of their ids: a hash of both. It is stored: never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(pub u128);

impl Subject {
    /// The person with an id. User ids and anonymous ids are one space, as they are for lanes.
    #[must_use]
    pub fn new(pipeline: &PipelineId, id: &str) -> Subject {
        // Another seed than that of message ids, so that the two kinds of keys never meet.
        let seed = xxhash_rust::xxh3::xxh3_64_with_seed(pipeline.as_str().as_bytes(), 1);
        Subject(xxhash_rust::xxh3::xxh3_128_with_seed(id.as_bytes(), seed))
    }
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
    fn what_is_essential_needs_no_consent_and_ids_belong_to_a_pipeline() {
        let consent = Consent {
            categories: BTreeMap::from([("analytics".to_owned(), false)]),
            ..Consent::default()
        };
        assert_eq!(consent.of("analytics"), Some(false));
        assert_eq!((consent.of("marketing"), consent.of("essential")), (None, Some(true)));
        let (shop, app) = ("shop".parse().unwrap(), "app".parse().unwrap());
        assert_eq!(Subject::new(&shop, "u"), Subject::new(&shop, "u"));
        assert_ne!(Subject::new(&shop, "u"), Subject::new(&app, "u"));
        assert_ne!(Subject::new(&shop, "u"), Subject::new(&shop, "v"));
    }

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
