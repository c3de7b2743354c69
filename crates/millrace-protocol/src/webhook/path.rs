//! A place in a JSON document: the part of JSONPath that names one value.
//!
//! `$.data.object.customer`, `$.items[0].id`, `$['line items'][-1]`. Wildcards, filters and slices name many
//! values, which a member of a message cannot hold; they are errors when the mapping is read.

use crate::json::{Fault, Scanner, Span, name};

/// Longer paths are no paths.
const MAX_STEPS: usize = 32;

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin with `$`.
    #[error("a path begins with $, as in $.data.object.id")]
    NoRoot,
    /// It names more than one value.
    #[error("wildcards, filters and slices name many values; name one, as in $.items[0].id")]
    ManyValues,
    /// It cannot be read.
    #[error("the path cannot be read at `{0}`")]
    Unreadable(String),
    /// It has too many steps.
    #[error("the path has more than {MAX_STEPS} steps")]
    TooLong,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    /// From the end when it is below zero.
    Item(i64),
}

/// A place in a JSON document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Vec<Step>);

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// When the text is none; see [`PathError`].
    pub fn parse(path: &str) -> Result<Path, PathError> {
        let mut rest = path.trim().strip_prefix('$').ok_or(PathError::NoRoot)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if steps.len() >= MAX_STEPS {
                return Err(PathError::TooLong);
            }
            let (step, after) = match rest.strip_prefix('.') {
                Some(after) => dotted(after, rest)?,
                None => bracketed(rest)?,
            };
            steps.push(step);
            rest = after;
        }
        Ok(Path(steps))
    }

    /// The value at this place of a document, as the bytes that it is. Of members with the same
    /// name the last counts.
    #[must_use]
    pub fn find<'a>(&self, document: &'a [u8]) -> Option<&'a [u8]> {
        let mut scanner = Scanner::new(document);
        let mut value = scanner.value().ok()?;
        for step in &self.0 {
            value = match step {
                Step::Member(wanted) => member(document, value, wanted).ok()??,
                Step::Item(place) => item(document, value, *place).ok()??,
            };
        }
        Some(value.of(document))
    }
}

fn dotted<'a>(after: &'a str, rest: &str) -> Result<(Step, &'a str), PathError> {
    let end = after.find(['.', '[']).unwrap_or(after.len());
    let (word, after) = after.split_at_checked(end).unwrap_or((after, ""));
    match word {
        "*" => Err(PathError::ManyValues),
        // Two dots ask for every depth.
        "" if after.starts_with('.') => Err(PathError::ManyValues),
        "" => Err(PathError::Unreadable(rest.to_owned())),
        word => Ok((Step::Member(word.to_owned()), after)),
    }
}

fn bracketed(rest: &str) -> Result<(Step, &str), PathError> {
    let unreadable = || PathError::Unreadable(rest.to_owned());
    let inner = rest.strip_prefix('[').ok_or_else(unreadable)?;
    for quote in ['\'', '"'] {
        if let Some(quoted) = inner.strip_prefix(quote) {
            let (word, after) = quoted.split_once(quote).ok_or_else(unreadable)?;
            let after = after.strip_prefix(']').ok_or_else(unreadable)?;
            return Ok((Step::Member(word.to_owned()), after));
        }
    }
    let (inside, after) = inner.split_once(']').ok_or_else(unreadable)?;
    if inside.contains(['*', '?', ':', ',']) {
        return Err(PathError::ManyValues);
    }
    let place = inside.trim().parse().map_err(|_| unreadable())?;
    Ok((Step::Item(place), after))
}

fn member(document: &[u8], value: Span, wanted: &str) -> Result<Option<Span>, Fault> {
    let mut scanner = Scanner::again(document, value);
    if scanner.peek() != Some(b'{') {
        return Ok(None);
    }
    scanner.enter()?;
    let (mut first, mut found) = (true, None);
    while let Some(key) = scanner.next_key(&mut first)? {
        let value = scanner.value()?;
        if name(key.of(document)).as_ref() == wanted.as_bytes() {
            found = Some(value);
        }
    }
    Ok(found)
}

fn item(document: &[u8], value: Span, place: i64) -> Result<Option<Span>, Fault> {
    let mut scanner = Scanner::again(document, value);
    if scanner.peek() != Some(b'[') {
        return Ok(None);
    }
    scanner.enter()?;
    let (mut first, mut items) = (true, Vec::new());
    while scanner.next_item(&mut first)? {
        items.push(scanner.value()?);
    }
    let at = match usize::try_from(place) {
        Ok(at) => Some(at),
        Err(_) => usize::try_from(place.unsigned_abs())
            .ok()
            .and_then(|back| items.len().checked_sub(back)),
    };
    Ok(at.and_then(|at| items.get(at).copied()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_finds_one_value() {
        let document = br#"{"a":{"b":[{"c":1.10},{"c":"x"}],"d e":null,"d.e":2},"a\u0062":3}"#;
        let table = [
            ("$.a.b[0].c", Some("1.10")),
            ("$.a.b[-1].c", Some("\"x\"")),
            ("$.a.b[2]", None),
            ("$.a.b[-3]", None),
            ("$.a['d e']", Some("null")),
            ("$.a[\"d.e\"]", Some("2")),
            ("$.ab", Some("3")),
            ("$.a.b.c", None),
            ("$.a[0]", None),
            ("$.z.z", None),
        ];
        for (path, wanted) in table {
            let found = Path::parse(path).unwrap();
            assert_eq!(found.find(document), wanted.map(str::as_bytes), "{path}");
        }
        assert_eq!(Path::parse("$").unwrap().find(b" 7 "), Some(&b"7"[..]));
    }

    #[test]
    fn what_is_no_path_is_told() {
        let table = [
            ("a.b", PathError::NoRoot),
            ("$.a[*]", PathError::ManyValues),
            ("$.*", PathError::ManyValues),
            ("$..a", PathError::ManyValues),
            ("$.a[?(@.b)]", PathError::ManyValues),
            ("$.a[1:2]", PathError::ManyValues),
            ("$a", PathError::Unreadable("a".to_owned())),
            ("$.", PathError::Unreadable(".".to_owned())),
            ("$.a[x]", PathError::Unreadable("[x]".to_owned())),
            ("$.a['b", PathError::Unreadable("['b".to_owned())),
        ];
        for (path, wanted) in table {
            assert_eq!(Path::parse(path), Err(wanted), "{path}");
        }
        assert_eq!(Path::parse(&format!("${}", ".a".repeat(33))), Err(PathError::TooLong));
    }

    proptest! {
        #[test]
        fn nothing_panics(path in "\\$[a.\\[\\]'\"*0-9-]{0,12}", document in ".{0,60}") {
            if let Ok(path) = Path::parse(&path) {
                let _ = path.find(document.as_bytes());
            }
        }
    }
}
