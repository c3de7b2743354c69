//! The loop of one integration: one task that owns the scheduler and everything that changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_model::code::Code;
use millrace_model::entropy::Entropy;
use millrace_model::id::IntegrationId;
use millrace_model::row::Endpoint;
use millrace_model::time::Clock;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::EngineOptions;
use super::feeder::{Fed, Feed};
use super::flight::{Landing, Route};
use super::handle::Command;
use super::probing::Probing;
use super::seams::EventSink;
use super::status::{IntegrationState, IntegrationStatus, LastError};
use crate::mixpanel::{Credentials, Transport};
use crate::receipt::{Proof, Receipt};
use crate::scheduler::{RequestId, Scheduler};

/// How long requests in flight may take when the journal has failed and the engine stops itself.
const FAILURE_DEADLINE: Duration = Duration::from_secs(10);

/// Why the loop ends.
struct Ending {
    deadline: Duration,
    done: Option<oneshot::Sender<()>>,
}

pub(super) struct Driver {
    integration: IntegrationId,
    scheduler: Scheduler,
    feed: Feed,
    route: Route,
    clock: Arc<dyn Clock>,
    start: Instant,
    flights: JoinSet<Landing>,
    /// Which request a task carries, should the task itself fail.
    carriers: HashMap<tokio::task::Id, RequestId>,
    probing: Probing,
    show: watch::Sender<IntegrationStatus>,
    state: IntegrationState,
    last_error: Option<LastError>,
    /// True when state or last error differ from what is shown.
    changed: bool,
}

