//! Shapes and actions over items: `each` over the items of a list, `with`/`as` over one value.
//!
//! An item lies in the event's bytes, or in the arena when the list was made. The arena only
//! grows while a shape is written, so places in it stay what they are.

use millrace_model::code::Code;
use millrace_model::row::Rows;

use super::scan::{self, Slot};
use super::value::Value;
use super::{ARENA_LIMIT, Frame, Run, Stop};
use crate::json::cursor::Cursor;
use crate::plan::node::{Action, Each, Items, Node};
use crate::plan::trie::Trie;
use crate::segment::Path;

/// How many bytes of the event may be read again for items of its lists: 32 times the largest event
/// that the collector takes by default.
pub(super) const READ_AGAIN_LIMIT: usize = 32 << 20;

/// For how many items an action may be done: far more than an order has lines.
const ITEM_LIMIT: u32 = 1000;

/// A walk over the items of a list.
struct Walk {
    /// Where the next item begins.
    at: usize,
    more: bool,
    /// True for an object that stands for a list of one.
    single: bool,
    /// True when the list lies in the arena.
    made: bool,
    /// How many items there were so far.
    count: u32,
}

impl<'a> Run<'a> {
    /// The slot of the innermost item.
    pub(super) fn item_slot(&self, slot: u16) -> Option<&Slot> {
        self.scratch.items.get(self.frame.start + usize::from(slot))
    }

    /// A value of the innermost item, which lies where the item lies.
    pub(super) fn of_item(&self, value: Value) -> Value {
        match value {
            Value::Event(slot) if self.frame.made => Value::Piece(slot),
            other => other,
        }
    }

    /// Maps the items of a list. An object alone counts as a list of one.
    pub(super) fn each(
        &mut self,
        each: &'a Each,
        list: Value,
        level: u8,
        out: &mut Vec<u8>,
    ) -> bool {
        let Some(mut items) = self.items_of(list) else { return false };
        let outer = self.enter(items.made);
        let mut count = 0;
        out.push(b'[');
        while self.next_item(&mut items, &each.trie) {
            let value = self.value(&each.shape, level.saturating_add(1));
            if each.exact {
                self.item_or_null(value, count, level, out);
                count += 1;
            } else {
                count += usize::from(self.item(value, count, level, out));
            }
            if out.len() + self.scratch.arena.len() > ARENA_LIMIT {
                self.overflow.set(Some(Code::RowTooLarge));
            }
            if self.overflow.get().is_some() {
                break;
            }
        }
        self.exit(outer);
        self.finish_list(count, level, out)
    }

    /// Does an action for each item of its list.
    pub(super) fn action_each(
        &mut self,
        action: &'a Action,
        each: &'a Items,
        out: &mut Rows,
    ) -> Result<(), Stop> {
        // A made item stands nowhere itself: limits wait for the rows that its parts come to.
        let list = self.free_value(&each.list);
        let Some(mut items) = self.items_of(list) else { return Ok(()) };
        let outer = self.enter(items.made);
        // What is made for an item is in its rows when the next one comes.
        let made = self.scratch.arena.len();
        let mut done = Ok(());
        while done.is_ok() && self.next_item(&mut items, &each.trie) {
            done = if items.count > ITEM_LIMIT {
                let message = format!("the list of `each` has more than {ITEM_LIMIT} items");
                Err(Stop::new(Code::TooManyItems, message))
            } else {
                self.one_action(action, out)
            };
            if done.is_ok() && out.bytes.len() > ARENA_LIMIT {
                let message = "the rows of the event are larger than one event may make them";
                done = Err(Stop::new(Code::TooManyItems, message));
            }
            self.scratch.arena.truncate(made);
        }
        self.exit(outer);
        done
    }

    /// The items of a list, or an object alone; none for other values.
    fn items_of(&mut self, list: Value) -> Option<Walk> {
        let (start, made) = self.lies_at(list)?;
        let mut cursor = Cursor { bytes: self.source(made), at: start };
        let single = cursor.peek() == Some(b'{');
        let more = match cursor.peek() {
            Some(b'[') => cursor.open(b']'),
            Some(b'{') => true,
            _ => return None,
        };
        Some(Walk { at: cursor.at, more, single, made, count: 0 })
    }

    /// Fills the slots of the next item; false at the end.
    fn next_item(&mut self, items: &mut Walk, trie: &Trie) -> bool {
        if !items.more {
            return false;
        }
        let Some(end) = self.scan_item(trie, items.at) else { return false };
        let mut cursor = Cursor { bytes: self.source(items.made), at: end };
        items.more = !items.single && cursor.more(b']').unwrap_or(false);
        items.at = cursor.at;
        self.frame.place = items.count;
        items.count = items.count.saturating_add(1);
        true
    }

