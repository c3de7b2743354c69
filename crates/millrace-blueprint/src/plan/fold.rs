//! What settings decide before any event comes.

use std::borrow::Cow;

use serde_json::Value;

use crate::Setting;
use crate::syntax::SETTING_PREFIX;
use crate::syntax::ast::{Condition, Expression};

/// What is chosen for a plan.
#[derive(Debug, Default)]
pub(crate) struct Values<'a> {
    pub(crate) settings: Vec<(&'a Setting, Value)>,
    /// What the pipeline gives, or the defaults.
    pub(crate) parameters: Vec<(&'a str, &'a str)>,
}

impl Values<'_> {
    /// A setting and its value.
    pub(crate) fn find(&self, name: &str) -> Option<(&Setting, &Value)> {
        let found = self.settings.iter().find(|(setting, _)| setting.name == name);
        found.map(|(setting, value)| (*setting, value))
    }

    /// The text of a parameter.
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(have, _)| *have == name).map(|(_, text)| *text)
    }

    /// The value of a setting.
    pub(crate) fn setting(&self, name: &str) -> Option<&Value> {
        self.find(name).map(|(_, value)| value)
    }
}

/// The expression that a setting or parameter stands for; other expressions as they are.
pub(crate) fn settled<'a>(expression: &'a Expression, values: &Values<'_>) -> Folded<'a> {
    let name = match expression {
        Expression::Setting(name) => name,
        Expression::Parameter(name) => {
            let text = values.parameter(name).unwrap_or_default();
            return Folded::New(Expression::Text(text.to_owned()));
        }
        _ => return Folded::Same(expression),
    };
    Folded::New(match values.setting(name) {
        Some(Value::String(text)) => Expression::Text(text.clone()),
        Some(Value::Bool(on)) => Expression::Bool(*on),
        Some(Value::Number(number)) => Expression::Number(number.to_string()),
        _ => Expression::Nothing,
    })
}

/// The name of a member: as written, or the text of the setting that it names.
pub(crate) fn member_name<'a>(key: &'a str, values: &'a Values<'_>) -> Cow<'a, str> {
    let Some(name) = key.strip_prefix(SETTING_PREFIX) else { return Cow::Borrowed(key) };
    Cow::Borrowed(values.setting(name).and_then(Value::as_str).unwrap_or_default())
}

/// An expression, borrowed or new.
pub(crate) enum Folded<'a> {
    Same(&'a Expression),
    New(Expression),
}

impl Folded<'_> {
    pub(crate) fn get(&self) -> &Expression {
        match self {
            Folded::Same(expression) => expression,
            Folded::New(expression) => expression,
        }
    }
}

fn is_constant(expression: &Expression) -> bool {
    matches!(
        expression,
        Expression::Nothing | Expression::Text(_) | Expression::Number(_) | Expression::Bool(_)
    )
}

/// Whether two constants are equal; none when one of them depends on the event.
fn equal(left: &Expression, right: &Expression, values: &Values<'_>) -> Option<bool> {
    let (left, right) = (settled(left, values), settled(right, values));
    let (left, right) = (left.get(), right.get());
    if !is_constant(left) || !is_constant(right) {
        return None;
    }
    Some(match (left, right) {
        (Expression::Number(a), Expression::Number(b)) => a.parse::<f64>() == b.parse::<f64>(),
        _ => left == right,
    })
}

/// Whether a condition holds for every event or for none; none when it depends on the event.
pub(crate) fn constant(condition: &Condition, values: &Values<'_>) -> Option<bool> {
    match condition {
        Condition::Always => Some(true),
        Condition::Any(parts) => {
            let found: Vec<_> = parts.iter().map(|part| constant(part, values)).collect();
            if found.contains(&Some(true)) {
                return Some(true);
            }
            found.iter().all(|one| *one == Some(false)).then_some(false)
        }
        Condition::All(parts) => {
            let found: Vec<_> = parts.iter().map(|part| constant(part, values)).collect();
            if found.contains(&Some(false)) {
                return Some(false);
            }
            found.iter().all(|one| *one == Some(true)).then_some(true)
        }
        Condition::Not(inner) => constant(inner, values).map(|holds| !holds),
        Condition::Equal(left, right) => equal(left, right, values),
        Condition::In(value, list) => {
            let found: Vec<_> = list.iter().map(|one| equal(value, one, values)).collect();
            if found.contains(&Some(true)) {
                return Some(true);
            }
            found.iter().all(|one| *one == Some(false)).then_some(false)
        }
        Condition::Exists(value) => {
            let value = settled(value, values);
            is_constant(value.get()).then(|| *value.get() != Expression::Nothing)
        }
        Condition::True(value) => {
            let value = settled(value, values);
            is_constant(value.get()).then(|| *value.get() == Expression::Bool(true))
        }
        Condition::Order { .. }
        | Condition::Text { .. }
        | Condition::Matches(..)
        | Condition::UuidShaped(_)
        | Condition::Compared { .. } => None,
    }
}
