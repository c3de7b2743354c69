//! The record that says what was closed and what is being sent.
//!
//! ```text
//! progress := version:u8 section*
//! section  := integration:text closes:varint run* sendings:varint run*
//! run      := flags:u8 gap:varint place [rows:varint code:text? detail:text?]
//! place    := extent:varint                whole batches: seq to seq + extent
//!           | first:varint length:varint   some items of one batch
//! flags    := 1 some items, 2 code, 4 detail, 8 resent, state << 4
//! ```
//! `gap` is the distance to the `seq` of the run before in the same list. A whole batch means what
//! is open of it when the record is read; batches of other pipelines in between are not meant.
//! Members in brackets only in closes. A run of delivered batches costs about five octets.

use bytes::Bytes;
use millrace_model::disposition::Disposition;
use millrace_model::id::{Position, Seq};
use millrace_model::record::{RecordError, put_bytes, put_varint, take_text, take_u8, take_varint};

use super::types::Closed;

const VERSION: u8 = 1;
const SOME: u8 = 1;
const CODE: u8 = 2;
const DETAIL: u8 = 4;
const RESENT: u8 = 8;
/// The most that is kept of a code and of a detail, in bytes.
const CODE_LIMIT: usize = 64;
const DETAIL_LIMIT: usize = 512;

/// Which events a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// What is open of the batches from one record to another, both included.
    Whole { from: Seq, to: Seq },
    /// Some items of one batch.
    Some { seq: Seq, first: u32, length: u32 },
}

/// How events ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) state: Disposition,
    /// Empty for none.
    pub(super) code: String,
    /// Empty for none.
    pub(super) detail: String,
    /// The rows of each event.
    pub(super) rows: u32,
    pub(super) resent: bool,
}

impl Ending {
    pub(super) fn of(closed: &Closed) -> Ending {
        Ending {
            state: closed.state,
            code: cut(closed.code.as_deref().unwrap_or_default(), CODE_LIMIT).to_owned(),
            detail: cut(closed.detail.as_deref().unwrap_or_default(), DETAIL_LIMIT).to_owned(),
            rows: closed.rows,
            resent: closed.resent,
        }
    }
}

/// True when two events ended alike.
pub(super) fn alike(a: &Closed, b: &Closed) -> bool {
    (a.state, a.rows, a.resent) == (b.state, b.rows, b.resent)
        && a.code == b.code
        && a.detail == b.detail
}

/// The front of a text, at most so many bytes.
fn cut(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// What one progress record says about one integration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) integration: String,
    pub(super) closes: Vec<(Place, Ending)>,
    pub(super) sendings: Vec<Place>,
}

/// The runs of some positions of one batch after the other; `positions` ascending.
pub(super) fn runs(positions: &[Position]) -> Vec<Place> {
    let mut runs: Vec<Place> = Vec::new();
    for position in positions {
        if let Some(Place::Some { seq, first, length }) = runs.last_mut()
            && *seq == position.seq
            && first.checked_add(*length) == Some(position.index)
        {
            *length += 1;
            continue;
        }
        runs.push(Place::Some { seq: position.seq, first: position.index, length: 1 });
    }
    runs
}

pub(super) fn encode(sections: &[Section], out: &mut Vec<u8>) {
    out.push(VERSION);
    for section in sections {
        put_bytes(out, section.integration.as_bytes());
        put_varint(out, section.closes.len() as u64);
        let mut before = 0;
        for (place, ending) in &section.closes {
            let flags = if ending.code.is_empty() { 0 } else { CODE }
                | if ending.detail.is_empty() { 0 } else { DETAIL }
                | if ending.resent { RESENT } else { 0 }
                | ending.state.to_byte() << 4;
            put_place(out, flags, *place, &mut before);
            put_varint(out, u64::from(ending.rows));
            for text in [&ending.code, &ending.detail] {
                if !text.is_empty() {
                    put_bytes(out, text.as_bytes());
                }
            }
        }
        put_varint(out, section.sendings.len() as u64);
        let mut before = 0;
        for place in &section.sendings {
            put_place(out, 0, *place, &mut before);
        }
    }
}

