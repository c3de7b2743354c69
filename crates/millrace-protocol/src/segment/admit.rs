//! The rules of the door: which items become events, with which facts, and which are set aside.

use std::borrow::Cow;
use std::net::IpAddr;

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use millrace_model::code::Code;
use millrace_model::entropy::Entropy;
use millrace_model::event::{
    Batch, DedupeKey, Event, EventKind, Facts, Item, SetAside, TimeSource,
};
use millrace_model::id::PipelineId;
use millrace_model::passage::{Origin, Passage};
use millrace_model::time::UnixMillis;

use super::envelope::Envelope;
use super::rebuild::rebuild;
use super::scan::{RawItem, library_name};
use super::time::{closes_files, could_be_late, numeric_time};
use super::{Call, event_time};
use crate::json::{Span, text};
use crate::limits::Limits;

/// What admission needs to know beside the body.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// The pipeline of the write key.
    pub pipeline: &'a PipelineId,
    /// The protocol that the request came in by.
    pub origin: Origin,
    /// When the request was received.
    pub received_at: UnixMillis,
    /// The address that the request came from.
    pub client_ip: Option<IpAddr>,
    /// True when the request came from a person's device for certain: a browser's has an `Origin`.
    /// An item may say so too, by its `channel`.
    pub from_device: bool,
    /// The limits.
    pub limits: &'a Limits,
    /// For the ids of messages that have none.
    pub entropy: &'a dyn Entropy,
}

/// Why an item is set aside.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) reason: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(code: Code, reason: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { code, reason: reason.into() }
    }
}

impl Envelope {
    /// Judges every item. Each becomes an event or is set aside, in the order of the body.
    ///
    /// Events are slices of the body without a copy, unless the write key has to be cut out or
    /// something that the batch shares has to be set in.
    #[must_use]
    pub fn admit(&self, admission: &Admission<'_>) -> Batch {
        let shared_sent_at = time_at(&self.body, self.shared.sent_at);
        let items = self
            .items
            .iter()
            .map(|item| match self.admit_item(item, shared_sent_at, admission) {
                Ok(event) => Item::Event(event),
                Err(refusal) => Item::SetAside(self.set_aside(item, refusal, admission)),
            })
            .collect();
        Batch { pipeline: admission.pipeline.clone(), received_at: admission.received_at, items }
    }

    fn admit_item(
        &self,
        item: &RawItem,
        shared_sent_at: Option<UnixMillis>,
        admission: &Admission<'_>,
    ) -> Result<Event, Refusal> {
        self.check_form(item, admission.limits)?;
        let kind = self.kind(item)?;
        self.check_ids(item, kind)?;
        if self.strict {
            self.check_strict(item)?;
        }
        let message_id = match self.id(item.message_id, "messageId")? {
            Some(id) => id.into_owned(),
            // Without hyphens it leaves room for the place of a further row in front of it.
            None => admission.entropy.uuid().simple().to_string(),
        };
        let (time, time_source) = self.time_of(item, shared_sent_at, admission.received_at);
        let body = self.event_body(item);
        if body.len() > admission.limits.event_bytes {
            return Err(too_large(body.len(), admission.limits));
        }
        Ok(Event {
            kind,
            dedupe_key: DedupeKey::new(admission.pipeline, &message_id),
            body_hash: self.content_hash(item),
            facts: Facts {
                message_id,
                time,
                time_source,
                client_ip: self.client_ip(item, admission),
            },
            passage: Passage::of(admission.origin),
            body,
        })
    }

    /// When an item happened, and how that is known.
    pub(super) fn time_of(
        &self,
        item: &RawItem,
        shared_sent_at: Option<UnixMillis>,
        received_at: UnixMillis,
    ) -> (UnixMillis, TimeSource) {
        let own = time_at(&self.body, item.timestamp)
            .or_else(|| time_at(&self.body, item.original_timestamp))
            .or_else(|| time_at(&self.body, self.shared.timestamp));
        let sent_at = time_at(&self.body, item.sent_at).or(shared_sent_at);
        let sent_at = sent_at.filter(|sent_at| {
            !could_be_late(*sent_at, received_at)
                || !closes_files(library_name(&self.body, item.context.library))
        });
        event_time(own, sent_at, received_at)
    }

