//! The rules of the door for one record: it becomes a canonical event or is set aside.

use std::net::IpAddr;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use millrace_model::code::Code;
use millrace_model::entropy::Entropy;
use millrace_model::event::{DedupeKey, Event, EventKind, Facts, Item, SetAside};
use millrace_model::id::PipelineId;
use millrace_model::passage::{Origin, Passage};
use millrace_model::time::UnixMillis;

use super::envelope::{Envelope, RawRecord};
use super::fields::{EventFields, Fault, Ids, id, time};
use super::{Endpoint, Options};
use crate::json::{ObjectWriter, Span, each_member, name, text};
use crate::limits::Limits;
use crate::segment::event_time;

/// What admission needs to know beside the records.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// The pipeline of the record's token.
    pub pipeline: &'a PipelineId,
    /// What the call says.
    pub options: &'a Options,
    /// When the request was received.
    pub received_at: UnixMillis,
    /// The address that the request came from.
    pub client_ip: Option<IpAddr>,
    /// The limits.
    pub limits: &'a Limits,
    /// For the ids of records that have none.
    pub entropy: &'a dyn Entropy,
}

/// What Mixpanel would tell about a record that cannot be taken (`reference/mixpanel-api.md` 2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The place in the call, from 0.
    pub index: usize,
    /// The record's `$insert_id`.
    pub insert_id: Option<String>,
    /// The field that is wrong, such as `properties.time`; empty for the record as a whole.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
}

/// What becomes of a record that is taken.
pub(super) struct Taken {
    pub(super) kind: EventKind,
    /// The message id, when the record has one; a drawn one else.
    pub(super) insert_id: Option<String>,
    /// What says, together with the insert id, what is a repetition.
    pub(super) repeats: String,
    pub(super) time: Span,
    /// The address, when the record names one or asks for none.
    pub(super) ip: RecordIp,
    pub(super) body: Vec<u8>,
}

/// What a record says about the address of its person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RecordIp {
    /// Nothing: the call decides.
    Unsaid,
    /// It is this; it stands in `context.ip`.
    Said(String),
    /// None is to be looked up.
    None,
}

impl Envelope {
    /// Judges a record. It is taken or set aside; with what is set aside comes what Mixpanel would
    /// say about it. Nothing for a place at which no record is.
    #[must_use]
    pub fn admit(
        &self,
        place: usize,
        admission: &Admission<'_>,
    ) -> Option<(Item, Option<Failure>)> {
        let record = self.records.get(place)?;
        let judged = self.check_form(record, admission.limits).and_then(|()| {
            let taken = match self.endpoint {
                Endpoint::Track | Endpoint::Import => self.event(record)?,
                Endpoint::Engage => self.user_profile(record)?,
                Endpoint::Groups => self.group_profile(record)?,
            };
            if taken.body.len() > admission.limits.event_bytes {
                return Err(too_large(taken.body.len(), admission.limits));
            }
            Ok(taken)
        });
        Some(match judged {
            Ok(taken) => (Item::Event(self.admitted(record, taken, admission)), None),
            Err(fault) => {
                let failure = self.failure(place, fault.field, &fault.refusal.reason);
                let Fault { refusal, .. } = fault;
                let aside = self.aside(record, refusal.code, &refusal.reason, admission.limits);
                (Item::SetAside(aside), Some(failure))
            }
        })
    }

    /// Sets a record aside for a reason that does not lie in it, such as an unknown token.
    #[must_use]
    pub fn refuse(
        &self,
        place: usize,
        code: Code,
        reason: &str,
        limits: &Limits,
    ) -> Option<(Item, Failure)> {
        let record = self.records.get(place)?;
        let aside = self.aside(record, code, reason, limits);
        let field = if self.endpoint.takes_events() { "properties.token" } else { "$token" };
        Some((Item::SetAside(aside), self.failure(place, field, reason)))
    }

    fn failure(&self, index: usize, field: &'static str, reason: &str) -> Failure {
        let insert_id = self.records.get(index).and_then(|record| {
            let fields = EventFields::of(&self.body, record.whole);
            id(&self.body, fields.insert_id, "$insert_id").ok().flatten()
        });
        Failure { index, insert_id, field, message: reason.to_owned() }
    }

