//! The scanner itself. It owns the grammar and the measure of depth, and reads no strings.

/// No document is followed deeper than this, whatever the limit of its events: it bounds the
/// scanner's own memory to as many bytes.
pub const MAX_DEPTH: usize = 1 << 16;

/// The place of a value or a key in the scanned bytes. Empty when there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(crate) fn new(start: usize, end: usize) -> Span {
        // Bodies are held below 4 GiB by `decode_body`; past it the span is empty, not wrong.
        match (u32::try_from(start), u32::try_from(end)) {
            (Ok(start), Ok(end)) => Span { start, end },
            _ => Span::default(),
        }
    }

    /// True when there is no value.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// The number of bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }

    /// The place as a range.
    #[must_use]
    pub const fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The bytes at this place of the bytes that were scanned.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.range()).unwrap_or_default()
    }
}

/// Why scanning stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bytes are not JSON.
    Syntax {
        /// What is wrong.
        what: &'static str,
        /// The byte, from 0.
        at: usize,
    },
    /// The nesting passes [`MAX_DEPTH`].
    TooDeep,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Object,
    Array,
}

/// Scans one JSON document from front to back.
pub struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Open>,
    deepest: usize,
}

impl<'a> Scanner<'a> {
    /// A scanner at the start of these bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Scanner<'a> {
        Scanner { bytes, at: 0, stack: Vec::new(), deepest: 0 }
    }

    /// A scanner that stands at the start of a value that was scanned before.
    #[must_use]
    pub fn again(bytes: &'a [u8], value: Span) -> Scanner<'a> {
        let bytes = bytes.get(..value.range().end).unwrap_or_default();
        Scanner { at: value.range().start, ..Scanner::new(bytes) }
    }

    /// The first byte of the next token; nothing at the end.
    pub fn peek(&mut self) -> Option<u8> {
        self.skip_blanks();
        self.bytes.get(self.at).copied()
    }

    /// Where the scanner stands.
    #[must_use]
    pub fn place(&self) -> usize {
        self.at
    }

    /// The place from `start` to where the scanner stands.
    #[must_use]
    pub fn span_from(&self, start: usize) -> Span {
        Span::new(start, self.at)
    }

    /// How many objects and arrays are open.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.stack.len()
    }

    /// Starts measuring anew: [`Scanner::deepest`] then tells the depth reached from here on.
    pub fn measure(&mut self) {
        self.deepest = self.stack.len();
    }

    /// The greatest depth since [`Scanner::measure`].
    #[must_use]
    pub fn deepest(&self) -> usize {
        self.deepest
    }

    /// Steps into an object or array; the caller has seen its bracket with [`Scanner::peek`].
    ///
    /// # Errors
    /// When the nesting passes [`MAX_DEPTH`].
    pub fn enter(&mut self) -> Result<(), Fault> {
        let open = if self.bytes.get(self.at) == Some(&b'{') { Open::Object } else { Open::Array };
        self.push(open)
    }

    /// The next key of the object that was entered, with its quotes; the scanner then stands
    /// before the value. Nothing at the end of the object, which is then left.
    ///
    /// # Errors
    /// When the bytes are not JSON.
    pub fn next_key(&mut self, first: &mut bool) -> Result<Option<Span>, Fault> {
        if !self.next_in(b'}', first)? {
            return Ok(None);
        }
        self.key().map(Some)
    }

    /// True when the array that was entered has another value; the scanner then stands before it.
    /// The array is left at its end.
    ///
    /// # Errors
    /// When the bytes are not JSON.
    pub fn next_item(&mut self, first: &mut bool) -> Result<bool, Fault> {
        self.next_in(b']', first)
    }

    fn next_in(&mut self, close: u8, first: &mut bool) -> Result<bool, Fault> {
        let was_first = std::mem::replace(first, false);
        match self.peek() {
            Some(byte) if byte == close => {
                self.at += 1;
                self.stack.pop();
                Ok(false)
            }
            Some(b',') if !was_first => {
                self.at += 1;
                Ok(true)
            }
            _ if was_first => Ok(true),
            _ => Err(self.fault("expected a comma or the end of the object or array")),
        }
    }

    /// Scans a whole value and tells its place.
    ///
    /// # Errors
    /// When the bytes are not JSON, or nested past [`MAX_DEPTH`].
    pub fn value(&mut self) -> Result<Span, Fault> {
        self.skip_blanks();
        let start = self.at;
        let floor = self.stack.len();
        loop {
            match self.peek() {
                Some(b'"') => self.string()?,
                Some(b'{') => {
                    self.push(Open::Object)?;
                    if self.peek() != Some(b'}') {
                        self.key()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.push(Open::Array)?;
                    if self.peek() != Some(b']') {
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal(b"true")?,
                Some(b'f') => self.literal(b"false")?,
                Some(b'n') => self.literal(b"null")?,
                Some(_) => return Err(self.fault("expected a value")),
                None => return Err(self.fault("the text ends where a value is expected")),
            }
            if self.close_until_more(floor)? {
                return Ok(self.span_from(start));
            }
        }
    }

    /// After a value: leaves what ends here. True when nothing above `floor` is open any more,
    /// false when another value follows.
    fn close_until_more(&mut self, floor: usize) -> Result<bool, Fault> {
        while self.stack.len() > floor {
            let open = self.stack.last().copied();
            match (self.peek(), open) {
                (Some(b','), Some(Open::Object)) => {
                    self.at += 1;
                    self.key()?;
                    return Ok(false);
                }
                (Some(b','), Some(Open::Array)) => {
                    self.at += 1;
                    return Ok(false);
                }
                (Some(b'}'), Some(Open::Object)) | (Some(b']'), Some(Open::Array)) => {
                    self.at += 1;
                    self.stack.pop();
                }
                _ => return Err(self.fault("expected a comma or the end of the object or array")),
            }
        }
        Ok(true)
    }

    /// Checks that only blanks are left.
    ///
    /// # Errors
    /// When more follows.
    pub fn end(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.fault("expected the end of the text")),
        }
    }

    fn push(&mut self, open: Open) -> Result<(), Fault> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(Fault::TooDeep);
        }
        self.at += 1;
        self.stack.push(open);
        self.deepest = self.deepest.max(self.stack.len());
        Ok(())
    }

    /// A key and its colon.
    fn key(&mut self) -> Result<Span, Fault> {
        if self.peek() != Some(b'"') {
            return Err(self.fault("expected a key in quotes"));
        }
        let start = self.at;
        self.string()?;
        let span = self.span_from(start);
        if self.peek() != Some(b':') {
            return Err(self.fault("expected a colon after the key"));
        }
        self.at += 1;
        Ok(span)
    }

    fn string(&mut self) -> Result<(), Fault> {
        self.at += 1;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            if let Some(chunk) = rest.first_chunk::<8>() {
                match first_special(u64::from_le_bytes(*chunk)) {
                    None => {
                        self.at += 8;
                        continue;
                    }
                    Some(plain) => self.at += plain,
                }
            }
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => return Err(self.fault("a control character stands in a string")),
                Some(_) => self.at += 1,
                None => return Err(self.fault("the text ends within a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6).unwrap_or_default();
                if digits.len() != 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(self.fault("an escape has not four hexadecimal digits"));
                }
                self.at += 6;
            }
            _ => return Err(self.fault("an escape is not known")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.fault("a number lacks a digit")) } else { Ok(()) }
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<(), Fault> {
        if !self.bytes.get(self.at..).unwrap_or_default().starts_with(word) {
            return Err(self.fault("expected a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn skip_blanks(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn fault(&self, what: &'static str) -> Fault {
        Fault::Syntax { what, at: self.at }
    }
}

/// How many of eight bytes, from the lowest, come before the first quote, backslash or control
/// character; nothing when there is none of them. Eight bytes are looked at in one go, by the
/// borrow that a subtraction takes from the high bit of a byte that is too small.
fn first_special(word: u64) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word & HIGHS;
    let quote = below(word ^ (ONES * 0x22), 1);
    let backslash = below(word ^ (ONES * 0x5c), 1);
    let found = quote | backslash | below(word, 0x20);
    (found != 0).then(|| (found.trailing_zeros() / 8) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(bytes: &[u8]) -> Result<Span, Fault> {
        let mut scanner = Scanner::new(bytes);
        let span = scanner.value()?;
        scanner.end()?;
        Ok(span)
    }

    #[test]
    fn grammar_is_that_of_the_rfc() {
        for good in [
            "{}",
            "[]",
            "\"\"",
            " [ 1 , -0 , 0.5e-7 , 1e400 ] ",
            "12345678901234567890123",
            r#"{"a":{"b":[{},[[]],null,true,false]},"a":1}"#,
            r#""\ud800 \u00e9 \"\\\/\b\f\n\r\t""#,
            "\"eight by\"",
            "\"seven b\"",
            "\"nine byte\"",
            "\"caf\u{e9} \u{1f40e}\"",
        ] {
            assert!(check(good.as_bytes()).is_ok(), "{good}");
            assert_eq!(check(good.as_bytes()).unwrap().of(good.as_bytes()), good.trim().as_bytes());
        }
        for bad in [
            "",
            " ",
            "{",
            "[",
            "[1,]",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "[1 2]",
            "{\"a\":1]",
            "[1}",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "nul",
            "True",
            "NaN",
            "'a'",
            "\"a",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\\u12\"",
            "\"tab\there\"",
            "\"1234567\n\"",
            "{} {}",
            "{\"a\":1}x",
            "\u{feff}{}",
        ] {
            assert!(check(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn depth_is_measured_and_bounded() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        let scanner_depth = |bytes: &[u8]| {
            let mut scanner = Scanner::new(bytes);
            scanner.value().map(|_| scanner.deepest())
        };
        assert_eq!(scanner_depth(b"1"), Ok(0));
        assert_eq!(scanner_depth(b"{\"a\":[{}]}"), Ok(3));
        assert_eq!(scanner_depth(&nested(10_000)), Ok(10_000));
        assert_eq!(scanner_depth(&nested(MAX_DEPTH + 1)), Err(Fault::TooDeep));
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec((".*", inner), 0..5)
                    .prop_map(|members| members.into_iter().collect::<Value>()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_serde_writes_is_taken(value in any_json()) {
            prop_assert!(check(&serde_json::to_vec(&value).unwrap()).is_ok());
            prop_assert!(check(&serde_json::to_vec_pretty(&value).unwrap()).is_ok());
        }

        #[test]
        fn a_changed_byte_is_judged_as_serde_judges_it(
            value in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>()
        ) {
            let mut bytes = serde_json::to_vec(&value).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            // Both judge grammar only; text that is no UTF-8 never gets here.
            if std::str::from_utf8(&bytes).is_ok() {
                let judged = serde_json::from_slice::<serde::de::IgnoredAny>(&bytes);
                prop_assert_eq!(check(&bytes).is_ok(), judged.is_ok());
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes);
        }
    }
}
