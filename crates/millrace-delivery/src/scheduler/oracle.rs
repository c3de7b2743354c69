//! A second, slow and simple account of the rules, against which the scheduler is run.
//!
//! It keeps every row in one list, compares each with all others, and shares no code with what it
//! checks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_model::code::Code;
use millrace_model::disposition::Disposition;
use millrace_model::entropy::{Entropy, SeededEntropy};
use millrace_model::id::{Position, Seq};
use millrace_model::row::{Endpoint, LaneKey, Lanes, ProjectKey, Row, RowRole};
use proptest::prelude::*;

use super::{
    Limits, MappedEvent, OnUnclear, Outgoing, PerEndpoint, ProjectKeys, ProjectNumber, RequestId,
    Scheduler,
};
use crate::receipt::{Receipt, RefusedRow};

/// The integration's own project and two declared ones.
const PROJECTS: usize = 3;

fn key_of(project: usize) -> ProjectKey {
    ProjectKey(project as u64)
}

fn keys() -> ProjectKeys {
    let mut keys = ProjectKeys::new(key_of(0));
    for project in 1..PROJECTS {
        assert!(keys.declare(key_of(project)));
    }
    keys
}

fn number_of(project: usize) -> ProjectNumber {
    keys().number(Some(key_of(project))).unwrap()
}

#[derive(Clone, Debug)]
struct RowPlan {
    project: usize,
    alone: bool,
    endpoint: Endpoint,
    joins: bool,
    repeatable: bool,
    lanes: Vec<u8>,
    padding: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Where {
    Waiting,
    InFlight(RequestId),
    Ended(Disposition),
}

#[derive(Debug)]
struct Known {
    event: u32,
    plan: RowPlan,
    at: Where,
    perhaps_taken: bool,
}

impl Known {
    fn shares_lane(&self, other: &Known) -> bool {
        self.plan.project == other.plan.project
            && self.plan.lanes.iter().any(|lane| other.plan.lanes.contains(lane))
    }

    fn ended(&self) -> bool {
        matches!(self.at, Where::Ended(_))
    }
}

struct World {
    scheduler: Scheduler,
    limits: Limits,
    rows: Vec<Known>,
    flights: BTreeMap<RequestId, Vec<usize>>,
    resent: BTreeMap<u32, bool>,
    closed: BTreeMap<u32, Disposition>,
    chance: SeededEntropy,
    now: Duration,
    proven: [bool; PROJECTS],
    failing: [PerEndpoint<bool>; PROJECTS],
}

impl World {
    fn push(&mut self, number: u32, plans: &[RowPlan]) {
        let (mut bytes, mut rows) = (Vec::new(), Vec::new());
        for plan in plans {
            let start = bytes.len();
            let body = format!("{}:{}", self.rows.len(), "x".repeat(plan.padding));
            bytes.extend_from_slice(body.as_bytes());
            let mut lanes = Lanes::default();
            for lane in &plan.lanes {
                lanes.add(LaneKey(u64::from(*lane)));
            }
            let role = if plan.joins { RowRole::Joins } else { RowRole::Plain };
            rows.push(Row {
                endpoint: plan.endpoint,
                role,
                repeatable: plan.repeatable,
                lanes,
                insert_id: None,
                // Its own project is named by some rows, and left out by others.
                project: (plan.project > 0 || plan.joins).then(|| key_of(plan.project)),
                alone: plan.alone,
                body: start..bytes.len(),
            });
            let at = Where::Waiting;
            self.rows.push(Known { event: number, plan: plan.clone(), at, perhaps_taken: false });
        }
        self.resent.insert(number, false);
        let event = MappedEvent {
            position: Position { seq: Seq(1), index: number },
            perhaps_sent: false,
            bytes: Bytes::from(bytes),
            rows: &rows,
        };
        self.scheduler.push(self.now, &event);
    }

    /// Takes all requests that the scheduler gives now, and checks each.
    fn take_requests(&mut self) {
        while let Some(outgoing) = self.scheduler.next_request(self.now) {
            let rows: Vec<usize> = outgoing
                .bodies
                .iter()
                .map(|body| {
                    let text = std::str::from_utf8(body).unwrap();
                    text.split_once(':').unwrap().0.parse().unwrap()
                })
                .collect();
            self.check_request(&outgoing, &rows);
            for row in &rows {
                let known = &mut self.rows[*row];
                known.at = Where::InFlight(outgoing.id);
                if known.perhaps_taken {
                    self.resent.insert(known.event, true);
                }
            }
            assert!(self.flights.insert(outgoing.id, rows).is_none(), "an id was used twice");
        }
    }

