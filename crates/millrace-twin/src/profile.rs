//! Profiles and the operators that change them (reference/mixpanel-api.md 3.1).
//!
//! An update is checked once when it arrives ([`check`]) and applied from its stored form
//! ([`apply`]), live and when the journal is read again, with the same result. Several operators in
//! one update are applied in the order of [`OPERATORS`].

use millrace_model::time::UnixMillis;
use serde_json::{Map, Number, Value};

use crate::json;
use crate::limits;
use crate::property;

/// The operators, in the order in which one update applies them.
const OPERATORS: [&str; 8] =
    ["$set", "$set_once", "$add", "$append", "$union", "$remove", "$unset", "$delete"];

/// What else of an update is kept.
const MODIFIERS: [&str; 6] =
    ["$distinct_id", "$group_key", "$group_id", "$time", "$ignore_time", "$ignore_alias"];

/// Whose profile an update is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// A user, by `/engage`.
    User,
    /// A group, by `/groups`.
    Group,
}

/// A profile as it stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profile {
    pub(crate) properties: Map<String, Value>,
    /// When it was last updated, by the update's own account.
    pub(crate) last_seen: Option<UnixMillis>,
}

impl Profile {
    /// The properties with `$last_seen`, as queries show them.
    pub(crate) fn shown(&self) -> Map<String, Value> {
        let mut shown = self.properties.clone();
        if let Some(at) = self.last_seen {
            // Mixpanel writes profile dates in UTC, to the second, without a zone (5.2).
            let text = at.to_string();
            let seconds = text.split('.').next().unwrap_or_default().to_owned();
            shown.insert("$last_seen".to_owned(), Value::String(seconds));
        }
        shown
    }
}

