//! Single behaviours; the laws are checked in `oracle`.

use std::sync::Arc;

use millrace_model::entropy::SeededEntropy;
use millrace_model::id::Seq;
use millrace_model::row::{LaneKey, Lanes, ProjectKey, RowRole};

use super::*;
use crate::receipt::{Receipt, RefusedRow};

const LATER: Duration = Duration::from_secs(1);

struct Bench {
    scheduler: Scheduler,
    next: u32,
}

impl Bench {
    fn new(limits: Limits) -> Bench {
        let mut keys = ProjectKeys::new(ProjectKey(1));
        assert!(keys.declare(ProjectKey(2)) && !keys.declare(ProjectKey(2)));
        assert!(!keys.declare(ProjectKey(1)));
        let mut scheduler = Scheduler::new(limits, keys, Arc::new(SeededEntropy::new(1)));
        scheduler.token_is_proven(ProjectNumber::OWN);
        Bench { scheduler, next: 0 }
    }

    /// One event with one plain row of this lane.
    fn push(&mut self, now: Duration, endpoint: Endpoint, lane: u64, body: &str) {
        self.push_as(now, endpoint, lane, body, true, false);
    }

    /// One event with a row of this lane, for another project or to go alone.
    fn push_row(
        &mut self,
        now: Duration,
        lane: u64,
        project: Option<u64>,
        alone: bool,
        body: &str,
    ) {
        let project = project.map(ProjectKey);
        let row = MappedRow { project, alone, ..row(Endpoint::Import, lane, body) };
        self.push_rows(now, false, body, &[row]);
    }

    fn push_as(
        &mut self,
        now: Duration,
        endpoint: Endpoint,
        lane: u64,
        body: &str,
        repeatable: bool,
        perhaps_sent: bool,
    ) {
        let row = MappedRow { repeatable, ..row(endpoint, lane, body) };
        self.push_rows(now, perhaps_sent, body, &[row]);
    }

    fn push_rows(&mut self, now: Duration, perhaps_sent: bool, body: &str, rows: &[MappedRow]) {
        let position = Position { seq: Seq(1), index: self.next };
        self.next += 1;
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        self.scheduler.push(now, &MappedEvent { position, perhaps_sent, bytes, rows });
    }

    fn expect(&mut self, now: Duration) -> Outgoing {
        self.scheduler.next_request(now).expect("a request")
    }

    fn closed(&mut self) -> Vec<(u32, Disposition, bool)> {
        let closed = self.scheduler.take_closed();
        closed.into_iter().map(|c| (c.position.index, c.state, c.resent)).collect()
    }
}

fn row(endpoint: Endpoint, lane: u64, body: &str) -> MappedRow {
    let mut lanes = Lanes::default();
    lanes.add(LaneKey(lane));
    MappedRow {
        endpoint,
        role: RowRole::Plain,
        repeatable: true,
        lanes,
        insert_id: None,
        project: None,
        alone: false,
        body: 0..body.len(),
    }
}

fn bodies(outgoing: &Outgoing) -> Vec<String> {
    outgoing.bodies.iter().map(|body| String::from_utf8(body.to_vec()).unwrap()).collect()
}

fn busy(after: Option<Duration>, perhaps_taken: bool) -> Receipt {
    let reason = "status 503".to_owned();
    Receipt::Retry { after, code: Code::DestinationBusy, reason, perhaps_taken }
}

#[test]
fn a_full_request_leaves_at_once_and_others_wait_for_company() {
    let limits = Limits {
        request_rows: PerEndpoint { import: 2, engage: 2, groups: 2 },
        ..Limits::default()
    };
    let mut bench = Bench::new(limits);
    let t = Duration::from_secs(100);
    bench.push(t, Endpoint::Import, 1, "a");
    assert!(bench.scheduler.next_request(t).is_none());
    assert_eq!(bench.scheduler.wake(), Some(t + limits.linger));
    bench.push(t, Endpoint::Import, 2, "b");
    assert_eq!(bodies(&bench.expect(t)), ["a", "b"]);
    bench.push(t, Endpoint::Import, 3, "c");
    assert!(bench.scheduler.next_request(t).is_none());
    assert_eq!(bodies(&bench.expect(t + limits.linger)), ["c"]);
    assert_eq!(bench.scheduler.wake(), None);
}