    fn check_request(&self, outgoing: &Outgoing, rows: &[usize]) {
        let endpoint = outgoing.endpoint;
        assert!(!rows.is_empty() && rows.len() <= *self.limits.request_rows.of(endpoint));
        let bytes: usize = outgoing.bodies.iter().map(|body| body.len() + 1).sum::<usize>() + 2;
        assert!(rows.len() == 1 || bytes <= self.limits.request_bytes, "{bytes} bytes");
        let project = self.rows[rows[0]].plan.project;
        assert_eq!(outgoing.project, number_of(project));
        let proven = self.proven[project];
        assert!(endpoint == Endpoint::Import || proven, "a profile left before the proof");
        let others = self.flights.values().filter(|rows| self.way_of(rows) == (project, endpoint));
        assert!(others.count() < self.limits.concurrency, "too many at once");
        for (place, row) in rows.iter().enumerate() {
            let known = &self.rows[*row];
            assert_eq!(known.at, Where::Waiting, "row {row} was sent twice");
            assert_eq!((known.plan.project, known.plan.endpoint), (project, endpoint));
            assert!(!known.plan.alone || rows.len() == 1, "row {row} is not alone");
            assert_eq!(known.plan.repeatable, outgoing.repeatable, "mixed company");
            for (earlier, other) in self.rows.iter().enumerate().take(*row) {
                if other.ended() || !other.shares_lane(known) {
                    continue;
                }
                if other.plan.endpoint == endpoint {
                    assert!(rows[..place].contains(&earlier), "row {row} overtakes {earlier}");
                } else {
                    let barrier = other.plan.joins || known.plan.joins;
                    assert!(!barrier, "row {row} passes the barrier with {earlier}");
                }
            }
        }
    }

    fn way_of(&self, rows: &[usize]) -> (usize, Endpoint) {
        let plan = &self.rows[rows[0]].plan;
        (plan.project, plan.endpoint)
    }

    /// Whoever could leave has left: nothing waits for a lane that it does not share.
    fn check_progress(&self) {
        let ways = (0..PROJECTS).flat_map(|project| Endpoint::ALL.map(|at| (project, at)));
        for way @ (project, endpoint) in ways {
            let at_it = self.flights.values().filter(|rows| self.way_of(rows) == way);
            let failing = *self.failing[project].of(endpoint);
            let busy = at_it.count() >= if failing { 1 } else { self.limits.concurrency };
            if busy || (endpoint != Endpoint::Import && !self.proven[project]) {
                continue;
            }
            for (at, row) in self.rows.iter().enumerate() {
                if row.at != Where::Waiting || (row.plan.project, row.plan.endpoint) != way {
                    continue;
                }
                let held = self.rows.iter().take(at).any(|other| {
                    !other.ended()
                        && other.shares_lane(row)
                        && (other.plan.endpoint == endpoint || other.plan.joins || row.plan.joins)
                });
                assert!(held, "row {at} could leave and does not");
            }
        }
    }

    /// Answers a request in flight; `kindly` with success only.
    fn answer(&mut self, kindly: bool) {
        let Some((id, rows)) = self.pick_flight() else { return };
        let words = "no".to_owned();
        let receipt = match if kindly { 0 } else { self.chance.below(8) } {
            0 | 1 => Receipt::Delivered,
            2 => {
                let refused: Vec<RefusedRow> = (0..rows.len())
                    .filter(|_| self.chance.below(3) == 0)
                    .map(|index| RefusedRow { index, words: words.clone() })
                    .collect();
                Receipt::Partly(refused)
            }
            3 => Receipt::Split { words },
            4 => Receipt::Bisect { words, perhaps_taken: self.chance.below(2) == 0 },
            5 => Receipt::Pause { code: Code::CredentialsRefused, reason: words },
            _ => Receipt::Retry {
                after: (self.chance.below(2) == 0).then(|| Duration::from_secs(5)),
                code: Code::DestinationBusy,
                reason: words,
                perhaps_taken: self.chance.below(2) == 0,
            },
        };
        self.account(&rows, &receipt);
        let (project, endpoint) = self.way_of(&rows);
        *self.failing[project].of_mut(endpoint) = matches!(receipt, Receipt::Retry { .. });
        let pause = matches!(receipt, Receipt::Pause { .. });
        self.scheduler.answer(self.now, id, receipt);
        if pause {
            self.failing = Default::default();
            self.scheduler.pause(self.now);
            assert!(self.scheduler.next_request(self.now).is_none(), "sent while paused");
        }
    }

    fn pick_flight(&mut self) -> Option<(RequestId, Vec<usize>)> {
        let at = usize::try_from(self.chance.below(self.flights.len() as u64)).unwrap();
        let id = *self.flights.keys().nth(at)?;
        self.flights.remove(&id).map(|rows| (id, rows))
    }

