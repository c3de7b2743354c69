//! Every form in which Mixpanel's clients send records (reference/mixpanel-api.md 2.2), down to
//! the bytes of JSON inside.
//!
//! Forms are told apart by their first byte rather than by their content type: browsers send forms
//! as `text/plain` and people send JSON as whatever their tool says. Only NDJSON needs its type.
//! Nothing here interprets the JSON. Every size is bounded.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};

use crate::limits;

/// Standard alphabet; padding may be there or not, and spare bits are forgiven.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Why a body has no records to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// More bytes than the limit.
    TooLarge,
    /// Said to be gzip, but is not, or breaks off.
    BadGzip,
    /// No body and no `data` parameter.
    NoData,
    /// `data` is neither JSON nor base64 of it.
    BadData,
}

impl BodyError {
    /// The words of the answer.
    pub(crate) fn text(self) -> &'static str {
        match self {
            BodyError::TooLarge => "request exceeds max limit of 10485760 bytes",
            BodyError::BadGzip => "request body is not valid gzip",
            BodyError::NoData => "no data, send a JSON body or a data parameter",
            BodyError::BadData => "data, could not be decoded as JSON or base64",
        }
    }
}

/// The parameters of a request: those of the query string, then those of the form.
#[derive(Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// The parameters of a query string or of a form.
    pub(crate) fn parse(text: &[u8]) -> Params {
        let mut params = Params::default();
        params.extend(text);
        params
    }

    fn extend(&mut self, text: &[u8]) {
        let pairs = text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        for pair in pairs.take(limits::MEMBERS) {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = form_text(halves.next().unwrap_or_default());
            let value = form_text(halves.next().unwrap_or_default());
            self.0.push((name, value));
        }
    }

    /// A parameter's value; the query wins over the form.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a 0/1 parameter is on: anything but absent, empty, `0` and `false`. `verbose=2` and
    /// `verbose=true` are seen.
    pub(crate) fn on(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !matches!(value, "" | "0" | "false"))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(key, _)| key == name)?;
        Some(self.0.swap_remove(at).1)
    }
}

