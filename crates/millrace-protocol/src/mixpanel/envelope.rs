//! The records of a call: where they are, and whose project each names.

use bytes::Bytes;

use millrace_model::secret::Secret;

use super::Endpoint;
use crate::error::DecodeError;
use crate::json::{Fault, Scanner, Span, each_member, name, text};
use crate::limits::Limits;

/// What a record costs in memory beside its bytes: its place, its canonical event, its item.
const RECORD_BYTES: usize = 768;

/// The records of one call.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub(super) endpoint: Endpoint,
    pub(super) body: Bytes,
    pub(super) records: Vec<RawRecord>,
}

/// One record, as far as its envelope knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawRecord {
    pub(super) whole: Span,
    pub(super) depth: usize,
    /// False for a line that is no JSON at all.
    pub(super) is_json: bool,
    /// The project token; empty when the record names none.
    token: Span,
}

impl Envelope {
    /// Finds the records in the text of a call: an array, one object, or one object a line.
    ///
    /// # Errors
    /// When the text is no JSON, or holds more records than the limit.
    pub fn read(endpoint: Endpoint, body: Bytes, limits: &Limits) -> Result<Envelope, DecodeError> {
        let mut records = Vec::new();
        let mut scanner = Scanner::new(&body);
        match scanner.peek() {
            None => return Err(DecodeError::Empty),
            Some(b'[') => {
                scanner.enter()?;
                let mut first = true;
                while scanner.next_item(&mut first)? {
                    add(&mut records, scan(&mut scanner, &body, endpoint)?, limits)?;
                }
                scanner.end()?;
            }
            Some(_) => {
                let one = scan(&mut scanner, &body, endpoint);
                match one.and_then(|record| scanner.end().map(|()| record)) {
                    Ok(record) => records.push(record),
                    Err(fault) => read_lines(&body, endpoint, limits, fault, &mut records)?,
                }
            }
        }
        Ok(Envelope { endpoint, body, records })
    }

    /// The number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// True when there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The project token that a record names.
    #[must_use]
    pub fn token(&self, place: usize) -> Option<Secret> {
        let token = text(self.records.get(place)?.token.of(&self.body))?;
        Some(Secret::new(token.into_owned())).filter(|token| !token.is_empty())
    }

    /// How many bytes admitting the records takes beside the body, at most.
    #[must_use]
    pub fn admission_bytes(&self) -> usize {
        self.records.len().saturating_mul(RECORD_BYTES).saturating_add(self.body.len())
    }
}

/// What path takes this record, when a line by itself is one of Mixpanel's own SDKs: it names its
/// project token where they do, and has no `type`, which every Segment call has.
#[must_use]
pub fn endpoint_of(line: &[u8]) -> Option<Endpoint> {
    let mut scanner = Scanner::new(line);
    let whole = scanner.value().ok()?;
    scanner.end().ok()?;
    let (mut typed, mut of_profile, mut of_group, mut of_event) = (false, false, false, false);
    each_member(line, whole, |key, value| match name(key.of(line)).as_ref() {
        b"type" => typed = true,
        b"$token" => of_profile = true,
        b"$group_key" => of_group = true,
        b"properties" => each_member(line, value, |key, _| of_event |= key_is(line, key, b"token")),
        _ => {}
    });
    match (typed, of_profile, of_group, of_event) {
        (true, ..) => None,
        (_, true, true, _) => Some(Endpoint::Groups),
        (_, true, false, _) => Some(Endpoint::Engage),
        (_, false, _, true) => Some(Endpoint::Track),
        (_, false, _, false) => None,
    }
}

fn add(
    records: &mut Vec<RawRecord>,
    record: RawRecord,
    limits: &Limits,
) -> Result<(), DecodeError> {
    if records.len() >= limits.batch_events {
        return Err(DecodeError::TooManyEvents { limit: limits.batch_events });
    }
    records.push(record);
    Ok(())
}

/// Reads one record a line. A line that is no JSON costs itself, unless every line is like that:
/// then it is the text as a whole that is no JSON.
fn read_lines(
    body: &[u8],
    endpoint: Endpoint,
    limits: &Limits,
    fault: Fault,
    records: &mut Vec<RawRecord>,
) -> Result<(), DecodeError> {
    let mut start = 0;
    for line in body.split(|byte| *byte == b'\n') {
        let span = Span::new(start, start + line.len());
        start += line.len() + 1;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let mut scanner = Scanner::again(body, span);
        let record = scan(&mut scanner, body, endpoint)
            .and_then(|record| scanner.end().map(|()| record))
            .unwrap_or(RawRecord { whole: span, depth: 0, is_json: false, token: Span::default() });
        add(records, record, limits)?;
    }
    if records.iter().any(|record| record.is_json) { Ok(()) } else { Err(fault.into()) }
}

fn scan(scanner: &mut Scanner<'_>, body: &[u8], endpoint: Endpoint) -> Result<RawRecord, Fault> {
    scanner.measure();
    let base = scanner.depth();
    let whole = scanner.value()?;
    let depth = scanner.deepest() - base;
    let mut token = Span::default();
    let wanted: &[u8] = if endpoint.takes_events() { b"token" } else { b"$token" };
    each_member(body, whole, |key, value| {
        let name = name(key.of(body));
        if endpoint.takes_events() && name.as_ref() == b"properties" {
            each_member(body, value, |key, value| {
                if key_is(body, key, wanted) {
                    token = value;
                }
            });
        } else if !endpoint.takes_events() && name.as_ref() == wanted {
            token = value;
        }
    });
    Ok(RawRecord { whole, depth, is_json: true, token })
}

fn key_is(body: &[u8], key: Span, wanted: &[u8]) -> bool {
    name(key.of(body)).as_ref() == wanted
}
