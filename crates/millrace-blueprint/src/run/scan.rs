//! The one pass over an event's bytes: checks them, goes down the trie's paths, fills the slots.

use std::ops::Range;

use crate::Plan;
use crate::json::cursor::{Cursor, DEPTH_LIMIT, Malformed, Shape};
use crate::json::name::NAME_LIMIT;
use crate::json::text;
use crate::plan::keys::{self, Keys};
use crate::plan::trie::Trie;

use super::Scratch;

/// Where a wanted value lies in the event. Absent: an empty range.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slot {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) shape: Shape,
    /// True for null, which is the same as absent but in exact readings.
    pub(crate) null: bool,
}

/// A member of an object that was met on the way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// Its name, without the quotes.
    pub(super) name: Slot,
    /// The [`keys::hash`] of the name as it stands there.
    pub(super) hash: u64,
    /// True when the name has escapes.
    pub(super) escaped: bool,
    pub(super) value: Slot,
}

/// The members of those objects in an event that a plan wants as a whole: what is spread was gone
/// through once, and need not be again.
#[derive(Debug, Default)]
pub(super) struct Seen {
    members: Vec<Member>,
    /// Members of the objects that are being gone through, the innermost last.
    open: Vec<Member>,
    /// Where each object begins in the event, and its members in `members`.
    objects: Vec<(u32, Range<usize>)>,
}

/// So many members are noted, which bounds the memory; other objects are gone through again. An
/// object that is gathered takes no more.
const SEEN_LIMIT: usize = super::object::GATHER_LIMIT * 2;

impl Seen {
    pub(super) fn clear(&mut self) {
        self.members.clear();
        self.open.clear();
        self.objects.clear();
    }

    /// The places of the members of the object that begins there, if it was noted.
    pub(super) fn object(&self, start: u32) -> Option<Range<usize>> {
        let found = self.objects.iter().find(|(begin, _)| *begin == start);
        found.map(|(_, members)| members.clone())
    }

    /// The member at a place.
    pub(super) fn member(&self, place: usize) -> Option<Member> {
        self.members.get(place).copied()
    }

    /// Notes an object whose members are the open ones from `base` on.
    fn close(&mut self, start: usize, base: usize) {
        if self.members.len() + (self.open.len() - base) <= SEEN_LIMIT
            && let Ok(start) = u32::try_from(start)
        {
            let from = self.members.len();
            self.members.extend(self.open.drain(base..));
            self.objects.push((start, from..self.members.len()));
        }
        self.open.truncate(base);
    }
}

/// Fills the slots of a plan. The bytes must be one JSON object.
pub(super) fn event(plan: &Plan, body: &[u8], scratch: &mut Scratch) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(body);
    cursor.blanks();
    if cursor.peek() != Some(b'{') {
        return Err(Malformed);
    }
    let stamp = next_stamp(&plan.trie, &mut scratch.stamps, &mut scratch.stamp);
    scratch.seen.clear();
    let mut scan = Scan {
        trie: &plan.trie,
        cursor,
        slots: &mut scratch.slots,
        stamps: &mut scratch.stamps,
        stamp,
        seen: Some(&mut scratch.seen),
    };
    scan.visit(0, DEPTH_LIMIT)?;
    cursor.at = scan.cursor.at;
    cursor.blanks();
    if cursor.peek().is_none() { Ok(()) } else { Err(Malformed) }
}

/// Fills the slots of a trie from the value at `at`; tells where it ends.
pub(super) fn value(
    trie: &Trie,
    bytes: &[u8],
    at: usize,
    slots: &mut [Slot],
    stamps: &mut Vec<u32>,
    stamp: &mut u32,
) -> Result<usize, Malformed> {
    let stamp = next_stamp(trie, stamps, stamp);
    let cursor = Cursor { bytes, at };
    let mut scan = Scan { trie, cursor, slots, stamps, stamp, seen: None };
    scan.visit(0, DEPTH_LIMIT)?;
    Ok(scan.cursor.at)
}

/// A stamp that no node of a trie has yet.
fn next_stamp(trie: &Trie, stamps: &mut Vec<u32>, stamp: &mut u32) -> u32 {
    if stamps.len() < trie.nodes.len() {
        stamps.resize(trie.nodes.len(), 0);
    }
    *stamp = stamp.wrapping_add(1);
    if *stamp == 0 {
        stamps.fill(0);
        *stamp = 1;
    }
    *stamp
}

struct Scan<'a> {
    trie: &'a Trie,
    cursor: Cursor<'a>,
    slots: &'a mut [Slot],
    stamps: &'a mut [u32],
    stamp: u32,
    /// Where members are noted; not those of items, which are not spread often.
    seen: Option<&'a mut Seen>,
}

/// The slot of what lies there.
fn slot_at(start: usize, end: usize, shape: Shape, null: bool) -> Result<Slot, Malformed> {
    let number = |n: usize| u32::try_from(n).map_err(|_| Malformed);
    Ok(Slot { start: number(start)?, end: number(end)?, shape, null })
}

