//! The loop of one integration: one task that owns the scheduler and everything that changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_model::code::Code;
use millrace_model::entropy::Entropy;
use millrace_model::id::IntegrationId;
use millrace_model::time::Clock;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::EngineOptions;
use super::corrected::{self, Corrected};
use super::course::{Course, Step};
use super::feeder::{Fed, Feed};
use super::flight::{Landing, Route};
use super::handle::Command;
use super::seams::EventSink;
use super::status::{IntegrationState, IntegrationStatus, LastError};
use crate::mixpanel::Transport;
use crate::scheduler::{ProjectNumber, RequestId};

/// How long requests in flight may take when the journal has failed and the engine stops itself.
const FAILURE_DEADLINE: Duration = Duration::from_secs(10);

/// Why the loop ends.
struct Ending {
    deadline: Duration,
    done: Option<oneshot::Sender<()>>,
}

pub(super) struct Driver {
    integration: IntegrationId,
    course: Course,
    feed: Feed,
    route: Route,
    start: Instant,
    flights: JoinSet<Landing>,
    /// Which request a task carries, should the task itself fail.
    carriers: HashMap<tokio::task::Id, RequestId>,
    /// Whose credentials a task asks about, likewise.
    probes: HashMap<tokio::task::Id, ProjectNumber>,
    /// What mapping has changed or noticed since the start.
    corrected: Corrected,
    show: watch::Sender<IntegrationStatus>,
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
        let projects = Arc::new(options.projects);
        let course =
            Course::new(options.limits, Arc::clone(&projects), Arc::clone(&clock), entropy);
        Driver {
            integration: options.id,
            course,
            feed,
            route: Route { projects, sink, transport, clock },
            start: Instant::now(),
            flights: JoinSet::new(),
            carriers: HashMap::new(),
            probes: HashMap::new(),
            corrected: Corrected::default(),
            show,
        }
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut commands_open = true;
        let ending = loop {
            self.send_what_may_leave();
            self.close_what_has_ended();
            self.publish();
            let wake = self.course.wake().map(|wake| self.start + wake);
            let room = self.course.scheduler().has_room();
            tokio::select! {
                landed = self.flights.join_next_with_id(), if !self.flights.is_empty() => {
                    if let Some(ending) = self.land(landed) {
                        break ending;
                    }
                }
                command = commands.recv(), if commands_open => match command {
                    Some(Command::Pause) => self.course.pause_by_hand(self.now()),
                    Some(Command::Resume) => self.course.resume(self.now()),
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

    fn send_what_may_leave(&mut self) {
        let now = self.now();
        while let Some(step) = self.course.next(now) {
            match step {
                Step::Probe(project) => {
                    let task = self.flights.spawn(self.route.clone().probe(project));
                    self.probes.insert(task.id(), project);
                }
                Step::Send(outgoing) => {
                    self.route.sink.sending(&outgoing.events);
                    let id = outgoing.id;
                    let task = self.flights.spawn(self.route.clone().fly(outgoing));
                    self.carriers.insert(task.id(), id);
                }
            }
        }
    }

    fn close_what_has_ended(&mut self) {
        let closed = self.course.take_closed();
        if !closed.is_empty() {
            self.route.sink.close(closed);
        }
    }

    fn take(&mut self, fed: Option<Fed>) -> Option<Ending> {
        match fed {
            Some(Fed::Portion(portion)) => {
                let now = self.now();
                for event in portion.events() {
                    self.course.push(now, &event);
                }
                for (what, field) in self.corrected.merge(portion.corrected) {
                    corrected::tell(&self.integration, what, &field);
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
        self.course.note_error(code, message);
        Ending { deadline: FAILURE_DEADLINE, done: None }
    }

    fn land(
        &mut self,
        landed: Option<Result<(tokio::task::Id, Landing), JoinError>>,
    ) -> Option<Ending> {
        let now = self.now();
        match landed? {
            Ok((task, landing)) => {
                self.carriers.remove(&task);
                self.probes.remove(&task);
                match landing {
                    Landing::Found(found) => {
                        self.course.found(now, found);
                        None
                    }
                    Landing::LogFailed { id, code, message } => {
                        self.course.not_sent(now, id, code);
                        Some(self.give_up(code, message))
                    }
                }
            }
            // A bug of ours in the flight, or the runtime going down.
            Err(error) => {
                if let Some(id) = self.carriers.remove(&error.id()) {
                    self.course.request_broken_off(now, id);
                }
                if let Some(project) = self.probes.remove(&error.id()) {
                    self.course.probe_broken_off(now, project);
                }
                None
            }
        }
    }

    fn publish(&mut self) {
        let changed = self.course.take_changed();
        let scheduler = self.course.scheduler();
        let totals = scheduler.totals();
        let pending_rows = scheduler.open_rows() as u64;
        let in_flight_rows = scheduler.in_flight_rows() as u64;
        let in_flight_requests = self.carriers.len() as u64;
        let idle = scheduler.open_events() == 0;
        let (state, last_error) = (self.course.state(), self.course.last_error());
        let integration = &self.integration;
        let corrections = self.corrected.sums();
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
            let corrected = shown.corrections != corrections;
            shown.corrections = corrections;
            if changed {
                tell_of_change(integration, shown, state);
                shown.state = state.clone();
                if shown.last_error.as_ref() != last_error
                    && let Some(LastError { code, message, .. }) = last_error
                {
                    tracing::debug!(%integration, %code, message, "a request went wrong");
                }
                shown.last_error = last_error.cloned();
            }
            changed
                || corrected
                || before != (shown.requests, shown.delivered_rows, shown.failed_rows, shown.idle)
                || waiting != (shown.pending_rows, shown.in_flight_rows, shown.in_flight_requests)
        });
    }

    /// Lets requests in flight come to their end, until the deadline.
    async fn end(mut self, ending: Ending) {
        self.course.wind_down(self.now());
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
            self.course.note_error(error.code(), error.to_string());
        }
        self.course.stopped();
        self.publish();
        if let Some(done) = ending.done {
            // An error says that nobody waits any more.
            let _ = done.send(());
        }
    }
}

/// Puts the beginning and the end of a pause into the log.
fn tell_of_change(
    integration: &IntegrationId,
    shown: &IntegrationStatus,
    state: &IntegrationState,
) {
    match (&shown.state, state) {
        (IntegrationState::Running, IntegrationState::Paused { code, reason, .. }) => {
            tracing::warn!(%integration, ?code, reason, "delivery pauses");
        }
        (IntegrationState::Paused { .. }, IntegrationState::Running) => {
            tracing::info!(%integration, "delivery resumes");
        }
        (
            IntegrationState::Running | IntegrationState::Paused { .. } | IntegrationState::Stopped,
            IntegrationState::Running | IntegrationState::Paused { .. } | IntegrationState::Stopped,
        ) => {}
    }
}
