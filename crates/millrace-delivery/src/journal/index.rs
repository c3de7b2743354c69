//! What the journal remembers of the batches of a segment, so that a restart need not read them.
//!
//! ```text
//! index := version:u8 pipelines:varint text* records:varint record* keys:varint key*
//!          also:varint (key:u64le)*
//! record := gap:varint pipeline:varint minute:i64le events:varint bytes:varint
//!           keys:varint also:varint
//! key := key:u128le body:u32le at:u32le
//! ```
//! `gap` is the distance to the record before (to 0 for the first). Keys are those of first events
//! and of items set aside, record by record; `also` are the low halves of the keys of message ids
//! that a trace finds beside them: those of duplicates, those of events whose key is made of more
//! than the id (DESIGN 9.5), and those that items set aside seem to have. Version 1 had one key for
//! each event, and nothing beside.
//!
//! It stands beside a sealed segment; the log checks that it is whole. When it is not there, the
//! segment is read instead.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use millrace_model::event::{Batch, DedupeKey, Item};
use millrace_model::id::{PipelineId, Seq};
use millrace_model::record::{
    RecordError, put_bytes, put_varint, take_i64, take_text, take_u8, take_varint,
};

use super::dedupe::First;

const VERSION: u8 = 2;
const OLDEST_VERSION: u8 = 1;

/// The number of a pipeline in this process.
pub(super) type PipelineNumber = u16;

/// The pipelines that were met, each with its number.
#[derive(Debug, Default)]
pub(super) struct Pipelines(Vec<PipelineId>);

impl Pipelines {
    /// The number of a pipeline, given at the first time. The names come from the configuration, so
    /// there are few; beyond 65,535 they share the last number's slot and are refused by the caller.
    pub(super) fn number(&mut self, pipeline: &PipelineId) -> PipelineNumber {
        let at = self.0.iter().position(|known| known == pipeline).unwrap_or_else(|| {
            self.0.push(pipeline.clone());
            self.0.len() - 1
        });
        PipelineNumber::try_from(at).unwrap_or(PipelineNumber::MAX)
    }

    pub(super) fn name(&self, number: PipelineNumber) -> Option<&PipelineId> {
        self.0.get(usize::from(number))
    }
}

/// One stored batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchNote {
    pub(super) seq: Seq,
    /// The minute of its receipt.
    pub(super) minute: i64,
    /// The bytes of its events.
    pub(super) bytes: u64,
    /// The number of its events: items that are open at first.
    pub(super) events: u32,
    pub(super) pipeline: PipelineNumber,
}

impl BatchNote {
    pub(super) fn of(seq: Seq, batch: &Batch, pipeline: PipelineNumber) -> BatchNote {
        let (mut events, mut bytes) = (0, 0);
        for item in &batch.items {
            if let Item::Event(event) = item {
                events += 1;
                bytes += event.body.len() as u64;
            }
        }
        BatchNote { seq, minute: batch.received_at.minute(), bytes, events, pipeline }
    }
}

/// The batches that some integration may still need, ascending.
#[derive(Debug, Default)]
pub(super) struct Notes(VecDeque<BatchNote>);

impl Notes {
    pub(super) fn push(&mut self, note: BatchNote) {
        self.0.push_back(note);
    }

    fn place(&self, seq: Seq) -> usize {
        self.0.partition_point(|note| note.seq < seq)
    }

    pub(super) fn find(&self, seq: Seq) -> Option<BatchNote> {
        self.0.get(self.place(seq)).copied().filter(|note| note.seq == seq)
    }

    /// The batches of a pipeline with events, from a record on.
    pub(super) fn of_pipeline(
        &self,
        pipeline: PipelineNumber,
        from: Seq,
    ) -> impl Iterator<Item = BatchNote> + '_ {
        let wanted = move |note: &BatchNote| note.pipeline == pipeline && note.events > 0;
        self.0.range(self.place(from)..).copied().filter(wanted)
    }

    /// Forgets what lies before a record.
    pub(super) fn forget_before(&mut self, seq: Seq) {
        while self.0.front().is_some_and(|note| note.seq < seq) {
            self.0.pop_front();
        }
    }
}

/// The index of one segment.
#[derive(Debug, Default)]
pub(super) struct SegmentIndex {
    pub(super) notes: Vec<BatchNote>,
    /// How many keys each of the batches has, and how many beside.
    pub(super) counts: Vec<(u32, u32)>,
    pub(super) keys: Vec<First>,
    pub(super) also: Vec<u64>,
}

