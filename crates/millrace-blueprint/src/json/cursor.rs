//! A cursor over JSON that checks what it passes: grammar, escapes, control characters, depth.
//!
//! The collector admits valid JSON only, but this crate must be safe by itself: whatever the bytes
//! are, a scan ends with valid positions or with [`Malformed`]. UTF-8 is checked by the caller, for
//! the whole text at once. Recursion ends at [`DEPTH_LIMIT`].

use super::name::NAME_LIMIT;
use super::number;
use super::sizes::TEXT_LIMIT;
use super::text;

/// Deeper nesting is refused. The collector's own limit is lower.
pub(crate) const DEPTH_LIMIT: u32 = 128;

/// Mixpanel takes fewer than this many members or items (reference/mixpanel-api.md 2.3).
pub(crate) const MEMBER_LIMIT: usize = 255;

/// The bytes are no JSON, or nested too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What a scan has learnt about a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Shape {
    /// How many containers are nested in it: 0 for a scalar.
    pub(crate) depth: u8,
    /// True when it holds something that cannot be copied as it is: an infinite number, half a
    /// surrogate pair, a container with [`MEMBER_LIMIT`] members, or, perhaps, a name longer than
    /// [`NAME_LIMIT`] characters.
    pub(crate) odd: bool,
    /// True when it may hold a text longer than [`TEXT_LIMIT`] bytes; one with escapes may turn out
    /// to be shorter.
    pub(crate) long: bool,
}

impl Shape {
    /// Takes in what is true for a member or an item.
    pub(crate) fn add(&mut self, inner: Shape) {
        self.depth = self.depth.max(inner.depth);
        self.odd |= inner.odd;
        self.long |= inner.long;
    }
}

