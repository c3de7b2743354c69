//! The byte form of an accepted batch in the log.
//!
//! Written by hand, because it is on the hot path twice and must be readable for years: events are
//! copied, not re-encoded, and reading gives slices of the record without copying bodies.
//!
//! ```text
//! batch    := version:u8 pipeline:text received_at:i64le count:varint item*
//! item     := 0 kind:u8 time_source:u8 flags:u8 time:i64le key:u128le hash:u64le
//!               message_id:text client_ip:text? passage? body:bytes an event (ip when flags & 1,
//!                                                                   passage when flags & 2)
//!           | 1 origin:u8 kind:u8 code:text reason:text full_length:varint body:bytes
//!                                                                   an item set aside
//!           | 2 differs:u8 message_id:text                          a duplicate
//!           | 3 reason:u8 rule:text full_length:varint              an item filtered at the door
//! passage  := origin:u8 consents:varint (category:text granted:u8)* notes:varint (kind:u8 text)*
//!             consents is one more than their number; 0 when nothing is known of consent
//! text     := bytes (UTF-8)
//! bytes    := length:varint octet*
//! varint   := LEB128, at most ten octets
//! ```
//!
//! Version 1 had no passage, no filtered items, and neither origin nor kind of what was set aside.
//!
//! The frame around it (length, checksum, number) belongs to the log.

use bytes::{Buf, Bytes};

use crate::code::Code;
use crate::disposition::FilterReason;
use crate::event::{
    Batch, DedupeKey, Duplicate, Event, EventKind, Facts, Filtered, Item, SetAside, TimeSource,
};
use crate::passage::{Consent, Note, NoteKind, Origin, Passage, Subject};
use crate::time::UnixMillis;

/// The version that [`encode_batch`] writes.
const VERSION: u8 = 2;
/// The oldest that [`decode_batch`] reads.
const OLDEST_VERSION: u8 = 1;
const ITEM_EVENT: u8 = 0;
const ITEM_SET_ASIDE: u8 = 1;
const ITEM_DUPLICATE: u8 = 2;
const ITEM_FILTERED: u8 = 3;
const FLAG_CLIENT_IP: u8 = 1;
const FLAG_PASSAGE: u8 = 2;
/// The kind of an item set aside whose path says none.
const NO_KIND: u8 = 0xff;

/// Why a record cannot be read. The checksum had been right, so this is a bug or a newer version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The record was written by a newer version.
    #[error("record version {0} is newer than this program")]
    Version(u8),
    /// The record ends too early.
    #[error("the record ends too early")]
    Truncated,
    /// A member has a value that it cannot have.
    #[error("the record has a bad {0}")]
    Bad(&'static str),
}

/// Appends the byte form of a batch to `out`.
pub fn encode_batch(batch: &Batch, out: &mut Vec<u8>) {
    out.push(VERSION);
    put_bytes(out, batch.pipeline.as_str().as_bytes());
    out.extend_from_slice(&batch.received_at.0.to_le_bytes());
    put_varint(out, batch.items.len() as u64);
    for item in &batch.items {
        match item {
            Item::Event(event) => put_event(out, event),
            Item::SetAside(aside) => {
                out.push(ITEM_SET_ASIDE);
                out.push(aside.origin.to_byte());
                out.push(aside.kind.map_or(NO_KIND, kind_byte));
                put_bytes(out, aside.code.as_str().as_bytes());
                put_bytes(out, aside.reason.as_bytes());
                put_varint(out, aside.full_length);
                put_bytes(out, &aside.body);
            }
            Item::Duplicate(duplicate) => {
                out.push(ITEM_DUPLICATE);
                out.push(u8::from(duplicate.differs));
                put_bytes(out, duplicate.message_id.as_bytes());
            }
            Item::Filtered(filtered) => {
                out.push(ITEM_FILTERED);
                out.push(filtered.reason.to_byte());
                put_bytes(out, filtered.rule.as_bytes());
                put_varint(out, filtered.full_length);
                put_consent(out, filtered.consent.as_deref());
            }
        }
    }
}

fn kind_byte(kind: EventKind) -> u8 {
    match kind {
        EventKind::Track => 0,
        EventKind::Identify => 1,
        EventKind::Page => 2,
        EventKind::Screen => 3,
        EventKind::Group => 4,
        EventKind::Alias => 5,
        EventKind::Profile => 6,
    }
}

