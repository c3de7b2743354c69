//! A rehearsal: what would be sent for some events, and what would become of them, against a
//! destination that is only a script.
//!
//! Everything that decides is the production's own: the same taking of mapped events, scheduler,
//! request building, receipt reader, pauses and probes (`engine::course`, `engine::errand`). Only
//! what carries is another: no journal, no network and no thread; a closure gives the answers, and
//! time passes by jumping to the moment at which something is due. So a dry run shows what delivery
//! does, and conformance cases test the product rather than a copy.
//!
//! What differs from production: requests go one after the other, each answered before the next is
//! made; chance (the length of a back-off) is seeded, so that a rehearsal repeats exactly; it ends at
//! the first pause, and an event that is open then says so ([`Fate::Paused`]).
//!
//! ```
//! use millrace_delivery::mixpanel::{MixpanelOptions, Region, Response};
//! use millrace_delivery::rehearsal::{Fate, Rehearsal};
//! use millrace_model::row::{Endpoint, Lanes, Mapped, Row, RowRole, Rows};
//! use millrace_model::secret::Secret;
//!
//! let body = br#"{"event":"seen","properties":{"distinct_id":"u1"}}"#;
//! let row = Row {
//!     endpoint: Endpoint::Import,
//!     role: RowRole::Plain,
//!     repeatable: true,
//!     lanes: Lanes::default(),
//!     insert_id: None,
//!     project: None,
//!     alone: false,
//!     body: 0..body.len(),
//! };
//! let rows = Rows { bytes: body.to_vec(), rows: vec![row], ..Rows::default() };
//!
//! let options = MixpanelOptions::new(Region::Eu, Secret::new("token"))?;
//! let mut rehearsal = Rehearsal::new(options);
//! rehearsal.push(Mapped::Send, rows);
//! let outcome = rehearsal.run(|request| {
//!     assert!(request.url.ends_with("/import"));
//!     Ok(Response::new(200, r#"{"code":200,"num_records_imported":1,"status":"OK"}"#))
//! });
//! assert_eq!(outcome.fates, [Fate::Delivered]);
//! assert_eq!(outcome.requests[0].events, [0]);
//! # Ok::<(), millrace_delivery::mixpanel::OptionsError>(())
//! ```

use std::sync::Arc;
use std::time::Duration;

use millrace_model::code::Code;
use millrace_model::disposition::Disposition;
use millrace_model::entropy::SeededEntropy;
use millrace_model::id::{Position, Seq};
use millrace_model::row::{Mapped, Rows};
use millrace_model::time::{Clock as _, ManualClock, UnixMillis};

use crate::engine::course::{Course, Step};
use crate::engine::errand::{Errand, Progress};
use crate::engine::mapping::Portion;
use crate::engine::status::IntegrationState;
use crate::journal::Closed;
use crate::mixpanel::{Projects, RequestParts, Response, TransportError};
use crate::scheduler::Limits;

/// What the destination says to a request: an answer, or why there is none.
pub type Answer = Result<Response, TransportError>;

/// The most requests of a rehearsal. A destination that is busy for ever would otherwise be asked
/// for five days of virtual time; use a shorter [`Limits::horizon`] to see where rows end.
const MAX_REQUESTS: usize = 100_000;

/// The most bytes of their bodies, which are all kept.
const MAX_BYTES: usize = 256 << 20;

/// Some events, and how they are to be sent.
#[derive(Debug)]
pub struct Rehearsal {
    projects: Projects,
    limits: Limits,
    token_is_proven: bool,
    start: UnixMillis,
    portions: Vec<Portion>,
}

/// What a rehearsal came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The requests, in the order in which they left.
    pub requests: Vec<RehearsedRequest>,
    /// What became of each event, in the order in which they were pushed.
    pub fates: Vec<Fate>,
}

