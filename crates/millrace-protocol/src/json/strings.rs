//! The text of strings and keys that were scanned before.

use std::borrow::Cow;

/// The name that a key stands for: escapes are rare in keys but legal.
#[must_use]
pub fn name(key: &[u8]) -> Cow<'_, [u8]> {
    let [b'"', inner @ .., b'"'] = key else {
        return Cow::Borrowed(key);
    };
    if !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    match text(key) {
        Some(text) => Cow::Owned(text.into_owned().into_bytes()),
        None => Cow::Borrowed(inner),
    }
}

/// The text of a scanned string or key, quotes and escapes taken off; nothing when an escape is
/// half of a surrogate pair, which no Unicode text can hold, or when this is no string.
#[must_use]
pub fn text(raw: &[u8]) -> Option<Cow<'_, str>> {
    let [b'"', inner @ .., b'"'] = raw else {
        return None;
    };
    let inner = std::str::from_utf8(inner).ok()?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut letters = escaped.chars();
        match letters.next()? {
            'u' => {
                let (character, after) = unicode_escape(letters.as_str())?;
                text.push(character);
                rest = after;
                continue;
            }
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            same => text.push(same),
        }
        rest = letters.as_str();
    }
    text.push_str(rest);
    Some(Cow::Owned(text))
}

/// Writes a text as a JSON string.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend([b'\\', byte]),
            0..0x20 => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// The character of what follows `\u`, two escapes long for a surrogate pair, and what is left.
fn unicode_escape(text: &str) -> Option<(char, &str)> {
    let unit = |text: &str| u32::from_str_radix(text.get(..4)?, 16).ok();
    let first = unit(text)?;
    let rest = text.get(4..)?;
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first)?, rest));
    }
    let second = rest.strip_prefix("\\u")?;
    let low = unit(second).filter(|low| (0xdc00..0xe000).contains(low))?;
    let code = 0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00);
    Some((char::from_u32(code)?, second.get(4..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strings_are_read_and_lone_surrogates_are_not() {
        let table = [
            (r#""plain""#, Some("plain")),
            (r#""""#, Some("")),
            (r#""a\n\u00e9\ud83d\udc0e\/\"""#, Some("a\n\u{e9}\u{1f40e}/\"")),
            (r#""\ud83d""#, None),
            (r#""\ud83dx""#, None),
            (r#""\ud83d\u0041""#, None),
            (r#""\udc0e""#, None),
            ("12", None),
            ("\"", None),
        ];
        for (raw, wanted) in table {
            assert_eq!(text(raw.as_bytes()).as_deref(), wanted, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn a_string_reads_back(text_in in ".*") {
            let raw = serde_json::to_vec(&text_in).unwrap();
            let read = text(&raw);
            prop_assert_eq!(read.as_deref(), Some(text_in.as_str()));
            let mut written = Vec::new();
            write_text(&text_in, &mut written);
            prop_assert_eq!(serde_json::from_slice::<String>(&written).ok(), Some(text_in));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = text(&bytes);
            let _ = name(&bytes);
        }
    }
}
