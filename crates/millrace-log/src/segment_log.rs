//! The log itself: groups, commits, the roll to a new segment, reading, dropping.
//!
//! Invariants:
//! - `active.bytes` is what has been synced of the newest file; the open group is only in memory.
//! - A segment is used only after its header and its name have been synced; until then the former
//!   one stays the active one, and nothing more is written to it once a roll was tried.
//! - A group never spans two files.
//! - After a failed write (other than for lack of space) or a failed sync nothing is done any more:
//!   a second sync could say `Ok` for bytes that the system has dropped. A full disk is noticed by
//!   the write, before any sync; the file is then cut to its committed length and synced.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use millrace_model::entropy::{Entropy, SystemEntropy};
use millrace_model::id::Seq;
use millrace_model::time::Clock;

use crate::disk::{Disk, DiskFile};
use crate::error::{LogError, io_error, is_full};
use crate::frame::{HEADER_BYTES, Header, put_frame, seal, segment_name};
use crate::recovery::{Recovery, recover};
use crate::segment::Segment;
use crate::side;
use crate::store::{Entry, LogStats, LogStore};
use crate::tail_cache::TailCache;

/// The largest group: far above what anybody commits at once, far below what offsets can say.
const MAX_GROUP: usize = 256 << 20;
/// The largest size of a segment that may be asked for.
const MAX_SEGMENT: u64 = 1 << 30;
/// The files of older segments that are kept open for reading.
const OPEN_FILES: usize = 8;

/// The settings of a log. `Default` gives those of production.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// A new segment begins rather than that one grows above this size (at most 1 GiB). A single
    /// group that is larger gets a segment of its own.
    pub segment_bytes: u64,
    /// A new segment begins when the newest is this old, so that retention can drop it.
    pub segment_age: Duration,
    /// The bytes of the newest records that are kept in memory.
    pub cache_bytes: usize,
    /// Where the salts of segments come from.
    pub entropy: Arc<dyn Entropy>,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions {
            segment_bytes: 64 << 20,
            segment_age: Duration::from_secs(24 * 3600),
            cache_bytes: 16 << 20,
            entropy: Arc::new(SystemEntropy),
        }
    }
}

/// A log in the segment files of one folder.
#[derive(Debug)]
pub struct SegmentLog<D: Disk> {
    disk: D,
    options: LogOptions,
    clock: Arc<dyn Clock>,
    /// Older segments, oldest first.
    sealed: Vec<Segment>,
    active: Segment,
    active_file: D::File,
    /// The number after the last committed record.
    next: Seq,
    /// The frames of the open group, not sealed yet.
    group: Vec<u8>,
    /// Where each of them begins.
    group_offsets: Vec<u32>,
    cache: TailCache,
    /// Files of older segments, the one read last at the end.
    open_files: Vec<(Seq, D::File)>,
    /// A roll was tried and has not succeeded yet.
    rolling: bool,
    poisoned: bool,
}

