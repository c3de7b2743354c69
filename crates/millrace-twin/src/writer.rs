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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Sender, channel};
    use std::sync::{Arc, Mutex};

    use millrace_model::code::Code;
    use millrace_model::secret::Secret;
    use millrace_model::time::UnixMillis;

    use super::*;
    use crate::options::{IdentityMode, ProjectOptions};
    use crate::record::{self, Kind};

    /// A journal that waits for leave before each commit and fails when told.
    struct Gated {
        gate: Mutex<Receiver<Result<(), Code>>>,
        rolled_back: Arc<AtomicUsize>,
    }

    impl Journal for Gated {
        fn append(&mut self, record: &Record) -> Result<(), TwinError> {
            if record.bytes.is_empty() {
                return Err(TwinError::Closed);
            }
            Ok(())
        }

        fn commit(&mut self) -> Result<(), TwinError> {
            let leave = self.gate.lock().unwrap().recv().unwrap();
            leave.map_err(|code| TwinError::Journal { text: "told to fail".to_owned(), code })
        }

        fn rollback(&mut self) {
            self.rolled_back.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Scene {
        writer: Writer,
        projects: Projects,
        leave: Sender<Result<(), Code>>,
        rolled_back: Arc<AtomicUsize>,
    }

    fn scene() -> Scene {
        let projects = Projects::new(vec![ProjectOptions {
            id: 1,
            name: String::new(),
            token: Secret::new("T"),
            api_secret: Secret::new("S"),
            service_accounts: Vec::new(),
            timezone: "UTC".to_owned(),
            identity: IdentityMode::Simplified,
            group_keys: Vec::new(),
            created_at: UnixMillis(0),
        }]);
        let (leave, gate) = channel();
        let rolled_back = Arc::new(AtomicUsize::new(0));
        let journal = Gated { gate: Mutex::new(gate), rolled_back: Arc::clone(&rolled_back) };
        let writer = Writer::start(journal, projects.clone()).unwrap();
        Scene { writer, projects, leave, rolled_back }
    }

    fn update(user: &str) -> Vec<Record> {
        let mut bytes = record::updates(1, UnixMillis(5));
        record::put_update(&mut bytes, &format!("{{\"$distinct_id\":\"{user}\",\"$set\":{{}}}}"));
        vec![Record { kind: Kind::Users, bytes }]
    }

    fn profiles(scene: &Scene) -> usize {
        scene.projects.by_id(1).map_or(0, |project| project.data().visible_profiles())
    }

    #[test]
    fn nothing_is_seen_or_answered_before_the_commit() {
        let scene = scene();
        let mut answer = scene.writer.submit(update("a")).unwrap();
        assert!(answer.try_recv().is_err());
        assert_eq!(profiles(&scene), 0);
        scene.leave.send(Ok(())).unwrap();
        assert!(answer.blocking_recv().unwrap().is_ok());
        assert_eq!(profiles(&scene), 1);
    }

    #[test]
    fn a_failed_commit_is_answered_and_nothing_of_it_is_seen() {
        let scene = scene();
        let lost = scene.writer.submit(update("a")).unwrap();
        scene.leave.send(Err(Code::DiskFull)).unwrap();
        assert_eq!(lost.blocking_recv().unwrap().err().map(|e| e.code()), Some(Code::DiskFull));
        assert_eq!(profiles(&scene), 0);
        let kept = scene.writer.submit(update("b")).unwrap();
        scene.leave.send(Ok(())).unwrap();
        assert!(kept.blocking_recv().unwrap().is_ok());
        assert_eq!(profiles(&scene), 1);
    }

    #[test]
    fn a_record_that_is_refused_takes_its_group_back() {
        let scene = scene();
        let mut records = update("a");
        records.push(Record { kind: Kind::Users, bytes: Vec::new() });
        let answer = scene.writer.submit(records).unwrap();
        assert!(answer.blocking_recv().unwrap().is_err());
        assert_eq!((profiles(&scene), scene.rolled_back.load(Ordering::SeqCst)), (0, 1));
    }

    #[test]
    fn requests_that_wait_together_share_a_commit() {
        let scene = scene();
        let first = scene.writer.submit(update("a")).unwrap();
        let rest: Vec<_> =
            (0..20).map(|n| scene.writer.submit(update(&format!("u{n}"))).unwrap()).collect();
        // Two leaves are enough for all: one for what the writer had taken before the rest came,
        // whatever that was, and one for everything that was waiting by then.
        scene.leave.send(Ok(())).unwrap();
        scene.leave.send(Ok(())).unwrap();
        for answer in std::iter::once(first).chain(rest) {
            assert!(answer.blocking_recv().unwrap().is_ok());
        }
        assert_eq!(profiles(&scene), 21);
    }

    #[test]
    fn a_stopped_writer_finishes_what_waits() {
        let Scene { writer, projects, leave, .. } = scene();
        let answer = writer.submit(update("a")).unwrap();
        leave.send(Ok(())).unwrap();
        drop(writer);
        assert!(answer.blocking_recv().unwrap().is_ok());
        assert_eq!(projects.by_id(1).map(|p| p.data().users.len()), Some(1));
    }
}