/// What is wrong with an update: the field and the message.
pub(crate) type Fault = (&'static str, String);

/// Checks an update and reduces it to what is stored: operators and modifiers, within the limits.
pub(crate) fn check(
    mut update: Map<String, Value>,
    subject: Subject,
) -> Result<Map<String, Value>, Fault> {
    let ids: &[&'static str] = match subject {
        Subject::User => &["$distinct_id"],
        Subject::Group => &["$group_key", "$group_id"],
    };
    for field in ids {
        if id(&update, field).is_none() {
            return Err((field, format!("{field}, missing or empty")));
        }
    }
    let mut kept = Map::new();
    for modifier in MODIFIERS {
        if let Some(value) = update.remove(modifier) {
            kept.insert(modifier.to_owned(), value);
        }
    }
    let mut operators = 0_usize;
    for operator in OPERATORS {
        let Some(mut value) = update.remove(operator) else { continue };
        if subject == Subject::Group && matches!(operator, "$add" | "$append") {
            return Err((operator, format!("{operator}, not supported for groups")));
        }
        check_operand(operator, &mut value)?;
        kept.insert(operator.to_owned(), value);
        operators += 1;
    }
    if operators == 0 {
        return Err(("", "no operator, such as $set".to_owned()));
    }
    Ok(kept)
}

/// The text of an id member; numbers count as their text.
pub(crate) fn id(update: &Map<String, Value>, field: &str) -> Option<String> {
    let text = match update.get(field)? {
        Value::String(text) => json::cut_chars(text, limits::TEXT).to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    (!text.is_empty()).then_some(text)
}

fn check_operand(operator: &'static str, operand: &mut Value) -> Result<(), Fault> {
    let wrong = |wanted: &str| (operator, format!("{operator}, must be {wanted}"));
    match operator {
        "$delete" => {
            *operand = Value::Null;
            Ok(())
        }
        "$unset" => match operand {
            Value::Array(names) if names.iter().all(Value::is_string) => Ok(()),
            Value::String(name) => {
                *operand = Value::Array(vec![Value::String(std::mem::take(name))]);
                Ok(())
            }
            _ => Err(wrong("a list of property names")),
        },
        _ => {
            let Value::Object(members) = operand else { return Err(wrong("an object")) };
            let mut fitted = Map::new();
            for (name, mut value) in std::mem::take(members) {
                if operator == "$add" && !value.is_number() {
                    return Err(wrong("an object of numbers"));
                }
                if operator == "$union" && !value.is_array() {
                    value = Value::Array(vec![value]);
                }
                property::profile_value(&mut value)
                    .map_err(|fault| (operator, format!("{operator}, {name}: {fault}")))?;
                fitted.insert(json::cut_chars(&name, limits::TEXT).to_owned(), value);
            }
            *members = fitted;
            Ok(())
        }
    }
}

/// When an update happened: its `$time` in seconds or milliseconds, never in the future.
pub(crate) fn happened_at(update: &Map<String, Value>, received: UnixMillis) -> UnixMillis {
    let number = match update.get("$time") {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    match number.filter(|number: &f64| number.is_finite() && *number > 0.0) {
        Some(number) => {
            let millis = if number >= 1e11 { number } else { number * 1_000.0 };
            UnixMillis((millis.round() as i64).min(received.0))
        }
        None => received,
    }
}

/// Whether a flag of an update is on.
pub(crate) fn flag(update: &Map<String, Value>, name: &str) -> bool {
    update.get(name).is_some_and(|value| json::flag(Some(&value.to_string())))
}

/// The profile after an update; `None` when there is none then.
pub(crate) fn apply(
    before: Option<Profile>,
    update: &Map<String, Value>,
    received: UnixMillis,
) -> Option<Profile> {
    let creates = ["$set", "$set_once", "$add", "$append", "$union"];
    let made = creates.iter().any(|operator| update.contains_key(*operator));
    let mut profile = match before {
        Some(profile) => profile,
        None if made => Profile::default(),
        None => return None,
    };
    for operator in OPERATORS {
        match (operator, update.get(operator)) {
            (_, None) => {}
            ("$delete", Some(_)) => return None,
            ("$unset", Some(Value::Array(names))) => {
                for name in names.iter().filter_map(Value::as_str) {
                    profile.properties.remove(name);
                }
            }
            (_, Some(Value::Object(members))) => {
                for (name, value) in members {
                    change(&mut profile.properties, operator, name, value);
                }
            }
            (_, Some(_)) => {}
        }
    }
    if !flag(update, "$ignore_time") {
        let at = happened_at(update, received);
        profile.last_seen = Some(profile.last_seen.map_or(at, |seen| seen.max(at)));
    }
    Some(profile)
}

/// One operator on one property. `$last_seen` is computed and never set by hand (5.2).
fn change(properties: &mut Map<String, Value>, operator: &str, name: &str, value: &Value) {
    if matches!(name, "$last_seen" | "$distinct_id") {
        return;
    }
    let there = properties.get_mut(name);
    if there.is_none() && operator == "$remove" {
        return;
    }
    let Some(there) = there else {
        if properties.len() < limits::PROFILE_PROPERTIES {
            let first = match operator {
                "$append" => Value::Array(vec![value.clone()]),
                "$union" => {
                    let mut list = Value::Array(Vec::new());
                    unite(&mut list, value);
                    list
                }
                _ => value.clone(),
            };
            properties.insert(name.to_owned(), first);
        }
        return;
    };
    match operator {
        "$set" => *there = value.clone(),
        "$add" => {
            if let (Value::Number(a), Value::Number(b)) = (&*there, value) {
                *there = sum(a, b);
            }
        }
        "$append" | "$union" => {
            let mut longer = there.clone();
            match &mut longer {
                Value::Array(items) if operator == "$append" => items.push(value.clone()),
                list => unite(list, value),
            }
            // A list that has reached its limit takes no more.
            if longer.to_string().len() <= limits::PROFILE_VALUE_BYTES {
                *there = longer;
            }
        }
        "$remove" => {
            if let Value::Array(items) = there {
                items.retain(|item| !same(item, value));
            }
        }
        // `$set_once` leaves what is there.
        _ => {}
    }
}

fn unite(list: &mut Value, more: &Value) {
    let (Value::Array(items), Value::Array(more)) = (list, more) else { return };
    for value in more {
        if !items.iter().any(|item| same(item, value)) {
            items.push(value.clone());
        }
    }
}

/// Whether two values are equal, 1 and 1.0 included.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

/// The sum, whole as long as both are whole and it fits.
fn sum(a: &Number, b: &Number) -> Value {
    let whole = a.as_i64().zip(b.as_i64()).and_then(|(a, b)| a.checked_add(b));
    match whole {
        Some(sum) => Value::from(sum),
        None => Value::from(a.as_f64().unwrap_or_default() + b.as_f64().unwrap_or_default()),
    }
}