#[test]
fn one_lane_in_trouble_does_not_hold_up_another() {
    let mut bench = Bench::new(Limits::default());
    let mut now = LATER;
    bench.push(Duration::ZERO, Endpoint::Import, 1, "a1");
    let first = bench.expect(now);
    bench.push(now, Endpoint::Import, 1, "a2");
    bench.push(now, Endpoint::Import, 2, "b1");
    now += LATER;
    let second = bench.expect(now);
    assert_eq!(bodies(&second), ["b1"]);
    assert!(bench.scheduler.next_request(now + LATER).is_none());
    bench.scheduler.answer(now, second.id, Receipt::Delivered);
    bench.scheduler.answer(now, first.id, Receipt::Delivered);
    now += LATER;
    assert_eq!(bodies(&bench.expect(now)), ["a2"]);
    assert_eq!(
        bench.closed(),
        [(2, Disposition::Delivered, false), (0, Disposition::Delivered, false)]
    );
}

#[test]
fn a_request_that_is_too_large_is_halved_until_the_culprit_stands_alone() {
    let mut bench = Bench::new(Limits { concurrency: 1, ..Limits::default() });
    for (at, body) in ["a", "b", "c", "d", "e"].iter().enumerate() {
        bench.push(Duration::ZERO, Endpoint::Import, at as u64, body);
    }
    let mut now = LATER;
    let mut seen = Vec::new();
    while let Some(outgoing) = bench.scheduler.next_request(now) {
        let names = bodies(&outgoing);
        let too_large = names.iter().any(|name| name == "d");
        seen.push(names.concat());
        let words = "request exceeds max limit".to_owned();
        let receipt = if too_large { Receipt::Split { words } } else { Receipt::Delivered };
        bench.scheduler.answer(now, outgoing.id, receipt);
        now += LATER;
    }
    assert_eq!(seen, ["abcde", "abc", "de", "d", "e"]);
    let closed = bench.scheduler.take_closed();
    let rejected: Vec<_> = closed.iter().filter(|c| c.state != Disposition::Delivered).collect();
    assert_eq!(rejected.len(), 1);
    assert_eq!(rejected[0].position.index, 3);
    assert_eq!(rejected[0].code.as_deref(), Some("MR3004"));
    assert_eq!(rejected[0].detail.as_deref(), Some("request exceeds max limit"));
}

#[test]
fn back_off_grows_honours_retry_after_and_ends_with_success() {
    let limits = Limits::default();
    let mut bench = Bench::new(limits);
    bench.push(Duration::ZERO, Endpoint::Import, 1, "a");
    let mut now = LATER;
    for round in 0..12_u32 {
        let outgoing = bench.expect(now);
        bench.scheduler.answer(now, outgoing.id, busy(None, false));
        let wake = bench.scheduler.wake().unwrap();
        let most = limits.backoff_first * 2_u32.pow(round.min(7));
        assert!(wake > now && wake - now <= most.min(limits.backoff_last) + limits.linger);
        now = wake;
    }
    let outgoing = bench.expect(now);
    bench.scheduler.answer(now, outgoing.id, busy(Some(Duration::from_secs(300)), false));
    assert_eq!(bench.scheduler.wake(), Some(now + Duration::from_secs(300)));
    now += Duration::from_secs(300);
    let outgoing = bench.expect(now);
    bench.scheduler.answer(now, outgoing.id, Receipt::Delivered);
    assert_eq!(bench.closed(), [(0, Disposition::Delivered, false)]);
    bench.push(now, Endpoint::Import, 1, "b");
    assert_eq!(bench.scheduler.wake(), Some(now + limits.linger));
}

