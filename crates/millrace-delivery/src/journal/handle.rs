//! The handle of a running journal: cheap to clone, asynchronous, without any state of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use millrace_log::{Disk, LogOptions, LogStore, SegmentLog};
use millrace_model::event::{Batch, Item};
use millrace_model::id::{IntegrationId, PipelineId, Position, Seq};
use millrace_model::intake::{AdmitError, AdmitFuture, Admitted, Intake};
use millrace_model::ledger::LedgerSums;
use millrace_model::time::Clock;
use tokio::sync::{oneshot, watch};

use super::consents::KnownConsents;
use super::core::{JournalCore, RETRY_OVERLOAD};
use super::options::JournalOptions;
use super::reader::Reader;
use super::recent::SharedRecent;
use super::types::{Closed, Disposed, JournalError, ReadError};
use super::verify::Verified;
use super::writer::{Command, Shared, Status, Writer};

/// A running journal. Clones share it; when the last one is dropped, its thread ends as by
/// [`Journal::shutdown`].
#[derive(Clone, Debug)]
pub struct Journal {
    /// Unbounded in itself. Admission is bounded by `queue_bytes`, closes and sendings by the events
    /// that readers were given, reads by the readers: each waits for its answer.
    commands: Sender<Command>,
    shared: Arc<Shared>,
    committed: watch::Receiver<Seq>,
    recent: SharedRecent,
    consents: KnownConsents,
    integrations: Arc<[IntegrationId]>,
    queue_bytes: u64,
}

/// The thread of a journal. Dropping it lets the thread run on.
#[derive(Debug)]
pub struct JournalWorker(JoinHandle<()>);

impl JournalWorker {
    /// Waits until the thread has ended: after [`Journal::shutdown`], or when no handle is left.
    /// Blocks.
    pub fn join(self) {
        // A panic of the thread has been reported by then, and every handle says `Poisoned`.
        let _ = self.0.join();
    }
}

impl Journal {
    /// Opens the log of a folder, replays it and starts the writer's thread. Blocks while it reads.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn open<D: Disk>(
        disk: D,
        options: JournalOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<(Journal, JournalWorker), JournalError> {
        let log_options = LogOptions {
            segment_bytes: options.segment_bytes,
            cache_bytes: options.cache_bytes,
            // Only whole segments are dropped: one must not hold much more than its share of time.
            segment_age: LogOptions::default().segment_age.min(options.kept_for()),
            ..LogOptions::default()
        };
        let (log, recovery) = SegmentLog::open(disk, log_options, Arc::clone(&clock))?;
        if let Some(cut) = &recovery.truncated {
            tracing::warn!(file = %cut.file, offset = cut.offset, bytes = cut.bytes,
                "an unfinished commit was cut off the log");
        }
        let core = JournalCore::open(log, options, clock)?;
        let integrations = core.tracks.iter().map(|track| track.integration.clone()).collect();
        let (commands, queue) = channel();
        let (committed, seen) = watch::channel(core.log.next());
        let shared = Arc::new(Shared::new());
        let journal = Journal {
            commands,
            shared: Arc::clone(&shared),
            committed: seen,
            recent: core.recent.clone(),
            consents: core.consents.clone(),
            integrations,
            queue_bytes: core.options.queue_bytes,
        };
        let writer = Writer { core, shared, commands: queue, committed };
        writer.publish();
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run())
            .map_err(JournalError::Thread)?;
        Ok((journal, JournalWorker(thread)))
    }

    fn track(&self, integration: &IntegrationId) -> Option<usize> {
        self.integrations.iter().position(|known| known == integration)
    }

    /// A reader of what is open for an integration, from its lowest open event on. None when the
    /// journal was not opened with the integration.
    #[must_use]
    pub fn reader(&self, integration: &IntegrationId) -> Option<Reader> {
        Some(Reader {
            commands: self.commands.clone(),
            committed: self.committed.clone(),
            track: self.track(integration)?,
            from: Seq(0),
        })
    }

    /// Says that these events are about to be sent. Written with the next commit and not waited
    /// for; [`Journal::flush`] waits. After a crash they are known as perhaps sent.
    pub fn sending(&self, integration: &IntegrationId, events: &[Position]) {
        if let Some(track) = self.track(integration)
            && !events.is_empty()
        {
            self.tell(Command::Sending { track, events: events.to_vec() });
        }
    }

    /// Closes events. Committed with the next group, at the latest after about 100 milliseconds;
    /// until then a crash opens them again. What is not open is left as it is.
    pub fn close(&self, integration: &IntegrationId, closed: Vec<Closed>) {
        if let Some(track) = self.track(integration)
            && !closed.is_empty()
        {
            self.tell(Command::Close { track, closed });
        }
    }

    /// Sends a command that has no answer. After the end nothing can be written down any more: what
    /// it would have closed is open again at the next start.
    fn tell(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// Sends a command and waits for its answer.
    pub(super) async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, AdmitError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).map_err(|_| self.gone())?;
        answer.await.map_err(|_| self.gone())
    }

    /// Why the thread does not answer.
    fn gone(&self) -> AdmitError {
        match self.shared.status() {
            Status::Stopped => AdmitError::ShuttingDown,
            Status::Open | Status::DiskFull | Status::Poisoned => AdmitError::Poisoned,
        }
    }

    /// Waits until everything that this handle asked for before is committed.
    ///
    /// # Errors
    /// It is not: see [`AdmitError`].
    pub async fn flush(&self) -> Result<(), AdmitError> {
        self.ask(|reply| Command::Flush { reply }).await?
    }

    /// The sums of an integration as of the last commit.
    #[must_use]
    pub fn ledger(&self, integration: &IntegrationId) -> Option<LedgerSums> {
        let track = self.track(integration)?;
        self.shared.view(|view| view.ledgers.get(track).cloned())
    }

    /// The sums of what came in by a pipeline while it had no integration.
    #[must_use]
    pub fn unrouted(&self, pipeline: &PipelineId) -> Option<LedgerSums> {
        self.shared.view(|view| {
            view.unrouted.iter().find(|(name, _)| name == pipeline).map(|(_, sums)| sums.clone())
        })
    }

    /// The number of events that are open for an integration as of the last commit.
    #[must_use]
    pub fn pending(&self, integration: &IntegrationId) -> u64 {
        let Some(track) = self.track(integration) else { return 0 };
        self.shared.view(|view| view.ledgers.get(track).map_or(0, |sums| sums.pending.events))
    }

    /// True when nothing is open for an integration as of the last commit.
    #[must_use]
    pub fn is_drained(&self, integration: &IntegrationId) -> bool {
        self.pending(integration) == 0
    }

    /// The newest known consent of each person, which knows of every acknowledged batch.
    #[must_use]
    pub fn consents(&self) -> KnownConsents {
        self.consents.clone()
    }

    /// The newest items that did not end as delivered or duplicate, newest last. In memory only: a
    /// restart empties it.
    #[must_use]
    pub fn dispositions(&self) -> Vec<Disposed> {
        self.recent.hold().list()
    }

    /// Counts the ledger a second time from the log and compares. Reads all of the log on the
    /// writer's thread: nothing is admitted meanwhile.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn verify(&self) -> Result<Verified, ReadError> {
        self.ask(|reply| Command::Verify { reply }).await.map_err(|_| ReadError::Stopped)?
    }

    /// Commits what is queued, writes a checkpoint, closes the log and ends the thread. Batches that
    /// come later are refused.
    pub async fn shutdown(&self) {
        // When the thread has ended before, there is nothing left to do.
        let _ = self.ask(|reply| Command::Shutdown { reply }).await;
    }

    /// Takes a place in the queue, if there is one.
    pub(super) fn reserve(&self, bytes: u64) -> Result<(), AdmitError> {
        let queued = self.shared.queued.fetch_add(bytes, Ordering::AcqRel);
        if queued > 0 && queued.saturating_add(bytes) > self.queue_bytes {
            self.shared.queued.fetch_sub(bytes, Ordering::AcqRel);
            return Err(AdmitError::Overloaded { retry_after: RETRY_OVERLOAD });
        }
        Ok(())
    }

    async fn admit_batch(&self, batch: Batch) -> Result<Admitted, AdmitError> {
        if self.shared.status() == Status::Stopped {
            return Err(AdmitError::ShuttingDown);
        }
        let bytes = weight(&batch);
        self.reserve(bytes)?;
        self.ask(|reply| Command::Admit { batch, bytes, reply }).await?
    }
}