/// A request that left.
#[derive(Clone, Debug)]
pub struct RehearsedRequest {
    /// What was sent; not packed, so the body is plain JSON.
    pub parts: RequestParts,
    /// The events whose rows it holds, in the order of the rows, each once for neighbouring rows.
    /// Empty for a probe.
    pub events: Vec<usize>,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Taken by Mixpanel, all rows of it.
    Delivered,
    /// Ended otherwise: filtered, set aside, rejected or dead.
    Ended {
        /// How.
        state: Disposition,
        /// Why, as in the ledger: a stable code, or the reason of a filter.
        code: String,
        /// Why, in words: Mixpanel's own for what it refused.
        words: String,
    },
    /// Still open, because the integration paused.
    Paused {
        /// Why, as a stable code.
        code: Code,
        /// Why, in words.
        reason: String,
    },
    /// Still open after the most requests, or the most bytes, that a rehearsal makes.
    Open,
}

impl Rehearsal {
    /// A rehearsal without events, with the limits of production.
    #[must_use]
    pub fn new(projects: impl Into<Projects>) -> Rehearsal {
        Rehearsal {
            projects: projects.into(),
            limits: Limits::default(),
            token_is_proven: false,
            start: UnixMillis(0),
            portions: Vec::new(),
        }
    }

    /// Other limits. With a [`Limits::horizon`] of zero each row is tried once: what would be
    /// tried again ends as dead.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Rehearsal {
        self.limits = limits;
        self
    }

    /// As an integration that has been running: no probe is needed before the first profile row.
    #[must_use]
    pub fn with_proven_token(mut self) -> Rehearsal {
        self.token_is_proven = true;
        self
    }

    /// Starts at this moment instead of 1970: for answers that name a date.
    #[must_use]
    pub fn starting_at(mut self, start: UnixMillis) -> Rehearsal {
        self.start = start;
        self
    }

    /// Adds an event, as the latest: what mapping it came to, and its rows if they are to be sent.
    /// Gives its number, from 0.
    pub fn push(&mut self, mapped: Mapped, mut rows: Rows) -> usize {
        let number = self.portions.len();
        let index = u32::try_from(number).unwrap_or(u32::MAX);
        let mut portion = Portion::default();
        let position = Position { seq: Seq(0), index };
        portion.take(position, false, mapped, &mut rows, &self.projects);
        self.portions.push(portion);
        number
    }

    /// Sends everything; `answer` is asked once for each request, probes included
    /// ([`RequestParts::is_probe`]).
    pub fn run(self, mut answer: impl FnMut(&RequestParts) -> Answer) -> Outcome {
        let mut stage = Stage::new(self);
        stage.play(&mut answer);
        stage.outcome()
    }
}

/// A rehearsal under way.
struct Stage {
    course: Course,
    projects: Arc<Projects>,
    portions: std::vec::IntoIter<Portion>,
    clock: Arc<ManualClock>,
    requests: Vec<RehearsedRequest>,
    bytes: usize,
    fates: Vec<Option<Fate>>,
}

impl Stage {
    fn new(rehearsal: Rehearsal) -> Stage {
        let Rehearsal { projects, limits, token_is_proven, start, portions } = rehearsal;
        let projects = Arc::new(projects);
        let clock = Arc::new(ManualClock::at(start));
        let shown: Arc<ManualClock> = Arc::clone(&clock);
        let entropy = Arc::new(SeededEntropy::new(0));
        let mut course = Course::new(limits, Arc::clone(&projects), shown, entropy);
        if token_is_proven {
            course.tokens_are_proven();
        }
        let fates = portions.iter().map(|_| None).collect();
        let portions = portions.into_iter();
        Stage { course, projects, portions, clock, requests: Vec::new(), bytes: 0, fates }
    }

    fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    fn play(&mut self, answer: &mut dyn FnMut(&RequestParts) -> Answer) {
        loop {
            self.take_in();
            let now = self.now();
            let most = self.requests.len() >= MAX_REQUESTS || self.bytes >= MAX_BYTES;
            if most || self.is_paused() {
                break;
            }
            match (self.course.next(now), self.course.wake()) {
                (Some(Step::Probe(project)), _) => {
                    let errand = Errand::to_prove(&self.projects, project);
                    self.carry(errand, &[], answer);
                }
                (Some(Step::Send(outgoing)), _) => {
                    let events: Vec<usize> =
                        outgoing.events.iter().map(|event| event.index as usize).collect();
                    let errand = Errand::with_rows(&self.projects, outgoing);
                    self.carry(errand, &events, answer);
                }
                // A millisecond more, because the clock counts no smaller spans.
                (None, Some(wake)) => {
                    self.clock.advance(wake.saturating_sub(now) + Duration::from_millis(1));
                }
                // Nothing is due, and nothing more can be taken in: everything has ended.
                (None, None) => break,
            }
        }
        self.note_closed();
    }

