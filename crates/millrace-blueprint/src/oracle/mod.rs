//! The oracle of the tests: the checked tree walked as it is, over `serde_json::Value`.
//!
//! It knows nothing of slots, tries, bytes or scratch, and is slow and plain on purpose. What the
//! plan makes of an event must be equal to what the oracle makes of it. It leaves out what has
//! tests of its own: values of a shape that Mixpanel refuses, and the size limits of rows.

mod comparison;
mod functions;
mod laws;

use millrace_model::id::{InsertId, is_bad_identifier};
use millrace_model::row::Mapped;
use serde_json::{Map, Value, json};

use crate::plan::fold::{member_name, settled};
use crate::syntax::ast::{
    Action, BlankNames, Checked, Checks, Condition, Entry, EntryKind, Expression, Field, IdleRows,
    Nobody, Order, Outcome, Part, Step, TextTest, Verb,
};
use crate::syntax::functions::Function;
use crate::syntax::{is_operator, reserved_names};
use crate::{EventView, Setting};

/// What the oracle makes of an event: rows as (path, body), or another outcome.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcomes {
    Rows(Vec<(String, Value)>),
    Other(Mapped),
}

pub(crate) struct Oracle<'a> {
    pub(crate) settings: &'a [(&'a Setting, Value)],
    pub(crate) event: EventView<'a>,
    pub(crate) body: Value,
    pub(crate) checks: Checks,
    /// True inside of [`Expression::Exact`], where null is a value.
    pub(crate) exact: std::cell::Cell<bool>,
}

