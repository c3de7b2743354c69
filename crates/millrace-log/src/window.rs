//! Reading a file from the front in bounded pieces.

use std::io;

use crate::disk::DiskFile;

/// The bytes that are read ahead.
const AHEAD: usize = 64 << 10;

/// A piece of a file in memory, moved along as it is asked for.
#[derive(Debug)]
pub(crate) struct Window<'a, F> {
    file: &'a F,
    /// Nothing at or after this offset is looked at.
    limit: u64,
    start: u64,
    buffer: Vec<u8>,
}

impl<'a, F: DiskFile> Window<'a, F> {
    /// A window on the first `limit` bytes of a file.
    pub(crate) fn new(file: &'a F, limit: u64) -> Window<'a, F> {
        Window { file, limit, start: 0, buffer: Vec::new() }
    }

    /// The bytes at `offset`, `wanted` of them, or fewer at the end.
    pub(crate) fn view(&mut self, offset: u64, wanted: u64) -> io::Result<&[u8]> {
        let wanted = wanted.min(self.limit.saturating_sub(offset));
        let end = self.start + self.buffer.len() as u64;
        if offset < self.start || offset + wanted > end {
            let size = wanted.max(AHEAD as u64).min(self.limit.saturating_sub(offset));
            self.buffer.resize(usize::try_from(size).unwrap_or(AHEAD), 0);
            let count = self.file.read_at(offset, &mut self.buffer)?;
            self.buffer.truncate(count);
            self.start = offset;
        }
        let from = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let tail = self.buffer.get(from..).unwrap_or_default();
        Ok(tail.get(..usize::try_from(wanted).unwrap_or(usize::MAX)).unwrap_or(tail))
    }
}
