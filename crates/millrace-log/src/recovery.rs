//! Opening a folder: what a crash left is put right, what a crash cannot have done is refused.
//!
//! 1. The folder is locked.
//! 2. The newest file has no valid header and is not longer than one: the crash came while the
//!    segment was begun. Nothing was ever written to it, since its header is synced first; it is
//!    removed. The segment before it had then been synced to its end, so step 5 allows no torn tail.
//! 3. Every other header must be valid, name its own file, and name the segment before with its
//!    exact length; the oldest file may name one that was dropped. Sealed segments are not read.
//! 4. The newest segment is read to its end. Every frame must have the next number, lie inside the
//!    file and have the right checksum.
//! 5. The first one that has not begins the torn tail of an unfinished commit, unless an intact
//!    frame behind it says (by `durable`) that this place had been synced before: that is damage
//!    to acknowledged records, and the log is not opened. Otherwise the tail is cut off.
//! 6. The length and what lies behind the last frame's `durable` are written once more, and the
//!    file and the folder are synced. After a failed sync the system may show bytes that never reached the disk and
//!    call them clean; only writing them again makes the next sync mean something.
//!
//! What cannot be told apart from a torn tail is damage to the very last commit: nothing was
//! written after it that could prove that it had been synced.

use millrace_model::id::Seq;

use crate::disk::{Disk, DiskFile};
use crate::error::{LogError, io_error};
use crate::frame::{FRAME_BYTES, FrameHead, HEADER_BYTES, Header, HeaderError, VERSION};
use crate::frame::{segment_base, segment_name};
use crate::segment::Segment;
use crate::window::Window;

/// What opening a log had to put right.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Recovery {
    /// The torn tail that was cut off.
    pub truncated: Option<Truncated>,
    /// A segment file that had been begun and never used, and was removed.
    pub removed: Option<String>,
    /// The records of the newest segment, all of which were read and checked.
    pub scanned_records: u64,
}

/// The torn tail of an unfinished commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncated {
    /// The file.
    pub file: String,
    /// Its length now.
    pub offset: u64,
    /// The bytes that were cut off.
    pub bytes: u64,
}

/// A recovered folder.
pub(crate) struct Recovered<F> {
    /// All but the newest segment, oldest first.
    pub(crate) sealed: Vec<Segment>,
    /// The newest one and its file; none in a folder that was never used.
    pub(crate) newest: Option<(Segment, F)>,
    /// The number after the last record.
    pub(crate) next: Seq,
    pub(crate) recovery: Recovery,
}

/// Puts a locked folder right.
pub(crate) fn recover<D: Disk>(disk: &D) -> Result<Recovered<D::File>, LogError> {
    let names = disk.list().map_err(io_error("list", "the folder"))?;
    let mut bases: Vec<Seq> = names.iter().filter_map(|name| segment_base(name)).collect();
    bases.sort_unstable();
    let mut recovery = Recovery::default();
    let unused = take_unused(disk, &mut bases)?;
    let mut segments = read_headers(disk, &bases)?;
    let mut next = Seq(1);
    let mut newest = None;
    if let Some(mut last) = segments.pop() {
        let name = last.name();
        let mut file = disk.open(&name).map_err(io_error("open", &name))?;
        let scan = scan(&mut last, &file)?;
        recovery.scanned_records = scan.next.0 - last.header.base.0;
        if scan.end < last.bytes {
            if unused.is_some() {
                return Err(last.damaged(scan.end, scan.next, "a synced record is not intact"));
            }
            recovery.truncated = Some(Truncated {
                file: name.clone(),
                offset: scan.end,
                bytes: last.bytes - scan.end,
            });
            last.bytes = scan.end;
        }
        file.set_len(scan.end).map_err(io_error("truncate", &name))?;
        rewrite_tail(&mut file, scan.durable, scan.end).map_err(io_error("write", &name))?;
        file.sync().map_err(io_error("sync", &name))?;
        next = scan.next;
        newest = Some((last, file));
    }
    if let Some(base) = unused {
        let name = segment_name(base);
        if base != next {
            let reason = "records between this file and the one before are gone";
            return Err(LogError::Damaged { file: name, offset: 0, from: next, reason });
        }
        disk.remove(&name).map_err(io_error("remove", &name))?;
        recovery.removed = Some(name);
    }
    disk.sync_dir().map_err(io_error("sync", "the folder"))?;
    Ok(Recovered { sealed: segments, newest, next, recovery })
}

/// Takes the newest file out of the list when it was begun and never used.
fn take_unused<D: Disk>(disk: &D, bases: &mut Vec<Seq>) -> Result<Option<Seq>, LogError> {
    let Some(base) = bases.last().copied() else { return Ok(None) };
    let name = segment_name(base);
    let file = disk.open(&name).map_err(io_error("open", &name))?;
    let length = file.byte_len().map_err(io_error("measure", &name))?;
    if length > HEADER_BYTES {
        return Ok(None);
    }
    match read_header(&file, &name)? {
        Err(HeaderError::Invalid) => {
            bases.pop();
            Ok(Some(base))
        }
        Ok(_) | Err(HeaderError::Version(_)) => Ok(None),
    }
}

