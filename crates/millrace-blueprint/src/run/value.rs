//! Values: where they lie, and how nodes give them.

use millrace_model::code::Code;
use millrace_model::correction::Correction;
use millrace_model::id::is_bad_identifier;
use millrace_model::time::UnixMillis;

use super::scan::Slot;
use super::{ARENA_LIMIT, Run};
use crate::json::cursor::{Cursor, DEPTH_LIMIT, MEMBER_LIMIT, Shape};
use crate::json::{careful, effort};
use crate::json::{number, text};
use crate::plan::keys;
use crate::plan::node::{Fact, Node, Part, Table};
use crate::syntax::ast::{DeepValues, WideValues};
use crate::syntax::functions::Function;

/// How many bytes of an id Mixpanel keeps (reference/mixpanel-api.md 2.3).
const ID_LIMIT: usize = 255;

/// Where the JSON text of a value lies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value {
    Nothing,
    /// In the event's bytes.
    Event(Slot),
    /// In the arena. What is made is clean: it can be copied as it is.
    Made {
        start: u32,
        end: u32,
    },
    /// A part of a value in the arena, which has to be copied with care, as one of the event.
    Piece(Slot),
    /// Among the plan's constants.
    Constant(u32),
}

impl Value {
    /// The value of a slot.
    pub(crate) fn of(slot: Option<&Slot>) -> Value {
        match slot {
            Some(slot) if slot.end > slot.start && !slot.null => Value::Event(*slot),
            _ => Value::Nothing,
        }
    }

    /// The same where null is a value.
    pub(super) fn kept(slot: Option<&Slot>) -> Value {
        match slot {
            Some(slot) if slot.end > slot.start => Value::Event(*slot),
            _ => Value::Nothing,
        }
    }

    pub(crate) fn is_nothing(self) -> bool {
        matches!(self, Value::Nothing)
    }
}

fn range(start: u32, end: u32) -> std::ops::Range<usize> {
    usize::try_from(start).unwrap_or_default()..usize::try_from(end).unwrap_or_default()
}

impl<'a> Run<'a> {
    /// The JSON text of a value; empty for nothing.
    pub(crate) fn json(&self, value: Value) -> &[u8] {
        effort::spend(1);
        let found = match value {
            Value::Nothing => None,
            Value::Event(slot) => self.event.body.get(range(slot.start, slot.end)),
            Value::Made { start, end } => self.scratch.arena.get(range(start, end)),
            Value::Piece(slot) => self.scratch.arena.get(range(slot.start, slot.end)),
            Value::Constant(at) => usize::try_from(at)
                .ok()
                .and_then(|at| self.plan.constants.get(at))
                .map(AsRef::as_ref),
        };
        found.unwrap_or_default()
    }

