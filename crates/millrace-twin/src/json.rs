//! Reading JSON without building trees: objects as lists of borrowed members, arrays as lists of
//! borrowed items, single values as text.
//!
//! Ingestion handles tens of thousands of events a second, so an event is scanned once and its
//! values stay raw text. Nothing here knows what the members mean.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::limits;

/// The members of an object in their order; of a name that stands twice the last one counts.
#[derive(Debug, Default)]
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Members<'a> {
    /// Scans an object; `None` when the text is something else.
    pub(crate) fn scan(text: &'a str) -> Option<Members<'a>> {
        serde_json::from_str(text).ok()
    }

    /// The raw value of a member.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, raw)| *raw)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Scan;
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

        impl<'de> Visitor<'de> for Scan {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(32);
                while let Some((Name(name), raw)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    members.push((name, raw.get()));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Scan)
    }
}

/// One item of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// The text of one JSON value.
    Text(&'a str),
    /// The bytes of one value that are not valid UTF-8.
    NotUtf8(&'a [u8]),
    /// A line of NDJSON that is not JSON.
    NotJson,
}

/// The items of a JSON body: those of its array, or the one object that it is; at most one more
/// than a request may have.
///
/// `None` when the body is neither. One item with broken UTF-8 does not spoil the others.
pub(crate) fn items(body: &[u8]) -> Option<Vec<Item<'_>>> {
    let body = body.trim_ascii();
    match (body.first(), std::str::from_utf8(body)) {
        (Some(b'['), Ok(text)) => {
            serde_json::from_str::<Elements<'_>>(text).ok().map(|Elements(items)| items)
        }
        (Some(b'{'), Ok(text)) => {
            let value: &RawValue = serde_json::from_str(text).ok()?;
            Some(vec![Item::Text(value.get())])
        }
        (Some(b'['), Err(_)) => split_bytes(body),
        (Some(b'{'), Err(_)) => Some(vec![Item::NotUtf8(body)]),
        _ => None,
    }
}

/// The items of an array. Of more than a request may have, one is kept as proof of it.
struct Elements<'a>(Vec<Item<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(raw) = seq.next_element::<&'de RawValue>()? {
                    if items.len() <= limits::RECORDS {
                        items.push(Item::Text(raw.get()));
                    }
                }
                Ok(Elements(items))
            }
        }

        deserializer.deserialize_seq(Collect)
    }
}

/// The items of an NDJSON body: one a line, blank lines left out.
pub(crate) fn lines(body: &[u8]) -> Vec<Item<'_>> {
    body.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .take(limits::RECORDS + 1)
        .map(|line| match std::str::from_utf8(line) {
            Ok(text) => match serde_json::from_str::<&RawValue>(text) {
                Ok(value) => Item::Text(value.get()),
                Err(_) => Item::NotJson,
            },
            Err(_) => Item::NotUtf8(line),
        })
        .collect()
}

/// Splits an array whose text is not valid UTF-8 somewhere, by brackets and quotes alone.
fn split_bytes(body: &[u8]) -> Option<Vec<Item<'_>>> {
    let inner = body.strip_prefix(b"[")?.strip_suffix(b"]")?;
    let (mut depth, mut in_string, mut escaped) = (0_u32, false, false);
    let separates = |byte: &u8| {
        if in_string {
            match *byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            return false;
        }
        match *byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            b',' => return depth == 0,
            _ => {}
        }
        false
    };
    let parts = inner.split(separates).map(<[u8]>::trim_ascii).take(limits::RECORDS + 1);
    parts
        .map(|part| match std::str::from_utf8(part) {
            Ok(text) => serde_json::from_str::<&RawValue>(text).ok().map(|v| Item::Text(v.get())),
            Err(_) => Some(Item::NotUtf8(part)),
        })
        .collect()
}

/// The text of a raw string value; `None` for other values and for text that is not Unicode.
pub(crate) fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// An id as text: strings as they are, numbers and booleans as they are written; `None` for null,
/// lists and objects.
pub(crate) fn id_text(raw: &str) -> Option<Cow<'_, str>> {
    match raw.as_bytes().first()? {
        b'"' => string(raw),
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(raw)),
    }
}

