//! The oracle of the tests: the checked tree walked as it is, over `serde_json::Value`.
//!
//! It knows nothing of slots, tries, bytes or scratch, and is slow and plain on purpose. What the
//! plan makes of an event must be equal to what the oracle makes of it. It leaves out what has
//! tests of its own: values of a shape that Mixpanel refuses, and the size limits of rows.

mod adobe_laws;
mod built_ins;
mod comparison;
mod functions;
mod laws;
mod values;

use std::cell::RefCell;

use millrace_model::code::Code;
use millrace_model::id::{InsertId, is_bad_identifier};
use millrace_model::row::{LaneKey, Lanes, Mapped, ProjectKey};
use serde_json::{Map, Value, json};

use crate::EventView;
use crate::plan::fold::Values;
use crate::reserved::FORBIDDEN;
use crate::syntax::ast::{
    Action, BlankNames, Checked, Checks, Expression, Field, GroupIds, IdleRows, Nobody, Outcome,
    TimeAhead, TimeBefore, Verb,
};
use crate::syntax::{is_operator, reserved_names};
use values::Scope;

/// What the oracle makes of an event.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcomes {
    Rows(Vec<OracleRow>),
    Other(Mapped),
}

/// A row as the oracle sees it.
#[derive(Debug, PartialEq)]
pub(crate) struct OracleRow {
    pub(crate) path: &'static str,
    pub(crate) body: Value,
    pub(crate) project: Option<ProjectKey>,
    pub(crate) alone: bool,
    pub(crate) lanes: Lanes,
}

pub(crate) struct Oracle<'a> {
    pub(crate) settings: &'a Values<'a>,
    pub(crate) event: EventView<'a>,
    pub(crate) body: Value,
    pub(crate) checks: Checks,
    /// True inside of [`Expression::Exact`], where null is a value.
    pub(crate) exact: std::cell::Cell<bool>,
    /// The first value of the wrong kind.
    pub(crate) refused: RefCell<Option<Mapped>>,
}

/// What an action writes into.
struct Sink<'s> {
    rows: &'s mut Vec<OracleRow>,
    /// The insert ids of the event rows.
    ids: &'s mut Vec<InsertId>,
    /// How many link events there are.
    links: &'s mut u32,
}

fn refuse(code: Code, message: &str) -> Mapped {
    Mapped::SetAside { code, message: message.to_owned() }
}