    /// The text of a value that is a text. `spare` is used when it has escapes.
    pub(crate) fn text<'s>(&'s self, value: Value, spare: &'s mut String) -> Option<&'s str> {
        let json = match value {
            Value::Event(slot) => self.body.get(range(slot.start, slot.end))?,
            _ => std::str::from_utf8(self.json(value)).ok()?,
        };
        let inner = json.strip_prefix('"')?.strip_suffix('"')?;
        if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return Some(inner);
        }
        text::decode(inner.as_bytes(), spare);
        Some(spare)
    }

    /// The value, or nothing for a text with nothing but blanks.
    pub(super) fn nonblank(&self, value: Value) -> Value {
        let blank = match self.json(value) {
            // Nearly all texts begin with what is no blank.
            [b'"', b'!'..=b'[' | b']'..=b'~', _, ..] => false,
            [b'"', ..] => {
                let mut spare = String::new();
                self.text(value, &mut spare).is_some_and(|text| text.trim().is_empty())
            }
            _ => false,
        };
        if blank { Value::Nothing } else { value }
    }

    /// The text of a value that can stand for a person: a text or a number that is neither blank,
    /// nor one of the values that Mixpanel refuses, nor longer than it keeps: it would cut the id,
    /// and persons whose ids begin alike would become one.
    pub(crate) fn identifier_text<'s>(
        &'s self,
        value: Value,
        spare: &'s mut String,
    ) -> Option<&'s str> {
        let json = self.json(value);
        let text = if careful::is_number(json) {
            std::str::from_utf8(json).ok()
        } else {
            self.text(value, spare)
        }?;
        let bare = text.strip_prefix("$device:").unwrap_or(text);
        (!bare.trim().is_empty() && text.len() <= ID_LIMIT && !is_bad_identifier(bare))
            .then_some(text)
    }

    /// Whether `??` goes past this value.
    pub(crate) fn is_absent(&self, value: Value) -> bool {
        value.is_nothing() || self.json(value) == b"null"
    }

    /// Whether `?|` goes past this value.
    pub(crate) fn is_blank(&self, value: Value) -> bool {
        self.is_absent(value) || self.json(value) == b"\"\""
    }

    /// Puts what `write` writes into the arena; nothing when it says so.
    pub(crate) fn make(&mut self, write: impl FnOnce(&mut Self, &mut Vec<u8>) -> bool) -> Value {
        let mut buffer = self.scratch.buffers.pop().unwrap_or_default();
        buffer.clear();
        let value = match write(self, &mut buffer) {
            true if self.free => self.piece(&buffer),
            true => self.keep(&buffer),
            false => Value::Nothing,
        };
        self.scratch.buffers.push(buffer);
        value
    }

    pub(super) fn keep(&mut self, json: &[u8]) -> Value {
        if self.scratch.arena.len().saturating_add(json.len()) > ARENA_LIMIT {
            self.overflow.set(Some(Code::RowTooLarge));
            return Value::Nothing;
        }
        let start = u32::try_from(self.scratch.arena.len());
        self.scratch.arena.extend_from_slice(json);
        match (start, u32::try_from(self.scratch.arena.len())) {
            (Ok(start), Ok(end)) => Value::Made { start, end },
            _ => Value::Nothing,
        }
    }

    /// The same value for a place that lies deeper than the one for which it was made: a list is put
    /// around it.
    pub(super) fn deeper(&self, value: Value) -> Value {
        let Value::Made { start, end } = value else { return value };
        match Cursor::new(self.json(value)).skip(DEPTH_LIMIT) {
            Ok(shape) => Value::Piece(Slot { start, end, shape, null: false }),
            Err(_) => value,
        }
    }

    /// Copies a value to a place at this level (1: the value of a property).
    pub(crate) fn copy(&self, value: Value, level: u8, out: &mut Vec<u8>) {
        match value {
            Value::Event(slot) | Value::Piece(slot)
                if !self.free && !careful::fits(slot.shape, level) =>
            {
                let checks = &self.plan.checks;
                let deep = checks.deep_values == DeepValues::Keep;
                if !slot.shape.odd && deep {
                    out.extend_from_slice(self.json(value));
                    return;
                }
                if slot.shape.odd && checks.wide_values == WideValues::SetAside {
                    if careful::holds_wide(self.json(value), level) {
                        self.overflow.set(Some(Code::TooManyProperties));
                    } else if deep || careful::fits(Shape { odd: false, ..slot.shape }, level) {
                        let changes = careful::copy_any_shape(self.json(value), level, out);
                        self.corrected.changes(changes);
                        return;
                    }
                }
                self.corrected.changes(careful::copy(self.json(value), level, out));
            }
            Value::Nothing
            | Value::Event(_)
            | Value::Piece(_)
            | Value::Made { .. }
            | Value::Constant(_) => {
                out.extend_from_slice(self.json(value));
            }
        }
    }

    /// The value of a node that stands nowhere itself.
    pub(super) fn free_value(&mut self, node: &'a Node) -> Value {
        let outer = std::mem::replace(&mut self.free, true);
        let value = self.value(node, 0);
        self.free = outer;
        value
    }

    /// The value of a node that is to stand at this level.
    #[inline]
    pub(crate) fn value(&mut self, node: &'a Node, level: u8) -> Value {
        if self.noting { self.noted_value(node, level) } else { self.value_of(node, level) }
    }

    /// The same, without a note of this node. The nodes that most members are stand here, those
    /// that write something in [`Run::written_value`].
    pub(super) fn value_of(&mut self, node: &'a Node, level: u8) -> Value {
        let level = if self.free { 0 } else { level };
        match node {
            Node::Nothing => Value::Nothing,
            Node::Constant(at) => Value::Constant(*at),
            Node::Slot(slot) if self.inside > 0 => self.read_for_item(self.slot(*slot)),
            Node::Slot(slot) => self.slot(*slot),
            Node::Item(slot) => self.of_item(Value::of(self.item_slot(*slot))),
            Node::Call(call) => {
                let value = if call.function.takes_any_shape() {
                    self.free_value(&call.argument)
                } else {
                    self.value(&call.argument, level)
                };
                match call.function {
                    _ if value.is_nothing() => Value::Nothing,
                    Function::Nonblank => self.nonblank(value),
                    _ => self.call(call, value, level),
                }
            }
            Node::First { left, blank, right } => {
                let value = self.value(left, level);
                let skip = if *blank { self.is_blank(value) } else { self.is_absent(value) };
                if skip { self.value(right, level) } else { value }
            }
            Node::Choice(choice) => {
                let (test, then, otherwise) = choice.as_ref();
                let node = if self.holds(test) { then } else { otherwise };
                self.value(node, level)
            }
            Node::Need(need) => self.need(need, level),
            _ => self.written_value(node, level),
        }
    }

    #[inline(never)]
    fn written_value(&mut self, node: &'a Node, level: u8) -> Value {
        match node {
            Node::Nothing
            | Node::Constant(_)
            | Node::Slot(_)
            | Node::Item(_)
            | Node::Call(_)
            | Node::First { .. }
            | Node::Choice(_)
            | Node::Need(_) => self.value_of(node, level),
            Node::KeptSlot(slot) => {
                let value = Value::kept(self.scratch.slots.get(usize::from(*slot)));
                if self.inside > 0 { self.read_for_item(value) } else { value }
            }
            Node::KeptItem(slot) => self.of_item(Value::kept(self.item_slot(*slot))),
            Node::Fact(fact) => self.fact(*fact),
            Node::Millis(fact) => {
                let millis =
                    if *fact == Fact::ReceivedAt { self.event.received_at } else { self.time };
                self.make(|_, out| {
                    out.extend_from_slice(itoa::Buffer::new().format(millis.0).as_bytes());
                    true
                })
            }
            Node::Template { strict, parts } => {
                self.make(|run, out| run.template(*strict, parts, out))
            }
            Node::Table(table) => self.row_of(table, level),
            Node::Place => {
                let place = self.frame.place;
                self.make(|_, out| {
                    out.extend_from_slice(itoa::Buffer::new().format(place).as_bytes());
                    true
                })
            }
            Node::Object(object) => self.make(|run, out| run.nested_object(object, level, out)),
            Node::List(list) => self.make(|run, out| {
                let mut count = 0;
                out.push(b'[');
                for node in list {
                    let value = run.value(node, level.saturating_add(1));
                    count += usize::from(run.item(value, count, level, out));
                }
                run.finish_list(count, level, out)
            }),
            Node::KeptList(list) => self.make(|run, out| {
                out.push(b'[');
                for (node, count) in list.iter().zip(0..) {
                    let value = run.value(node, level.saturating_add(1));
                    run.item_or_null(value, count, level, out);
                }
                run.finish_list(list.len(), level, out);
                true
            }),
            Node::Each(each) => {
                let list = self.value(&each.list, level);
                if each.exact && !matches!(self.json(list).first(), Some(b'[' | b'{')) {
                    return list;
                }
                self.make(|run, out| run.each(each, list, level, out) || each.exact)
            }
            Node::With(each) => self.with(each, level),
        }
    }

    /// What a map of values gives.
    fn row_of(&mut self, table: &'a Table, level: u8) -> Value {
        let value = self.value(&table.value, level);
        if self.is_absent(value) {
            return Value::Nothing;
        }
        let mut plain = Vec::new();
        let json = self.json(value);
        let key = match json.first() {
            Some(b'{' | b'[') => None,
            Some(b'"') => {
                let inner = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
                if memchr::memchr(b'\\', inner).is_none() {
                    Some(inner)
                } else {
                    let mut decoded = String::new();
                    text::decode(inner, &mut decoded);
                    text::write_inner(&decoded, &mut plain);
                    Some(plain.as_slice())
                }
            }
            _ => Some(json),
        };
        let row = key.and_then(|key| table.keys.find(key, keys::hash(key)));
        let found = row.and_then(|number| table.rows.get(usize::from(number)));
        self.value(found.unwrap_or(&table.other), level)
    }

    fn fact(&mut self, fact: Fact) -> Value {
        let event = self.event;
        let time = |at: UnixMillis| at.to_string();
        let made = match fact {
            Fact::MessageId => event.facts.message_id.clone(),
            Fact::Kind => event.kind.as_str().to_owned(),
            Fact::Timestamp => time(self.time),
            Fact::ReceivedAt => time(event.received_at),
            Fact::Ip(slot) => {
                let own = self.slot(slot);
                match &event.facts.client_ip {
                    Some(ip) if self.is_blank(own) => ip.clone(),
                    _ => return own,
                }
            }
        };
        self.make(|_, out| {
            text::write(&made, out);
            true
        })
    }

    fn template(&mut self, strict: bool, parts: &'a [Part], out: &mut Vec<u8>) -> bool {
        out.push(b'"');
        for part in parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Hole(node) => {
                    let value = self.value(node, 1);
                    if !self.put_text(value, out) && strict {
                        return false;
                    }
                }
            }
        }
        out.push(b'"');
        true
    }

    /// Puts a value as text into a JSON string that is open. False when there is none.
    pub(crate) fn put_text(&self, value: Value, out: &mut Vec<u8>) -> bool {
        let json = self.json(value);
        match json.first() {
            // A list or an object is no text.
            None | Some(b'{' | b'[' | b'n') => false,
            Some(b'"') => {
                let odd =
                    matches!(value, Value::Event(slot) | Value::Piece(slot) if slot.shape.odd);
                let inner = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
                if odd {
                    self.corrected.add(Correction::BrokenUnicode, 1);
                    let mut decoded = String::new();
                    text::decode(inner, &mut decoded);
                    text::write_inner(&decoded, out);
                } else {
                    out.extend_from_slice(inner);
                }
                // In a strict template an empty text is as good as none.
                !inner.is_empty()
            }
            Some(_) => {
                out.extend_from_slice(json);
                true
            }
        }
    }

    /// Writes an item of a list that is open; false when there is nothing to write.
    pub(super) fn item(&self, value: Value, count: usize, level: u8, out: &mut Vec<u8>) -> bool {
        if value.is_nothing() {
            return false;
        }
        if count > 0 {
            out.push(b',');
        }
        self.copy(value, level.saturating_add(1), out);
        true
    }

    /// Calls `see` with each item of a list, until it says stop.
    pub(crate) fn items(&self, list: Value, see: &mut dyn FnMut(&[u8], Shape) -> bool) {
        let json = self.json(list);
        let mut cursor = Cursor::new(json);
        let mut more = json.first() == Some(&b'[') && cursor.open(b']');
        while more {
            let start = cursor.at;
            let Ok(shape) = cursor.skip(DEPTH_LIMIT) else { return };
            if !see(json.get(start..cursor.at).unwrap_or_default(), shape) {
                return;
            }
            more = cursor.more(b']').unwrap_or(false);
        }
    }

    /// The number of a value that is one.
    pub(crate) fn float(&self, value: Value) -> Option<f64> {
        let json = self.json(value);
        careful::is_number(json).then(|| number::parse(json)).flatten()
    }

    /// Closes a list that was built. One without items is nothing; one that Mixpanel would refuse
    /// becomes text.
    pub(super) fn finish_list(&self, count: usize, level: u8, out: &mut Vec<u8>) -> bool {
        out.push(b']');
        self.close(count, level, out)
    }

    /// What is true for lists and objects that were built. At level 0 stands what is only made to
    /// be spread: the row's own limits hold for its members.
    pub(super) fn close(&self, count: usize, level: u8, out: &mut Vec<u8>) -> bool {
        if level == 0 {
            return count > 0;
        }
        if count >= MEMBER_LIMIT && self.plan.checks.wide_values == WideValues::SetAside {
            self.overflow.set(Some(Code::TooManyProperties));
        }
        let deep = self.plan.checks.deep_values == DeepValues::Text;
        if count >= MEMBER_LIMIT || (deep && level > careful::LEVEL_LIMIT) {
            let json = std::mem::take(out);
            careful::as_text(&json, out);
            self.corrected.add(Correction::ShapeAsText, 1);
        }
        count > 0
    }
}
