//! Conditions.

use super::Run;
use super::value::Value;
use crate::adobe::compare::Operand;
use crate::plan::node::Test;
use crate::syntax::ast::{Order, TextTest};

impl<'a> Run<'a> {
    /// True when the test holds for the event.
    pub(super) fn holds(&mut self, test: &'a Test) -> bool {
        match test {
            Test::Constant(holds) => *holds,
            Test::Kind(kinds) => kinds.has(self.event.kind),
            Test::Any(parts) => parts.iter().any(|part| self.holds(part)),
            Test::All(parts) => parts.iter().all(|part| self.holds(part)),
            Test::Not(inner) => !self.holds(inner),
            Test::Equal(left, right) => {
                let (left, right) = (self.value(left, 1), self.value(right, 1));
                self.equal(left, right)
            }
            Test::Order { left, order, right } => {
                let (left, right) = (self.value(left, 1), self.value(right, 1));
                let (Some(left), Some(right)) = (self.float(left), self.float(right)) else {
                    return false;
                };
                match order {
                    Order::Less => left < right,
                    Order::LessOrEqual => left <= right,
                    Order::More => left > right,
                    Order::MoreOrEqual => left >= right,
                }
            }
            Test::In(value, list) => {
                let value = self.value(value, 1);
                list.iter().any(|one| {
                    let one = self.value(one, 1);
                    self.equal(value, one)
                })
            }
            Test::Text { test, value, other } => {
                let (value, other) = (self.value(value, 1), self.value(other, 1));
                self.compare_text(*test, value, other)
            }
            Test::Matches(value, pattern) => {
                let value = self.value(value, 1);
                let mut spare = String::new();
                self.text(value, &mut spare).is_some_and(|text| matches(text, pattern))
            }
            Test::Exists(value) => {
                let value = self.value(value, 1);
                !self.is_absent(value)
            }
            Test::UuidShaped(value) => {
                let value = self.value(value, 1);
                let mut spare = String::new();
                self.text(value, &mut spare).is_some_and(is_uuid_shaped)
            }
            Test::True(value) => {
                let value = self.value(value, 1);
                self.json(value) == b"true"
            }
            Test::Compared { operator, left, right } => {
                let (left, right) = (self.value(left, 1), self.value(right, 1));
                operator.holds(&Operand::of(self.json(left)), &Operand::of(self.json(right)))
            }
        }
    }

    /// Nothing equals nothing; texts, numbers and booleans equal their own kind by value; lists
    /// and objects equal nothing at all.
    fn equal(&self, left: Value, right: Value) -> bool {
        let (a, b) = (self.json(left), self.json(right));
        match (a.first(), b.first()) {
            (None | Some(b'n'), None | Some(b'n')) => true,
            (Some(b'"'), Some(b'"')) => {
                let (mut spare, mut other) = (String::new(), String::new());
                self.text(left, &mut spare) == self.text(right, &mut other)
            }
            (Some(b't' | b'f'), Some(b't' | b'f')) => a == b,
            (Some(b'-' | b'0'..=b'9'), Some(b'-' | b'0'..=b'9')) => {
                match (self.float(left), self.float(right)) {
                    (Some(a), Some(b)) => a == b,
                    _ => a == b,
                }
            }
            _ => false,
        }
    }

    fn compare_text(&self, test: TextTest, value: Value, other: Value) -> bool {
        if test == TextTest::Contains && self.json(value).first() == Some(&b'[') {
            return self.list_contains(value, other);
        }
        let (mut spare, mut second) = (String::new(), String::new());
        let (Some(text), Some(other)) =
            (self.text(value, &mut spare), self.text(other, &mut second))
        else {
            return false;
        };
        match test {
            TextTest::Contains => text.contains(other),
            TextTest::StartsWith => text.starts_with(other),
            TextTest::EndsWith => text.ends_with(other),
        }
    }

    /// True when a text is one of the items of a list.
    fn list_contains(&self, list: Value, wanted: Value) -> bool {
        let mut spare = String::new();
        let Some(wanted) = self.text(wanted, &mut spare) else { return false };
        let mut found = false;
        self.items(list, &mut |item, _| {
            if let Some(inner) = item.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""))
            {
                let mut decoded = String::new();
                crate::json::text::decode(inner, &mut decoded);
                found = decoded == wanted;
            }
            !found
        });
        found
    }
}

/// True when the text has the parts of a pattern, in order, with anything in place of the stars.
pub(crate) fn matches(text: &str, pattern: &[String]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return false };
    let Some((last, middle)) = rest.split_last() else { return text == first };
    let Some(mut text) = text.strip_prefix(first.as_str()) else { return false };
    for part in middle {
        // The earliest place is the best one: it leaves the most for the parts behind.
        let Some((_, behind)) = text.split_once(part.as_str()) else { return false };
        text = behind;
    }
    text.ends_with(last.as_str())
}

/// True for 32 hexadecimal digits in the five groups of a UUID.
pub(crate) fn is_uuid_shaped(text: &str) -> bool {
    text.len() == 36
        && text.bytes().zip(0..).all(|(b, at)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}
