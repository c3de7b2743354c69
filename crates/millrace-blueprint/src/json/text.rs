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

/// How many bytes come before the first that stands for something else in a JSON string, or not at
/// all: a quote, a backslash, a control character. All of them when there is none.
///
/// Most of an event is looked at here and nowhere else, so eight bytes are looked at together.
pub(crate) fn plain_length(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk::<8>() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            let before = usize::try_from(special.trailing_zeros() / 8).unwrap_or_default();
            return bytes.len() - rest.len() + before;
        }
        rest = behind;
    }
    let special = |b: &u8| *b < 0x20 || *b == b'"' || *b == b'\\';
    bytes.len() - rest.len() + rest.iter().position(special).unwrap_or(rest.len())
}

/// The eighth bit of each special byte in a word. Those behind the first may be wrong: what is
/// borrowed for it in a subtraction is missing there.
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST: u64 = u64::from_le_bytes([0x80; 8]);
    let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
    let quote = word ^ (ONES * u64::from(b'"'));
    let backslash = word ^ (ONES * u64::from(b'\\'));
    (below(word, 0x20) | below(quote, 1) | below(backslash, 1)) & HIGHEST
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
    loop {
        let rest = bytes.get(from..).unwrap_or_default();
        let at = from + plain_length(rest);
        out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
        let Some(special) = bytes.get(at).copied() else { return };
        match special {
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
        fn special_bytes_are_found_where_they_are(bytes in proptest::collection::vec(
            prop_oneof![any::<u8>(), 0x1e_u8..0x24, 0x5a_u8..0x5e], 0..40,
        )) {
            let special = |b: &u8| *b < 0x20 || *b == b'"' || *b == b'\\';
            let first = bytes.iter().position(special).unwrap_or(bytes.len());
            prop_assert_eq!(plain_length(&bytes), first);
        }

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
