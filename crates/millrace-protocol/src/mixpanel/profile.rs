//! Changes of profiles: the operators as they are, and whom they are about
//! (`reference/mixpanel-api.md` 3.1).

use millrace_model::code::Code;
use millrace_model::event::EventKind;

use super::admit::{RecordIp, Taken, event_ip, write_ip};
use super::envelope::{Envelope, RawRecord};
use super::fields::{DEVICE_PREFIX, Fault, id};
use crate::json::{ObjectWriter, Span, each_member, name};

/// The operators whose value is an object.
const OF_OBJECTS: [&[u8]; 6] = [b"$set", b"$set_once", b"$add", b"$append", b"$union", b"$remove"];

/// Those that Mixpanel has for users only.
const OF_USERS_ALONE: [&[u8]; 2] = [b"$add", b"$append"];

/// What the canonical form writes itself, says elsewhere or drops.
const ELSEWHERE: [&[u8]; 20] = [
    b"$token",
    b"token",
    b"$distinct_id",
    b"$group_key",
    b"$group_id",
    b"$ip",
    b"$time",
    b"$delete",
    b"$user_id",
    b"$device_id",
    b"type",
    b"userId",
    b"anonymousId",
    b"previousId",
    b"groupId",
    b"context",
    b"mixpanel",
    b"messageId",
    b"timestamp",
    b"receivedAt",
];

#[derive(Default)]
struct ProfileFields {
    distinct_id: Span,
    user_id: Span,
    device_id: Span,
    group_key: Span,
    group_id: Span,
    ip: Span,
    time: Span,
    deletes: bool,
    /// The operators that are there, but for `$delete`: name and value.
    operators: Vec<(&'static [u8], Span)>,
}

impl ProfileFields {
    fn of(body: &[u8], record: Span) -> ProfileFields {
        let mut fields = ProfileFields::default();
        each_member(body, record, |key, value| match name(key.of(body)).as_ref() {
            b"$distinct_id" => fields.distinct_id = value,
            b"$user_id" => fields.user_id = value,
            b"$device_id" => fields.device_id = value,
            b"$group_key" => fields.group_key = value,
            b"$group_id" => fields.group_id = value,
            b"$ip" => fields.ip = value,
            b"$time" => fields.time = value,
            b"$delete" => fields.deletes = true,
            b"$unset" => fields.operators.push((b"$unset", value)),
            other => {
                if let Some(known) = OF_OBJECTS.into_iter().find(|known| *known == other) {
                    fields.operators.push((known, value));
                }
            }
        });
        fields
    }

    /// Checks the operators. One without a value (null) says nothing.
    fn check(&self, body: &[u8], of_group: bool) -> Result<(), Fault> {
        let mut any = self.deletes;
        for (operator, value) in &self.operators {
            let shown = operator_name(operator);
            let right = match (*operator, value.of(body).first()) {
                (_, Some(b'n')) => continue,
                (b"$unset", first) => first == Some(&b'['),
                (_, first) => first == Some(&b'{'),
            };
            if !right {
                let form = if shown == "$unset" { "a list of names" } else { "an object" };
                let reason = format!("{shown} must be {form}");
                return Err(Fault::new(shown, Code::BadField, reason));
            }
            any |= !of_group || !OF_USERS_ALONE.contains(operator);
        }
        if any {
            return Ok(());
        }
        let reason = if of_group {
            "no operator: expected one of $set, $set_once, $union, $remove, $unset, $delete"
        } else {
            "no operator: expected one of $set, $set_once, $add, $append, $union, $remove, \
             $unset, $delete"
        };
        Err(Fault::new("", Code::NoOperator, reason))
    }
}

/// The text of an operator's name, for messages.
fn operator_name(operator: &'static [u8]) -> &'static str {
    std::str::from_utf8(operator).unwrap_or_default()
}

impl Envelope {
    pub(super) fn user_profile(&self, record: &RawRecord) -> Result<Taken, Fault> {
        let body: &[u8] = &self.body;
        let fields = ProfileFields::of(body, record.whole);
        let distinct = id(body, fields.distinct_id, "$distinct_id")?.ok_or_else(|| {
            Fault::new("$distinct_id", Code::MissingId, "$distinct_id, missing or empty")
        })?;
        fields.check(body, false)?;
        let device = distinct.strip_prefix(DEVICE_PREFIX);
        let user = if device.is_none() { Some(distinct.as_str()) } else { None };
        let ip = event_ip(body, fields.ip);
        let mut object = self.opened(record);
        object.text(b"\"userId\"", user);
        object.text(b"\"anonymousId\"", device);
        self.write_rest(&mut object, record, &fields);
        write_ip(&mut object, &ip);
        object.nested(b"\"mixpanel\"", |facts| {
            facts.text(b"\"endpoint\"", Some(self.endpoint.as_str()));
            for (key, value) in [("user_id", fields.user_id), ("device_id", fields.device_id)] {
                if !value.is_empty() {
                    facts.member(format!("\"{key}\"").as_bytes(), value.of(body));
                }
            }
        });
        Ok(profile(fields.time, ip, object))
    }

    pub(super) fn group_profile(&self, record: &RawRecord) -> Result<Taken, Fault> {
        let body: &[u8] = &self.body;
        let fields = ProfileFields::of(body, record.whole);
        let key = id(body, fields.group_key, "$group_key")?.ok_or_else(|| {
            Fault::new("$group_key", Code::MissingId, "$group_key, missing or empty")
        })?;
        if id(body, fields.group_id, "$group_id")?.is_none() {
            let reason = "$group_id, missing or empty";
            return Err(Fault::new("$group_id", Code::MissingId, reason));
        }
        fields.check(body, true)?;
        let mut object = self.opened(record);
        // A number stays one: it has to equal what the events say.
        object.member(b"\"groupId\"", fields.group_id.of(body));
        self.write_rest(&mut object, record, &fields);
        object.nested(b"\"mixpanel\"", |facts| {
            facts.text(b"\"endpoint\"", Some(self.endpoint.as_str()));
            facts.text(b"\"group_key\"", Some(&key));
        });
        Ok(profile(fields.time, RecordIp::None, object))
    }

    fn opened(&self, record: &RawRecord) -> ObjectWriter {
        let mut object = ObjectWriter::with_room(record.whole.len() + 256);
        object.member(b"\"type\"", b"\"profile\"");
        object
    }

    /// Writes operators and what stands beside them, by their own names.
    fn write_rest(&self, object: &mut ObjectWriter, record: &RawRecord, fields: &ProfileFields) {
        let body: &[u8] = &self.body;
        each_member(body, record.whole, |key, value| {
            if !ELSEWHERE.contains(&name(key.of(body)).as_ref()) {
                object.member(key.of(body), value.of(body));
            }
        });
        if fields.deletes {
            object.member(b"\"$delete\"", b"true");
        }
    }
}

fn profile(time: Span, ip: RecordIp, object: ObjectWriter) -> Taken {
    Taken {
        kind: EventKind::Profile,
        insert_id: None,
        repeats: String::new(),
        time,
        ip,
        body: object.finish(),
    }
}
