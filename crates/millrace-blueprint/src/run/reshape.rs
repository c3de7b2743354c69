//! Functions that rewrite a value as a whole: `replace`, `flatten`, `json`, `from_json` and
//! `without_nulls`. What they make is a [`Value::Piece`]: it is held to the limits of the place
//! where it is written, like a value of the event.

use std::collections::HashMap;

use millrace_model::code::Code;

use super::scan::Slot;
use super::value::Value;
use super::{ARENA_LIMIT, Run};
use crate::json::cursor::{Cursor, DEPTH_LIMIT};
use crate::json::ends::Ends;
use crate::json::{careful, text};
use crate::syntax::functions::{FIRST, IGNORE_CASE, KEEP_LISTS};

impl Run<'_> {
    /// A text with one text put in place of another. Numbers and booleans are taken as their
    /// text, other values as an empty one.
    pub(super) fn replace(&mut self, value: Value, words: &[String]) -> Value {
        let [from, to, options @ ..] = words else { return Value::Nothing };
        self.notice_halves(value);
        let has = |word: &str| options.iter().any(|option| option == word);
        let mut spare = String::new();
        let json = self.json(value);
        let text = match json.first() {
            Some(b'"') => self.text(value, &mut spare),
            Some(b'{' | b'[' | b'n') | None => None,
            Some(_) => std::str::from_utf8(json).ok(),
        };
        let text = text.unwrap_or_default();
        // Calls inside calls would otherwise make a small text as large as they like.
        let places = text.len().checked_div(from.len()).unwrap_or_default();
        if places.saturating_mul(to.len()) > ARENA_LIMIT {
            self.overflow.set(Some(Code::RowTooLarge));
            return Value::Nothing;
        }
        let done = replaced(text, from, to, has(FIRST), has(IGNORE_CASE));
        self.make(|_, out| {
            text::write(&done, out);
            true
        })
    }

    /// The JSON of a value as a text.
    pub(super) fn encoded(&mut self, value: Value) -> Value {
        let mut json = Vec::new();
        careful::compact(self.json(value), &mut json);
        self.make(|_, out| {
            careful::as_text(&json, out);
            true
        })
    }

    /// The value whose JSON a text is; other values, and texts that are no JSON, as they are.
    pub(super) fn decoded(&mut self, value: Value, exact: bool) -> Value {
        let mut spare = String::new();
        let Some(text) = self.text(value, &mut spare).map(str::trim) else { return value };
        let mut cursor = Cursor::new(text.as_bytes());
        if cursor.skip(DEPTH_LIMIT).is_err() || cursor.peek().is_some() {
            return value;
        }
        let mut json = Vec::new();
        careful::compact(text.as_bytes(), &mut json);
        if json == b"null" && !exact {
            return Value::Nothing;
        }
        self.piece(&json)
    }

    /// A value without the nulls in it and in the objects inside it; lists stay as they are.
    pub(super) fn without_nulls(&mut self, value: Value, exact: bool) -> Value {
        let json = self.json(value);
        match json.first() {
            Some(b'n') => Value::Nothing,
            Some(b'{') => {
                let mut out = Vec::new();
                without_nulls(&Ends::of(json), &mut Cursor::new(json), &mut out);
                if out == b"{}" && !exact { Value::Nothing } else { self.piece(&out) }
            }
            _ => value,
        }
    }

    /// The members of an object that are empty, or those that are not.
    pub(super) fn by_emptiness(&mut self, value: Value, empty: bool) -> Value {
        let json = self.json(value);
        if json.first() != Some(&b'{') {
            return Value::Nothing;
        }
        let mut out = Vec::new();
        by_emptiness(&Ends::of(json), &mut Cursor::new(json), empty, &mut out);
        if out.is_empty() { Value::Nothing } else { self.piece(&out) }
    }

    /// One object in place of nested ones, whose names are joined. Items of lists are named by
    /// their place; what is empty goes; a scalar stands under the empty name.
    pub(super) fn flatten(&mut self, value: Value, words: &[String], exact: bool) -> Value {
        let [separator, options @ ..] = words else { return Value::Nothing };
        let keep_lists = options.iter().any(|option| option == KEEP_LISTS);
        let ends = Ends::of(self.json(value));
        let mut flat = Flat { separator, keep_lists, exact, ends, ..Flat::default() };
        flat.add(&mut Cursor::new(self.json(value)), &mut String::new());
        if flat.size > ARENA_LIMIT {
            self.overflow.set(Some(Code::RowTooLarge));
            return Value::Nothing;
        }
        let mut json = vec![b'{'];
        for (name, value) in &flat.members {
            if json.len() > 1 {
                json.push(b',');
            }
            text::write(name, &mut json);
            json.push(b':');
            json.extend_from_slice(value);
        }
        json.push(b'}');
        if flat.members.is_empty() && !exact { Value::Nothing } else { self.piece(&json) }
    }

    /// Keeps JSON that is still to be held to the limits of its place.
    pub(super) fn piece(&mut self, json: &[u8]) -> Value {
        let Ok(shape) = Cursor::new(json).skip(DEPTH_LIMIT) else { return Value::Nothing };
        match self.keep(json) {
            Value::Made { start, end } => {
                Value::Piece(Slot { start, end, shape, null: json == b"null" })
            }
            _ => Value::Nothing,
        }
    }
}