/// A finite number, written as a number or as a numeric string.
pub(crate) fn number(raw: &str) -> Option<f64> {
    let text = if raw.starts_with('"') { string(raw)? } else { Cow::Borrowed(raw) };
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}

/// Whether a flag is on: `true`, a number other than zero, or the text `1` or `true`.
pub(crate) fn flag(raw: Option<&str>) -> bool {
    match raw {
        None => false,
        Some(raw) => {
            matches!(raw, "true" | "\"true\"") || number(raw).is_some_and(|number| number != 0.0)
        }
    }
}

/// The start of a text, at most this many characters.
pub(crate) fn cut_chars(text: &str, most: usize) -> &str {
    if text.len() <= most {
        return text;
    }
    match text.char_indices().nth(most) {
        Some((at, _)) => text.get(..at).unwrap_or(text),
        None => text,
    }
}

/// The start of a text, at most this many bytes, ending with a whole character.
pub(crate) fn cut_bytes(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}

/// Appends a value as JSON.
pub(crate) fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // Writing to a Vec cannot fail, and only texts, numbers and trees of them come here.
    if serde_json::to_writer(&mut *out, value).is_err() {
        out.extend_from_slice(b"null");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_object_is_scanned_in_order_and_the_last_of_a_name_counts() {
        let members = Members::scan(r#"{"a":1,"b\u0041":[1, 2],"a":"x"}"#).unwrap();
        let names: Vec<&str> = members.0.iter().map(|(name, _)| name.as_ref()).collect();
        assert_eq!(names, ["a", "bA", "a"]);
        assert_eq!(members.get("a"), Some("\"x\""));
        assert_eq!(members.get("bA"), Some("[1, 2]"));
        assert!(Members::scan("[1]").is_none());
    }

    #[test]
    fn broken_utf8_spoils_one_item_only() {
        let body = b"[{\"a\":\"\\\"],\"}, {\"b\":\"\xff,\"},{\"c\":[1,{}]}]";
        let found = items(body).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], Item::Text(r#"{"a":"\"],"}"#));
        assert_eq!(found[1], Item::NotUtf8(b"{\"b\":\"\xff,\"}"));
        assert_eq!(found[2], Item::Text(r#"{"c":[1,{}]}"#));
    }

    #[test]
    fn bodies_that_are_no_records_are_none() {
        for body in [&b""[..], b"  ", b"1", b"\"x\"", b"[1,", b"{", b"\xff", b"[\xff"] {
            assert_eq!(items(body), None, "{body:?}");
        }
        assert_eq!(items(b" [] "), Some(vec![]));
        assert_eq!(
            lines(b"{}\n\n {\"a\":1}\r\n{"),
            [Item::Text("{}"), Item::Text("{\"a\":1}"), Item::NotJson]
        );
    }

    #[test]
    fn single_values() {
        assert_eq!(string(r#""a\u00e9""#).as_deref(), Some("aé"));
        assert_eq!(string(r#""\ud800""#), None);
        assert_eq!(string("1"), None);
        assert_eq!(id_text("12").as_deref(), Some("12"));
        assert_eq!(id_text("null"), None);
        assert_eq!(number("\" 1.5 \""), Some(1.5));
        assert_eq!(number("\"inf\""), None);
        assert_eq!(number("1e999"), None);
        assert!(flag(Some("1")) && flag(Some("true")) && !flag(Some("0")) && !flag(None));
        assert_eq!(cut_chars("äöü", 2), "äö");
        assert_eq!(cut_bytes("äöü", 3), "ä");
    }

    proptest! {
        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = items(&body);
            let _ = lines(&body);
        }

        #[test]
        fn the_splitter_agrees_with_the_parser(values in proptest::collection::vec(".*", 0..6)) {
            let texts: Vec<String> =
                values.iter().map(|v| serde_json::json!({ "k": [v] }).to_string()).collect();
            let body = format!("[{}]", texts.join(" , "));
            prop_assume!(!texts.is_empty());
            let expected: Vec<Item<'_>> = texts.iter().map(|text| Item::Text(text)).collect();
            prop_assert_eq!(split_bytes(body.as_bytes()), Some(expected));
        }
    }
}