    fn check_form(&self, record: &RawRecord, limits: &Limits) -> Result<(), Fault> {
        if !record.is_json {
            return Err(Fault::new("", Code::BadJson, "the line is not JSON"));
        }
        if record.whole.of(&self.body).first() != Some(&b'{') {
            return Err(Fault::new("", Code::NotAnObject, "the record must be a JSON object"));
        }
        if record.whole.len() > limits.event_bytes {
            return Err(too_large(record.whole.len(), limits));
        }
        if record.depth > limits.depth {
            let reason = format!("the record is nested deeper than {} levels", limits.depth);
            return Err(Fault::new("", Code::TooDeep, reason));
        }
        Ok(())
    }

    fn event(&self, record: &RawRecord) -> Result<Taken, Fault> {
        let body: &[u8] = &self.body;
        let fields = EventFields::of(body, record.whole);
        match fields.properties.of(body).first() {
            None | Some(b'{' | b'n') => {}
            Some(_) => {
                let reason = "'properties' is invalid: must be an object";
                return Err(Fault::new("properties", Code::BadField, reason));
            }
        }
        let event = match fields.event.of(body) {
            raw @ [b'"', ..] => text(raw),
            _ => None,
        };
        let event = event.filter(|event| !event.trim().is_empty()).ok_or_else(|| {
            Fault::new("event", Code::NoEventName, "'event' must not be missing or blank")
        })?;
        let insert_id = id(body, fields.insert_id, "properties.$insert_id")?;
        match event.as_ref() {
            "$identify" => self.identify(record, &fields, insert_id),
            "$create_alias" => self.create_alias(record, &fields, insert_id),
            "$merge" => self.merge(record, &fields, insert_id),
            name => self.track(record, &fields, name, insert_id),
        }
    }

    fn track(
        &self,
        record: &RawRecord,
        fields: &EventFields,
        event: &str,
        insert_id: Option<String>,
    ) -> Result<Taken, Fault> {
        let body: &[u8] = &self.body;
        let distinct = id(body, fields.distinct_id, "properties.distinct_id")?;
        let user = id(body, fields.user_id, "properties.$user_id")?;
        let device = id(body, fields.device_id, "properties.$device_id")?;
        let ids = Ids::of(user, device, distinct);
        let repeats = ids.distinct.as_deref().map(str::to_owned);
        let repeats = repeats.or_else(|| ids.known().map(|id| id.into_owned()));
        let ip = event_ip(body, fields.ip);
        let mut object = ObjectWriter::with_room(record.whole.len() + 256);
        object.member(b"\"type\"", b"\"track\"");
        object.text(b"\"event\"", Some(event));
        object.text(b"\"userId\"", ids.user.as_deref());
        object.text(b"\"anonymousId\"", ids.device.as_deref());
        self.write_properties(&mut object, fields.properties, &[]);
        write_ip(&mut object, &ip);
        object.nested(b"\"mixpanel\"", |facts| {
            facts.text(b"\"endpoint\"", Some(self.endpoint.as_str()));
            facts.text(b"\"distinct_id\"", ids.distinct.as_deref());
        });
        Ok(Taken {
            kind: EventKind::Track,
            repeats: format!("{event}\0{}", repeats.unwrap_or_default()),
            insert_id,
            time: fields.time,
            ip,
            body: object.finish(),
        })
    }

    /// Writes the properties of an event, without those that the canonical form has elsewhere and
    /// without those of the verb.
    pub(super) fn write_properties(
        &self,
        object: &mut ObjectWriter,
        properties: Span,
        of_the_verb: &[&[u8]],
    ) {
        const ELSEWHERE: [&[u8]; 7] =
            [b"token", b"distinct_id", b"$user_id", b"$device_id", b"time", b"$insert_id", b"ip"];
        let body: &[u8] = &self.body;
        object.nested(b"\"properties\"", |out| {
            each_member(body, properties, |key, value| {
                let name = name(key.of(body));
                let name = name.as_ref();
                if !ELSEWHERE.contains(&name) && !of_the_verb.contains(&name) {
                    out.member(key.of(body), value.of(body));
                }
            });
        });
    }

