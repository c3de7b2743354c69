//! One event as it arrives: the validation table of reference/mixpanel-api.md 2.4 and the stateless
//! half of simplified identity (4.1, steps 1 and 2).
//!
//! What comes out is an [`Admitted`] event: complete, within all limits, without the token and the
//! address of its sender. Links between ids are not known here.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use millrace_model::entropy::Entropy;
use millrace_model::id::is_bad_identifier;
use millrace_model::time::UnixMillis;

use crate::json::{self, Members};
use crate::limits;
use crate::property::{self, Excess};
use crate::record::Revenue;
use crate::reply::Failure;

/// The events that once merged ids; simplified projects do not take them.
const VERBS: [&str; 3] = ["$identify", "$create_alias", "$merge"];

/// The prefix of a device that stands as a distinct id.
pub(crate) const DEVICE: &str = "$device:";

/// Properties that ingestion takes out, reads into other fields, or writes itself.
const TAKEN_OUT: [&str; 17] = [
    "token",
    "ip",
    "time",
    "distinct_id",
    "$insert_id",
    "$user_id",
    "$device_id",
    "$import",
    "$mp_api_endpoint",
    "$mp_api_timestamp_ms",
    "mp_processing_time_ms",
    "$mp_event_size",
    "$identity_failure_reason",
    "$distinct_id_before_identity",
    "$is_reshuffled",
    "$preshuffle_distinct_id",
    "$ignore",
];

/// The way by which an event came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// `/import?strict=1`.
    StrictImport,
    /// `/import` without `strict`.
    LenientImport,
    /// `/track`.
    Track,
}

/// What the check of an event depends on beside the event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'a> {
    pub(crate) door: Door,
    pub(crate) now: UnixMillis,
    /// The sender's address when `ip=1` was asked for.
    pub(crate) ip: Option<IpAddr>,
    pub(crate) entropy: &'a dyn Entropy,
}

/// An event taken apart, not yet judged.
#[derive(Debug)]
pub(crate) struct Scanned<'a> {
    size: usize,
    name: Option<Cow<'a, str>>,
    properties: Members<'a>,
}

/// An event that will be stored.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    pub(crate) time: i64,
    pub(crate) size: u32,
    pub(crate) name: Cow<'a, str>,
    pub(crate) insert_id: Cow<'a, str>,
    /// The user, empty when there is none.
    pub(crate) user: Cow<'a, str>,
    /// The device without its prefix, empty when there is none.
    pub(crate) device: Cow<'a, str>,
    /// The distinct id of an event with neither: empty or the hash of an address.
    pub(crate) fallback: String,
    pub(crate) hidden: bool,
    pub(crate) revenue: Option<Revenue<'a>>,
    /// The members of the stored properties object, without its braces.
    pub(crate) properties: Vec<u8>,
    /// What was changed on the way in.
    pub(crate) changes: Vec<String>,
}