impl Scan<'_> {
    fn visit(&mut self, node: usize, left: u32) -> Result<Shape, Malformed> {
        let trie = self.trie;
        let Some(wanted) = trie.nodes.get(node) else { return Err(Malformed) };
        let start = self.cursor.at;
        let first = self.cursor.peek();
        let shape = match first {
            Some(b'{') if wanted.slot.is_some() && self.seen.is_some() => {
                let base = self.seen.as_ref().map_or(0, |seen| seen.open.len());
                let shape = self.object(node, left, true)?;
                if let Some(seen) = &mut self.seen {
                    seen.close(start, base);
                }
                shape
            }
            Some(b'{') if !wanted.keys.is_empty() => self.object(node, left, false)?,
            Some(b'[') if !wanted.indexes.is_empty() => self.array(node, left)?,
            _ => self.cursor.skip(left)?,
        };
        if let Some(slot) = wanted.slot
            && let Some(slot) = self.slots.get_mut(usize::from(slot))
        {
            *slot = slot_at(start, self.cursor.at, shape, first == Some(b'n'))?;
        }
        Ok(shape)
    }

    /// Goes through an object, and notes its members where that is wanted.
    fn object(&mut self, node: usize, left: u32, noted: bool) -> Result<Shape, Malformed> {
        let left = left.checked_sub(1).ok_or(Malformed)?;
        let mut shape = Shape::default();
        let mut count = 0;
        let mut more = self.cursor.open(b'}');
        while more {
            let (place, escaped) = self.cursor.key()?;
            let key = self.cursor.bytes.get(place.clone()).unwrap_or_default();
            let hash = keys::hash(key);
            shape.odd |= key.len() > NAME_LIMIT;
            let child = if escaped {
                // An escaped key may hold half a pair, too: its object is copied with care.
                shape.odd = true;
                let mut decoded = String::new();
                text::decode(key, &mut decoded);
                self.child(node, decoded.as_bytes(), keys::hash(decoded.as_bytes()))
            } else {
                self.child(node, key, hash)
            };
            let start = self.cursor.at;
            let inner = self.element(child, left)?;
            shape.add(inner);
            if noted && let Some(seen) = &mut self.seen {
                let name = slot_at(place.start, place.end, Shape::default(), false)?;
                let value = slot_at(start, self.cursor.at, inner, false)?;
                seen.open.push(Member { name, hash, escaped, value });
            }
            count += 1;
            more = self.cursor.more(b'}')?;
        }
        shape.depth = shape.depth.saturating_add(1);
        shape.odd |= count >= crate::json::cursor::MEMBER_LIMIT;
        Ok(shape)
    }

    fn child(&self, node: usize, key: &[u8], hash: u64) -> Option<usize> {
        self.trie.nodes.get(node)?.member(key, hash)
    }

    fn array(&mut self, node: usize, left: u32) -> Result<Shape, Malformed> {
        let left = left.checked_sub(1).ok_or(Malformed)?;
        let mut shape = Shape::default();
        let mut count: usize = 0;
        let mut more = self.cursor.open(b']');
        while more {
            let child = self.trie.nodes.get(node).and_then(|node| {
                let index = u32::try_from(count).ok()?;
                let (_, id) = node.indexes.iter().find(|(have, _)| *have == index)?;
                usize::try_from(*id).ok()
            });
            let inner = self.element(child, left)?;
            shape.add(inner);
            count += 1;
            more = self.cursor.more(b']')?;
        }
        shape.depth = shape.depth.saturating_add(1);
        shape.odd |= count >= crate::json::cursor::MEMBER_LIMIT;
        Ok(shape)
    }

    fn element(&mut self, child: Option<usize>, left: u32) -> Result<Shape, Malformed> {
        let Some(child) = child else { return self.cursor.skip(left) };
        if let Some(seen) = self.stamps.get_mut(child) {
            if *seen == self.stamp {
                // The same key again: the last one wins, with all that is below it.
                let below = self.trie.nodes.get(child).map(|node| node.below.clone());
                if let Some(slots) = below.and_then(|below| self.slots.get_mut(below)) {
                    slots.fill(Slot::default());
                }
            }
            *seen = self.stamp;
        }
        self.visit(child, left)
    }
}

/// How many members an object has, each name counted as often as it stands there.
pub(super) fn members(object: &[u8]) -> u64 {
    let mut cursor = Cursor::new(object);
    let mut count = 0;
    let mut more = cursor.peek() == Some(b'{') && cursor.open(b'}');
    while more && cursor.key().is_ok() && cursor.skip(DEPTH_LIMIT).is_ok() {
        count += 1;
        more = cursor.more(b'}').unwrap_or(false);
    }
    count
}

/// The value of the member of an object whose name is in the set; the last one when it stands
/// there twice.
pub(super) fn member<'a>(object: &'a [u8], names: &Keys) -> Option<&'a [u8]> {
    let mut cursor = Cursor::new(object);
    let mut found = None;
    let mut more = cursor.peek() == Some(b'{') && cursor.open(b'}');
    while more {
        let (key, escaped) = cursor.key().ok()?;
        let key = object.get(key).unwrap_or_default();
        let wanted = if escaped {
            let (mut decoded, mut plain) = (String::new(), Vec::new());
            text::decode(key, &mut decoded);
            text::write_inner(&decoded, &mut plain);
            names.find(&plain, keys::hash(&plain)).is_some()
        } else {
            names.find(key, keys::hash(key)).is_some()
        };
        let start = cursor.at;
        cursor.skip(DEPTH_LIMIT).ok()?;
        if wanted {
            found = object.get(start..cursor.at);
        }
        more = cursor.more(b'}').ok()?;
    }
    found
}
