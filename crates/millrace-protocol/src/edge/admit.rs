//! The rules of the door: which events are taken, with which facts, in which bytes, and which are
//! set aside.

use std::net::IpAddr;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use millrace_model::code::Code;
use millrace_model::disposition::FilterReason;
use millrace_model::entropy::Entropy;
use millrace_model::event::{Batch, DedupeKey, Event, EventKind, Facts, Filtered, Item, SetAside};
use millrace_model::id::PipelineId;
use millrace_model::passage::{Origin, Passage};
use millrace_model::time::UnixMillis;

use super::cookie::MixpanelCookie;
use super::envelope::{Envelope, RawEvent, each_member};
use super::identity::{Identities, id_text};
use super::visitor_id::ecid_of_fpid;
use crate::json::{Span, name, text, write_text};
use crate::limits::Limits;
use crate::segment::{Refusal, event_time, time_at};

/// What the request tells about its visitor, beside its body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Visitor<'a> {
    /// The ECID that the collector knows: of its identity cookie, or the one that it gives out with
    /// this answer. An ECID in an `identityMap` wins; one in the body's cookies does not.
    pub ecid: Option<&'a str>,
    /// True when that ECID is new and its client may never send it again, as servers do. Events that
    /// name a user then do without it: a device that is seen once would only burden the user.
    pub ecid_is_fleeting: bool,
    /// The Mixpanel cookie of the page.
    pub mixpanel: Option<&'a MixpanelCookie>,
    /// The header `User-Agent`, of a request from a person's device.
    pub user_agent: Option<&'a str>,
    /// The address of the person's device.
    pub ip: Option<IpAddr>,
}

/// What admission needs to know beside the body.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// The pipeline of the datastream.
    pub pipeline: &'a PipelineId,
    /// When the request was received.
    pub received_at: UnixMillis,
    /// The request's own id: `requestId` of the query, or the header.
    pub request_id: Option<&'a str>,
    /// The visitor.
    pub visitor: Visitor<'a>,
    /// Whether events of type `decisioning.*` are taken; else they are filtered.
    pub keep_decisioning: bool,
    /// The limits.
    pub limits: &'a Limits,
    /// For the ids of events that have none.
    pub entropy: &'a dyn Entropy,
}

/// How the types of events about personalisation begin.
const DECISIONING: &str = "decisioning.";

/// Members that the canonical form writes itself or that facts stand over.
const OWN_NAMES: [&[u8]; 8] = [
    b"type",
    b"event",
    b"anonymousId",
    b"userId",
    b"context",
    b"messageId",
    b"timestamp",
    b"receivedAt",
];

impl Envelope {
    /// Judges every event. Each is taken or set aside, in the order of the body.
    #[must_use]
    pub fn admit(&self, admission: &Admission<'_>) -> Batch {
        let items = self.events.iter().enumerate().map(|(place, event)| {
            if !admission.keep_decisioning && self.is_decisioning(event) {
                return Item::Filtered(Filtered {
                    reason: FilterReason::DropRule,
                    rule: DECISIONING.to_owned(),
                    full_length: event.whole.len() as u64,
                    consent: None,
                });
            }
            match self.admit_event(place, event, admission) {
                Ok(event) => Item::Event(event),
                Err(refusal) => Item::SetAside(self.set_aside(event, refusal, admission.limits)),
            }
        });
        Batch {
            pipeline: admission.pipeline.clone(),
            received_at: admission.received_at,
            items: items.collect(),
        }
    }

    fn admit_event(
        &self,
        place: usize,
        event: &RawEvent,
        admission: &Admission<'_>,
    ) -> Result<Event, Refusal> {
        self.check_form(event, admission.limits)?;
        let (own, shared) = (&event.xdm, &self.shared);
        let or_shared = |own: Span, shared: Span| if own.is_empty() { shared } else { own };
        let identities = Identities::read(&self.body, own.identity_map, shared.identity_map)?;
        let event_type = self.event_type(or_shared(own.event_type, shared.event_type))?;
        let message_id = match id_text(&self.body, own.id, "xdm._id")? {
            Some(id) => id.into_owned(),
            None => self.made_id(place, event, admission),
        };
        let timestamp = or_shared(own.timestamp, shared.timestamp);
        let sent = time_at(&self.body, timestamp);
        let (time, time_source) = event_time(sent, None, admission.received_at);
        let body = self.canonical(event, event_type, &identities, &admission.visitor);
        if body.len() > admission.limits.event_bytes {
            return Err(too_large(body.len(), admission.limits));
        }
        let ip = admission.visitor.ip.map(|ip| ip.to_canonical());
        let known = ip.filter(|ip| !ip.is_loopback() && !ip.is_unspecified());
        Ok(Event {
            kind: EventKind::Track,
            dedupe_key: DedupeKey::new(admission.pipeline, &message_id),
            body_hash: xxh3_64(event.whole.of(&self.body)),
            facts: Facts {
                message_id,
                time,
                time_source,
                client_ip: known.map(|ip| ip.to_string()),
            },
            passage: Passage::of(Origin::Edge),
            body,
        })
    }