/// A place in JSON text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes, at: 0 }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(crate) fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    pub(crate) fn take(&mut self, wanted: u8) -> Result<(), Malformed> {
        if self.peek() == Some(wanted) {
            self.at += 1;
            Ok(())
        } else {
            Err(Malformed)
        }
    }

    /// Goes past an opening bracket. True when the container has a first element.
    pub(crate) fn open(&mut self, close: u8) -> bool {
        self.at += 1;
        self.blanks();
        let empty = self.peek() == Some(close);
        self.at += usize::from(empty);
        !empty
    }

    /// After an element: true when another one follows, false when the container is closed.
    pub(crate) fn more(&mut self, close: u8) -> Result<bool, Malformed> {
        self.blanks();
        match self.peek() {
            Some(b',') => {
                self.at += 1;
                self.blanks();
                Ok(true)
            }
            Some(b) if b == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(Malformed),
        }
    }

    /// Reads a key and the colon behind it. Gives where the key's text lies, without its quotes,
    /// and whether it has escapes. Stands at the value afterwards.
    pub(crate) fn key(&mut self) -> Result<(std::ops::Range<usize>, bool), Malformed> {
        if self.peek() != Some(b'"') {
            return Err(Malformed);
        }
        let start = self.at + 1;
        let (escaped, _) = self.string()?;
        let range = start..self.at - 1;
        self.blanks();
        self.take(b':')?;
        self.blanks();
        Ok((range, escaped))
    }

    /// Goes past a string. Tells whether it has escapes, and whether one of them is half a
    /// surrogate pair.
    pub(crate) fn string(&mut self) -> Result<(bool, bool), Malformed> {
        self.at += 1;
        let (mut escaped, mut halves) = (false, false);
        loop {
            let rest = self.bytes.get(self.at..).ok_or(Malformed)?;
            let length = text::plain_length(rest);
            self.at += length;
            super::effort::spend(length + 1);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((escaped, halves));
                }
                Some(b'\\') => {
                    escaped = true;
                    halves |= self.escape()?;
                }
                _ => return Err(Malformed),
            }
        }
    }

    /// Goes past an escape; true when it is half a surrogate pair.
    fn escape(&mut self) -> Result<bool, Malformed> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(false)
            }
            Some(b'u') => {
                let unit = hex(self.bytes, self.at + 2).ok_or(Malformed)?;
                self.at += 6;
                match unit {
                    0xd800..=0xdbff => {
                        let next = self.bytes.get(self.at..self.at + 2) == Some(b"\\u".as_slice());
                        let low = if next { hex(self.bytes, self.at + 2) } else { None };
                        let pair = matches!(low, Some(0xdc00..=0xdfff));
                        self.at += if pair { 6 } else { 0 };
                        Ok(!pair)
                    }
                    0xdc00..=0xdfff => Ok(true),
                    _ => Ok(false),
                }
            }
            _ => Err(Malformed),
        }
    }

    /// Goes past any value. `left` is how many more containers may be opened.
    pub(crate) fn skip(&mut self, left: u32) -> Result<Shape, Malformed> {
        super::effort::spend(1);
        match self.peek() {
            Some(b'"') => {
                let start = self.at;
                let (_, odd) = self.string()?;
                let long = self.at - start > TEXT_LIMIT + 2;
                Ok(Shape { depth: 0, odd, long })
            }
            Some(b'{') => self.container(left, b'}'),
            Some(b'[') => self.container(left, b']'),
            Some(b'-' | b'0'..=b'9') => {
                let end = number::end(self.bytes, self.at).ok_or(Malformed)?;
                super::effort::spend(end - self.at);
                let finite = number::is_finite(self.bytes.get(self.at..end).unwrap_or_default());
                self.at = end;
                Ok(Shape { odd: !finite, ..Shape::default() })
            }
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => Err(Malformed),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<Shape, Malformed> {
        if self.bytes.get(self.at..self.at + word.len()) != Some(word) {
            return Err(Malformed);
        }
        self.at += word.len();
        Ok(Shape::default())
    }

    fn container(&mut self, left: u32, close: u8) -> Result<Shape, Malformed> {
        let left = left.checked_sub(1).ok_or(Malformed)?;
        let mut shape = Shape::default();
        let mut count = 0;
        let mut more = self.open(close);
        while more {
            if close == b'}' {
                let (key, escaped) = self.key()?;
                shape.odd |= key.len() > NAME_LIMIT;
                // A key with half a pair needs the careful copy too; escapes in keys are rare.
                shape.odd |= escaped && self.bytes.get(key).is_some_and(text::has_half);
            }
            let inner = self.skip(left)?;
            shape.add(inner);
            count += 1;
            more = self.more(close)?;
        }
        shape.depth = shape.depth.saturating_add(1);
        shape.odd |= count >= MEMBER_LIMIT;
        Ok(shape)
    }
}

/// The value of four hexadecimal digits.
pub(crate) fn hex(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..at + 4)?
        .iter()
        .try_fold(0, |number, digit| Some(number * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(text: &str) -> Result<Shape, Malformed> {
        let mut cursor = Cursor::new(text.as_bytes());
        cursor.blanks();
        let shape = cursor.skip(DEPTH_LIMIT)?;
        cursor.blanks();
        if cursor.peek().is_none() { Ok(shape) } else { Err(Malformed) }
    }

    #[test]
    fn shapes_tell_depth_and_oddities() {
        for (text, depth, odd) in [
            ("1", 0, false),
            ("[]", 1, false),
            (r#"{"a":[{"b":1}], "c":{}}"#, 3, false),
            ("[1e400]", 1, true),
            (r#""\ud83d\ude00""#, 0, false),
            (r#""\ud83d""#, 0, true),
            (r#"{"\udc00":1}"#, 1, true),
        ] {
            assert_eq!(whole(text), Ok(Shape { depth, odd, long: false }), "{text}");
        }
        let wide = format!("[{}1]", "1,".repeat(254));
        assert_eq!(whole(&wide), Ok(Shape { depth: 1, odd: true, long: false }));
        let long = format!("[\"{}\"]", "x".repeat(256));
        assert_eq!(whole(&long), Ok(Shape { depth: 1, odd: false, long: true }));
        let name = format!("{{\"{}\":1}}", "x".repeat(256));
        assert_eq!(whole(&name), Ok(Shape { depth: 1, odd: true, long: false }));
        assert_eq!(whole(&"[".repeat(1000)), Err(Malformed));
        let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
        assert_eq!(whole(&deep), Ok(Shape { depth: 128, odd: false, long: false }));
    }

    proptest! {
        #[test]
        fn takes_what_serde_json_takes(text in r#"[\[\]{}",:0-9eE+\-.truefalsn\\u d]{0,24}"#) {
            let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            prop_assert_eq!(whole(&text).is_ok(), theirs, "{}", text);
        }
    }
}
