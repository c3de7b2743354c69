//! The functions of the language, once more and plainly.

use millrace_model::time::UnixMillis;
use serde_json::{Value, json};

use crate::agent::segment::Components;
use crate::syntax::functions::{Function, Wanted};

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

/// What two numbers come to.
fn reckon(first: &Value, second: Option<&Value>, how: fn(f64, f64) -> f64) -> Option<Value> {
    let result = how(number(first)?.as_f64()?, number(second?)?.as_f64()?);
    let mut text = Vec::new();
    crate::json::number::write(result, &mut text);
    result.is_finite().then(|| serde_json::from_slice(&text).ok())?
}

/// A checked conversion; what was found when it cannot be done.
pub(crate) fn need(wanted: Wanted, value: &Value) -> Result<Option<Value>, &'static str> {
    let found = match value {
        Value::Null => return Ok(None),
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    let one = match value {
        Value::Array(items) if items.len() == 1 && wanted != Wanted::List => &items[0],
        other => other,
    };
    if one.is_null() {
        return Ok(None);
    }
    let as_number = |value: &Value| match value {
        Value::Bool(on) => Some(json!(i32::from(*on))),
        other => number(other),
    };
    let is = |wanted: f64| one.as_f64() == Some(wanted);
    let done = match wanted {
        Wanted::Text => scalar_text(one).map(Value::String),
        Wanted::Number => as_number(one),
        Wanted::Integer => {
            as_number(one).filter(|number| number.as_f64().is_some_and(|n| n.fract() == 0.0))
        }
        Wanted::Switch if is(1.0) || one == "true" => Some(json!(true)),
        Wanted::Switch if is(0.0) || one == "false" => Some(json!(false)),
        Wanted::Switch => Some(one.clone()).filter(Value::is_boolean),
        Wanted::Time => {
            let at = time(one).or_else(|| UnixMillis::parse_month_first(one.as_str()?));
            at.map(|at| json!(at.0))
        }
        Wanted::Object => Some(one.clone()).filter(Value::is_object),
        Wanted::List if one.is_array() => Some(one.clone()),
        Wanted::List => scalar_text(one).map(|_| json!([one])),
    };
    done.map(Some).ok_or(found)
}