    /// Takes events in while the window has room, as the feeder does.
    fn take_in(&mut self) {
        let now = self.now();
        while self.course.scheduler().has_room()
            && let Some(portion) = self.portions.next()
        {
            for event in portion.events() {
                self.course.push(now, &event);
            }
            for closed in portion.closed {
                self.note(closed);
            }
        }
        self.note_closed();
    }

    fn carry(
        &mut self,
        errand: Errand,
        events: &[usize],
        answer: &mut dyn FnMut(&RequestParts) -> Answer,
    ) {
        let mut progress = Progress::Ask(errand);
        loop {
            match progress {
                Progress::Ask(errand) => {
                    let parts = errand.parts();
                    self.bytes = self.bytes.saturating_add(parts.body.len());
                    progress = errand.answered(&answer(&parts), self.clock.now());
                    let events = if parts.is_probe() { Vec::new() } else { events.to_vec() };
                    self.requests.push(RehearsedRequest { parts, events });
                }
                Progress::Done(found) => {
                    let now = self.now();
                    return self.course.found(now, found);
                }
            }
        }
    }

    fn is_paused(&self) -> bool {
        matches!(self.course.state(), IntegrationState::Paused { .. })
    }

    fn note_closed(&mut self) {
        for closed in self.course.take_closed() {
            self.note(closed);
        }
    }

    fn note(&mut self, closed: Closed) {
        let Some(fate) = self.fates.get_mut(closed.position.index as usize) else { return };
        let text =
            |code: Option<std::borrow::Cow<'static, str>>| code.unwrap_or_default().into_owned();
        *fate = Some(match closed.state {
            Disposition::Delivered => Fate::Delivered,
            state @ (Disposition::Filtered
            | Disposition::Duplicate
            | Disposition::SetAside
            | Disposition::Rejected
            | Disposition::Dead
            | Disposition::Erased) => Fate::Ended {
                state,
                code: text(closed.code),
                words: closed.detail.unwrap_or_default(),
            },
        });
    }