fn put_event(out: &mut Vec<u8>, event: &Event) {
    let kind = kind_byte(event.kind);
    let source = match event.facts.time_source {
        TimeSource::Client => 0,
        TimeSource::Corrected => 1,
        TimeSource::Receipt => 2,
    };
    let ip = if event.facts.client_ip.is_some() { FLAG_CLIENT_IP } else { 0 };
    // Most events have nothing to say here, and an octet less each is a lot of octets.
    let passage = if event.passage == Passage::default() { 0 } else { FLAG_PASSAGE };
    let flags = ip | passage;
    out.extend_from_slice(&[ITEM_EVENT, kind, source, flags]);
    out.extend_from_slice(&event.facts.time.0.to_le_bytes());
    out.extend_from_slice(&event.dedupe_key.0.to_le_bytes());
    out.extend_from_slice(&event.body_hash.to_le_bytes());
    put_bytes(out, event.facts.message_id.as_bytes());
    if let Some(ip) = &event.facts.client_ip {
        put_bytes(out, ip.as_bytes());
    }
    if flags & FLAG_PASSAGE != 0 {
        put_passage(out, &event.passage);
    }
    put_bytes(out, &event.body);
}

fn put_passage(out: &mut Vec<u8>, passage: &Passage) {
    out.push(passage.origin.to_byte());
    put_consent(out, passage.consent.as_deref());
    put_varint(out, passage.notes.len() as u64);
    for note in &passage.notes {
        out.push(note.kind.to_byte());
        put_bytes(out, note.detail.as_bytes());
    }
}

fn put_consent(out: &mut Vec<u8>, consent: Option<&Consent>) {
    match consent {
        None => put_varint(out, 0),
        Some(consent) => {
            put_varint(out, consent.categories.len() as u64 + 1);
            for (category, granted) in &consent.categories {
                put_bytes(out, category.as_bytes());
                out.push(u8::from(*granted));
            }
            out.push(u8::from(consent.otherwise));
            put_varint(out, consent.subjects.len() as u64);
            for subject in &consent.subjects {
                out.extend_from_slice(&subject.0.to_le_bytes());
            }
        }
    }
}

fn take_passage(bytes: &mut Bytes) -> Result<Passage, RecordError> {
    let origin = Origin::from_byte(take_u8(bytes)?).ok_or(RecordError::Bad("origin"))?;
    let consent = take_consent(bytes)?;
    let count = take_varint(bytes)?;
    let mut notes = Vec::new();
    for _ in 0..count {
        let kind = NoteKind::from_byte(take_u8(bytes)?).ok_or(RecordError::Bad("note"))?;
        notes.push(Note { kind, detail: take_text(bytes)? });
    }
    Ok(Passage { origin, consent, notes })
}

fn take_consent(bytes: &mut Bytes) -> Result<Option<Box<Consent>>, RecordError> {
    match take_varint(bytes)? {
        0 => Ok(None),
        more => {
            let mut consent = Consent::default();
            for _ in 1..more {
                let category = take_text(bytes)?;
                consent.categories.insert(category, take_u8(bytes)? != 0);
            }
            consent.otherwise = take_u8(bytes)? != 0;
            for _ in 0..take_varint(bytes)? {
                let subject = bytes.try_get_u128_le().map_err(|_| RecordError::Truncated)?;
                consent.subjects.push(Subject(subject));
            }
            Ok(Some(Box::new(consent)))
        }
    }
}

/// Reads a batch. Bodies are slices of `bytes`.
///
/// # Errors
/// When the record is of a newer version, ends too early or has an impossible value.
pub fn decode_batch(mut bytes: Bytes) -> Result<Batch, RecordError> {
    let version = take_u8(&mut bytes)?;
    if !(OLDEST_VERSION..=VERSION).contains(&version) {
        return Err(RecordError::Version(version));
    }
    let pipeline = take_text(&mut bytes)?.parse().map_err(|_| RecordError::Bad("pipeline name"))?;
    let received_at = UnixMillis(take_i64(&mut bytes)?);
    let count = take_varint(&mut bytes)?;
    // Every item takes more than one octet, so a count above the rest is a lie.
    if count > bytes.len() as u64 {
        return Err(RecordError::Truncated);
    }
    let mut items = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
    for _ in 0..count {
        items.push(take_item(&mut bytes, version)?);
    }
    if !bytes.is_empty() {
        return Err(RecordError::Bad("end"));
    }
    Ok(Batch { pipeline, received_at, items })
}

