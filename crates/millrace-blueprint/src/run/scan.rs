//! The one pass over an event's bytes: checks them, goes down the trie's paths, fills the slots.

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

/// Fills the slots of a plan. The bytes must be one JSON object.
pub(super) fn event(plan: &Plan, body: &[u8], scratch: &mut Scratch) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(body);
    cursor.blanks();
    if cursor.peek() != Some(b'{') {
        return Err(Malformed);
    }
    let at = cursor.at;
    let end =
        value(&plan.trie, body, at, &mut scratch.slots, &mut scratch.stamps, &mut scratch.stamp)?;
    cursor.at = end;
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
    if stamps.len() < trie.nodes.len() {
        stamps.resize(trie.nodes.len(), 0);
    }
    *stamp = stamp.wrapping_add(1);
    if *stamp == 0 {
        stamps.fill(0);
        *stamp = 1;
    }
    let mut scan = Scan { trie, cursor: Cursor { bytes, at }, slots, stamps, stamp: *stamp };
    scan.visit(0, DEPTH_LIMIT)?;
    Ok(scan.cursor.at)
}

struct Scan<'a> {
    trie: &'a Trie,
    cursor: Cursor<'a>,
    slots: &'a mut [Slot],
    stamps: &'a mut [u32],
    stamp: u32,
}

impl Scan<'_> {
    fn visit(&mut self, node: usize, left: u32) -> Result<Shape, Malformed> {
        let trie = self.trie;
        let Some(wanted) = trie.nodes.get(node) else { return Err(Malformed) };
        let start = self.cursor.at;
        let first = self.cursor.peek();
        let shape = match first {
            Some(b'{') if !wanted.keys.is_empty() => self.object(node, left)?,
            Some(b'[') if !wanted.indexes.is_empty() => self.array(node, left)?,
            _ => self.cursor.skip(left)?,
        };
        if let Some(slot) = wanted.slot
            && let Some(slot) = self.slots.get_mut(usize::from(slot))
        {
            let number = |n: usize| u32::try_from(n).map_err(|_| Malformed);
            let null = first == Some(b'n');
            *slot = Slot { start: number(start)?, end: number(self.cursor.at)?, shape, null };
        }
        Ok(shape)
    }

    fn object(&mut self, node: usize, left: u32) -> Result<Shape, Malformed> {
        let left = left.checked_sub(1).ok_or(Malformed)?;
        let mut shape = Shape::default();
        let mut count = 0;
        let mut more = self.cursor.open(b'}');
        while more {
            let (key, escaped) = self.cursor.key()?;
            let key = self.cursor.bytes.get(key).unwrap_or_default();
            shape.odd |= key.len() > NAME_LIMIT;
            let child = if escaped {
                // An escaped key may hold half a pair, too: its object is copied with care.
                shape.odd = true;
                let mut decoded = String::new();
                text::decode(key, &mut decoded);
                self.child(node, decoded.as_bytes())
            } else {
                self.child(node, key)
            };
            let inner = self.element(child, left)?;
            shape.add(inner);
            count += 1;
            more = self.cursor.more(b'}')?;
        }
        shape.depth = shape.depth.saturating_add(1);
        shape.odd |= count >= crate::json::cursor::MEMBER_LIMIT;
        Ok(shape)
    }

    fn child(&self, node: usize, key: &[u8]) -> Option<usize> {
        let keys = &self.trie.nodes.get(node)?.keys;
        let (_, id) = keys.iter().find(|(have, _)| **have == *key)?;
        usize::try_from(*id).ok()
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
