//! JSON strings to text and back. Half a surrogate pair, which is no text, becomes U+FFFD.

use super::cursor::hex;

/// Puts the text of a JSON string, given without its quotes, behind `out`.
pub(crate) fn decode(inner: &[u8], out: &mut String) {
    super::effort::spend(inner.len());
    let mut rest = inner;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.push_str(utf8(rest.get(..at)));
        let (character, length) = escape(rest, at);
        out.push(character);
        rest = rest.get(at + length..).unwrap_or_default();
    }
    out.push_str(utf8(Some(rest)));
}

/// True when a JSON string, given without its quotes, holds half a surrogate pair.
pub(crate) fn has_half(inner: &[u8]) -> bool {
    let mut rest = inner;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (character, length) = escape(rest, at);
        if character == '\u{fffd}' && hex(rest, at + 2) != Some(0xfffd) {
            return true;
        }
        rest = rest.get(at + length..).unwrap_or_default();
    }
    false
}

fn utf8(bytes: Option<&[u8]>) -> &str {
    // The event was checked as a whole; a part between ASCII characters is valid as well.
    std::str::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
}

/// The character of the escape at `at`, and the length of the escape.
fn escape(bytes: &[u8], at: usize) -> (char, usize) {
    let character = match bytes.get(at + 1) {
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'u') => {
            let high = hex(bytes, at + 2).unwrap_or(0xfffd);
            if let Some(character) = char::from_u32(high) {
                return (character, 6);
            }
            let follows = bytes.get(at + 6..at + 8) == Some(b"\\u".as_slice());
            if let (0xd800..=0xdbff, true) = (high, follows)
                && let Some(low @ 0xdc00..=0xdfff) = hex(bytes, at + 8)
            {
                let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return (char::from_u32(code).unwrap_or('\u{fffd}'), 12);
            }
            return ('\u{fffd}', 6);
        }
        Some(other) => char::from(*other),
        None => '\u{fffd}',
    };
    (character, 2)
}

/// Writes text as a JSON string with its quotes.
pub(crate) fn write(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    write_inner(text, out);
    out.push(b'"');
}

/// Writes text as the inside of a JSON string.
pub(crate) fn write_inner(text: &str, out: &mut Vec<u8>) {
    const HEX: [u8; 16] = *b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut from = 0;
    let special = |b: &u8| *b < 0x20 || *b == b'"' || *b == b'\\';
    while let Some(length) = bytes.get(from..).and_then(|rest| rest.iter().position(special)) {
        let at = from + length;
        out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
        match bytes.get(at).copied().unwrap_or_default() {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', b]),
            b => {
                let digit = |n: u8| HEX.get(usize::from(n)).copied().unwrap_or(b'0');
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(b >> 4), digit(b & 15)]);
            }
        }
        from = at + 1;
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halves_of_pairs_become_the_replacement_character() {
        for (inner, text) in [
            (r"\ud83d\ude00", "😀"),
            (r"a\ud83dz", "a\u{fffd}z"),
            (r"\ude00\ud83d\ude00", "\u{fffd}😀"),
            (r"\ud83d\u0041", "\u{fffd}A"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
        ] {
            let mut out = String::new();
            decode(inner.as_bytes(), &mut out);
            assert_eq!(out, text, "{inner}");
            assert_eq!(has_half(inner.as_bytes()), text.contains('\u{fffd}'), "{inner}");
        }
    }

    proptest! {
        #[test]
        fn text_goes_to_json_and_back(text in any::<String>()) {
            let mut json = Vec::new();
            write(&text, &mut json);
            prop_assert_eq!(serde_json::from_slice::<String>(&json).ok(), Some(text.clone()));
            let mut back = String::new();
            decode(json.get(1..json.len() - 1).unwrap_or_default(), &mut back);
            prop_assert_eq!(back, text);
        }
    }
}