/// About the memory that a batch takes.
pub(super) fn weight(batch: &Batch) -> u64 {
    let of_item = |item: &Item| match item {
        Item::Event(event) => event.body.len(),
        Item::SetAside(aside) => aside.body.len(),
        Item::Duplicate(_) | Item::Filtered(_) => 0,
    };
    batch.items.iter().map(|item| of_item(item) as u64 + 150).sum::<u64>() + 100
}

impl Intake for Journal {
    fn admit(&self, batch: Batch) -> AdmitFuture<'_> {
        Box::pin(self.admit_batch(batch))
    }

    fn ready(&self) -> Result<(), AdmitError> {
        match self.shared.status() {
            Status::Stopped => Err(AdmitError::ShuttingDown),
            Status::Poisoned => Err(AdmitError::Poisoned),
            Status::DiskFull => Err(AdmitError::DiskFull { retry_after: super::core::RETRY_DISK }),
            Status::Open if self.shared.queued.load(Ordering::Acquire) > self.queue_bytes => {
                Err(AdmitError::Overloaded { retry_after: RETRY_OVERLOAD })
            }
            Status::Open => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_bounded_by_bytes_and_always_takes_one() {
        let (commands, _queue) = channel();
        let (_committed, seen) = watch::channel(Seq(1));
        let journal = Journal {
            commands,
            shared: Arc::new(Shared::new()),
            committed: seen,
            recent: SharedRecent::default(),
            consents: KnownConsents::default(),
            integrations: Arc::from([]),
            queue_bytes: 1000,
        };
        assert_eq!(journal.reserve(5000), Ok(()), "one is always let in");
        assert!(matches!(journal.reserve(1), Err(AdmitError::Overloaded { .. })));
        assert!(matches!(journal.ready(), Err(AdmitError::Overloaded { .. })));
        journal.shared.queued.fetch_sub(5000, Ordering::AcqRel);
        assert_eq!(journal.reserve(600), Ok(()));
        assert!(matches!(journal.reserve(600), Err(AdmitError::Overloaded { .. })));
        assert_eq!(journal.reserve(400), Ok(()));
        assert_eq!(journal.ready(), Ok(()));
    }
}
