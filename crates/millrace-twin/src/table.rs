//! The events of one project in memory: the records' bytes and one small row for each event.
//!
//! All copies are kept, in the order of their arrival. Of the copies of one event (same name,
//! distinct id at ingestion, time and insert id: reference/mixpanel-api.md 2.6) the last one
//! counts; the others are marked as superseded. The distinct id of the key is the one that the
//! event's own ids give, not the resolved one, so that a resend after a link is still a copy.
//!
//! Deleted rows keep their place, because others refer to rows by number, and are never shown.

use std::collections::HashMap;
use std::hash::BuildHasher;

use crate::identity::{Linked, Links, Symbol, Symbols};
use crate::record::{EventsHead, Reader, StoredEvent};

/// One event: where its bytes are and what is asked of it most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) time: i64,
    chunk: u32,
    offset: u32,
    pub(crate) name: Symbol,
    /// The distinct id that the event's own ids give.
    pub(crate) distinct: Symbol,
    /// The row before this one with the same hash of the key.
    previous: u32,
    marks: u8,
}

const NO_ROW: u32 = u32::MAX;
const SUPERSEDED: u8 = 1;
const HIDDEN: u8 = 2;
const LINK_FAILED: u8 = 4;
const REVENUE: u8 = 8;
const DELETED: u8 = 16;

impl Row {
    /// A later copy counts instead.
    pub(crate) fn superseded(&self) -> bool {
        self.marks & SUPERSEDED != 0
    }

    /// An identity verb, not shown in reports.
    pub(crate) fn hidden(&self) -> bool {
        self.marks & HIDDEN != 0
    }

    /// Its device belongs to another user.
    pub(crate) fn link_failed(&self) -> bool {
        self.marks & LINK_FAILED != 0
    }

    /// Its person was deleted.
    pub(crate) fn deleted(&self) -> bool {
        self.marks & DELETED != 0
    }

    /// It speaks of revenue or refunds.
    pub(crate) fn has_revenue(&self) -> bool {
        self.marks & REVENUE != 0
    }
}

#[derive(Debug)]
struct Chunk {
    head: EventsHead,
    bytes: Box<[u8]>,
}

/// The events of a project.
#[derive(Debug, Default)]
pub(crate) struct EventTable {
    chunks: Vec<Chunk>,
    rows: Vec<Row>,
    by_key: HashMap<u64, u32>,
    names: Symbols,
    hasher: std::hash::RandomState,
    scratch: String,
}

impl EventTable {
    /// Takes a record of events over; `reader` stands behind its head.
    pub(crate) fn append(
        &mut self,
        head: EventsHead,
        record: &[u8],
        mut reader: Reader<'_>,
        ids: &mut Symbols,
        links: &mut Links,
    ) {
        let chunk = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        self.chunks.push(Chunk { head, bytes: record.into() });
        loop {
            let offset = reader.offset();
            let Some(event) = reader.event() else { break };
            self.append_event(chunk, offset, &event, ids, links);
        }
    }

    fn append_event(
        &mut self,
        chunk: u32,
        offset: u32,
        event: &StoredEvent<'_>,
        ids: &mut Symbols,
        links: &mut Links,
    ) {
        let mut marks = if event.hidden { HIDDEN } else { 0 };
        if event.revenue.is_some() {
            marks |= REVENUE;
        }
        let device = (!event.device.is_empty()).then(|| {
            self.scratch.clear();
            self.scratch.push_str(crate::event::DEVICE);
            self.scratch.push_str(event.device);
            ids.intern(&self.scratch)
        });
        let user = (!event.user.is_empty()).then(|| ids.intern(event.user));
        if let (Some(device), Some(user), false) = (device, user, event.hidden) {
            match links.link(device, user) {
                Linked::Yes => {}
                Linked::TakenByAnother => marks |= LINK_FAILED,
            }
        }
        let distinct = user.or(device).unwrap_or_else(|| ids.intern(event.fallback));
        let name = self.names.intern(event.name);
        let hash = self.hasher.hash_one((name.0, distinct.0, event.time, event.insert_id));
        let number = u32::try_from(self.rows.len()).unwrap_or(NO_ROW);
        let previous = self.by_key.insert(hash, number).unwrap_or(NO_ROW);
        let row = Row { time: event.time, chunk, offset, name, distinct, previous, marks };
        self.supersede(previous, &row, event.insert_id);
        self.rows.push(row);
    }

    /// Marks the copy before this one, if there is one among the rows of the same hash.
    fn supersede(&mut self, first: u32, newer: &Row, insert_id: &str) {
        let mut number = first;
        while number != NO_ROW {
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            let Some(row) = self.rows.get(index).copied() else { return };
            let same = (row.name, row.distinct, row.time)
                == (newer.name, newer.distinct, newer.time)
                && self.event(&row).is_some_and(|(event, _)| event.insert_id == insert_id);
            if same {
                if let Some(row) = self.rows.get_mut(index) {
                    row.marks |= SUPERSEDED;
                }
                return;
            }
            number = row.previous;
        }
    }

    /// All rows in the order of arrival, those that were deleted as well.
    pub(crate) fn all_rows(&self) -> &[Row] {
        &self.rows
    }

    /// The rows in the order of arrival.
    pub(crate) fn rows(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.rows.iter().filter(|row| !row.deleted())
    }

    /// Deletes the rows whose distinct id is chosen.
    pub(crate) fn delete(&mut self, chosen: impl Fn(Symbol) -> bool) {
        for row in self.rows.iter_mut().filter(|row| chosen(row.distinct)) {
            row.marks |= DELETED;
        }
    }

    /// The stored event of a row, with the head of its record.
    pub(crate) fn event(&self, row: &Row) -> Option<(StoredEvent<'_>, &EventsHead)> {
        let chunk = self.chunks.get(usize::try_from(row.chunk).ok()?)?;
        Some((Reader::at(&chunk.bytes, row.offset).event()?, &chunk.head))
    }

    /// The name of an event by its number.
    pub(crate) fn name(&self, name: Symbol) -> &str {
        self.names.text(name)
    }

    /// The number of an event name that has been seen.
    pub(crate) fn find_name(&self, name: &str) -> Option<Symbol> {
        self.names.find(name)
    }
}