impl Oracle<'_> {
    pub(crate) fn map(&self, checked: &Checked) -> Outcomes {
        let mut rows = Vec::new();
        let mut place = 0;
        for rule in &checked.rules {
            if !self.holds(&rule.when, None) {
                continue;
            }
            match &rule.outcome {
                Outcome::Drop => {
                    return Outcomes::Other(Mapped::Filtered {
                        reason: millrace_model::disposition::FilterReason::DropRule,
                        rule: Some(rule.name.clone()),
                    });
                }
                Outcome::SetAside { code, message } => {
                    return Outcomes::Other(Mapped::SetAside {
                        code: *code,
                        message: message.clone(),
                    });
                }
                Outcome::Send(actions) => {
                    for action in actions {
                        if !self.holds(&action.when, None) {
                            continue;
                        }
                        if let Err(refused) = self.action(action, &mut rows, &mut place) {
                            return Outcomes::Other(refused);
                        }
                    }
                }
            }
            if !rule.go_on {
                break;
            }
        }
        Outcomes::Rows(rows)
    }

    fn refuse(code: millrace_model::code::Code, message: &str) -> Mapped {
        Mapped::SetAside { code, message: message.to_owned() }
    }

    fn field(&self, action: &Action, field: Field) -> Option<Value> {
        self.value(action.field(field)?, None)
    }

    fn id(&self, action: &Action, field: Field) -> Option<String> {
        self.field(action, field).as_ref().and_then(usable)
    }

    fn ip(&self, action: &Action) -> Option<Value> {
        match self.field(action, Field::Ip) {
            Some(Value::String(ip)) if !ip.trim().is_empty() => Some(Value::String(ip)),
            _ => None,
        }
    }

    fn action(
        &self,
        action: &Action,
        rows: &mut Vec<(String, Value)>,
        place: &mut u32,
    ) -> Result<(), Mapped> {
        use millrace_model::code::Code;
        let no_id = || {
            let given =
                |name: &str| self.body.get(name).is_some_and(|id| !id.is_null() && *id != "");
            if given("userId") || given("anonymousId") {
                let message = "neither the user id nor another id can stand as distinct id";
                return Self::refuse(Code::BadDistinctId, message);
            }
            let message = "the event has neither a userId nor an anonymousId";
            Self::refuse(Code::NoIdentity, message)
        };
        let base = InsertId::from_message_id(&self.event.facts.message_id);
        let time = self.event.facts.time.0;
        match action.verb {
            Verb::Event => {
                let name = self.field(action, Field::Name).and_then(|name| {
                    let keep = self.checks.blank_names == BlankNames::Keep;
                    let fits = |name: &&str| !name.is_empty() && (keep || !name.trim().is_empty());
                    name.as_str().filter(fits).map(str::to_owned)
                });
                let name = name.ok_or_else(|| {
                    Self::refuse(Code::NoMappedName, "the event has no name after mapping")
                })?;
                let distinct_id = match (self.id(action, Field::DistinctId), self.checks.nobody) {
                    (None, Nobody::SetAside) => {
                        return Err(no_id());
                    }
                    (None, Nobody::Empty) => Some(String::new()),
                    (id, _) => id,
                };
                let mut properties = match action.field(Field::Properties) {
                    Some(Expression::Object(entries)) => self.object(entries, None),
                    _ => Map::new(),
                };
                for name in reserved_names() {
                    properties.remove(name);
                }
                properties.insert("time".into(), json!(time));
                if let Some(id) = distinct_id {
                    properties.insert("distinct_id".into(), json!(id));
                }
                properties.insert("$insert_id".into(), json!(base.further(*place).as_str()));
                for (key, field) in [("$device_id", Field::DeviceId), ("$user_id", Field::UserId)] {
                    if let Some(id) = self.id(action, field) {
                        properties.insert(key.into(), json!(id));
                    }
                }
                if let Some(ip) = self.ip(action) {
                    properties.insert("ip".into(), ip);
                }
                *place += 1;
                rows.push(("/import".into(), json!({"event": name, "properties": properties})));
            }
            Verb::Link | Verb::Identify | Verb::Alias | Verb::Merge => {
                let id = base.beside(action.verb.as_str());
                rows.extend(self.join(action, time, id).map(|body| ("/import".into(), body)));
            }
            Verb::Group => {
                let ids = match self.field(action, Field::GroupId) {
                    Some(Value::Array(ids)) => ids,
                    id => id.into_iter().collect(),
                };
                let Some(key) = self.id(action, Field::GroupKey) else { return Ok(()) };
                for id in ids.iter().filter_map(usable) {
                    for (operator, operand) in self.operators(action) {
                        let body = json!({"$group_key": key, "$group_id": id, operator: operand});
                        rows.push(("/groups".into(), body));
                    }
                }
            }
            Verb::Profile => {
                for (operator, operand) in self.operators(action) {
                    let id = self.id(action, Field::DistinctId).ok_or_else(no_id)?;
                    let mut body = json!({"$distinct_id": id, operator: operand});
                    if let Some(ip) = self.ip(action) {
                        body["$ip"] = ip;
                    }
                    if let Some(time) = self.field(action, Field::Time).and_then(|t| t.as_f64()) {
                        body["$time"] = json!(time as i64);
                    }
                    if self.field(action, Field::IgnoreTime) == Some(Value::Bool(true)) {
                        body["$ignore_time"] = json!(true);
                    }
                    rows.push(("/engage".into(), body));
                }
            }
        }
        Ok(())
    }

    /// The operators that change something.
    fn operators(&self, action: &Action) -> Vec<(String, Value)> {
        let operators = action.fields.iter().filter(|(field, _)| is_operator(*field));
        operators
            .filter_map(|(field, value)| {
                Some((format!("${}", field.as_str()), self.operand(*field, value)?))
            })
            .collect()
    }

    fn join(&self, action: &Action, time: i64, insert_id: InsertId) -> Option<Value> {
        let (name, first, second) = match action.verb {
            Verb::Identify => ("$identify", Field::UserId, Field::AnonymousId),
            Verb::Alias => ("$create_alias", Field::DistinctId, Field::Alias),
            Verb::Merge => ("$merge", Field::Ids, Field::Ids),
            _ => ("", Field::UserId, Field::DeviceId),
        };
        let (first, second) = match (action.verb, action.field(Field::Ids)) {
            (Verb::Merge, Some(Expression::List(ids))) => {
                let id = |at: usize| usable(&self.value(ids.get(at)?, None)?);
                (id(0)?, id(1)?)
            }
            _ => (self.id(action, first)?, self.id(action, second)?),
        };
        let name = match self.field(action, Field::Name) {
            Some(name) => name,
            None => json!(name),
        };
        let idle = first == second && self.checks.idle_rows == IdleRows::LeaveOut;
        if idle || name == "" {
            return None;
        }
        let properties = match action.verb {
            Verb::Identify => json!({"$identified_id": first, "$anon_id": second}),
            Verb::Alias => json!({"distinct_id": first, "alias": second}),
            Verb::Merge => json!({"$distinct_ids": [first, second]}),
            _ => json!({"time": time, "$insert_id": insert_id.as_str(), "distinct_id": first,
                "$user_id": first, "$device_id": second}),
        };
        Some(json!({"event": name, "properties": properties}))
    }

    fn operand(&self, field: Field, value: &Expression) -> Option<Value> {
        let Expression::Object(entries) = value else { return self.value(value, None) };
        let members = self.object(entries, None).into_iter();
        let members: Map<String, Value> = match field {
            Field::Add => members
                .filter(|(_, value)| value.as_f64().is_some_and(|number| number != 0.0))
                .collect(),
            Field::Append => members.filter(|(_, value)| !value.is_null()).collect(),
            Field::Union => members
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| {
                    let list = if value.is_array() { value } else { json!([value]) };
                    (key, list)
                })
                .collect(),
            _ => members.collect(),
        };
        let idle = self.checks.idle_rows == IdleRows::Send;
        (idle || !members.is_empty()).then_some(Value::Object(members))
    }

    /// An object: from top to bottom, a later member replaces an earlier one.
    fn object(&self, entries: &[Entry], item: Option<&Value>) -> Map<String, Value> {
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

    pub(crate) fn value(&self, expression: &Expression, item: Option<&Value>) -> Option<Value> {
        let exact = self.exact.get();
        let value = match settled(expression, self.settings).get() {
            Expression::Nothing | Expression::Setting(_) => None,
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
            Expression::Item(steps) => walk(item?, steps).cloned(),
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
                let mut arguments = arguments.iter().map(|one| self.value(one, item));
                let first = arguments.next()??;
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
                    let shaped = items.iter().map(|item| self.value(shape, Some(item)));
                    return Some(Value::Array(shaped.map(Option::unwrap_or_default).collect()));
                }
                let mapped: Vec<Value> =
                    items.iter().filter_map(|item| self.value(shape, Some(item))).collect();
                (!mapped.is_empty()).then_some(Value::Array(mapped))
            }
            Expression::With { value, shape } => {
                let item = self.value(value, item);
                if item.is_none() && !exact {
                    return None;
                }
                let absent = Value::Object(Map::new());
                self.value(shape, Some(item.as_ref().unwrap_or(&absent)))
            }
            Expression::Choice { when, then, otherwise } => {
                self.value(if self.holds(when, item) { then } else { otherwise }, item)
            }
        };
        value.filter(|value| exact || !value.is_null())
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

    fn template(&self, strict: bool, parts: &[Part], item: Option<&Value>) -> Option<Value> {
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

    fn holds(&self, condition: &Condition, item: Option<&Value>) -> bool {
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

fn walk<'v>(value: &'v Value, steps: &[Step]) -> Option<&'v Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.as_object()?.get(key),
        Step::Index(index) => value.as_array()?.get(usize::try_from(*index).ok()?),
    })
}

/// The text of a value that can stand for a person.
pub(crate) fn usable(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    let bare = text.strip_prefix("$device:").unwrap_or(&text);
    (!bare.trim().is_empty() && text.len() <= 255 && !is_bad_identifier(bare)).then_some(text)
}
