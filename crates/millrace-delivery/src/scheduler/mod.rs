//! Which rows may leave next, in which request, and what an answer does to them.
//!
//! A deterministic state machine without clock, thread or socket: it is told the time and the
//! answers, and says what to send. It holds a bounded window of mapped rows.
//!
//! Invariants, each checked by a property test against an oracle that shares no code:
//! - Every row taken in ends exactly once; an event closes when its last row ends, with the worst
//!   of their states.
//! - A row that has a final answer is never sent again.
//! - The order rule of DESIGN 9.14 holds at every request (see `lanes`).
//! - No request exceeds the bounds of its endpoint; rows that cannot be repeated never share a
//!   request with others.
//! - Lanes that share no row never wait for each other, but for the bounds above.
//!
//! | module | owns |
//! | --- | --- |
//! | `limits` | the bounds |
//! | `lanes` | who has to wait for whom |
//! | `line` | the rows that wait, and the choice among them |
//! | `pace` | linger, back-off and concurrency of one endpoint |
//! | `events` | the open events and their ends |

mod answer;
mod events;
mod lanes;
mod limits;
mod line;
mod pace;
mod slab;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_model::code::Code;
use millrace_model::disposition::Disposition;
use millrace_model::entropy::Entropy;
use millrace_model::id::{InsertId, Position};
use millrace_model::row::{Endpoint, Row as MappedRow, RowRole};

use crate::journal::Closed;
use events::{End, Events};
use lanes::{LaneRefs, LaneTable, Wait};
use line::{Choice, NOBODY};
use pace::Pace;
use slab::Slab;

pub use limits::{Limits, OnUnclear, PerEndpoint};

/// A mapped event, on its way into the window.
#[derive(Debug)]
pub struct MappedEvent<'a> {
    /// Where it stands in the log.
    pub position: Position,
    /// True when it may have been sent before this process started.
    pub perhaps_sent: bool,
    /// What its rows' bodies are ranges of.
    pub bytes: Bytes,
    /// Its rows, in the order in which they must be sent.
    pub rows: &'a [MappedRow],
}

/// The number of a request, unique within a scheduler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(u64);

/// What to send.
#[derive(Debug)]
pub struct Outgoing {
    /// To be named with the answer.
    pub id: RequestId,
    /// Where to.
    pub endpoint: Endpoint,
    /// False when a second sending would count twice: its intent must be durable first.
    pub repeatable: bool,
    /// The JSON objects.
    pub bodies: Vec<Bytes>,
    /// Their insert ids.
    pub insert_ids: Vec<Option<InsertId>>,
    /// The events that they belong to, each once for neighbouring rows.
    pub events: Vec<Position>,
}

/// Counts for display, since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Totals {
    /// Rows that Mixpanel has taken.
    pub delivered_rows: u64,
    /// Rows that ended otherwise.
    pub failed_rows: u64,
    /// Requests sent.
    pub requests: u64,
    /// Requests whose rows, or some of them, must be sent again.
    pub retried_requests: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowState {
    Waiting,
    InFlight,
}

#[derive(Debug)]
struct Row {
    event: u32,
    endpoint: Endpoint,
    role: RowRole,
    repeatable: bool,
    perhaps_taken: bool,
    state: RowState,
    /// Its place in the order of all rows.
    arrival: u64,
    lanes: LaneRefs,
    /// Who stands behind it in the line of each of its lanes, while it waits.
    next: LaneRefs,
    waits: Vec<Wait>,
    insert_id: Option<InsertId>,
    body: Bytes,
    /// In how large a company it may be sent: less and less while a culprit is looked for.
    company: usize,
    /// When it was first sent, in time without pauses.
    first_sent: Option<Duration>,
}

impl Row {
    /// Says who stands behind it in the line of one of its lanes.
    fn set_next(&mut self, lane: u32, next: u32) {
        for (own, place) in self.lanes.iter().zip(&mut self.next) {
            if *own == lane {
                *place = next;
            }
        }
    }
}

#[derive(Debug)]
struct Flight {
    endpoint: Endpoint,
    rows: Vec<u32>,
    bytes: usize,
}

/// The scheduler of one integration.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    entropy: Arc<dyn Entropy>,
    rows: Slab<Row>,
    events: Events,
    lanes: LaneTable,
    /// Rows that nothing keeps but their waits, by their place in the order.
    ready: PerEndpoint<BTreeSet<(u64, u32)>>,
    arrivals: u64,
    paces: PerEndpoint<Pace>,
    flights: HashMap<RequestId, Flight, foldhash::fast::RandomState>,
    next_request: u64,
    open_rows: usize,
    open_bytes: usize,
    proven: bool,
    paused_since: Option<Duration>,
    paused_for: Duration,
    totals: Totals,
}

