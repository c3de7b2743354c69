//! What leaves next, and what answers change: the decisions of an integration, pure.
//!
//! Scheduler, pauses and probes come together here. The driver carries out what is decided with
//! tasks, a journal and a network; a rehearsal with a script.
//!
//! Invariants:
//! - No profile or group row leaves before the token was proven (DESIGN 9.16).
//! - While it is paused nothing leaves but probes, and no event is charged anything.

use std::sync::Arc;
use std::time::Duration;

use millrace_model::code::Code;
use millrace_model::entropy::Entropy;
use millrace_model::row::Endpoint;
use millrace_model::time::Clock;

use super::errand::{Carried, Found};
use super::probing::Probing;
use super::status::{IntegrationState, LastError};
use crate::journal::Closed;
use crate::mixpanel::{Credentials, Projects};
use crate::receipt::{Proof, Receipt};
use crate::scheduler::{Limits, MappedEvent, Outgoing, ProjectNumber, RequestId, Scheduler};

/// What is to be sent.
#[derive(Debug)]
pub(crate) enum Step {
    /// A probe of a project. Whoever sends it says what was found.
    Probe(ProjectNumber),
    /// Rows. Whoever sends them says what was found.
    Send(Outgoing),
}

#[derive(Debug)]
pub(crate) struct Course {
    scheduler: Scheduler,
    projects: Arc<Projects>,
    /// By the numbers of the projects.
    probing: Vec<Probing>,
    /// Whose answer made the pause, while there is one with a cause.
    cause: ProjectNumber,
    clock: Arc<dyn Clock>,
    state: IntegrationState,
    last_error: Option<LastError>,
    /// True when state or last error have changed since it was last asked.
    changed: bool,
}

impl Course {
    pub(crate) fn new(
        mut limits: Limits,
        projects: Arc<Projects>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Course {
        // What the client adds to each update: {"$token":"..", before the rest of it.
        let longest = projects.all().map(|options| options.token().expose().len()).max();
        limits.profile_overhead = longest.unwrap_or_default() + 16;
        let keys = projects.keys().clone();
        let probing = keys.numbers().map(|_| Probing::new(Arc::clone(&entropy))).collect();
        Course {
            scheduler: Scheduler::new(limits, keys, entropy),
            projects,
            probing,
            cause: ProjectNumber::OWN,
            clock,
            state: IntegrationState::Running,
            last_error: None,
            changed: false,
        }
    }

    pub(crate) const fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    pub(crate) const fn state(&self) -> &IntegrationState {
        &self.state
    }

    pub(crate) const fn last_error(&self) -> Option<&LastError> {
        self.last_error.as_ref()
    }

    /// True when state or last error have changed since the last call.
    pub(crate) const fn take_changed(&mut self) -> bool {
        std::mem::replace(&mut self.changed, false)
    }

    /// Takes an event, as the latest.
    pub(crate) fn push(&mut self, now: Duration, event: &MappedEvent<'_>) {
        self.scheduler.push(now, event);
    }

    /// The events that were closed since the last call.
    pub(crate) fn take_closed(&mut self) -> Vec<Closed> {
        self.scheduler.take_closed()
    }

    /// What is to be sent now, if there is something.
    pub(crate) fn next(&mut self, now: Duration) -> Option<Step> {
        let mut numbers = self.projects.keys().numbers();
        if let Some(project) =
            numbers.find(|number| self.probe_due(*number).is_some_and(|due| now >= due))
        {
            self.probing_of(project, Probing::sent);
            return Some(Step::Probe(project));
        }
        self.scheduler.next_request(now).map(Step::Send)
    }

    /// When to ask again, if nothing happens before.
    pub(crate) fn wake(&self) -> Option<Duration> {
        let probe =
            self.projects.keys().numbers().filter_map(|number| self.probe_due(number)).min();
        match (self.scheduler.wake(), probe) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (only, None) | (None, only) => only,
        }
    }

    /// When a project is to be probed, if it is: before its first profile row leaves, and to end a
    /// pause that it has caused.
    fn probe_due(&self, project: ProjectNumber) -> Option<Duration> {
        let probing = self.probing.get(project.index()).filter(|probing| !probing.is_out())?;
        let paused = matches!(self.state, IntegrationState::Paused { code: Some(_), .. });
        let wanted = (paused && self.cause == project) || self.scheduler.wants_proof(project);
        wanted.then(|| probing.due())
    }

    fn probing_of(&mut self, project: ProjectNumber, change: impl FnOnce(&mut Probing)) {
        if let Some(probing) = self.probing.get_mut(project.index()) {
            change(probing);
        }
    }

    /// All tokens are good, as somebody else has found out.
    pub(crate) fn tokens_are_proven(&mut self) {
        for project in self.projects.keys().numbers() {
            self.scheduler.token_is_proven(project);
        }
    }