impl SegmentIndex {
    pub(super) fn encode(&self, pipelines: &Pipelines) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.keys.len() * 24 + self.notes.len() * 16 + 64);
        out.push(VERSION);
        put_varint(&mut out, pipelines.0.len() as u64);
        for pipeline in &pipelines.0 {
            put_bytes(&mut out, pipeline.as_str().as_bytes());
        }
        put_varint(&mut out, self.notes.len() as u64);
        let mut before = 0;
        for (note, (keys, also)) in self.notes.iter().zip(&self.counts) {
            put_varint(&mut out, note.seq.0.saturating_sub(before));
            before = note.seq.0;
            put_varint(&mut out, u64::from(note.pipeline));
            out.extend_from_slice(&note.minute.to_le_bytes());
            put_varint(&mut out, u64::from(note.events));
            put_varint(&mut out, note.bytes);
            put_varint(&mut out, u64::from(*keys));
            put_varint(&mut out, u64::from(*also));
        }
        put_varint(&mut out, self.keys.len() as u64);
        for first in &self.keys {
            out.extend_from_slice(&first.key.0.to_le_bytes());
            out.extend_from_slice(&first.body.to_le_bytes());
            out.extend_from_slice(&first.at.to_le_bytes());
        }
        put_varint(&mut out, self.also.len() as u64);
        for key in &self.also {
            out.extend_from_slice(&key.to_le_bytes());
        }
        out
    }

    pub(super) fn decode(
        mut bytes: Bytes,
        pipelines: &mut Pipelines,
    ) -> Result<SegmentIndex, RecordError> {
        let version = take_u8(&mut bytes)?;
        if !(OLDEST_VERSION..=VERSION).contains(&version) {
            return Err(RecordError::Version(version));
        }
        let mut numbers = Vec::new();
        for _ in 0..take_varint(&mut bytes)? {
            let name = take_text(&mut bytes)?.parse().map_err(|_| RecordError::Bad("pipeline"))?;
            numbers.push(pipelines.number(&name));
        }
        let mut index = SegmentIndex::default();
        let mut seq = 0_u64;
        for _ in 0..take_varint(&mut bytes)? {
            seq = seq.saturating_add(take_varint(&mut bytes)?);
            let pipeline = usize::try_from(take_varint(&mut bytes)?).unwrap_or(usize::MAX);
            let note = BatchNote {
                seq: Seq(seq),
                pipeline: *numbers.get(pipeline).ok_or(RecordError::Bad("pipeline"))?,
                minute: take_i64(&mut bytes)?,
                events: take_count(&mut bytes)?,
                bytes: take_varint(&mut bytes)?,
            };
            index.counts.push(match version {
                1 => (note.events, 0),
                _ => (take_count(&mut bytes)?, take_count(&mut bytes)?),
            });
            index.notes.push(note);
        }
        for _ in 0..take_varint(&mut bytes)? {
            index.keys.push(First {
                key: DedupeKey(bytes.try_get_u128_le().map_err(|_| RecordError::Truncated)?),
                body: bytes.try_get_u32_le().map_err(|_| RecordError::Truncated)?,
                at: bytes.try_get_u32_le().map_err(|_| RecordError::Truncated)?,
            });
        }
        if version > 1 {
            for _ in 0..take_varint(&mut bytes)? {
                let key = bytes.try_get_u64_le().map_err(|_| RecordError::Truncated)?;
                index.also.push(key);
            }
        }
        Ok(index)
    }

    /// The batches with an item of this key, ascending.
    pub(super) fn find(&self, key: DedupeKey) -> Vec<Seq> {
        let (mut keys, mut also) = (self.keys.as_slice(), self.also.as_slice());
        let mut found = Vec::new();
        for (note, (of_keys, of_also)) in self.notes.iter().zip(&self.counts) {
            let own = keys.split_off(..(*of_keys as usize).min(keys.len())).unwrap_or_default();
            let beside = also.split_off(..(*of_also as usize).min(also.len())).unwrap_or_default();
            if own.iter().any(|first| first.key == key) || beside.contains(&low_half(key)) {
                found.push(note.seq);
            }
        }
        found
    }

    /// Takes up a stored batch whose first events are not known.
    pub(super) fn add(&mut self, seq: Seq, batch: &Batch, pipeline: PipelineNumber) {
        let before = self.keys.len();
        self.keys.extend(batch.items.iter().filter_map(|item| First::of(batch, item)));
        let keys = u32::try_from(self.keys.len() - before).unwrap_or(u32::MAX);
        let also = keys_beside(batch);
        self.push(BatchNote::of(seq, batch, pipeline), keys, &also);
    }

    /// Takes up a batch whose keys are added apart.
    pub(super) fn push(&mut self, note: BatchNote, keys: u32, also: &[u64]) {
        self.notes.push(note);
        self.counts.push((keys, u32::try_from(also.len()).unwrap_or(u32::MAX)));
        self.also.extend_from_slice(also);
    }
}