impl Oracle<'_> {
    pub(crate) fn map(&self, checked: &Checked) -> Outcomes {
        let mut rows = Vec::new();
        let (mut ids, mut links) = (Vec::new(), 0);
        let mut sink = Sink { rows: &mut rows, ids: &mut ids, links: &mut links };
        for rule in &checked.rules {
            let holds = self.holds(&rule.when, Scope::default());
            if let Some(refused) = self.refused.take() {
                return Outcomes::Other(refused);
            }
            if !holds {
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
                    return Outcomes::Other(refuse(*code, message));
                }
                Outcome::Send(actions) => {
                    for action in actions {
                        if let Err(refused) = self.action(action, &mut sink) {
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

    fn action(&self, action: &Action, sink: &mut Sink<'_>) -> Result<(), Mapped> {
        let Some(list) = &action.each else {
            return self.one_action(action, Scope::default(), sink);
        };
        let items = match self.value(list, Scope::default()) {
            Some(Value::Array(items)) => items,
            Some(one @ Value::Object(_)) => vec![one],
            _ => return Ok(()),
        };
        for (place, item) in (0..).zip(&items) {
            self.one_action(action, Scope { value: Some(item), place }, sink)?;
        }
        Ok(())
    }

    fn one_action(
        &self,
        action: &Action,
        item: Scope<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<(), Mapped> {
        let done =
            if self.holds(&action.when, item) { self.write(action, item, sink) } else { Ok(()) };
        self.refused.take().map_or(done, Err)
    }

    fn write(&self, action: &Action, item: Scope<'_>, sink: &mut Sink<'_>) -> Result<(), Mapped> {
        let from = sink.rows.len();
        let project = match self.field(action, Field::Token, item) {
            None => None,
            Some(Value::String(token)) if token.is_empty() => None,
            Some(Value::String(token)) => Some(ProjectKey::of(&token)),
            Some(_) => Some(ProjectKey::of("")),
        };
        let done = match action.verb {
            Verb::Event => self.event(action, item, sink),
            Verb::Link | Verb::Identify | Verb::Alias | Verb::Merge | Verb::Join => {
                self.join(action, item, sink)
            }
            Verb::Group => {
                self.group(action, item, sink);
                Ok(())
            }
            Verb::Profile => self.profile(action, item, sink),
            Verb::Delete => self.delete(action, item, sink),
        };
        for row in sink.rows.iter_mut().skip(from) {
            row.project = project;
            row.alone = self.is_on(action, Field::Alone);
        }
        done
    }

    fn field(&self, action: &Action, field: Field, item: Scope<'_>) -> Option<Value> {
        self.value(action.field(field)?, item)
    }

    fn id(&self, action: &Action, field: Field, item: Scope<'_>) -> Option<String> {
        self.field(action, field, item).as_ref().and_then(usable)
    }

    fn is_on(&self, action: &Action, field: Field) -> bool {
        let value = action.field(field).and_then(|value| self.value(value, Scope::default()));
        value == Some(Value::Bool(true))
    }

    fn ip(&self, action: &Action, item: Scope<'_>) -> Option<Value> {
        match self.field(action, Field::Ip, item) {
            Some(Value::String(ip)) if !ip.trim().is_empty() => Some(Value::String(ip)),
            _ => None,
        }
    }

    /// Why there is no distinct id.
    fn no_id(&self) -> Mapped {
        let given = |name: &str| self.body.get(name).is_some_and(|id| !id.is_null() && *id != "");
        if given("userId") || given("anonymousId") {
            let message = "neither the user id nor another id can stand as distinct id";
            return refuse(Code::BadDistinctId, message);
        }
        refuse(Code::NoIdentity, "the event has neither a userId nor an anonymousId")
    }

    /// A row with the lanes of the event and those of its own ids.
    fn row(&self, path: &'static str, body: Value, ids: &[Option<&String>]) -> OracleRow {
        let mut lanes = Lanes::default();
        let person = |id: &str| LaneKey::person(id.strip_prefix("$device:").unwrap_or(id));
        for name in ["userId", "anonymousId", "previousId"] {
            if let Some(id) = self.body.get(name).and_then(usable) {
                lanes.add(person(&id));
            }
        }
        for id in ids.iter().flatten() {
            lanes.add(person(id));
        }
        OracleRow { path, body, project: None, alone: false, lanes }
    }

    /// The milliseconds of a time, the event's own if there is none.
    fn time(&self, given: Option<i64>) -> Result<i64, Mapped> {
        let received_at = self.event.received_at.0;
        let bounded = |time: i64| {
            let far =
                time - received_at > 3_600_000 && self.checks.time_ahead == TimeAhead::Receipt;
            if far { received_at } else { time }
        };
        let time = given.unwrap_or_else(|| bounded(self.event.facts.time.0));
        if time < 31_536_000_000 && self.checks.time_before == TimeBefore::SetAside {
            let time = millrace_model::time::UnixMillis(time);
            let message = format!("the event's time {time} lies before 1971");
            return Err(refuse(Code::TimeOutOfRange, &message));
        }
        Ok(bounded(time))
    }

    fn event(&self, action: &Action, item: Scope<'_>, sink: &mut Sink<'_>) -> Result<(), Mapped> {
        let name = self.name(action, item)?;
        let name =
            name.ok_or_else(|| refuse(Code::NoMappedName, "the event has no name after mapping"))?;
        let distinct_id = match (self.id(action, Field::DistinctId, item), self.checks.nobody) {
            (None, Nobody::SetAside) => return Err(self.no_id()),
            (id, _) => id,
        };
        let given = self.field(action, Field::Time, item).and_then(|time| time.as_f64());
        let given = given.filter(|time| time.abs() < 9e15).map(|time| time as i64);
        let time = self.time(given)?;
        let row = sink.ids.len() as u32;
        let mut insert_id = match self.field(action, Field::InsertId, item) {
            Some(Value::String(text)) => InsertId::from_message_id(&text),
            _ => InsertId::from_message_id(&self.event.facts.message_id).further(row),
        };
        if sink.ids.contains(&insert_id) {
            insert_id = InsertId::derived(&format!("row {row}:{insert_id}"));
        }
        sink.ids.push(insert_id);
        let user_id = self.id(action, Field::UserId, item);
        let device_id = self.id(action, Field::DeviceId, item);
        let ip = self.ip(action, item);
        let mut properties = match action.field(Field::Properties) {
            Some(Expression::Object(entries)) => self.object(entries, item),
            _ => Map::new(),
        };
        for name in reserved_names() {
            properties.remove(name);
        }
        for (name, permitted) in FORBIDDEN {
            if let Some(value) = properties.remove(name) {
                properties.entry(permitted).or_insert(value);
            }
        }
        properties.insert("time".into(), json!(time));
        if distinct_id.is_some() || self.checks.nobody == Nobody::Empty {
            properties.insert("distinct_id".into(), json!(distinct_id.clone().unwrap_or_default()));
        }
        properties.insert("$insert_id".into(), json!(insert_id.as_str()));
        for (key, id) in [("$device_id", &device_id), ("$user_id", &user_id)] {
            if let Some(id) = id {
                properties.insert(key.into(), json!(id));
            }
        }
        if let Some(ip) = ip {
            properties.insert("ip".into(), ip);
        }
        let body = json!({"event": name, "properties": properties});
        let ids = [distinct_id.as_ref(), user_id.as_ref(), device_id.as_ref()];
        sink.rows.push(self.row("/import", body, &ids));
        Ok(())
    }

    /// The name of an event, which must not be that of a verb.
    fn name(&self, action: &Action, item: Scope<'_>) -> Result<Option<String>, Mapped> {
        let Some(Value::String(name)) = self.field(action, Field::Name, item) else {
            return Ok(None);
        };
        if ["$identify", "$create_alias", "$merge"].contains(&name.trim()) {
            let message = format!("an event cannot have the name {}", name.trim());
            return Err(refuse(Code::ReservedName, &message));
        }
        let keep = self.checks.blank_names == BlankNames::Keep;
        Ok(Some(name).filter(|name| !name.is_empty() && (keep || !name.trim().is_empty())))
    }

    fn group(&self, action: &Action, item: Scope<'_>, sink: &mut Sink<'_>) {
        let ids = match self.field(action, Field::GroupId, item) {
            Some(Value::Array(ids)) => ids,
            id => vec![id.unwrap_or_default()],
        };
        for given in &ids {
            for (field, value) in operators(action) {
                let key = self.id(action, Field::GroupKey, item);
                let (Some(key), Some(id)) = (key, usable(given)) else { continue };
                let Some(operand) = self.operand(field, value, item) else { continue };
                let operator = format!("${}", field.as_str());
                let mut lanes = Lanes::default();
                lanes.add(LaneKey::group(&key, &id));
                let kept = self.checks.group_ids == GroupIds::Keep && given.is_number();
                let id = if kept { given.clone() } else { Value::String(id) };
                let body = json!({"$group_key": key, "$group_id": id, operator: operand});
                let row = OracleRow { path: "/groups", body, project: None, alone: false, lanes };
                sink.rows.push(row);
            }
        }
    }

    fn profile(&self, action: &Action, item: Scope<'_>, sink: &mut Sink<'_>) -> Result<(), Mapped> {
        for (field, value) in operators(action) {
            let id = self.id(action, Field::DistinctId, item);
            let ip = self.ip(action, item);
            let time = self.field(action, Field::Time, item);
            let Some(operand) = self.operand(field, value, item) else { continue };
            let id = id.ok_or_else(|| self.no_id())?;
            let operator = format!("${}", field.as_str());
            let mut body = json!({"$distinct_id": id, operator: operand});
            if let Some(ip) = ip {
                body["$ip"] = ip;
            }
            match time {
                Some(Value::Null) => body["$time"] = Value::Null,
                time => {
                    let millis = time.and_then(|time| time.as_f64());
                    if let Some(millis) = millis.filter(|millis| millis.abs() < 9e15) {
                        body["$time"] = json!(millis as i64);
                    }
                }
            }
            for field in [Field::IgnoreTime, Field::IgnoreAlias] {
                if self.field(action, field, item) == Some(Value::Bool(true)) {
                    body[format!("${}", field.as_str())] = json!(true);
                }
            }
            for field in [Field::Latitude, Field::Longitude] {
                if let Some(Value::Number(number)) = self.field(action, field, item) {
                    body[format!("${}", field.as_str())] = Value::Number(number);
                }
            }
            sink.rows.push(self.row("/engage", body, &[Some(&id)]));
        }
        Ok(())
    }

    fn delete(&self, action: &Action, item: Scope<'_>, sink: &mut Sink<'_>) -> Result<(), Mapped> {
        let id = self.id(action, Field::DistinctId, item);
        let id = id.ok_or_else(|| self.no_id())?;
        let mut body = json!({"$distinct_id": id, "$delete": ""});
        if self.is_on(action, Field::IgnoreAlias) {
            body["$ignore_alias"] = json!(true);
        }
        sink.rows.push(self.row("/engage", body, &[Some(&id)]));
        Ok(())
    }

    fn join(&self, action: &Action, item: Scope<'_>, sink: &mut Sink<'_>) -> Result<(), Mapped> {
        let (name, first, second) = match action.verb {
            Verb::Identify => ("$identify", Field::UserId, Field::AnonymousId),
            Verb::Alias => ("$create_alias", Field::DistinctId, Field::Alias),
            Verb::Merge => ("$merge", Field::Ids, Field::Ids),
            _ => ("", Field::UserId, Field::DeviceId),
        };
        let name = match action.verb {
            Verb::Link => self.name(action, item)?,
            _ => Some(name.to_owned()),
        };
        let (first, second) = match (action.verb, action.field(Field::Ids)) {
            (Verb::Merge, Some(Expression::List(ids))) => {
                let id = |at: usize| usable(&self.value(ids.get(at)?, item)?);
                (id(0), id(1))
            }
            _ => (self.id(action, first, item), self.id(action, second, item)),
        };
        let (Some(first), Some(second), Some(name)) = (first, second, name) else {
            return Ok(());
        };
        if first == second && self.checks.idle_rows == IdleRows::LeaveOut {
            return Ok(());
        }
        let beside = match action.field(Field::Properties) {
            Some(Expression::Object(entries)) => self.object(entries, item),
            _ => Map::new(),
        };
        let with = |ids: Value| {
            let mut all = beside.clone();
            all.extend(ids.as_object().cloned().unwrap_or_default());
            Value::Object(all)
        };
        let properties = match action.verb {
            Verb::Identify => with(json!({"$identified_id": first, "$anon_id": second})),
            Verb::Alias => with(json!({"distinct_id": first, "alias": second})),
            Verb::Merge => json!({"$distinct_ids": [first, second]}),
            _ => {
                let base = InsertId::from_message_id(&self.event.facts.message_id);
                let time = self.time(None)?;
                let purpose = match *sink.links {
                    0 => "link".to_owned(),
                    place => format!("link {place}"),
                };
                *sink.links += 1;
                json!({"time": time, "$insert_id": base.beside(&purpose).as_str(),
                    "distinct_id": first, "$user_id": first, "$device_id": second})
            }
        };
        let body = json!({"event": name, "properties": properties});
        sink.rows.push(self.row("/import", body, &[Some(&first), Some(&second)]));
        Ok(())
    }

    fn operand(&self, field: Field, value: &Expression, item: Scope<'_>) -> Option<Value> {
        let Expression::Object(entries) = value else { return self.value(value, item) };
        let members = self.object(entries, item).into_iter();
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
}

fn operators(action: &Action) -> impl Iterator<Item = (Field, &Expression)> {
    let operators = action.fields.iter().filter(|(field, _)| is_operator(*field));
    operators.map(|(field, value)| (*field, value))
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
