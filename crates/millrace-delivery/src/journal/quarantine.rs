//! What the door has set aside and what of it can be looked at and fed again: an index over the
//! items, which stay in the records that they came with (DESIGN 9.3).
//!
//! Invariants:
//! - Never more entries and never more kept bytes than the caps say. The oldest go first and are
//!   counted by pipeline and code.
//! - It keeps nothing on the disk: an entry whose record was dropped with its segment is gone, too.
//! - It stands whole in every checkpoint, and what follows changes it in the order of the records:
//!   after a restart it is what it was.
//!
//! ```text
//! quarantine := names:varint text* codes:varint text* count:varint entry*
//!               dropped:varint (name:varint code:varint count:varint)*
//! entry      := gap:varint index:varint at:i64le name:varint code:varint origin:u8 kind:u8
//!               kept:varint full:varint
//! ```
//! `gap` is the distance to the record of the entry before, `kind` 255 for none.

use std::collections::BTreeMap;

use bytes::Bytes;
use millrace_model::code::Code;
use millrace_model::event::{Batch, EventKind, Item};
use millrace_model::id::{PipelineId, Position, Seq};
use millrace_model::passage::Origin;
use millrace_model::record::{
    RecordError, put_bytes, put_varint, take_i64, take_text, take_u8, take_varint,
};
use millrace_model::time::UnixMillis;

use super::index::{PipelineNumber, Pipelines};
use super::options::QuarantineOptions;

const NO_KIND: u8 = 255;

/// An item that was set aside at the door, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The item.
    pub position: Position,
    /// The pipeline that it came in by.
    pub pipeline: PipelineId,
    /// When its request was received.
    pub received_at: UnixMillis,
    /// Why it was set aside.
    pub code: Code,
    /// The protocol that it came in by.
    pub origin: Origin,
    /// What its path said it is.
    pub kind: Option<EventKind>,
    /// The bytes that are kept of it.
    pub kept: u64,
    /// The bytes that it had.
    pub full_length: u64,
}

/// Which items are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldQuery {
    /// Only those of this pipeline.
    pub pipeline: Option<PipelineId>,
    /// Only those with this code.
    pub code: Option<Code>,
    /// Only those that were received at this time or later.
    pub since: Option<UnixMillis>,
    /// The oldest first; else the newest.
    pub oldest_first: bool,
    /// Go on behind this one, in the order of the question.
    pub behind: Option<Position>,
    /// At most this many.
    pub limit: usize,
}

/// A part of what is held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldPage {
    /// The items.
    pub items: Vec<Held>,
    /// There are more behind the last of them.
    pub more: bool,
    /// How many items are held at all.
    pub entries: u64,
    /// The bytes that are kept of all of them.
    pub bytes: u64,
    /// How many were dropped because the quarantine was full, by pipeline and code, in all time.
    pub dropped: Vec<(PipelineId, Code, u64)>,
}

/// What is remembered of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) pipeline: PipelineNumber,
    pub(super) at: UnixMillis,
    pub(super) code: Code,
    pub(super) origin: Origin,
    pub(super) kind: Option<EventKind>,
    pub(super) kept: u32,
    pub(super) full_length: u64,
}

impl Entry {
    /// The items of a batch that were set aside, with their places.
    pub(super) fn of(batch: &Batch, pipeline: PipelineNumber) -> Vec<(u32, Entry)> {
        let entry = |(item, index): (&Item, u32)| match item {
            Item::SetAside(aside) => Some((
                index,
                Entry {
                    pipeline,
                    at: batch.received_at,
                    code: aside.code,
                    origin: aside.origin,
                    kind: aside.kind,
                    kept: u32::try_from(aside.body.len()).unwrap_or(u32::MAX),
                    full_length: aside.full_length,
                },
            )),
            Item::Event(_) | Item::Duplicate(_) | Item::Filtered(_) => None,
        };
        batch.items.iter().zip(0_u32..).filter_map(entry).collect()
    }
}

/// The index.
#[derive(Debug)]
pub(super) struct Quarantine {
    entries: BTreeMap<Position, Entry>,
    bytes: u64,
    caps: QuarantineOptions,
    dropped: BTreeMap<(PipelineNumber, Code), u64>,
}

impl Quarantine {
    pub(super) fn new(caps: QuarantineOptions) -> Quarantine {
        Quarantine { entries: BTreeMap::new(), bytes: 0, caps, dropped: BTreeMap::new() }
    }

