//! Everything that is known under a message id (DESIGN: words, trace): the copies that came in, what
//! the door decided about each, and where each stands at every integration.
//!
//! It is put together from the index beside each segment, newest first, from the records that the
//! indexes name, and from the progress that follows them. Every step is bounded, and what was not
//! looked at is said.

use millrace_log::LogStore;
use millrace_model::disposition::Disposition;
use millrace_model::event::{DedupeKey, Item};
use millrace_model::id::{IntegrationId, PipelineId, Position, Seq};
use millrace_model::time::UnixMillis;

use super::core::JournalCore;
use super::index::SegmentIndex;
use super::quarantine::{Held, HeldPage, HeldQuery};

/// What a trace found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// The copies, newest first.
    pub copies: Vec<Copy>,
    /// Everything from this record on was searched.
    pub searched_from: Seq,
    /// The records before were not searched, or not all of those after: there may be more.
    pub incomplete: bool,
}

/// One item that came in under the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Where it is.
    pub position: Position,
    /// The pipeline.
    pub pipeline: PipelineId,
    /// When its request was received.
    pub received_at: UnixMillis,
    /// The item as it is stored.
    pub item: Item,
    /// The position of an item that had been set aside and was fed again as this one.
    pub takes_place_of: Option<Position>,
    /// How it stands at each integration; empty for what is no event.
    pub integrations: Vec<AtIntegration>,
}

/// How an event stands at one integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AtIntegration {
    /// The integration.
    pub integration: IntegrationId,
    /// How it stands.
    pub standing: Standing,
}

/// How an event stands at an integration, as far as the journal knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has not ended yet. True: it was marked as being sent.
    Open {
        /// Mixpanel may have it.
        perhaps_sent: bool,
    },
    /// It has ended.
    Ended {
        /// How.
        state: Disposition,
        /// Why, as the code of the ledger.
        code: Option<String>,
        /// Mixpanel's own words.
        detail: Option<String>,
        /// The rows that were sent for it.
        rows: u32,
        /// A row of it was sent more than once.
        resent: bool,
    },
    /// It has ended; how stands further on in the log than was searched.
    Closed,
}

/// What the search of one segment gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Searched {
    /// The records with the key, ascending.
    pub(super) records: Vec<Seq>,
    /// The first record of the segment.
    pub(super) base: Seq,
    /// There is an older segment.
    pub(super) more: bool,
    /// The segment has no index that can be read.
    pub(super) blind: bool,
}

impl<L: LogStore> JournalCore<L> {
    /// Looks for a key in the newest segment, or in the newest of those before a record.
    pub(super) fn search_segment(&mut self, key: DedupeKey, before: Option<Seq>) -> Searched {
        let segments = self.log.stats().segments;
        let mut older = segments.iter().filter(|one| before.is_none_or(|before| one.base < before));
        let (count, Some(segment)) = (older.clone().count(), older.next_back()) else {
            return Searched::default();
        };
        let mut searched = Searched { base: segment.base, more: count > 1, ..Searched::default() };
        if segment.base == self.index_base {
            searched.records = self.index.find(key);
            return searched;
        }
        let stored = self.log.read_side(segment.base);
        match stored.and_then(|bytes| SegmentIndex::decode(bytes, &mut self.pipelines).ok()) {
            Some(index) => searched.records = index.find(key),
            None => searched.blind = true,
        }
        searched
    }

    /// How an event stands at each integration of its pipeline.
    pub(super) fn standings(
        &mut self,
        position: Position,
        pipeline: &PipelineId,
    ) -> Vec<(IntegrationId, Standing)> {
        let number = self.pipelines.number(pipeline);
        let mut standings = Vec::new();
        let of_pipeline = self.tracks.iter().filter(|track| track.pipeline == number);
        for track in of_pipeline.filter(|track| position.seq >= track.start) {
            let note = track.note(&self.notes, position.seq);
            let touched = track.touched.get(&position.seq);
            let open = note.is_some() && touched.is_none_or(|t| t.open.has(position.index));
            let standing = if open {
                let perhaps_sent = touched.is_some_and(|t| t.sent.has(position.index));
                Standing::Open { perhaps_sent }
            } else {
                Standing::Closed
            };
            standings.push((track.integration.clone(), standing));
        }
        standings
    }

    /// A part of the quarantine.
    pub(super) fn held(&self, query: &HeldQuery) -> HeldPage {
        self.quarantine.list(query, &self.pipelines)
    }

    /// One item of the quarantine.
    pub(super) fn held_at(&self, position: Position) -> Option<Held> {
        self.quarantine.one(position, &self.pipelines)
    }
}
