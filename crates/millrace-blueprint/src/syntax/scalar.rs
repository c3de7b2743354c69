//! How the scalars of a blueprint are read: as expressions, or as plain texts, numbers and switches.
//!
//! No silent readings: a scalar that begins like an expression must be one as a whole, a plain text
//! that holds a path is refused with a hint, and so is what could be meant in two ways.

use super::ast::Expression;
use super::expression::{Names, Parser};
use super::lexer::{self, Mistake};
use super::tree::Scalar;

/// Reads a scalar of a blueprint as an expression.
pub(crate) fn read_scalar(scalar: &Scalar) -> Result<Expression, Mistake> {
    let text = scalar.text.as_str();
    if scalar.plain {
        match text {
            "" | "null" | "~" | "Null" | "NULL" => return Ok(Expression::Nothing),
            "true" => return Ok(Expression::Bool(true)),
            "false" => return Ok(Expression::Bool(false)),
            _ if crate::json::number::is_finite_number(text.as_bytes()) => {
                return Ok(Expression::Number(text.to_owned()));
            }
            _ => {}
        }
    }
    if begins_like_an_expression(text) {
        return Parser::over(text, Names::Value)?.whole();
    }
    if text.contains("{{") {
        return mustache(text);
    }
    if let Some(byte) = text.find("$.") {
        let message = "this text holds a path but is no expression";
        return Err(quoted_hint(Mistake::new(characters(text, byte), message), text));
    }
    for sign in [" ?? ", " ?| "] {
        if let Some(byte) = text.find(sign) {
            let message = format!("this text holds `{}` but is no expression", sign.trim());
            return Err(quoted_hint(Mistake::new(characters(text, byte + 1), message), text));
        }
    }
    if scalar.plain {
        unambiguous(text)?;
    }
    Ok(Expression::Text(text.to_owned()))
}

/// Refuses what could be meant in two ways. Quotes, inner or outer, say that it is a text.
fn unambiguous(text: &str) -> Result<(), Mistake> {
    let lower = text.to_ascii_lowercase();
    if ["yes", "no", "on", "off", "true", "false"].contains(&lower.as_str()) {
        let mistake = Mistake::new(0, format!("`{text}` is a boolean to some readers of YAML"));
        return Err(mistake.hint(format!("write true or false, or '{text}' for the text")));
    }
    if is_other_number(&lower) {
        let mistake = Mistake::new(0, format!("`{text}` is a number to some readers of YAML"));
        return Err(
            mistake.hint(format!("write the number as JSON does, or '{text}' for the text"))
        );
    }
    let (first, rest) = text.split_once('.').map_or((text, None), |(a, b)| (a, Some(b)));
    let plain = rest
        .is_none_or(|rest| !rest.is_empty() && rest.chars().all(|c| lexer::is_name(c) || c == '.'));
    let short = match first {
        "userId" | "anonymousId" | "groupId" | "previousId" => true,
        "properties" | "traits" | "context" => rest.is_some(),
        _ => false,
    };
    if short && plain {
        let mistake = Mistake::new(0, format!("`{text}` can be a text or a path"));
        return Err(mistake
            .hint(format!("write $.{text} for the event's member, '\"{text}\"' for the text")));
    }
    Ok(())
}

/// True for numbers as YAML 1.1 writes them, and JSON does not.
fn is_other_number(lower: &str) -> bool {
    let digits = lower.strip_prefix(['+', '-']).unwrap_or(lower);
    let all = |text: &str, digit: fn(char) -> bool| {
        text.chars().any(digit) && text.chars().all(|c| digit(c) || c == '_')
    };
    if let Some(hex) = digits.strip_prefix("0x") {
        return all(hex, |c| c.is_ascii_hexdigit());
    }
    if let Some(octal) = digits.strip_prefix("0o") {
        return all(octal, |c| c.is_digit(8));
    }
    let decimal = |c: char| c.is_ascii_digit() || c == '.';
    digits.chars().next().is_some_and(|c| c.is_ascii_digit())
        && digits.matches('.').count() <= 1
        && all(digits, decimal)
}

fn characters(text: &str, byte: usize) -> u32 {
    let count = text.get(..byte).unwrap_or_default().chars().count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn quoted_hint(mistake: Mistake, text: &str) -> Mistake {
    mistake.hint(format!("write '\"{text}\"' for a text with the value in it"))
}

/// True for texts that must be read as expressions as a whole.
fn begins_like_an_expression(text: &str) -> bool {
    let mut rest = text.chars();
    match rest.next() {
        Some('$' | '.' | '"' | '(') => true,
        Some('?') => rest.next() == Some('"'),
        Some(c) if lexer::is_name(c) => {
            let name: String = text.chars().take_while(|c| lexer::is_name(*c)).collect();
            let after = text.get(name.len()..).unwrap_or_default();
            after.starts_with('(')
                || (["settings", "parameters", "shared"].contains(&name.as_str())
                    && after.starts_with('.'))
        }
        _ => false,
    }
}

/// `Viewed {{name}}`: the form of other tools, outside quotes.
fn mustache(text: &str) -> Result<Expression, Mistake> {
    let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    // The mistake's place counts the first quote, and a backslash before each other one.
    let back = |mut mistake: Mistake| {
        let mut left = mistake.at.saturating_sub(1);
        let width = |c: char| if matches!(c, '\\' | '"') { 2 } else { 1 };
        let before = text.chars().take_while(|c| {
            let goes_by = left > 0;
            left = left.saturating_sub(width(*c));
            goes_by
        });
        mistake.at = u32::try_from(before.count()).unwrap_or(u32::MAX);
        mistake
    };
    Parser::over(&quoted, Names::Value).and_then(|mut parser| parser.whole()).map_err(back)
}
