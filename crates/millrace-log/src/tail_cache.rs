//! The newest committed records in memory, so that whoever reads right behind the writer does not
//! touch the disk.
//!
//! It keeps whole groups as they were written and hands out slices of them. Its bytes are bounded;
//! the oldest group goes first, and a group that is larger than the bound is not kept at all.
//! A slice that was handed out keeps its group alive after that: this is the reader's memory then.

use std::collections::VecDeque;

use bytes::Bytes;
use millrace_model::id::Seq;

use crate::frame::{FRAME_BYTES, FrameHead};
use crate::store::Entry;

/// One committed group.
#[derive(Debug)]
struct Group {
    first: Seq,
    /// Where each frame begins.
    offsets: Vec<u32>,
    frames: Bytes,
}

impl Group {
    fn weight(&self) -> usize {
        self.frames.len() + self.offsets.len() * 4 + size_of::<Group>()
    }
}

/// The newest groups, without gaps.
#[derive(Debug)]
pub(crate) struct TailCache {
    groups: VecDeque<Group>,
    weight: usize,
    limit: usize,
}

impl TailCache {
    /// An empty cache of at most this many bytes.
    pub(crate) fn new(limit: usize) -> TailCache {
        TailCache { groups: VecDeque::new(), weight: 0, limit }
    }

    /// The bytes in use.
    pub(crate) fn bytes(&self) -> usize {
        self.weight
    }

    /// Takes over a committed group that follows the last one.
    pub(crate) fn push(&mut self, first: Seq, offsets: Vec<u32>, frames: Bytes) {
        let group = Group { first, offsets, frames };
        self.weight += group.weight();
        self.groups.push_back(group);
        while self.weight > self.limit {
            let Some(oldest) = self.groups.pop_front() else { return };
            self.weight -= oldest.weight();
        }
    }

    /// The records from `from` on, about `max_bytes` of them and at least one; none when `from`
    /// is older than what is kept.
    pub(crate) fn read(&self, from: Seq, max_bytes: usize) -> Option<Vec<Entry>> {
        if self.groups.front()?.first > from {
            return None;
        }
        let at = self.groups.partition_point(|group| group.first <= from).checked_sub(1)?;
        let mut entries = Vec::new();
        let mut bytes = 0;
        for group in self.groups.iter().skip(at) {
            let skip = usize::try_from(from.0.saturating_sub(group.first.0)).ok()?;
            for offset in group.offsets.iter().skip(skip) {
                let start = usize::try_from(*offset).ok()?;
                let head = FrameHead::decode(group.frames.get(start..)?)?;
                let total = usize::try_from(head.total()).ok()?;
                if !entries.is_empty() && bytes + total > max_bytes {
                    return Some(entries);
                }
                bytes += total;
                let payload = group.frames.slice(start + FRAME_BYTES..start + total);
                entries.push(Entry { seq: head.seq, kind: head.kind, payload });
            }
        }
        Some(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{put_frame, seal};

    fn push(cache: &mut TailCache, first: u64, count: u64) {
        let (mut group, mut offsets) = (Vec::new(), Vec::new());
        for seq in first..first + count {
            offsets.push(u32::try_from(group.len()).unwrap());
            put_frame(&mut group, Seq(seq), 1, &mut |out| out.extend_from_slice(&[7; 100]))
                .unwrap();
        }
        seal(&mut group, 52, 1);
        cache.push(Seq(first), offsets, Bytes::from(group));
    }

    #[test]
    fn the_newest_are_kept_and_read_in_order_across_groups() {
        let mut cache = TailCache::new(4000);
        for group in 0..20 {
            push(&mut cache, 1 + group * 3, 3);
        }
        assert!(cache.bytes() <= 4000);
        assert_eq!(cache.read(Seq(1), 1000), None, "long gone");
        let entries = cache.read(Seq(56), usize::MAX).unwrap();
        let seqs: Vec<u64> = entries.iter().map(|entry| entry.seq.0).collect();
        assert_eq!(seqs, [56, 57, 58, 59, 60]);
        assert_eq!(cache.read(Seq(56), 0).unwrap().len(), 1, "at least one");
        assert_eq!(cache.read(Seq(56), 250).unwrap().len(), 2);
    }

    #[test]
    fn a_group_above_the_limit_is_not_kept() {
        let mut cache = TailCache::new(100);
        push(&mut cache, 1, 5);
        assert_eq!(cache.read(Seq(1), 10), None);
        assert_eq!(cache.bytes(), 0);
    }
}
