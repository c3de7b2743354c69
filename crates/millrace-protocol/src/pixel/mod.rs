//! Image requests: the query of an address, to one message in canonical JSON.
//!
//! Three forms are told apart by their parameters:
//!
//! | form | how it is known | what it says |
//! | --- | --- | --- |
//! | Segment's | `data` | base64 (URL-safe or not, padded or not) of one JSON message |
//! | Datafly's | `wk`, `e`, `uid`, `aid`, `mid`, `ts`, or a name that begins with `p.` or `t.` | short names |
//! | RudderStack's | anything else | members of the message by dotted path |
//!
//! Invariants: at most [`MAX_PARAMETERS`] parameters are read and no name opens more than
//! [`MAX_PARTS`] levels; names such as `__proto__` are names like all others. Values are texts, since an
//! address has no other kind: the mapping makes numbers of them where it needs some.
//!
//! It does not judge the message: [`Envelope`](crate::segment::Envelope) does, as for every call.

mod members;

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use millrace_model::code::Code;
use millrace_model::event::EventKind;
use millrace_model::secret::Secret;

use crate::inflate::decode_body;
use crate::limits::Limits;
use members::Members;

/// More parameters than this are no pixel.
pub const MAX_PARAMETERS: usize = 256;
/// A dotted name with more parts than this is one name.
pub const MAX_PARTS: usize = 16;

/// URL-safe letters are put in the place of the others first.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Why a pixel gives no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PixelError {
    /// There are too many parameters.
    #[error("the pixel has more than {MAX_PARAMETERS} parameters")]
    TooManyParameters,
    /// `data` is not base64.
    #[error("data is not base64: encode one JSON message, URL-safe")]
    NotBase64,
    /// `data` is base64 of something else.
    #[error("data is not base64 of text within the limits")]
    NotText,
}

impl PixelError {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::BadPixel
    }
}

/// A pixel that was read.
#[derive(Clone, Debug)]
pub struct Pixel {
    /// The message as JSON, for [`Envelope::read`](crate::segment::Envelope::read). A message out of
    /// `data` may hold its write key, and need not be JSON at all.
    pub message: Bytes,
    /// The write key that stands in the query itself.
    pub write_key: Option<Secret>,
}

/// Reads the query of a pixel.
///
/// # Errors
/// When there is no message in it; see [`PixelError`].
pub fn read(kind: EventKind, query: &str, limits: &Limits) -> Result<Pixel, PixelError> {
    let mut parameters = Vec::new();
    for pair in form_urlencoded::parse(query.as_bytes()) {
        if parameters.len() >= MAX_PARAMETERS {
            return Err(PixelError::TooManyParameters);
        }
        parameters.push(pair);
    }
    let write_key = write_key(query);
    if let Some((_, data)) = parameters.iter().rev().find(|(name, _)| name == "data") {
        return Ok(Pixel { message: message_in(data, limits)?, write_key });
    }
    let is_datafly = parameters.iter().any(|(name, _)| is_short(name));
    let mut members = Members::default();
    for (name, value) in &parameters {
        if value.is_empty() || is_key(name) || name == "cb" {
            continue;
        }
        if is_datafly {
            short_member(&mut members, kind, name, value);
        } else {
            members.set(name, value, is_time(name));
        }
    }
    Ok(Pixel { message: Bytes::from(members.to_json()), write_key })
}

/// The write key of a pixel, which stands in its query unless it is within `data`.
#[must_use]
pub fn write_key(query: &str) -> Option<Secret> {
    let found = form_urlencoded::parse(query.as_bytes())
        .take(MAX_PARAMETERS)
        .find(|(name, value)| is_key(name) && !value.is_empty());
    found.map(|(_, value)| Secret::new(value.into_owned()))
}

/// What is kept of a query that gives no message: its parameters without the write key, in their order.
#[must_use]
pub fn kept(query: &str) -> String {
    let key = write_key(query);
    let mut kept = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()).take(MAX_PARAMETERS) {
        if is_key(&name) {
            continue;
        }
        // A message that cannot be read may still hold the key as text.
        let shown = match name.as_ref() {
            "data" => base64_bytes(&value)
                .map_or(value, |bytes| Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())),
            _ => value,
        };
        match &key {
            Some(key) => kept.append_pair(&name, &shown.replace(key.expose(), "****")),
            None => kept.append_pair(&name, &shown),
        };
    }
    kept.finish()
}

fn is_key(name: &str) -> bool {
    name == "wk" || name == "writeKey"
}

fn is_short(name: &str) -> bool {
    matches!(name, "wk" | "e" | "uid" | "aid" | "mid" | "ts")
        || name.starts_with("p.")
        || name.starts_with("t.")
}

fn is_time(name: &str) -> bool {
    matches!(name, "timestamp" | "originalTimestamp" | "sentAt")
}

/// A parameter of Datafly's form (`reference/datafly-adobe.md` 1.2); `gid` and `pid` are our own
/// names for the ids of a group and of an alias, which that form leaves out. Others are skipped.
fn short_member(members: &mut Members, kind: EventKind, name: &str, value: &str) {
    let path = match name {
        "e" if kind == EventKind::Track => "event",
        "e" => "name",
        "uid" => "userId",
        "aid" => "anonymousId",
        "gid" => "groupId",
        "pid" => "previousId",
        "mid" => "messageId",
        "ts" => return members.set("timestamp", value, true),
        _ => {
            if let Some(rest) = name.strip_prefix("p.").filter(|rest| !rest.is_empty()) {
                members.set(&format!("properties.{rest}"), value, false);
            } else if let Some(rest) = name.strip_prefix("t.").filter(|rest| !rest.is_empty()) {
                members.set(&format!("traits.{rest}"), value, false);
            }
            return;
        }
    };
    members.set(path, value, false);
}