    fn check_form(&self, item: &RawItem, limits: &Limits) -> Result<(), Refusal> {
        if !item.is_object {
            return Err(Refusal::new(Code::NotAnObject, "the event must be a JSON object"));
        }
        if item.whole.len() > limits.event_bytes {
            return Err(too_large(item.whole.len(), limits));
        }
        let shared = if self.shared.changes_items() { self.shared.depth + 1 } else { 0 };
        if item.depth.max(shared) > limits.depth {
            let reason = format!("the event is nested deeper than {} levels", limits.depth);
            return Err(Refusal::new(Code::TooDeep, reason));
        }
        Ok(())
    }

    fn kind(&self, item: &RawItem) -> Result<EventKind, Refusal> {
        if let Call::Single(kind) = self.call {
            return Ok(kind);
        }
        if item.kind.is_empty() {
            return Err(Refusal::new(Code::UnknownType, "type is missing"));
        }
        let kind = text(item.kind.of(&self.body));
        let spec = |kind: &EventKind| EventKind::SPEC.contains(kind);
        kind.as_deref().and_then(EventKind::parse).filter(spec).ok_or_else(|| {
            let known = EventKind::SPEC.map(EventKind::as_str).join(", ");
            Refusal::new(Code::UnknownType, format!("type must be one of {known}"))
        })
    }

    /// Whether an event that is nobody's can be used is for its blueprint to say: a group call
    /// needs no person, and some systems send events that belong to none.
    fn check_ids(&self, item: &RawItem, kind: EventKind) -> Result<(), Refusal> {
        let user = self.id(item.user_id, "userId")?;
        let anonymous = self.anonymous_id(item)?;
        // Which trait holds the group's id is for the blueprint to say, too.
        self.id(item.group_id, "groupId")?;
        let previous = self.id(item.previous_id, "previousId")?;
        match kind {
            EventKind::Track => self.check_event_name(item),
            EventKind::Alias if user.is_none() && anonymous.is_none() => {
                Err(Refusal::new(Code::MissingId, "alias needs a userId or an anonymousId"))
            }
            EventKind::Alias if previous.is_none() && anonymous.is_none() => {
                Err(Refusal::new(Code::MissingId, "alias needs a previousId or an anonymousId"))
            }
            EventKind::Alias
            | EventKind::Group
            | EventKind::Identify
            | EventKind::Page
            | EventKind::Profile
            | EventKind::Screen => Ok(()),
        }
    }

