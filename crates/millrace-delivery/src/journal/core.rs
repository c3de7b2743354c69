//! The journal without its thread: one group of commands after the other, each ended by a commit.
//!
//! Invariants:
//! - Nothing that a group brings is visible before its commit has returned `Ok`. A refused group
//!   leaves no trace: its ids are forgotten, its closes wait for the next commit.
//! - What is applied after a commit is what a replay of the same records applies.
//! - Every item is counted as received once for each integration of its pipeline, or once for the
//!   pipeline when it has none, and is then open or ended, never both.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_log::{LogError, LogStore};
use millrace_model::disposition::{Disposition, FilterReason};
use millrace_model::event::{Batch, Duplicate, Item};
use millrace_model::id::{PipelineId, Position, Seq};
use millrace_model::intake::{AdmitError, Admitted};
use millrace_model::ledger::{LedgerSums, Tally};
use millrace_model::record::{RecordError, encode_batch};
use millrace_model::time::Clock;

use super::book::Book;
use super::consents::KnownConsents;
use super::dedupe::{Dedupe, First};
use super::index::{
    Notes, PipelineNumber, Pipelines, SegmentIndex, claimed_id, keys_beside, low_half,
};
use super::options::JournalOptions;
use super::positions::Track;
use super::progress::{self, Section};
use super::quarantine::Quarantine;
use super::recent::SharedRecent;
use super::refeed::{Former, RefeedError, batch_bytes, batch_of};
use super::stored::Stored;
use super::types::{Closed, Disposed, ReadError};

/// The kinds of records. Stored: never changed.
pub(super) const KIND_BATCH: u8 = 1;
pub(super) const KIND_PROGRESS: u8 = 2;
pub(super) const KIND_CHECKPOINT: u8 = 3;
pub(super) const KIND_REFEED: u8 = 4;
pub(super) const KIND_CONSENTS: u8 = 5;

/// When a client should come back to a full disk.
pub(super) const RETRY_DISK: Duration = Duration::from_secs(10);
/// When a client should come back after an overload.
pub(super) const RETRY_OVERLOAD: Duration = Duration::from_secs(1);

/// A stored batch with open events, not decoded yet.
#[derive(Debug)]
pub(super) struct RawOpen {
    pub(super) seq: Seq,
    pub(super) payload: Bytes,
    /// The open events; none for all of them.
    pub(super) open: Option<Vec<u32>>,
    pub(super) perhaps_sent: Vec<u32>,
}

/// The journal without its thread.
pub(super) struct JournalCore<L> {
    pub(super) log: L,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) options: JournalOptions,
    pub(super) pipelines: Pipelines,
    pub(super) notes: Notes,
    pub(super) tracks: Vec<Track>,
    pub(super) unrouted: BTreeMap<PipelineId, Book>,
    pub(super) dedupe: Dedupe,
    /// The index of the newest segment, and the segment.
    pub(super) index: SegmentIndex,
    pub(super) index_base: Seq,
    pub(super) recent: SharedRecent,
    pub(super) quarantine: Quarantine,
    pub(super) consents: KnownConsents,
    /// From which record on a restart has to hear again what was said about consent.
    pub(super) consents_from: Seq,
    pub(super) last_checkpoint: Seq,
    /// The lowest position of any integration at that checkpoint: a replay needs the batches from
    /// here on.
    pub(super) checkpoint_low: Seq,
    /// The bytes that were committed since.
    pub(super) since_checkpoint: u64,
    /// The bytes of the last checkpoint.
    pub(super) checkpoint_size: u64,
    pub(super) poisoned: bool,
    /// The batches of the open group.
    group: Vec<Stored>,
    /// What was put aside at the door in the open group.
    asides: Vec<Disposed>,
}

impl<L: LogStore> JournalCore<L> {
    /// A journal of which nothing is known yet.
    pub(super) fn blank(log: L, options: JournalOptions, clock: Arc<dyn Clock>) -> JournalCore<L> {
        JournalCore {
            dedupe: Dedupe::new(options.dedupe_window, options.dedupe_cap),
            index_base: log.newest_base(),
            consents: KnownConsents::of(&options.consent_categories),
            consents_from: log.first(),
            quarantine: Quarantine::new(options.quarantine),
            log,
            clock,
            options,
            pipelines: Pipelines::default(),
            notes: Notes::default(),
            tracks: Vec::new(),
            unrouted: BTreeMap::new(),
            index: SegmentIndex::default(),
            recent: SharedRecent::default(),
            last_checkpoint: Seq(0),
            checkpoint_low: Seq(0),
            since_checkpoint: 0,
            checkpoint_size: 0,
            poisoned: false,
            group: Vec::new(),
            asides: Vec::new(),
        }
    }

