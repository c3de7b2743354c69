//! Expressions as text, as their author could have written them: for messages, not to be read
//! again.

use std::fmt;

use super::ast::{Expression, Part, Step};
use super::lexer;
use super::values::SETTING_PREFIX;

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::Path(steps) => {
                f.write_str("$")?;
                path(steps, f)
            }
            Expression::Item(steps) if steps.is_empty() => f.write_str("."),
            Expression::Item(steps) => path(steps, f),
            Expression::Setting(name) => write!(f, "settings.{name}"),
            Expression::Parameter(name) => write!(f, "parameters.{name}"),
            Expression::First { left, blank, right } => {
                let sign = if *blank { "?|" } else { "??" };
                match right.as_ref() {
                    right @ Expression::First { .. } => write!(f, "{left} {sign} ({right})"),
                    right => write!(f, "{left} {sign} {right}"),
                }
            }
            Expression::Call { function, arguments, words } => {
                write!(f, "{}(", function.as_str())?;
                let arguments = arguments.iter().map(Expression::to_string);
                let words = words.iter().map(|word| {
                    let plain = !word.is_empty() && word.chars().all(lexer::is_name);
                    let plain = plain || word.starts_with(SETTING_PREFIX);
                    if plain { word.clone() } else { format!("{word:?}") }
                });
                let all: Vec<String> = arguments.chain(words).collect();
                write!(f, "{})", all.join(", "))
            }
            Expression::Text(text) => quoted(text, f),
            Expression::Number(number) => f.write_str(number),
            Expression::Bool(on) => write!(f, "{on}"),
            Expression::Place => f.write_str("place()"),
            Expression::Nothing | Expression::Null => f.write_str("null"),
            Expression::Template { strict, parts } => template(*strict, parts, f),
            Expression::Object(_)
            | Expression::List(_)
            | Expression::Each { .. }
            | Expression::With { .. }
            | Expression::Exact(_)
            | Expression::Table { .. }
            | Expression::Choice { .. } => f.write_str("a nested value"),
        }
    }
}

fn path(steps: &[Step], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for step in steps {
        match step {
            Step::Key(key) if !key.is_empty() && key.chars().all(lexer::is_name) => {
                write!(f, ".{key}")?;
            }
            Step::Key(key) => {
                f.write_str("[")?;
                quoted(key, f)?;
                f.write_str("]")?;
            }
            Step::Index(index) => write!(f, "[{index}]")?,
        }
    }
    Ok(())
}

fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    escaped(text, f)?;
    f.write_str("\"")
}

/// A text with the escapes that the language knows.
fn escaped(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for c in text.chars() {
        match c {
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            '"' | '\\' | '$' | '{' => write!(f, "\\{c}")?,
            c => write!(f, "{c}")?,
        }
    }
    Ok(())
}

fn template(strict: bool, parts: &[Part], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(if strict { "?\"" } else { "\"" })?;
    for part in parts {
        match part {
            Part::Text(text) => escaped(text, f)?,
            Part::Hole(inner) => write!(f, "{{{{{inner}}}}}")?,
        }
    }
    f.write_str("\"")
}
