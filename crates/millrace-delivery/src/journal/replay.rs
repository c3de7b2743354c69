//! Opening a journal: from the last checkpoint and what follows to the state before the stop.
//!
//! 1. The newest segment is read; if it has no checkpoint, the one before, and so on. A checkpoint
//!    is written when a segment begins, so this is one segment, or two after a crash at that point.
//! 2. The indexes of the older segments give the batches from the lowest open position on and the
//!    message ids of the dedupe window. A segment without a whole index is read, and gets one.
//! 3. The records after the checkpoint are applied as they were after their commits.
//! 4. The integrations are compared with the configured ones, what is open is counted anew from the
//!    positions, and a checkpoint is written.

use std::sync::Arc;

use millrace_log::{LogError, LogStore};
use millrace_model::id::{IntegrationId, PipelineId, Seq};
use millrace_model::record::RecordError;
use millrace_model::time::{Clock, UnixMillis};

use super::checkpoint;
use super::consents::{self, Record};
use super::core::{
    JournalCore, KIND_BATCH, KIND_CHECKPOINT, KIND_CONSENTS, KIND_PROGRESS, KIND_REFEED,
};
use super::index::SegmentIndex;
use super::options::JournalOptions;
use super::positions::Track;
use super::progress;
use super::refeed::batch_of;
use super::stored::Stored;
use super::types::{JournalError, ReadError};

/// The bytes that are read at once.
const READ_BYTES: usize = 1 << 20;

impl From<ReadError> for JournalError {
    fn from(error: ReadError) -> JournalError {
        match error {
            ReadError::Log(error) => JournalError::Log(error),
            ReadError::Record { seq, source } => JournalError::Record { seq, source },
            ReadError::Stopped => JournalError::Log(LogError::Poisoned),
        }
    }
}

impl<L: LogStore> JournalCore<L> {
    /// Opens a journal on a log.
    pub(super) fn open(
        log: L,
        options: JournalOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<JournalCore<L>, JournalError> {
        for (at, (integration, _)) in options.integrations.iter().enumerate() {
            if options.integrations.iter().skip(at + 1).any(|(other, _)| other == integration) {
                return Err(JournalError::Twice(integration.clone()));
            }
        }
        let mut core = JournalCore::blank(log, options, clock);
        let checkpoint = core.find_checkpoint()?;
        core.hear_consents(checkpoint)?;
        core.load_indexes()?;
        core.replay(checkpoint.map_or(core.log.first(), Seq::next))?;
        let changed = core.reconcile()?;
        core.advance();
        match core.write_checkpoint() {
            Ok(()) => {}
            // The state is that of the last checkpoint and what follows; only a changed set of
            // integrations must be written down before anything is admitted.
            Err(LogError::DiskFull) if !changed => core.log.rollback(),
            Err(error) => return Err(error.into()),
        }
        Ok(core)
    }

    /// Reads the records of a span.
    pub(super) fn each_record(
        &mut self,
        from: Seq,
        end: Seq,
        mut take: impl FnMut(&mut Self, millrace_log::Entry) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let mut next = from;
        while next < end {
            let entries = self.log.read(next, READ_BYTES)?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                next = entry.seq.next();
                if entry.seq < end {
                    take(self, entry)?;
                }
            }
        }
        Ok(())
    }

    /// Restores the last checkpoint; its record, when there is one.
    fn find_checkpoint(&mut self) -> Result<Option<Seq>, ReadError> {
        let bases: Vec<Seq> = self.log.stats().segments.iter().map(|s| s.base).collect();
        let mut end = self.log.next();
        for base in bases.into_iter().rev() {
            let mut found = None;
            self.each_record(base, end, |_, entry| {
                if entry.kind == KIND_CHECKPOINT {
                    found = Some(entry);
                }
                Ok(())
            })?;
            if let Some(entry) = found {
                let seq = entry.seq;
                let restored = checkpoint::decode(entry.payload, &mut self.pipelines)
                    .map_err(|source| ReadError::Record { seq, source })?;
                self.tracks = restored.tracks;
                self.unrouted = restored.unrouted.into_iter().collect();
                if let Some(mut bytes) = restored.quarantine {
                    self.quarantine
                        .decode(&mut bytes, &mut self.pipelines)
                        .map_err(|source| ReadError::Record { seq, source })?;
                    self.quarantine.end_before(self.log.first());
                }
                self.last_checkpoint = seq;
                self.checkpoint_low = self.low().unwrap_or(seq);
                return Ok(Some(seq));
            }
            end = base;
        }
        Ok(None)
    }

    /// Restores what was known of consent at a checkpoint: the record before it says it, or from
    /// where on it was said.
    fn hear_consents(&mut self, checkpoint: Option<Seq>) -> Result<(), ReadError> {
        let Some(checkpoint) = checkpoint else { return Ok(()) };
        self.consents_from = checkpoint;
        let before = Seq(checkpoint.0.saturating_sub(1));
        let from = match self.consents_at(before)? {
            None => return Ok(()),
            Some(Record::Whole(consents)) => {
                self.consents.restore(consents);
                self.consents_from = before;
                return Ok(());
            }
            Some(Record::From(from)) => from,
        };
        self.consents_from = from;
        // At its beginning, nobody was known, and then it is no such record.
        if let Some(Record::Whole(consents)) = self.consents_at(from)? {
            self.consents.restore(consents);
        }
        self.each_record(from, checkpoint, |core, entry| {
            let seq = entry.seq;
            let batch = batch_of(&entry).map_err(|source| ReadError::Record { seq, source })?;
            if let Some((batch, former)) = batch {
                let said = consents::said_in(&batch, former.is_some());
                core.consents.take(&said, seq, batch.received_at);
            }
            Ok(())
        })
    }