impl<D: Disk> SegmentLog<D> {
    /// Locks the folder, puts right what a crash left, and opens the log.
    ///
    /// # Errors
    /// `Locked`, `Version`, `Damaged`, `DiskFull` (only for a new folder) or `Io`.
    pub fn open(
        mut disk: D,
        options: LogOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<(SegmentLog<D>, Recovery), LogError> {
        disk.lock().map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => LogError::Locked,
            _ => io_error("lock", "the folder")(error),
        })?;
        let recovered = recover(&disk)?;
        let (active, active_file) = match recovered.newest {
            Some(newest) => newest,
            None => {
                let header = Header {
                    salt: salt(&options),
                    base: recovered.next,
                    created_at: clock.now(),
                    previous_base: Seq(0),
                    previous_bytes: 0,
                };
                begin_segment(&disk, header).map_err(|error| match error {
                    Begin::Full => LogError::DiskFull,
                    Begin::Failed(error) => error,
                })?
            }
        };
        let log = SegmentLog {
            cache: TailCache::new(options.cache_bytes),
            disk,
            options,
            clock,
            sealed: recovered.sealed,
            active,
            active_file,
            next: recovered.next,
            group: Vec::new(),
            group_offsets: Vec::new(),
            open_files: Vec::new(),
            rolling: false,
            poisoned: false,
        };
        side::remove_orphans(&log.disk, log.first());
        Ok((log, recovered.recovery))
    }

    fn check(&self) -> Result<(), LogError> {
        if self.poisoned { Err(LogError::Poisoned) } else { Ok(()) }
    }

    fn must_roll(&self) -> bool {
        let used = self.active.bytes > HEADER_BYTES;
        let limit = self.options.segment_bytes.min(MAX_SEGMENT);
        let full = self.active.bytes + self.group.len() as u64 > limit;
        let age = self.clock.now().since(self.active.header.created_at);
        used && (full || self.rolling || age >= self.options.segment_age)
    }

    /// Begins a new segment and makes it the active one.
    fn roll(&mut self) -> Result<(), LogError> {
        self.rolling = true;
        let header = Header {
            salt: salt(&self.options),
            base: self.next,
            created_at: self.clock.now(),
            previous_base: self.active.header.base,
            previous_bytes: self.active.bytes,
        };
        match begin_segment(&self.disk, header) {
            Ok((segment, file)) => {
                self.sealed.push(std::mem::replace(&mut self.active, segment));
                self.active_file = file;
                self.rolling = false;
                Ok(())
            }
            Err(Begin::Full) => {
                // An unused file is harmless: the next try empties it, recovery removes it.
                let _ = self.disk.remove(&segment_name(self.next));
                Err(LogError::DiskFull)
            }
            Err(Begin::Failed(error)) => {
                self.poisoned = true;
                Err(error)
            }
        }
    }

    /// Writes and syncs the open group behind what is committed.
    fn write_group(&mut self) -> Result<(), LogError> {
        let durable = u32::try_from(self.active.bytes).map_err(|_| LogError::TooLarge {
            bytes: self.active.bytes,
            limit: u64::from(u32::MAX),
        })?;
        seal(&mut self.group, durable, self.active.header.salt);
        let name = self.active.name();
        match self.active_file.write_at(self.active.bytes, &self.group) {
            Ok(()) => {}
            Err(error) if is_full(&error) => {
                let cut = self.active_file.set_len(self.active.bytes);
                if let Err(error) = cut.and_then(|()| self.active_file.sync()) {
                    self.poisoned = true;
                    return Err(io_error("truncate", &name)(error));
                }
                return Err(LogError::DiskFull);
            }
            Err(error) => {
                self.poisoned = true;
                return Err(io_error("write", &name)(error));
            }
        }
        self.active_file.sync().map_err(|error| {
            self.poisoned = true;
            io_error("sync", &name)(error)
        })
    }

    /// Takes note of a group that is durable now.
    fn accept_group(&mut self) {
        let first = self.next;
        for offset in &self.group_offsets {
            self.active.note(self.next, self.active.bytes + u64::from(*offset));
            self.next = self.next.next();
        }
        self.active.bytes += self.group.len() as u64;
        let offsets = std::mem::take(&mut self.group_offsets);
        self.cache.push(first, offsets, Bytes::copy_from_slice(&self.group));
        self.group.clear();
        // One giant group must not hold its memory for ever.
        self.group.shrink_to(self.options.cache_bytes);
    }

    /// Reads from the file of the segment that holds `from`.
    fn read_file(&mut self, from: Seq, max_bytes: usize) -> Result<Vec<Entry>, LogError> {
        if from >= self.active.header.base {
            let offset = self.active.locate(&self.active_file, from)?;
            return self.active.read(&self.active_file, offset, from, self.next, max_bytes);
        }
        let after = self.sealed.partition_point(|segment| segment.header.base <= from);
        let end = self.sealed.get(after).map_or(self.active.header.base, |next| next.header.base);
        let first = self.first();
        let dropped = || LogError::Dropped { wanted: from, first };
        let segment =
            after.checked_sub(1).and_then(|at| self.sealed.get_mut(at)).ok_or_else(dropped)?;
        let base = segment.header.base;
        let file = match self.open_files.iter().position(|(open, _)| *open == base) {
            Some(at) => self.open_files.remove(at).1,
            None => {
                let name = segment.name();
                self.disk.open(&name).map_err(io_error("open", &name))?
            }
        };
        let offset = segment.locate(&file, from)?;
        let entries = segment.read(&file, offset, from, end, max_bytes)?;
        if self.open_files.len() >= OPEN_FILES {
            self.open_files.remove(0);
        }
        self.open_files.push((base, file));
        Ok(entries)
    }
}

