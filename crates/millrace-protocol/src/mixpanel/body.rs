//! From a request to the text of its JSON, in whichever of the forms of Mixpanel's SDKs it comes.
//!
//! The content type says nothing: forms come labelled as plain text
//! (`reference/sdk-wire-formats.md` 1.1). What begins like JSON is JSON; anything else is base64,
//! perhaps with its `+` turned into blanks on the way.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::Options;
use crate::error::DecodeError;
use crate::inflate::{decode_body, is_compressed};
use crate::json::Scanner;
use crate::limits::Limits;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What compressed records within a form may come to. No SDK sends any, and nobody can tell from
/// outside that such a form holds a thousand times its size.
const INNER_BYTES: usize = 2 << 20;

/// A request without its wrapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// What it says beside the records.
    pub options: Options,
    /// True when the records came in a form or in the query, false for a body of JSON: `/import`
    /// answers the two differently (`reference/sdk-wire-formats.md` 7).
    pub is_form: bool,
    /// The text that holds the records: UTF-8, and perhaps JSON.
    pub json: Result<Bytes, DecodeError>,
}

impl Unpacked {
    /// Takes off the wrapping of a request with this query and this body, which was decompressed
    /// before.
    #[must_use]
    pub fn new(query: &str, body: Bytes, limits: &Limits) -> Unpacked {
        let mut options = Options::default();
        let in_query = options.take_in(query.as_bytes());
        let blank = body.trim_ascii().is_empty();
        let (is_form, json) = match body.trim_ascii_start().first() {
            Some(b'{' | b'[') => (false, decode_body(body, "", limits.inflated_bytes)),
            None if blank => {
                (true, in_query.map_or(Err(DecodeError::Empty), |data| plain(data, limits)))
            }
            _ => match options.take_in(&body) {
                Some(data) => (true, form_data(data, &body, limits)),
                // Not a form at all: the base64 alone.
                None => (true, plain(body.to_vec(), limits)),
            },
        };
        Unpacked { options, is_form, json }
    }
}

/// The field `data` of a form. Where a caller has escaped nothing, an `&` of the JSON looks like
/// the end of the field: the bytes behind `data=` are then tried as they are.
fn form_data(data: Vec<u8>, body: &Bytes, limits: &Limits) -> Result<Bytes, DecodeError> {
    let is_json = matches!(data.trim_ascii_start().first(), Some(b'{' | b'['));
    if is_json && Scanner::new(&data).value().is_err() {
        let raw = body.strip_prefix(b"data=").map(|rest| body.slice_ref(rest));
        if let Some(raw) = raw
            && let Some(end) = end_of_value(&raw)
        {
            return decode_body(raw.slice(..end), "", limits.inflated_bytes);
        }
    }
    plain(data, limits)
}

/// Where the first value of these bytes ends.
fn end_of_value(bytes: &[u8]) -> Option<usize> {
    let mut scanner = Scanner::new(bytes);
    scanner.value().ok().map(|value| value.range().end)
}

