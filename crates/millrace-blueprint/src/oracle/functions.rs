//! The functions of the language, once more and plainly.

use millrace_model::time::UnixMillis;
use serde_json::{Value, json};

use crate::syntax::functions::Function;

pub(crate) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(on) => Some(on.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn number(value: &Value) -> Option<Value> {
    match value {
        Value::Number(_) => Some(value.clone()),
        Value::String(text) => {
            serde_json::from_str::<Value>(text.trim()).ok().filter(Value::is_number)
        }
        _ => None,
    }
}

fn time(value: &Value) -> Option<UnixMillis> {
    match value {
        Value::Number(number) => {
            let number = number.as_f64()?;
            let millis = if number.abs() < 1e11 { number * 1000.0 } else { number };
            (millis.abs() < 9e15).then_some(UnixMillis(millis as i64))
        }
        Value::String(text) => UnixMillis::parse(text),
        _ => None,
    }
}

pub(crate) fn call(
    function: Function,
    value: Value,
    second: Option<&Value>,
    words: &[String],
    received_at: UnixMillis,
) -> Option<Value> {
    let second = second.and_then(Value::as_str).unwrap_or_default();
    match (function, &value) {
        (Function::Number, _) => number(&value),
        (Function::Text, _) => {
            scalar_text(&value).filter(|_| value != "" || value.is_string()).map(Value::String)
        }
        (Function::Time, _) => time(&value).map(|at| json!(at.0)),
        (Function::IsoTime, _) => time(&value).map(|at| {
            let text = at.to_string();
            json!(text.get(..19).unwrap_or(&text))
        }),
        (Function::Lower, Value::String(text)) => Some(json!(text.to_lowercase())),
        (Function::Upper, Value::String(text)) => Some(json!(text.to_uppercase())),
        (Function::Lower | Function::Upper, _) => Some(value),
        (Function::Nonblank, Value::String(text)) => {
            (!text.trim().is_empty()).then(|| value.clone())
        }
        (Function::Nonblank, _) => Some(value),
        (Function::Identifier, _) => super::usable(&value).map(Value::String),
        (Function::WithoutPrefix, Value::String(text)) => {
            Some(json!(text.strip_prefix(second).unwrap_or(text)))
        }
        (Function::WithoutPrefix, _) => Some(value),
        (Function::Domain, Value::String(url)) => domain(url).map(|host| json!(host)),
        (Function::Count, Value::Array(list)) => Some(json!(list.len())),
        (Function::Sum, Value::Array(list)) => sum(list, words),
        (Function::Join, Value::Array(list)) => {
            let texts: Vec<String> = list.iter().filter_map(scalar_text).collect();
            (!texts.is_empty()).then(|| json!(texts.join(second)))
        }
        (Function::Age, _) => time(&value).map(|at| json!(received_at.0.saturating_sub(at.0))),
        (Function::List, Value::Array(_)) => Some(value),
        (Function::List, _) => Some(json!([value])),
        (Function::Browser, Value::String(agent)) => {
            crate::agent::browser(agent).map(|(name, _)| json!(name))
        }
        (Function::BrowserVersion, Value::String(agent)) => {
            crate::agent::browser(agent).and_then(|(_, version)| version).map(|text| json!(text))
        }
        (Function::Prefixed, Value::Object(members)) => {
            let members: serde_json::Map<String, Value> = members
                .iter()
                .map(|(key, value)| (format!("{second}{key}"), value.clone()))
                .collect();
            (!members.is_empty()).then_some(Value::Object(members))
        }
        (Function::Rename, Value::Object(members)) => rename(members, words),
        (Function::Fill, Value::String(text)) => {
            Some(json!(text.split_whitespace().collect::<Vec<_>>().join(" ")))
        }
        (Function::Omit | Function::Pick, Value::Object(members)) => {
            let keep = function == Function::Pick;
            let members: serde_json::Map<String, Value> = members
                .iter()
                .filter(|(key, _)| words.contains(key) == keep)
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            (!members.is_empty()).then_some(Value::Object(members))
        }
        _ => None,
    }
}

/// The earliest pair of a new name wins, and any pair over a member that has the name already.
fn rename(members: &serde_json::Map<String, Value>, words: &[String]) -> Option<Value> {
    let mut renamed = serde_json::Map::new();
    let old = |key: &String| words.iter().step_by(2).any(|word| word == key);
    for (key, value) in members.iter().filter(|(key, _)| !old(key)) {
        renamed.insert(key.clone(), value.clone());
    }
    let mut pairs: Vec<&[String]> = words.chunks_exact(2).collect();
    pairs.reverse();
    for pair in &pairs {
        let first = words.chunks_exact(2).find(|other| other.first() == pair.first());
        if let ([old, new], true) = (*pair, first == Some(*pair))
            && let Some(value) = members.get(old)
        {
            renamed.insert(new.clone(), value.clone());
        }
    }
    (!renamed.is_empty()).then_some(Value::Object(renamed))
}

fn sum(list: &[Value], words: &[String]) -> Option<Value> {
    let numbers: Vec<f64> = list
        .iter()
        .filter_map(|item| match words.first() {
            Some(word) => number(item.get(word)?)?.as_f64(),
            None => number(item)?.as_f64(),
        })
        .collect();
    if numbers.is_empty() {
        return None;
    }
    let mut text = Vec::new();
    crate::json::number::write(numbers.iter().sum(), &mut text);
    serde_json::from_slice(&text).ok()
}

fn domain(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest.get(..end)?.rsplit('@').next()?;
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => host.split(':').next()?,
    };
    (!scheme.is_empty() && !host.is_empty()).then_some(host)
}

/// By trying every way to divide the text.
pub(crate) fn matches(text: &str, pattern: &[String]) -> bool {
    match pattern {
        [] => false,
        [last] => text == last,
        [first, rest @ ..] => text.strip_prefix(first.as_str()).is_some_and(|after| {
            (0..=after.len())
                .filter(|at| after.is_char_boundary(*at))
                .any(|at| matches(after.get(at..).unwrap_or_default(), rest))
        }),
    }
}

pub(crate) fn is_uuid_shaped(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups.iter().all(|group| group.chars().all(|c| c.is_ascii_hexdigit()))
}
