//! Closes and sendings: from what the engine says to a progress record, and from a progress record
//! to positions and ledger. The second half is the same for a commit and for a replay.

use millrace_log::LogStore;
use millrace_model::disposition::Disposition;
use millrace_model::event::{Batch, Item};
use millrace_model::id::{Position, Seq};
use millrace_model::ledger::Tally;
use millrace_model::record::RecordError;

use super::core::JournalCore;
use super::index::BatchNote;
use super::positions::{Touched, sizes};
use super::progress::{Ending, Place, Section, alike, runs};
use super::refeed::batch_of;
use super::types::{Closed, Disposed, ReadError};

/// At most this many events of one run are kept for display.
const SHOWN_OF_A_RUN: usize = 100;
/// Batches that are at most so many records apart are read at once, with at most so many bytes.
const NEAR: u64 = 16;
const READ_BYTES: usize = 256 << 10;

impl<L: LogStore> JournalCore<L> {
    /// All waiting progress as sections of a record. Positions that are not open are left out, so
    /// that a second close of an event changes nothing.
    pub(super) fn sections(&mut self) -> Result<Vec<Section>, ReadError> {
        let mut sections = Vec::new();
        for at in 0..self.tracks.len() {
            let Some(track) = self.tracks.get_mut(at) else { continue };
            let mut closing = std::mem::take(&mut track.closing);
            let mut sending = std::mem::take(&mut track.sending);
            let integration = track.integration.as_str().to_owned();
            closing.sort_by_key(|closed| closed.position);
            closing.dedup_by_key(|closed| closed.position);
            sending.sort_unstable();
            sending.dedup();
            let mut seqs: Vec<Seq> = closing.iter().map(|closed| closed.position.seq).collect();
            seqs.extend(sending.iter().map(|position| position.seq));
            seqs.sort_unstable();
            seqs.dedup();
            let touched = self.touch_all(at, seqs);
            let closes = self.close_runs(at, &closing);
            let open = self.open_only(at, &sending);
            if let Some(track) = self.tracks.get_mut(at) {
                // They wait here until the commit has succeeded.
                track.closing = closing;
                track.sending = sending;
            }
            touched?;
            let section = Section { integration, closes: closes?, sendings: runs(&open?) };
            if !section.closes.is_empty() || !section.sendings.is_empty() {
                sections.push(section);
            }
        }
        Ok(sections)
    }

    fn close_runs(
        &mut self,
        at: usize,
        closing: &[Closed],
    ) -> Result<Vec<(Place, Ending)>, ReadError> {
        let mut closes: Vec<(Place, Ending)> = Vec::new();
        for of_batch in closing.chunk_by(|a, b| a.position.seq == b.position.seq) {
            let Some(first) = of_batch.first() else { continue };
            let seq = first.position.seq;
            let Some((note, open)) = self.open_at(at, seq) else { continue };
            let same = of_batch.iter().all(|closed| alike(closed, first));
            if same && of_batch.len() as u64 == open && self.all_open(at, of_batch)? {
                let ending = Ending::of(first);
                match closes.last_mut() {
                    Some((Place::Whole { to, .. }, before))
                        if *before == ending && self.follows(at, *to, note.seq) =>
                    {
                        *to = seq;
                    }
                    _ => closes.push((Place::Whole { from: seq, to: seq }, ending)),
                }
                continue;
            }
            self.touch(at, seq)?;
            for of_kind in of_batch.chunk_by(alike) {
                let positions: Vec<_> = of_kind.iter().map(|closed| closed.position).collect();
                let Some(first) = of_kind.first() else { continue };
                for place in runs(&self.open_only(at, &positions)?) {
                    closes.push((place, Ending::of(first)));
                }
            }
        }
        Ok(closes)
    }

    /// The batch and the number of its open events, if it has any for a track.
    fn open_at(&self, at: usize, seq: Seq) -> Option<(BatchNote, u64)> {
        let track = self.tracks.get(at)?;
        let note = track.note(&self.notes, seq)?;
        let open = track.open_of(&note).events;
        (open > 0).then_some((note, open))
    }