    /// Takes an item in; the oldest make room.
    pub(super) fn hold(&mut self, position: Position, entry: Entry) {
        self.bytes += u64::from(entry.kept);
        if let Some(before) = self.entries.insert(position, entry) {
            self.bytes = self.bytes.saturating_sub(u64::from(before.kept));
        }
        while self.entries.len() > self.caps.entries || self.bytes > self.caps.bytes {
            let Some((_, oldest)) = self.entries.pop_first() else { return };
            self.bytes = self.bytes.saturating_sub(u64::from(oldest.kept));
            *self.dropped.entry((oldest.pipeline, oldest.code)).or_default() += 1;
        }
    }

    pub(super) fn get(&self, position: Position) -> Option<&Entry> {
        self.entries.get(&position)
    }

    /// Lets an item go that was fed again.
    pub(super) fn release(&mut self, position: Position) {
        if let Some(entry) = self.entries.remove(&position) {
            self.bytes = self.bytes.saturating_sub(u64::from(entry.kept));
        }
    }

    /// Forgets what was dropped with its segment.
    pub(super) fn end_before(&mut self, first: Seq) {
        while let Some(oldest) = self.entries.first_entry()
            && oldest.key().seq < first
        {
            self.bytes = self.bytes.saturating_sub(u64::from(oldest.remove().kept));
        }
    }

    /// The items that a question is about.
    pub(super) fn list(&self, query: &HeldQuery, pipelines: &Pipelines) -> HeldPage {
        let mut page = HeldPage {
            entries: self.entries.len() as u64,
            bytes: self.bytes,
            dropped: self.dropped(pipelines),
            ..HeldPage::default()
        };
        let matches = |entry: &Entry| {
            query.code.is_none_or(|code| code == entry.code)
                && query.since.is_none_or(|since| entry.at >= since)
                && query
                    .pipeline
                    .as_ref()
                    .is_none_or(|wanted| pipelines.name(entry.pipeline) == Some(wanted))
        };
        let mut entries: Box<dyn Iterator<Item = (&Position, &Entry)>> = match query.oldest_first {
            true => Box::new(self.entries.iter()),
            false => Box::new(self.entries.iter().rev()),
        };
        if let Some(behind) = query.behind {
            entries = match query.oldest_first {
                true => Box::new(self.entries.iter().filter(move |(at, _)| **at > behind)),
                false => Box::new(self.entries.range(..behind).rev()),
            };
        }
        for (position, entry) in entries.filter(|(_, entry)| matches(entry)) {
            if page.items.len() == query.limit {
                page.more = true;
                break;
            }
            page.items.extend(held(*position, entry, pipelines));
        }
        page
    }

    /// What is remembered of an item, if it is held.
    pub(super) fn one(&self, position: Position, pipelines: &Pipelines) -> Option<Held> {
        held(position, self.get(position)?, pipelines)
    }

    fn dropped(&self, pipelines: &Pipelines) -> Vec<(PipelineId, Code, u64)> {
        let name = |((pipeline, code), count): (&(PipelineNumber, Code), &u64)| {
            Some((pipelines.name(*pipeline)?.clone(), *code, *count))
        };
        self.dropped.iter().filter_map(name).collect()
    }

    pub(super) fn encode(&self, pipelines: &Pipelines, out: &mut Vec<u8>) {
        let mut names: Vec<PipelineNumber> = self.entries.values().map(|e| e.pipeline).collect();
        names.extend(self.dropped.keys().map(|(pipeline, _)| *pipeline));
        names.sort_unstable();
        names.dedup();
        let mut codes: Vec<Code> = self.entries.values().map(|e| e.code).collect();
        codes.extend(self.dropped.keys().map(|(_, code)| *code));
        codes.sort_unstable();
        codes.dedup();
        put_varint(out, names.len() as u64);
        for name in &names {
            put_bytes(out, pipelines.name(*name).map_or("", PipelineId::as_str).as_bytes());
        }
        put_varint(out, codes.len() as u64);
        for code in &codes {
            put_bytes(out, code.as_str().as_bytes());
        }
        let name_at = |name| names.binary_search(name).unwrap_or_default() as u64;
        let code_at = |code| codes.binary_search(code).unwrap_or_default() as u64;
        put_varint(out, self.entries.len() as u64);
        let mut before = 0;
        for (position, entry) in &self.entries {
            put_varint(out, position.seq.0.saturating_sub(before));
            before = position.seq.0;
            put_varint(out, u64::from(position.index));
            out.extend_from_slice(&entry.at.0.to_le_bytes());
            put_varint(out, name_at(&entry.pipeline));
            put_varint(out, code_at(&entry.code));
            out.push(entry.origin.to_byte());
            out.push(entry.kind.map_or(NO_KIND, kind_byte));
            put_varint(out, u64::from(entry.kept));
            put_varint(out, entry.full_length);
        }
        put_varint(out, self.dropped.len() as u64);
        for ((pipeline, code), count) in &self.dropped {
            put_varint(out, name_at(pipeline));
            put_varint(out, code_at(code));
            put_varint(out, *count);
        }
    }