#[test]
fn only_an_unclear_answer_makes_a_second_sending_count_as_one() {
    for (perhaps_taken, resent) in [(false, false), (true, true)] {
        let mut bench = Bench::new(Limits::default());
        bench.push(Duration::ZERO, Endpoint::Import, 1, "a");
        let mut now = LATER;
        let first = bench.expect(now);
        bench.scheduler.answer(now, first.id, busy(None, perhaps_taken));
        now += LATER;
        let second = bench.expect(now);
        assert_eq!(first.bodies, second.bodies);
        bench.scheduler.answer(now, second.id, Receipt::Delivered);
        assert_eq!(bench.closed(), [(0, Disposition::Delivered, resent)]);
        assert_eq!(bench.scheduler.totals().retried_requests, 1);
    }
}

#[test]
fn an_event_that_a_crash_left_open_counts_as_resent_once_it_is_sent() {
    let mut bench = Bench::new(Limits::default());
    bench.push_as(Duration::ZERO, Endpoint::Engage, 1, "a", true, true);
    let outgoing = bench.expect(LATER);
    bench.scheduler.answer(LATER, outgoing.id, Receipt::Delivered);
    assert_eq!(bench.closed(), [(0, Disposition::Delivered, true)]);
}

#[test]
fn what_cannot_be_repeated_follows_the_policy() {
    let aside = Limits { on_unclear: OnUnclear::SetAside, ..Limits::default() };
    for (limits, wanted) in
        [(Limits::default(), Disposition::Delivered), (aside, Disposition::SetAside)]
    {
        let mut bench = Bench::new(limits);
        // Left open by a crash, and answered unclearly.
        bench.push_as(Duration::ZERO, Endpoint::Engage, 1, "a", false, true);
        bench.push_as(Duration::ZERO, Endpoint::Engage, 2, "b", false, false);
        let mut now = LATER;
        let mut first = true;
        while let Some(outgoing) = bench.scheduler.next_request(now) {
            assert!(!outgoing.repeatable);
            let receipt = if first { busy(None, true) } else { Receipt::Delivered };
            first = false;
            bench.scheduler.answer(now, outgoing.id, receipt);
            now += LATER;
        }
        let states: Vec<_> = bench.closed().into_iter().map(|(_, state, _)| state).collect();
        assert_eq!(states, [wanted, wanted]);
    }
}

#[test]
fn the_horizon_ends_a_row_and_a_pause_does_not_count_towards_it() {
    let limits = Limits { horizon: Duration::from_secs(100), ..Limits::default() };
    let mut bench = Bench::new(limits);
    bench.push(Duration::ZERO, Endpoint::Import, 1, "a");
    let mut now = LATER;
    let outgoing = bench.expect(now);
    let refused =
        Receipt::Pause { code: Code::CredentialsRefused, reason: "wrong token".to_owned() };
    bench.scheduler.answer(now, outgoing.id, refused);
    bench.scheduler.pause(now);
    now += Duration::from_secs(1000);
    assert_eq!(bench.scheduler.wake(), None);
    bench.scheduler.resume(now);
    let outgoing = bench.expect(now);
    bench.scheduler.answer(now, outgoing.id, busy(None, false));
    assert!(bench.closed().is_empty(), "charged for the pause");
    now += Duration::from_secs(101);
    let outgoing = bench.expect(now);
    bench.scheduler.answer(now, outgoing.id, busy(None, false));
    let closed = bench.scheduler.take_closed();
    assert_eq!(closed[0].state, Disposition::Dead);
    assert_eq!(closed[0].code.as_deref(), Some("MR3003"));
    assert_eq!(closed[0].detail.as_deref(), Some("status 503"));
    assert_eq!(bench.scheduler.open_rows(), 0);
}