    fn check_form(&self, event: &RawEvent, limits: &Limits) -> Result<(), Refusal> {
        if !event.is_object {
            return Err(Refusal::new(Code::NotAnObject, "the event must be a JSON object"));
        }
        if event.whole.len() > limits.event_bytes {
            return Err(too_large(event.whole.len(), limits));
        }
        let shared = if self.shared.whole.is_empty() { 0 } else { self.shared_depth + 1 };
        if event.depth.max(shared) > limits.depth {
            let reason = format!("the event is nested deeper than {} levels", limits.depth);
            return Err(Refusal::new(Code::TooDeep, reason));
        }
        match event.xdm.whole.of(&self.body).first() {
            None | Some(b'{' | b'n') => Ok(()),
            Some(_) => Err(Refusal::new(Code::BadField, "xdm must be an object")),
        }
    }

    /// True for what personalisation tells about itself.
    fn is_decisioning(&self, event: &RawEvent) -> bool {
        let (own, shared) = (event.xdm.event_type, self.shared.event_type);
        let place = if own.is_empty() { shared } else { own };
        let kind = text(place.of(&self.body)).unwrap_or_default();
        kind.get(..DECISIONING.len()).is_some_and(|head| head.eq_ignore_ascii_case(DECISIONING))
    }

    /// The place of `xdm.eventType`; empty when there is none.
    fn event_type(&self, place: Span) -> Result<Span, Refusal> {
        match place.of(&self.body) {
            b"" | b"\"\"" | b"null" => Ok(Span::default()),
            [b'"', ..] => Ok(place),
            _ => Err(Refusal::new(Code::BadField, "xdm.eventType must be text")),
        }
    }

    /// The message id of an event that has none of its own.
    fn made_id(&self, place: usize, event: &RawEvent, admission: &Admission<'_>) -> String {
        match admission.request_id.filter(|id| !id.is_empty()) {
            // A request id alone is not enough: people who call by hand use the same for all.
            Some(id) => format!("{id}-{place}-{:016x}", xxh3_64(event.whole.of(&self.body))),
            None => admission.entropy.uuid().to_string(),
        }
    }

    /// The bytes of the canonical event.
    fn canonical(
        &self,
        event: &RawEvent,
        event_type: Span,
        identities: &Identities<'_>,
        visitor: &Visitor<'_>,
    ) -> Bytes {
        let body: &[u8] = &self.body;
        let room = event.whole.len() + self.shared.whole.len() + 512;
        let mut object = ObjectWriter { out: Vec::with_capacity(room), first: true };
        object.out.push(b'{');
        let mut has_xdm = false;
        each_member(body, event.whole, |key, value| {
            match name(key.of(body)).as_ref() {
                // Of members with the same name only the last counts.
                b"xdm" => {
                    if value == event.xdm.whole {
                        has_xdm = value.of(body).first() == Some(&b'{');
                        if has_xdm {
                            object.xdm(body, value, event.xdm.identity_map, &self.shared);
                        }
                    }
                }
                own if OWN_NAMES.contains(&own) => {}
                _ => object.member(key.of(body), value.of(body)),
            }
        });
        if !has_xdm && !self.shared.whole.is_empty() {
            object.member(b"\"xdm\"", self.shared.whole.of(body));
        }
        object.member(b"\"type\"", b"\"track\"");
        if !event_type.is_empty() {
            object.member(b"\"event\"", event_type.of(body));
        }
        let known = |id: Option<&str>| id.filter(|id| !id.is_empty()).map(str::to_owned);
        let fleeting = visitor.ecid_is_fleeting && identities.user.is_some();
        let device = known(identities.ecid.as_deref())
            .or_else(|| known(visitor.ecid.filter(|_| !fleeting)))
            .or_else(|| self.ecid.clone())
            .or_else(|| known(identities.fpid.as_deref()).map(|fpid| ecid_of_fpid(&fpid)));
        object.text(b"\"anonymousId\"", device.as_deref());
        object.text(b"\"userId\"", identities.user.as_deref());
        object.context(visitor);
        object.out.push(b'}');
        Bytes::from(object.out)
    }

