//! The operators of Adobe's "Value Comparison", with their coercions (reference/datafly-adobe.md
//! 2.1). There are 18 of them. The eight negations are `not` of one of these, "is true" and "is
//! false" exist in the language already, and the rest is here.
//!
//! What the vendor leaves to JavaScript (`==`, truthiness, numbers as texts) is what ECMAScript
//! says. One thing it leaves open: a blank text stands for no number here, though a script would
//! take it for 0 when it compares by size. Two lists or objects are never equal: a script asks
//! whether they are one and the same, which values of two fields never are.

use std::borrow::Cow;

use super::pattern::Pattern;
use crate::json::cursor::{Cursor, DEPTH_LIMIT};
use crate::json::{number, text};

/// A comparison of two values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operator {
    /// `==` of JavaScript.
    Equal,
    Contains,
    StartsWith,
    EndsWith,
    Matches(Pattern),
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// The left value alone.
    Truthy,
}

/// A value as a comparison sees it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Operand<'a> {
    /// Absent or null.
    Nothing,
    Bool(bool),
    Number(f64),
    Text(Cow<'a, str>),
    /// The JSON of a list or an object.
    Group(&'a [u8]),
}

impl<'a> Operand<'a> {
    /// The value of this JSON; empty JSON is nothing.
    pub(crate) fn of(json: &'a [u8]) -> Operand<'a> {
        match json {
            [b'"', inner @ .., b'"'] => Operand::Text(unescaped(inner)),
            [b'{' | b'[', ..] => Operand::Group(json),
            b"true" => Operand::Bool(true),
            b"false" => Operand::Bool(false),
            [b'-' | b'0'..=b'9', ..] => {
                number::parse(json).map_or(Operand::Nothing, Operand::Number)
            }
            _ => Operand::Nothing,
        }
    }

    /// The text of a text or a number; none for others.
    fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Operand::Text(text) => Some(Cow::Borrowed(text)),
            Operand::Number(number) => Some(Cow::Owned(number_text(*number))),
            Operand::Nothing | Operand::Bool(_) | Operand::Group(_) => None,
        }
    }

    /// The number of a number or of a text that represents one; none for others.
    fn number(&self) -> Option<f64> {
        match self {
            Operand::Number(number) => Some(*number),
            Operand::Text(text) => text_number(text),
            Operand::Nothing | Operand::Bool(_) | Operand::Group(_) => None,
        }
    }

    fn is_truthy(&self) -> bool {
        match self {
            Operand::Nothing => false,
            Operand::Bool(on) => *on,
            Operand::Number(number) => *number != 0.0,
            Operand::Text(text) => !text.is_empty(),
            Operand::Group(_) => true,
        }
    }
}

fn unescaped(inner: &[u8]) -> Cow<'_, str> {
    if memchr::memchr(b'\\', inner).is_none() {
        return Cow::Borrowed(std::str::from_utf8(inner).unwrap_or_default());
    }
    let mut decoded = String::new();
    text::decode(inner, &mut decoded);
    Cow::Owned(decoded)
}

impl Operator {
    /// Whether the comparison holds. `Truthy` and `Matches` do not look at the right value.
    pub(crate) fn holds(&self, left: &Operand<'_>, right: &Operand<'_>) -> bool {
        let texts = |holds: fn(&str, &str) -> bool| match (left.text(), right.text()) {
            (Some(left), Some(right)) => holds(&left, &right),
            _ => false,
        };
        let numbers = |holds: fn(&f64, &f64) -> bool| match (left.number(), right.number()) {
            (Some(left), Some(right)) => holds(&left, &right),
            _ => false,
        };
        match self {
            Operator::Equal => equal(left, right),
            Operator::Contains => texts(|left, right| left.contains(right)),
            Operator::StartsWith => texts(|left, right| left.starts_with(right)),
            Operator::EndsWith => texts(|left, right| left.ends_with(right)),
            Operator::Matches(pattern) => left.text().is_some_and(|text| pattern.is_in(&text)),
            Operator::Less => numbers(|left, right| left < right),
            Operator::LessOrEqual => numbers(|left, right| left <= right),
            Operator::Greater => numbers(|left, right| left > right),
            Operator::GreaterOrEqual => numbers(|left, right| left >= right),
            Operator::Truthy => left.is_truthy(),
        }
    }
}

