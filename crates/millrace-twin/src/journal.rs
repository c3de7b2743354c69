//! The durable order of everything that the twin was told: a seam with two sides.
//!
//! A record is written before it is applied. [`Memory`] keeps nothing, for twins without a folder;
//! [`OnDisk`] is the segment log. Nothing is ever taken out of it.

use std::path::Path;
use std::sync::Arc;

use millrace_log::{LogError, LogOptions, LogStore, RealDisk, SegmentLog};
use millrace_model::code::Code;
use millrace_model::id::Seq;
use millrace_model::time::Clock;

use crate::error::TwinError;
use crate::record::{Kind, Record};

/// Bytes read at a time when a folder is opened.
const READ_BYTES: usize = 8 * 1024 * 1024;

/// Where records are kept.
pub(crate) trait Journal: Send {
    /// Adds a record to the open group.
    fn append(&mut self, record: &Record) -> Result<(), TwinError>;

    /// Puts the open group on stable storage.
    fn commit(&mut self) -> Result<(), TwinError>;

    /// Takes the open group back.
    fn rollback(&mut self);
}

/// Keeps nothing.
#[derive(Debug)]
pub(crate) struct Memory;

impl Journal for Memory {
    fn append(&mut self, _record: &Record) -> Result<(), TwinError> {
        Ok(())
    }

    fn commit(&mut self) -> Result<(), TwinError> {
        Ok(())
    }

    fn rollback(&mut self) {}
}

/// The segment log in a folder.
#[derive(Debug)]
pub(crate) struct OnDisk(SegmentLog<RealDisk>);

impl OnDisk {
    /// Opens a folder and gives everything in it to `visit`, in order.
    pub(crate) fn open(
        folder: &Path,
        clock: Arc<dyn Clock>,
        mut visit: impl FnMut(Kind, &[u8]),
    ) -> Result<OnDisk, TwinError> {
        std::fs::create_dir_all(folder).map_err(|error| disk_failed(&error))?;
        let disk = RealDisk::open(folder).map_err(|error| disk_failed(&error))?;
        let (mut log, _recovery) =
            SegmentLog::open(disk, LogOptions::default(), clock).map_err(|e| log_failed(&e))?;
        let mut next = log.first();
        while next < log.next() {
            let entries = log.read(next, READ_BYTES).map_err(|error| log_failed(&error))?;
            for entry in &entries {
                let kind = kind_of(entry.kind).ok_or_else(|| newer_version(entry.seq))?;
                visit(kind, &entry.payload);
            }
            match entries.last() {
                Some(last) => next = Seq(last.seq.0.saturating_add(1)),
                None => break,
            }
        }
        Ok(OnDisk(log))
    }
}

impl Journal for OnDisk {
    fn append(&mut self, record: &Record) -> Result<(), TwinError> {
        let appended = self.0.append(number_of(record.kind), &record.bytes);
        appended.map(|_seq| ()).map_err(|error| log_failed(&error))
    }

    fn commit(&mut self) -> Result<(), TwinError> {
        self.0.commit().map_err(|error| log_failed(&error))
    }

    fn rollback(&mut self) {
        self.0.rollback();
    }
}

/// The numbers of kinds on disk; never reused.
fn number_of(kind: Kind) -> u8 {
    match kind {
        Kind::Events => 1,
        Kind::Users => 2,
        Kind::Groups => 3,
        Kind::Deletions => 4,
    }
}

fn kind_of(number: u8) -> Option<Kind> {
    let kinds = [Kind::Events, Kind::Users, Kind::Groups, Kind::Deletions];
    kinds.into_iter().find(|kind| number_of(*kind) == number)
}

fn log_failed(error: &LogError) -> TwinError {
    // The error is told to every request of a group, so it is kept as text, its cause included.
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    let text = format!("{error}{}", cause.unwrap_or_default());
    TwinError::Journal { text, code: error.code() }
}

fn disk_failed(error: &std::io::Error) -> TwinError {
    TwinError::Journal { text: error.to_string(), code: Code::DiskFailed }
}

fn newer_version(seq: Seq) -> TwinError {
    let text = format!("record {} is of a kind that this version does not know", seq.0);
    TwinError::Journal { text, code: Code::LogVersion }
}
