//! The rows of one project: which may leave next, and their places until they have ended.
//!
//! Projects share nothing but the window and a pause: each has its own lanes, so that no row ever
//! waits for one of another project, and its own paces, so that one that is over its limit holds up
//! no other.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use millrace_model::id::InsertId;
use millrace_model::row::{Endpoint, ProjectKey, Row as MappedRow, RowRole};

use super::lanes::{LaneRefs, LaneTable, Wait};
use super::limits::{Limits, PerEndpoint};
use super::line::{Choice, NOBODY};
use super::pace::Pace;
use super::slab::Slab;

/// The place of a project among those of an integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectNumber(u16);

impl ProjectNumber {
    /// The project that the integration is about.
    pub const OWN: ProjectNumber = ProjectNumber(0);

    /// The place, from 0.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The projects of an integration, by their keys: its own and those declared beside it.
#[derive(Clone, Debug, Default)]
pub struct ProjectKeys {
    /// Of the integration's own project; without it, a row that names it counts as undeclared.
    own: Option<ProjectKey>,
    others: Vec<ProjectKey>,
}

impl ProjectKeys {
    /// No project but the integration's own.
    #[must_use]
    pub const fn new(own: ProjectKey) -> ProjectKeys {
        ProjectKeys { own: Some(own), others: Vec::new() }
    }

    /// Declares another project. False when it is declared already, or there are too many.
    pub fn declare(&mut self, key: ProjectKey) -> bool {
        let room = self.others.len() < usize::from(u16::MAX);
        let new = room && self.number(Some(key)).is_none();
        if new {
            self.others.push(key);
        }
        new
    }

    /// The project that a row is for; none when it is not declared.
    #[must_use]
    pub fn number(&self, key: Option<ProjectKey>) -> Option<ProjectNumber> {
        if key.is_none() || key == self.own {
            return Some(ProjectNumber::OWN);
        }
        let place = self.others.iter().position(|other| Some(*other) == key)?;
        u16::try_from(place + 1).ok().map(ProjectNumber)
    }

    /// Every project, its own first.
    pub fn numbers(&self) -> impl Iterator<Item = ProjectNumber> + use<> {
        (0..=u16::try_from(self.others.len()).unwrap_or(u16::MAX)).map(ProjectNumber)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowState {
    Waiting,
    InFlight,
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) event: u32,
    pub(super) endpoint: Endpoint,
    role: RowRole,
    pub(super) repeatable: bool,
    pub(super) perhaps_taken: bool,
    pub(super) state: RowState,
    /// Its place in the order of all rows of the project.
    pub(super) arrival: u64,
    pub(super) lanes: LaneRefs,
    /// Who stands behind it in the line of each of its lanes, while it waits.
    pub(super) next: LaneRefs,
    pub(super) waits: Vec<Wait>,
    pub(super) insert_id: Option<InsertId>,
    pub(super) body: Bytes,
    /// In how large a company it may be sent: less and less while a culprit is looked for, and in
    /// none when it was mapped to go alone.
    pub(super) company: usize,
    /// When it was first sent, in time without pauses.
    pub(super) first_sent: Option<Duration>,
}

impl Row {
    /// Says who stands behind it in the line of one of its lanes.
    pub(super) fn set_next(&mut self, lane: u32, next: u32) {
        for (own, place) in self.lanes.iter().zip(&mut self.next) {
            if *own == lane {
                *place = next;
            }
        }
    }
}

/// What is left of a row that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) event: u32,
    pub(super) bytes: usize,
}

#[derive(Debug)]
pub(super) struct Project {
    pub(super) rows: Slab<Row>,
    pub(super) lanes: LaneTable,
    /// Rows that nothing keeps but their waits, by their place in the order.
    pub(super) ready: PerEndpoint<BTreeSet<(u64, u32)>>,
    pub(super) paces: PerEndpoint<Pace>,
    arrivals: u64,
    pub(super) proven: bool,
}

impl Project {
    pub(super) fn new(limits: &Limits) -> Project {
        let pace = || Pace::new(limits);
        Project {
            rows: Slab::new(),
            lanes: LaneTable::new(),
            ready: PerEndpoint::default(),
            paces: PerEndpoint { import: pace(), engage: pace(), groups: pace() },
            arrivals: 0,
            proven: false,
        }
    }