fn form_text(encoded: &[u8]) -> String {
    let spaced: Vec<u8> =
        encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let decoded: Vec<u8> = percent_encoding::percent_decode(&spaced).collect();
    String::from_utf8(decoded)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Takes the JSON bytes out of a request and adds the form's fields to the parameters.
pub(crate) fn open(
    params: &mut Params,
    gzip_said: bool,
    body: Vec<u8>,
) -> Result<Vec<u8>, BodyError> {
    let zipped = gzip_said || body.starts_with(&[0x1f, 0x8b]);
    let body = if zipped && !body.is_empty() { inflate(&body)? } else { body };
    let json = match body.trim_ascii_start().first() {
        Some(b'{' | b'[') => body,
        first => {
            if first.is_some() {
                params.extend(&body);
            }
            let data = params.take("data").ok_or(BodyError::NoData)?;
            if data.trim_ascii_start().starts_with(['{', '[']) {
                data.into_bytes()
            } else {
                from_base64(&data).ok_or(BodyError::BadData)?
            }
        }
    };
    if json.len() > limits::BODY_BYTES { Err(BodyError::TooLarge) } else { Ok(joined(json)) }
}

/// Puts characters beyond U+FFFF together that arrive as two surrogates of three bytes each:
/// mixpanel-browser encodes its text so before base64 (sdk-wire-formats.md 7).
fn joined(json: Vec<u8>) -> Vec<u8> {
    if std::str::from_utf8(&json).is_ok() {
        return json;
    }
    let mut out = Vec::with_capacity(json.len());
    let mut rest = json.as_slice();
    while let [first, after @ ..] = rest {
        if let [
            0xed,
            h1 @ 0xa0..=0xaf,
            h2 @ 0x80..=0xbf,
            0xed,
            l1 @ 0xb0..=0xbf,
            l2 @ 0x80..=0xbf,
            tail @ ..,
        ] = rest
        {
            let half =
                |first: u8, second: u8| (u32::from(first & 0x0f) << 6) | u32::from(second & 0x3f);
            let scalar = 0x1_0000 + ((half(*h1, *h2) << 10) | half(*l1, *l2));
            let character = char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER);
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            rest = tail;
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

fn inflate(body: &[u8]) -> Result<Vec<u8>, BodyError> {
    let most = u64::try_from(limits::WIRE_BYTES).unwrap_or(u64::MAX);
    let mut plain = Vec::with_capacity(body.len().saturating_mul(4).min(limits::BODY_BYTES));
    flate2::read::MultiGzDecoder::new(body)
        .take(most.saturating_add(1))
        .read_to_end(&mut plain)
        .map_err(|_broken| BodyError::BadGzip)?;
    if plain.len() > limits::WIRE_BYTES { Err(BodyError::TooLarge) } else { Ok(plain) }
}

/// Node sends base64 in a form without escaping it, so that its `+` has become a space; some
/// clients use the URL-safe alphabet, break lines or leave the padding out.
fn from_base64(data: &str) -> Option<Vec<u8>> {
    let repaired: Vec<u8> = data
        .bytes()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .map(|byte| match byte {
            b' ' | b'-' => b'+',
            b'_' => b'/',
            other => other,
        })
        .collect();
    let json = BASE64.decode(repaired).ok()?;
    matches!(json.trim_ascii_start().first(), Some(b'{' | b'[')).then_some(json)
}

/// The text of a Basic credential: base64, or the plain `user:password` that Mixpanel also takes.
pub(crate) fn basic_text(encoded: &str) -> Option<String> {
    if encoded.contains(':') {
        return Some(encoded.to_owned());
    }
    String::from_utf8(BASE64.decode(encoded).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn zip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn parameters_come_from_query_and_form_and_the_query_wins() {
        let mut params = Params::parse(b"verbose=0&ip=1&empty&x=a%20b+c");
        assert_eq!(
            open(&mut params, false, b"data=%7B%7D&verbose=1&strict=1".to_vec()),
            Ok(b"{}".to_vec())
        );
        assert!(!params.on("verbose") && params.on("ip") && params.on("strict"));
        assert!(!params.on("empty") && !params.on("absent"));
        assert_eq!(params.get("x"), Some("a b c"));
    }

    #[test]
    fn a_zip_bomb_is_stopped() {
        let bomb = zip(&vec![b' '; limits::WIRE_BYTES + 10]);
        assert!(bomb.len() < 1_000_000);
        assert_eq!(open(&mut Params::default(), true, bomb), Err(BodyError::TooLarge));
        let just_json = zip(&[&b"["[..], &vec![b' '; limits::BODY_BYTES], b"]"].concat());
        assert_eq!(open(&mut Params::default(), true, just_json), Err(BodyError::TooLarge));
    }

    #[test]
    fn bodies_without_records_say_why() {
        for (body, gzip, error) in [
            (&b""[..], false, BodyError::NoData),
            (b"verbose=1", false, BodyError::NoData),
            (b"data=%%%", false, BodyError::BadData),
            (b"data=aGVsbG8", false, BodyError::BadData),
            (b"not gzip", true, BodyError::BadGzip),
            (b"\x1f\x8b\x08", false, BodyError::BadGzip),
        ] {
            assert_eq!(open(&mut Params::default(), gzip, body.to_vec()), Err(error), "{body:?}");
        }
    }

    #[test]
    fn surrogates_of_three_bytes_are_joined() {
        assert_eq!(joined(b"a\xed\xa0\xbd\xed\xb0\x8eb".to_vec()), "a\u{1f40e}b".as_bytes());
        assert_eq!(joined(b"\xed\xa0\xbd!".to_vec()), b"\xed\xa0\xbd!");
        assert_eq!(joined("\u{1f40e}".into()), "\u{1f40e}".as_bytes());
    }

    proptest! {
        #[test]
        fn any_text_survives_every_base64_habit(text in "[ -~é]{0,40}", pad in any::<bool>()) {
            let json = format!("[{text}");
            let mut encoded = base64::engine::general_purpose::STANDARD.encode(&json);
            if !pad {
                encoded = encoded.trim_end_matches('=').to_owned();
            }
            let safe = encoded.replace('+', "-").replace('/', "_");
            let escaped = encoded.replace('+', "%2B").replace('=', "%3D").replace('/', "%2F");
            for form in [encoded.as_str(), &safe, &escaped] {
                let body = format!("data={form}").into_bytes();
                prop_assert_eq!(open(&mut Params::default(), false, body), Ok(json.clone().into_bytes()));
            }
        }

        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..200), gzip in any::<bool>()) {
            let _ = open(&mut Params::default(), gzip, body);
        }
    }
}