    /// Takes up what a checkpoint says. Caps that have become smaller show at once.
    pub(super) fn decode(
        &mut self,
        bytes: &mut Bytes,
        pipelines: &mut Pipelines,
    ) -> Result<(), RecordError> {
        let (mut names, mut codes) = (Vec::new(), Vec::new());
        for _ in 0..take_varint(bytes)? {
            let name = take_text(bytes)?.parse().map_err(|_| RecordError::Bad("pipeline"))?;
            names.push(pipelines.number(&name));
        }
        for _ in 0..take_varint(bytes)? {
            codes.push(Code::parse(&take_text(bytes)?).ok_or(RecordError::Bad("code"))?);
        }
        let name = |bytes: &mut Bytes| pick(&names, take_varint(bytes)?, "pipeline");
        let code = |bytes: &mut Bytes| pick(&codes, take_varint(bytes)?, "code");
        let mut entries = Vec::new();
        let mut seq = 0_u64;
        for _ in 0..take_varint(bytes)? {
            seq = seq.saturating_add(take_varint(bytes)?);
            let index = u32::try_from(take_varint(bytes)?).unwrap_or(u32::MAX);
            let entry = Entry {
                at: UnixMillis(take_i64(bytes)?),
                pipeline: name(bytes)?,
                code: code(bytes)?,
                origin: Origin::from_byte(take_u8(bytes)?).ok_or(RecordError::Bad("origin"))?,
                kind: take_kind(bytes)?,
                kept: u32::try_from(take_varint(bytes)?).unwrap_or(u32::MAX),
                full_length: take_varint(bytes)?,
            };
            entries.push((Position { seq: Seq(seq), index }, entry));
        }
        for _ in 0..take_varint(bytes)? {
            let key = (name(bytes)?, code(bytes)?);
            *self.dropped.entry(key).or_default() += take_varint(bytes)?;
        }
        for (position, entry) in entries {
            self.hold(position, entry);
        }
        Ok(())
    }
}

fn held(position: Position, entry: &Entry, pipelines: &Pipelines) -> Option<Held> {
    Some(Held {
        position,
        pipeline: pipelines.name(entry.pipeline)?.clone(),
        received_at: entry.at,
        code: entry.code,
        origin: entry.origin,
        kind: entry.kind,
        kept: u64::from(entry.kept),
        full_length: entry.full_length,
    })
}

fn pick<T: Copy>(list: &[T], at: u64, what: &'static str) -> Result<T, RecordError> {
    let at = usize::try_from(at).map_err(|_| RecordError::Bad(what))?;
    list.get(at).copied().ok_or(RecordError::Bad(what))
}

fn kind_byte(kind: EventKind) -> u8 {
    let at = EventKind::ALL.into_iter().position(|known| known == kind);
    at.and_then(|at| u8::try_from(at).ok()).unwrap_or(NO_KIND)
}