impl Scheduler {
    /// A scheduler that holds nothing.
    #[must_use]
    pub fn new(limits: Limits, entropy: Arc<dyn Entropy>) -> Scheduler {
        let pace = || Pace::new(&limits);
        Scheduler {
            entropy,
            rows: Slab::new(),
            events: Events::new(),
            lanes: LaneTable::new(),
            ready: PerEndpoint::default(),
            arrivals: 0,
            paces: PerEndpoint { import: pace(), engage: pace(), groups: pace() },
            flights: HashMap::default(),
            next_request: 0,
            open_rows: 0,
            open_bytes: 0,
            proven: false,
            paused_since: None,
            paused_for: Duration::ZERO,
            totals: Totals::default(),
            limits,
        }
    }

    /// True while the window takes more. When it is full, whoever reads must wait.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.open_rows < self.limits.window_rows && self.open_bytes < self.limits.window_bytes
    }

    /// Takes an event, as the latest.
    pub fn push(&mut self, now: Duration, event: &MappedEvent<'_>) {
        let count = u32::try_from(event.rows.len()).unwrap_or(u32::MAX);
        let Some(number) = self.events.insert(event.position, count) else { return };
        for row in event.rows {
            self.push_row(now, number, event, row);
        }
    }

    fn push_row(&mut self, now: Duration, number: u32, event: &MappedEvent<'_>, row: &MappedRow) {
        let in_bounds = row.body.start <= row.body.end && row.body.end <= event.bytes.len();
        if !in_bounds {
            // A mapper that points outside its own bytes: the row cannot be sent.
            self.events.end_row(number, End::set_aside(Code::MappingFailed));
            return;
        }
        if event.perhaps_sent && !row.repeatable && self.limits.on_unclear == OnUnclear::SetAside {
            self.totals.failed_rows += 1;
            self.events.end_row(number, End::set_aside(Code::UnclearAnswer));
            return;
        }
        let body = event.bytes.slice(row.body.clone());
        let endpoint = row.endpoint;
        let (lanes, waits) = self.lanes.arrive(endpoint, row.role, &row.lanes);
        self.open_rows += 1;
        self.open_bytes += body.len();
        self.paces.of_mut(endpoint).arrived(now, body.len(), &self.limits);
        self.arrivals += 1;
        let row = self.rows.insert(Row {
            event: number,
            endpoint,
            role: row.role,
            repeatable: row.repeatable,
            perhaps_taken: event.perhaps_sent,
            state: RowState::Waiting,
            arrival: self.arrivals,
            next: LaneRefs::from_elem(NOBODY, lanes.len()),
            lanes,
            waits,
            insert_id: row.insert_id,
            body,
            company: usize::MAX,
            first_sent: None,
        });
        self.stand_last(row);
    }

    /// The next request that may leave now, if there is one.
    pub fn next_request(&mut self, now: Duration) -> Option<Outgoing> {
        if self.paused_since.is_some() {
            return None;
        }
        let urgent = !self.has_room();
        for endpoint in Endpoint::ALL {
            if endpoint != Endpoint::Import && !self.proven {
                continue;
            }
            let rows = *self.limits.request_rows.of(endpoint);
            let pace = self.paces.of(endpoint);
            if pace.may_form(now, rows, urgent, self.limits.concurrency)
                && let Some(outgoing) = self.form(now, endpoint, urgent)
            {
                return Some(outgoing);
            }
        }
        None
    }

    fn form(&mut self, now: Duration, endpoint: Endpoint, urgent: bool) -> Option<Outgoing> {
        let choice = self.choose(endpoint);
        let pace = self.paces.of_mut(endpoint);
        let found = !choice.chosen.is_empty();
        if !found || !(choice.full || urgent || pace.is_due(now)) {
            pace.looked(found);
            return None;
        }
        Some(self.dispatch(now, endpoint, choice))
    }

    /// What a row's body costs beyond its own bytes.
    fn row_overhead(&self, endpoint: Endpoint) -> usize {
        match endpoint {
            Endpoint::Import => 1,
            Endpoint::Engage | Endpoint::Groups => 1 + self.limits.profile_overhead,
        }
    }

    fn dispatch(&mut self, now: Duration, endpoint: Endpoint, choice: Choice) -> Outgoing {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let sent_at = self.active(now);
        let count = choice.chosen.len();
        let mut outgoing = Outgoing {
            id,
            endpoint,
            repeatable: true,
            bodies: Vec::with_capacity(count),
            insert_ids: Vec::with_capacity(count),
            events: Vec::with_capacity(count),
        };
        for number in &choice.chosen {
            self.step_out(*number);
            let Some(row) = self.rows.get_mut(*number) else { continue };
            row.state = RowState::InFlight;
            row.first_sent.get_or_insert(sent_at);
            if row.perhaps_taken {
                self.events.mark_resent(row.event);
            }
            outgoing.repeatable &= row.repeatable;
            outgoing.bodies.push(row.body.clone());
            outgoing.insert_ids.push(row.insert_id);
            if let Some(position) = self.events.position(row.event)
                && outgoing.events.last() != Some(&position)
            {
                outgoing.events.push(position);
            }
        }
        let followed = self.is_followed(endpoint, &choice.chosen);
        let unseen = self.ready.of(endpoint).len() > choice.left_behind;
        let pace = self.paces.of_mut(endpoint);
        let left_behind = match unseen {
            true => choice.left_behind + usize::from(followed),
            // All others wait for answers.
            false => pace.pending_rows,
        };
        pace.formed(now, count, left_behind, &self.limits);
        if choice.misfits {
            pace.look_by(now);
        }
        self.totals.requests += 1;
        self.flights.insert(id, Flight { endpoint, rows: choice.chosen, bytes: choice.bytes });
        outgoing
    }

    /// When to ask again for a request, if nothing happens before.
    #[must_use]
    pub fn wake(&self) -> Option<Duration> {
        if self.paused_since.is_some() {
            return None;
        }
        Endpoint::ALL
            .into_iter()
            .filter(|endpoint| *endpoint == Endpoint::Import || self.proven)
            .filter_map(|endpoint| self.paces.of(endpoint).wake(self.limits.concurrency))
            .min()
    }

    /// Sends nothing more until [`Scheduler::resume`].
    pub fn pause(&mut self, now: Duration) {
        self.paused_since.get_or_insert(now);
    }

    /// Sends again. The pause does not count towards the horizon of any row.
    pub fn resume(&mut self, now: Duration) {
        if let Some(since) = self.paused_since.take() {
            self.paused_for += now.saturating_sub(since);
            for endpoint in Endpoint::ALL {
                self.paces.of_mut(endpoint).start_over(now);
            }
        }
    }

    /// True while nothing is sent.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.paused_since.is_some()
    }

    /// The token was proven: profile and group rows may leave (DESIGN 9.16).
    pub const fn token_is_proven(&mut self) {
        self.proven = true;
    }

    /// True when rows wait for nothing but the proof of the token.
    #[must_use]
    pub const fn wants_proof(&self) -> bool {
        let waiting = self.paces.engage.pending_rows + self.paces.groups.pending_rows;
        !self.proven && waiting > 0 && self.paused_since.is_none()
    }

    /// The events that were closed since the last call.
    pub fn take_closed(&mut self) -> Vec<Closed> {
        self.events.take_closed()
    }

    /// Rows without a final answer.
    #[must_use]
    pub const fn open_rows(&self) -> usize {
        self.open_rows
    }

    /// Events without a final state.
    #[must_use]
    pub const fn open_events(&self) -> usize {
        self.events.len()
    }

    /// Rows that are in a request.
    #[must_use]
    pub fn in_flight_rows(&self) -> usize {
        let waiting: usize = Endpoint::ALL.iter().map(|at| self.paces.of(*at).pending_rows).sum();
        self.open_rows.saturating_sub(waiting)
    }

    /// Counts for display.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// The time without pauses.
    fn active(&self, now: Duration) -> Duration {
        let paused_now =
            self.paused_since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        now.saturating_sub(self.paused_for + paused_now)
    }

    /// Ends a row that is in flight.
    fn end(&mut self, number: u32, end: End) {
        let in_flight = self.rows.get(number).is_some_and(|row| row.state == RowState::InFlight);
        let Some(row) = in_flight.then(|| self.rows.remove(number)).flatten() else { return };
        let Row { endpoint, role, event, body, lanes, .. } = row;
        self.land_in_lanes(endpoint, &lanes);
        self.lanes.finish(endpoint, role, &lanes);
        self.open_rows = self.open_rows.saturating_sub(1);
        self.open_bytes = self.open_bytes.saturating_sub(body.len());
        match end.state {
            Disposition::Delivered => self.totals.delivered_rows += 1,
            Disposition::Filtered
            | Disposition::Duplicate
            | Disposition::SetAside
            | Disposition::Rejected
            | Disposition::Dead
            | Disposition::Erased => self.totals.failed_rows += 1,
        }
        self.events.end_row(event, end);
    }

    /// Takes a row back that is in flight: it keeps its place. Those of one request in reverse order.
    fn take_back(&mut self, now: Duration, number: u32, perhaps_taken: bool) {
        let Some(row) = self.rows.get_mut(number) else { return };
        if row.state != RowState::InFlight {
            return;
        }
        row.state = RowState::Waiting;
        row.perhaps_taken |= perhaps_taken;
        let (endpoint, lanes) = (row.endpoint, row.lanes.clone());
        self.paces.of_mut(endpoint).came_back(now);
        self.stand_first(number);
        self.land_in_lanes(endpoint, &lanes);
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
