//! The seam between the collector and the durable log.
//!
//! The collector decodes requests into batches and answers only when [`Intake::admit`] has said
//! that every item is on stable storage. Who stands behind it (the journal of `millrace-delivery`,
//! a test) is none of the collector's business.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::code::{Code, ErrorKind};
use crate::event::Batch;
use crate::id::Seq;

/// What became of an admitted batch. Everything counted here is on stable storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// The record of the batch.
    pub seq: Seq,
    /// Items that were taken as events.
    pub events: u32,
    /// Items that had been accepted before.
    pub duplicates: u32,
    /// Items that were put aside.
    pub set_aside: u32,
}

/// Why a batch was not admitted. Nothing of it was stored, and all of it may be sent again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// More is waiting than the limit allows.
    #[error("too much is waiting to be written")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// The disk is full, or so full that the reserve for bookkeeping is touched.
    #[error("the disk that holds the log is full")]
    DiskFull {
        /// When to try again.
        retry_after: Duration,
    },
    /// A write or sync failed before, and the log takes nothing more.
    #[error("the log takes nothing more since a write or sync failed")]
    Poisoned,
    /// The process is stopping.
    #[error("the process is stopping")]
    ShuttingDown,
}

impl AdmitError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            AdmitError::Overloaded { .. } => Code::Overloaded,
            AdmitError::DiskFull { .. } => Code::DiskFull,
            AdmitError::Poisoned => Code::LogPoisoned,
            AdmitError::ShuttingDown => Code::ShuttingDown,
        }
    }

    /// What to do: every case is worth another try by the client.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Retry
    }

    /// When the client should try again.
    #[must_use]
    pub const fn retry_after(&self) -> Duration {
        match self {
            AdmitError::Overloaded { retry_after } | AdmitError::DiskFull { retry_after } => {
                *retry_after
            }
            AdmitError::Poisoned => Duration::from_secs(30),
            AdmitError::ShuttingDown => Duration::from_secs(5),
        }
    }
}

/// The future that [`Intake::admit`] gives.
pub type AdmitFuture<'a> = Pin<Box<dyn Future<Output = Result<Admitted, AdmitError>> + Send + 'a>>;

/// Takes batches and makes them durable.
pub trait Intake: Send + Sync {
    /// Resolves once one sync has put every item of the batch on stable storage, duplicates
    /// included: their first copy is then there too.
    ///
    /// # Errors
    /// Nothing of the batch was stored; see [`AdmitError`].
    ///
    /// # Cancel safety
    /// Dropping the future does not take the batch back: it may or may not be stored.
    fn admit(&self, batch: Batch) -> AdmitFuture<'_>;

    /// Fails when a batch would now be refused: what `/readyz` answers.
    ///
    /// # Errors
    /// The reason for which a batch would be refused.
    fn ready(&self) -> Result<(), AdmitError>;
}