    /// True when all these positions of one batch are open.
    fn all_open(&mut self, at: usize, of_batch: &[Closed]) -> Result<bool, ReadError> {
        let Some(first) = of_batch.first() else { return Ok(false) };
        self.touch(at, first.position.seq)?;
        let touched = self.tracks.get(at).and_then(|t| t.touched.get(&first.position.seq));
        Ok(touched.is_some_and(|touched| {
            of_batch.iter().all(|closed| touched.open.has(closed.position.index))
        }))
    }

    /// True when no batch of the track lies between two of its batches.
    fn follows(&self, at: usize, before: Seq, seq: Seq) -> bool {
        self.tracks.get(at).is_some_and(|track| {
            let next = self.notes.of_pipeline(track.pipeline, before.next()).next();
            next.is_some_and(|note| note.seq == seq)
        })
    }

    /// The positions that are open for a track.
    fn open_only(&mut self, at: usize, positions: &[Position]) -> Result<Vec<Position>, ReadError> {
        let mut open = Vec::with_capacity(positions.len());
        for of_batch in positions.chunk_by(|a, b| a.seq == b.seq) {
            let Some(first) = of_batch.first() else { continue };
            if self.open_at(at, first.seq).is_none() {
                continue;
            }
            self.touch(at, first.seq)?;
            let Some(track) = self.tracks.get(at) else { continue };
            let Some(touched) = track.touched.get(&first.seq) else { continue };
            open.extend(of_batch.iter().filter(|position| touched.open.has(position.index)));
        }
        Ok(open)
    }

    /// Makes sure that a batch which may be open knows the state and the bytes of each item.
    fn touch(&mut self, at: usize, seq: Seq) -> Result<(), ReadError> {
        if self.is_unknown(at, seq) {
            let batch = self.read_batch(seq)?;
            self.know(at, seq, &batch);
        }
        Ok(())
    }

    /// The same for many, ascending: those that lie near each other are read at once. Far behind
    /// the writer each read is one of the disk.
    fn touch_all(&mut self, at: usize, mut seqs: Vec<Seq>) -> Result<(), ReadError> {
        seqs.retain(|seq| self.is_unknown(at, *seq));
        let mut rest = seqs.as_slice();
        while let [first, others @ ..] = rest {
            let near = others.first().is_some_and(|next| next.0.saturating_sub(first.0) <= NEAR);
            for entry in self.log.read(*first, if near { READ_BYTES } else { 0 })? {
                let seq = entry.seq;
                let [wanted, others @ ..] = rest else { break };
                if seq == *wanted {
                    let batch = batch_of(&entry)
                        .and_then(|batch| batch.ok_or(RecordError::Bad("kind")))
                        .map_err(|source| ReadError::Record { seq, source })?;
                    self.know(at, seq, &batch.0);
                    rest = others;
                }
            }
            if rest.first() == Some(first) {
                return Err(ReadError::Record { seq: *first, source: RecordError::Truncated });
            }
        }
        Ok(())
    }

    /// True for a batch that may be open and of which the bytes of each item are not known.
    fn is_unknown(&self, at: usize, seq: Seq) -> bool {
        self.tracks.get(at).is_some_and(|track| {
            let known = track
                .touched
                .get(&seq)
                .is_some_and(|touched| !touched.sizes.is_empty() || touched.open.count() == 0);
            !known && track.note(&self.notes, seq).is_some()
        })
    }

    fn know(&mut self, at: usize, seq: Seq, batch: &Batch) {
        if let Some(track) = self.tracks.get_mut(at) {
            match track.touched.get_mut(&seq) {
                Some(touched) => touched.sizes = sizes(batch),
                None => {
                    track.touched.insert(seq, Touched::all_open(batch));
                }
            }
        }
    }