/// The judgement of an event.
#[derive(Debug)]
pub(crate) enum Verdict<'a> {
    /// It is stored.
    Admit(Box<Admitted<'a>>),
    /// It is valid and not stored.
    Ignore(&'static str),
    /// It is invalid.
    Refuse(Failure),
}

/// A fault before it knows its place in the request: field and message.
type Fault = (String, String);

fn fault(field: &str, ending: &str) -> Fault {
    (field.to_owned(), format!("'{field}' is invalid: {ending}"))
}

impl<'a> Scanned<'a> {
    /// Takes an event apart; `None` when it is no object.
    pub(crate) fn scan(text: &'a str) -> Option<Scanned<'a>> {
        let event = Members::scan(text)?;
        let properties = event.get("properties").and_then(Members::scan).unwrap_or_default();
        let name = event.get("event").and_then(json::string);
        Some(Scanned { size: text.len(), name, properties })
    }

    /// The token that the event carries.
    pub(crate) fn token(&self) -> Option<Cow<'a, str>> {
        self.properties.get("token").and_then(json::id_text).filter(|token| !token.is_empty())
    }

    /// The event's name, if it has one that is not blank.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref().filter(|name| !name.trim().is_empty())
    }

    /// The insert id as it was sent, for reports.
    pub(crate) fn insert_id(&self) -> Option<Cow<'a, str>> {
        self.properties.get("$insert_id").and_then(json::id_text)
    }

    /// Whether the event is one of the identity verbs.
    pub(crate) fn is_verb(&self) -> bool {
        self.name.as_deref().is_some_and(|name| VERBS.contains(&name))
    }

    /// Judges the event.
    pub(crate) fn judge(self, index: usize, around: &Circumstances<'_>) -> Verdict<'a> {
        let sent_id = self.insert_id().unwrap_or_default().into_owned();
        match self.admit(around) {
            Ok(Ok(admitted)) => Verdict::Admit(Box::new(admitted)),
            Ok(Err(reason)) => Verdict::Ignore(reason),
            Err((field, message)) => {
                Verdict::Refuse(Failure { index, insert_id: sent_id, field, message })
            }
        }
    }

    fn admit(
        self,
        around: &Circumstances<'_>,
    ) -> Result<Result<Admitted<'a>, &'static str>, Fault> {
        if self.name().is_none() {
            return Err(match around.door {
                Door::Track => ("event".to_owned(), "event, missing".to_owned()),
                Door::StrictImport | Door::LenientImport => {
                    ("event".to_owned(), "'event' must not be missing or blank".to_owned())
                }
            });
        }
        if self.size > limits::RECORD_BYTES {
            return Err(("event".to_owned(), "event is larger than 1 MB".to_owned()));
        }
        if self.asks_to_be_ignored() {
            return Ok(Err("the event carries $ignore"));
        }
        let mut changes = Vec::new();
        let time = self.time(around, &mut changes)?;
        if around.door == Door::Track
            && time < around.now.0.saturating_sub(limits::TRACK_AGE_MILLIS)
        {
            return Ok(Err("the event is older than the 5 days that /track takes"));
        }
        let hidden = self.is_verb();
        let (user, device, fallback) = self.identity(around, hidden)?;
        let insert_id = self.stored_insert_id(around, &mut changes)?;
        let (properties, revenue) = self.stored_properties(around.door, &mut changes)?;
        let name = self.name.unwrap_or_default();
        Ok(Ok(Admitted {
            time,
            size: u32::try_from(self.size).unwrap_or(u32::MAX),
            name: cut(name),
            insert_id,
            user,
            device,
            fallback,
            hidden,
            revenue,
            properties,
            changes,
        }))
    }

    /// `$ignore` drops the event when it is `true` or a text that is not empty (2.2).
    fn asks_to_be_ignored(&self) -> bool {
        self.properties
            .get("$ignore")
            .is_some_and(|raw| raw == "true" || (raw.starts_with('"') && raw != "\"\""))
    }

    /// The time in milliseconds: seconds below 1e11, milliseconds from there on (2.1).
    fn time(&self, around: &Circumstances<'_>, changes: &mut Vec<String>) -> Result<i64, Fault> {
        const FIELD: &str = "properties.time";
        let raw = match self.properties.get("time").filter(|raw| *raw != "null") {
            Some(raw) => raw,
            None if around.door == Door::Track => return Ok(around.now.0),
            None => return Err(fault(FIELD, "must not be missing")),
        };
        let unreadable = || fault(FIELD, "must be specified as seconds since epoch");
        let millis = match raw.parse::<i64>() {
            Ok(whole) if whole >= 100_000_000_000 => whole,
            Ok(whole) => whole.saturating_mul(1_000),
            Err(_) => {
                let number = json::number(raw).ok_or_else(unreadable)?;
                let millis = if number >= 1e11 { number } else { number * 1_000.0 };
                // The cast saturates, and what is out of range ends as too old or in the future.
                millis.round() as i64
            }
        };
        if millis < limits::OLDEST_MILLIS {
            return Err(unreadable());
        }
        if millis > around.now.0 {
            changes.push("the time lies in the future and was set to now".to_owned());
            return Ok(around.now.0);
        }
        Ok(millis)
    }

    /// Steps 1 and 2 of the algorithm: user, device, and what stands in when there is neither.
    fn identity(
        &self,
        around: &Circumstances<'_>,
        verb: bool,
    ) -> Result<(Cow<'a, str>, Cow<'a, str>, String), Fault> {
        const FIELD: &str = "properties.distinct_id";
        let id = |name| self.properties.get(name).and_then(json::id_text).unwrap_or_default();
        let (mut user, mut device) = (id("$user_id"), without_prefix(id("$device_id")));
        let raw = self.properties.get("distinct_id").filter(|raw| *raw != "null");
        if raw.is_some_and(|raw| raw.starts_with(['{', '['])) {
            return Err(fault(FIELD, "must be a string"));
        }
        let sent = raw.and_then(json::id_text);
        if raw.is_some() && sent.is_none() {
            return Err(fault(FIELD, property::NOT_UTF8));
        }
        if sent.as_deref().is_some_and(is_bad_identifier) {
            return Err(fault(FIELD, "must not be a placeholder value"));
        }
        if user.is_empty() && device.is_empty() {
            match sent {
                None if around.door == Door::StrictImport => {
                    return Err(fault(FIELD, "must not be missing"));
                }
                None if around.door == Door::Track && verb => {
                    let text = "distinct_id, missing or empty".to_owned();
                    return Err((FIELD.to_owned(), text));
                }
                None => {}
                Some(sent) if sent.starts_with(DEVICE) => device = without_prefix(sent),
                Some(sent) => user = sent,
            }
        }
        let nobody = user.is_empty() && device.is_empty() && raw.is_none();
        let fallback = around.ip.filter(|_| nobody).map(hash).unwrap_or_default();
        Ok((cut(user), cut(device), fallback))
    }

    /// The insert id: as sent under strict, replaced where it cannot be used otherwise.
    fn stored_insert_id(
        &self,
        around: &Circumstances<'_>,
        changes: &mut Vec<String>,
    ) -> Result<Cow<'a, str>, Fault> {
        const FIELD: &str = "$insert_id";
        let sent = self.insert_id().filter(|id| !id.is_empty());
        let broken = match sent.as_deref() {
            None => Some("must not be missing"),
            Some(id) if id.len() > limits::INSERT_ID_BYTES => Some("must not exceed 36 bytes"),
            Some(id) if is_bad_identifier(id) => Some("must not be a placeholder value"),
            Some(id) if id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => None,
            Some(_) => Some("must only contain alphanumeric or hyphen '-' characters"),
        };
        match (broken, sent) {
            (None, Some(id)) => Ok(id),
            (Some(ending), _) if around.door == Door::StrictImport => Err(fault(FIELD, ending)),
            (_, sent) => {
                if sent.is_some() {
                    changes.push("the $insert_id cannot be used and was replaced".to_owned());
                }
                Ok(Cow::Owned(around.entropy.uuid().to_string()))
            }
        }
    }

    /// The properties that are stored, and what they say about revenue.
    fn stored_properties(
        &self,
        door: Door,
        changes: &mut Vec<String>,
    ) -> Result<(Vec<u8>, Option<Revenue<'a>>), Fault> {
        let excess = if door == Door::StrictImport { Excess::Refuse } else { Excess::Trim };
        let members = &self.properties.0;
        if members.len() >= limits::MEMBERS && excess == Excess::Refuse {
            return Err(fault("properties", "must have fewer than 255 properties"));
        }
        let mut out = Vec::with_capacity(self.size);
        let (mut kept, mut revenue) = (0_usize, Revenue::default());
        let last_places = LastPlaces::of(members);
        for (place, (name, raw)) in members.iter().enumerate() {
            let name = json::cut_chars(name, limits::TEXT);
            if TAKEN_OUT.contains(&name) || last_places.repeats_later(name, place) {
                continue;
            }
            if kept == limits::MEMBERS - 1 {
                changes.push("properties beyond the 254th were left out".to_owned());
                break;
            }
            let value = match property::event_value(raw, excess) {
                Ok(Some(value)) => value,
                Ok(None) => {
                    changes.push(format!("property {name} breaks a limit and was left out"));
                    continue;
                }
                Err(ending) => return Err(fault(&format!("properties.{name}"), ending)),
            };
            revenue.notice(name, raw);
            if kept > 0 {
                out.push(b',');
            }
            json::write(&mut out, name);
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
            kept += 1;
        }
        Ok((out, revenue.counts().then_some(revenue)))
    }
}

