//! The byte forms of a segment file: its header and its frames.
//!
//! ```text
//! segment  := header frame*
//! header   := magic:8 version:u32 salt:u32 base:u64 created_at:i64
//!             previous_base:u64 previous_bytes:u64 crc:u32             52 octets
//! frame    := length:u32 crc:u32 seq:u64 durable:u32 kind:u8 payload   21 octets and the payload
//! ```
//!
//! All numbers are little-endian. `crc` of the header is the CRC-32 of the octets before it; `crc`
//! of a frame is the CRC-32 of `length` and of everything after `crc`, started from the segment's
//! random `salt`, so that neither a left-over of another file nor bytes that somebody sent to us
//! pass for a frame. `length` counts the octets of the payload. `durable` is the offset in this
//! file up to which everything had been synced when the frame was written.
//! `previous_base` and `previous_bytes` name the segment before and its final length (both 0 in
//! the first segment of a log), so that a missing or shortened file shows without reading it.
//!
//! The file's name is its `base`, the number of its first record, in 20 digits, and `.seg`.

use crc32fast::Hasher;
use millrace_model::id::Seq;
use millrace_model::time::UnixMillis;

/// The first octets of a segment file.
const MAGIC: [u8; 8] = *b"MILLRLOG";
/// The version that this program writes.
pub(crate) const VERSION: u32 = 1;
/// The octets of a header.
pub(crate) const HEADER_BYTES: u64 = 52;
/// The octets of a frame before its payload.
pub(crate) const FRAME_BYTES: usize = 21;
/// The longest payload.
pub(crate) const MAX_PAYLOAD: usize = 64 << 20;

/// The header of a segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) salt: u32,
    pub(crate) base: Seq,
    pub(crate) created_at: UnixMillis,
    pub(crate) previous_base: Seq,
    pub(crate) previous_bytes: u64,
}

/// Why octets are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderError {
    /// A whole header of another version.
    Version(u32),
    /// Anything else: cut short, overwritten, never written.
    Invalid,
}

impl Header {
    /// The octets of the header.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES as usize);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        out.extend_from_slice(&self.base.0.to_le_bytes());
        out.extend_from_slice(&self.created_at.0.to_le_bytes());
        out.extend_from_slice(&self.previous_base.0.to_le_bytes());
        out.extend_from_slice(&self.previous_bytes.to_le_bytes());
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads the octets of a header.
    pub(crate) fn decode(octets: &[u8]) -> Result<Header, HeaderError> {
        let mut fields = Fields(octets);
        let mut read = || {
            let magic = fields.take::<8>()?;
            let version = u32::from_le_bytes(fields.take()?);
            let salt = u32::from_le_bytes(fields.take()?);
            let base = Seq(u64::from_le_bytes(fields.take()?));
            let created_at = UnixMillis(i64::from_le_bytes(fields.take()?));
            let previous_base = Seq(u64::from_le_bytes(fields.take()?));
            let previous_bytes = u64::from_le_bytes(fields.take()?);
            let crc = u32::from_le_bytes(fields.take()?);
            let covered = octets.get(..HEADER_BYTES as usize - 4)?;
            let header = Header { salt, base, created_at, previous_base, previous_bytes };
            Some((magic, version, header, crc == crc32fast::hash(covered)))
        };
        match read() {
            // A newer version may have another layout, so its checksum is not looked at.
            Some((MAGIC, version, _, _)) if version > VERSION => Err(HeaderError::Version(version)),
            Some((MAGIC, VERSION, header, true)) => Ok(header),
            _ => Err(HeaderError::Invalid),
        }
    }
}

/// What is left of some octets to read.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }
}

/// The octets of a frame before its payload, as they stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) length: u32,
    pub(crate) crc: u32,
    pub(crate) seq: Seq,
    pub(crate) durable: u32,
    pub(crate) kind: u8,
}

impl FrameHead {
    /// Reads the head at the front of some octets; none when they are too few.
    pub(crate) fn decode(octets: &[u8]) -> Option<FrameHead> {
        let mut fields = Fields(octets);
        Some(FrameHead {
            length: u32::from_le_bytes(fields.take()?),
            crc: u32::from_le_bytes(fields.take()?),
            seq: Seq(u64::from_le_bytes(fields.take()?)),
            durable: u32::from_le_bytes(fields.take()?),
            kind: u8::from_le_bytes(fields.take()?),
        })
    }

    /// The octets of the whole frame.
    pub(crate) const fn total(&self) -> u64 {
        FRAME_BYTES as u64 + self.length as u64
    }

    /// True when `frame`, which begins with this head, is whole and its checksum is right.
    pub(crate) fn is_intact(&self, frame: &[u8], salt: u32) -> bool {
        let whole = usize::try_from(self.total()).ok().and_then(|total| frame.get(..total));
        whole.is_some_and(|frame| checksum(frame, salt) == Some(self.crc))
    }
}

