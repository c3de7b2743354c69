//! The copy of values that cannot be passed on as they are.
//!
//! Mixpanel refuses a whole event for one value of a wrong shape, and a whole request for one that
//! its JSON reader does not take. An odd value should cost less than that, so what would be refused
//! becomes text, which loses nothing that can be read:
//!
//! - a container nested more than [`LEVEL_LIMIT`] deep, or with [`MEMBER_LIMIT`] members or more,
//!   becomes its JSON as a text;
//! - a number outside the range of a 64-bit float becomes the text of its digits;
//! - half a surrogate pair becomes U+FFFD;
//! - a member name that Mixpanel would cut gets a shorter one ([`name`]).
//!
//! Values without any of these never come here: the scan marks them ([`Shape`]).

use super::cursor::{Cursor, DEPTH_LIMIT, MEMBER_LIMIT, Shape};
use super::{name, number, text};

/// How many containers Mixpanel takes inside each other below `properties`
/// (reference/mixpanel-api.md 2.3, depth at most 3).
pub(crate) const LEVEL_LIMIT: u8 = 3;

/// True when a value can be copied as it is to a place at this level (1: a property's value).
pub(crate) fn fits(shape: Shape, level: u8) -> bool {
    !shape.odd && (shape.depth == 0 || level.saturating_add(shape.depth - 1) <= LEVEL_LIMIT)
}

/// What a copy has changed: how many containers, numbers, texts and names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Containers that became text.
    pub(crate) shapes: u32,
    /// Numbers that became text.
    pub(crate) numbers: u32,
    /// Texts and names with half a surrogate pair.
    pub(crate) halves: u32,
    /// Names that were shortened.
    pub(crate) names: u32,
    /// True where no shape is refused.
    any_shape: bool,
}

/// Copies one valid JSON value to a place at this level.
pub(crate) fn copy(value: &[u8], level: u8, out: &mut Vec<u8>) -> Changes {
    let mut changes = Changes::default();
    copy_at(&mut Cursor::new(value), Some(level), &mut changes, out);
    changes
}

/// The same for a value that may be as deep and as wide as it likes.
pub(crate) fn copy_any_shape(value: &[u8], level: u8, out: &mut Vec<u8>) -> Changes {
    let mut changes = Changes { any_shape: true, ..Changes::default() };
    copy_at(&mut Cursor::new(value), Some(level), &mut changes, out);
    changes
}

/// Copies one valid JSON value without blanks, whatever its shape.
pub(crate) fn compact(value: &[u8], out: &mut Vec<u8>) {
    copy_at(&mut Cursor::new(value), None, &mut Changes::default(), out);
}

/// Writes JSON as a text.
pub(crate) fn as_text(json: &[u8], out: &mut Vec<u8>) {
    text::write(std::str::from_utf8(json).unwrap_or_default(), out);
}

/// `level` is none inside of what becomes a text, where no shape is refused.
fn copy_at(cursor: &mut Cursor<'_>, level: Option<u8>, changes: &mut Changes, out: &mut Vec<u8>) {
    let start = cursor.at;
    let bytes = cursor.bytes;
    match cursor.peek() {
        Some(open @ (b'{' | b'[')) => {
            let close = if open == b'{' { b'}' } else { b']' };
            let refused = !changes.any_shape
                && (level.is_some_and(|level| level > LEVEL_LIMIT)
                    || (level.is_some() && is_wide(*cursor, close)));
            if refused {
                let mut inner = Vec::new();
                copy_container(cursor, open, close, None, changes, &mut inner);
                as_text(&inner, out);
                changes.shapes += 1;
            } else {
                let below = level.map(|level| level.saturating_add(1));
                copy_container(cursor, open, close, below, changes, out);
            }
        }
        Some(b'"') => {
            let (_, halves) = cursor.string().unwrap_or_default();
            copy_string(bytes.get(start..cursor.at).unwrap_or_default(), halves, changes, out);
        }
        _ => {
            // The value was scanned before, so this does not fail; if it did, null is valid JSON.
            let shape = cursor.skip(DEPTH_LIMIT);
            let digits = bytes.get(start..cursor.at).unwrap_or_default();
            match shape {
                Ok(shape) if !shape.odd => out.extend_from_slice(digits),
                Ok(_) => {
                    as_text(digits, out);
                    changes.numbers += 1;
                }
                Err(_) => {
                    cursor.at = bytes.len();
                    out.extend_from_slice(b"null");
                }
            }
        }
    }
}

fn copy_string(string: &[u8], halves: bool, changes: &mut Changes, out: &mut Vec<u8>) {
    if !halves {
        out.extend_from_slice(string);
        return;
    }
    changes.halves += 1;
    text::write(&decoded(string), out);
}