fn take_count(bytes: &mut Bytes) -> Result<u32, RecordError> {
    u32::try_from(take_varint(bytes)?).map_err(|_| RecordError::Bad("count"))
}

/// The half of a key by which items are found that have no key of their own.
pub(super) fn low_half(key: DedupeKey) -> u64 {
    key.0 as u64
}

/// The message ids by which a trace finds items beside their keys.
pub(super) fn keys_beside(batch: &Batch) -> Vec<u64> {
    let key = |id: &str| low_half(DedupeKey::new(&batch.pipeline, id));
    let of_item = |item: &Item| match item {
        Item::Event(event) => {
            // Mixpanel's key holds name and time, too; people ask for the id.
            let id = key(&event.facts.message_id);
            (id != low_half(event.dedupe_key)).then_some(id)
        }
        Item::Filtered(_) => None,
        Item::Duplicate(duplicate) => {
            (!duplicate.message_id.is_empty()).then(|| key(&duplicate.message_id))
        }
        Item::SetAside(aside) => claimed_id(&aside.body).map(key),
    };
    batch.items.iter().filter_map(of_item).collect()
}

/// The message id that an item too broken to be decoded seems to have: the first text behind one of
/// the usual names. Only for finding it again.
pub(super) fn claimed_id(body: &[u8]) -> Option<&str> {
    /// Further in, an id is that of something else.
    const LOOK_AT: usize = 4096;
    const LONGEST: usize = 512;
    let text = match std::str::from_utf8(body.get(..LOOK_AT.min(body.len()))?) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(body.get(..error.valid_up_to())?).ok()?,
    };
    let named = ["\"messageId\"", "\"_id\"", "\"$insert_id\""];
    let (_, rest) = named.iter().find_map(|name| text.split_once(name))?;
    let value = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    let (id, _) = value.split_once('"')?;
    (!id.is_empty() && id.len() <= LONGEST && !id.contains('\\')).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_in_broken_items() {
        for (body, id) in [
            (r#"{"messageId":"a-1","type":5}"#, Some("a-1")),
            (r#"{"type":"x","messageId" : "b" "#, Some("b")),
            (r#"{"_id":"xdm"}"#, Some("xdm")),
            (r#"{"messageId":7,"_id":"no"}"#, None),
            (r#"{"messageId":"a\"b"}"#, None),
            (r#"{"messageId":""}"#, None),
            (r#"{"messageId":"cut"#, None),
            ("[1]", None),
            ("", None),
        ] {
            assert_eq!(claimed_id(body.as_bytes()), id, "{body}");
        }
        assert_eq!(claimed_id(b"{\"messageId\":\"a\",\"x\":\"\xff"), Some("a"));
    }

    #[test]
    fn an_index_reads_back_and_its_first_version_too() {
        let mut pipelines = Pipelines::default();
        let pipeline = pipelines.number(&"web".parse().unwrap());
        let note = |seq| BatchNote { seq: Seq(seq), minute: 7, bytes: 20, events: 2, pipeline };
        let key = |key| First::new(DedupeKey(key), 5, millrace_model::time::UnixMillis(9000));
        let mut index = SegmentIndex::default();
        index.push(note(4), 2, &[]);
        index.push(note(9), 1, &[77, 1]);
        index.keys.extend([key(1), key(2), key(3)]);
        let found = |index: &SegmentIndex| [1, 2, 3, 77, 5].map(|key| index.find(DedupeKey(key)));
        let wanted = [vec![Seq(4), Seq(9)], vec![Seq(4)], vec![Seq(9)], vec![Seq(9)], vec![]];
        let bytes = Bytes::from(index.encode(&pipelines));
        let back = SegmentIndex::decode(bytes, &mut pipelines).unwrap();
        assert_eq!(found(&back), wanted);
        assert_eq!((back.notes, back.keys), (index.notes, index.keys));

        // As it was written before: no counts, and a key for each event.
        let mut old = vec![1, 1, 3];
        old.extend_from_slice(b"web");
        old.push(1);
        old.extend_from_slice(&[4, 0]);
        old.extend_from_slice(&7_i64.to_le_bytes());
        old.extend_from_slice(&[2, 20, 2]);
        for key in [1_u128, 2] {
            old.extend_from_slice(&key.to_le_bytes());
            old.extend_from_slice(&[5, 0, 0, 0, 9, 0, 0, 0]);
        }
        let back = SegmentIndex::decode(Bytes::from(old), &mut pipelines).unwrap();
        assert_eq!((back.find(DedupeKey(2)), back.keys.len()), (vec![Seq(4)], 2));
    }
}