pub(crate) fn call(
    function: Function,
    value: Value,
    second: Option<&Value>,
    words: &[String],
    received_at: UnixMillis,
    exact: bool,
) -> Option<Value> {
    let other = second;
    let second = second.and_then(Value::as_str).unwrap_or_default();
    let has = |word: &str| words.iter().skip(1).any(|have| have == word);
    match (function, &value) {
        (Function::Replace, _) => Some(replace(&value, words)),
        (Function::Flatten, _) => {
            let mut flat = serde_json::Map::new();
            let keep = has("keep_lists");
            flatten(&value, words.first()?, keep, None, &mut flat);
            flat.retain(|_, value| exact || !value.is_null());
            (exact || !flat.is_empty()).then_some(Value::Object(flat))
        }
        (Function::Json, _) => Some(json!(value.to_string())),
        (Function::FromJson, Value::String(text)) => {
            let read = serde_json::from_str(text.trim());
            Some(read.unwrap_or(value)).filter(|value| exact || !value.is_null())
        }
        (Function::FromJson, _) => Some(value),
        (Function::WithoutNulls, Value::Null) => None,
        (Function::WithoutNulls, _) => {
            let clean = without_nulls(value);
            (exact || clean != json!({})).then_some(clean)
        }
        (Function::Empties, Value::Object(members)) => by_emptiness(members, true),
        (Function::WithoutEmpties, Value::Object(members)) => by_emptiness(members, false),
        (Function::Plus, _) => reckon(&value, other, |a, b| a + b),
        (Function::Minus, _) => reckon(&value, other, |a, b| a - b),
        (Function::Negate, _) => match number(&value)? {
            zero if zero.as_f64() == Some(0.0) => Some(zero),
            number => {
                let text = number.to_string();
                let text = text.strip_prefix('-').map_or(format!("-{text}"), str::to_owned);
                serde_json::from_str(&text).ok()
            }
        },
        (Function::Number, _) => number(&value),
        (Function::Text, _) => {
            scalar_text(&value).filter(|_| value != "" || value.is_string()).map(Value::String)
        }
        (Function::Time, _) => time(&value).map(|at| json!(at.0)),
        (Function::Seconds, _) => time(&value).map(|at| json!(at.0.div_euclid(1_000))),
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
        (Function::Query, Value::String(url)) => query(url),
        (Function::Count, Value::Array(list)) => Some(json!(list.len())),
        (Function::Size, Value::Array(list)) => Some(json!(list.len())),
        (Function::Size, Value::Object(members)) => Some(json!(members.len())),
        (Function::Member, Value::Object(members)) => {
            members.get(second).filter(|found| !found.is_null()).cloned()
        }
        (Function::Follow, _) => {
            let readings = crate::segment::Path::read(other?.as_str()?).ok()?.readings();
            let mut found = readings.iter().map(|steps| super::values::walk(&value, steps));
            let last = found.clone().next_back().flatten();
            found.find_map(|one| one.filter(|one| !one.is_null())).or(last).cloned()
        }
        (Function::NeedNumbers, Value::Object(members)) => {
            let numbers: serde_json::Map<String, Value> = members
                .iter()
                .filter(|(_, value)| value.is_number() || value.is_string())
                .filter_map(|(key, value)| Some((key.clone(), number(value)?)))
                .collect();
            (!numbers.is_empty()).then_some(Value::Object(numbers))
        }
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
        (Function::SegmentBrowser, Value::String(agent)) => {
            Some(json!(crate::agent::segment::browser(agent)))
        }
        (Function::SegmentBrowserVersion, Value::String(agent)) => {
            crate::agent::segment::version(agent, Components::All).map(|text| json!(text))
        }
        (Function::SyftBrowserVersion, Value::String(agent)) => {
            crate::agent::segment::version(agent, Components::Two).map(|text| json!(text))
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

fn replace(value: &Value, words: &[String]) -> Value {
    let mut text = scalar_text(value).unwrap_or_default();
    let (from, to) = (words[0].as_str(), words[1].as_str());
    let has = |word: &str| words.iter().skip(2).any(|have| have == word);
    let lower = |text: &str| text.to_lowercase();
    let mut done = String::new();
    while !text.is_empty() {
        let end = from.chars().count();
        let head: String = text.chars().take(end).collect();
        let hit = head == from || (has("ignore_case") && lower(&head) == lower(from));
        if hit {
            done.push_str(to);
            text = text.chars().skip(end).collect();
            if has("first") {
                break;
            }
        } else {
            done.extend(text.chars().next());
            text = text.chars().skip(1).collect();
        }
    }
    Value::String(done + &text)
}

fn flatten(
    value: &Value,
    separator: &str,
    keep: bool,
    name: Option<&str>,
    flat: &mut serde_json::Map<String, Value>,
) {
    let below = |key: &str| match name {
        Some(name) if !name.is_empty() => format!("{name}{separator}{key}"),
        _ => key.to_owned(),
    };
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                flatten(value, separator, keep, Some(&below(key)), flat);
            }
        }
        Value::Array(items) if !keep => {
            for (place, value) in items.iter().enumerate() {
                flatten(value, separator, keep, Some(&below(&place.to_string())), flat);
            }
        }
        other => {
            flat.insert(name.unwrap_or_default().to_owned(), other.clone());
        }
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        other => other,
    }
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

fn query(url: &str) -> Option<Value> {
    let query = url.split_once('?')?.1.split('#').next()?;
    let mut found = serde_json::Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()).take(100) {
        if !value.is_empty() && !found.contains_key(&*name) {
            found.insert(name.into_owned(), json!(value));
        }
    }
    (!found.is_empty()).then_some(Value::Object(found))
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

fn by_emptiness(members: &serde_json::Map<String, Value>, empty: bool) -> Option<Value> {
    let is_empty = |value: &Value| {
        value.is_null() || *value == json!("") || *value == json!([]) || *value == json!({})
    };
    let kept = members.iter().filter(|(_, value)| is_empty(value) == empty);
    let kept: serde_json::Map<String, Value> =
        kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    (!kept.is_empty()).then_some(Value::Object(kept))
}
