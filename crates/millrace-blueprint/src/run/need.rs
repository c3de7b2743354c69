//! Checked conversions: a value of the kind that the blueprint needs, or the event is set aside.
//!
//! Absent and null give nothing. Scalars are converted as Segment converts the fields of its
//! actions (reference/segment-syft.md 2): numbers and booleans to texts, numeric texts and
//! booleans to numbers, a list of one to its member, a scalar to a list of one. Numbers in texts
//! are those of JSON; what else a script reads as a number is refused.

use millrace_model::code::Code;
use millrace_model::time::UnixMillis;

use super::object::Gathering;
use super::value::Value;
use super::{Run, Stop};
use crate::json::{careful, number};
use crate::plan::node::{Need, Object};
use crate::syntax::functions::Wanted;

impl<'a> Run<'a> {
    /// The value of a conversion. Most values are of the right kind: they cost a look at one byte.
    pub(super) fn need(&mut self, need: &'a Need, level: u8) -> Value {
        let value = self.value(&need.of, level);
        let fits = match (need.wanted, self.json(value).first()) {
            (_, None) => return Value::Nothing,
            (Wanted::Text, Some(b'"'))
            | (Wanted::Switch, Some(b't' | b'f'))
            | (Wanted::Object, Some(b'{'))
            | (Wanted::List, Some(b'[')) => true,
            (Wanted::Number, Some(b'-' | b'0'..=b'9')) => careful::is_number(self.json(value)),
            _ => false,
        };
        if fits { value } else { self.converted(need, value) }
    }

    fn converted(&mut self, need: &'a Need, value: Value) -> Value {
        if self.json(value) == b"null" {
            return Value::Nothing;
        }
        let one = self.only_item(value).filter(|_| need.wanted != Wanted::List).unwrap_or(value);
        if self.json(one) == b"null" {
            return Value::Nothing;
        }
        let first = self.json(one).first().copied();
        let done = match (need.wanted, first) {
            (Wanted::Text, Some(b'"')) | (Wanted::Object, Some(b'{')) => one,
            (Wanted::Text, Some(b'-' | b'0'..=b'9' | b't' | b'f')) => self.text_of(one),
            (Wanted::Number | Wanted::Integer, _) => {
                let number = self.needed_number(one);
                let whole = |number: f64| need.wanted == Wanted::Number || number.fract() == 0.0;
                if self.float(number).is_some_and(whole) { number } else { Value::Nothing }
            }
            (Wanted::Switch, _) => self.needed_switch(one),
            (Wanted::Time, _) => self.needed_time(one),
            (Wanted::List, Some(b'"' | b'-' | b'0'..=b'9' | b't' | b'f')) => self.list_of(one, 1),
            _ => Value::Nothing,
        };
        if done.is_nothing() {
            self.refuse(need, value);
        }
        done
    }

    /// A time in milliseconds. Segment reads dates with the month first, too.
    fn needed_time(&mut self, value: Value) -> Value {
        let write = |at: UnixMillis, out: &mut Vec<u8>| {
            out.extend_from_slice(itoa::Buffer::new().format(at.0).as_bytes());
        };
        let read = self.time_of(value, write);
        if !read.is_nothing() {
            return read;
        }
        let mut spare = String::new();
        match self.text(value, &mut spare).and_then(UnixMillis::parse_month_first) {
            Some(at) => self.make(|_, out| {
                write(at, out);
                true
            }),
            None => Value::Nothing,
        }
    }

    /// The item of a list of one.
    fn only_item(&mut self, list: Value) -> Option<Value> {
        let mut count = 0;
        let mut only = Vec::new();
        self.items(list, &mut |item, _| {
            count += 1;
            if count == 1 {
                only.extend_from_slice(item);
            }
            count == 1
        });
        (count == 1).then(|| self.piece(&only))
    }

    /// The members of an object that are numbers, numeric texts among them as numbers. Another text
    /// sets the event aside; values of other kinds are left out (reference/segment-syft.md 4).
    pub(super) fn needed_numbers(&mut self, value: Value, level: u8) -> Value {
        let object = Object::default();
        let base = self.scratch.pending.len();
        self.spread(&object, &mut Gathering::from(base), 0, value, None);
        for at in base..self.scratch.pending.len() {
            let Some(one) = self.scratch.pending.get(at).copied() else { continue };
            let number = match self.json(one.value).first() {
                Some(b'-' | b'0'..=b'9') => one.value,
                Some(b'"') => {
                    let number = self.number_of(one.value);
                    if number.is_nothing() {
                        let name = String::from_utf8_lossy(self.json(one.name)).into_owned();
                        let message = format!("`{name}` must be a number, and is a text");
                        let stop = Stop::new(Code::WrongKind, message);
                        self.refused.get_or_insert(stop);
                    }
                    number
                }
                _ => Value::Nothing,
            };
            if let Some(one) = self.scratch.pending.get_mut(at) {
                one.alive = one.alive && !number.is_nothing();
                one.value = number;
            }
        }
        self.close_object(&object, base, level)
    }

    fn needed_number(&mut self, value: Value) -> Value {
        match self.json(value).first() {
            Some(b't') => self.keep(b"1"),
            Some(b'f') => self.keep(b"0"),
            _ => self.number_of(value),
        }
    }

    fn needed_switch(&mut self, value: Value) -> Value {
        let json = self.json(value);
        let number = careful::is_number(json).then(|| number::parse(json)).flatten();
        match json {
            b"true" | b"false" => value,
            b"\"true\"" => self.keep(b"true"),
            b"\"false\"" => self.keep(b"false"),
            _ if number == Some(1.0) => self.keep(b"true"),
            _ if number == Some(0.0) => self.keep(b"false"),
            _ => Value::Nothing,
        }
    }

    /// Notes that a value is of the wrong kind. The first one decides.
    fn refuse(&mut self, need: &Need, value: Value) {
        let found = match self.json(value).first() {
            Some(b'{') => "an object",
            Some(b'[') => "a list",
            Some(b'"') => "a text",
            Some(b't' | b'f') => "true or false",
            _ => "a number",
        };
        let wanted = need.wanted.describe();
        let message = format!("`{}` must be {wanted}, and is {found}", need.path);
        self.refused.get_or_insert_with(|| Stop::new(Code::WrongKind, message));
    }
}