fn base64_bytes(data: &str) -> Option<Vec<u8>> {
    let standard: String = data
        .chars()
        .map(|letter| match letter {
            '-' => '+',
            '_' => '/',
            // A plus sign that was not escaped reads as a space.
            ' ' => '+',
            same => same,
        })
        .collect();
    BASE64.decode(standard).ok()
}

fn message_in(data: &str, limits: &Limits) -> Result<Bytes, PixelError> {
    let bytes = base64_bytes(data).ok_or(PixelError::NotBase64)?;
    decode_body(Bytes::from(bytes), "", limits.event_bytes).map_err(|_| PixelError::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(kind: EventKind, query: &str) -> String {
        let pixel = read(kind, query, &Limits::default()).unwrap();
        String::from_utf8(pixel.message.to_vec()).unwrap()
    }

    #[test]
    fn every_form_gives_its_message() {
        let encoded = "eyJ3cml0ZUtleSI6ImsiLCJldmVudCI6IsO8Pz4ifQ";
        let decoded = r#"{"writeKey":"k","event":"ü?>"}"#;
        let table = [
            (
                EventKind::Track,
                "wk=k&e=Opened&uid=u&aid=a&p.a.b=1&p.c=x%20y&t.plan=pro&ts=1763800000000&mid=m&cb=9",
                r#"{"event":"Opened","userId":"u","anonymousId":"a","properties":{"a":{"b":"1"},"c":"x y"},"traits":{"plan":"pro"},"timestamp":1763800000000,"messageId":"m"}"#,
            ),
            (EventKind::Page, "wk=k&e=Home&unknown=1", r#"{"name":"Home"}"#),
            (EventKind::Group, "wk=k&gid=g", r#"{"groupId":"g"}"#),
            (
                EventKind::Track,
                "writeKey=k&userId=u&event=Opened&properties.subject=Hi&context.page.url=https%3A%2F%2Fe.com%2F&timestamp=2026-11-20",
                r#"{"userId":"u","event":"Opened","properties":{"subject":"Hi"},"context":{"page":{"url":"https://e.com/"}},"timestamp":"2026-11-20"}"#,
            ),
            (EventKind::Track, &format!("data={encoded}"), decoded),
            (EventKind::Track, &format!("data={encoded}%3D%3D&userId=ignored"), decoded),
            (EventKind::Track, "", "{}"),
        ];
        for (kind, query, wanted) in table {
            assert_eq!(message(kind, query), wanted, "{query}");
        }
    }

    #[test]
    fn odd_names_are_names() {
        let table = [
            ("properties.__proto__.x=1", r#"{"properties":{"__proto__":{"x":"1"}}}"#),
            ("constructor.prototype=1", r#"{"constructor":{"prototype":"1"}}"#),
            ("a=1&a=2", r#"{"a":"2"}"#),
            ("a=1&a.b=2", r#"{"a":"1","a.b":"2"}"#),
            ("a.b=2&a=1", r#"{"a":{"b":"2"}}"#),
            ("a..b=1&.c=2&d.=3", r#"{"a..b":"1",".c":"2","d.":"3"}"#),
            ("%22%5C%00=1", "{\"\\\"\\\\\\u0000\":\"1\"}"),
        ];
        for (query, wanted) in table {
            assert_eq!(message(EventKind::Track, query), wanted, "{query}");
        }
        let deep = vec!["x"; MAX_PARTS + 1].join(".");
        assert_eq!(
            message(EventKind::Track, &format!("{deep}=1")),
            format!("{{\"{deep}\":\"1\"}}")
        );
    }

    #[test]
    fn what_cannot_be_read_is_told_and_kept_without_the_key() {
        let limits = Limits::default();
        let many = "a=1&".repeat(MAX_PARAMETERS + 1);
        let refused = |query: &str| read(EventKind::Track, query, &limits).err();
        assert_eq!(refused(&many), Some(PixelError::TooManyParameters));
        assert_eq!(refused("data=%25%25"), Some(PixelError::NotBase64));
        assert_eq!(kept("wk=secret&data=%25&e=secret"), "data=%25&e=****");
        // base64 of {"writeKey":"secret"
        assert_eq!(
            kept("writeKey=secret&data=eyJ3cml0ZUtleSI6InNlY3JldCI"),
            "data=%7B%22writeKey%22%3A%22****%22"
        );
        assert_eq!(write_key("a=1&wk=&wk=k").unwrap().expose(), "k");
    }

    proptest! {
        #[test]
        fn no_query_panics_and_every_message_is_json(
            query in "([a-z_.%+=&\"\\\\-]|wk=|data=|p\\.|[0-9]|%[0-9a-f]{2}){0,60}"
        ) {
            let _ = kept(&query);
            if let Ok(pixel) = read(EventKind::Track, &query, &Limits::default())
                && !query.contains("data")
            {
                let json: Result<serde_json::Value, _> = serde_json::from_slice(&pixel.message);
                prop_assert!(json.is_ok_and(|json| json.is_object()), "{query}");
            }
        }

        #[test]
        fn no_text_panics(query in ".{0,200}") {
            let _ = kept(&query);
            let _ = read(EventKind::Page, &query, &Limits::default());
        }
    }
}
