//! The one thread that writes: many requests, one sync.
//!
//! A request hands in its records and waits. The writer takes what is waiting, appends and commits
//! it as one group, applies it to the projects in the same order, and answers all of them. So a
//! request is answered only when its records are on stable storage and can be read, and a record
//! that was not committed is never seen.
//!
//! The queue holds [`WAITING`] requests; when it is full, senders wait. After a failed commit that
//! poisons the log every request is answered with the error until the twin is opened again.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::error::TwinError;
use crate::journal::Journal;
use crate::project::Projects;
use crate::record::Record;

/// Requests that may wait for the writer.
const WAITING: usize = 256;

/// Bytes after which a group is closed.
const GROUP_BYTES: usize = 32 * 1024 * 1024;

/// What the sender of a request is told.
pub(crate) type Written = Result<(), TwinError>;

#[derive(Debug)]
struct Job {
    records: Vec<Record>,
    done: oneshot::Sender<Written>,
}

/// The sending side. Dropping it ends the thread once it has written what is waiting.
#[derive(Debug)]
pub(crate) struct Writer {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub(crate) fn start(
        journal: impl Journal + 'static,
        projects: Projects,
    ) -> Result<Writer, TwinError> {
        let (jobs, waiting) = sync_channel(WAITING);
        let thread = std::thread::Builder::new()
            .name("twin-writer".to_owned())
            .spawn(move || run(journal, &projects, &waiting))
            .map_err(TwinError::Start)?;
        Ok(Writer { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Hands records in. Blocks while the queue is full, so it belongs on a blocking thread; the
    /// answer comes through the receiver.
    pub(crate) fn submit(
        &self,
        records: Vec<Record>,
    ) -> Result<oneshot::Receiver<Written>, TwinError> {
        let (done, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or(TwinError::Closed)?;
        jobs.send(Job { records, done }).map_err(|_gone| TwinError::Closed)?;
        Ok(answer)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // Whoever waits for an answer sees its channel closed if the thread has panicked.
            let _ended = thread.join();
        }
    }
}

fn run(mut journal: impl Journal, projects: &Projects, waiting: &Receiver<Job>) {
    while let Ok(first) = waiting.recv() {
        let mut group = vec![first];
        let mut bytes = size(&group);
        while group.len() < WAITING && bytes < GROUP_BYTES {
            let Ok(job) = waiting.try_recv() else { break };
            bytes += job.records.iter().map(|record| record.bytes.len()).sum::<usize>();
            group.push(job);
        }
        match write(&mut journal, &group) {
            Ok(()) => {
                for job in group {
                    for record in &job.records {
                        projects.apply(record.kind, &record.bytes);
                    }
                    // A client that has gone no longer waits for its answer.
                    let _gone = job.done.send(Ok(()));
                }
            }
            Err(error) => {
                let (text, code) = (error.to_string(), error.code());
                for job in group {
                    let error = TwinError::Journal { text: text.clone(), code };
                    let _gone = job.done.send(Err(error));
                }
            }
        }
    }
}

fn size(group: &[Job]) -> usize {
    group.iter().flat_map(|job| &job.records).map(|record| record.bytes.len()).sum()
}

fn write(journal: &mut impl Journal, group: &[Job]) -> Result<(), TwinError> {
    for record in group.iter().flat_map(|job| &job.records) {
        if let Err(error) = journal.append(record) {
            journal.rollback();
            return Err(error);
        }
    }
    journal.commit()
}
