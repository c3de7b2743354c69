//! The notation of places in an event, a part of JSONPath.
//!
//! `$` is the event; then come `.name` or `["any name"]`, `.*` for every member, `[2]` and `[*]` for
//! items of a list, and `..name` (or `.**.name`) for a member at any depth.

use std::fmt;

/// More steps than this are a mistake.
const MAX_STEPS: usize = 32;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The member of that name.
    Member(String),
    /// Every member of an object.
    EveryMember,
    /// The item with that number, from 0.
    Item(u32),
    /// Every item of a list.
    EveryItem,
    /// Any number of steps, also none.
    AnyDepth,
}

/// A place in an event; at least one step, the last of which names something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    steps: Vec<Step>,
    text: String,
}

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It does not begin at the event.
    #[error("a path begins with `$`, as in $.traits.email")]
    NoRoot,
    /// It names the whole event, or ends where a name is expected.
    #[error("the path ends where a name is expected")]
    NoName,
    /// Something cannot stand where it stands.
    #[error("`{found}` cannot stand at character {at} of the path")]
    Unexpected {
        /// What.
        found: char,
        /// The character, from 1.
        at: usize,
    },
    /// A bracket is not closed, or holds something else than a number, `*` or a quoted name.
    #[error(
        "a bracket holds a number, `*` or a name in quotes, as in [0], [*] or [\"first name\"]"
    )]
    BadBracket,
    /// It has too many steps.
    #[error("the path has more than 32 steps")]
    TooLong,
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Path, PathError> {
        let mut rest = text.strip_prefix('$').ok_or(PathError::NoRoot)?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            rest = step(text, rest, &mut steps)?;
            if steps.len() > MAX_STEPS {
                return Err(PathError::TooLong);
            }
        }
        match steps.last() {
            None | Some(Step::AnyDepth) => Err(PathError::NoName),
            Some(_) => Ok(Path { steps, text: text.to_owned() }),
        }
    }

    /// The steps.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The path as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// True when it holds whatever form the event has: it looks for a name at any depth.
    #[must_use]
    pub fn is_anywhere(&self) -> bool {
        self.steps.first() == Some(&Step::AnyDepth)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Reads one step off the front of `rest`, which is not empty, and gives what is left.
fn step<'a>(whole: &str, rest: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, PathError> {
    if let Some(inside) = rest.strip_prefix('[') {
        return bracket(inside, steps);
    }
    if let Some(after) = rest.strip_prefix("..") {
        steps.push(Step::AnyDepth);
        // What follows `..` is a name, a star or a bracket.
        return if after.starts_with('[') { Ok(after) } else { member(whole, after, steps) };
    }
    match rest.strip_prefix('.') {
        Some(after) => member(whole, after, steps),
        None => Err(unexpected(whole, rest)),
    }
}

fn member<'a>(whole: &str, rest: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, PathError> {
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (name, after) = rest.split_at_checked(end).ok_or(PathError::NoName)?;
    match name {
        "" => return Err(PathError::NoName),
        "*" => steps.push(Step::EveryMember),
        "**" => steps.push(Step::AnyDepth),
        name => {
            let wrong = |letter: char| letter.is_whitespace() || "?*]\"'".contains(letter);
            if let Some(at) = name.find(wrong) {
                return Err(unexpected(whole, rest.get(at..).unwrap_or_default()));
            }
            steps.push(Step::Member(name.to_owned()));
        }
    }
    Ok(after)
}

fn bracket<'a>(inside: &'a str, steps: &mut Vec<Step>) -> Result<&'a str, PathError> {
    if let Some(quote @ ('"' | '\'')) = inside.chars().next() {
        let quoted = inside.get(1..).unwrap_or_default();
        let (name, after) = quoted.split_once(quote).ok_or(PathError::BadBracket)?;
        steps.push(Step::Member(name.to_owned()));
        return after.strip_prefix(']').ok_or(PathError::BadBracket);
    }
    let (what, after) = inside.split_once(']').ok_or(PathError::BadBracket)?;
    steps.push(match what {
        "*" => Step::EveryItem,
        number => Step::Item(number.parse().map_err(|_| PathError::BadBracket)?),
    });
    Ok(after)
}

fn unexpected(whole: &str, rest: &str) -> PathError {
    let before = whole.len().saturating_sub(rest.len());
    let at = whole.get(..before).unwrap_or_default().chars().count() + 1;
    PathError::Unexpected { found: rest.chars().next().unwrap_or('?'), at }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Step {
        Step::Member(text.to_owned())
    }

    #[test]
    fn the_notation_is_read() {
        let table = [
            ("$.a", vec![name("a")]),
            ("$.properties.$email", vec![name("properties"), name("$email")]),
            ("$[\"first name\"]['x']", vec![name("first name"), name("x")]),
            ("$..email", vec![Step::AnyDepth, name("email")]),
            ("$.**.email", vec![Step::AnyDepth, name("email")]),
            ("$..[\"a.b\"]", vec![Step::AnyDepth, name("a.b")]),
            ("$.a[*].b[2]", vec![name("a"), Step::EveryItem, name("b"), Step::Item(2)]),
            ("$.a.*", vec![name("a"), Step::EveryMember]),
        ];
        for (text, steps) in table {
            assert_eq!(Path::parse(text).map(|path| path.steps), Ok(steps), "{text}");
        }
    }

    #[test]
    fn what_is_no_path_is_told() {
        let unexpected = |found, at| PathError::Unexpected { found, at };
        let table = [
            ("traits.email", PathError::NoRoot),
            ("", PathError::NoRoot),
            ("$", PathError::NoName),
            ("$.", PathError::NoName),
            ("$.a.", PathError::NoName),
            ("$.a..", PathError::NoName),
            ("$.**", PathError::NoName),
            ("$a", unexpected('a', 2)),
            ("$.a b", unexpected(' ', 4)),
            ("$.a*", unexpected('*', 4)),
            ("$.a[", PathError::BadBracket),
            ("$.a[x]", PathError::BadBracket),
            ("$.a[\"x]", PathError::BadBracket),
            ("$.a[-1]", PathError::BadBracket),
        ];
        for (text, error) in table {
            assert_eq!(Path::parse(text), Err(error), "{text}");
        }
        assert_eq!(Path::parse(&format!("${}", ".a".repeat(33))), Err(PathError::TooLong));
    }
}