/// The checksum of a whole frame, its `crc` field left out.
fn checksum(frame: &[u8], salt: u32) -> Option<u32> {
    let mut hasher = Hasher::new_with_initial(salt);
    hasher.update(frame.get(..4)?);
    hasher.update(frame.get(8..)?);
    Some(hasher.finalize())
}

/// Appends a frame whose payload `write` appends; false, with `out` as it was, when the payload
/// is too long. The checksum is set by [`seal`], when `durable` is known to be right.
pub(crate) fn put_frame(
    out: &mut Vec<u8>,
    seq: Seq,
    kind: u8,
    write: &mut dyn FnMut(&mut Vec<u8>),
) -> Result<(), u64> {
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&seq.0.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.push(kind);
    write(out);
    let length = out.len().saturating_sub(start + FRAME_BYTES);
    match u32::try_from(length) {
        Ok(field) if length <= MAX_PAYLOAD => {
            if let Some(place) = out.get_mut(start..start + 4) {
                place.copy_from_slice(&field.to_le_bytes());
            }
            Ok(())
        }
        _ => {
            out.truncate(start);
            Err(length as u64)
        }
    }
}

/// Writes `durable` and the checksum into every frame of a group.
pub(crate) fn seal(group: &mut [u8], durable: u32, salt: u32) {
    let mut rest = group;
    while let Some(head) = FrameHead::decode(rest) {
        let total = usize::try_from(head.total()).unwrap_or(usize::MAX);
        let Some((frame, after)) = rest.split_at_mut_checked(total) else { return };
        if let Some(place) = frame.get_mut(16..20) {
            place.copy_from_slice(&durable.to_le_bytes());
        }
        let crc = checksum(frame, salt).unwrap_or_default();
        if let Some(place) = frame.get_mut(4..8) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        rest = after;
    }
}

/// The name of the segment file with this first record.
pub(crate) fn segment_name(base: Seq) -> String {
    format!("{:020}.seg", base.0)
}

/// The first record of the segment file of that name; none for any other file.
pub(crate) fn segment_base(name: &str) -> Option<Seq> {
    let digits = name.strip_suffix(".seg")?;
    let plain = digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok().map(Seq)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            salt: 7,
            base: Seq(42),
            created_at: UnixMillis(1_700_000_000_000),
            previous_base: Seq(1),
            previous_bytes: 4096,
        }
    }

    #[test]
    fn a_header_reads_back_and_any_flipped_octet_shows() {
        let octets = header().encode();
        assert_eq!(octets.len() as u64, HEADER_BYTES);
        assert_eq!(Header::decode(&octets), Ok(header()));
        for at in 0..octets.len() {
            let mut broken = octets.clone();
            broken[at] ^= 0x40;
            assert!(Header::decode(&broken).is_err(), "octet {at}");
            assert_eq!(Header::decode(&octets[..at]), Err(HeaderError::Invalid));
        }
    }

    #[test]
    fn a_newer_version_is_told_apart_from_damage() {
        let mut octets = header().encode();
        octets[8] = 2;
        assert_eq!(Header::decode(&octets), Err(HeaderError::Version(2)));
    }

    #[test]
    fn a_sealed_frame_is_intact_until_any_octet_changes() {
        let mut group = Vec::new();
        put_frame(&mut group, Seq(9), 3, &mut |out| out.extend_from_slice(b"payload")).unwrap();
        put_frame(&mut group, Seq(10), 3, &mut |_| {}).unwrap();
        seal(&mut group, 52, 99);
        let head = FrameHead::decode(&group).unwrap();
        assert_eq!((head.seq, head.durable, head.kind, head.length), (Seq(9), 52, 3, 7));
        assert!(head.is_intact(&group, 99));
        assert!(!head.is_intact(&group, 98), "another file's salt");
        for at in 0..usize::try_from(head.total()).unwrap() {
            let mut broken = group.clone();
            broken[at] ^= 1;
            let head = FrameHead::decode(&broken).unwrap();
            assert!(!head.is_intact(&broken, 99), "octet {at}");
        }
        let second = &group[usize::try_from(head.total()).unwrap()..];
        assert!(FrameHead::decode(second).unwrap().is_intact(second, 99));
    }

    #[test]
    fn zeros_are_no_frame() {
        let zeros = [0_u8; 64];
        // Sequence numbers start at 1, so recovery refuses this whatever the checksum says.
        assert_eq!(FrameHead::decode(&zeros).unwrap().seq, Seq(0));
        assert_eq!(Header::decode(&zeros), Err(HeaderError::Invalid));
    }

    #[test]
    fn only_our_own_names_are_segments() {
        assert_eq!(segment_base(&segment_name(Seq(7))), Some(Seq(7)));
        for name in ["7.seg", "00000000000000000007.idx", "lock", "0000000000000000000a.seg"] {
            assert_eq!(segment_base(name), None, "{name}");
        }
    }
}
