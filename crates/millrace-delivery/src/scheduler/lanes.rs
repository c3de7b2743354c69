//! Who has to wait for whom (DESIGN 9.14).
//!
//! A lane is the ordered stream of one identity's rows. Two rules hold per lane:
//!
//! - **At one endpoint** a row leaves only when every earlier row of the lane there has its final
//!   answer or stands earlier in the same request: when none of the lane is in flight there, and it
//!   is the first of the lane's line (see `line`) once what the same request takes has left.
//! - **Across endpoints** only rows that join identities count: later rows wait for them, they wait
//!   for all earlier rows. Each lane counts, for every endpoint, the rows and the joining rows that
//!   have arrived and that are done. A row that finds some of them open when it arrives notes the
//!   count to be reached. The count is exact although rows of one endpoint may be done out of
//!   order: a later row of the other endpoint cannot be done before this one, because one of the
//!   two joins and so the later one waits.
//!
//! A lane lives as long as it has open rows. It is therefore there for every note that names it.

use std::collections::HashMap;

use millrace_model::row::{Endpoint, LaneKey, Lanes, RowRole};
use smallvec::SmallVec;

use super::limits::PerEndpoint;
use super::line::{Line, NOBODY};
use super::slab::Slab;

/// The lanes of a row, by their number here.
pub(super) type LaneRefs = SmallVec<[u32; 4]>;

/// Something that a row has to wait for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    lane: u32,
    endpoint: Endpoint,
    joins_only: bool,
    until: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    rows: u32,
    joins: u32,
}

impl Count {
    fn add(&mut self, role: RowRole) {
        self.rows = self.rows.wrapping_add(1);
        match role {
            RowRole::Joins => self.joins = self.joins.wrapping_add(1),
            RowRole::Plain => {}
        }
    }
}

#[derive(Debug, Default)]
struct Lane {
    key: u64,
    open: u32,
    in_flight: PerEndpoint<u32>,
    /// Its rows that wait.
    line: PerEndpoint<Line>,
    /// The last choice that took rows of this lane, and who would be first after it.
    walk: u64,
    walk_first: u32,
    arrived: PerEndpoint<Count>,
    done: PerEndpoint<Count>,
}

/// All lanes with open rows.
#[derive(Debug)]
pub(super) struct LaneTable {
    by_key: HashMap<u64, u32, foldhash::fast::RandomState>,
    lanes: Slab<Lane>,
    walk: u64,
}

impl LaneTable {
    pub(super) fn new() -> LaneTable {
        LaneTable { by_key: HashMap::default(), lanes: Slab::new(), walk: 0 }
    }

    /// Takes a row in, as the latest of its lanes. Gives its lanes and what it has to wait for at
    /// other endpoints; the latter nearly always empty.
    pub(super) fn arrive(
        &mut self,
        endpoint: Endpoint,
        role: RowRole,
        lanes: &Lanes,
    ) -> (LaneRefs, Vec<Wait>) {
        let mut refs = LaneRefs::new();
        let mut waits = Vec::new();
        for key in lanes.iter() {
            let number = self.lane_of(key);
            if refs.contains(&number) {
                continue;
            }
            let Some(lane) = self.lanes.get_mut(number) else { continue };
            refs.push(number);
            lane.open += 1;
            for other in Endpoint::ALL.into_iter().filter(|other| *other != endpoint) {
                let (arrived, done) = (lane.arrived.of(other), lane.done.of(other));
                let (joins_only, until, reached) = match role {
                    RowRole::Joins => (false, arrived.rows, done.rows),
                    RowRole::Plain => (true, arrived.joins, done.joins),
                };
                if until != reached {
                    waits.push(Wait { lane: number, endpoint: other, joins_only, until });
                }
            }
            lane.arrived.of_mut(endpoint).add(role);
        }
        (refs, waits)
    }

    fn lane_of(&mut self, key: LaneKey) -> u32 {
        let lanes = &mut self.lanes;
        *self
            .by_key
            .entry(key.0)
            .or_insert_with(|| lanes.insert(Lane { key: key.0, ..Lane::default() }))
    }

    /// Puts a row at the end of a line; who was last before.
    pub(super) fn push_last(&mut self, endpoint: Endpoint, lane: u32, row: u32) -> u32 {
        let Some(lane) = self.lanes.get_mut(lane) else { return NOBODY };
        let line = lane.line.of_mut(endpoint);
        if line.first == NOBODY {
            line.first = row;
        }
        std::mem::replace(&mut line.last, row)
    }

