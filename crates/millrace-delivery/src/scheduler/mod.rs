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
//! - A request holds rows of one project; rows of different projects never wait for each other.
//! - A row that is to go alone shares its request with no other.
//!
//! | module | owns |
//! | --- | --- |
//! | `limits` | the bounds |
//! | `lanes` | who has to wait for whom |
//! | `project` | the rows of one project, which share nothing with those of others |
//! | `line` | the rows that wait, and the choice among them |
//! | `pace` | linger, back-off and concurrency of one endpoint |
//! | `events` | the open events and their ends |

mod answer;
mod events;
mod lanes;
mod limits;
mod line;
mod pace;
mod project;
mod slab;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_model::code::Code;
use millrace_model::disposition::Disposition;
use millrace_model::entropy::Entropy;
use millrace_model::id::{InsertId, Position};
use millrace_model::row::{Endpoint, Row as MappedRow};

use crate::journal::Closed;
use events::{End, Events};
use line::Choice;
use project::{Ended, Project, RowState};

pub use limits::{Limits, OnUnclear, PerEndpoint};
pub use project::{ProjectKeys, ProjectNumber};

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
    /// The project that it is for.
    pub project: ProjectNumber,
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

#[derive(Debug)]
struct Flight {
    project: ProjectNumber,
    endpoint: Endpoint,
    rows: Vec<u32>,
    bytes: usize,
}

/// What all projects share.
#[derive(Debug)]
struct Shared {
    limits: Limits,
    entropy: Arc<dyn Entropy>,
    events: Events,
    open_rows: usize,
    open_bytes: usize,
    totals: Totals,
}

impl Shared {
    /// True while the window takes more.
    const fn has_room(&self) -> bool {
        self.open_rows < self.limits.window_rows && self.open_bytes < self.limits.window_bytes
    }

    fn row_ended(&mut self, ended: Ended, end: End) {
        self.open_rows = self.open_rows.saturating_sub(1);
        self.open_bytes = self.open_bytes.saturating_sub(ended.bytes);
        match end.state {
            Disposition::Delivered => self.totals.delivered_rows += 1,
            Disposition::Filtered
            | Disposition::Duplicate
            | Disposition::SetAside
            | Disposition::Rejected
            | Disposition::Dead
            | Disposition::Erased => self.totals.failed_rows += 1,
        }
        self.events.end_row(ended.event, end);
    }
}

/// The scheduler of one integration.
#[derive(Debug)]
pub struct Scheduler {
    keys: ProjectKeys,
    /// By their numbers.
    projects: Vec<Project>,
    shared: Shared,
    flights: HashMap<RequestId, Flight, foldhash::fast::RandomState>,
    next_request: u64,
    paused_since: Option<Duration>,
    paused_for: Duration,
}

impl Scheduler {
    /// A scheduler that holds nothing.
    #[must_use]
    pub fn new(limits: Limits, keys: ProjectKeys, entropy: Arc<dyn Entropy>) -> Scheduler {
        let projects = keys.numbers().map(|_| Project::new(&limits)).collect();
        let shared = Shared {
            limits,
            entropy,
            events: Events::new(),
            open_rows: 0,
            open_bytes: 0,
            totals: Totals::default(),
        };
        Scheduler {
            keys,
            projects,
            shared,
            flights: HashMap::default(),
            next_request: 0,
            paused_since: None,
            paused_for: Duration::ZERO,
        }
    }

    /// True while the window takes more. When it is full, whoever reads must wait.
    #[must_use]
    pub const fn has_room(&self) -> bool {
        self.shared.has_room()
    }

    /// Takes an event, as the latest.
    pub fn push(&mut self, now: Duration, event: &MappedEvent<'_>) {
        let count = u32::try_from(event.rows.len()).unwrap_or(u32::MAX);
        let Some(number) = self.shared.events.insert(event.position, count) else { return };
        for row in event.rows {
            if let Err(code) = self.push_row(now, number, event, row) {
                self.shared.totals.failed_rows += 1;
                self.shared.events.end_row(number, End::set_aside(code));
            }
        }
    }

    fn push_row(
        &mut self,
        now: Duration,
        number: u32,
        event: &MappedEvent<'_>,
        row: &MappedRow,
    ) -> Result<(), Code> {
        let shared = &mut self.shared;
        let in_bounds = row.body.start <= row.body.end && row.body.end <= event.bytes.len();
        if !in_bounds {
            // A mapper that points outside its own bytes: the row cannot be sent.
            return Err(Code::MappingFailed);
        }
        if event.perhaps_sent && !row.repeatable && shared.limits.on_unclear == OnUnclear::SetAside
        {
            return Err(Code::UnclearAnswer);
        }
        let project = self.keys.number(row.project).ok_or(Code::UndeclaredProject)?;
        let project = self.projects.get_mut(project.index()).ok_or(Code::UndeclaredProject)?;
        let body = event.bytes.slice(row.body.clone());
        shared.open_rows += 1;
        shared.open_bytes += body.len();
        project.arrive(now, number, event.perhaps_sent, row, body, &shared.limits);
        Ok(())
    }