fn take_item(bytes: &mut Bytes, version: u8) -> Result<Item, RecordError> {
    match take_u8(bytes)? {
        ITEM_EVENT => take_event(bytes).map(Item::Event),
        ITEM_SET_ASIDE => {
            let (origin, kind) =
                if version > 1 { take_origin(bytes)? } else { (Origin::Spec, None) };
            let code = Code::parse(&take_text(bytes)?).ok_or(RecordError::Bad("code"))?;
            let reason = take_text(bytes)?;
            let full_length = take_varint(bytes)?;
            let body = take_bytes(bytes)?;
            Ok(Item::SetAside(SetAside { origin, kind, code, reason, body, full_length }))
        }
        ITEM_DUPLICATE => {
            let differs = take_u8(bytes)? != 0;
            Ok(Item::Duplicate(Duplicate { message_id: take_text(bytes)?, differs }))
        }
        ITEM_FILTERED => {
            let reason = FilterReason::from_byte(take_u8(bytes)?);
            let reason = reason.ok_or(RecordError::Bad("filter reason"))?;
            let rule = take_text(bytes)?;
            let full_length = take_varint(bytes)?;
            let consent = take_consent(bytes)?;
            Ok(Item::Filtered(Filtered { reason, rule, full_length, consent }))
        }
        _ => Err(RecordError::Bad("item tag")),
    }
}

fn take_origin(bytes: &mut Bytes) -> Result<(Origin, Option<EventKind>), RecordError> {
    let origin = Origin::from_byte(take_u8(bytes)?).ok_or(RecordError::Bad("origin"))?;
    match take_u8(bytes)? {
        NO_KIND => Ok((origin, None)),
        kind => {
            let kind = EventKind::ALL.get(usize::from(kind)).copied();
            Ok((origin, Some(kind.ok_or(RecordError::Bad("event kind"))?)))
        }
    }
}

fn take_event(bytes: &mut Bytes) -> Result<Event, RecordError> {
    let kind = EventKind::ALL
        .get(usize::from(take_u8(bytes)?))
        .copied()
        .ok_or(RecordError::Bad("event kind"))?;
    let time_source = match take_u8(bytes)? {
        0 => TimeSource::Client,
        1 => TimeSource::Corrected,
        2 => TimeSource::Receipt,
        _ => return Err(RecordError::Bad("time source")),
    };
    let flags = take_u8(bytes)?;
    let time = UnixMillis(take_i64(bytes)?);
    let dedupe_key = DedupeKey(bytes.try_get_u128_le().map_err(|_| RecordError::Truncated)?);
    let body_hash = bytes.try_get_u64_le().map_err(|_| RecordError::Truncated)?;
    let message_id = take_text(bytes)?;
    let client_ip = if flags & FLAG_CLIENT_IP != 0 { Some(take_text(bytes)?) } else { None };
    let passage = if flags & FLAG_PASSAGE != 0 { take_passage(bytes)? } else { Passage::default() };
    let body = take_bytes(bytes)?;
    let facts = Facts { message_id, time, time_source, client_ip };
    Ok(Event { kind, facts, passage, dedupe_key, body_hash, body })
}

/// Appends a number in LEB128.
pub fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a length and the octets.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes one octet off the front.
///
/// # Errors
/// When nothing is left.
pub fn take_u8(bytes: &mut Bytes) -> Result<u8, RecordError> {
    bytes.try_get_u8().map_err(|_| RecordError::Truncated)
}

/// Takes eight octets off the front as a little-endian number.
///
/// # Errors
/// When fewer are left.
pub fn take_i64(bytes: &mut Bytes) -> Result<i64, RecordError> {
    bytes.try_get_i64_le().map_err(|_| RecordError::Truncated)
}

/// Takes a LEB128 number off the front.
///
/// # Errors
/// When it does not end, or does not fit 64 bits.
pub fn take_varint(bytes: &mut Bytes) -> Result<u64, RecordError> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let octet = take_u8(bytes)?;
        let bits = u64::from(octet & 0x7f);
        if shift == 63 && bits > 1 {
            break;
        }
        number |= bits << shift;
        if octet & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(RecordError::Bad("number"))
}

/// Takes a length and that many octets off the front, without copying.
///
/// # Errors
/// When fewer are left.
pub fn take_bytes(bytes: &mut Bytes) -> Result<Bytes, RecordError> {
    let length = usize::try_from(take_varint(bytes)?).map_err(|_| RecordError::Truncated)?;
    if length > bytes.len() {
        return Err(RecordError::Truncated);
    }
    Ok(bytes.split_to(length))
}