    /// Puts a row at the front of a line; who was first before.
    pub(super) fn push_first(&mut self, endpoint: Endpoint, lane: u32, row: u32) -> u32 {
        let Some(lane) = self.lanes.get_mut(lane) else { return NOBODY };
        let line = lane.line.of_mut(endpoint);
        if line.last == NOBODY {
            line.last = row;
        }
        std::mem::replace(&mut line.first, row)
    }

    /// Takes the first row out of a line; `next` stands behind it.
    pub(super) fn pop_first(&mut self, endpoint: Endpoint, lane: u32, next: u32) {
        let Some(lane) = self.lanes.get_mut(lane) else { return };
        let line = lane.line.of_mut(endpoint);
        line.first = next;
        if next == NOBODY {
            line.last = NOBODY;
        }
    }

    /// The first row of a line.
    pub(super) fn first(&self, endpoint: Endpoint, lane: u32) -> u32 {
        self.lanes.get(lane).map_or(NOBODY, |lane| lane.line.of(endpoint).first)
    }

    /// True when a row is the first of all its lines, and nothing of its lanes is in flight.
    pub(super) fn is_first(&self, endpoint: Endpoint, row: u32, refs: &[u32]) -> bool {
        refs.iter()
            .filter_map(|number| self.lanes.get(*number))
            .all(|lane| *lane.in_flight.of(endpoint) == 0 && lane.line.of(endpoint).first == row)
    }

    /// Begins to choose rows of an endpoint.
    pub(super) fn begin_walk(&mut self) {
        self.walk += 1;
    }

    /// The first row of a lane is chosen; `next` stands behind it.
    pub(super) fn walk_on(&mut self, lane: u32, next: u32) {
        if let Some(lane) = self.lanes.get_mut(lane) {
            lane.walk = self.walk;
            lane.walk_first = next;
        }
    }

    /// The same as [`LaneTable::is_first`] once what was chosen has left, in the same request.
    pub(super) fn is_first_in_walk(&self, endpoint: Endpoint, row: u32, refs: &[u32]) -> bool {
        refs.iter().filter_map(|number| self.lanes.get(*number)).all(|lane| {
            let stands = lane.line.of(endpoint).first;
            let first = if lane.walk == self.walk { lane.walk_first } else { stands };
            *lane.in_flight.of(endpoint) == 0 && first == row
        })
    }

    /// True when nothing at other endpoints has to be waited for any more.
    pub(super) fn are_over(&self, waits: &[Wait]) -> bool {
        waits.iter().all(|wait| self.is_over(wait))
    }

    fn is_over(&self, wait: &Wait) -> bool {
        self.lanes.get(wait.lane).is_none_or(|lane| {
            let done = lane.done.of(wait.endpoint);
            let reached = if wait.joins_only { done.joins } else { done.rows };
            // Counts wrap; less than half of their range is ever open.
            reached.wrapping_sub(wait.until) < u32::MAX / 2
        })
    }

    /// A row has left in a request.
    pub(super) fn depart(&mut self, endpoint: Endpoint, refs: &[u32]) {
        for number in refs {
            if let Some(lane) = self.lanes.get_mut(*number) {
                *lane.in_flight.of_mut(endpoint) += 1;
            }
        }
    }

    /// A row has come back without a final answer.
    pub(super) fn come_back(&mut self, endpoint: Endpoint, refs: &[u32]) {
        for number in refs {
            if let Some(lane) = self.lanes.get_mut(*number) {
                let in_flight = lane.in_flight.of_mut(endpoint);
                *in_flight = in_flight.saturating_sub(1);
            }
        }
    }

    /// A row that is not in flight has its final answer.
    pub(super) fn finish(&mut self, endpoint: Endpoint, role: RowRole, refs: &[u32]) {
        for number in refs {
            let Some(lane) = self.lanes.get_mut(*number) else { continue };
            lane.done.of_mut(endpoint).add(role);
            lane.open = lane.open.saturating_sub(1);
            if lane.open == 0 {
                let key = lane.key;
                self.by_key.remove(&key);
                self.lanes.remove(*number);
            }
        }
    }

    /// The number of lanes with open rows.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }
}
