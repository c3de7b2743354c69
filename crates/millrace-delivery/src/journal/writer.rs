//! The thread that owns the log: takes what is queued as one group, commits, answers.
//!
//! A group ends when nothing more is queued, or at [`GROUP_COMMANDS`] or [`GROUP_BYTES`]. Closes and
//! sendings alone wait for company up to [`PROGRESS_WAIT`]. Readers are served between groups, from
//! memory when they are close behind; a reader far behind costs the writer one bounded file read.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use millrace_log::{Entry, LogStore};
use millrace_model::event::{Batch, DedupeKey};
use millrace_model::id::{IntegrationId, PipelineId, Position, Seq};
use millrace_model::intake::{AdmitError, Admitted};
use millrace_model::ledger::LedgerSums;
use tokio::sync::{oneshot, watch};

use super::core::{JournalCore, RawOpen};
use super::quarantine::{Held, HeldPage, HeldQuery};
use super::refeed::RefeedError;
use super::trace::{Searched, Standing};
use super::types::{Closed, ReadError};
use super::verify::Verified;

const GROUP_COMMANDS: usize = 4096;
const GROUP_BYTES: u64 = 8 << 20;
const PROGRESS_WAIT: Duration = Duration::from_millis(100);
/// How often an idle thread looks whether there is room on the disk.
const IDLE_WAIT: Duration = Duration::from_secs(1);

/// How often an idle thread looks for segments to drop; a busy one does at every new segment.
const TIDY_WAIT: Duration = Duration::from_secs(600);

/// What a reader gets: batches, and where to go on.
pub(super) type ReadAnswer = Result<(Vec<RawOpen>, Seq), ReadError>;

/// What handles ask of the thread.
pub(super) enum Command {
    Admit {
        batch: Batch,
        bytes: u64,
        reply: oneshot::Sender<Result<Admitted, AdmitError>>,
    },
    Close {
        track: usize,
        closed: Vec<Closed>,
    },
    Sending {
        track: usize,
        events: Vec<Position>,
    },
    Flush {
        reply: oneshot::Sender<Result<(), AdmitError>>,
    },
    Read {
        track: usize,
        from: Seq,
        max_bytes: usize,
        reply: oneshot::Sender<ReadAnswer>,
    },
    Refeed {
        position: Position,
        batch: Batch,
        bytes: u64,
        reply: oneshot::Sender<Result<Admitted, RefeedError>>,
    },
    Held {
        query: HeldQuery,
        reply: oneshot::Sender<HeldPage>,
    },
    HeldAt {
        position: Position,
        reply: oneshot::Sender<Option<Held>>,
    },
    Records {
        from: Seq,
        max_bytes: usize,
        reply: oneshot::Sender<Result<Vec<Entry>, ReadError>>,
    },
    Find {
        key: DedupeKey,
        before: Option<Seq>,
        reply: oneshot::Sender<Searched>,
    },
    Standing {
        position: Position,
        pipeline: PipelineId,
        reply: oneshot::Sender<Vec<(IntegrationId, Standing)>>,
    },
    Verify {
        reply: oneshot::Sender<Result<Verified, ReadError>>,
    },
    Shutdown {
        reply: oneshot::Sender<()>,
    },
}

/// Whether batches are taken, as one octet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Open,
    DiskFull,
    Poisoned,
    Stopped,
}

/// What everybody may see without asking the thread.
#[derive(Debug)]
pub(super) struct Shared {
    status: AtomicU8,
    /// The bytes of batches that wait to be written.
    pub(super) queued: AtomicU64,
    view: Mutex<View>,
}

/// A copy of the sums as of the last commit.
#[derive(Debug, Default)]
pub(super) struct View {
    pub(super) ledgers: Vec<LedgerSums>,
    pub(super) unrouted: Vec<(PipelineId, LedgerSums)>,
}

impl Shared {
    pub(super) fn new() -> Shared {
        Shared {
            status: AtomicU8::new(0),
            queued: AtomicU64::new(0),
            view: Mutex::new(View::default()),
        }
    }

