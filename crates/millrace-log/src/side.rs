//! The file beside a segment: bytes that can be made again from the segment, with a checksum.
//!
//! `side := crc:u32le bytes`, the CRC-32 of the segment's base (8 octets) and the bytes. It is
//! never synced: whoever keeps something here can do without it.

use std::io;

use bytes::Bytes;
use crc32fast::Hasher;
use millrace_model::id::Seq;

use crate::disk::{Disk, DiskFile};
use crate::error::{LogError, io_error, is_full};

fn name(base: Seq) -> String {
    format!("{:020}.idx", base.0)
}

fn checksum(base: Seq, bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&base.0.to_le_bytes());
    hasher.update(bytes);
    hasher.finalize()
}

/// Writes the file, replacing the one before.
pub(crate) fn write<D: Disk>(disk: &D, base: Seq, bytes: &[u8]) -> Result<(), LogError> {
    let name = name(base);
    let failed = |error: io::Error| match is_full(&error) {
        true => LogError::DiskFull,
        false => io_error("write", &name)(error),
    };
    let mut octets = Vec::with_capacity(bytes.len() + 4);
    octets.extend_from_slice(&checksum(base, bytes).to_le_bytes());
    octets.extend_from_slice(bytes);
    let mut file = disk.create(&name).map_err(failed)?;
    file.write_at(0, &octets).map_err(failed)
}

/// Reads the file; none when it is not there or not whole.
pub(crate) fn read<D: Disk>(disk: &D, base: Seq) -> Option<Bytes> {
    let file = disk.open(&name(base)).ok()?;
    let mut octets = vec![0; usize::try_from(file.byte_len().ok()?).ok()?];
    let count = file.read_at(0, &mut octets).ok()?;
    octets.truncate(count);
    let crc = u32::from_le_bytes(*octets.first_chunk()?);
    let bytes = Bytes::from(octets).slice(4..);
    (checksum(base, &bytes) == crc).then_some(bytes)
}

/// Removes the file, if it is there.
pub(crate) fn remove<D: Disk>(disk: &D, base: Seq) {
    // What stays is removed as an orphan when the log is opened next.
    let _ = disk.remove(&name(base));
}

/// Removes the files of segments that were dropped.
pub(crate) fn remove_orphans<D: Disk>(disk: &D, first: Seq) {
    for name in disk.list().unwrap_or_default() {
        let base = name.strip_suffix(".idx").and_then(|digits| digits.parse().ok());
        if base.is_some_and(|base: u64| base < first.0) {
            let _ = disk.remove(&name);
        }
    }
}
