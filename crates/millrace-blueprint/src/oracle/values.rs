//! The values and conditions of the oracle.

use millrace_model::code::Code;
use millrace_model::row::Mapped;
use serde_json::{Map, Value, json};

use super::{Oracle, comparison, functions};
use crate::plan::fold::{member_name, settled};
use crate::syntax::ast::{Condition, Entry, EntryKind, Expression, Order, Part, Step, TextTest};
use crate::syntax::functions::{Function, Wanted};

/// The item of the innermost `each` or `with`, and its place in the list.
#[derive(Clone, Copy, Default)]
pub(super) struct Scope<'v> {
    pub(super) value: Option<&'v Value>,
    pub(super) place: u32,
}

impl Oracle<'_> {
    /// An object: from top to bottom, a later member replaces an earlier one.
    pub(super) fn object(&self, entries: &[Entry], item: Scope<'_>) -> Map<String, Value> {
        let mut object = Map::new();
        for entry in entries {
            match &entry.what {
                EntryKind::Member { key, value } => {
                    let key = member_name(key, self.settings);
                    if let Some(value) = self.value(value, item)
                        && !key.is_empty()
                    {
                        object.insert(key.into_owned(), value);
                    }
                }
                EntryKind::Spread(value) => {
                    if let Some(Value::Object(members)) = self.value(value, item) {
                        object.extend(members);
                    }
                }
            }
        }
        object
    }

    pub(super) fn value(&self, expression: &Expression, item: Scope<'_>) -> Option<Value> {
        let exact = self.exact.get();
        let value = match settled(expression, self.settings).get() {
            Expression::Nothing | Expression::Setting(_) | Expression::Parameter(_) => None,
            Expression::Table { value, rows, other } => {
                let value = self.value(value, item).filter(|value| !value.is_null())?;
                let text = functions::scalar_text(&value);
                let row = rows.iter().find(|(key, _)| Some(key) == text.as_ref());
                self.value(row.map_or(other, |(_, one)| one), item)
            }
            Expression::Null => Some(Value::Null),
            Expression::Exact(inner) => {
                self.exact.set(true);
                let value = self.value(inner, item);
                self.exact.set(exact);
                return value;
            }
            Expression::Text(text) => Some(json!(text)),
            Expression::Number(number) => serde_json::from_str(number).ok(),
            Expression::Bool(on) => Some(json!(on)),
            Expression::Path(steps) => self.path(steps),
            Expression::Item(steps) => walk(item.value?, steps).cloned(),
            Expression::Place => Some(json!(item.place)),
            Expression::First { left, blank, right } => match self.value(left, item) {
                Some(value) if !(value.is_null() || *blank && value == "") => Some(value),
                _ => self.value(right, item),
            },
            Expression::Template { strict, parts } => self.template(*strict, parts, item),
            Expression::Call { function: Function::AsSent, arguments, .. } => {
                match arguments.as_slice() {
                    [Expression::Path(steps)] => walk(&self.body, steps).cloned(),
                    other => self.value(other.first()?, item),
                }
            }
            Expression::Call { function, arguments, words } => {
                let call = arguments.first();
                let mut arguments = arguments.iter().map(|one| self.value(one, item));
                let first = arguments.next()??;
                if let Some(wanted) = function.wanted() {
                    return functions::need(wanted, &first).unwrap_or_else(|found| {
                        self.refuse_kind(wanted, call, found);
                        None
                    });
                }
                let second = arguments.next().flatten();
                let at = self.event.received_at;
                functions::call(*function, first, second.as_ref(), words, at, exact)
            }
            Expression::Object(entries) => {
                let object = self.object(entries, item);
                (exact || !object.is_empty()).then_some(Value::Object(object))
            }
            Expression::List(list) if exact => Some(Value::Array(
                list.iter().map(|one| self.value(one, item).unwrap_or_default()).collect(),
            )),
            Expression::List(list) => {
                let list: Vec<Value> =
                    list.iter().filter_map(|one| self.value(one, item)).collect();
                (!list.is_empty()).then_some(Value::Array(list))
            }
            Expression::Each { list, shape } => {
                let items = match self.value(list, item)? {
                    Value::Array(items) => items,
                    one @ Value::Object(_) => vec![one],
                    other => return exact.then_some(other),
                };
                if exact {
                    let shaped = (0..)
                        .zip(&items)
                        .map(|(place, item)| self.value(shape, Scope { value: Some(item), place }));
                    return Some(Value::Array(shaped.map(Option::unwrap_or_default).collect()));
                }
                let mapped: Vec<Value> = (0..)
                    .zip(&items)
                    .filter_map(|(place, item)| {
                        self.value(shape, Scope { value: Some(item), place })
                    })
                    .collect();
                (!mapped.is_empty()).then_some(Value::Array(mapped))
            }
            Expression::With { value, shape } => {
                let place = item.place;
                let item = self.value(value, item);
                if item.is_none() && !exact {
                    return None;
                }
                let absent = Value::Object(Map::new());
                let value = Some(item.as_ref().unwrap_or(&absent));
                self.value(shape, Scope { value, place })
            }
            Expression::Choice { when, then, otherwise } => {
                self.value(if self.holds(when, item) { then } else { otherwise }, item)
            }
        };
        // What hands a value on hands on a null of a directive, too.
        let hands_on = matches!(
            expression,
            Expression::First { .. }
                | Expression::Choice { .. }
                | Expression::Table { .. }
                | Expression::With { .. }
        );
        value.filter(|value| exact || hands_on || !value.is_null())
    }

    fn path(&self, steps: &[Step]) -> Option<Value> {
        let facts = self.event.facts;
        match steps {
            [Step::Key(key)] if key == "messageId" => Some(json!(facts.message_id)),
            [Step::Key(key)] if key == "timestamp" => Some(json!(facts.time.to_string())),
            [Step::Key(key)] if key == "receivedAt" => {
                Some(json!(self.event.received_at.to_string()))
            }
            [Step::Key(key)] if key == "type" => Some(json!(self.event.kind.as_str())),
            [Step::Key(context), Step::Key(ip)] if context == "context" && ip == "ip" => {
                let own = walk(&self.body, steps).filter(|own| !own.is_null() && *own != "");
                own.cloned().or_else(|| facts.client_ip.as_ref().map(|ip| json!(ip)))
            }
            _ => walk(&self.body, steps).cloned(),
        }
    }

    /// Notes the first value that is of the wrong kind.
    fn refuse_kind(&self, wanted: Wanted, of: Option<&Expression>, found: &str) {
        let path = of.map(Expression::to_string).unwrap_or_default();
        let message = format!("`{path}` must be {}, and is {found}", wanted.describe());
        let refused = Mapped::SetAside { code: Code::WrongKind, message };
        self.refused.borrow_mut().get_or_insert(refused);
    }

    fn template(&self, strict: bool, parts: &[Part], item: Scope<'_>) -> Option<Value> {
        let mut text = String::new();
        for part in parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Hole(inner) => {
                    let hole = self.value(inner, item).as_ref().and_then(functions::scalar_text);
                    match hole {
                        Some(hole) if !hole.is_empty() => text.push_str(&hole),
                        _ if strict => return None,
                        _ => {}
                    }
                }
            }
        }
        Some(Value::String(text))
    }

    pub(super) fn holds(&self, condition: &Condition, item: Scope<'_>) -> bool {
        let value = |expression| self.value(expression, item).filter(|value| !value.is_null());
        let equal = |left, right| match (value(left), value(right)) {
            (Some(Value::Number(a)), Some(Value::Number(b))) => a.as_f64() == b.as_f64(),
            (Some(Value::Object(_) | Value::Array(_)), _) => false,
            (left, right) => left == right,
        };
        match condition {
            Condition::Always => true,
            Condition::Any(parts) => parts.iter().any(|part| self.holds(part, item)),
            Condition::All(parts) => parts.iter().all(|part| self.holds(part, item)),
            Condition::Not(inner) => !self.holds(inner, item),
            Condition::Equal(left, right) => equal(left, right),
            Condition::In(left, list) => list.iter().any(|right| equal(left, right)),
            Condition::Order { left, order, right } => {
                let number = |one| value(one).and_then(|value| value.as_f64());
                match (number(left), number(right)) {
                    (Some(left), Some(right)) => match order {
                        Order::Less => left < right,
                        Order::LessOrEqual => left <= right,
                        Order::More => left > right,
                        Order::MoreOrEqual => left >= right,
                    },
                    _ => false,
                }
            }
            Condition::Text { test, value: text, other } => {
                match (test, value(text), value(other)) {
                    (TextTest::Contains, Some(Value::Array(list)), Some(other)) => {
                        other.is_string() && list.contains(&other)
                    }
                    (test, Some(Value::String(text)), Some(Value::String(other))) => match test {
                        TextTest::Contains => text.contains(&other),
                        TextTest::StartsWith => text.starts_with(&other),
                        TextTest::EndsWith => text.ends_with(&other),
                    },
                    _ => false,
                }
            }
            Condition::Matches(text, pattern) => value(text)
                .and_then(|text| text.as_str().map(|text| functions::matches(text, pattern)))
                .unwrap_or(false),
            Condition::Exists(inner) => value(inner).is_some(),
            Condition::UuidShaped(inner) => value(inner)
                .is_some_and(|value| value.as_str().is_some_and(functions::is_uuid_shaped)),
            Condition::True(inner) => value(inner) == Some(Value::Bool(true)),
            Condition::Compared { operator, left, right } => {
                comparison::holds(operator, value(left).as_ref(), value(right).as_ref())
            }
        }
    }
}

pub(super) fn walk<'v>(value: &'v Value, steps: &[Step]) -> Option<&'v Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.as_object()?.get(key),
        Step::Index(index) => value.as_array()?.get(usize::try_from(*index).ok()?),
    })
}