    /// Takes a row of an event, as the latest.
    pub(super) fn arrive(
        &mut self,
        now: Duration,
        event: u32,
        perhaps_taken: bool,
        row: &MappedRow,
        body: Bytes,
        limits: &Limits,
    ) {
        let endpoint = row.endpoint;
        let (lanes, waits) = self.lanes.arrive(endpoint, row.role, &row.lanes);
        self.paces.of_mut(endpoint).arrived(now, body.len(), limits);
        self.arrivals += 1;
        let number = self.rows.insert(Row {
            event,
            endpoint,
            role: row.role,
            repeatable: row.repeatable,
            perhaps_taken,
            state: RowState::Waiting,
            arrival: self.arrivals,
            next: LaneRefs::from_elem(NOBODY, lanes.len()),
            lanes,
            waits,
            insert_id: row.insert_id,
            body,
            company: if row.alone { 1 } else { usize::MAX },
            first_sent: None,
        });
        self.stand_last(number);
    }

    /// True when rows of the endpoint may leave: others than events need a proven token.
    pub(super) fn is_open(&self, endpoint: Endpoint) -> bool {
        endpoint == Endpoint::Import || self.proven
    }

    /// Rows that make a request which may leave now, if there are some.
    pub(super) fn form(
        &mut self,
        now: Duration,
        endpoint: Endpoint,
        urgent: bool,
        limits: &Limits,
    ) -> Option<Choice> {
        let rows = *limits.request_rows.of(endpoint);
        let pace = self.paces.of(endpoint);
        if !self.is_open(endpoint) || !pace.may_form(now, rows, urgent, limits.concurrency) {
            return None;
        }
        let choice = self.choose(endpoint, limits);
        let pace = self.paces.of_mut(endpoint);
        let found = !choice.chosen.is_empty();
        if !found || !(choice.full || urgent || pace.is_due(now)) {
            pace.looked(found);
            return None;
        }
        Some(choice)
    }

    /// Rows that were chosen have stepped out and left.
    pub(super) fn departed(
        &mut self,
        now: Duration,
        endpoint: Endpoint,
        choice: &Choice,
        limits: &Limits,
    ) {
        let followed = self.is_followed(endpoint, &choice.chosen);
        let unseen = self.ready.of(endpoint).len() > choice.left_behind;
        let pace = self.paces.of_mut(endpoint);
        let left_behind = match unseen {
            true => choice.left_behind + usize::from(followed),
            // All others wait for answers.
            false => pace.pending_rows,
        };
        pace.formed(now, choice.chosen.len(), left_behind, limits);
        if choice.misfits {
            pace.look_by(now);
        }
    }

    /// Ends a row that is in flight.
    pub(super) fn end(&mut self, number: u32) -> Option<Ended> {
        let in_flight = self.rows.get(number).is_some_and(|row| row.state == RowState::InFlight);
        let Row { endpoint, role, event, body, lanes, .. } =
            in_flight.then(|| self.rows.remove(number)).flatten()?;
        self.land_in_lanes(endpoint, &lanes);
        self.lanes.finish(endpoint, role, &lanes);
        Some(Ended { event, bytes: body.len() })
    }

    /// Takes a row back that is in flight: it keeps its place. Those of one request in reverse order.
    pub(super) fn take_back(&mut self, now: Duration, number: u32, perhaps_taken: bool) {
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

    /// An answer has come: rows that had to wait may be free now.
    pub(super) fn freed(&mut self, now: Duration, limits: &Limits) {
        for endpoint in Endpoint::ALL {
            self.paces.of_mut(endpoint).freed(now, limits);
        }
    }

    /// A pause is over.
    pub(super) fn start_over(&mut self, now: Duration) {
        for endpoint in Endpoint::ALL {
            self.paces.of_mut(endpoint).start_over(now);
        }
    }

    /// When to ask again for a request, if nothing happens before.
    pub(super) fn wake(&self, limits: &Limits) -> Option<Duration> {
        Endpoint::ALL
            .into_iter()
            .filter(|endpoint| self.is_open(*endpoint))
            .filter_map(|endpoint| self.paces.of(endpoint).wake(limits.concurrency))
            .min()
    }

    /// True when rows wait for nothing but the proof of the token.
    pub(super) const fn wants_proof(&self) -> bool {
        !self.proven && self.paces.engage.pending_rows + self.paces.groups.pending_rows > 0
    }

    /// Rows that are not in flight.
    pub(super) const fn waiting_rows(&self) -> usize {
        let PerEndpoint { import, engage, groups } = &self.paces;
        import.pending_rows + engage.pending_rows + groups.pending_rows
    }
}
