//! Expressions as text, as their author could have written them: for messages, not to be read
//! again.

use std::fmt;

use super::ast::{Expression, Step};
use super::lexer;

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
                write!(f, "{left} {} {right}", if *blank { "?|" } else { "??" })
            }
            Expression::Call { function, arguments, .. } => {
                write!(f, "{}(", function.as_str())?;
                for (argument, place) in arguments.iter().zip(0..) {
                    write!(f, "{}{argument}", if place > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
            Expression::Text(text) => write!(f, "{text:?}"),
            Expression::Number(number) => f.write_str(number),
            Expression::Bool(on) => write!(f, "{on}"),
            Expression::Place => f.write_str("place()"),
            Expression::Nothing | Expression::Null => f.write_str("null"),
            Expression::Template { .. }
            | Expression::Object(_)
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
            Step::Key(key) => write!(f, "[{key:?}]")?,
            Step::Index(index) => write!(f, "[{index}]")?,
        }
    }
    Ok(())
}