    fn outcome(self) -> Outcome {
        let open = match self.course.state() {
            IntegrationState::Paused { code: Some(code), reason, .. } => {
                Fate::Paused { code: *code, reason: reason.clone() }
            }
            IntegrationState::Paused { code: None, .. }
            | IntegrationState::Running
            | IntegrationState::Stopped => Fate::Open,
        };
        let fates = self.fates.into_iter().map(|fate| fate.unwrap_or_else(|| open.clone()));
        Outcome { requests: self.requests, fates: fates.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixpanel::{MixpanelOptions, Region, TransportErrorKind};
    use millrace_model::row::{Endpoint, LaneKey, Lanes, Row, RowRole};
    use millrace_model::secret::Secret;

    fn rows(parts: &[(Endpoint, &str)]) -> Rows {
        let mut rows = Rows::default();
        for (endpoint, name) in parts {
            let start = rows.bytes.len();
            rows.bytes.extend_from_slice(format!("{{\"event\":\"{name}\"}}").as_bytes());
            let mut lanes = Lanes::default();
            lanes.add(LaneKey::person(name));
            rows.rows.push(Row {
                endpoint: *endpoint,
                role: RowRole::Plain,
                repeatable: true,
                lanes,
                insert_id: None,
                project: None,
                alone: false,
                body: start..rows.bytes.len(),
            });
        }
        rows
    }

    fn rehearsal(events: &[&[(Endpoint, &str)]]) -> Rehearsal {
        let options = MixpanelOptions::new(Region::Us, Secret::new("tok")).unwrap();
        let mut rehearsal = Rehearsal::new(options);
        for event in events {
            rehearsal.push(Mapped::Send, rows(event));
        }
        rehearsal
    }

    fn good(_: &RequestParts) -> Answer {
        Ok(Response::new(200, r#"{"code":200,"status":"OK"}"#))
    }

    fn refused(index: usize) -> Answer {
        let body = format!(
            r#"{{"code":400,"error":"some","failed_records":[{{"index":{index},"message":"odd"}}]}}"#
        );
        Ok(Response::new(400, body))
    }

    fn dead(words: &str) -> Fate {
        ended(Disposition::Dead, Code::HorizonPassed, words)
    }

    fn ended(state: Disposition, code: Code, words: &str) -> Fate {
        Fate::Ended { state, code: code.as_str().to_owned(), words: words.to_owned() }
    }

    fn one_try() -> Limits {
        Limits { horizon: Duration::ZERO, ..Limits::default() }
    }

    const A: (Endpoint, &str) = (Endpoint::Import, "a");
    const B: (Endpoint, &str) = (Endpoint::Import, "b");
    const P: (Endpoint, &str) = (Endpoint::Engage, "p");

    #[test]
    fn requests_and_fates_are_told_in_order() {
        let mut rehearsal = rehearsal(&[&[A, P], &[B]]);
        let aside = Mapped::SetAside { code: Code::NoMappedName, message: "no name".to_owned() };
        rehearsal.push(aside, Rows::default());
        rehearsal.push(Mapped::Send, Rows::default());
        let outcome =
            rehearsal.with_proven_token().run(|request| match request.url.ends_with("/import") {
                true => refused(1),
                false => good(request),
            });
        let shown: Vec<_> = outcome
            .requests
            .iter()
            .map(|request| (request.parts.body.as_ref(), request.events.as_slice()))
            .collect();
        let wanted: [(&[u8], &[usize]); 2] = [
            (br#"[{"event":"a"},{"event":"b"}]"#, &[0, 1]),
            (br#"[{"$token":"tok","event":"p"}]"#, &[0]),
        ];
        assert_eq!(shown, wanted);
        let none = Fate::Ended {
            state: Disposition::Filtered,
            code: "no_rule".to_owned(),
            words: String::new(),
        };
        assert_eq!(
            outcome.fates,
            [
                Fate::Delivered,
                ended(Disposition::Rejected, Code::RowRejected, "odd"),
                ended(Disposition::SetAside, Code::NoMappedName, "no name"),
                none,
            ]
        );
    }

    #[test]
    fn a_profile_alone_is_preceded_by_a_probe_unless_the_token_is_proven() {
        for (proven, wanted) in [(false, 2), (true, 1)] {
            let mut rehearsal = rehearsal(&[&[P]]);
            rehearsal.token_is_proven = proven;
            let outcome = rehearsal.run(|request| match request.is_probe() {
                true => refused(0),
                false => good(request),
            });
            assert_eq!(outcome.requests.len(), wanted);
            assert_eq!(outcome.requests[0].parts.is_probe(), !proven);
            assert_eq!(outcome.fates, [Fate::Delivered]);
        }
    }

    #[test]
    fn bad_credentials_pause_and_what_is_open_says_so() {
        let outcome = rehearsal(&[&[A], &[P]]).run(|_| Ok(Response::new(401, "no, tok")));
        let reason = "Mixpanel refuses the credentials (status 401): no, ****".to_owned();
        let paused = Fate::Paused { code: Code::CredentialsRefused, reason };
        assert_eq!(outcome.fates, [paused.clone(), paused]);
        assert_eq!(outcome.requests.len(), 1);
    }

    #[test]
    fn without_a_horizon_every_row_is_tried_once() {
        let outcome =
            rehearsal(&[&[A], &[B]]).with_limits(one_try()).run(|_| Ok(Response::new(503, "")));
        assert_eq!(outcome.fates, [dead("status 503"), dead("status 503")]);
        assert_eq!(outcome.requests.len(), 1);
    }

    #[test]
    fn with_a_horizon_it_waits_and_tries_again() {
        let mut answers = 0;
        let outcome = rehearsal(&[&[A]]).run(|request| {
            answers += 1;
            if answers < 4 {
                let kind = TransportErrorKind::Timeout;
                return Err(TransportError { kind, message: "slow".to_owned() });
            }
            good(request)
        });
        assert_eq!(outcome.fates, [Fate::Delivered]);
        assert_eq!(outcome.requests.len(), 4);
    }

    #[test]
    fn a_destination_that_is_busy_for_ever_ends_with_the_horizon() {
        let outcome = rehearsal(&[&[A]]).run(|_| Ok(Response::new(429, "")));
        assert_eq!(outcome.fates, [dead("status 429")]);
    }
}