    pub(super) fn status(&self) -> Status {
        match self.status.load(Ordering::Acquire) {
            0 => Status::Open,
            1 => Status::DiskFull,
            2 => Status::Poisoned,
            _ => Status::Stopped,
        }
    }

    pub(super) fn set_status(&self, status: Status) {
        let octet = match status {
            Status::Open => 0,
            Status::DiskFull => 1,
            Status::Poisoned => 2,
            Status::Stopped => 3,
        };
        self.status.store(octet, Ordering::Release);
    }

    pub(super) fn view<T>(&self, look: impl FnOnce(&View) -> T) -> T {
        look(&self.view.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The thread's own part.
pub(super) struct Writer<L> {
    pub(super) core: JournalCore<L>,
    pub(super) shared: Arc<Shared>,
    pub(super) commands: Receiver<Command>,
    /// The number after the last committed batch; dropped when the thread ends, which readers see.
    pub(super) committed: watch::Sender<Seq>,
}

impl<L> Drop for Writer<L> {
    /// When the thread ends in any other way than by [`Writer::end`], nothing is taken any more.
    fn drop(&mut self) {
        if self.shared.status() != Status::Stopped {
            self.shared.set_status(Status::Poisoned);
        }
    }
}

/// The answers that wait for the commit of a group.
#[derive(Default)]
struct Waiting {
    admitted: Vec<(oneshot::Sender<Result<Admitted, AdmitError>>, Admitted)>,
    refed: Vec<(oneshot::Sender<Result<Admitted, RefeedError>>, Admitted)>,
    flushes: Vec<oneshot::Sender<Result<(), AdmitError>>>,
    bytes: u64,
    /// Something asks for a commit now.
    urgent: bool,
    stop: Option<oneshot::Sender<()>>,
}

impl<L: LogStore> Writer<L> {
    /// Runs until it is told to stop or no handle is left.
    pub(super) fn run(mut self) {
        self.publish();
        let mut progress_since: Option<Duration> = None;
        let mut tidied = self.core.clock.elapsed();
        loop {
            let wait = if progress_since.is_some() { PROGRESS_WAIT } else { IDLE_WAIT };
            let mut waiting = Waiting::default();
            let mut left = false;
            match self.commands.recv_timeout(wait) {
                Ok(command) => {
                    let room = self.core.check_room();
                    self.take(command, &room, &mut waiting);
                    self.take_queued(&room, &mut waiting);
                }
                Err(RecvTimeoutError::Timeout) => waiting.urgent = self.core.has_progress(),
                Err(RecvTimeoutError::Disconnected) => left = true,
            }
            let now = self.core.clock.elapsed();
            if self.core.has_progress() {
                let since = *progress_since.get_or_insert(now);
                waiting.urgent |= now.saturating_sub(since) >= PROGRESS_WAIT;
            }
            let stop = waiting.stop.take();
            let ends = left || stop.is_some();
            if waiting.urgent || ends {
                self.commit(waiting);
                progress_since = None;
            }
            if now.saturating_sub(tidied) >= TIDY_WAIT && !ends {
                tidied = now;
                self.core.tidy();
            }
            self.look_for_room();
            if ends {
                self.end(stop);
                return;
            }
        }
    }

    /// Takes what is queued already, up to the bounds of a group.
    fn take_queued(&mut self, room: &Result<(), AdmitError>, waiting: &mut Waiting) {
        for _ in 0..GROUP_COMMANDS {
            if waiting.bytes >= GROUP_BYTES || waiting.stop.is_some() {
                return;
            }
            let Ok(command) = self.commands.try_recv() else { return };
            self.take(command, room, waiting);
        }
    }

    fn take(&mut self, command: Command, room: &Result<(), AdmitError>, waiting: &mut Waiting) {
        // Nobody waits for an answer that cannot be sent; that is all a failed send says.
        match command {
            Command::Admit { batch, bytes, reply } => {
                let taken = room.clone().and_then(|()| self.core.admit(batch));
                waiting.bytes += bytes;
                waiting.urgent = true;
                match taken {
                    Ok(admitted) => waiting.admitted.push((reply, admitted)),
                    Err(error) => {
                        let _ = reply.send(Err(error));
                    }
                }
            }
            Command::Refeed { position, batch, bytes, reply } => {
                let room = room.clone().map_err(RefeedError::from);
                let taken = room.and_then(|()| self.core.refeed(position, &batch));
                waiting.bytes += bytes;
                waiting.urgent = true;
                match taken {
                    Ok(admitted) => waiting.refed.push((reply, admitted)),
                    Err(error) => {
                        let _ = reply.send(Err(error));
                    }
                }
            }
            Command::Close { track, closed } => self.core.close(track, closed),
            Command::Sending { track, events } => self.core.sending(track, &events),
            Command::Flush { reply } => {
                waiting.urgent = true;
                waiting.flushes.push(reply);
            }
            Command::Read { track, from, max_bytes, reply } => {
                let _ = reply.send(self.core.read_open(track, from, max_bytes));
            }
            Command::Held { query, reply } => {
                let _ = reply.send(self.core.held(&query));
            }
            Command::HeldAt { position, reply } => {
                let _ = reply.send(self.core.held_at(position));
            }
            Command::Records { from, max_bytes, reply } => {
                let _ = reply.send(self.core.log.read(from, max_bytes).map_err(ReadError::from));
            }
            Command::Find { key, before, reply } => {
                let _ = reply.send(self.core.search_segment(key, before));
            }
            Command::Standing { position, pipeline, reply } => {
                let _ = reply.send(self.core.standings(position, &pipeline));
            }
            Command::Verify { reply } => {
                let _ = reply.send(self.core.verify());
            }
            Command::Shutdown { reply } => waiting.stop = Some(reply),
        }
    }

    /// Commits the group and answers.
    fn commit(&mut self, waiting: Waiting) {
        let result = self.core.commit();
        self.publish();
        self.shared.queued.fetch_sub(waiting.bytes, Ordering::AcqRel);
        let taken = waiting.admitted.iter().map(|(_, admitted)| admitted);
        let taken = taken.chain(waiting.refed.iter().map(|(_, admitted)| admitted));
        let newest = taken.map(|admitted| admitted.seq.next()).max();
        for (reply, admitted) in waiting.admitted {
            let _ = reply.send(result.clone().map(|()| admitted));
        }
        for (reply, admitted) in waiting.refed {
            let _ = reply.send(result.clone().map(|()| admitted).map_err(RefeedError::from));
        }
        for reply in waiting.flushes {
            let _ = reply.send(result.clone());
        }
        if let (Ok(()), Some(newest)) = (&result, newest) {
            self.committed.send_replace(newest);
        }
    }

    /// Copies the sums to where handles see them.
    pub(super) fn publish(&self) {
        let core = &self.core;
        let ledgers = core.tracks.iter().map(|track| core.ledger(track)).collect();
        let unrouted = core.unrouted.iter();
        let unrouted = unrouted.map(|(name, book)| (name.clone(), book.sums().clone())).collect();
        let mut view = self.shared.view.lock().unwrap_or_else(PoisonError::into_inner);
        view.ledgers = ledgers;
        view.unrouted = unrouted;
    }

    /// Says whether batches are taken; this is how a full disk is found to have room again.
    fn look_for_room(&self) {
        self.shared.set_status(match self.core.check_room() {
            Ok(()) | Err(AdmitError::Overloaded { .. } | AdmitError::ShuttingDown) => Status::Open,
            Err(AdmitError::DiskFull { .. }) => Status::DiskFull,
            Err(AdmitError::Poisoned) => Status::Poisoned,
        });
    }

    /// The last words: a checkpoint makes the next start quick, but is not needed.
    fn end(mut self, stop: Option<oneshot::Sender<()>>) {
        self.shared.set_status(Status::Stopped);
        if !self.core.poisoned {
            let _ = self.core.write_checkpoint();
        }
        // The log is closed before anybody is told, so that the folder can be opened again.
        drop(self);
        if let Some(stop) = stop {
            let _ = stop.send(());
        }
    }
}