    /// Takes what was found.
    pub(crate) fn found(&mut self, now: Duration, found: Found) {
        match found {
            Found::Receipt(carried, receipt) => self.receive(now, carried, receipt),
            Found::Proof(project, proof) => self.take_proof(now, project, proof),
        }
    }

    /// Nobody knows how far a request came.
    pub(crate) fn request_broken_off(&mut self, now: Duration, id: RequestId) {
        let (code, reason) = (Code::UnclearAnswer, "the request was broken off".to_owned());
        let receipt = Receipt::Retry { after: None, code, reason, perhaps_taken: true };
        self.scheduler.answer(now, id, receipt);
    }

    /// Nobody knows how far a probe came.
    pub(crate) fn probe_broken_off(&mut self, now: Duration, project: ProjectNumber) {
        self.probing_of(project, |probing| probing.failed(now));
    }

    /// A request was not sent, and nothing more will be.
    pub(crate) fn not_sent(&mut self, now: Duration, id: RequestId, code: Code) {
        self.scheduler.answer(now, id, Receipt::Pause { code, reason: String::new() });
    }

    fn receive(&mut self, now: Duration, carried: Carried, receipt: Receipt) {
        let Carried { id, project, endpoint, rows } = carried;
        let mut cause = None;
        match &receipt {
            Receipt::Delivered => self.went_well(project, endpoint),
            Receipt::Partly(refused) => {
                self.went_well(project, endpoint);
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
            let reason = self.named(project, reason);
            self.cause = project;
            let begins = self.pause(now, Some(code), reason);
            self.probing_of(project, |probing| {
                probing.caused_by(endpoint);
                if begins {
                    probing.back_off(now);
                }
            });
        }
    }

    /// A reason, with the project if it is not the integration's own.
    fn named(&self, project: ProjectNumber, reason: String) -> String {
        match self.projects.name(project) {
            Some(name) => format!("project {name}: {reason}"),
            None => reason,
        }
    }

    fn went_well(&mut self, project: ProjectNumber, endpoint: Endpoint) {
        self.probing_of(project, |probing| probing.went_well(endpoint));
        // A strict import with the token as credentials proves the token as well as a probe.
        let options = self.projects.options(project);
        let strict_token = options.strict() && matches!(options.credentials(), Credentials::Token);
        if endpoint == Endpoint::Import && strict_token {
            self.scheduler.token_is_proven(project);
        }
    }

    fn take_proof(&mut self, now: Duration, project: ProjectNumber, proof: Proof) {
        match proof {
            Proof::Good => {
                self.probing_of(project, Probing::answered_well);
                self.scheduler.token_is_proven(project);
                let paused = matches!(self.state, IntegrationState::Paused { code: Some(_), .. });
                if paused && self.cause == project {
                    self.resume(now);
                }
            }
            Proof::Bad { code, reason } => {
                self.probing_of(project, |probing| {
                    probing.failed(now);
                    probing.caused_by(Endpoint::Import);
                });
                let reason = self.named(project, reason);
                self.cause = project;
                let _began = self.pause(now, Some(code), reason);
            }
            Proof::Unknown { code, reason } => {
                self.probing_of(project, |probing| probing.failed(now));
                let reason = self.named(project, reason);
                self.note_error(code, reason);
            }
        }
    }

    /// Sends nothing more until [`Course::resume`].
    pub(crate) fn pause_by_hand(&mut self, now: Duration) {
        let _began = self.pause(now, None, "paused by hand".to_owned());
    }

    /// Pauses, or renews the cause of a pause; one made by hand stays that. True when it begins.
    fn pause(&mut self, now: Duration, code: Option<Code>, reason: String) -> bool {
        self.scheduler.pause(now);
        if let Some(code) = code {
            self.note_error(code, reason.clone());
        }
        let (begins, since) = match &self.state {
            IntegrationState::Paused { code: None, .. } => return false,
            IntegrationState::Paused { since, .. } => (false, *since),
            IntegrationState::Running | IntegrationState::Stopped => (true, self.clock.now()),
        };
        self.state = IntegrationState::Paused { code, reason, since };
        self.changed = true;
        begins
    }

    /// Ends a pause, whatever its cause.
    pub(crate) fn resume(&mut self, now: Duration) {
        if matches!(self.state, IntegrationState::Paused { .. }) {
            self.scheduler.resume(now);
            self.state = IntegrationState::Running;
            self.changed = true;
        }
    }

    /// Sends nothing more; what is in flight may still be answered.
    pub(crate) fn wind_down(&mut self, now: Duration) {
        self.scheduler.pause(now);
    }

    /// Shows that it has come to its end.
    pub(crate) fn stopped(&mut self) {
        self.state = IntegrationState::Stopped;
        self.changed = true;
    }

    pub(crate) fn note_error(&mut self, code: Code, message: String) {
        self.last_error = Some(LastError { code, message, at: self.clock.now() });
        self.changed = true;
    }
}