/// Copies the name at the cursor and goes past the colon; `keep` leaves its length as it is. False
/// when there is none.
fn copy_name(
    cursor: &mut Cursor<'_>,
    keep: bool,
    changes: &mut Changes,
    out: &mut Vec<u8>,
) -> bool {
    let start = cursor.at;
    let Ok((key, escaped)) = cursor.key() else { return false };
    let string = cursor.bytes.get(start..=key.end).unwrap_or_default();
    if !escaped && (keep || key.len() <= name::NAME_LIMIT) {
        out.extend_from_slice(string);
    } else {
        let decoded = decoded(string);
        let short = if keep { None } else { name::shortened(&decoded) };
        changes.names += u32::from(short.is_some());
        changes.halves += u32::from(text::has_half(string));
        text::write(short.as_ref().unwrap_or(&decoded), out);
    }
    out.push(b':');
    true
}

fn decoded(string: &[u8]) -> String {
    let mut decoded = String::new();
    text::decode(string.get(1..string.len().saturating_sub(1)).unwrap_or_default(), &mut decoded);
    decoded
}

fn copy_container(
    cursor: &mut Cursor<'_>,
    open: u8,
    close: u8,
    level: Option<u8>,
    changes: &mut Changes,
    out: &mut Vec<u8>,
) {
    out.push(open);
    let mut more = cursor.open(close);
    let mut first = true;
    while more {
        if !std::mem::take(&mut first) {
            out.push(b',');
        }
        if open == b'{' && !copy_name(cursor, level.is_none(), changes, out) {
            break;
        }
        copy_at(cursor, level, changes, out);
        more = cursor.more(close).unwrap_or(false);
    }
    out.push(close);
}

/// True when the container at the cursor has too many members.
fn is_wide(cursor: Cursor<'_>, close: u8) -> bool {
    count(cursor, close) >= MEMBER_LIMIT
}

/// How many members the container at the cursor has.
fn count(mut cursor: Cursor<'_>, close: u8) -> usize {
    let mut count = 0;
    let mut more = cursor.open(close);
    while more {
        count += 1;
        if (close == b'}' && cursor.key().is_err()) || cursor.skip(DEPTH_LIMIT).is_err() {
            break;
        }
        more = cursor.more(close).unwrap_or(false);
    }
    count
}

/// True when a container has too many members to be sent. A list may have one more than an object:
/// what refuses longer lists takes lists of that length.
pub(crate) fn holds_wide(value: &[u8], level: u8) -> bool {
    holds_wide_at(&mut Cursor::new(value), level)
}

fn holds_wide_at(cursor: &mut Cursor<'_>, level: u8) -> bool {
    let Some(open @ (b'{' | b'[')) = cursor.peek() else {
        let _ = cursor.skip(DEPTH_LIMIT);
        return false;
    };
    let close = if open == b'{' { b'}' } else { b']' };
    if level > LEVEL_LIMIT {
        let _ = cursor.skip(DEPTH_LIMIT);
        return false;
    }
    let most = if open == b'[' { MEMBER_LIMIT } else { MEMBER_LIMIT - 1 };
    let mut wide = count(*cursor, close) > most;
    let mut more = cursor.open(close);
    while more && !wide {
        if open == b'{' && cursor.key().is_err() {
            break;
        }
        wide = holds_wide_at(cursor, level.saturating_add(1));
        more = cursor.more(close).unwrap_or(false);
    }
    wide
}

/// True for a number that JSON can hold and Mixpanel reads.
pub(crate) fn is_number(json: &[u8]) -> bool {
    matches!(json.first(), Some(b'-' | b'0'..=b'9')) && number::is_finite(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mixpanel_refuses_becomes_text() {
        for (value, level, wanted) in [
            ("1e400", 1, r#""1e400""#),
            (r#"{"a":[1e999, 2]}"#, 1, r#"{"a":["1e999",2]}"#),
            (r#""\ud800x""#, 1, "\"\u{fffd}x\""),
            (r#"{"\ud800":1}"#, 1, "{\"\u{fffd}\":1}"),
            ("[[[[1]]]]", 1, r#"[[["[1]"]]]"#),
            (r#"[[{"a":"x"}]]"#, 3, r#"["[{\"a\":\"x\"}]"]"#),
        ] {
            let mut out = Vec::new();
            copy(value.as_bytes(), level, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), wanted, "{value}");
        }
    }

    #[test]
    fn a_wide_list_becomes_text() {
        let wide = format!("[{}1]", "1,".repeat(254));
        let mut out = Vec::new();
        copy(wide.as_bytes(), 1, &mut out);
        assert_eq!(serde_json::from_slice::<String>(&out).ok(), Some(wide));
    }
}