fn take_kind(bytes: &mut Bytes) -> Result<Option<EventKind>, RecordError> {
    match take_u8(bytes)? {
        NO_KIND => Ok(None),
        byte => match EventKind::ALL.get(usize::from(byte)) {
            Some(kind) => Ok(Some(*kind)),
            None => Err(RecordError::Bad("kind")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pipeline: PipelineNumber, second: i64, kept: u32) -> Entry {
        Entry {
            pipeline,
            at: UnixMillis(second * 1000),
            code: if second % 2 == 0 { Code::NotAnObject } else { Code::UnknownType },
            origin: Origin::Edge,
            kind: (second % 3 == 0).then_some(EventKind::Screen),
            kept,
            full_length: u64::from(kept) * 2,
        }
    }

    fn at(seq: u64, index: u32) -> Position {
        Position { seq: Seq(seq), index }
    }

    fn pipelines() -> Pipelines {
        let mut pipelines = Pipelines::default();
        pipelines.number(&"web".parse().unwrap());
        pipelines.number(&"app".parse().unwrap());
        pipelines
    }

    fn filled(caps: QuarantineOptions) -> Quarantine {
        let mut quarantine = Quarantine::new(caps);
        for number in 0..20_u32 {
            let pipeline = u16::try_from(number % 2).unwrap();
            let seq = u64::from(number / 3) + 1;
            quarantine.hold(at(seq, number % 3), entry(pipeline, i64::from(number), 10));
        }
        quarantine
    }

    #[test]
    fn the_caps_hold_and_what_they_drop_is_counted() {
        for (entries, bytes, left) in [(5, 1000, 5), (100, 72, 7), (0, 1000, 0), (20, 200, 20)] {
            let quarantine = filled(QuarantineOptions { entries, bytes });
            let page =
                quarantine.list(&HeldQuery { limit: 100, ..HeldQuery::default() }, &pipelines());
            assert_eq!((page.items.len(), page.entries), (left, left as u64));
            assert_eq!(page.bytes, left as u64 * 10);
            let dropped: u64 = page.dropped.iter().map(|(_, _, count)| count).sum();
            assert_eq!(dropped, 20 - left as u64);
            assert!(page.items.iter().all(|held| held.received_at.0 >= (20 - left as i64) * 1000));
        }
    }

    /// A checkpoint comes after 16 MB of records: a full quarantine is 2 or 3 of a hundred bytes.
    #[test]
    fn a_full_quarantine_takes_little_of_a_checkpoint() {
        let caps = QuarantineOptions::default();
        let mut quarantine = Quarantine::new(caps);
        for number in 0..30_000_u32 {
            quarantine.hold(at(u64::from(number) * 3, 0), entry(0, i64::from(number), 1200));
        }
        let mut out = Vec::new();
        quarantine.encode(&pipelines(), &mut out);
        assert!(out.len() <= caps.entries * 20 + 100, "{} octets", out.len());
    }

    #[test]
    fn questions_are_answered_in_pages_in_both_orders() {
        let quarantine = filled(QuarantineOptions::default());
        let pipelines = pipelines();
        for oldest_first in [true, false] {
            let mut query = HeldQuery { limit: 3, oldest_first, ..HeldQuery::default() };
            query.pipeline = Some("web".parse().unwrap());
            query.since = Some(UnixMillis(4000));
            let mut seconds = Vec::new();
            loop {
                let page = quarantine.list(&query, &pipelines);
                seconds.extend(page.items.iter().map(|held| held.received_at.0 / 1000));
                query.behind = page.items.last().map(|held| held.position);
                if !page.more {
                    break;
                }
            }
            let mut wanted: Vec<i64> = (4..20).step_by(2).collect();
            if !oldest_first {
                wanted.reverse();
            }
            assert_eq!(seconds, wanted);
        }
        let coded = HeldQuery { code: Some(Code::UnknownType), limit: 99, ..HeldQuery::default() };
        assert_eq!(quarantine.list(&coded, &pipelines).items.len(), 10);
    }

    #[test]
    fn it_reads_back_and_ends_with_its_records() {
        let mut quarantine = filled(QuarantineOptions { entries: 15, bytes: 1000 });
        quarantine.release(at(4, 1));
        quarantine.release(at(4, 1));
        let mut out = Vec::new();
        quarantine.encode(&pipelines(), &mut out);
        // Numbers are given anew in another process.
        let mut others = Pipelines::default();
        others.number(&"other".parse().unwrap());
        let mut back = Quarantine::new(QuarantineOptions::default());
        back.decode(&mut Bytes::from(out.clone()), &mut others).unwrap();
        let all = HeldQuery { limit: 100, ..HeldQuery::default() };
        assert_eq!(back.list(&all, &others), quarantine.list(&all, &pipelines()));
        for cut in 0..out.len() {
            let mut bytes = Bytes::copy_from_slice(&out[..cut]);
            let mut back = Quarantine::new(QuarantineOptions::default());
            assert!(back.decode(&mut bytes, &mut Pipelines::default()).is_err(), "{cut}");
        }
        back.end_before(Seq(6));
        let page = back.list(&all, &others);
        assert!(page.items.iter().all(|held| held.position.seq >= Seq(6)));
        assert_eq!(page.bytes, page.entries * 10);
    }
}
