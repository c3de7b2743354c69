//! The members of a record that admission reads, and the ids that they give.

use std::borrow::Cow;

use millrace_model::code::Code;
use millrace_model::time::UnixMillis;

use crate::json::{Span, each_member, name, text};
use crate::segment::{Refusal, numeric_time, time_at};

/// In front of the id of a device where a distinct id stands for it (`reference/mixpanel-api.md` 4.1).
pub(super) const DEVICE_PREFIX: &str = "$device:";

/// A reason to set a record aside, with the field that Mixpanel would name.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) field: &'static str,
    pub(super) refusal: Refusal,
}

impl Fault {
    pub(super) fn new(
        field: &'static str,
        code: Code,
        reason: impl Into<Cow<'static, str>>,
    ) -> Fault {
        Fault { field, refusal: Refusal::new(code, reason) }
    }
}

/// The places of an event's members. Of members with the same name the last counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EventFields {
    pub(super) event: Span,
    pub(super) properties: Span,
    pub(super) time: Span,
    pub(super) insert_id: Span,
    pub(super) ip: Span,
    pub(super) distinct_id: Span,
    pub(super) user_id: Span,
    pub(super) device_id: Span,
    pub(super) identified_id: Span,
    pub(super) anon_id: Span,
    pub(super) anon_distinct_id: Span,
    pub(super) alias: Span,
    pub(super) distinct_ids: Span,
}

impl EventFields {
    pub(super) fn of(body: &[u8], record: Span) -> EventFields {
        let mut fields = EventFields::default();
        each_member(body, record, |key, value| match name(key.of(body)).as_ref() {
            b"event" => fields.event = value,
            b"properties" => fields.properties = value,
            _ => {}
        });
        each_member(body, fields.properties, |key, value| match name(key.of(body)).as_ref() {
            b"time" => fields.time = value,
            b"$insert_id" => fields.insert_id = value,
            b"ip" => fields.ip = value,
            b"distinct_id" => fields.distinct_id = value,
            b"$user_id" => fields.user_id = value,
            b"$device_id" => fields.device_id = value,
            b"$identified_id" => fields.identified_id = value,
            b"$anon_id" => fields.anon_id = value,
            b"$anon_distinct_id" => fields.anon_distinct_id = value,
            b"alias" => fields.alias = value,
            b"$distinct_ids" => fields.distinct_ids = value,
            _ => {}
        });
        fields
    }
}

/// The ids of an event, as Mixpanel reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) user: Option<String>,
    pub(super) device: Option<String>,
    /// The distinct id, where it does not follow from the two.
    pub(super) distinct: Option<String>,
}

impl Ids {
    /// The algorithm of simplified identity (`reference/mixpanel-api.md` 4.1), which loses nothing
    /// because what it overrides is kept.
    pub(super) fn of(
        user: Option<String>,
        device: Option<String>,
        distinct: Option<String>,
    ) -> Ids {
        let mut ids = Ids { user, device: device.map(without_prefix), distinct: None };
        if ids.user.is_none() && ids.device.is_none() {
            match distinct {
                Some(id) if id.starts_with(DEVICE_PREFIX) => ids.device = Some(without_prefix(id)),
                id => ids.user = id,
            }
            return ids;
        }
        ids.distinct = distinct.filter(|id| Some(id.as_str()) != ids.known().as_deref());
        ids
    }

    /// The distinct id that follows from user and device.
    pub(super) fn known(&self) -> Option<Cow<'_, str>> {
        match (&self.user, &self.device) {
            (Some(user), _) => Some(Cow::Borrowed(user)),
            (None, Some(device)) => Some(Cow::Owned(format!("{DEVICE_PREFIX}{device}"))),
            (None, None) => None,
        }
    }
}

pub(super) fn without_prefix(id: String) -> String {
    id.strip_prefix(DEVICE_PREFIX).map(str::to_owned).unwrap_or(id)
}

/// An id as text. Missing, null and empty are the same; numbers count as their own text.
pub(super) fn id(body: &[u8], span: Span, field: &'static str) -> Result<Option<String>, Fault> {
    let raw = span.of(body);
    match raw.first() {
        None | Some(b'n') => Ok(None),
        Some(b'"') => match text(raw) {
            Some(id) => Ok(Some(id.into_owned()).filter(|id| !id.is_empty())),
            None => {
                let reason = format!("{field} holds half of a surrogate pair");
                Err(Fault::new(field, Code::BadText, reason))
            }
        },
        Some(b'-' | b'0'..=b'9') => Ok(Some(String::from_utf8_lossy(raw).into_owned())),
        Some(_) => {
            let reason = format!("'{field}' is invalid: must be a string");
            Err(Fault::new(field, Code::BadField, reason))
        }
    }
}

/// The time at a place: seconds, perhaps with a fraction, or milliseconds, also as text; and what
/// `UnixMillis` reads.
pub(super) fn time(body: &[u8], span: Span) -> Option<UnixMillis> {
    match span.of(body) {
        raw @ [b'"', ..] => {
            let words = text(raw)?;
            numeric_time(words.trim().as_bytes()).or_else(|| UnixMillis::parse(&words))
        }
        _ => time_at(body, span),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_mixpanel_reads_them() {
        // $user_id, $device_id, distinct_id; wanted: user, device, distinct id of its own
        type Row = ([Option<&'static str>; 3], [Option<&'static str>; 3]);
        let table: [Row; 11] = [
            ([None, None, None], [None, None, None]),
            ([None, None, Some("u")], [Some("u"), None, None]),
            ([None, None, Some("$device:d")], [None, Some("d"), None]),
            ([None, Some("d"), Some("$device:d")], [None, Some("d"), None]),
            ([None, Some("$device:d"), None], [None, Some("d"), None]),
            ([Some("u"), Some("d"), Some("u")], [Some("u"), Some("d"), None]),
            ([Some("u"), Some("d"), Some("$device:d")], [Some("u"), Some("d"), Some("$device:d")]),
            ([Some("u"), None, Some("x")], [Some("u"), None, Some("x")]),
            ([None, Some("d"), Some("u")], [None, Some("d"), Some("u")]),
            ([Some("u"), None, None], [Some("u"), None, None]),
            ([None, None, Some("$device:")], [None, Some(""), None]),
        ];
        for ([user, device, distinct], wanted) in table {
            let owned = |id: Option<&str>| id.map(str::to_owned);
            let ids = Ids::of(owned(user), owned(device), owned(distinct));
            let [user, device, distinct] = wanted.map(|id| id.map(str::to_owned));
            assert_eq!(ids, Ids { user, device, distinct });
        }
    }

    #[test]
    fn times_come_in_every_unit() {
        for (raw, wanted) in [
            ("1795355460", Some(1_795_355_460_000)),
            ("1795355460.092", Some(1_795_355_460_092)),
            ("1795355408.5221863", Some(1_795_355_408_522)),
            ("1795219200123", Some(1_795_219_200_123)),
            ("\"1795355460\"", Some(1_795_355_460_000)),
            ("\" 1795219200123 \"", Some(1_795_219_200_123)),
            ("\"2026-11-20T10:11:12.345Z\"", Some(1_795_169_472_345)),
            ("\"yesterday\"", None),
            ("0", None),
            ("null", None),
            ("{}", None),
            ("1e400", None),
        ] {
            let span = Span::new(0, raw.len());
            assert_eq!(time(raw.as_bytes(), span).map(|time| time.0), wanted, "{raw}");
        }
    }
}