    /// What keeps batches out at the moment.
    pub(super) fn check_room(&self) -> Result<(), AdmitError> {
        if self.poisoned {
            return Err(AdmitError::Poisoned);
        }
        match self.log.free_bytes() {
            Ok(free) if free < self.options.reserve_bytes => {
                Err(AdmitError::DiskFull { retry_after: RETRY_DISK })
            }
            // A disk that cannot say how full it is will say so when it is written to.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Takes a batch into the open group. What it answers holds once the group is committed.
    pub(super) fn admit(&mut self, mut batch: Batch) -> Result<Admitted, AdmitError> {
        if self.poisoned {
            return Err(AdmitError::Poisoned);
        }
        if self.group.is_empty() {
            self.dedupe.turn(self.clock.now());
        }
        let pipeline = self.pipelines.number(&batch.pipeline);
        if self.pipelines.name(pipeline) != Some(&batch.pipeline) {
            return Err(AdmitError::Overloaded { retry_after: RETRY_OVERLOAD });
        }
        let mark = self.dedupe.mark();
        self.mark_duplicates(&mut batch);
        self.append(&batch, pipeline, mark, None)
    }

    /// Takes what an item was made into that had been set aside, in its place. Nothing in it is a
    /// duplicate (DESIGN 9.5), but its ids are known from now on.
    pub(super) fn refeed(
        &mut self,
        position: Position,
        batch: &Batch,
    ) -> Result<Admitted, RefeedError> {
        if self.poisoned {
            return Err(AdmitError::Poisoned.into());
        }
        if self.group.is_empty() {
            self.dedupe.turn(self.clock.now());
        }
        let twice = |stored: &Stored| stored.former.is_some_and(|f| f.position == position);
        let Some(entry) = self.quarantine.get(position).copied() else {
            return Err(RefeedError::NotHeld(position));
        };
        if self.group.iter().any(twice) {
            return Err(RefeedError::NotHeld(position));
        }
        if self.pipelines.name(entry.pipeline) != Some(&batch.pipeline) || batch.items.is_empty() {
            return Err(RefeedError::NoReplacement(position));
        }
        let mark = self.dedupe.mark();
        for first in batch.items.iter().filter_map(|item| First::of(batch, item)) {
            // Whether it is known does not matter.
            let _ = self.dedupe.check(first);
        }
        let former = Former::of(position, &entry);
        Ok(self.append(batch, entry.pipeline, mark, Some(former))?)
    }

    /// Appends a batch to the open group; the ids that it has added since `mark` are its own.
    fn append(
        &mut self,
        batch: &Batch,
        pipeline: PipelineNumber,
        mark: usize,
        former: Option<Former>,
    ) -> Result<Admitted, AdmitError> {
        let appended = match &former {
            None => self.log.append_with(KIND_BATCH, &mut |out| encode_batch(batch, out)),
            Some(former) => self.log.append_with(KIND_REFEED, &mut |out| former.encode(batch, out)),
        };
        let seq = match appended {
            Ok(seq) => seq,
            Err(LogError::TooLarge { .. }) => {
                // Its client may send it again in smaller pieces.
                self.dedupe.rollback(mark);
                return Err(AdmitError::Overloaded { retry_after: RETRY_OVERLOAD });
            }
            Err(_) => return Err(self.poison()),
        };
        let mut stored = Stored::of(seq, batch, pipeline, former);
        stored.keys = u32::try_from(self.dedupe.mark() - mark).unwrap_or(u32::MAX);
        stored.also = keys_beside(batch);
        if former.is_some() {
            // The id of an event that is fed again may be another's, so it is among no keys.
            let keys = batch.items.iter().filter_map(|item| First::of(batch, item));
            stored.also.extend(keys.map(|first| low_half(first.key)));
        }
        let admitted = stored.admitted();
        if !stored.set_aside.is_empty() {
            self.keep_asides(seq, batch);
        }
        self.group.push(stored);
        Ok(admitted)
    }

    /// Puts a note in the place of every event that had been accepted before.
    fn mark_duplicates(&mut self, batch: &mut Batch) {
        for at in 0..batch.items.len() {
            let first = batch.items.get(at).and_then(|item| First::of(batch, item));
            let Some(differs) = first.and_then(|first| self.dedupe.check(first)) else { continue };
            let Some(item) = batch.items.get_mut(at) else { continue };
            let message_id = match item {
                Item::Event(event) => std::mem::take(&mut event.facts.message_id),
                Item::SetAside(aside) => claimed_id(&aside.body).unwrap_or_default().to_owned(),
                Item::Duplicate(_) | Item::Filtered(_) => continue,
            };
            *item = Item::Duplicate(Duplicate { message_id, differs });
        }
    }

    fn keep_asides(&mut self, seq: Seq, batch: &Batch) {
        for (item, index) in batch.items.iter().zip(0_u32..) {
            if let Item::SetAside(aside) = item {
                self.asides.push(Disposed {
                    pipeline: batch.pipeline.clone(),
                    integration: None,
                    position: Position { seq, index },
                    message_id: None,
                    state: Disposition::SetAside,
                    code: Some(aside.code.as_str().to_owned()),
                    reason: Some(aside.reason.clone()),
                    at: batch.received_at,
                });
            }
        }
    }

    /// Closes events with the next commit.
    pub(super) fn close(&mut self, track: usize, closed: Vec<Closed>) {
        if let Some(track) = self.tracks.get_mut(track) {
            track.closing.extend(closed);
        }
    }

    /// Marks events as being sent with the next commit.
    pub(super) fn sending(&mut self, track: usize, events: &[Position]) {
        if let Some(track) = self.tracks.get_mut(track) {
            track.sending.extend_from_slice(events);
        }
    }

    /// True when closes or sendings wait for a commit.
    pub(super) fn has_progress(&self) -> bool {
        self.tracks.iter().any(|track| !track.closing.is_empty() || !track.sending.is_empty())
    }

    /// Commits the open group and all progress with one sync. The result is that of the batches;
    /// when the disk has no room for them, the progress is committed alone.
    pub(super) fn commit(&mut self) -> Result<(), AdmitError> {
        if self.poisoned {
            return Err(AdmitError::Poisoned);
        }
        let Ok(sections) = self.sections() else { return Err(self.poison()) };
        match self.commit_with(&sections) {
            Ok(()) => Ok(()),
            Err(LogError::DiskFull) => {
                self.refuse_group();
                let again = if sections.is_empty() { Ok(()) } else { self.commit_with(&sections) };
                match again {
                    Ok(()) | Err(LogError::DiskFull) => {
                        Err(AdmitError::DiskFull { retry_after: RETRY_DISK })
                    }
                    Err(_) => Err(self.poison()),
                }
            }
            Err(_) => Err(self.poison()),
        }
    }

    fn commit_with(&mut self, sections: &[Section]) -> Result<(), LogError> {
        if !sections.is_empty() {
            self.log
                .append_with(KIND_PROGRESS, &mut |out| progress::encode(sections, out))
                .inspect_err(|_| self.poisoned = true)?;
        }
        let bytes = self.log.open_bytes() as u64;
        self.log.commit()?;
        self.since_checkpoint += bytes;
        // The group is durable: what fails from here on cannot be taken back.
        self.accept(sections).map_err(|_| LogError::Poisoned)?;
        self.maintain()
    }

    pub(super) fn poison(&mut self) -> AdmitError {
        self.poisoned = true;
        self.refuse_group();
        AdmitError::Poisoned
    }

    fn refuse_group(&mut self) {
        self.log.rollback();
        self.dedupe.rollback(0);
        self.group.clear();
        self.asides.clear();
    }

    /// Applies a group that is durable now.
    fn accept(&mut self, sections: &[Section]) -> Result<(), ReadError> {
        self.follow_roll();
        for stored in std::mem::take(&mut self.group) {
            self.account(&stored);
            self.notes.push(stored.note);
            self.index.push(stored.note, stored.keys, &stored.also);
        }
        self.index.keys.extend(self.dedupe.commit());
        if !self.asides.is_empty() {
            let mut recent = self.recent.hold();
            self.asides.drain(..).for_each(|aside| recent.push(aside));
        }
        for section in sections {
            self.apply(section, true)?;
        }
        if !sections.is_empty() {
            for track in &mut self.tracks {
                track.closing.clear();
                track.sending.clear();
            }
        }
        self.advance();
        Ok(())
    }

    /// When the log has begun a new segment, puts the index beside the one before.
    pub(super) fn follow_roll(&mut self) {
        let base = self.log.newest_base();
        if base == self.index_base {
            return;
        }
        let index = std::mem::take(&mut self.index);
        // Without it, the next start reads the segment instead.
        let _ = self.log.write_side(self.index_base, &index.encode(&self.pipelines));
        self.index_base = base;
    }

    /// Counts a stored batch, live or from the log.
    pub(super) fn account(&mut self, stored: &Stored) {
        let note = stored.note;
        let open = Tally { events: u64::from(note.events), rows: 0, bytes: note.bytes };
        if let Some(former) = &stored.former {
            self.take_back(note.pipeline, former);
        }
        self.consents.take(&stored.said, note.seq, stored.received_at);
        for (index, entry) in &stored.held {
            self.quarantine.hold(Position { seq: note.seq, index: *index }, *entry);
        }
        let mut routed = false;
        for track in &mut self.tracks {
            if track.pipeline == note.pipeline && note.seq >= track.start {
                routed = true;
                stored.enter(&mut track.book);
                track.open.add(open);
            }
        }
        if !routed && let Some(pipeline) = self.pipelines.name(note.pipeline) {
            let book = self.unrouted.entry(pipeline.clone()).or_default();
            stored.enter(book);
            let code = FilterReason::NoIntegration.as_str();
            book.end(note.minute, Disposition::Filtered, code, open);
        }
    }

    /// Ends the former run of an item that was fed again: every book that has counted it forgets
    /// it.
    fn take_back(&mut self, pipeline: PipelineNumber, former: &Former) {
        self.quarantine.release(former.position);
        let mut routed = false;
        for track in &mut self.tracks {
            if track.pipeline == pipeline && former.position.seq >= track.start {
                routed = true;
                former.leave(&mut track.book);
            }
        }
        if !routed
            && let Some(name) = self.pipelines.name(pipeline)
            && let Some(book) = self.unrouted.get_mut(name)
        {
            former.leave(book);
        }
    }

    /// Moves every position on, and forgets the batches that nobody needs.
    pub(super) fn advance(&mut self) {
        let end = self.log.next();
        for track in &mut self.tracks {
            track.advance(&self.notes, end);
        }
        let low = self.low().unwrap_or(end);
        self.notes.forget_before(low);
    }

    /// Batches with open events of an integration from a record on, and where to go on; the list is
    /// empty when there is none up to there.
    pub(super) fn read_open(
        &mut self,
        track: usize,
        from: Seq,
        max_bytes: usize,
    ) -> Result<(Vec<RawOpen>, Seq), ReadError> {
        let end = self.log.next();
        let Some(track) = self.tracks.get(track) else { return Ok((Vec::new(), end)) };
        let Some(first) = track.next_open(&self.notes, from) else {
            return Ok((Vec::new(), end));
        };
        let (mut batches, mut next) = (Vec::new(), first.seq);
        for entry in self.log.read(first.seq, max_bytes)? {
            next = entry.seq.next();
            let Some(note) = track.note(&self.notes, entry.seq) else { continue };
            if track.open_of(&note).events == 0 {
                continue;
            }
            let touched = track.touched.get(&entry.seq);
            let payload = batch_bytes(&entry)
                .and_then(|batch| batch.ok_or(RecordError::Bad("kind")))
                .map_err(|source| ReadError::Record { seq: entry.seq, source })?
                .0;
            batches.push(RawOpen {
                seq: entry.seq,
                payload,
                open: touched.map(|touched| touched.open.iter().collect()),
                perhaps_sent: touched
                    .map_or_else(Vec::new, |touched| touched.sent.iter().collect()),
            });
        }
        Ok((batches, next))
    }

    /// Reads one stored batch.
    pub(super) fn read_batch(&mut self, seq: Seq) -> Result<Batch, ReadError> {
        let entries = self.log.read(seq, 0)?;
        let bad = |source| ReadError::Record { seq, source };
        let entry = entries.into_iter().next().ok_or(bad(RecordError::Truncated))?;
        let batch = batch_of(&entry).map_err(bad)?.ok_or(bad(RecordError::Bad("kind")))?;
        Ok(batch.0)
    }

    /// The sums of an integration.
    pub(super) fn ledger(&self, track: &Track) -> LedgerSums {
        LedgerSums { pending: track.open, ..track.book.sums().clone() }
    }
}
