//! Patterns of JavaScript, run by an engine whose time is linear in the text.
//!
//! A pattern is written over piece by piece, so that it means the same: `\d`, `\w`, `\s`, `\b` and
//! the dot are those of a script, and a bracket inside of a class is a bracket. What the engine has
//! no counterpart for (looking around, references back) is a mistake when the pattern is read, never
//! another meaning. Left as it is: a script counts UTF-16 units, so that a dot is half an emoji
//! there and a whole one here.

use regex::{Regex, RegexBuilder};

/// A pattern may have this many bytes.
const TEXT_LIMIT: usize = 1_000;

/// The bytes that a compiled pattern may take: far above what patterns over events need.
const COMPILED_LIMIT: usize = 1 << 18;

/// Deeper nesting is refused.
const NEST_LIMIT: u32 = 32;

const DIGIT: &str = "0-9";
const WORD: &str = "0-9A-Za-z_";
const SPACE: &str = r"\t\n\x0b\x0c\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff";

/// A pattern that is found anywhere in a text.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// Why it cannot be taken, in plain words.
    pub(crate) fn read(text: &str, ignore_case: bool) -> Result<Pattern, String> {
        if text.len() > TEXT_LIMIT {
            return Err(format!("a pattern has at most {TEXT_LIMIT} bytes"));
        }
        let mut written = written_over(text)?;
        if ignore_case {
            written.insert_str(0, "(?i)");
        }
        RegexBuilder::new(&written)
            .size_limit(COMPILED_LIMIT)
            .dfa_size_limit(COMPILED_LIMIT)
            .nest_limit(NEST_LIMIT)
            .build()
            .map(Pattern)
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => "the pattern is too large".to_owned(),
                _ => "this is no pattern that is taken here".to_owned(),
            })
    }

    /// True when the text holds it somewhere.
    pub(crate) fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// The pattern in the notation of the engine.
fn written_over(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.chars();
    let mut class = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' => rest = escape(rest, class, &mut out)?,
            '[' if class => out.push_str(r"\["),
            '[' => {
                class = true;
                out.push('[');
                if rest.as_str().starts_with('^') {
                    rest.next();
                    out.push('^');
                }
                if rest.as_str().starts_with(']') {
                    return Err("an empty class `[]` or `[^]` is not taken".to_owned());
                }
            }
            ']' if class => {
                class = false;
                out.push(']');
            }
            // Two of these are an operation on classes to the engine.
            '&' | '~' if class => out.extend(['\\', c]),
            '-' if class && rest.as_str().starts_with('-') => out.push_str(r"\-"),
            '.' if !class => out.push_str(r"[^\n\r\u2028\u2029]"),
            '(' if !class => {
                if let Some(kind) = rest.as_str().strip_prefix('?') {
                    group(kind)?;
                }
                out.push('(');
            }
            other => out.push(other),
        }
    }
    Ok(out)
}

/// Checks what follows `(?`.
fn group(kind: &str) -> Result<(), String> {
    let looking = ["=", "!", "<=", "<!"].iter().any(|sign| kind.starts_with(sign));
    if looking {
        return Err("looking ahead or behind is not taken: it has no bound in time".to_owned());
    }
    if kind.starts_with(':') || kind.starts_with('<') {
        Ok(())
    } else {
        Err("this kind of group is not taken".to_owned())
    }
}

