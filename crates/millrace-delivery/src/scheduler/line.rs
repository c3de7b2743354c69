//! The rows of a project that wait, each in the line of every lane that it has, and the choice among them.
//!
//! Invariants, for each endpoint:
//! - The line of a lane holds the waiting rows of the lane in the order in which they came. Rows in
//!   flight are all earlier than those that wait, since a request takes from the front of lines
//!   only, and a lane with rows in flight gives none.
//! - `ready` holds exactly the rows that are first in all of their lines and have no row of their
//!   lanes in flight. Every row that may leave is one of them, or stands in line behind one that
//!   leaves in the same request.
//!
//! So a choice costs what it chooses, however many rows have to wait.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use millrace_model::row::Endpoint;

use super::limits::Limits;
use super::project::{Project, RowState};

/// The end of a line.
pub(super) const NOBODY: u32 = u32::MAX;

/// The two ends of a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) first: u32,
    pub(super) last: u32,
}

impl Default for Line {
    fn default() -> Line {
        Line { first: NOBODY, last: NOBODY }
    }
}

/// What was chosen of the rows of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Choice {
    pub(super) chosen: Vec<u32>,
    pub(super) bytes: usize,
    /// No more fit.
    pub(super) full: bool,
    /// How many of those that are ready were looked at and may not leave yet.
    pub(super) left_behind: usize,
    /// Some of them only because they do not fit those that were chosen.
    pub(super) misfits: bool,
}

impl Project {
    /// Puts a new row at the end of its lines.
    pub(super) fn stand_last(&mut self, number: u32) {
        let Some(row) = self.rows.get(number) else { return };
        let (endpoint, lanes) = (row.endpoint, row.lanes.clone());
        for lane in &lanes {
            let before = self.lanes.push_last(endpoint, *lane, number);
            if let Some(row) = self.rows.get_mut(before) {
                row.set_next(*lane, number);
            }
        }
        self.note_if_ready(number);
    }

    /// Puts a row that has come back at the front of its lines. Those of one request must come back
    /// in reverse order.
    pub(super) fn stand_first(&mut self, number: u32) {
        let Some(row) = self.rows.get(number) else { return };
        let (endpoint, lanes) = (row.endpoint, row.lanes.clone());
        for lane in &lanes {
            let after = self.lanes.push_first(endpoint, *lane, number);
            if let Some(row) = self.rows.get_mut(number) {
                row.set_next(*lane, after);
            }
        }
        self.note_if_ready(number);
    }

    /// A row is not in flight any more: those that stand first in its lanes may be ready now.
    pub(super) fn land_in_lanes(&mut self, endpoint: Endpoint, lanes: &[u32]) {
        self.lanes.come_back(endpoint, lanes);
        for lane in lanes {
            let first = self.lanes.first(endpoint, *lane);
            self.note_if_ready(first);
        }
    }

    fn note_if_ready(&mut self, number: u32) {
        if let Some(row) = self.rows.get(number)
            && row.state == RowState::Waiting
            && self.lanes.is_first(row.endpoint, number, &row.lanes)
        {
            self.ready.of_mut(row.endpoint).insert((row.arrival, number));
        }
    }

    /// Takes a chosen row out of its lines.
    pub(super) fn step_out(&mut self, number: u32) {
        let Some(row) = self.rows.get_mut(number) else { return };
        self.ready.of_mut(row.endpoint).remove(&(row.arrival, number));
        for (lane, next) in row.lanes.iter().zip(&mut row.next) {
            self.lanes.pop_first(row.endpoint, *lane, *next);
            *next = NOBODY;
        }
        self.lanes.depart(row.endpoint, &row.lanes);
    }

    /// True when some row stands in line behind these, which have left.
    pub(super) fn is_followed(&self, endpoint: Endpoint, numbers: &[u32]) -> bool {
        numbers
            .iter()
            .filter_map(|number| self.rows.get(*number))
            .any(|row| row.lanes.iter().any(|lane| self.lanes.first(endpoint, *lane) != NOBODY))
    }

    /// Chooses rows that make a request, in the order in which they came. Changes nothing.
    pub(super) fn choose(&mut self, endpoint: Endpoint, limits: &Limits) -> Choice {
        let request_rows = *limits.request_rows.of(endpoint);
        let request_bytes = self.paces.of(endpoint).request_bytes;
        let overhead = limits.row_overhead(endpoint);
        let mut choice = Choice { bytes: 2, ..Choice::default() };
        let mut shape = None;
        self.lanes.begin_walk();
        let mut ready = self.ready.of(endpoint).iter().copied().peekable();
        // Those that stand first once what was chosen has left.
        let mut exposed = BinaryHeap::new();
        loop {
            let behind = exposed.peek().is_some_and(|Reverse(behind)| {
                ready.peek().is_none_or(|standing| behind < standing)
            });
            let next = if behind { exposed.pop().map(|Reverse(next)| next) } else { ready.next() };
            let Some((_, number)) = next else { break };
            let Some(row) = self.rows.get(number) else { continue };
            let company = row.company.min(request_rows);
            let (most, repeatable) = shape.unwrap_or((company, row.repeatable));
            if choice.chosen.len() >= most {
                choice.full = true;
                break;
            }
            let fits = company == most && row.repeatable == repeatable;
            if !fits || !self.lanes.are_over(&row.waits) {
                choice.misfits |= !fits;
                choice.left_behind += usize::from(!behind);
                continue;
            }
            if !self.lanes.is_first_in_walk(endpoint, number, &row.lanes) {
                // Two of its lanes have brought it here, and it was chosen the first time.
                continue;
            }
            let cost = row.body.len() + overhead;
            if !choice.chosen.is_empty() && choice.bytes + cost > request_bytes {
                choice.full = true;
                break;
            }
            shape = Some((most, repeatable));
            choice.chosen.push(number);
            choice.bytes += cost;
            for (lane, next) in row.lanes.iter().zip(&row.next) {
                self.lanes.walk_on(*lane, *next);
            }
            for next in &row.next {
                if let Some(row) = self.rows.get(*next)
                    && self.lanes.is_first_in_walk(endpoint, *next, &row.lanes)
                {
                    exposed.push(Reverse((row.arrival, *next)));
                }
            }
        }
        choice.full |= shape.is_some_and(|(most, _)| choice.chosen.len() >= most);
        choice
    }
}