/// Where names stand for the last time: of a name that stands twice only the last value is kept.
struct LastPlaces<'a> {
    members: &'a [(Cow<'a, str>, &'a str)],
    /// Only for events with many members; looking through a few is faster than hashing them.
    places: Option<HashMap<&'a str, usize>>,
}

impl<'a> LastPlaces<'a> {
    fn of(members: &'a [(Cow<'a, str>, &'a str)]) -> LastPlaces<'a> {
        let named = members.iter().enumerate();
        let cut = |(place, (name, _)): (usize, &'a (Cow<'a, str>, &str))| {
            (json::cut_chars(name, limits::TEXT), place)
        };
        LastPlaces { members, places: (members.len() > 64).then(|| named.map(cut).collect()) }
    }

    fn repeats_later(&self, name: &str, place: usize) -> bool {
        match &self.places {
            Some(places) => places.get(name).is_some_and(|last| *last != place),
            None => self
                .members
                .iter()
                .skip(place + 1)
                .any(|(later, _)| json::cut_chars(later, limits::TEXT) == name),
        }
    }
}

/// The failure of an event whose bytes are not valid UTF-8, with the property at fault.
pub(crate) fn not_utf8(index: usize, bytes: &[u8]) -> Failure {
    let text = String::from_utf8_lossy(bytes);
    let scanned = Scanned::scan(&text);
    let broken = scanned.as_ref().and_then(|event| {
        let spoilt = |value: &str| value.contains(char::REPLACEMENT_CHARACTER);
        let member = event.properties.0.iter().find(|(name, raw)| spoilt(name) || spoilt(raw))?;
        Some(format!("properties.{}", member.0))
    });
    let field = broken.unwrap_or_else(|| "event".to_owned());
    let insert_id = scanned.and_then(|e| e.insert_id().map(Cow::into_owned)).unwrap_or_default();
    let message = format!("{field} is invalid: {}", property::NOT_UTF8);
    Failure { index, insert_id, field, message }
}

/// Takes one leading `$device:` off, and only one (S10).
fn without_prefix(id: Cow<'_, str>) -> Cow<'_, str> {
    match id {
        Cow::Borrowed(text) => Cow::Borrowed(text.strip_prefix(DEVICE).unwrap_or(text)),
        Cow::Owned(text) => Cow::Owned(text.strip_prefix(DEVICE).unwrap_or(&text).to_owned()),
    }
}

fn cut(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(json::cut_chars(text, limits::TEXT)),
        Cow::Owned(text) => Cow::Owned(json::cut_chars(&text, limits::TEXT).to_owned()),
    }
}

/// A distinct id for an address, so that the address itself is not stored.
fn hash(address: IpAddr) -> String {
    let mut hasher = std::hash::DefaultHasher::new();
    address.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