fn put_place(out: &mut Vec<u8>, flags: u8, place: Place, before: &mut u64) {
    let (flags, seq, numbers) = match place {
        Place::Whole { from, to } => (flags, from.0, [Some(to.0.saturating_sub(from.0)), None]),
        Place::Some { seq, first, length } => {
            (flags | SOME, seq.0, [Some(u64::from(first)), Some(u64::from(length))])
        }
    };
    out.push(flags);
    put_varint(out, seq.saturating_sub(*before));
    *before = seq;
    for number in numbers.into_iter().flatten() {
        put_varint(out, number);
    }
}

pub(super) fn decode(mut bytes: Bytes) -> Result<Vec<Section>, RecordError> {
    let version = take_u8(&mut bytes)?;
    if version != VERSION {
        return Err(RecordError::Version(version));
    }
    let mut sections = Vec::new();
    while !bytes.is_empty() {
        let mut section = Section { integration: take_text(&mut bytes)?, ..Section::default() };
        let mut before = 0;
        for _ in 0..take_varint(&mut bytes)? {
            let (flags, place) = take_place(&mut bytes, &mut before)?;
            let state = Disposition::from_byte(flags >> 4).ok_or(RecordError::Bad("state"))?;
            let rows = take_u32(&mut bytes)?;
            let mut text = |flag| {
                if flags & flag == 0 { Ok(String::new()) } else { take_text(&mut bytes) }
            };
            let (code, detail) = (text(CODE)?, text(DETAIL)?);
            let ending = Ending { state, code, detail, rows, resent: flags & RESENT != 0 };
            section.closes.push((place, ending));
        }
        let mut before = 0;
        for _ in 0..take_varint(&mut bytes)? {
            section.sendings.push(take_place(&mut bytes, &mut before)?.1);
        }
        sections.push(section);
    }
    Ok(sections)
}

fn take_u32(bytes: &mut Bytes) -> Result<u32, RecordError> {
    u32::try_from(take_varint(bytes)?).map_err(|_| RecordError::Bad("number"))
}

fn take_place(bytes: &mut Bytes, before: &mut u64) -> Result<(u8, Place), RecordError> {
    let flags = take_u8(bytes)?;
    let seq = before.saturating_add(take_varint(bytes)?);
    *before = seq;
    let place = if flags & SOME == 0 {
        Place::Whole { from: Seq(seq), to: Seq(seq.saturating_add(take_varint(bytes)?)) }
    } else {
        Place::Some { seq: Seq(seq), first: take_u32(bytes)?, length: take_u32(bytes)? }
    };
    Ok((flags, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_read_back_and_delivered_batches_cost_little() {
        let delivered = Ending {
            state: Disposition::Delivered,
            code: String::new(),
            detail: String::new(),
            rows: 1,
            resent: false,
        };
        let rejected = Ending {
            state: Disposition::Rejected,
            code: "MR3001".to_owned(),
            detail: "'properties.time' is invalid".to_owned(),
            rows: 1,
            resent: true,
        };
        let sections = vec![Section {
            integration: "mixpanel".to_owned(),
            closes: vec![
                (Place::Whole { from: Seq(1_000_000), to: Seq(1_000_900) }, delivered),
                (Place::Some { seq: Seq(1_000_901), first: 3, length: 2 }, rejected),
            ],
            sendings: vec![Place::Some { seq: Seq(5), first: 0, length: 100 }],
        }];
        let mut out = Vec::new();
        encode(&sections, &mut out);
        assert_eq!(decode(Bytes::from(out.clone())), Ok(sections.clone()));
        for cut in 1..out.len() {
            assert_ne!(decode(Bytes::copy_from_slice(&out[..cut])), Ok(sections.clone()));
        }
        let mut small = Vec::new();
        let first = Section { closes: sections[0].closes[..1].to_vec(), ..Section::default() };
        encode(&[first], &mut small);
        assert!(small.len() <= 12, "{} octets for 901 batches", small.len());
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(cut("äöü", 3), "ä");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("", 3), "");
    }
}
