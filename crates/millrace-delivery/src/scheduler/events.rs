//! The open events: how many of their rows are open, and the worst of the ends so far.

use std::borrow::Cow;

use millrace_model::code::Code;
use millrace_model::disposition::{Disposition, FilterReason};
use millrace_model::id::Position;

use super::slab::Slab;
use crate::journal::Closed;

/// The end of one row.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) state: Disposition,
    pub(super) code: Option<Code>,
    pub(super) words: Option<String>,
}

impl End {
    pub(super) const DELIVERED: End =
        End { state: Disposition::Delivered, code: None, words: None };

    pub(super) fn set_aside(code: Code) -> End {
        End { state: Disposition::SetAside, code: Some(code), words: None }
    }

    pub(super) fn rejected(code: Code, words: String) -> End {
        End { state: Disposition::Rejected, code: Some(code), words: Some(words) }
    }
}

#[derive(Debug)]
struct Entry {
    open_rows: u32,
    closed: Closed,
}

/// Open events, and those that were closed since they were last taken.
#[derive(Debug)]
pub(super) struct Events {
    open: Slab<Entry>,
    closed: Vec<Closed>,
    count: usize,
}

impl Events {
    pub(super) const fn new() -> Events {
        Events { open: Slab::new(), closed: Vec::new(), count: 0 }
    }

    /// Takes an event with this many rows. One without rows closes at once: its rules send nothing.
    pub(super) fn insert(&mut self, position: Position, rows: u32) -> Option<u32> {
        if rows == 0 {
            self.closed.push(Closed {
                state: Disposition::Filtered,
                code: Some(Cow::Borrowed(FilterReason::NoRule.as_str())),
                ..Closed::delivered(position, 0)
            });
            return None;
        }
        self.count += 1;
        let closed = Closed::delivered(position, rows);
        Some(self.open.insert(Entry { open_rows: rows, closed }))
    }

    /// Where the event stands in the log.
    pub(super) fn position(&self, event: u32) -> Option<Position> {
        self.open.get(event).map(|entry| entry.closed.position)
    }

    /// A row of the event is sent although Mixpanel may have it.
    pub(super) fn mark_resent(&mut self, event: u32) {
        if let Some(entry) = self.open.get_mut(event) {
            entry.closed.resent = true;
        }
    }

    /// A row of the event has ended. The worst end counts, and of equals the first.
    pub(super) fn end_row(&mut self, event: u32, end: End) {
        let Some(entry) = self.open.get_mut(event) else { return };
        if end.state > entry.closed.state {
            entry.closed.state = end.state;
            entry.closed.code = end.code.map(|code| Cow::Borrowed(code.as_str()));
            entry.closed.detail = end.words;
        }
        entry.open_rows = entry.open_rows.saturating_sub(1);
        if entry.open_rows == 0
            && let Some(entry) = self.open.remove(event)
        {
            self.count -= 1;
            self.closed.push(entry.closed);
        }
    }

    /// What was closed since the last call.
    pub(super) fn take_closed(&mut self) -> Vec<Closed> {
        std::mem::take(&mut self.closed)
    }

    /// The number of open events.
    pub(super) const fn len(&self) -> usize {
        self.count
    }
}