    /// The value of a shape over one value.
    pub(super) fn with(&mut self, each: &'a Each, level: u8) -> Value {
        let value = self.free_value(&each.list);
        let found = self.lies_at(value);
        let outer = self.enter(found.is_some_and(|(_, made)| made));
        let read = match found {
            Some((start, _)) => self.scan_item(&each.trie, start).is_some(),
            None => {
                self.scratch.items.resize(self.frame.start + each.trie.slots, Slot::default());
                each.exact
            }
        };
        let shaped = if read { self.value(&each.shape, level) } else { Value::Nothing };
        if self.scratch.arena.len() > ARENA_LIMIT {
            self.overflow.set(Some(Code::RowTooLarge));
        }
        self.exit(outer);
        shaped
    }

    /// The value at a path that is a text of the event: one more scan over the value it starts
    /// from. A text that is no path finds nothing.
    pub(super) fn follow(&mut self, value: Value, path: &'a Node, exact: bool) -> Value {
        let path = self.free_value(path);
        let mut spare = String::new();
        let Some(Ok(path)) = self.text(path, &mut spare).map(Path::read) else {
            return Value::Nothing;
        };
        let Some((start, made)) = self.lies_at(value) else { return Value::Nothing };
        let readings = path.readings();
        let trie = Trie::build(readings.iter().map(Vec::as_slice));
        let mut slots = vec![Slot::default(); trie.slots];
        let scratch = &mut *self.scratch;
        let bytes = if made { &scratch.arena } else { self.event.body };
        let (stamps, stamp) = (&mut scratch.stamps, &mut scratch.stamp);
        if scan::value(&trie, bytes, start, &mut slots, stamps, stamp).is_err() {
            return Value::Nothing;
        }
        // As with a path that is known: a null gives way to the next reading, but the last.
        let slots = readings.iter().map(|reading| {
            trie.slot(reading).and_then(|slot| slots.get(usize::from(slot))).copied()
        });
        let mut found = None;
        for slot in slots {
            found = slot;
            if !Value::of(slot.as_ref()).is_nothing() {
                break;
            }
        }
        let found = found.as_ref();
        match if exact { Value::kept(found) } else { Value::of(found) } {
            Value::Event(slot) if made => Value::Piece(slot),
            found => found,
        }
    }

    /// Writes an item of a list that is open, null for nothing.
    pub(super) fn item_or_null(&self, value: Value, count: usize, level: u8, out: &mut Vec<u8>) {
        if !self.item(value, count, level, out) {
            out.extend_from_slice(if count > 0 { b",null" } else { b"null" });
        }
    }

    /// The slot of the event, read for an item. Whatever is then done with its value costs as much
    /// as it is long, once for each item: no event may make that more than a bound.
    pub(super) fn read_for_item(&self, value: Value) -> Value {
        let read = self.read_again.get().saturating_add(self.json(value).len());
        self.read_again.set(read);
        if read <= READ_AGAIN_LIMIT {
            return value;
        }
        self.overflow.set(Some(Code::TooManyItems));
        Value::Nothing
    }

    /// Where a value begins, and whether that is in the arena.
    fn lies_at(&mut self, value: Value) -> Option<(usize, bool)> {
        let (start, made) = match value {
            Value::Nothing => return None,
            Value::Event(slot) => (slot.start, false),
            Value::Piece(slot) => (slot.start, true),
            Value::Made { start, .. } => (start, true),
            Value::Constant(_) => {
                let json = self.json(value).to_vec();
                let kept = self.keep(&json);
                return self.lies_at(kept);
            }
        };
        usize::try_from(start).ok().map(|start| (start, made))
    }

    fn source(&self, made: bool) -> &[u8] {
        if made { &self.scratch.arena } else { self.event.body }
    }

    fn enter(&mut self, made: bool) -> Frame {
        let place = self.frame.place;
        let inner = Frame { start: self.scratch.items.len(), made, place };
        self.inside += 1;
        std::mem::replace(&mut self.frame, inner)
    }

    fn exit(&mut self, outer: Frame) {
        self.scratch.items.truncate(self.frame.start);
        self.inside -= 1;
        self.frame = outer;
    }

    /// Fills the slots of the item at `at`; tells where it ends.
    fn scan_item(&mut self, trie: &Trie, at: usize) -> Option<usize> {
        let Frame { start, made, .. } = self.frame;
        let scratch = &mut *self.scratch;
        scratch.items.truncate(start);
        scratch.items.resize(start + trie.slots, Slot::default());
        let bytes = if made { &scratch.arena } else { self.event.body };
        let slots = scratch.items.get_mut(start..).unwrap_or_default();
        scan::value(trie, bytes, at, slots, &mut scratch.stamps, &mut scratch.stamp).ok()
    }
}
