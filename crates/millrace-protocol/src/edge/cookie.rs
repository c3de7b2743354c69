//! Cookies that hold ids: Mixpanel's own of a page, and Adobe's identity cookie. Pure text in, ids
//! out; what cannot be read is nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::json::{Scanner, Span, name, text};

/// Longer values are not read. Browsers keep about 4 KiB of a cookie.
const VALUE_LIMIT: usize = 8 << 10;

/// Longer ids are no ids: Mixpanel keeps 255 bytes (`reference/mixpanel-api.md` 2.3).
const ID_LIMIT: usize = 255;

/// An ECID has 38 digits (`reference/sdk-wire-formats.md` 8).
const ECID_DIGITS: usize = 38;

/// The ids in the cookie that Mixpanel's browser SDK keeps on a page.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MixpanelCookie {
    /// Who the visitor is at the moment; `$device:` and the device id before a sign-in.
    pub distinct_id: Option<String>,
    /// The device, from `$device_id`.
    pub device_id: Option<String>,
    /// The user, from `$user_id`; absent before a sign-in.
    pub user_id: Option<String>,
}

impl MixpanelCookie {
    /// The project token in the name of such a cookie, `mp_<token>_mixpanel`; none for others.
    #[must_use]
    pub fn token(name: &str) -> Option<&str> {
        name.strip_prefix("mp_")?.strip_suffix("_mixpanel").filter(|token| !token.is_empty())
    }

    /// Reads the value of such a cookie: a JSON object, URL-encoded as the SDK writes it or plain.
    /// None when it holds no id.
    #[must_use]
    pub fn parse(value: &str) -> Option<MixpanelCookie> {
        if value.len() > VALUE_LIMIT {
            return None;
        }
        let json = String::from_utf8(unescaped(value.trim().as_bytes())).ok()?;
        let json = json.as_bytes();
        let mut cookie = MixpanelCookie::default();
        let mut scanner = Scanner::new(json);
        if scanner.peek() != Some(b'{') {
            return None;
        }
        scanner.enter().ok()?;
        let mut first = true;
        while let Some(key) = scanner.next_key(&mut first).ok()? {
            let value = scanner.value().ok()?;
            match name(key.of(json)).as_ref() {
                b"distinct_id" => cookie.distinct_id = id(json, value),
                b"$device_id" => cookie.device_id = id(json, value),
                b"$user_id" => cookie.user_id = id(json, value),
                _ => {}
            }
        }
        scanner.end().ok()?;
        (cookie != MixpanelCookie::default()).then_some(cookie)
    }
}

/// The text of an id: a text or a number that can be one.
fn id(json: &[u8], value: Span) -> Option<String> {
    let id = match value.of(json) {
        raw @ [b'"', ..] => text(raw)?.into_owned(),
        number @ [b'-' | b'0'..=b'9', ..] => String::from_utf8_lossy(number).into_owned(),
        _ => return None,
    };
    (!id.trim().is_empty() && id.len() <= ID_LIMIT).then_some(id)
}

