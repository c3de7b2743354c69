//! The three events that join ids: `$identify`, `$create_alias` and `$merge`
//! (`reference/mixpanel-api.md` 4.3).

use millrace_model::code::Code;
use millrace_model::event::EventKind;

use super::admit::{Taken, event_ip, write_ip};
use super::envelope::{Envelope, RawRecord};
use super::fields::{DEVICE_PREFIX, EventFields, Fault, id, without_prefix};
use crate::json::{ObjectWriter, Span, each_item};

impl Envelope {
    /// `$identify` names the user in `$identified_id`, or in `$user_id` and `distinct_id`, and the
    /// device in `$anon_id` or `$anon_distinct_id`, with the prefix or without.
    pub(super) fn identify(
        &self,
        record: &RawRecord,
        fields: &EventFields,
        insert_id: Option<String>,
    ) -> Result<Taken, Fault> {
        let body: &[u8] = &self.body;
        let read = |span: Span, field| id(body, span, field);
        let user = read(fields.identified_id, "properties.$identified_id")?
            .or(read(fields.user_id, "properties.$user_id")?)
            .or(read(fields.distinct_id, "properties.distinct_id")?
                .filter(|id| !id.starts_with(DEVICE_PREFIX)));
        let anon = read(fields.anon_id, "properties.$anon_id")?
            .or(read(fields.anon_distinct_id, "properties.$anon_distinct_id")?)
            .or(read(fields.device_id, "properties.$device_id")?
                .map(|id| format!("{DEVICE_PREFIX}{}", without_prefix(id))));
        let user = user.ok_or_else(|| missing("distinct_id"))?;
        let anon = anon.ok_or_else(|| missing("$anon_distinct_id"))?;
        let ip = event_ip(body, fields.ip);
        let mut object = ObjectWriter::with_room(record.whole.len() + 256);
        object.member(b"\"type\"", b"\"identify\"");
        object.text(b"\"userId\"", Some(&user));
        object.text(b"\"anonymousId\"", Some(&without_prefix(anon.clone())));
        let own: [&[u8]; 3] = [b"$identified_id", b"$anon_id", b"$anon_distinct_id"];
        self.write_properties(&mut object, fields.properties, &own);
        write_ip(&mut object, &ip);
        object.nested(b"\"mixpanel\"", |facts| {
            facts.text(b"\"endpoint\"", Some(self.endpoint.as_str()));
            facts.text(b"\"anon_id\"", anon.starts_with(DEVICE_PREFIX).then_some(anon.as_str()));
        });
        let repeats = format!("$identify\0{user}\0{anon}");
        let (kind, time) = (EventKind::Identify, fields.time);
        Ok(Taken { kind, insert_id, repeats, time, ip, body: object.finish() })
    }

    /// `$create_alias` gives the `distinct_id` another name, `alias`.
    pub(super) fn create_alias(
        &self,
        record: &RawRecord,
        fields: &EventFields,
        insert_id: Option<String>,
    ) -> Result<Taken, Fault> {
        let body: &[u8] = &self.body;
        let alias = id(body, fields.alias, "properties.alias")?;
        let distinct = id(body, fields.distinct_id, "properties.distinct_id")?;
        let alias = alias.ok_or_else(|| missing("alias"))?;
        let distinct = distinct.ok_or_else(|| missing("distinct_id"))?;
        Ok(self.join(record, fields, insert_id, (alias, distinct), "$create_alias"))
    }

    /// `$merge` names two ids of the same person in `$distinct_ids`.
    pub(super) fn merge(
        &self,
        record: &RawRecord,
        fields: &EventFields,
        insert_id: Option<String>,
    ) -> Result<Taken, Fault> {
        let body: &[u8] = &self.body;
        let mut found = Vec::new();
        let mut count = 0_usize;
        each_item(body, fields.distinct_ids, |item| {
            count += 1;
            if count <= 2 {
                found.push(id(body, item, "properties.$distinct_ids"));
            }
        });
        let two = (count == 2).then(|| found.into_iter().collect::<Result<Vec<_>, _>>());
        let two: Vec<String> = two.transpose()?.unwrap_or_default().into_iter().flatten().collect();
        match <[String; 2]>::try_from(two) {
            // Of a user and a device the user is the one that stays.
            Ok([device, user]) if device.starts_with(DEVICE_PREFIX) => {
                Ok(self.join(record, fields, insert_id, (user, device), "$merge"))
            }
            Ok([user, other]) => Ok(self.join(record, fields, insert_id, (user, other), "$merge")),
            Err(_) => Err(Fault::new(
                "properties.$distinct_ids",
                Code::MissingId,
                "'properties.$distinct_ids' is invalid: must be two distinct ids",
            )),
        }
    }

    fn join(
        &self,
        record: &RawRecord,
        fields: &EventFields,
        insert_id: Option<String>,
        (user, previous): (String, String),
        verb: &'static str,
    ) -> Taken {
        let body: &[u8] = &self.body;
        let ip = event_ip(body, fields.ip);
        let mut object = ObjectWriter::with_room(record.whole.len() + 256);
        object.member(b"\"type\"", b"\"alias\"");
        object.text(b"\"userId\"", Some(&user));
        object.text(b"\"previousId\"", Some(&previous));
        self.write_properties(&mut object, fields.properties, &[b"alias", b"$distinct_ids"]);
        write_ip(&mut object, &ip);
        object.nested(b"\"mixpanel\"", |facts| {
            facts.text(b"\"endpoint\"", Some(self.endpoint.as_str()));
            facts.text(b"\"verb\"", Some(verb));
        });
        Taken {
            kind: EventKind::Alias,
            insert_id,
            repeats: format!("{verb}\0{user}\0{previous}"),
            time: fields.time,
            ip,
            body: object.finish(),
        }
    }
}

fn missing(field: &'static str) -> Fault {
    Fault::new(field, Code::MissingId, format!("{field}, missing or empty"))
}
