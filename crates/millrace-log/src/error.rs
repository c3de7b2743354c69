//! What can go wrong with a log.

use std::io;

use millrace_model::code::{Code, ErrorKind};
use millrace_model::id::Seq;

/// Why an operation of the log failed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk is full. The open group was taken back and its numbers are free again; nothing
    /// that had been committed is touched, and the log works again once there is space.
    #[error("the disk is full: free some space")]
    DiskFull,
    /// A write or a sync failed before. What the disk holds of the open group is unknown, so
    /// nothing is done any more until the log is opened again.
    #[error("the log takes nothing more since a write or sync failed: restart to recover")]
    Poisoned,
    /// Records that had been synced are damaged or gone. Nothing was changed on the disk.
    #[error("{file} is damaged at byte {offset} (records from {from}): {reason}")]
    Damaged {
        /// The file.
        file: String,
        /// The byte where the damage shows.
        offset: u64,
        /// The first record that is lost or doubtful.
        from: Seq,
        /// What was found.
        reason: &'static str,
    },
    /// The folder was written by a newer program.
    #[error("{file} has format version {version}, newer than this program reads")]
    Version {
        /// The file.
        file: String,
        /// The version found.
        version: u32,
    },
    /// The folder belongs to another running process.
    #[error("the folder is in use by another process: stop it first")]
    Locked,
    /// The record or the group is larger than the format takes. Nothing was appended.
    #[error("a record or group of {bytes} bytes is above the limit of {limit}")]
    TooLarge {
        /// The bytes asked for.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The wanted record was dropped with its segment.
    #[error("record {wanted} was dropped: the oldest is {first}")]
    Dropped {
        /// The record asked for.
        wanted: Seq,
        /// The oldest there is.
        first: Seq,
    },
    /// The disk refused an operation.
    #[error("cannot {action} {file}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        file: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl LogError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            LogError::DiskFull => Code::DiskFull,
            LogError::Poisoned => Code::LogPoisoned,
            LogError::Damaged { .. } | LogError::Dropped { .. } => Code::LogDamaged,
            LogError::Version { .. } => Code::LogVersion,
            LogError::Locked => Code::LogLocked,
            LogError::TooLarge { .. } => Code::BodyTooLarge,
            LogError::Io { .. } => Code::DiskFailed,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            LogError::DiskFull => ErrorKind::Retry,
            LogError::Locked | LogError::Version { .. } => ErrorKind::Fix,
            LogError::TooLarge { .. } => ErrorKind::Reject,
            LogError::Poisoned
            | LogError::Damaged { .. }
            | LogError::Dropped { .. }
            | LogError::Io { .. } => ErrorKind::Fatal,
        }
    }
}

/// True when the system says that there is no space left.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Names the operation and the file that an error of the system belongs to.
pub(crate) fn io_error(action: &'static str, file: &str) -> impl FnOnce(io::Error) -> LogError {
    let file = file.to_owned();
    move |source| LogError::Io { action, file, source }
}