    /// Applies what a progress record says about one integration. `live` is false in a replay,
    /// which shows nothing.
    pub(super) fn apply(&mut self, section: &Section, live: bool) -> Result<(), ReadError> {
        let at = self.tracks.iter().position(|t| t.integration.as_str() == section.integration);
        // A record about an integration that was forgotten since.
        let Some(at) = at else { return Ok(()) };
        for place in &section.sendings {
            self.apply_sending(at, *place)?;
        }
        for (place, ending) in &section.closes {
            if live && !matches!(ending.state, Disposition::Delivered | Disposition::Duplicate) {
                self.show(at, *place, ending)?;
            }
            self.apply_close(at, *place, ending)?;
        }
        Ok(())
    }

    fn apply_sending(&mut self, at: usize, place: Place) -> Result<(), ReadError> {
        let Place::Some { seq, first, length } = place else { return Ok(()) };
        self.touch(at, seq)?;
        let touched = self.tracks.get_mut(at).and_then(|track| track.touched.get_mut(&seq));
        if let Some(touched) = touched {
            for index in first..first.saturating_add(length) {
                if touched.open.has(index) {
                    touched.sent.set(index);
                }
            }
        }
        Ok(())
    }

    fn apply_close(&mut self, at: usize, place: Place, ending: &Ending) -> Result<(), ReadError> {
        match place {
            Place::Whole { from, to } => {
                let Some(track) = self.tracks.get_mut(at) else { return Ok(()) };
                let (pipeline, low) = (track.pipeline, track.low);
                let notes = self.notes.of_pipeline(pipeline, from.max(low));
                for note in notes.take_while(|note| note.seq <= to) {
                    let open = track.open_of(&note);
                    track.touched.insert(note.seq, Touched::default());
                    track.count_closed(note.minute, open, ending);
                }
            }
            Place::Some { seq, first, length } => {
                self.touch(at, seq)?;
                let Some(track) = self.tracks.get_mut(at) else { return Ok(()) };
                let Some(note) = track.note(&self.notes, seq) else { return Ok(()) };
                let Some(touched) = track.touched.get_mut(&seq) else { return Ok(()) };
                let mut closed = Tally::default();
                for index in first..first.saturating_add(length) {
                    if let Some(bytes) = touched.close(index) {
                        closed.add(Tally { events: 1, rows: 0, bytes });
                    }
                }
                track.count_closed(note.minute, closed, ending);
            }
        }
        Ok(())
    }

    /// Keeps events that did not end as delivered for display.
    fn show(&mut self, at: usize, place: Place, ending: &Ending) -> Result<(), ReadError> {
        let Some(track) = self.tracks.get(at) else { return Ok(()) };
        let (seqs, wanted) = match place {
            Place::Some { seq, first, length } => (vec![seq], first..first.saturating_add(length)),
            Place::Whole { from, to } => {
                let notes = self.notes.of_pipeline(track.pipeline, from);
                let seqs = notes.map(|note| note.seq).take_while(|seq| *seq <= to);
                (seqs.take(SHOWN_OF_A_RUN).collect(), 0..u32::MAX)
            }
        };
        let (integration, mut shown) = (track.integration.clone(), 0);
        let at_time = self.clock.now();
        for seq in seqs {
            let batch = self.read_batch(seq)?;
            for (item, index) in batch.items.into_iter().zip(0_u32..) {
                let Item::Event(event) = item else { continue };
                let position = Position { seq, index };
                let track = self.tracks.get(at);
                let open = track.and_then(|track| track.touched.get(&seq));
                let is_open = open.is_none_or(|touched| touched.open.has(index));
                if !wanted.contains(&index) || !is_open || shown >= SHOWN_OF_A_RUN {
                    continue;
                }
                shown += 1;
                let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
                self.recent.hold().push(Disposed {
                    pipeline: batch.pipeline.clone(),
                    integration: Some(integration.clone()),
                    position,
                    message_id: Some(event.facts.message_id),
                    state: ending.state,
                    code: text(&ending.code),
                    reason: text(&ending.detail),
                    at: at_time,
                });
            }
        }
        Ok(())
    }
}