    fn account(&mut self, rows: &[usize], receipt: &Receipt) {
        let alone = rows.len() == 1;
        for (place, row) in rows.iter().enumerate() {
            let (end, unclear) = match receipt {
                Receipt::Delivered => (Some(Disposition::Delivered), false),
                Receipt::Partly(refused) => {
                    let refused = refused.iter().any(|refused| refused.index == place);
                    let end = if refused { Disposition::Rejected } else { Disposition::Delivered };
                    (Some(end), false)
                }
                Receipt::Split { .. } => (alone.then_some(Disposition::Rejected), false),
                Receipt::Bisect { perhaps_taken, .. } => {
                    (alone.then_some(Disposition::Rejected), *perhaps_taken)
                }
                Receipt::Pause { .. } => (None, false),
                Receipt::Retry { perhaps_taken, .. } => (None, *perhaps_taken),
            };
            let known = &mut self.rows[*row];
            let aside =
                unclear && !known.plan.repeatable && self.limits.on_unclear == OnUnclear::SetAside;
            known.at = match end {
                Some(end) => Where::Ended(end),
                None if aside => Where::Ended(Disposition::SetAside),
                None => {
                    known.perhaps_taken |= unclear;
                    Where::Waiting
                }
            };
        }
    }

    fn collect_closed(&mut self) {
        for closed in self.scheduler.take_closed() {
            let event = closed.position.index;
            let rows: Vec<&Known> = self.rows.iter().filter(|row| row.event == event).collect();
            let worst = rows.iter().map(|row| match row.at {
                Where::Ended(end) => end,
                Where::Waiting | Where::InFlight(_) => panic!("event {event} closed too early"),
            });
            let wanted = worst.max().unwrap_or(Disposition::Filtered);
            assert_eq!(closed.state, wanted, "event {event}");
            assert_eq!(closed.rows as usize, rows.len());
            assert_eq!(Some(&closed.resent), self.resent.get(&event), "event {event}");
            assert!(
                self.closed.insert(event, closed.state).is_none(),
                "event {event} closed twice"
            );
        }
    }

    fn run(&mut self, events: &[Vec<RowPlan>]) {
        let (mut next, mut steps) = (0, 0);
        while self.closed.len() < events.len() {
            steps += 1;
            assert!(steps < 5_000, "no end in sight");
            while next < events.len() && self.scheduler.has_room() {
                self.push(u32::try_from(next).unwrap(), &events[next]);
                next += 1;
            }
            for project in 0..PROJECTS {
                let number = number_of(project);
                if !self.proven[project] && (steps > 20 || self.scheduler.wants_proof(number)) {
                    self.proven[project] = true;
                    self.scheduler.token_is_proven(number);
                }
            }
            self.take_requests();
            // Far enough for every linger and back-off to be over.
            self.now += Duration::from_secs(700);
            self.take_requests();
            self.check_progress();
            self.answer(steps > 200);
            self.scheduler.resume(self.now);
            self.collect_closed();
        }
        assert_eq!(self.scheduler.open_rows(), 0);
        assert_eq!(self.scheduler.open_events(), 0);
        assert!(self.scheduler.projects.iter().all(|project| project.lanes.len() == 0));
        assert_eq!(self.scheduler.wake(), None);
    }
}

fn any_row() -> impl Strategy<Value = RowPlan> {
    let endpoint = prop_oneof![
        3 => Just(Endpoint::Import),
        2 => Just(Endpoint::Engage),
        1 => Just(Endpoint::Groups)
    ];
    let lanes = prop::collection::vec(0..6_u8, 0..4);
    let flags = [0.2, 0.8, 0.15].map(prop::bool::weighted);
    let project = prop_oneof![3 => Just(0), 1 => Just(1), 1 => Just(2)];
    (project, endpoint, flags, lanes, 0..40_usize).prop_map(
        |(project, endpoint, [joins, repeatable, alone], lanes, padding)| RowPlan {
            project,
            alone,
            endpoint,
            joins,
            repeatable,
            lanes,
            padding,
        },
    )
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (1..8_usize, 1..4_usize, 20..300_usize, 1..40_usize, any::<bool>()).prop_map(
        |(rows, concurrency, request_bytes, window_rows, aside)| Limits {
            request_rows: PerEndpoint { import: rows, engage: rows, groups: rows.div_ceil(2) },
            request_bytes,
            profile_overhead: 0,
            concurrency,
            window_rows,
            horizon: Duration::MAX,
            on_unclear: if aside { OnUnclear::SetAside } else { OnUnclear::Retry },
            ..Limits::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_doubled_reordered_or_held_up(
        events in prop::collection::vec(prop::collection::vec(any_row(), 0..4), 0..60),
        limits in any_limits(),
        seed in any::<u64>(),
    ) {
        let mut world = World {
            scheduler: Scheduler::new(limits, keys(), Arc::new(SeededEntropy::new(seed))),
            limits,
            rows: Vec::new(),
            flights: BTreeMap::new(),
            resent: BTreeMap::new(),
            closed: BTreeMap::new(),
            chance: SeededEntropy::new(seed ^ 1),
            now: Duration::ZERO,
            proven: Default::default(),
            failing: Default::default(),
        };
        world.run(&events);
    }
}
