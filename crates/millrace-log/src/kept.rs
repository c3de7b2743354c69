//! Looking at the records of a folder without owning it.
//!
//! Nothing is locked, written or put right, so a folder can be read while its owner runs. What is
//! read may be a moment old: records that come later are not seen, a segment that is dropped
//! meanwhile is passed over, and the newest records may not have been synced yet. Whoever decides
//! about events opens a [`SegmentLog`](crate::SegmentLog) instead.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use bytes::Bytes;
use millrace_model::id::Seq;

use crate::disk::DiskFile as _;
use crate::error::{LogError, io_error};
use crate::frame::{FRAME_BYTES, FrameHead, HEADER_BYTES, Header, HeaderError};
use crate::frame::{segment_base, segment_name};
use crate::real_disk::RealFile;
use crate::segment::Segment;
use crate::store::Entry;
use crate::window::Window;

/// Gives every record of a folder to `take`, oldest first, until it breaks off.
///
/// # Errors
/// `Io` when the folder or a file cannot be read, `Version` when a newer program wrote it, and
/// `Damaged` when a record of a segment that is no longer written to is not intact. Where the
/// newest segment ends in an unfinished commit, reading ends there without an error.
pub fn read_folder(
    folder: &Path,
    mut take: impl FnMut(Entry) -> ControlFlow<()>,
) -> Result<(), LogError> {
    let bases = bases(folder).map_err(io_error("list", &folder.display().to_string()))?;
    let newest = bases.last().copied();
    for base in bases {
        let name = segment_name(base);
        let file = match File::open(folder.join(&name)) {
            Ok(file) => RealFile::reading(file),
            // Dropped since the folder was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(io_error("open", &name)(error)),
        };
        if segment(&file, base, newest == Some(base), &mut take)?.is_break() {
            break;
        }
    }
    Ok(())
}

fn bases(folder: &Path) -> io::Result<Vec<Seq>> {
    let mut bases = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        bases.extend(name.to_str().and_then(segment_base));
    }
    bases.sort_unstable();
    Ok(bases)
}

/// The records of one segment.
fn segment(
    file: &RealFile,
    base: Seq,
    newest: bool,
    take: &mut impl FnMut(Entry) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, LogError> {
    let name = segment_name(base);
    let length = file.byte_len().map_err(io_error("measure", &name))?;
    let mut octets = [0; HEADER_BYTES as usize];
    let count = file.read_at(0, &mut octets).map_err(io_error("read", &name))?;
    let header = match Header::decode(octets.get(..count).unwrap_or_default()) {
        Ok(header) => header,
        Err(HeaderError::Version(version)) => {
            return Err(LogError::Version { file: name, version });
        }
        // It has just been begun.
        Err(HeaderError::Invalid) if newest && length <= HEADER_BYTES => {
            return Ok(ControlFlow::Continue(()));
        }
        Err(HeaderError::Invalid) => {
            let reason = "the header is not intact";
            return Err(LogError::Damaged { file: name, offset: 0, from: base, reason });
        }
    };
    let salt = header.salt;
    let segment = Segment::new(header, length);
    let mut window = Window::new(file, length);
    let (mut offset, mut next) = (HEADER_BYTES, base);
    while offset < length {
        let octets = window.view(offset, FRAME_BYTES as u64).map_err(io_error("read", &name))?;
        let head = FrameHead::decode(octets)
            .filter(|head| head.seq == next && offset + head.total() <= length);
        let entry = match head {
            None => None,
            Some(head) => {
                let frame = window.view(offset, head.total()).map_err(io_error("read", &name))?;
                head.is_intact(frame, salt).then(|| {
                    offset += head.total();
                    let payload = frame.get(FRAME_BYTES..).unwrap_or_default();
                    let payload = Bytes::copy_from_slice(payload);
                    Entry { seq: next, kind: head.kind, payload }
                })
            }
        };
        let Some(entry) = entry else {
            if newest {
                break;
            }
            return Err(segment.damaged(offset, next, "the record is not intact"));
        };
        next = next.next();
        if take(entry).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}