    /// The consents record at a place; none when another record stands there.
    fn consents_at(&mut self, seq: Seq) -> Result<Option<Record>, ReadError> {
        if seq < self.log.first() {
            return Ok(None);
        }
        let entry = self.log.read(seq, 0)?.into_iter().next();
        match entry.filter(|entry| entry.seq == seq && entry.kind == KIND_CONSENTS) {
            Some(entry) => consents::decode(entry.payload)
                .map(Some)
                .map_err(|source| ReadError::Record { seq, source }),
            None => Ok(None),
        }
    }

    /// Takes up the batches and message ids of all segments that are still needed.
    fn load_indexes(&mut self) -> Result<(), ReadError> {
        let segments = self.log.stats().segments;
        let low = self.low().unwrap_or(self.last_checkpoint);
        let now = self.clock.now();
        let mut rest = segments.iter().peekable();
        while let Some(segment) = rest.next() {
            let Some(after) = rest.peek() else {
                self.index = self.read_index(segment.base, self.log.next())?;
                self.index_base = segment.base;
                let index = std::mem::take(&mut self.index);
                self.take_index(&index, low);
                self.index = index;
                break;
            };
            if after.base <= low && now.since(after.created_at) > self.options.dedupe_window {
                continue;
            }
            let stored = self.log.read_side(segment.base);
            let known = stored.and_then(|b| SegmentIndex::decode(b, &mut self.pipelines).ok());
            let index = match known {
                Some(index) => index,
                None => {
                    let index = self.read_index(segment.base, after.base)?;
                    // Without it, the next start reads the segment again.
                    let _ = self.log.write_side(segment.base, &index.encode(&self.pipelines));
                    index
                }
            };
            self.take_index(&index, low);
        }
        Ok(())
    }

    /// Makes the index of a span by reading it.
    fn read_index(&mut self, from: Seq, end: Seq) -> Result<SegmentIndex, ReadError> {
        let mut index = SegmentIndex::default();
        self.each_record(from, end, |core, entry| {
            let seq = entry.seq;
            let batch = batch_of(&entry).map_err(|source| ReadError::Record { seq, source })?;
            if let Some((batch, _)) = batch {
                index.add(seq, &batch, core.pipelines.number(&batch.pipeline));
            }
            Ok(())
        })?;
        Ok(index)
    }

    fn take_index(&mut self, index: &SegmentIndex, low: Seq) {
        for note in index.notes.iter().filter(|note| note.seq >= low) {
            self.notes.push(*note);
        }
        for first in &index.keys {
            self.dedupe.turn(UnixMillis(i64::from(first.at) * 1000));
            self.dedupe.remember(*first);
        }
    }

    /// Applies the records from one on.
    fn replay(&mut self, from: Seq) -> Result<(), ReadError> {
        let end = self.log.next();
        self.each_record(from, end, |core, entry| {
            let seq = entry.seq;
            let bad = |source| ReadError::Record { seq, source };
            core.since_checkpoint += entry.payload.len() as u64;
            match entry.kind {
                KIND_BATCH | KIND_REFEED => {
                    if let Some((batch, former)) = batch_of(&entry).map_err(bad)? {
                        let pipeline = core.pipelines.number(&batch.pipeline);
                        core.account(&Stored::of(seq, &batch, pipeline, former));
                    }
                }
                KIND_PROGRESS => {
                    for section in progress::decode(entry.payload).map_err(bad)? {
                        core.apply(&section, false)?;
                    }
                }
                KIND_CHECKPOINT | KIND_CONSENTS => {}
                _ => return Err(bad(RecordError::Bad("kind"))),
            }
            Ok(())
        })
    }

    /// Makes the tracks those of the options; true when they were others.
    fn reconcile(&mut self) -> Result<bool, JournalError> {
        let end = self.log.next();
        let mut known = std::mem::take(&mut self.tracks);
        let mut changed = false;
        for track in &mut known {
            track.open = track.recount(&self.notes);
        }
        for (integration, pipeline) in self.options.integrations.clone() {
            let number = self.pipelines.number(&pipeline);
            let same = |track: &Track| track.integration == integration && track.pipeline == number;
            match known.iter().position(same) {
                Some(at) => self.tracks.push(known.remove(at)),
                None => {
                    changed = true;
                    self.tracks.push(Track::new(integration, number, end));
                }
            }
        }
        for track in known {
            changed = true;
            if track.open.events > 0 && !self.options.forget.contains(&track.integration) {
                return Err(self.still_open(track));
            }
        }
        Ok(changed)
    }

    fn still_open(&self, track: Track) -> JournalError {
        let integration: IntegrationId = track.integration;
        match self.pipelines.name(track.pipeline).cloned() {
            Some(pipeline) => {
                let pipeline: PipelineId = pipeline;
                JournalError::StillOpen { integration, pipeline, pending: track.open.events }
            }
            None => JournalError::Twice(integration),
        }
    }
}
