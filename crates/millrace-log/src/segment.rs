//! One segment file: what is known of it, and how its records are found and read.
//!
//! A sparse index in memory knows where about every 64th KiB a frame begins. For the segment that
//! is written to it is complete; for older ones it grows as they are read, by hopping from head to
//! head. Heads that are hopped over are checked by their number only; every record that is handed
//! out is checked by its checksum.

use bytes::Bytes;
use millrace_model::id::Seq;

use crate::disk::DiskFile;
use crate::error::{LogError, io_error};
use crate::frame::{FRAME_BYTES, FrameHead, HEADER_BYTES, Header, segment_name};
use crate::store::{Entry, SegmentInfo};
use crate::window::Window;

/// The distance of two entries of the index.
const INDEX_EVERY: u64 = 64 << 10;
/// The bounds of one read of a file.
const READ_BYTES: std::ops::RangeInclusive<usize> = (64 << 10)..=(4 << 20);

/// A segment file.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: Header,
    /// The committed bytes, header included.
    pub(crate) bytes: u64,
    /// Where some frames begin, ascending, from the first frame on.
    index: Vec<(Seq, u64)>,
}

impl Segment {
    /// A segment of that many bytes, nothing indexed.
    pub(crate) fn new(header: Header, bytes: u64) -> Segment {
        let index = vec![(header.base, HEADER_BYTES)];
        Segment { header, bytes, index }
    }

    /// The name of its file.
    pub(crate) fn name(&self) -> String {
        segment_name(self.header.base)
    }

    /// As it is shown.
    pub(crate) const fn info(&self) -> SegmentInfo {
        SegmentInfo {
            base: self.header.base,
            created_at: self.header.created_at,
            bytes: self.bytes,
        }
    }

    /// Damage at a place of this file.
    pub(crate) fn damaged(&self, offset: u64, from: Seq, reason: &'static str) -> LogError {
        LogError::Damaged { file: self.name(), offset, from, reason }
    }

    /// Remembers that a frame begins here, if the index needs to know.
    pub(crate) fn note(&mut self, seq: Seq, offset: u64) {
        if self.index.last().is_none_or(|(_, last)| offset >= last + INDEX_EVERY) {
            self.index.push((seq, offset));
        }
    }

    /// Where the frame of a record begins.
    pub(crate) fn locate<F: DiskFile>(&mut self, file: &F, wanted: Seq) -> Result<u64, LogError> {
        let at = self.index.partition_point(|(seq, _)| *seq <= wanted);
        let start = at.checked_sub(1).and_then(|at| self.index.get(at)).copied();
        let (mut seq, mut offset) = start.unwrap_or((self.header.base, HEADER_BYTES));
        let mut window = Window::new(file, self.bytes);
        while seq < wanted {
            let octets = window
                .view(offset, FRAME_BYTES as u64)
                .map_err(io_error("read", &segment_name(self.header.base)))?;
            let head = FrameHead::decode(octets)
                .filter(|head| head.seq == seq && offset + head.total() <= self.bytes)
                .ok_or_else(|| self.damaged(offset, seq, "no frame of this record is there"))?;
            offset += head.total();
            seq = seq.next();
            self.note(seq, offset);
        }
        Ok(offset)
    }

    /// The records from `from`, whose frame begins at `offset`, up to but not including `end`:
    /// about `max_bytes` of them, at least one.
    pub(crate) fn read<F: DiskFile>(
        &self,
        file: &F,
        offset: u64,
        from: Seq,
        end: Seq,
        max_bytes: usize,
    ) -> Result<Vec<Entry>, LogError> {
        let size = max_bytes.clamp(*READ_BYTES.start(), *READ_BYTES.end());
        let mut chunk = self.chunk(file, offset, size as u64)?;
        if let Some(head) = FrameHead::decode(&chunk)
            && head.total() > chunk.len() as u64
            && head.seq == from
        {
            chunk = self.chunk(file, offset, head.total())?;
        }
        let (mut entries, mut seq, mut at) = (Vec::new(), from, 0_usize);
        while seq < end {
            let rest = chunk.slice(at..);
            let head = FrameHead::decode(&rest);
            let whole = head.filter(|head| head.total() <= rest.len() as u64);
            let Some(head) = whole.filter(|_| entries.is_empty() || at < max_bytes) else {
                // A frame that the chunk only begins is left to the next read.
                if entries.is_empty() {
                    return Err(self.damaged(offset, seq, "the record is cut short"));
                }
                break;
            };
            if head.seq != seq || !head.is_intact(&rest, self.header.salt) {
                let place = offset + at as u64;
                return Err(self.damaged(place, seq, "the checksum is wrong"));
            }
            let total = usize::try_from(head.total()).unwrap_or(usize::MAX);
            if !entries.is_empty() && at.saturating_add(total) > max_bytes {
                break;
            }
            entries.push(Entry { seq, kind: head.kind, payload: rest.slice(FRAME_BYTES..total) });
            at += total;
            seq = seq.next();
        }
        Ok(entries)
    }

    /// Up to `size` bytes of the file, not beyond what is committed.
    fn chunk<F: DiskFile>(&self, file: &F, offset: u64, size: u64) -> Result<Bytes, LogError> {
        let size = size.min(self.bytes.saturating_sub(offset));
        let mut buffer = vec![0; usize::try_from(size).unwrap_or_default()];
        let count = file.read_at(offset, &mut buffer).map_err(io_error("read", &self.name()))?;
        buffer.truncate(count);
        Ok(Bytes::from(buffer))
    }
}