/// Writes what follows a backslash, and gives what is left.
fn escape<'t>(
    mut rest: std::str::Chars<'t>,
    class: bool,
    out: &mut String,
) -> Result<std::str::Chars<'t>, String> {
    let Some(c) = rest.next() else {
        return Err("the pattern ends with a backslash".to_owned());
    };
    match c {
        'd' => out.push_str(&format!("[{DIGIT}]")),
        'D' => out.push_str(&format!("[^{DIGIT}]")),
        'w' => out.push_str(&format!("[{WORD}]")),
        'W' => out.push_str(&format!("[^{WORD}]")),
        's' => out.push_str(&format!("[{SPACE}]")),
        'S' => out.push_str(&format!("[^{SPACE}]")),
        'b' if class => out.push_str(r"\x08"),
        'b' => out.push_str(r"(?-u:\b)"),
        't' | 'n' | 'r' | 'f' | 'v' => out.extend(['\\', c]),
        '0' if !rest.as_str().starts_with(|next: char| next.is_ascii_digit()) => {
            out.push_str(r"\x00");
        }
        'x' | 'u' => {
            let count = if c == 'x' { 2 } else { 4 };
            let digits = rest.as_str().get(..count).unwrap_or_default();
            if digits.len() != count || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(format!("`\\{c}` takes {count} hexadecimal digits"));
            }
            out.push_str(&format!("\\{c}{digits}"));
            rest = rest.as_str().get(count..).unwrap_or_default().chars();
        }
        '1'..='9' | 'k' => {
            return Err("a reference back is not taken: it has no bound in time".to_owned());
        }
        letter if letter.is_ascii_alphanumeric() => {
            return Err(format!("`\\{letter}` is not taken in a pattern"));
        }
        sign if sign.is_ascii() => out.extend(['\\', sign]),
        other => out.push(other),
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_mean_what_they_mean_in_a_script() {
        for (pattern, text, wanted) in [
            ("", "anything", true),
            ("sign", "a sign in", true),
            ("^sign$", "sign in", false),
            ("^a.c$", "a\nc", false),
            ("^a.c$", "abc", true),
            (r"^\d+$", "12", true),
            (r"^\d+$", "\u{661}", false),
            (r"^\w+$", "a_1", true),
            (r"^\w+$", "\u{e4}", false),
            (r"^\s$", "\u{feff}", true),
            (r"^\s$", "\u{85}", false),
            (r"^[\d.]+$", "1.2", true),
            (r"^[^\s]+$", "a b", false),
            (r"^[[]$", "[", true),
            (r"^[&&]$", "&", true),
            (r"^[a&&b]$", "b", true),
            (r"^[a--b]$", "-", true),
            (r"\bin\b", "sign in", true),
            (r"\bin\b", "signin", false),
            (r"a\/b\.c", "a/b.c", true),
            (r"^(?:a|b){2,3}$", "aba", true),
            (r"^(?<year>\d{4})-", "2025-", true),
            (r"^\u00e4\x41$", "\u{e4}A", true),
            ("a+?b", "aab", true),
        ] {
            let read = Pattern::read(pattern, false).expect(pattern);
            assert_eq!(read.is_in(text), wanted, "{pattern} {text:?}");
        }
        assert!(Pattern::read("^SIGN \u{c4}$", true).expect("right").is_in("sign \u{e4}"));
    }

    #[test]
    fn what_has_no_counterpart_is_a_mistake() {
        for pattern in [
            "(?=a)",
            "(?!a)",
            "(?<=a)",
            "(?<!a)",
            r"(a)\1",
            r"\k<a>",
            "(?i)a",
            r"\p{L}",
            r"\A",
            r"\z",
            "[]",
            "[^]",
            "(",
            ")",
            "[a",
            "a{2,1}",
            "*a",
            r"\",
            r"\x4",
            r"\u{41}",
            r"\B",
            "(a{100}){100}{100}",
        ] {
            assert!(Pattern::read(pattern, false).is_err(), "{pattern}");
        }
        assert!(Pattern::read(&"a".repeat(TEXT_LIMIT + 1), false).is_err());
        assert!(Pattern::read(&format!("{}a{}", "(".repeat(200), ")".repeat(200)), false).is_err());
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in r"[\\\[\]()^$.*+?{}|a-c0-9,\-&~<>=!:dwsbxu]{0,24}", text in ".{0,40}") {
            if let Ok(read) = Pattern::read(&pattern, true) {
                read.is_in(&text);
            }
        }
    }
}
