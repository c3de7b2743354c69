//! Going through the members of an object that was scanned before, and writing one anew.

use super::{Scanner, Span, write_text};

/// Calls `visit` for every member of an object that was scanned before; for nothing else.
pub(crate) fn each_member(body: &[u8], object: Span, mut visit: impl FnMut(Span, Span)) {
    let mut scanner = Scanner::again(body, object);
    if scanner.peek() != Some(b'{') || scanner.enter().is_err() {
        return;
    }
    let mut first = true;
    // The bytes were scanned before, so no fault can come up again.
    while let Ok(Some(key)) = scanner.next_key(&mut first) {
        let Ok(value) = scanner.value() else { return };
        visit(key, value);
    }
}

/// Calls `visit` for every item of an array that was scanned before; for nothing else.
pub(crate) fn each_item(body: &[u8], array: Span, mut visit: impl FnMut(Span)) {
    let mut scanner = Scanner::again(body, array);
    if scanner.peek() != Some(b'[') || scanner.enter().is_err() {
        return;
    }
    let mut first = true;
    while let Ok(true) = scanner.next_item(&mut first) {
        let Ok(value) = scanner.value() else { return };
        visit(value);
    }
}

/// Writes the bytes of one JSON object, member by member.
pub(crate) struct ObjectWriter {
    out: Vec<u8>,
    first: bool,
}

impl ObjectWriter {
    pub(crate) fn with_room(bytes: usize) -> ObjectWriter {
        let mut out = Vec::with_capacity(bytes);
        out.push(b'{');
        ObjectWriter { out, first: true }
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }

    fn key(&mut self, key: &[u8]) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b',');
        }
        self.out.extend_from_slice(key);
        self.out.push(b':');
    }

    /// Writes a member whose key and value are JSON already.
    pub(crate) fn member(&mut self, key: &[u8], value: &[u8]) {
        self.key(key);
        self.out.extend_from_slice(value);
    }

    /// Writes a member that is a text, if there is one.
    pub(crate) fn text(&mut self, key: &[u8], text: Option<&str>) {
        if let Some(text) = text {
            self.key(key);
            write_text(text, &mut self.out);
        }
    }

    /// Writes a member that is an object of its own.
    pub(crate) fn nested(&mut self, key: &[u8], write: impl FnOnce(&mut ObjectWriter)) {
        self.key(key);
        self.out.push(b'{');
        let mut inner = ObjectWriter { out: std::mem::take(&mut self.out), first: true };
        write(&mut inner);
        self.out = inner.out;
        self.out.push(b'}');
    }
}