#[test]
fn a_refused_row_keeps_mixpanels_words() {
    let mut bench = Bench::new(Limits::default());
    bench.push(Duration::ZERO, Endpoint::Import, 1, "a");
    bench.push(Duration::ZERO, Endpoint::Import, 1, "b");
    let outgoing = bench.expect(LATER);
    let refused = RefusedRow { index: 1, words: "time is odd".to_owned() };
    bench.scheduler.answer(LATER, outgoing.id, Receipt::Partly(vec![refused]));
    let closed = bench.scheduler.take_closed();
    assert_eq!(closed[0].state, Disposition::Delivered);
    assert_eq!(closed[1].state, Disposition::Rejected);
    assert_eq!(closed[1].detail.as_deref(), Some("time is odd"));
    // A second answer to the same request changes nothing.
    bench.scheduler.answer(LATER, outgoing.id, Receipt::Delivered);
    assert!(bench.closed().is_empty());
}

#[test]
fn a_full_window_takes_no_more_and_waits_for_no_company() {
    let mut bench = Bench::new(Limits { window_rows: 2, ..Limits::default() });
    bench.push(Duration::ZERO, Endpoint::Import, 1, "a");
    assert!(bench.scheduler.has_room());
    bench.push(Duration::ZERO, Endpoint::Import, 2, "b");
    assert!(!bench.scheduler.has_room());
    let outgoing = bench.expect(Duration::ZERO);
    bench.scheduler.answer(Duration::ZERO, outgoing.id, Receipt::Delivered);
    assert!(bench.scheduler.has_room());
}

#[test]
fn rows_of_different_projects_never_meet() {
    let mut bench = Bench::new(Limits::default());
    let mut now = LATER;
    bench.push_row(Duration::ZERO, 1, None, false, "a1");
    bench.push_row(Duration::ZERO, 1, Some(2), false, "b1");
    bench.push_row(Duration::ZERO, 1, Some(1), false, "a2");
    let (own, other) = (bench.expect(now), bench.expect(now));
    assert_eq!((bodies(&own), bodies(&other)), (vec!["a1".into(), "a2".into()], vec!["b1".into()]));
    assert_eq!((own.project, other.project.index()), (ProjectNumber::OWN, 1));
    // One project in trouble does not hold up the same person's rows of the other.
    bench.scheduler.answer(now, other.id, busy(Some(Duration::from_secs(300)), false));
    bench.scheduler.answer(now, own.id, Receipt::Delivered);
    bench.push_row(now, 1, None, false, "a3");
    bench.push_row(now, 1, Some(2), false, "b2");
    now += LATER;
    let own = bench.expect(now);
    assert_eq!(bodies(&own), ["a3"]);
    assert!(bench.scheduler.next_request(now).is_none());
    assert_eq!(bodies(&bench.expect(now + Duration::from_secs(300))), ["b1", "b2"]);
}

#[test]
fn events_of_nobody_wait_for_nobody() {
    let request_rows = PerEndpoint { import: 1, engage: 1, groups: 1 };
    let mut bench = Bench::new(Limits { request_rows, ..Limits::default() });
    for body in ["a", "b"] {
        let nobody = MappedRow { lanes: Lanes::default(), ..row(Endpoint::Import, 1, body) };
        bench.push_rows(Duration::ZERO, false, body, &[nobody]);
    }
    let (first, second) = (bench.expect(LATER), bench.expect(LATER));
    assert_eq!((bodies(&first), bodies(&second)), (vec!["a".into()], vec!["b".into()]));
    bench.scheduler.answer(LATER, first.id, busy(None, true));
    bench.scheduler.answer(LATER, second.id, Receipt::Delivered);
    let again = bench.expect(LATER * 100);
    bench.scheduler.answer(LATER * 100, again.id, Receipt::Delivered);
    assert_eq!(bench.closed().len(), 2);
}