/// The bytes of a text in which `%` and two hexadecimal digits stand for a byte. A `%` without them
/// stands for itself.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let pair = digit(text.get(at + 1)).zip(digit(text.get(at + 2)));
        match pair.filter(|_| *byte == b'%').map(|(high, low)| u8::try_from(high * 16 + low)) {
            Some(Ok(escaped)) => {
                out.push(escaped);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    out
}

/// True for the name of Adobe's identity cookie, `kndctr_<organisation>_identity`.
#[must_use]
pub fn is_identity_cookie(name: &str) -> bool {
    name.starts_with("kndctr_") && name.ends_with("_identity")
}

/// The ECID in the value of Adobe's identity cookie: base64url of a message whose field 1 it is.
/// None for anything else.
#[must_use]
pub fn ecid_of_cookie(value: &str) -> Option<String> {
    if value.len() > VALUE_LIMIT {
        return None;
    }
    let message = URL_SAFE_NO_PAD.decode(value.trim_end_matches('=')).ok()?;
    let ecid = message.strip_prefix(&[0x0a, 0x26])?.get(..ECID_DIGITS)?;
    let digits = ecid.iter().all(u8::is_ascii_digit);
    String::from_utf8(ecid.to_vec()).ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_cookie_of_the_browser_sdk_is_read() {
        let some = |text: &str| Some(text.to_owned());
        for (value, wanted) in [
            (
                "%7B%22distinct_id%22%3A%20%22%24device%3Ad-1%22%2C%22%24device_id%22%3A%20%22d-1%22%2C%22%24initial_referrer%22%3A%20%22%24direct%22%7D",
                Some((some("$device:d-1"), some("d-1"), None)),
            ),
            (
                r#"{"distinct_id": "u\u00e4", "$device_id": "d", "$user_id": 7, "__mps": {"a": [1]}}"#,
                Some((some("u\u{e4}"), some("d"), some("7"))),
            ),
            ("%7B%22distinct_id%22%3A%22100%25%22%7D", Some((some("100%"), None, None))),
            ("%7B%22distinct_id%22%3A%22%22%7D", None),
            ("%7B%7D", None),
            ("%7B%22distinct_id%22%3A%22d%22", None),
            ("%7B%22distinct_id%22%3A%22%ff%22%7D", None),
            ("null", None),
            ("", None),
        ] {
            let read = MixpanelCookie::parse(value);
            let read = read.map(|cookie| (cookie.distinct_id, cookie.device_id, cookie.user_id));
            assert_eq!(read, wanted, "{value}");
        }
        let long = format!("{{\"distinct_id\":\"{}\"}}", "x".repeat(300));
        assert_eq!(MixpanelCookie::parse(&long), None);
        assert_eq!(MixpanelCookie::parse(&" ".repeat(VALUE_LIMIT + 1)), None);
    }

    #[test]
    fn names_of_cookies_are_known() {
        assert_eq!(MixpanelCookie::token("mp_0123abc_mixpanel"), Some("0123abc"));
        for other in ["mp__mixpanel", "mp_abc", "abc_mixpanel", "mp_mixpanel", ""] {
            assert_eq!(MixpanelCookie::token(other), None, "{other}");
        }
        assert!(is_identity_cookie("kndctr_FAKEORG0001_AdobeOrg_identity"));
        assert!(!is_identity_cookie("kndctr_FAKEORG0001_AdobeOrg_cluster"));
    }

    #[test]
    fn the_ecid_is_field_one() {
        let ecid = "31415926535897932384626433832795028841";
        let value = "CiYzMTQxNTkyNjUzNTg5NzkzMjM4NDYyNjQzMzgzMjc5NTAyODg0MQ";
        assert_eq!(ecid_of_cookie(value).as_deref(), Some(ecid));
        // What follows the field is not looked at.
        let more = URL_SAFE_NO_PAD.encode([b"\n&", ecid.as_bytes(), b"\x10\x01"].concat());
        assert_eq!(ecid_of_cookie(&more).as_deref(), Some(ecid));
        for other in ["", "CiYz", "!!", "e30"] {
            assert_eq!(ecid_of_cookie(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_value_panics(value in ".{0,200}", bytes in "[%0-9a-f{}\":,$_idct]{0,80}") {
            for value in [&value, &bytes] {
                let _ = (MixpanelCookie::parse(value), ecid_of_cookie(value), MixpanelCookie::token(value));
            }
        }

        #[test]
        fn what_an_sdk_writes_is_read(id in "[^\"\\\\\u{0}-\u{1f}]{1,40}") {
            prop_assume!(!id.trim().is_empty() && id.len() <= ID_LIMIT);
            let json = serde_json::json!({"distinct_id": id, "x": [id, {"distinct_id": 1}]}).to_string();
            let encoded: String = json.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let read = MixpanelCookie::parse(&encoded).and_then(|cookie| cookie.distinct_id);
            prop_assert_eq!(read, Some(id));
        }
    }
}