    /// The event as it came, cut at the limit.
    fn set_aside(&self, event: &RawEvent, refusal: Refusal, limits: &Limits) -> SetAside {
        let body = self.body.slice(event.whole.range());
        SetAside {
            origin: Origin::Edge,
            kind: None,
            code: refusal.code,
            reason: refusal.reason.into_owned(),
            full_length: body.len() as u64,
            body: body.slice(..body.len().min(limits.kept_bytes)),
        }
    }
}

fn too_large(bytes: usize, limits: &Limits) -> Refusal {
    let reason = format!("the event has {bytes} bytes; at most {} are taken", limits.event_bytes);
    Refusal::new(Code::EventTooLarge, reason)
}

struct ObjectWriter {
    out: Vec<u8>,
    first: bool,
}

impl ObjectWriter {
    fn key(&mut self, key: &[u8]) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b',');
        }
        self.out.extend_from_slice(key);
        self.out.push(b':');
    }

    fn member(&mut self, key: &[u8], value: &[u8]) {
        self.key(key);
        self.out.extend_from_slice(value);
    }

    fn text(&mut self, key: &[u8], text: Option<&str>) {
        if let Some(text) = text {
            self.key(key);
            write_text(text, &mut self.out);
        }
    }

    /// Writes a member that is an object of its own.
    fn nested(&mut self, key: &[u8], write: impl FnOnce(&mut ObjectWriter)) {
        self.key(key);
        self.out.push(b'{');
        let mut inner = ObjectWriter { out: std::mem::take(&mut self.out), first: true };
        write(&mut inner);
        self.out = inner.out;
        self.out.push(b'}');
    }

    /// Writes `xdm`: the event's own members, below them those of the request, and the namespaces
    /// of both `identityMap`s.
    fn xdm(&mut self, body: &[u8], own: Span, own_map: Span, shared: &super::envelope::RawXdm) {
        if shared.whole.is_empty() {
            return self.member(b"\"xdm\"", own.of(body));
        }
        let both = [own_map, shared.identity_map];
        let maps = both.iter().all(|map| map.of(body).first() == Some(&b'{'));
        self.nested(b"\"xdm\"", |xdm| {
            xdm.merged(body, own, shared.whole, |xdm, key, value| {
                if maps && value == own_map {
                    xdm.nested(key.of(body), |map| {
                        map.merged(body, own_map, shared.identity_map, |map, key, value| {
                            map.member(key.of(body), value.of(body));
                        });
                    });
                } else {
                    xdm.member(key.of(body), value.of(body));
                }
            });
        });
    }

    /// Writes the members of two objects; those of the second only where the first has none.
    fn merged(
        &mut self,
        body: &[u8],
        own: Span,
        below: Span,
        mut write: impl FnMut(&mut ObjectWriter, Span, Span),
    ) {
        let mut names = std::collections::HashSet::new();
        each_member(body, own, |key, value| {
            names.insert(name(key.of(body)));
            write(self, key, value);
        });
        each_member(body, below, |key, value| {
            if !names.contains(&name(key.of(body))) {
                self.member(key.of(body), value.of(body));
            }
        });
    }

    /// Writes what the request tells about the visitor, where it tells something.
    fn context(&mut self, visitor: &Visitor<'_>) {
        if visitor.mixpanel.is_none() && visitor.user_agent.is_none() {
            return;
        }
        self.nested(b"\"context\"", |context| {
            context.text(b"\"userAgent\"", visitor.user_agent);
            if let Some(cookie) = visitor.mixpanel {
                context.nested(b"\"mixpanel\"", |ids| {
                    ids.text(b"\"distinct_id\"", cookie.distinct_id.as_deref());
                    ids.text(b"\"device_id\"", cookie.device_id.as_deref());
                    ids.text(b"\"user_id\"", cookie.user_id.as_deref());
                });
            }
        });
    }
}