    /// The next request that may leave now, if there is one.
    pub fn next_request(&mut self, now: Duration) -> Option<Outgoing> {
        if self.paused_since.is_some() {
            return None;
        }
        let urgent = !self.has_room();
        for number in self.keys.numbers() {
            for endpoint in Endpoint::ALL {
                if let Some(project) = self.projects.get_mut(number.index())
                    && let Some(choice) = project.form(now, endpoint, urgent, &self.shared.limits)
                {
                    return Some(self.dispatch(now, number, endpoint, choice));
                }
            }
        }
        None
    }

    fn dispatch(
        &mut self,
        now: Duration,
        number: ProjectNumber,
        endpoint: Endpoint,
        choice: Choice,
    ) -> Outgoing {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let sent_at = self.active(now);
        let count = choice.chosen.len();
        let mut outgoing = Outgoing {
            id,
            project: number,
            endpoint,
            repeatable: true,
            bodies: Vec::with_capacity(count),
            insert_ids: Vec::with_capacity(count),
            events: Vec::with_capacity(count),
        };
        let Some(project) = self.projects.get_mut(number.index()) else { return outgoing };
        let events = &mut self.shared.events;
        for number in &choice.chosen {
            project.step_out(*number);
            let Some(row) = project.rows.get_mut(*number) else { continue };
            row.state = RowState::InFlight;
            row.first_sent.get_or_insert(sent_at);
            if row.perhaps_taken {
                events.mark_resent(row.event);
            }
            outgoing.repeatable &= row.repeatable;
            outgoing.bodies.push(row.body.clone());
            outgoing.insert_ids.push(row.insert_id);
            if let Some(position) = events.position(row.event)
                && outgoing.events.last() != Some(&position)
            {
                outgoing.events.push(position);
            }
        }
        project.departed(now, endpoint, &choice, &self.shared.limits);
        self.shared.totals.requests += 1;
        let Choice { chosen: rows, bytes, .. } = choice;
        self.flights.insert(id, Flight { project: number, endpoint, rows, bytes });
        outgoing
    }

    /// When to ask again for a request, if nothing happens before.
    #[must_use]
    pub fn wake(&self) -> Option<Duration> {
        if self.paused_since.is_some() {
            return None;
        }
        self.projects.iter().filter_map(|project| project.wake(&self.shared.limits)).min()
    }

    /// Sends nothing more until [`Scheduler::resume`].
    pub fn pause(&mut self, now: Duration) {
        self.paused_since.get_or_insert(now);
    }

    /// Sends again. The pause does not count towards the horizon of any row.
    pub fn resume(&mut self, now: Duration) {
        if let Some(since) = self.paused_since.take() {
            self.paused_for += now.saturating_sub(since);
            for project in &mut self.projects {
                project.start_over(now);
            }
        }
    }

    /// True while nothing is sent.
    #[must_use]
    pub const fn is_paused(&self) -> bool {
        self.paused_since.is_some()
    }

    /// The token of a project was proven: its profile and group rows may leave (DESIGN 9.16).
    pub fn token_is_proven(&mut self, project: ProjectNumber) {
        if let Some(project) = self.projects.get_mut(project.index()) {
            project.proven = true;
        }
    }

    /// True when rows of a project wait for nothing but the proof of its token.
    #[must_use]
    pub fn wants_proof(&self, project: ProjectNumber) -> bool {
        self.paused_since.is_none()
            && self.projects.get(project.index()).is_some_and(Project::wants_proof)
    }

    /// The events that were closed since the last call.
    pub fn take_closed(&mut self) -> Vec<Closed> {
        self.shared.events.take_closed()
    }

    /// Rows without a final answer.
    #[must_use]
    pub const fn open_rows(&self) -> usize {
        self.shared.open_rows
    }

    /// Events without a final state.
    #[must_use]
    pub const fn open_events(&self) -> usize {
        self.shared.events.len()
    }

    /// Rows that are in a request.
    #[must_use]
    pub fn in_flight_rows(&self) -> usize {
        let waiting: usize = self.projects.iter().map(Project::waiting_rows).sum();
        self.open_rows().saturating_sub(waiting)
    }

    /// Counts for display.
    #[must_use]
    pub const fn totals(&self) -> Totals {
        self.shared.totals
    }

    /// The time without pauses.
    fn active(&self, now: Duration) -> Duration {
        let paused_now =
            self.paused_since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        now.saturating_sub(self.paused_for + paused_now)
    }
}

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