    fn admitted(&self, record: &RawRecord, taken: Taken, admission: &Admission<'_>) -> Event {
        let sent = time(&self.body, taken.time);
        let (time, time_source) = event_time(sent, None, admission.received_at);
        let drawn = || admission.entropy.uuid().simple().to_string();
        let (message_id, repeats) = match taken.insert_id {
            // A record without a time is the same again when all else is.
            Some(id) => {
                let millis = sent.map(|sent| sent.0.to_string()).unwrap_or_default();
                let repeats = format!("{}\0{millis}\0{id}", taken.repeats);
                (id, repeats)
            }
            None => {
                let id = drawn();
                (id.clone(), id)
            }
        };
        Event {
            kind: taken.kind,
            dedupe_key: DedupeKey::new(admission.pipeline, &repeats),
            body_hash: xxh3_64(record.whole.of(&self.body)),
            facts: Facts {
                message_id,
                time,
                time_source,
                client_ip: self.client_ip(&taken.ip, admission),
            },
            passage: Passage::of(Origin::Mixpanel),
            body: Bytes::from(taken.body),
        }
    }

    /// The address of the connection, where that is the person's: a call about events has to say
    /// so, one about profiles has to deny it (`reference/mixpanel-api.md` 2.2 and 3.1).
    fn client_ip(&self, ip: &RecordIp, admission: &Admission<'_>) -> Option<String> {
        let wanted = match self.endpoint {
            Endpoint::Track | Endpoint::Import => admission.options.ip == Some(true),
            Endpoint::Engage => admission.options.ip != Some(false),
            Endpoint::Groups => false,
        };
        if !wanted || *ip != RecordIp::Unsaid {
            return None;
        }
        let client = admission.client_ip?.to_canonical();
        (!client.is_loopback() && !client.is_unspecified()).then(|| client.to_string())
    }

    /// The record without its token, cut at the limit. A line that is no JSON keeps no bytes:
    /// nobody can tell where in it the token stands.
    fn aside(&self, record: &RawRecord, code: Code, reason: &str, limits: &Limits) -> SetAside {
        let body = if record.is_json { self.without_token(record.whole) } else { Bytes::new() };
        // What is left out on purpose does not count as cut off.
        let full_length = if record.is_json { body.len() } else { record.whole.len() } as u64;
        let events = self.endpoint.takes_events();
        SetAside {
            origin: Origin::Mixpanel,
            kind: Some(if events { EventKind::Track } else { EventKind::Profile }),
            code,
            reason: reason.to_owned(),
            body: body.slice(..body.len().min(limits.kept_bytes)),
            full_length,
        }
    }

    fn without_token(&self, record: Span) -> Bytes {
        const TOKENS: [&[u8]; 3] = [b"token", b"$token", b"api_key"];
        let body: &[u8] = &self.body;
        if record.of(body).first() != Some(&b'{') {
            return self.body.slice(record.range());
        }
        let mut object = ObjectWriter::with_room(record.len());
        each_member(body, record, |key, value| match name(key.of(body)).as_ref() {
            b"properties" if value.of(body).first() == Some(&b'{') => {
                object.nested(key.of(body), |inner| {
                    each_member(body, value, |key, value| {
                        if !TOKENS.contains(&name(key.of(body)).as_ref()) {
                            inner.member(key.of(body), value.of(body));
                        }
                    });
                });
            }
            name if TOKENS.contains(&name) => {}
            _ => object.member(key.of(body), value.of(body)),
        });
        Bytes::from(object.finish())
    }
}

fn too_large(bytes: usize, limits: &Limits) -> Fault {
    let reason = format!("the record has {bytes} bytes; at most {} are taken", limits.event_bytes);
    Fault::new("", Code::EventTooLarge, reason)
}

/// The address that a record names: a text that is not blank. 0 asks for none.
pub(super) fn event_ip(body: &[u8], span: Span) -> RecordIp {
    match span.of(body) {
        b"0" => RecordIp::None,
        raw @ [b'"', ..] => match text(raw).as_deref().map(str::trim) {
            Some("0") => RecordIp::None,
            Some(ip) if !ip.is_empty() => RecordIp::Said(ip.to_owned()),
            _ => RecordIp::Unsaid,
        },
        _ => RecordIp::Unsaid,
    }
}

/// Writes `context.ip`, where the record names an address.
pub(super) fn write_ip(object: &mut ObjectWriter, ip: &RecordIp) {
    if let RecordIp::Said(ip) = ip {
        object.nested(b"\"context\"", |context| context.text(b"\"ip\"", Some(ip)));
    }
}
