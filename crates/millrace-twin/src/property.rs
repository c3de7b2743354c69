//! One property value against the limits of its place: kept as it is, trimmed, or faulty.
//!
//! Almost every value is a short scalar and is passed on as the raw text it came in. Only lists,
//! objects, long strings and escapes are looked into.

use std::borrow::Cow;

use serde_json::Value;

use crate::json;
use crate::limits;

/// What to do with a value that breaks a limit which has no defined trimming under `strict`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    /// Report it.
    Refuse,
    /// Leave out what is too much.
    Trim,
}

/// What is wrong with a value: the end of the sentence "`name` is invalid: ...".
pub(crate) type Fault = &'static str;

pub(crate) const NOT_UTF8: Fault = "string should be valid utf8";
const NOT_FINITE: Fault = "number is out of range";
const TOO_DEEP: Fault = "object is nested too deeply";
const TOO_MANY_KEYS: Fault = "nested object must have fewer than 255 keys";
const TOO_MANY_ITEMS: Fault = "array must have fewer than 255 items";
const TOO_LARGE: Fault = "list or object is too large";

/// How strings are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// After 255 characters: events.
    Characters,
    /// After 255 bytes: profiles.
    Bytes,
}

impl Cut {
    fn apply(self, text: &str) -> &str {
        match self {
            Cut::Characters => json::cut_chars(text, limits::TEXT),
            Cut::Bytes => json::cut_bytes(text, limits::TEXT),
        }
    }
}

/// Checks the raw value of an event property.
///
/// `Ok(None)`: under [`Excess::Trim`] nothing of it can be kept.
pub(crate) fn event_value(raw: &str, excess: Excess) -> Result<Option<Cow<'_, str>>, Fault> {
    match raw.as_bytes().first() {
        Some(b'"') => short_string(raw),
        Some(b'{' | b'[') => match container(raw, excess) {
            Ok(kept) => Ok(kept),
            Err(_) if excess == Excess::Trim => Ok(None),
            Err(fault) => Err(fault),
        },
        Some(b'-' | b'0'..=b'9') if raw.len() > 17 && json::number(raw).is_none() => match excess {
            Excess::Refuse => Err(NOT_FINITE),
            Excess::Trim => Ok(None),
        },
        Some(b'-' | b'0'..=b'9') if raw.contains(['e', 'E']) && json::number(raw).is_none() => {
            match excess {
                Excess::Refuse => Err(NOT_FINITE),
                Excess::Trim => Ok(None),
            }
        }
        _ => Ok(Some(Cow::Borrowed(raw))),
    }
}

/// Cuts a raw string where it is too long; refuses escapes that are no Unicode.
fn short_string(raw: &str) -> Result<Option<Cow<'_, str>>, Fault> {
    if raw.len() <= limits::TEXT + 2 && !raw.contains("\\u") {
        return Ok(Some(Cow::Borrowed(raw)));
    }
    let text = json::string(raw).ok_or(NOT_UTF8)?;
    let cut = Cut::Characters.apply(&text);
    if cut.len() == text.len() {
        return Ok(Some(Cow::Borrowed(raw)));
    }
    let mut out = Vec::new();
    json::write(&mut out, cut);
    Ok(String::from_utf8(out).ok().map(Cow::Owned))
}

fn container(raw: &str, excess: Excess) -> Result<Option<Cow<'_, str>>, Fault> {
    if raw.len() > limits::EVENT_VALUE_BYTES {
        return Err(TOO_LARGE);
    }
    let mut value: Value = serde_json::from_str(raw).map_err(|error| {
        if error.to_string().contains("recursion") { TOO_DEEP } else { NOT_UTF8 }
    })?;
    let changed = fit(&mut value, 1, excess, Cut::Characters)?;
    Ok(Some(if changed { Cow::Owned(value.to_string()) } else { Cow::Borrowed(raw) }))
}

