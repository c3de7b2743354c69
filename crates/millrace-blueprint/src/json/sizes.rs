//! How long the texts in JSON are.

use super::cursor::Cursor;
use super::text;

/// How many bytes of a text Mixpanel keeps (reference/mixpanel-api.md 2.3, 3.2).
pub(crate) const TEXT_LIMIT: usize = 255;

/// How many texts in one valid JSON value are longer than [`TEXT_LIMIT`] bytes. Names of members
/// do not count.
pub(crate) fn long_texts(json: &[u8]) -> u32 {
    let mut cursor = Cursor::new(json);
    let mut count = 0;
    loop {
        let rest = json.get(cursor.at..).unwrap_or_default();
        let Some(quote) = memchr::memchr(b'"', rest) else { return count };
        let start = cursor.at + quote;
        cursor.at = start;
        let Ok((escaped, _)) = cursor.string() else { return count };
        let inner = json.get(start + 1..cursor.at - 1).unwrap_or_default();
        cursor.blanks();
        // A text before a colon is a name.
        if inner.len() > TEXT_LIMIT && cursor.peek() != Some(b':') && is_long(inner, escaped) {
            count += 1;
        }
    }
}

/// Escapes are longer than what they stand for.
fn is_long(inner: &[u8], escaped: bool) -> bool {
    if !escaped {
        return true;
    }
    let mut decoded = String::new();
    text::decode(inner, &mut decoded);
    decoded.len() > TEXT_LIMIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_counted_by_their_bytes() {
        let (fits, long) = ("x".repeat(255), "ä".repeat(128));
        let escaped = r"\u0041".repeat(255);
        for (json, wanted) in [
            (format!("\"{fits}\""), 0),
            (format!("\"{long}\""), 1),
            (format!("\"{escaped}\""), 0),
            (format!("\"{escaped}y\""), 1),
            (format!(r#"{{"{long}" : 1, "a":["{long}","b",{{"c":"{fits}!"}}]}}"#), 2),
            ("[1,true]".to_owned(), 0),
        ] {
            assert_eq!(long_texts(json.as_bytes()), wanted, "{json}");
        }
    }
}
