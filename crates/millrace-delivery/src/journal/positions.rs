//! Where one integration stands: everything below a record is closed; above it, which events are.
//!
//! A batch at or above `low` that is not in `touched` has all of its events open. A touched one
//! knows which are. `low` moves on over batches that are closed, which are forgotten then.

use std::collections::BTreeMap;

use millrace_model::event::{Batch, Item};
use millrace_model::id::{IntegrationId, Seq};
use millrace_model::ledger::Tally;

use super::book::Book;
use super::index::{BatchNote, Notes, PipelineNumber};
use super::progress::Ending;
use super::types::Closed;

/// A set of small numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits(pub(super) Vec<u64>);

impl Bits {
    fn place(index: u32) -> (usize, u64) {
        (index as usize / 64, 1 << (index % 64))
    }

    pub(super) fn has(&self, index: u32) -> bool {
        let (word, bit) = Bits::place(index);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    pub(super) fn set(&mut self, index: u32) {
        let (word, bit) = Bits::place(index);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }

    /// True when the number was in the set.
    pub(super) fn clear(&mut self, index: u32) -> bool {
        let (word, bit) = Bits::place(index);
        let Some(word) = self.0.get_mut(word) else { return false };
        let had = *word & bit != 0;
        *word &= !bit;
        had
    }

    pub(super) fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().zip(0_u32..).flat_map(|(word, at)| {
            (0..64).filter(move |bit| word & (1 << bit) != 0).map(move |bit| at * 64 + bit)
        })
    }
}

/// A batch of which something was sent or closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    pub(super) open: Bits,
    /// Open events that are perhaps at Mixpanel.
    pub(super) sent: Bits,
    /// The bytes of the open events.
    pub(super) open_bytes: u64,
    /// The bytes of each item; empty when they have not been looked up.
    pub(super) sizes: Vec<u32>,
}

impl Touched {
    /// A batch with all of its events open.
    pub(super) fn all_open(batch: &Batch) -> Touched {
        let mut touched = Touched { sizes: sizes(batch), ..Touched::default() };
        for (item, index) in batch.items.iter().zip(0_u32..) {
            if let Item::Event(event) = item {
                touched.open.set(index);
                touched.open_bytes += event.body.len() as u64;
            }
        }
        touched
    }

    /// Closes one event; its bytes, when it was open.
    pub(super) fn close(&mut self, index: u32) -> Option<u64> {
        if !self.open.clear(index) {
            return None;
        }
        self.sent.clear(index);
        let bytes = self.sizes.get(index as usize).copied().map_or(0, u64::from);
        self.open_bytes = self.open_bytes.saturating_sub(bytes);
        Some(bytes)
    }
}

/// The bytes of each item of a batch; 0 for what is no event.
pub(super) fn sizes(batch: &Batch) -> Vec<u32> {
    let size = |item: &Item| match item {
        Item::Event(event) => u32::try_from(event.body.len()).unwrap_or(u32::MAX),
        Item::SetAside(_) | Item::Duplicate(_) | Item::Filtered(_) => 0,
    };
    batch.items.iter().map(size).collect()
}

/// The position of one integration, and its ledger.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) integration: IntegrationId,
    pub(super) pipeline: PipelineNumber,
    /// The first record that concerns it.
    pub(super) start: Seq,
    /// Nothing below is open.
    pub(super) low: Seq,
    pub(super) touched: BTreeMap<Seq, Touched>,
    pub(super) book: Book,
    /// What is open, counted from the positions.
    pub(super) open: Tally,
    /// Closes that wait for the next commit.
    pub(super) closing: Vec<Closed>,
    /// Events that are about to be sent, and wait for the next commit.
    pub(super) sending: Vec<millrace_model::id::Position>,
}

impl Track {
    pub(super) fn new(integration: IntegrationId, pipeline: PipelineNumber, start: Seq) -> Track {
        Track {
            integration,
            pipeline,
            start,
            low: start,
            touched: BTreeMap::new(),
            book: Book::default(),
            open: Tally::default(),
            closing: Vec::new(),
            sending: Vec::new(),
        }
    }

    /// The batch, if some of it can be open here.
    pub(super) fn note(&self, notes: &Notes, seq: Seq) -> Option<BatchNote> {
        notes.find(seq).filter(|note| note.pipeline == self.pipeline && seq >= self.low)
    }

    /// The open events of a batch and their bytes.
    pub(super) fn open_of(&self, note: &BatchNote) -> Tally {
        let (events, bytes) = match self.touched.get(&note.seq) {
            None => (u64::from(note.events), note.bytes),
            Some(touched) => (u64::from(touched.open.count()), touched.open_bytes),
        };
        Tally { events, rows: 0, bytes }
    }

    /// Counts what is open anew, position by position.
    pub(super) fn recount(&self, notes: &Notes) -> Tally {
        let mut open = Tally::default();
        for note in notes.of_pipeline(self.pipeline, self.low) {
            open.add(self.open_of(&note));
        }
        open
    }

    /// The first batch from a record on with something open.
    pub(super) fn next_open(&self, notes: &Notes, from: Seq) -> Option<BatchNote> {
        notes
            .of_pipeline(self.pipeline, from.max(self.low))
            .find(|note| self.open_of(note).events > 0)
    }

    /// Moves events of a minute from open to ended.
    pub(super) fn count_closed(&mut self, minute: i64, closed: Tally, ending: &Ending) {
        self.open.events = self.open.events.saturating_sub(closed.events);
        self.open.bytes = self.open.bytes.saturating_sub(closed.bytes);
        let rows = closed.events.saturating_mul(u64::from(ending.rows));
        self.book.end(minute, ending.state, &ending.code, Tally { rows, ..closed });
        if ending.resent {
            self.book.resend(closed.events);
        }
    }

    /// Moves `low` on to the first open batch, or to `end` when nothing is open.
    pub(super) fn advance(&mut self, notes: &Notes, end: Seq) {
        let low = if self.open.events == 0 {
            end
        } else {
            self.next_open(notes, self.low).map_or(end, |note| note.seq)
        };
        if low > self.low {
            self.low = low;
            self.touched = self.touched.split_off(&low);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bits_are_a_set(numbers in proptest::collection::btree_set(0..500_u32, 0..60)) {
            let mut bits = Bits::default();
            for number in &numbers {
                bits.set(*number);
            }
            prop_assert_eq!(bits.iter().collect::<Vec<_>>(), numbers.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(bits.count() as usize, numbers.len());
            for number in 0..520 {
                prop_assert_eq!(bits.has(number), numbers.contains(&number));
                prop_assert_eq!(bits.clear(number), numbers.contains(&number));
                prop_assert!(!bits.has(number));
            }
        }
    }
}