#[test]
fn an_undeclared_project_costs_its_event() {
    let mut bench = Bench::new(Limits::default());
    bench.push_row(Duration::ZERO, 1, Some(3), false, "a");
    let closed = bench.scheduler.take_closed();
    assert_eq!(closed[0].code.as_deref(), Some("MR2012"));
    assert_eq!(bench.scheduler.open_rows(), 0);
    // However many tokens a blueprint takes from events, nothing is kept of them.
    for project in 3..1_000 {
        bench.push_row(Duration::ZERO, project, Some(project), false, "a");
    }
    assert_eq!(bench.closed().len(), 997);
    assert_eq!((bench.scheduler.projects.len(), bench.scheduler.open_events()), (2, 0));
    assert!(bench.scheduler.projects.iter().all(|project| project.lanes.len() == 0));
}

#[test]
fn each_project_proves_its_own_token() {
    let mut keys = ProjectKeys::new(ProjectKey(1));
    assert!(keys.declare(ProjectKey(2)));
    let [own, other] = [1, 2].map(|key| keys.number(Some(ProjectKey(key))).unwrap());
    let mut scheduler = Scheduler::new(Limits::default(), keys, Arc::new(SeededEntropy::new(1)));
    let rows: Vec<_> = [1, 2]
        .map(|key| MappedRow { project: Some(ProjectKey(key)), ..row(Endpoint::Engage, 1, "a") })
        .into();
    let position = Position { seq: Seq(1), index: 0 };
    let bytes = Bytes::from_static(b"a");
    let event = MappedEvent { position, perhaps_sent: false, bytes, rows: &rows };
    scheduler.push(Duration::ZERO, &event);
    assert!(scheduler.wants_proof(own) && scheduler.wants_proof(other));
    assert!(scheduler.next_request(LATER).is_none());
    scheduler.token_is_proven(other);
    assert!(scheduler.wants_proof(own) && !scheduler.wants_proof(other));
    let outgoing = scheduler.next_request(LATER).unwrap();
    assert_eq!(outgoing.project, other);
    assert!(scheduler.next_request(LATER).is_none());
    scheduler.answer(LATER, outgoing.id, Receipt::Delivered);
    assert!(scheduler.take_closed().is_empty(), "the event has another row");
}

#[test]
fn a_row_that_is_to_go_alone_goes_alone_and_in_its_turn() {
    let mut bench = Bench::new(Limits { concurrency: 1, ..Limits::default() });
    for (lane, alone, body) in
        [(1, false, "a"), (2, true, "b"), (2, false, "c"), (3, true, "d"), (1, false, "e")]
    {
        bench.push_row(Duration::ZERO, lane, None, alone, body);
    }
    let mut seen = Vec::new();
    while let Some(outgoing) = bench.scheduler.next_request(LATER) {
        seen.push(bodies(&outgoing).concat());
        bench.scheduler.answer(LATER, outgoing.id, Receipt::Delivered);
    }
    assert_eq!(seen, ["ae", "b", "c", "d"]);
    assert_eq!(bench.closed().len(), 5);
}

#[test]
fn rows_that_go_alone_do_not_wait_for_company() {
    let limits = Limits::default();
    let mut bench = Bench::new(limits);
    for lane in 0..100 {
        bench.push_row(Duration::ZERO, lane, None, true, "a");
    }
    // The first linger is over; from then on each leaves as soon as another is answered.
    let now = limits.linger;
    for _ in 0..100 {
        let outgoing = bench.expect(now);
        bench.scheduler.answer(now, outgoing.id, Receipt::Delivered);
    }
    assert_eq!(bench.closed().len(), 100);
}

#[test]
fn ended_rows_leave_nothing_behind() {
    let mut bench = Bench::new(Limits::default());
    for round in 0..50_u32 {
        let now = LATER * (round + 1);
        for lane in 0..200 {
            bench.push(now, Endpoint::Import, lane, "a");
        }
        let outgoing = bench.expect(now + LATER / 2);
        bench.scheduler.answer(now + LATER / 2, outgoing.id, Receipt::Delivered);
    }
    assert_eq!(bench.closed().len(), 10_000);
    assert_eq!(bench.scheduler.projects[0].ready.import.len(), 0);
    assert_eq!(bench.scheduler.projects[0].lanes.len(), 0);
}