/// Takes a length and that much UTF-8 text off the front.
///
/// # Errors
/// When fewer octets are left, or they are no UTF-8.
pub fn take_text(bytes: &mut Bytes) -> Result<String, RecordError> {
    let octets = take_bytes(bytes)?;
    std::str::from_utf8(&octets).map(str::to_owned).map_err(|_| RecordError::Bad("text"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_item() -> impl Strategy<Value = Item> {
        let event = (
            0..7_usize,
            0..3_u8,
            any::<i64>(),
            any::<u128>(),
            any::<u64>(),
            ".*",
            proptest::option::of("[0-9.]{1,15}"),
            any_passage(),
            proptest::collection::vec(any::<u8>(), 0..200),
        )
            .prop_map(
                |(kind, source, time, key, hash, message_id, client_ip, passage, body)| {
                    let time_source =
                        [TimeSource::Client, TimeSource::Corrected, TimeSource::Receipt]
                            [usize::from(source)];
                    Item::Event(Event {
                        kind: EventKind::ALL[kind],
                        facts: Facts { message_id, time: UnixMillis(time), time_source, client_ip },
                        passage,
                        dedupe_key: DedupeKey(key),
                        body_hash: hash,
                        body: Bytes::from(body),
                    })
                },
            );
        let aside = (".*", any::<u64>(), proptest::collection::vec(any::<u8>(), 0..50)).prop_map(
            |(reason, full_length, body)| {
                let (code, body) = (Code::NotAnObject, Bytes::from(body));
                let kind = EventKind::ALL.get(reason.len() % 9).copied();
                let origin = Origin::Webhook;
                Item::SetAside(SetAside { origin, kind, code, reason, body, full_length })
            },
        );
        let duplicate = (".*", any::<bool>())
            .prop_map(|(message_id, differs)| Item::Duplicate(Duplicate { message_id, differs }));
        let filtered = (0..6_usize, ".*", any::<u64>(), any_passage()).prop_map(
            |(reason, rule, full_length, passage)| {
                let (reason, consent) = (FilterReason::ALL[reason], passage.consent);
                Item::Filtered(Filtered { reason, rule, full_length, consent })
            },
        );
        prop_oneof![event, aside, duplicate, filtered]
    }

    fn any_passage() -> impl Strategy<Value = Passage> {
        let categories = proptest::collection::btree_map("[a-z]{1,8}", any::<bool>(), 0..3);
        let subjects = proptest::collection::vec(any::<u128>().prop_map(Subject), 0..3);
        let consent =
            (categories, any::<bool>(), subjects).prop_map(|(categories, otherwise, subjects)| {
                Box::new(Consent { categories, otherwise, subjects })
            });
        let note = (0..10_usize, ".{0,20}")
            .prop_map(|(kind, detail)| Note { kind: NoteKind::ALL[kind], detail });
        let notes = proptest::collection::vec(note, 0..3);
        (0..8_usize, proptest::option::of(consent), notes).prop_map(|(origin, consent, notes)| {
            Passage { origin: Origin::ALL[origin], consent, notes }
        })
    }

    /// What version 1 wrote: no passage, no origin.
    #[test]
    fn a_record_of_version_1_is_still_read() {
        let mut bytes = vec![1, 3, b'd', b'e', b'v', 7, 0, 0, 0, 0, 0, 0, 0, 1];
        bytes.extend_from_slice(&[
            1, 6, b'M', b'R', b'1', b'1', b'0', b'1', 1, b'r', 2, 2, b'4', b'2',
        ]);
        let batch = decode_batch(Bytes::from(bytes)).unwrap();
        let Some(Item::SetAside(aside)) = batch.items.first() else { panic!("{batch:?}") };
        assert_eq!((aside.origin, aside.kind, aside.full_length), (Origin::Spec, None, 2));
    }

    proptest! {
        #[test]
        fn a_batch_reads_back_as_it_was(
            items in proptest::collection::vec(any_item(), 0..8), at in any::<i64>()
        ) {
            let batch =
                Batch { pipeline: "dev".parse().unwrap(), received_at: UnixMillis(at), items };
            let mut bytes = Vec::new();
            encode_batch(&batch, &mut bytes);
            prop_assert_eq!(decode_batch(Bytes::from(bytes.clone())), Ok(batch));
            for cut in 0..bytes.len() {
                prop_assert!(decode_batch(Bytes::copy_from_slice(&bytes[..cut])).is_err());
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_batch(Bytes::from(bytes));
        }
    }
}