impl<D: Disk> LogStore for SegmentLog<D> {
    fn append_with(
        &mut self,
        kind: u8,
        write: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Result<Seq, LogError> {
        self.check()?;
        let start = self.group.len();
        let seq = Seq(self.next.0 + self.group_offsets.len() as u64);
        put_frame(&mut self.group, seq, kind, write).map_err(|bytes| LogError::TooLarge {
            bytes,
            limit: crate::frame::MAX_PAYLOAD as u64,
        })?;
        if self.group.len() > MAX_GROUP {
            let bytes = self.group.len() as u64;
            self.group.truncate(start);
            return Err(LogError::TooLarge { bytes, limit: MAX_GROUP as u64 });
        }
        self.group_offsets.push(u32::try_from(start).unwrap_or(u32::MAX));
        Ok(seq)
    }

    fn rollback(&mut self) {
        self.group.clear();
        self.group_offsets.clear();
    }

    fn open_bytes(&self) -> usize {
        self.group.len()
    }

    fn commit(&mut self) -> Result<(), LogError> {
        self.check()?;
        if self.group_offsets.is_empty() {
            return Ok(());
        }
        let rolled = if self.must_roll() { self.roll() } else { Ok(()) };
        match rolled.and_then(|()| self.write_group()) {
            Ok(()) => {
                self.accept_group();
                Ok(())
            }
            Err(error) => {
                self.rollback();
                Err(error)
            }
        }
    }

    fn read(&mut self, from: Seq, max_bytes: usize) -> Result<Vec<Entry>, LogError> {
        self.check()?;
        if from >= self.next {
            return Ok(Vec::new());
        }
        match self.cache.read(from, max_bytes) {
            Some(entries) => Ok(entries),
            None => self.read_file(from, max_bytes),
        }
    }

    fn first(&self) -> Seq {
        self.sealed.first().unwrap_or(&self.active).header.base
    }

    fn next(&self) -> Seq {
        self.next
    }

    fn newest_base(&self) -> Seq {
        self.active.header.base
    }

    fn stats(&self) -> LogStats {
        let all = self.sealed.iter().chain(std::iter::once(&self.active));
        let segments: Vec<_> = all.map(Segment::info).collect();
        LogStats {
            bytes: segments.iter().map(|segment| segment.bytes).sum(),
            segments,
            cached_bytes: self.cache.bytes() as u64,
        }
    }

    fn drop_before(&mut self, seq: Seq) -> Result<usize, LogError> {
        self.check()?;
        let mut dropped = 0;
        while let Some(oldest) = self.sealed.first() {
            let end = self.sealed.get(1).unwrap_or(&self.active).header.base;
            if end > seq {
                break;
            }
            let (base, name) = (oldest.header.base, oldest.name());
            side::remove(&self.disk, base);
            self.disk.remove(&name).map_err(io_error("remove", &name))?;
            // One at a time: a crash must never leave a hole between two segments.
            self.disk.sync_dir().map_err(io_error("sync", "the folder"))?;
            self.open_files.retain(|(open, _)| *open != base);
            self.sealed.remove(0);
            dropped += 1;
        }
        Ok(dropped)
    }

    fn free_bytes(&self) -> Result<u64, LogError> {
        self.disk.free_bytes().map_err(io_error("measure", "the folder"))
    }

    fn write_side(&mut self, base: Seq, bytes: &[u8]) -> Result<(), LogError> {
        self.check()?;
        side::write(&self.disk, base, bytes)
    }

    fn read_side(&self, base: Seq) -> Option<Bytes> {
        side::read(&self.disk, base)
    }
}

/// Why a segment could not be begun.
enum Begin {
    Full,
    Failed(LogError),
}

/// Creates the file of a segment and makes its header and its name durable.
fn begin_segment<D: Disk>(disk: &D, header: Header) -> Result<(Segment, D::File), Begin> {
    let name = segment_name(header.base);
    let write = |error: io::Error| match is_full(&error) {
        true => Begin::Full,
        false => Begin::Failed(io_error("begin", &name)(error)),
    };
    let sync = |error: io::Error| Begin::Failed(io_error("sync", &name)(error));
    let mut file = disk.create(&name).map_err(write)?;
    file.write_at(0, &header.encode()).map_err(write)?;
    file.sync().map_err(sync)?;
    disk.sync_dir().map_err(sync)?;
    Ok((Segment::new(header, HEADER_BYTES), file))
}

fn salt(options: &LogOptions) -> u32 {
    u32::try_from(options.entropy.next_u64() >> 32).unwrap_or_default()
}
