//! What the journal remembers of the batches of a segment, so that a restart need not read them.
//!
//! ```text
//! index := version:u8 pipelines:varint text* records:varint record* keys:varint key*
//! record := gap:varint pipeline:varint minute:i64le events:varint bytes:varint
//! key := key:u128le body:u32le at:u32le
//! ```
//! `gap` is the distance to the record before (to 0 for the first). It stands beside a sealed
//! segment; the log checks that it is whole. When it is not there, the segment is read instead.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use millrace_model::event::{Batch, DedupeKey, Item};
use millrace_model::id::{PipelineId, Seq};
use millrace_model::record::{
    RecordError, put_bytes, put_varint, take_i64, take_text, take_u8, take_varint,
};

use super::dedupe::First;

const VERSION: u8 = 1;

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
    pub(super) keys: Vec<First>,
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
        for note in &self.notes {
            put_varint(&mut out, note.seq.0.saturating_sub(before));
            before = note.seq.0;
            put_varint(&mut out, u64::from(note.pipeline));
            out.extend_from_slice(&note.minute.to_le_bytes());
            put_varint(&mut out, u64::from(note.events));
            put_varint(&mut out, note.bytes);
        }
        put_varint(&mut out, self.keys.len() as u64);
        for first in &self.keys {
            out.extend_from_slice(&first.key.0.to_le_bytes());
            out.extend_from_slice(&first.body.to_le_bytes());
            out.extend_from_slice(&first.at.to_le_bytes());
        }
        out
    }

    pub(super) fn decode(
        mut bytes: Bytes,
        pipelines: &mut Pipelines,
    ) -> Result<SegmentIndex, RecordError> {
        let version = take_u8(&mut bytes)?;
        if version != VERSION {
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
            index.notes.push(BatchNote {
                seq: Seq(seq),
                pipeline: *numbers.get(pipeline).ok_or(RecordError::Bad("pipeline"))?,
                minute: take_i64(&mut bytes)?,
                events: u32::try_from(take_varint(&mut bytes)?)
                    .map_err(|_| RecordError::Bad("count"))?,
                bytes: take_varint(&mut bytes)?,
            });
        }
        for _ in 0..take_varint(&mut bytes)? {
            index.keys.push(First {
                key: DedupeKey(bytes.try_get_u128_le().map_err(|_| RecordError::Truncated)?),
                body: bytes.try_get_u32_le().map_err(|_| RecordError::Truncated)?,
                at: bytes.try_get_u32_le().map_err(|_| RecordError::Truncated)?,
            });
        }
        Ok(index)
    }

    /// Takes up a batch as it is stored.
    pub(super) fn add(&mut self, seq: Seq, batch: &Batch, pipeline: PipelineNumber) {
        self.notes.push(BatchNote::of(seq, batch, pipeline));
        for item in &batch.items {
            if let Item::Event(event) = item {
                self.keys.push(First::new(event.dedupe_key, event.body_hash, batch.received_at));
            }
        }
    }
}
