//! Long lists in cases: `repeat` makes numbered copies of a template.

use anyhow::Context as _;
use serde_json::Value;

/// The copies of `member`, numbered from 1.
pub(super) fn copies(repeat: &Value, member: &str) -> anyhow::Result<Vec<Value>> {
    let count = repeat.get("count").and_then(Value::as_u64).context("repeat.count")?;
    let template = repeat.get(member).with_context(|| format!("repeat.{member}"))?;
    Ok((1..=count).map(|number| copy(template, number)).collect())
}

fn copy(template: &Value, number: u64) -> Value {
    match template {
        Value::String(text) if text == "{int n}" => Value::from(number),
        Value::String(text) => Value::String(filled(text, number)),
        Value::Array(items) => items.iter().map(|item| copy(item, number)).collect(),
        Value::Object(members) => {
            let copied = members.iter().map(|(name, value)| (name.clone(), copy(value, number)));
            Value::Object(copied.collect())
        }
        other => other.clone(),
    }
}

/// A text with `{n}` and `{n:WIDTH}` filled in; the latter with zeros in front.
fn filled(text: &str, number: u64) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{n") {
        out.push_str(before);
        match placeholder(after) {
            Some((width, behind)) => {
                out.push_str(&format!("{number:0width$}"));
                rest = behind;
            }
            None => {
                out.push_str("{n");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The width that a placeholder asks for, and what stands behind it; `after` begins behind `{n`.
fn placeholder(after: &str) -> Option<(usize, &str)> {
    let (width, behind) = after.split_once('}')?;
    match width.strip_prefix(':') {
        Some(width) => Some((width.parse().ok()?, behind)),
        None => width.is_empty().then_some((0, behind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn copies_are_numbered_in_texts_and_as_numbers() {
        let repeat =
            json!({"count": 2, "user": {"id": "u-{n:03}-{n}-{name}", "n": ["{int n}", true]}});
        let wanted = [
            json!({"id": "u-001-1-{name}", "n": [1, true]}),
            json!({"id": "u-002-2-{name}", "n": [2, true]}),
        ];
        assert_eq!(copies(&repeat, "user").unwrap(), wanted);
        assert!(copies(&json!({"count": 1}), "user").is_err());
    }
}
