//! Consent in JSON values: maps of codes and answers, lists of what is granted.

use serde_json::Value;

use super::evidence::Statement;

/// Takes up one answer. `words` are the answers that mean granted, all others denied; without any,
/// the usual words.
pub(super) fn answer(code: &str, answer: &str, words: &[String], statement: &mut Statement) {
    if words.is_empty() {
        statement.say_in_words(code, answer);
    } else {
        statement.say(code, words.iter().any(|word| word == answer.trim()));
    }
}

/// Takes up one answer of any JSON type.
pub(super) fn of_value(code: &str, value: &Value, words: &[String], statement: &mut Statement) {
    match value {
        Value::Bool(granted) if words.is_empty() => statement.say(code, *granted),
        Value::Bool(granted) => {
            answer(code, if *granted { "true" } else { "false" }, words, statement)
        }
        Value::String(text) => answer(code, text, words, statement),
        Value::Number(number) => answer(code, &number.to_string(), words, statement),
        // Some SDKs wrap the answer, as XDM does.
        Value::Object(inner) => match inner.get("val").or_else(|| inner.get("granted")) {
            Some(value @ (Value::Bool(_) | Value::String(_) | Value::Number(_))) => {
                of_value(code, value, words, statement);
            }
            _ => statement.unreadable(),
        },
        Value::Null => {}
        Value::Array(_) => statement.unreadable(),
    }
}

/// A map of codes and answers, or a list of the codes that are granted.
pub(super) fn map_or_list(value: &Value, words: &[String], statement: &mut Statement) {
    match value {
        Value::Object(map) => {
            for (code, value) in map {
                of_value(code, value, words, statement);
            }
        }
        Value::Array(_) => list(value, true, statement),
        Value::Null => {}
        _ => statement.unreadable(),
    }
}

/// A list of codes, all granted or all denied.
pub(super) fn list(value: &Value, granted: bool, statement: &mut Statement) {
    let Value::Array(codes) = value else {
        statement.unreadable();
        return;
    };
    for code in codes {
        match code {
            Value::String(code) => statement.say(code, granted),
            Value::Number(code) => statement.say(&code.to_string(), granted),
            _ => statement.unreadable(),
        }
    }
}