/// The loose equality of ECMAScript: nothing equals nothing; a boolean counts as 0 or 1, a text
/// beside a number as its number, a list or an object beside a scalar as its text.
fn equal(left: &Operand<'_>, right: &Operand<'_>) -> bool {
    match (left, right) {
        (Operand::Nothing, Operand::Nothing) => true,
        (Operand::Nothing, _) | (_, Operand::Nothing) => false,
        (Operand::Group(_), Operand::Group(_)) => false,
        (Operand::Text(left), Operand::Text(right)) => left == right,
        (Operand::Group(json), scalar) | (scalar, Operand::Group(json)) => {
            let mut text = String::new();
            group_text(json, &mut text);
            equal(&Operand::Text(Cow::Owned(text)), scalar)
        }
        (left, right) => match (as_number(left), as_number(right)) {
            (Some(left), Some(right)) => left == right,
            _ => false,
        },
    }
}

/// The number that a scalar stands for beside a number or a boolean.
fn as_number(value: &Operand<'_>) -> Option<f64> {
    match value {
        Operand::Number(number) => Some(*number),
        Operand::Bool(on) => Some(f64::from(u8::from(*on))),
        Operand::Text(text) if text.trim().is_empty() => Some(0.0),
        Operand::Text(text) => text_number(text),
        Operand::Nothing | Operand::Group(_) => None,
    }
}

/// The number that a text represents: decimal with a sign, a fraction and an exponent, without a
/// sign also in base 2, 8 or 16, and `Infinity`. None for a blank one.
fn text_number(text: &str) -> Option<f64> {
    let text = text.trim();
    for (prefixes, base) in [(["0x", "0X"], 16), (["0o", "0O"], 8), (["0b", "0B"], 2)] {
        if let Some(digits) = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) {
            return whole(digits, base);
        }
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned == "Infinity" {
        return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    // What Rust reads beside that is `inf` and `nan`, which begin with letters.
    let numeric = unsigned.starts_with(|c: char| c == '.' || c.is_ascii_digit());
    if numeric { text.parse().ok() } else { None }
}

/// The number of digits in a base; none when there are none, or others.
fn whole(digits: &str, base: u32) -> Option<f64> {
    if digits.is_empty() {
        return None;
    }
    digits.chars().try_fold(0.0, |number, digit| {
        Some(number * f64::from(base) + f64::from(digit.to_digit(base)?))
    })
}

/// The text of a number, as a script writes it: without an exponent from 1e-6 up to 1e21.
fn number_text(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 {
        return "0".to_owned();
    }
    if size.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    if (1e-6..1e21).contains(&size) {
        return number.to_string();
    }
    let text = format!("{number:e}");
    if size < 1.0 { text } else { text.replace('e', "e+") }
}

/// The text of a list or an object, as a script writes it: the items with commas between them,
/// null as nothing, an object as a word.
fn group_text(json: &[u8], out: &mut String) {
    if json.first() != Some(&b'[') {
        out.push_str("[object Object]");
        return;
    }
    // How deep this goes is bounded by the scan of the event.
    let mut cursor = Cursor::new(json);
    let mut more = cursor.open(b']');
    let mut first = true;
    while more {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        let start = cursor.at;
        let Ok(_) = cursor.skip(DEPTH_LIMIT) else { return };
        match Operand::of(json.get(start..cursor.at).unwrap_or_default()) {
            Operand::Nothing => {}
            Operand::Bool(on) => out.push_str(if on { "true" } else { "false" }),
            Operand::Number(number) => out.push_str(&number_text(number)),
            Operand::Text(text) => out.push_str(&text),
            Operand::Group(inner) => group_text(inner, out),
        }
        more = cursor.more(b']').unwrap_or(false);
    }
}
