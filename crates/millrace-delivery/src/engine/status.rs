//! What an integration shows of itself.

use millrace_model::code::Code;
use millrace_model::correction::CorrectionSums;
use millrace_model::time::UnixMillis;

/// Whether an integration sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntegrationState {
    /// It sends.
    Running,
    /// It sends nothing; what is accepted waits and is charged no attempt (promise 4).
    Paused {
        /// Why, as a stable code; none when it was paused by hand.
        code: Option<Code>,
        /// Why, in words.
        reason: String,
        /// Since when.
        since: UnixMillis,
    },
    /// It has stopped, by request or because the log failed: see `last_error`.
    Stopped,
}

/// The last thing that went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastError {
    /// What, as a stable code.
    pub code: Code,
    /// What, in words; without secrets.
    pub message: String,
    /// When.
    pub at: UnixMillis,
}

/// A snapshot of an integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegrationStatus {
    /// Whether it sends.
    pub state: IntegrationState,
    /// Rows that were mapped and have no final answer, those in flight included.
    pub pending_rows: u64,
    /// Rows that are in a request.
    pub in_flight_rows: u64,
    /// Requests without an answer.
    pub in_flight_requests: u64,
    /// Rows that Mixpanel has taken, since the start.
    pub delivered_rows: u64,
    /// Rows that ended otherwise after they were mapped, since the start.
    pub failed_rows: u64,
    /// Requests sent, since the start.
    pub requests: u64,
    /// Requests that have to be sent again, since the start.
    pub retried_requests: u64,
    /// What mapping has changed so that Mixpanel takes it, or noticed, since the start.
    pub corrections: CorrectionSums,
    /// The last thing that went wrong, if something did.
    pub last_error: Option<LastError>,
    /// True when everything read so far has been closed and the reader waits for more.
    pub idle: bool,
}

impl IntegrationStatus {
    pub(super) fn new() -> IntegrationStatus {
        IntegrationStatus {
            state: IntegrationState::Running,
            pending_rows: 0,
            in_flight_rows: 0,
            in_flight_requests: 0,
            delivered_rows: 0,
            failed_rows: 0,
            requests: 0,
            retried_requests: 0,
            corrections: CorrectionSums::default(),
            last_error: None,
            idle: false,
        }
    }
}
