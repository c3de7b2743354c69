//! The engine: delivers the events of one integration, from the journal to Mixpanel.
//!
//! ```text
//! reader ──portions──> feeder ──map, on a blocking thread──> driver ──requests──> transport
//!                                                            │  ^                    │
//!                                   closes, marks ──journal<─┘  └─receipts───────────┘
//! ```
//!
//! | module | owns |
//! | --- | --- |
//! | [`seams`] | where events come from and go to, and who maps them |
//! | [`status`] | what an integration shows of itself |
//! | `corrected` | the sums of what mapping changed or noticed |
//! | `gate` | whether people allow what the integration is for |
//! | `mapping` | a portion of events into rows; a panic costs one event |
//! | `feeder` | reading and mapping ahead of the driver, by one portion |
//! | `course` | the decisions: what leaves next, what answers change, pauses, probes; pure |
//! | `errand` | one request, or one probe, and what has to be asked on the way; pure |
//! | `driver` | the loop that joins course, transport and journal |
//! | `flight` | an errand on its way over the network |
//! | `proxied` | who maps the calls of Mixpanel's own SDKs |
//! | `probing` | the back-off between probes |
//!
//! Invariants:
//! - Nothing is sent before it was marked as being sent; rows that cannot be repeated wait until
//!   that mark is on stable storage (DESIGN 9.15).
//! - No profile or group row leaves before the token was proven (DESIGN 9.16).
//! - No event is mapped whose person does not allow what the integration is for (DESIGN 9.8).
//! - While the integration is paused nothing leaves but probes, and no event is charged anything.
//! - Processor work (mapping, joining, compressing) runs on blocking threads, never on the
//!   threads that answer the collector's clients.

mod corrected;
pub(crate) mod course;
mod driver;
pub(crate) mod errand;
mod feeder;
mod flight;
mod gate;
mod handle;
pub(crate) mod mapping;
mod probing;
mod proxied;
pub mod seams;
pub mod status;

use std::sync::Arc;

use millrace_model::code::{Code, ErrorKind};
use millrace_model::entropy::Entropy;
use millrace_model::id::IntegrationId;
use millrace_model::time::Clock;

use crate::journal::{Journal, KnownConsents};
use crate::mixpanel::{Projects, Transport};
use crate::scheduler::Limits;

pub use handle::EngineHandle;
pub use proxied::{IntegrationMapping, ProxiedCalls};
pub use seams::{EventSink, EventSource, MapEvent, MapEvents};
pub use status::{IntegrationState, IntegrationStatus, LastError};

/// What an engine is told.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The integration that it serves.
    pub id: IntegrationId,
    /// Where and as whom it sends.
    pub projects: Projects,
    /// The bounds that it keeps.
    pub limits: Limits,
    /// The categories of consent without which an event is not sent; default none. Canonical ones
    /// or codes of a consent platform, in lower case.
    pub required_consent: Vec<String>,
    /// How many bytes of stored events it reads and maps at a time.
    pub read_bytes: usize,
}

impl EngineOptions {
    /// Options with the default limits.
    #[must_use]
    pub fn new(id: IntegrationId, projects: impl Into<Projects>) -> EngineOptions {
        // 256 KiB are some 200 events: one to two milliseconds of mapping at a time.
        EngineOptions {
            id,
            projects: projects.into(),
            limits: Limits::default(),
            required_consent: Vec::new(),
            read_bytes: 256 * 1024,
        }
    }
}

/// Why an engine cannot start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The journal keeps no positions for the integration.
    #[error("the journal does not know integration {0}: open it with that integration")]
    UnknownIntegration(IntegrationId),
}

impl StartError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            StartError::UnknownIntegration(_) => Code::UnknownReference,
        }
    }

    /// What to do: change the configuration.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            StartError::UnknownIntegration(_) => ErrorKind::Fix,
        }
    }
}

/// Everything that an engine works with, each behind its seam.
pub struct EngineParts {
    /// Where events come from.
    pub source: Box<dyn EventSource>,
    /// Where their ends go.
    pub sink: Arc<dyn EventSink>,
    /// What is known of people's consent.
    pub consents: KnownConsents,
    /// Who maps them.
    pub mapping: Arc<dyn MapEvents>,
    /// What carries requests.
    pub transport: Arc<dyn Transport>,
    /// The wall clock, for what is shown and for dates in answers.
    pub clock: Arc<dyn Clock>,
    /// Chance, for the back-off.
    pub entropy: Arc<dyn Entropy>,
}

impl EngineParts {
    /// Parts with a journal as source and sink.
    ///
    /// # Errors
    /// When the journal does not know the integration.
    pub fn on_journal(
        journal: Journal,
        integration: &IntegrationId,
        mapping: Arc<dyn MapEvents>,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<EngineParts, StartError> {
        let Some(reader) = journal.reader(integration) else {
            return Err(StartError::UnknownIntegration(integration.clone()));
        };
        let integration = integration.clone();
        let consents = journal.consents();
        let sink = Arc::new(seams::JournalSink { journal, integration });
        let source = Box::new(reader);
        Ok(EngineParts { source, sink, consents, mapping, transport, clock, entropy })
    }
}

/// The engine of an integration.
#[derive(Debug)]
pub struct Engine;

impl Engine {
    /// Starts delivering what is open in the journal, on the current Tokio runtime.
    ///
    /// # Errors
    /// When the journal does not know the integration.
    pub fn start(
        options: EngineOptions,
        mapping: Arc<dyn MapEvents>,
        journal: Journal,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<EngineHandle, StartError> {
        let parts =
            EngineParts::on_journal(journal, &options.id, mapping, transport, clock, entropy)?;
        Ok(Engine::start_with(options, parts))
    }

    /// Starts with other parts than the journal and a plan.
    #[must_use]
    pub fn start_with(options: EngineOptions, parts: EngineParts) -> EngineHandle {
        handle::start(options, parts)
    }
}
