//! The words between the journal and whoever delivers from it.

use std::borrow::Cow;

use millrace_log::LogError;
use millrace_model::code::{Code, ErrorKind};
use millrace_model::disposition::Disposition;
use millrace_model::event::Batch;
use millrace_model::id::{IntegrationId, PipelineId, Position, Seq};
use millrace_model::record::RecordError;
use millrace_model::time::UnixMillis;

/// The code of a final state in the ledger: a reason such as `no_rule`, or a stable code such as
/// `MR3001`. At most 64 bytes are kept.
pub type CodeText = Cow<'static, str>;

/// The final state of one event for one integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The event.
    pub position: Position,
    /// What became of it.
    pub state: Disposition,
    /// Why, as the ledger's code; none for what went well.
    pub code: Option<CodeText>,
    /// Mixpanel's own words; at most 512 bytes are kept.
    pub detail: Option<String>,
    /// The rows that were sent for it.
    pub rows: u32,
    /// True when a row of it was sent more than once.
    pub resent: bool,
}

impl Closed {
    /// An event that was delivered without anything to remark.
    #[must_use]
    pub const fn delivered(position: Position, rows: u32) -> Closed {
        let state = Disposition::Delivered;
        Closed { position, state, code: None, detail: None, rows, resent: false }
    }
}

/// A stored batch with events that are open for an integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenBatch {
    /// The record.
    pub seq: Seq,
    /// All of the batch, what is closed included.
    pub batch: Batch,
    /// The indexes of the open events, ascending; never empty.
    pub open: Vec<u32>,
    /// Those of them that were marked as being sent before, ascending: Mixpanel may have them.
    pub perhaps_sent: Vec<u32>,
}

/// Something that did not end as delivered, for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposed {
    /// The pipeline it came in by.
    pub pipeline: PipelineId,
    /// The integration; none for what was put aside at the door, which concerns all of them.
    pub integration: Option<IntegrationId>,
    /// The item.
    pub position: Position,
    /// Its message id, where it is at hand.
    pub message_id: Option<String>,
    /// The final state.
    pub state: Disposition,
    /// Why, as the ledger's code.
    pub code: Option<String>,
    /// Why, in words.
    pub reason: Option<String>,
    /// When it was decided.
    pub at: UnixMillis,
}

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The log cannot be opened or read.
    #[error("the log cannot be opened")]
    Log(#[from] LogError),
    /// A record has the right checksum and cannot be understood.
    #[error("record {seq} cannot be understood")]
    Record {
        /// The record.
        seq: Seq,
        /// What is wrong with it.
        #[source]
        source: RecordError,
    },
    /// An integration is no longer configured, or for another pipeline, and has open events.
    #[error(
        "integration {integration} is not configured for pipeline {pipeline} any more and has {pending} open events: \
         configure it until they are delivered, or name it as one to forget"
    )]
    StillOpen {
        /// The integration.
        integration: IntegrationId,
        /// The pipeline whose events are open.
        pipeline: PipelineId,
        /// The number of its open events.
        pending: u64,
    },
    /// An integration stands twice in the options.
    #[error("integration {0} is configured twice: give each its own name")]
    Twice(IntegrationId),
    /// The thread of the journal cannot be started.
    #[error("the journal's thread cannot be started")]
    Thread(#[source] std::io::Error),
}

impl JournalError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            JournalError::Log(error) => error.code(),
            JournalError::Record { source: RecordError::Version(_), .. } => Code::LogVersion,
            JournalError::Record { .. } => Code::LogDamaged,
            JournalError::StillOpen { .. } => Code::UnknownReference,
            JournalError::Twice(_) => Code::DuplicateName,
            JournalError::Thread(_) => Code::DiskFailed,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            JournalError::Log(error) => error.kind(),
            JournalError::Record { .. } => ErrorKind::Fatal,
            JournalError::StillOpen { .. } | JournalError::Twice(_) => ErrorKind::Fix,
            JournalError::Thread(_) => ErrorKind::Retry,
        }
    }
}

/// Why a reader gets nothing more.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The journal was shut down.
    #[error("the journal is shut down")]
    Stopped,
    /// The log cannot be read.
    #[error("the log cannot be read")]
    Log(#[from] LogError),
    /// A record has the right checksum and cannot be understood.
    #[error("record {seq} cannot be understood")]
    Record {
        /// The record.
        seq: Seq,
        /// What is wrong with it.
        #[source]
        source: RecordError,
    },
}

impl ReadError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            ReadError::Stopped => Code::ShuttingDown,
            ReadError::Log(error) => error.code(),
            ReadError::Record { .. } => Code::LogDamaged,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            ReadError::Stopped => ErrorKind::Retry,
            ReadError::Log(error) => error.kind(),
            ReadError::Record { .. } => ErrorKind::Fatal,
        }
    }
}