impl Driver {
    pub(super) fn new(
        options: EngineOptions,
        feed: Feed,
        sink: Arc<dyn EventSink>,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        show: watch::Sender<IntegrationStatus>,
    ) -> Driver {
        let mut limits = options.limits;
        // What the client adds to each update: {"$token":"..", before the rest of it.
        limits.profile_overhead = options.mixpanel.token().expose().len() + 16;
        let options_of_route = Arc::new(options.mixpanel);
        Driver {
            integration: options.id,
            scheduler: Scheduler::new(limits, Arc::clone(&entropy)),
            feed,
            route: Route { options: options_of_route, sink, transport, clock: Arc::clone(&clock) },
            clock,
            start: Instant::now(),
            flights: JoinSet::new(),
            carriers: HashMap::new(),
            probing: Probing::new(entropy),
            show,
            state: IntegrationState::Running,
            last_error: None,
            changed: false,
        }
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut commands_open = true;
        let ending = loop {
            self.send_what_may_leave();
            self.close_what_has_ended();
            self.publish();
            let wake = self.wake();
            let room = self.scheduler.has_room();
            tokio::select! {
                landed = self.flights.join_next_with_id(), if !self.flights.is_empty() => {
                    if let Some(ending) = self.land(landed) {
                        break ending;
                    }
                }
                command = commands.recv(), if commands_open => match command {
                    Some(Command::Pause) => {
                        let _began = self.pause(None, "paused by hand".to_owned());
                    }
                    Some(Command::Resume) => self.resume(),
                    Some(Command::Stop { deadline, done }) => {
                        break Ending { deadline, done: Some(done) };
                    }
                    None => commands_open = false,
                },
                fed = self.feed.next(), if room => {
                    if let Some(ending) = self.take(fed) {
                        break ending;
                    }
                }
                () = tokio::time::sleep_until(wake.unwrap_or(self.start)), if wake.is_some() => {}
            }
        };
        self.end(ending).await;
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn wake(&self) -> Option<Instant> {
        let probe = self.wants_probe().then(|| self.probing.due());
        let next = match (self.scheduler.wake(), probe) {
            (Some(a), Some(b)) => a.min(b),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => return None,
        };
        Some(self.start + next)
    }

    fn send_what_may_leave(&mut self) {
        let now = self.now();
        if self.wants_probe() && now >= self.probing.due() {
            self.probing.sent();
            self.flights.spawn(self.route.clone().probe());
        }
        while let Some(outgoing) = self.scheduler.next_request(now) {
            self.route.sink.sending(&outgoing.events);
            let id = outgoing.id;
            let task = self.flights.spawn(self.route.clone().fly(outgoing));
            self.carriers.insert(task.id(), id);
        }
    }

    /// A probe is wanted before the first profile row leaves, and to end a pause that has a cause.
    fn wants_probe(&self) -> bool {
        let paused = matches!(self.state, IntegrationState::Paused { code: Some(_), .. });
        !self.probing.is_out() && (paused || self.scheduler.wants_proof())
    }

    fn close_what_has_ended(&mut self) {
        let closed = self.scheduler.take_closed();
        if !closed.is_empty() {
            self.route.sink.close(closed);
        }
    }

    fn take(&mut self, fed: Option<Fed>) -> Option<Ending> {
        match fed {
            Some(Fed::Portion(portion)) => {
                let now = self.now();
                for event in portion.events() {
                    self.scheduler.push(now, &event);
                }
                if !portion.closed.is_empty() {
                    self.route.sink.close(portion.closed);
                }
                None
            }
            Some(Fed::End { code, message }) => Some(self.give_up(code, message)),
            None => Some(self.give_up(Code::ShuttingDown, "nothing more can be read".to_owned())),
        }
    }

    /// Without the journal nothing can be accounted for, so nothing more may be sent.
    fn give_up(&mut self, code: Code, message: String) -> Ending {
        tracing::error!(integration = %self.integration, %code, message, "delivery stops");
        self.note_error(code, message);
        Ending { deadline: FAILURE_DEADLINE, done: None }
    }

    fn land(
        &mut self,
        landed: Option<Result<(tokio::task::Id, Landing), JoinError>>,
    ) -> Option<Ending> {
        match landed? {
            Ok((task, landing)) => {
                self.carriers.remove(&task);
                self.landed(landing)
            }
            Err(error) => {
                // A bug of ours in the flight, or the runtime going down: nobody knows how far the
                // request came.
                let reason = "the request was broken off".to_owned();
                match self.carriers.remove(&error.id()) {
                    Some(id) => {
                        let code = Code::UnclearAnswer;
                        let receipt =
                            Receipt::Retry { after: None, code, reason, perhaps_taken: true };
                        self.scheduler.answer(self.now(), id, receipt);
                    }
                    None => self.probing.failed(self.now()),
                }
                None
            }
        }
    }

    fn landed(&mut self, landing: Landing) -> Option<Ending> {
        match landing {
            Landing::Request { id, endpoint, rows, receipt } => {
                self.receive(id, endpoint, rows, receipt);
                None
            }
            Landing::Proof(proof) => {
                self.take_proof(proof);
                None
            }
            Landing::LogFailed { id, code, message } => {
                let receipt = Receipt::Pause { code, reason: String::new() };
                self.scheduler.answer(self.now(), id, receipt);
                Some(self.give_up(code, message))
            }
        }
    }

    fn receive(&mut self, id: RequestId, endpoint: Endpoint, rows: usize, receipt: Receipt) {
        let now = self.now();
        let mut cause = None;
        match &receipt {
            Receipt::Delivered => self.went_well(endpoint),
            Receipt::Partly(refused) => {
                self.went_well(endpoint);
                if let Some(first) = refused.first() {
                    self.note_error(Code::RowRejected, first.words.clone());
                }
            }
            Receipt::Split { words } if rows == 1 => {
                self.note_error(Code::RowTooLargeForMixpanel, words.clone());
            }
            Receipt::Split { .. } => {}
            Receipt::Bisect { words, .. } => self.note_error(Code::RowRejected, words.clone()),
            Receipt::Retry { code, reason, .. } => self.note_error(*code, reason.clone()),
            Receipt::Pause { code, reason } => cause = Some((*code, reason.clone())),
        }
        self.scheduler.answer(now, id, receipt);
        if let Some((code, reason)) = cause {
            self.probing.caused_by(endpoint);
            if self.pause(Some(code), reason) {
                self.probing.back_off(now);
            }
        }
    }

    fn went_well(&mut self, endpoint: Endpoint) {
        self.probing.went_well(endpoint);
        // A strict import with the token as credentials proves the token as well as a probe.
        if endpoint == Endpoint::Import
            && matches!(self.route.options.credentials(), Credentials::Token)
        {
            self.scheduler.token_is_proven();
        }
    }

    fn take_proof(&mut self, proof: Proof) {
        let now = self.now();
        match proof {
            Proof::Good => {
                self.probing.answered_well();
                self.scheduler.token_is_proven();
                if matches!(self.state, IntegrationState::Paused { code: Some(_), .. }) {
                    self.resume();
                }
            }
            Proof::Bad { code, reason } => {
                self.probing.failed(now);
                self.probing.caused_by(Endpoint::Import);
                let _began = self.pause(Some(code), reason);
            }
            Proof::Unknown { code, reason } => {
                self.probing.failed(now);
                self.note_error(code, reason);
            }
        }
    }

    /// Pauses, or renews the cause of a pause; one made by hand stays that. True when it begins.
    fn pause(&mut self, code: Option<Code>, reason: String) -> bool {
        self.scheduler.pause(self.now());
        if let Some(code) = code {
            self.note_error(code, reason.clone());
        }
        let (begins, since) = match &self.state {
            IntegrationState::Paused { code: None, .. } => return false,
            IntegrationState::Paused { since, .. } => (false, *since),
            IntegrationState::Running | IntegrationState::Stopped => (true, self.clock.now()),
        };
        if begins {
            tracing::warn!(integration = %self.integration, ?code, reason, "delivery pauses");
        }
        self.state = IntegrationState::Paused { code, reason, since };
        self.changed = true;
        begins
    }

    fn resume(&mut self) {
        if matches!(self.state, IntegrationState::Paused { .. }) {
            tracing::info!(integration = %self.integration, "delivery resumes");
            self.scheduler.resume(self.now());
            self.state = IntegrationState::Running;
            self.changed = true;
        }
    }

    fn note_error(&mut self, code: Code, message: String) {
        tracing::debug!(integration = %self.integration, %code, message, "a request went wrong");
        self.last_error = Some(LastError { code, message, at: self.clock.now() });
        self.changed = true;
    }

    fn publish(&mut self) {
        let totals = self.scheduler.totals();
        let pending_rows = self.scheduler.open_rows() as u64;
        let in_flight_rows = self.scheduler.in_flight_rows() as u64;
        let in_flight_requests = self.carriers.len() as u64;
        let idle = self.scheduler.open_events() == 0;
        let changed = std::mem::take(&mut self.changed);
        let (state, last_error) = (&self.state, &self.last_error);
        self.show.send_if_modified(|shown| {
            let before = (shown.requests, shown.delivered_rows, shown.failed_rows, shown.idle);
            let waiting = (shown.pending_rows, shown.in_flight_rows, shown.in_flight_requests);
            shown.requests = totals.requests;
            shown.delivered_rows = totals.delivered_rows;
            shown.failed_rows = totals.failed_rows;
            shown.retried_requests = totals.retried_requests;
            shown.pending_rows = pending_rows;
            shown.in_flight_rows = in_flight_rows;
            shown.in_flight_requests = in_flight_requests;
            shown.idle = idle;
            if changed {
                shown.state = state.clone();
                shown.last_error = last_error.clone();
            }
            changed
                || before != (shown.requests, shown.delivered_rows, shown.failed_rows, shown.idle)
                || waiting != (shown.pending_rows, shown.in_flight_rows, shown.in_flight_requests)
        });
    }

    /// Lets requests in flight come to their end, until the deadline.
    async fn end(mut self, ending: Ending) {
        self.scheduler.pause(self.now());
        let deadline = Instant::now() + ending.deadline;
        while !self.carriers.is_empty() {
            let landed = tokio::time::timeout_at(deadline, self.flights.join_next_with_id()).await;
            match landed {
                Ok(Some(landed)) => {
                    self.land(Some(landed));
                    self.close_what_has_ended();
                }
                Ok(None) | Err(_) => break,
            }
        }
        self.flights.abort_all();
        self.close_what_has_ended();
        if let Err(error) = self.route.sink.flush().await {
            self.note_error(error.code(), error.to_string());
        }
        self.state = IntegrationState::Stopped;
        self.changed = true;
        self.publish();
        if let Some(done) = ending.done {
            // An error says that nobody waits any more.
            let _ = done.send(());
        }
    }
}