/// JSON from JSON or from base64 of it.
fn plain(mut data: Vec<u8>, limits: &Limits) -> Result<Bytes, DecodeError> {
    match data.trim_ascii_start().first() {
        None => return Err(DecodeError::Empty),
        Some(b'{' | b'[') => {}
        Some(_) => {
            data.retain(|byte| !matches!(byte, b'\r' | b'\n' | b'\t'));
            for byte in &mut data {
                *byte = match *byte {
                    b' ' | b'-' => b'+',
                    b'_' => b'/',
                    same => same,
                };
            }
            let what = "neither JSON nor base64 of JSON";
            data = BASE64.decode(data).map_err(|_| DecodeError::BadJson { what, at: 0 })?;
        }
    }
    // What came out may be compressed, and is not always valid UTF-8: mixpanel-browser writes
    // characters beyond the first plane as CESU-8 (`reference/sdk-wire-formats.md` 1.9).
    let limit = if is_compressed(&data) {
        limits.inflated_bytes.min(INNER_BYTES)
    } else {
        limits.inflated_bytes
    };
    decode_body(Bytes::from(data), "", limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    const JSON: &str = r#"{"event":"a?b>c~d","properties":{"token":"t","x":"1 + 1 & 2 >>>>>"}}"#;

    fn unpack(query: &str, body: &[u8]) -> (bool, Result<String, DecodeError>) {
        let unpacked = Unpacked::new(query, Bytes::copy_from_slice(body), &Limits::default());
        let json = unpacked.json.map(|json| String::from_utf8(json.to_vec()).unwrap());
        (unpacked.is_form, json)
    }

    fn escaped(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02X}")).collect()
    }

    #[test]
    fn every_wrapping_comes_off() {
        let base64 = STANDARD.encode(JSON);
        assert!(base64.contains('+') && base64.contains('='), "{base64}");
        let bodies = [
            JSON.to_owned(),
            format!("  {JSON}\n"),
            format!("data={}", escaped(JSON)),
            format!("data={}&verbose=1&ip=0", escaped(JSON)),
            format!("verbose=1&data={}", escaped(JSON)),
            format!("data={}", escaped(&base64)),
            format!("data={base64}"),
            format!("data={}&ip=1", base64.replace('+', " ")),
            format!("data={}", URL_SAFE_NO_PAD.encode(JSON)),
            format!("data={}", base64.trim_end_matches('=')),
            base64.clone(),
            format!("data={}", JSON.replace('+', "%2B").replace('&', "%26")),
            format!("data={JSON}"),
            format!("data={JSON}&verbose=1"),
        ];
        for body in bodies {
            let (_, json) = unpack("", body.as_bytes());
            assert_eq!(json.as_deref().map(str::trim), Ok(JSON), "{body}");
        }
        for query in [format!("ip=1&data={}", escaped(&base64)), format!("data={base64}&_=1")] {
            assert_eq!(unpack(&query, b""), (true, Ok(JSON.to_owned())), "{query}");
        }
    }

    #[test]
    fn an_emoji_in_two_halves_is_joined() {
        let cesu = [b"[\"".as_slice(), b"\xed\xa0\xbd\xed\xb0\x8e", b"\"]"].concat();
        let wanted = Ok("[\"\u{1f40e}\"]".to_owned());
        assert_eq!(unpack("", format!("data={}", STANDARD.encode(&cesu)).as_bytes()).1, wanted);
        let percent: String = cesu.iter().map(|byte| format!("%{byte:02x}")).collect();
        assert_eq!(unpack("", format!("data={percent}").as_bytes()).1, wanted);
    }

    #[test]
    fn what_is_nothing_is_said() {
        for (query, body) in [("", ""), ("", " \n"), ("ip=1", ""), ("data=", ""), ("", "data=")] {
            assert_eq!(unpack(query, body.as_bytes()).1, Err(DecodeError::Empty), "{query} {body}");
        }
        for body in ["data=%%%", "verbose=1", "data=a", "hello world!"] {
            let (_, json) = unpack("", body.as_bytes());
            assert!(matches!(json, Err(DecodeError::BadJson { .. })), "{body}: {json:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            query in "[a-z&=%0-9+]{0,40}",
            body in proptest::collection::vec(any::<u8>(), 0..200),
            form in "(data=)?[A-Za-z0-9+/=_ %&{}\\[\\]\":-]{0,80}"
        ) {
            for body in [body.as_slice(), form.as_bytes()] {
                let _ = unpack(&query, body);
            }
        }

        #[test]
        fn every_wrapping_of_any_text_is_inverse(text in "\\{[^\u{0}]{0,80}") {
            let base64 = STANDARD.encode(&text);
            for body in [format!("data={}", escaped(&text)), format!("data={base64}"), base64] {
                // `data=` of half a value is tried raw as well, which changes nothing here.
                prop_assert_eq!(unpack("", body.as_bytes()).1, Ok(text.clone()));
            }
        }
    }
}