fn replaced(text: &str, from: &str, to: &str, first: bool, ignore_case: bool) -> String {
    if !ignore_case {
        return if first { text.replacen(from, to, 1) } else { text.replace(from, to) };
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut again = true;
    while let Some(c) = rest.chars().next() {
        match after_prefix(rest, from).filter(|_| again) {
            Some(after) => {
                out.push_str(to);
                rest = after;
                again = !first;
            }
            None => {
                out.push(c);
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
            }
        }
    }
    out
}

/// What follows a prefix whose letters may be of either case. Letters are compared one by one,
/// never one with two.
fn after_prefix<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let mut chars = text.chars();
    for wanted in prefix.chars() {
        let found = chars.next()?;
        if found != wanted && !found.to_lowercase().eq(wanted.to_lowercase()) {
            return None;
        }
    }
    Some(chars.as_str())
}

/// The members of the object at the cursor: names, and where their values begin. Of members of one
/// name only the last one counts.
fn members(ends: &Ends, cursor: &mut Cursor<'_>) -> Vec<(String, usize)> {
    let mut members: Vec<Option<(String, usize)>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut more = cursor.open(b'}');
    while more {
        let Ok((key, _)) = cursor.key() else { break };
        let mut name = String::new();
        text::decode(cursor.bytes.get(key).unwrap_or_default(), &mut name);
        if let Some(earlier) = places.insert(name.clone(), members.len())
            && let Some(earlier) = members.get_mut(earlier)
        {
            *earlier = None;
        }
        members.push(Some((name, cursor.at)));
        // The bytes were scanned before, so this does not fail.
        more = ends.skip(cursor) && cursor.more(b'}').unwrap_or(false);
    }
    members.into_iter().flatten().collect()
}

/// Copies the object at the cursor without the members that are null. Recursion is bounded: the
/// bytes were scanned before.
fn without_nulls(ends: &Ends, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut first = true;
    let bytes = cursor.bytes;
    for (name, at) in members(ends, cursor) {
        let mut inner = Cursor { bytes, at };
        if inner.peek() == Some(b'n') {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        text::write(&name, out);
        out.push(b':');
        if inner.peek() == Some(b'{') {
            without_nulls(ends, &mut inner, out);
        } else {
            let read = inner.skip(DEPTH_LIMIT).is_ok();
            let value = bytes.get(at..inner.at).filter(|_| read);
            out.extend_from_slice(value.unwrap_or(b"null"));
        }
    }
    out.push(b'}');
}

/// Writes the members that are empty (null, a text, a list or an object without anything in it), or
/// those that are not; nothing when there are none.
fn by_emptiness(ends: &Ends, cursor: &mut Cursor<'_>, empty: bool, out: &mut Vec<u8>) {
    let bytes = cursor.bytes;
    for (name, at) in members(ends, cursor) {
        let mut inner = Cursor { bytes, at };
        if !ends.skip(&mut inner) {
            return;
        }
        let value = bytes.get(at..inner.at).unwrap_or_default();
        if is_empty(value) != empty {
            continue;
        }
        out.push(if out.is_empty() { b'{' } else { b',' });
        text::write(&name, out);
        out.push(b':');
        out.extend_from_slice(value);
    }
    if !out.is_empty() {
        out.push(b'}');
    }
}

/// True for null and for a text, a list or an object without anything in it.
fn is_empty(json: &[u8]) -> bool {
    match json {
        b"null" | b"\"\"" => true,
        [b'[', inner @ .., b']'] | [b'{', inner @ .., b'}'] => inner.trim_ascii().is_empty(),
        _ => false,
    }
}

/// The members of a flat object, in the order in which their names came first.
#[derive(Default)]
struct Flat<'w> {
    separator: &'w str,
    keep_lists: bool,
    exact: bool,
    ends: Ends,
    members: Vec<(String, Vec<u8>)>,
    places: HashMap<String, usize>,
    /// How much text there is so far.
    size: usize,
}

impl Flat<'_> {
    fn add(&mut self, cursor: &mut Cursor<'_>, name: &mut String) {
        if self.size > ARENA_LIMIT {
            return;
        }
        let start = cursor.at;
        match cursor.peek() {
            Some(b'{') => {
                let bytes = cursor.bytes;
                for (key, at) in members(&self.ends, cursor) {
                    self.below(&key, &mut Cursor { bytes, at }, name);
                }
            }
            Some(b'[') if !self.keep_lists => {
                let mut more = cursor.open(b']');
                let mut place: usize = 0;
                while more {
                    let key = itoa::Buffer::new().format(place).to_owned();
                    self.below(&key, cursor, name);
                    place += 1;
                    more = cursor.more(b']').unwrap_or(false);
                }
            }
            _ => {
                let read = cursor.skip(DEPTH_LIMIT).is_ok();
                let value = cursor.bytes.get(start..cursor.at).unwrap_or_default();
                if read && (self.exact || value != b"null") {
                    self.member(name, value);
                }
            }
        }
    }

    /// Adds what stands under a name.
    fn below(&mut self, key: &str, cursor: &mut Cursor<'_>, name: &mut String) {
        let length = name.len();
        if !name.is_empty() {
            name.push_str(self.separator);
        }
        name.push_str(key);
        self.add(cursor, name);
        name.truncate(length);
    }

    fn member(&mut self, name: &str, value: &[u8]) {
        self.size = self.size.saturating_add(name.len()).saturating_add(value.len());
        match self.places.get(name).and_then(|at| self.members.get_mut(*at)) {
            Some((_, earlier)) => *earlier = value.to_vec(),
            None => {
                self.places.insert(name.to_owned(), self.members.len());
                self.members.push((name.to_owned(), value.to_vec()));
            }
        }
    }
}
