//! Values with a shape: constants, and event properties, which are JSON with references in it.

use millrace_model::code::Code;
use serde_json::Value;

use super::elements::{Elements, noted};
use crate::syntax::ast::{Entry, EntryKind, Expression, Place};
use crate::syntax::tree::{Key, Node, NodeValue, Scalar};
use crate::syntax::{Problems, SETTING_PREFIX, reserved_names};

/// JSON in a text may be nested as deep.
const DEPTH_LIMIT: usize = 48;

/// A value as it is written, without references, and how many values it has.
pub(super) fn literal(node: &Node) -> (Expression, usize) {
    let mut size = 0;
    let expression = constant(node, &mut size);
    let whole = match expression {
        Expression::Object(_) | Expression::List(_) => Expression::Exact(Box::new(expression)),
        scalar => scalar,
    };
    (whole, size)
}

fn constant(node: &Node, size: &mut usize) -> Expression {
    *size += 1;
    match &node.value {
        NodeValue::Scalar(one) => scalar(one).unwrap_or_else(|| Expression::Text(one.text.clone())),
        NodeValue::List(items) => {
            Expression::List(items.iter().map(|item| constant(item, size)).collect())
        }
        NodeValue::Map(members) => Expression::Object(
            members.iter().map(|(key, node)| entry(key, node, constant(node, size))).collect(),
        ),
    }
}

/// A scalar that is no text.
fn scalar(scalar: &Scalar) -> Option<Expression> {
    match scalar.text.as_str() {
        _ if !scalar.plain => None,
        "" | "null" | "~" => Some(Expression::Null),
        "true" => Some(Expression::Bool(true)),
        "false" => Some(Expression::Bool(false)),
        text if crate::json::number::is_finite_number(text.as_bytes()) => {
            Some(Expression::Number(text.to_owned()))
        }
        _ => None,
    }
}

fn entry(key: &Key, node: &Node, value: Expression) -> Entry {
    let what = EntryKind::Member { key: key.text.clone(), value };
    Entry { place: key.place, source: node.source(), what }
}

/// Reads event properties: a map, the same as JSON in a text, or one reference to an object.
pub(super) fn properties(
    node: &Node,
    elements: &mut Elements,
    problems: &mut Problems,
) -> Expression {
    let mut entries = Vec::new();
    match &node.value {
        NodeValue::Map(members) => members_of(members, elements, problems, &mut entries),
        NodeValue::Scalar(one) if is_reference(&one.text) => {
            let value = elements.value(node.place, one.text.trim(), problems);
            let what = EntryKind::Spread(Expression::Exact(Box::new(value)));
            entries.push(Entry { place: node.place, source: node.source(), what });
        }
        NodeValue::Scalar(one) => {
            problems.reading(|| noted(node.place, &one.text, "JSON", String::new()));
            if let Some(members) = json_members(node.place, &one.text, problems) {
                members_of(&members, elements, problems, &mut entries);
            }
        }
        NodeValue::List(_) => {
            let message = "event properties are an object, not a list";
            problems.add(node.place, Code::BadValue, message, None);
        }
    }
    Expression::Object(entries)
}

/// True for one reference and nothing beside it.
fn is_reference(text: &str) -> bool {
    let inner = text.trim().strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
    inner.is_some_and(|inner| !inner.contains(['{', '}']))
}

fn members_of(
    members: &[(Key, Node)],
    elements: &mut Elements,
    problems: &mut Problems,
    entries: &mut Vec<Entry>,
) {
    for (key, node) in members {
        if reserved_names().contains(&key.text.as_str()) {
            let message = format!("`{}` is no property", key.text);
            let hint = Some("the action has a field for it, or Millrace writes it".to_owned());
            problems.add(key.place, Code::UnknownField, message, hint);
        }
        // In JSON null is a value, and what is empty is, too.
        let value = Expression::Exact(Box::new(shape(key, node, elements, problems)));
        entries.push(entry(key, node, value));
    }
}

fn shape(key: &Key, node: &Node, elements: &mut Elements, problems: &mut Problems) -> Expression {
    let odd = key.text.is_empty() || key.text.starts_with(SETTING_PREFIX);
    if odd || key.text.contains("{{") {
        let message = "the name of a property is not empty, has no references, and does not begin with `settings.`";
        problems.add(key.place, Code::BadValue, message, None);
    }
    match &node.value {
        NodeValue::Scalar(one) => match scalar(one) {
            Some(expression) if elements.grow(node.place, 1, problems) => expression,
            Some(_) => Expression::Nothing,
            None => elements.value(node.place, &one.text, problems),
        },
        NodeValue::List(items) => Expression::List(
            items.iter().map(|item| shape(key, item, elements, problems)).collect(),
        ),
        NodeValue::Map(members) => Expression::Object(
            members
                .iter()
                .map(|(key, node)| entry(key, node, shape(key, node, elements, problems)))
                .collect(),
        ),
    }
}

/// The members of an object that stands as JSON in a text.
fn json_members(place: Place, text: &str, problems: &mut Problems) -> Option<Vec<(Key, Node)>> {
    let mut refuse = |message: String, hint: Option<&str>| {
        problems.add(place, Code::BadValue, message, hint.map(str::to_owned));
        None
    };
    let value: Value = match serde_json::from_str(&with_quoted_references(text)) {
        Ok(value) => value,
        Err(error) => {
            let hint = text.contains("{{").then_some("a reference is a value: \"a\": {{name}}");
            return refuse(format!("the properties are no JSON: {error}"), hint);
        }
    };
    match node_of(place, &value, DEPTH_LIMIT) {
        Some(Node { value: NodeValue::Map(members), .. }) => Some(members),
        Some(_) => refuse("event properties are an object".to_owned(), None),
        None => refuse("the properties are nested too deeply".to_owned(), None),
    }
}

/// The text with quotes around the references that stand as values: `{"a": {{name}}}`. Outside of
/// texts two opening braces in a row are no JSON, so they can be nothing else.
fn with_quoted_references(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_text = false;
    while let Some(first) = rest.chars().next() {
        let reference = rest.strip_prefix("{{").filter(|_| !in_text);
        if let Some((name, behind)) = reference.and_then(|inner| inner.split_once("}}")) {
            out.push_str(&Value::String(format!("{{{{{name}}}}}")).to_string());
            rest = behind;
            continue;
        }
        let escaped = in_text && first == '\\';
        in_text ^= first == '"';
        let length = if escaped {
            first.len_utf8() + rest.chars().nth(1).map_or(0, char::len_utf8)
        } else {
            first.len_utf8()
        };
        let (taken, behind) = rest.split_at_checked(length).unwrap_or((rest, ""));
        out.push_str(taken);
        rest = behind;
    }
    out
}

/// JSON as a node of the file, all of it at one place; none when it is nested too deeply.
fn node_of(place: Place, value: &Value, depth: usize) -> Option<Node> {
    let depth = depth.checked_sub(1)?;
    let value = match value {
        Value::String(text) => {
            NodeValue::Scalar(Scalar { text: text.clone(), plain: false, indent: None })
        }
        Value::Array(items) => {
            let items: Option<_> = items.iter().map(|item| node_of(place, item, depth)).collect();
            NodeValue::List(items?)
        }
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                Some((Key { text: name.clone(), place }, node_of(place, value, depth)?))
            };
            let members: Option<_> = members.iter().map(member).collect();
            NodeValue::Map(members?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            NodeValue::Scalar(Scalar { text: value.to_string(), plain: true, indent: None })
        }
    };
    Some(Node { place, value })
}
