//! The handle of a running journal: cheap to clone, asynchronous, without any state of its own.

use std::sync::Arc;

use millrace_log::Disk;
use millrace_model::event::Batch;
use millrace_model::id::{IntegrationId, Position};
use millrace_model::intake::{AdmitError, AdmitFuture, Intake};
use millrace_model::ledger::LedgerSums;
use millrace_model::time::Clock;

use super::options::JournalOptions;
use super::reader::Reader;
use super::types::{Closed, Disposed, JournalError};

/// A running journal.
#[derive(Clone, Debug)]
pub struct Journal {}

/// The thread of a journal. Dropping it lets the thread run on.
#[derive(Debug)]
pub struct JournalWorker {}

impl JournalWorker {
    /// Waits until the thread has ended: after [`Journal::shutdown`], or when no handle is left.
    pub fn join(self) {}
}

impl Journal {
    /// Opens the log of a folder, replays it and starts the writer's thread.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn open<D: Disk>(
        _disk: D,
        _options: JournalOptions,
        _clock: Arc<dyn Clock>,
    ) -> Result<(Journal, JournalWorker), JournalError> {
        Ok((Journal {}, JournalWorker {}))
    }

    /// A reader of what is open for an integration, from its lowest open event on.
    #[must_use]
    pub fn reader(&self, _integration: &IntegrationId) -> Option<Reader> {
        None
    }

    /// Says that these events are about to be sent.
    pub fn sending(&self, _integration: &IntegrationId, _events: &[Position]) {}

    /// Closes events.
    pub fn close(&self, _integration: &IntegrationId, _closed: Vec<Closed>) {}

    /// Waits until everything queued before is committed.
    ///
    /// # Errors
    /// See [`AdmitError`].
    pub async fn flush(&self) -> Result<(), AdmitError> {
        Err(AdmitError::ShuttingDown)
    }

    /// The sums of an integration.
    #[must_use]
    pub fn ledger(&self, _integration: &IntegrationId) -> Option<LedgerSums> {
        None
    }

    /// The number of events that are open for an integration.
    #[must_use]
    pub fn pending(&self, _integration: &IntegrationId) -> u64 {
        0
    }

    /// True when nothing is open for an integration.
    #[must_use]
    pub fn is_drained(&self, _integration: &IntegrationId) -> bool {
        true
    }

    /// The newest items that did not end as delivered, newest last.
    #[must_use]
    pub fn dispositions(&self) -> Vec<Disposed> {
        Vec::new()
    }

    /// Commits what is queued, writes a checkpoint and ends the thread.
    pub async fn shutdown(&self) {}
}

impl Intake for Journal {
    fn admit(&self, _batch: Batch) -> AdmitFuture<'_> {
        Box::pin(async { Err(AdmitError::ShuttingDown) })
    }

    fn ready(&self) -> Result<(), AdmitError> {
        Err(AdmitError::ShuttingDown)
    }
}