/// Checks a value of a profile operator and trims its strings.
pub(crate) fn profile_value(value: &mut Value) -> Result<(), Fault> {
    match value {
        Value::Array(_) | Value::Object(_) => {
            fit(value, 1, Excess::Refuse, Cut::Bytes)?;
            let size = value.to_string().len();
            if size > limits::PROFILE_VALUE_BYTES { Err(TOO_LARGE) } else { Ok(()) }
        }
        Value::String(_) => fit(value, 1, Excess::Refuse, Cut::Bytes).map(|_changed| ()),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// Brings a tree within the limits; says whether anything was changed. The recursion is bounded by
/// the parser that made the tree (128 levels).
fn fit(value: &mut Value, depth: usize, excess: Excess, cut: Cut) -> Result<bool, Fault> {
    let mut changed = false;
    match value {
        Value::String(text) => {
            let kept = cut.apply(text).len();
            if kept < text.len() {
                text.truncate(kept);
                changed = true;
            }
        }
        Value::Array(items) => {
            if items.len() >= limits::MEMBERS {
                if excess == Excess::Refuse && cut == Cut::Characters {
                    return Err(TOO_MANY_ITEMS);
                }
                if cut == Cut::Characters {
                    items.truncate(limits::MEMBERS - 1);
                    changed = true;
                }
            }
            for item in items {
                changed |= fit(item, depth, excess, cut)?;
            }
        }
        Value::Object(members) => {
            if depth > limits::DEPTH {
                return Err(TOO_DEEP);
            }
            if members.len() >= limits::MEMBERS {
                if excess == Excess::Refuse {
                    return Err(TOO_MANY_KEYS);
                }
                let extra: Vec<String> =
                    members.keys().skip(limits::MEMBERS - 1).cloned().collect();
                for name in extra {
                    members.remove(&name);
                }
                changed = true;
            }
            for (_, member) in members.iter_mut() {
                changed |= fit(member, depth + 1, excess, cut)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth))
    }

    #[test]
    fn values_within_the_limits_stay_as_they_are() {
        let list = format!("[{}]", vec!["1"; 254].join(","));
        for raw in ["1", "-1.50", "true", "null", "\"x\"", "[ 1, 2 ]", &nested(3), &list, "1e3"] {
            for excess in [Excess::Refuse, Excess::Trim] {
                assert_eq!(event_value(raw, excess), Ok(Some(Cow::Borrowed(raw))), "{raw}");
            }
        }
    }

    #[test]
    fn strings_are_cut_to_255_characters() {
        let long = format!("\"{}\"", "é".repeat(300));
        let kept = event_value(&long, Excess::Refuse).unwrap().unwrap();
        assert_eq!(kept.chars().count(), 255 + 2);
        let inside = format!("[\"{}\"]", "x".repeat(300));
        assert_eq!(event_value(&inside, Excess::Refuse).unwrap().unwrap().len(), 255 + 4);
    }

    #[test]
    fn what_is_too_much_is_refused_or_trimmed() {
        let list = format!("[{}]", vec!["1"; 255].join(","));
        let keys: Vec<String> = (0..255).map(|n| format!("\"k{n:03}\":1")).collect();
        let keys = format!("{{{}}}", keys.join(","));
        let large = format!(
            "[{}]",
            vec!["\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\""; 200].join(",")
        );
        let deep = nested(200);
        for (raw, fault, trimmed) in [
            (nested(4), TOO_DEEP, false),
            (deep, TOO_DEEP, false),
            (list, TOO_MANY_ITEMS, true),
            (keys, TOO_MANY_KEYS, true),
            (large, TOO_LARGE, false),
            ("1e999".to_owned(), NOT_FINITE, false),
            ("9".repeat(400), NOT_FINITE, false),
        ] {
            assert_eq!(event_value(&raw, Excess::Refuse), Err(fault), "{raw}");
            let kept = event_value(&raw, Excess::Trim).unwrap();
            assert_eq!(kept.is_some(), trimmed, "{raw}");
        }
        assert_eq!(event_value("\"\\ud800\"", Excess::Trim), Err(NOT_UTF8));
    }

    #[test]
    fn profile_strings_are_cut_by_bytes() {
        let mut value = Value::String("é".repeat(200));
        profile_value(&mut value).unwrap();
        assert_eq!(value.as_str().unwrap().len(), 254);
    }
}
