//! The ledger counted a second time, from the log alone and in another way.
//!
//! Begins with the oldest checkpoint whose open batches are all kept (there is one: segments are
//! dropped only after a checkpoint that does not need them), takes its sums and open positions, and
//! then follows every record event by event, without runs, notes or positions. Whatever differs from
//! the journal's own sums is a bug in one of the two.

use std::collections::BTreeMap;

use millrace_log::LogStore;
use millrace_model::disposition::{Disposition, FilterReason};
use millrace_model::event::{Batch, Item};
use millrace_model::id::{PipelineId, Seq};
use millrace_model::ledger::{LedgerSums, Tally};

use super::book::Book;
use super::checkpoint::{self, Checkpoint};
use super::core::{JournalCore, KIND_BATCH, KIND_CHECKPOINT, KIND_PROGRESS, KIND_REFEED};
use super::index::Pipelines;
use super::positions::Track;
use super::progress::{self, Ending, Place};
use super::refeed::{Former, batch_of};
use super::types::ReadError;

/// What a recount found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The records that were read.
    pub records: u64,
    /// The first of them.
    pub from: Seq,
    /// Every difference, in words; empty when the ledger is right.
    pub differences: Vec<String>,
}

/// An open batch: its minute and the bytes of each open event.
type OpenEvents = (i64, BTreeMap<u32, u64>);

struct Count {
    integration: String,
    pipeline: PipelineId,
    start: Seq,
    book: Book,
    open: BTreeMap<Seq, OpenEvents>,
}

fn events(batch: &Batch) -> OpenEvents {
    let mut open = BTreeMap::new();
    for (item, index) in batch.items.iter().zip(0_u32..) {
        if let Item::Event(event) = item {
            open.insert(index, event.body.len() as u64);
        }
    }
    (batch.received_at.minute(), open)
}

/// Counts the items of a batch one by one.
fn enter(book: &mut Book, batch: &Batch) {
    let minute = batch.received_at.minute();
    for item in &batch.items {
        let one = |bytes: u64| Tally { events: 1, rows: 0, bytes };
        match item {
            Item::Event(event) => {
                book.receive(minute, one(event.body.len() as u64));
                event.passage.notes.iter().for_each(|note| book.note(minute, note.kind, 1));
            }
            Item::Duplicate(duplicate) => {
                book.differ(minute, u64::from(duplicate.differs));
                book.receive(minute, one(0));
                book.end(minute, Disposition::Duplicate, "", one(0));
            }
            Item::Filtered(item) => {
                book.receive(minute, one(item.full_length));
                let reason = item.reason.as_str();
                book.end(minute, Disposition::Filtered, reason, one(item.full_length));
            }
            Item::SetAside(aside) => {
                book.receive(minute, one(aside.full_length));
                let code = aside.code.as_str();
                book.end(minute, Disposition::SetAside, code, one(aside.full_length));
            }
        }
    }
}

impl Count {
    fn close(&mut self, place: Place, ending: &Ending) {
        let (from, to, wanted) = match place {
            Place::Whole { from, to } => (from, to, 0..u32::MAX),
            Place::Some { seq, first, length } => (seq, seq, first..first.saturating_add(length)),
        };
        for (minute, open) in self.open.range_mut(from..=to).map(|(_, batch)| batch) {
            let indexes: Vec<u32> = open.range(wanted.clone()).map(|(index, _)| *index).collect();
            for index in indexes {
                let bytes = open.remove(&index).unwrap_or_default();
                let tally = Tally { events: 1, rows: u64::from(ending.rows), bytes };
                self.book.end(*minute, ending.state, &ending.code, tally);
                self.book.resend(u64::from(ending.resent));
            }
        }
        self.open.retain(|_, (_, open)| !open.is_empty());
    }

    fn pending(&self) -> Tally {
        let mut pending = Tally::default();
        for bytes in self.open.values().flat_map(|(_, open)| open.values()) {
            pending.add(Tally { events: 1, rows: 0, bytes: *bytes });
        }
        pending
    }
}

struct Recount {
    from: Seq,
    records: u64,
    counts: Vec<Count>,
    unrouted: BTreeMap<PipelineId, Book>,
    /// Batches before the first checkpoint, which may still be open there.
    before: Vec<(Seq, Batch)>,
    begun: bool,
}

impl Recount {
    fn begin(&mut self, checkpoint: Checkpoint, pipelines: &Pipelines) {
        self.begun = true;
        self.unrouted = checkpoint.unrouted.into_iter().collect();
        for track in checkpoint.tracks {
            let Some(pipeline) = pipelines.name(track.pipeline).cloned() else { continue };
            let mut open = BTreeMap::new();
            for (seq, batch) in &self.before {
                if *seq < track.low || batch.pipeline != pipeline {
                    continue;
                }
                let mut batch = events(batch);
                if let Some(touched) = track.touched.get(seq) {
                    batch.1.retain(|index, _| touched.open.has(*index));
                }
                if !batch.1.is_empty() {
                    open.insert(*seq, batch);
                }
            }
            let integration = track.integration.as_str().to_owned();
            let (start, book) = (track.start, track.book);
            self.counts.push(Count { integration, pipeline, start, book, open });
        }
        self.before.clear();
    }

