//! Adobe's comparisons over `serde_json::Value`, by the steps of ECMAScript as they stand there.

use serde_json::Value;

use crate::adobe::compare::Operator;

/// Whether a comparison holds; none is what is absent or null.
pub(super) fn holds(operator: &Operator, left: Option<&Value>, right: Option<&Value>) -> bool {
    let texts = |holds: fn(&str, &str) -> bool| match (text(left), text(right)) {
        (Some(left), Some(right)) => holds(&left, &right),
        _ => false,
    };
    let order = match (sized(left), sized(right)) {
        (Some(left), Some(right)) => left.partial_cmp(&right),
        _ => None,
    };
    match operator {
        Operator::Equal => loosely_equal(left, right),
        Operator::Contains => texts(|left, right| left.contains(right)),
        Operator::StartsWith => texts(|left, right| left.starts_with(right)),
        Operator::EndsWith => texts(|left, right| left.ends_with(right)),
        Operator::Matches(pattern) => text(left).is_some_and(|text| pattern.is_in(&text)),
        Operator::Less => order.is_some_and(std::cmp::Ordering::is_lt),
        Operator::LessOrEqual => order.is_some_and(std::cmp::Ordering::is_le),
        Operator::Greater => order.is_some_and(std::cmp::Ordering::is_gt),
        Operator::GreaterOrEqual => order.is_some_and(std::cmp::Ordering::is_ge),
        Operator::Truthy => match left {
            None | Some(Value::Null) => false,
            Some(Value::Bool(on)) => *on,
            Some(Value::Number(number)) => number.as_f64() != Some(0.0),
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(_) | Value::Object(_)) => true,
        },
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(digits(number.as_f64()?)),
        _ => None,
    }
}

/// Numbers of random events are small; the table of the operators has the large ones.
fn digits(number: f64) -> String {
    if number == 0.0 { "0".to_owned() } else { number.to_string() }
}

fn to_number(text: &str) -> Option<f64> {
    let text = text.trim();
    let decimal = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E');
    if text.is_empty() {
        Some(0.0)
    } else if text.chars().all(decimal) {
        text.parse().ok()
    } else {
        None
    }
}

fn sized(value: Option<&Value>) -> Option<f64> {
    match value? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) if !text.trim().is_empty() => to_number(text),
        _ => None,
    }
}

fn primitive(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(on) => on.to_string(),
        Value::Number(number) => digits(number.as_f64().unwrap_or_default()),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(primitive).collect::<Vec<_>>().join(","),
        Value::Object(_) => "[object Object]".to_owned(),
    }
}

fn loosely_equal(left: Option<&Value>, right: Option<&Value>) -> bool {
    let (left, right) = match (left, right) {
        (None | Some(Value::Null), None | Some(Value::Null)) => return true,
        (Some(left), Some(right)) if !left.is_null() && !right.is_null() => (left, right),
        _ => return false,
    };
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(on) => Some(if *on { 1.0 } else { 0.0 }),
        Value::String(text) => to_number(text),
        _ => None,
    };
    let group = |value: &Value| value.is_array() || value.is_object();
    match (left, right) {
        (left, right) if group(left) && group(right) => false,
        (left, right) if group(left) => {
            loosely_equal(Some(&Value::String(primitive(left))), Some(right))
        }
        (left, right) if group(right) => {
            loosely_equal(Some(left), Some(&Value::String(primitive(right))))
        }
        (Value::String(left), Value::String(right)) => left == right,
        (left, right) => match (number(left), number(right)) {
            (Some(left), Some(right)) => left == right,
            _ => false,
        },
    }
}
