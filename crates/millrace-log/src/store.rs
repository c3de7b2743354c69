//! What the journal and the twin use of a log.

use bytes::Bytes;
use millrace_model::id::Seq;
use millrace_model::time::UnixMillis;

use crate::error::LogError;

/// A committed record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub seq: Seq,
    /// What it is; the log gives no meaning to it.
    pub kind: u8,
    /// Its octets.
    pub payload: Bytes,
}

/// One segment of a log, as it is shown and as retention decides on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// The number of its first record.
    pub base: Seq,
    /// When it was begun: everything in the segments before is older.
    pub created_at: UnixMillis,
    /// Its bytes on disk.
    pub bytes: u64,
}

/// The figures of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStats {
    /// All segments, oldest first; the last is the one that is written to.
    pub segments: Vec<SegmentInfo>,
    /// The bytes of all segments on disk.
    pub bytes: u64,
    /// The bytes of the tail that is kept in memory.
    pub cached_bytes: u64,
}

/// A log of numbered records, written in groups.
///
/// Records are numbered from 1 without gaps. A record that was appended belongs to the open group
/// and can neither be read nor survive; once [`LogStore::commit`] has returned `Ok` it can be read
/// and survives every crash. After an error other than `DiskFull`, `TooLarge` and `Dropped` of a
/// call that writes, every call returns `Poisoned`.
pub trait LogStore: Send + 'static {
    /// Appends a record whose payload `write` appends to the buffer it is given, to the open group.
    /// `write` must only append.
    ///
    /// # Errors
    /// `TooLarge`, with nothing appended, or `Poisoned`.
    fn append_with(
        &mut self,
        kind: u8,
        write: &mut dyn FnMut(&mut Vec<u8>),
    ) -> Result<Seq, LogError>;

    /// Appends a record to the open group.
    ///
    /// # Errors
    /// `TooLarge`, with nothing appended, or `Poisoned`.
    fn append(&mut self, kind: u8, payload: &[u8]) -> Result<Seq, LogError> {
        self.append_with(kind, &mut |out| out.extend_from_slice(payload))
    }

    /// Takes the open group back: its numbers are given out again.
    fn rollback(&mut self);

    /// The bytes of the open group.
    fn open_bytes(&self) -> usize;

    /// Makes the open group durable with one write and one sync. An empty group costs nothing.
    ///
    /// # Errors
    /// `DiskFull`: the group was taken back, as by [`LogStore::rollback`]; the log goes on when
    /// there is space. Anything else: the log is poisoned, and whether the group survives shows
    /// only when it is opened again.
    fn commit(&mut self) -> Result<(), LogError>;

    /// Committed records from `from` on: about `max_bytes` of them, but at least one when there is
    /// any. Never more than fits one read of a file, so less than asked for is not the end.
    ///
    /// # Errors
    /// `Dropped`, `Damaged` when the disk gives back something else than was written, or `Io`.
    fn read(&mut self, from: Seq, max_bytes: usize) -> Result<Vec<Entry>, LogError>;

    /// The number of the oldest record there is; equal to [`LogStore::next`] when there is none.
    fn first(&self) -> Seq;

    /// The number after the last committed record.
    fn next(&self) -> Seq;

    /// The number of the first record of the segment that is written to.
    fn newest_base(&self) -> Seq;

    /// The figures of the log.
    fn stats(&self) -> LogStats;

    /// Drops the segments that hold only records before `seq`; never the one that is written to.
    /// Returns how many went.
    ///
    /// # Errors
    /// `Io`; the log is not poisoned, and what is left is whole.
    fn drop_before(&mut self, seq: Seq) -> Result<usize, LogError>;

    /// The bytes that may still be written to the disk.
    ///
    /// # Errors
    /// `Io`.
    fn free_bytes(&self) -> Result<u64, LogError>;

    /// Keeps some bytes beside the segment that begins with `base`, replacing what was there. They
    /// are dropped with it. They are not synced: they may be gone after a crash, but what
    /// [`LogStore::read_side`] gives back is what was written.
    ///
    /// # Errors
    /// `DiskFull` or `Io`; the log itself is not touched.
    fn write_side(&mut self, base: Seq, bytes: &[u8]) -> Result<(), LogError>;

    /// The bytes beside a segment; none when there are none or they are damaged.
    fn read_side(&self, base: Seq) -> Option<Bytes>;
}