    /// Integrations come and go only with a checkpoint, and come with nothing.
    fn follow(&mut self, checkpoint: Checkpoint, pipelines: &Pipelines) {
        let same = |count: &Count, track: &Track| {
            count.integration == track.integration.as_str() && count.start == track.start
        };
        self.counts.retain(|count| checkpoint.tracks.iter().any(|track| same(count, track)));
        for track in checkpoint.tracks {
            let known = self.counts.iter().any(|count| same(count, &track));
            if let Some(pipeline) = pipelines.name(track.pipeline).cloned()
                && !known
            {
                self.counts.push(Count {
                    integration: track.integration.as_str().to_owned(),
                    pipeline,
                    start: track.start,
                    book: Book::default(),
                    open: BTreeMap::new(),
                });
            }
        }
    }

    fn batch(&mut self, seq: Seq, batch: Batch, former: Option<Former>) {
        if let Some(former) = former.filter(|_| self.begun) {
            self.take_back(&batch.pipeline, &former);
        }
        if !self.begun {
            self.before.push((seq, batch));
            return;
        }
        let mut routed = false;
        for count in &mut self.counts {
            if count.pipeline == batch.pipeline && seq >= count.start {
                routed = true;
                enter(&mut count.book, &batch);
                count.open.insert(seq, events(&batch));
            }
        }
        if !routed {
            let book = self.unrouted.entry(batch.pipeline.clone()).or_default();
            enter(book, &batch);
            let (minute, open) = events(&batch);
            for bytes in open.into_values() {
                let one = Tally { events: 1, rows: 0, bytes };
                book.end(minute, Disposition::Filtered, FilterReason::NoIntegration.as_str(), one);
            }
        }
    }
}

impl Recount {
    /// Forgets the former run of an item that was fed again.
    fn take_back(&mut self, pipeline: &PipelineId, former: &Former) {
        let mut routed = false;
        for count in &mut self.counts {
            if count.pipeline == *pipeline && former.position.seq >= count.start {
                routed = true;
                former.leave(&mut count.book);
            }
        }
        if let Some(book) = self.unrouted.get_mut(pipeline)
            && !routed
        {
            former.leave(book);
        }
    }
}

impl<L: LogStore> JournalCore<L> {
    /// Counts the ledger a second time. Reads all of the log.
    pub(super) fn verify(&mut self) -> Result<Verified, ReadError> {
        let mut recount = Recount {
            from: self.log.first(),
            records: 0,
            counts: Vec::new(),
            unrouted: BTreeMap::new(),
            before: Vec::new(),
            begun: false,
        };
        let (first, end) = (self.log.first(), self.log.next());
        self.each_record(first, end, |core, entry| {
            let seq = entry.seq;
            let bad = |source| ReadError::Record { seq, source };
            recount.records += 1;
            match entry.kind {
                KIND_BATCH | KIND_REFEED => {
                    if let Some((batch, former)) = batch_of(&entry).map_err(bad)? {
                        recount.batch(seq, batch, former);
                    }
                }
                KIND_CHECKPOINT => {
                    let point = checkpoint::decode(entry.payload, &mut core.pipelines);
                    let point = point.map_err(bad)?;
                    if recount.begun {
                        recount.follow(point, &core.pipelines);
                    } else if point.tracks.iter().all(|track| track.low >= first) {
                        recount.begin(point, &core.pipelines);
                    }
                }
                KIND_PROGRESS if recount.begun => {
                    for section in progress::decode(entry.payload).map_err(bad)? {
                        let of = |count: &&mut Count| count.integration == section.integration;
                        if let Some(count) = recount.counts.iter_mut().find(of) {
                            for (place, ending) in &section.closes {
                                count.close(*place, ending);
                            }
                        }
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(self.compare(&recount))
    }

    fn compare(&self, recount: &Recount) -> Verified {
        let mut differences = Vec::new();
        for track in &self.tracks {
            let name = track.integration.as_str();
            let counted = recount.counts.iter().find(|count| count.integration == name);
            let counted = counted
                .map(|count| LedgerSums { pending: count.pending(), ..count.book.sums().clone() });
            let own = self.ledger(track);
            if counted.as_ref() != Some(&own) {
                differences.push(format!("{name}: the ledger says {own:?}, the log {counted:?}"));
            }
            if own.pending != track.recount(&self.notes) {
                differences.push(format!("{name}: the open events differ from the positions"));
            }
            if own.unaccounted() != 0 {
                differences.push(format!("{name}: {} events unaccounted", own.unaccounted()));
            }
        }
        for (pipeline, book) in &self.unrouted {
            let counted = recount.unrouted.get(pipeline).map(Book::sums);
            if counted != Some(book.sums()) {
                let own = book.sums();
                differences
                    .push(format!("{pipeline}: the ledger says {own:?}, the log {counted:?}"));
            }
        }
        Verified { records: recount.records, from: recount.from, differences }
    }
}