    /// The anonymous id, or the one that was given to those without.
    pub(super) fn anonymous_id(&self, item: &RawItem) -> Result<Option<Cow<'_, str>>, Refusal> {
        let own = self.id(item.anonymous_id, "anonymousId")?;
        Ok(own.or_else(|| self.given_anonymous_id.as_deref().map(Cow::Borrowed)))
    }

    fn check_event_name(&self, item: &RawItem) -> Result<(), Refusal> {
        match item.event.of(&self.body) {
            b"" | b"\"\"" | b"null" => {
                Err(Refusal::new(Code::NoEventName, "track needs an event name in `event`"))
            }
            [b'"', ..] => Ok(()),
            _ => Err(Refusal::new(Code::BadField, "event must be text")),
        }
    }

    /// An id as text. Missing, null and empty are the same; numbers count as their own text.
    pub(super) fn id(
        &self,
        span: Span,
        field: &'static str,
    ) -> Result<Option<Cow<'_, str>>, Refusal> {
        let raw = span.of(&self.body);
        match raw.first() {
            None | Some(b'n') => Ok(None),
            Some(b'"') => match text(raw) {
                Some(id) => Ok(Some(id).filter(|id| !id.is_empty())),
                None => {
                    let reason = format!("{field} holds half of a surrogate pair");
                    Err(Refusal::new(Code::BadText, reason))
                }
            },
            Some(b'-' | b'0'..=b'9') => Ok(Some(String::from_utf8_lossy(raw))),
            Some(_) => {
                Err(Refusal::new(Code::BadField, format!("{field} must be text or a number")))
            }
        }
    }

    /// The address of the device, when the request came from one and the event names none.
    fn client_ip(&self, item: &RawItem, admission: &Admission<'_>) -> Option<String> {
        let ip = admission.client_ip.map(|ip| ip.to_canonical())?;
        let from_device = admission.from_device
            || matches!(item.channel.of(&self.body), b"\"web\"" | b"\"mobile\"")
            || runs_on_devices(library_name(&self.body, item.context.library));
        let names_one = |span: Span| !matches!(span.of(&self.body), b"" | b"null" | b"\"\"");
        let own_context = !self.shared.context.is_empty() && names_one(self.shared.context_ip);
        if !from_device || names_one(item.context.ip) || own_context {
            return None;
        }
        (!ip.is_loopback() && !ip.is_unspecified()).then(|| ip.to_string())
    }

    fn event_body(&self, item: &RawItem) -> Bytes {
        let given = self.given_anonymous_id.as_deref();
        let given = given.filter(|_| self.lacks_own_anonymous_id(item));
        if !item.has_write_key() && !self.shared.changes_items() && given.is_none() {
            return self.body.slice(item.whole.range());
        }
        Bytes::from(rebuild(&self.body, item, &self.shared, given))
    }

    /// A hash of the item as it came, but for the value of `sentAt`.
    fn content_hash(&self, item: &RawItem) -> u64 {
        let whole = item.whole.of(&self.body);
        if item.sent_at.is_empty() {
            return xxh3_64(whole);
        }
        let start = item.whole.range().start;
        let before = whole.get(..item.sent_at.range().start.saturating_sub(start));
        let after = whole.get(item.sent_at.range().end.saturating_sub(start)..);
        xxh3_64_with_seed(after.unwrap_or_default(), xxh3_64(before.unwrap_or_default()))
    }

    /// The item as it came, without a write key, with what its batch shares, cut at the limit. It is
    /// to be read again without its batch.
    fn set_aside(&self, item: &RawItem, refusal: Refusal, admission: &Admission<'_>) -> SetAside {
        let shares = item.is_object && self.shared.changes_items();
        let body = if item.has_write_key() || shares {
            Bytes::from(rebuild(&self.body, item, &self.shared, None))
        } else {
            self.body.slice(item.whole.range())
        };
        let kind = match self.call {
            Call::Single(kind) => Some(kind),
            Call::Typed | Call::Batch => None,
        };
        SetAside {
            origin: admission.origin,
            kind,
            code: refusal.code,
            reason: refusal.reason.into_owned(),
            full_length: body.len() as u64,
            body: body.slice(..body.len().min(admission.limits.kept_bytes)),
        }
    }
}

/// True for the libraries of Segment that run in apps. They name no channel, and an app sends no
/// `Origin`.
fn runs_on_devices(library: &[u8]) -> bool {
    const LIBRARIES: [&[u8]; 6] = [
        b"analytics-kotlin",
        b"analytics-swift",
        b"analytics-android",
        b"analytics-ios",
        b"@segment/analytics-react-native",
        b"analytics_flutter",
    ];
    LIBRARIES.contains(&library)
}

fn too_large(bytes: usize, limits: &Limits) -> Refusal {
    let reason = format!("the event has {bytes} bytes; at most {} are taken", limits.event_bytes);
    Refusal::new(Code::EventTooLarge, reason)
}

/// The time at a place of the body, if it is text or a number that can be read as one.
pub(crate) fn time_at(body: &[u8], span: Span) -> Option<UnixMillis> {
    match span.of(body) {
        number @ [b'-' | b'0'..=b'9', ..] => numeric_time(number),
        raw => UnixMillis::parse(&text(raw)?),
    }
}