fn read_header<F: DiskFile>(file: &F, name: &str) -> Result<Result<Header, HeaderError>, LogError> {
    let mut octets = [0; HEADER_BYTES as usize];
    let count = file.read_at(0, &mut octets).map_err(io_error("read", name))?;
    Ok(Header::decode(octets.get(..count).unwrap_or_default()))
}

/// Reads the headers of all segments and checks that each follows the one before.
fn read_headers<D: Disk>(disk: &D, bases: &[Seq]) -> Result<Vec<Segment>, LogError> {
    let mut segments: Vec<Segment> = Vec::with_capacity(bases.len());
    for base in bases {
        let name = segment_name(*base);
        let damaged = |from: Seq, reason: &'static str| LogError::Damaged {
            file: name.clone(),
            offset: 0,
            from,
            reason,
        };
        let file = disk.open(&name).map_err(io_error("open", &name))?;
        let bytes = file.byte_len().map_err(io_error("measure", &name))?;
        let header = match read_header(&file, &name)? {
            Ok(header) => header,
            Err(HeaderError::Version(version)) => {
                debug_assert!(version > VERSION);
                return Err(LogError::Version { file: name, version });
            }
            Err(HeaderError::Invalid) => return Err(damaged(*base, "the header is not intact")),
        };
        if header.base != *base {
            return Err(damaged(*base, "the header belongs to another file"));
        }
        if let Some(before) = segments.last() {
            if header.previous_base != before.header.base {
                let from = before.header.base.next();
                return Err(damaged(from, "the segment before this one is missing"));
            }
            if header.previous_bytes != before.bytes {
                let offset = before.bytes.min(header.previous_bytes);
                let from = before.header.base;
                return Err(before.damaged(offset, from, "the file has not the length it had"));
            }
        }
        segments.push(Segment::new(header, bytes));
    }
    Ok(segments)
}

/// What reading the newest segment found.
struct Scan {
    /// Where the last intact frame ends.
    end: u64,
    /// The number after it.
    next: Seq,
    /// What is known to have been synced.
    durable: u64,
}

/// Reads all frames of the newest segment.
fn scan<F: DiskFile>(segment: &mut Segment, file: &F) -> Result<Scan, LogError> {
    let name = segment.name();
    let (length, salt) = (segment.bytes, segment.header.salt);
    let mut window = Window::new(file, length);
    let mut found = Scan { end: HEADER_BYTES, next: segment.header.base, durable: 0 };
    loop {
        let octets = window.view(found.end, FRAME_BYTES as u64).map_err(io_error("read", &name))?;
        let Some(head) = FrameHead::decode(octets) else { break };
        if head.seq != found.next || found.end + head.total() > length {
            break;
        }
        let frame = window.view(found.end, head.total()).map_err(io_error("read", &name))?;
        if !head.is_intact(frame, salt) {
            break;
        }
        segment.note(found.next, found.end);
        found.durable = u64::from(head.durable);
        found.end += head.total();
        found.next = found.next.next();
    }
    if let Some(proof) =
        find_proof(&mut window, &found, length, salt).map_err(io_error("read", &name))?
    {
        debug_assert!(proof > found.next);
        return Err(segment.damaged(found.end, found.next, "a synced record is not intact"));
    }
    Ok(found)
}

/// The number of an intact frame behind the end of a scan which says that this end had been synced.
fn find_proof<F: DiskFile>(
    window: &mut Window<'_, F>,
    scan: &Scan,
    length: u64,
    salt: u32,
) -> std::io::Result<Option<Seq>> {
    let mut offset = scan.end.saturating_add(1);
    while offset + FRAME_BYTES as u64 <= length {
        let head = FrameHead::decode(window.view(offset, FRAME_BYTES as u64)?);
        let plausible = head.filter(|head| {
            let later = head.seq.0.saturating_sub(scan.next.0);
            (1..length).contains(&later)
                && (scan.end + 1..=offset).contains(&u64::from(head.durable))
                && offset + head.total() <= length
        });
        if let Some(head) = plausible
            && head.is_intact(window.view(offset, head.total())?, salt)
        {
            return Ok(Some(head.seq));
        }
        offset += 1;
    }
    Ok(None)
}

/// Writes once more what is not known to have been synced.
fn rewrite_tail<F: DiskFile>(file: &mut F, durable: u64, end: u64) -> std::io::Result<()> {
    const PIECE: u64 = 1 << 20;
    let mut offset = durable;
    while offset < end {
        let size = usize::try_from(PIECE.min(end - offset)).unwrap_or_default();
        let mut piece = vec![0; size];
        let count = file.read_at(offset, &mut piece)?;
        if count < size {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        file.write_at(offset, &piece)?;
        offset += size as u64;
    }
    Ok(())
}
