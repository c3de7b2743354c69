//! What Mixpanel takes, written from reference/mixpanel-api.md 2.1 to 2.4, 3.1, 3.2 and 5.1 alone:
//! a plain function over the JSON of a row that knows nothing of the engine, and the proof that
//! rows keep to it, whatever comes in.

use std::fmt;

use millrace_model::row::{Endpoint, Row, Rows};
use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Values that Mixpanel refuses as ids, whatever their case (2.4).
const BAD_IDS: [&str; 17] = [
    "00000000-0000-0000-0000-000000000000",
    "anon",
    "anonymous",
    "nil",
    "none",
    "null",
    "n/a",
    "na",
    "undefined",
    "unknown",
    "<nil>",
    "0",
    "-1",
    "true",
    "false",
    "[]",
    "{}",
];

const VERBS: [&str; 3] = ["$identify", "$create_alias", "$merge"];

/// What the verbs join (4.3). Other properties may stand beside them.
const VERB_IDS: [&str; 6] =
    ["distinct_id", "alias", "$identified_id", "$anon_id", "$anon_distinct_id", "$distinct_ids"];

/// What a blueprint of another system's form lets through on purpose (`checks` of a blueprint).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Lets {
    /// Times of any kind.
    pub(crate) any_time: bool,
    /// Events of nobody, and names of blanks.
    pub(crate) nobody: bool,
    /// Profile updates that change nothing.
    pub(crate) idle: bool,
    /// Lists and objects with just 255 entries, and any depth.
    pub(crate) any_shape: bool,
    /// Numbers as ids of groups.
    pub(crate) group_numbers: bool,
}

/// What Mixpanel would not take about the rows of an event.
pub(crate) fn refused(rows: &Rows, received_at: i64, lets: Lets) -> Vec<String> {
    let mut found = Found { received_at, lets, problems: Vec::new() };
    for row in &rows.rows {
        found.row(row, rows.body(row));
    }
    found.problems
}

struct Found {
    received_at: i64,
    lets: Lets,
    problems: Vec<String>,
}

impl Found {
    fn unless(&mut self, right: bool, what: impl FnOnce() -> String) {
        if !right {
            self.problems.push(what());
        }
    }

    fn row(&mut self, row: &Row, bytes: &[u8]) {
        self.unless(bytes.len() <= 1_000_000, || format!("{} bytes", bytes.len()));
        let body: Value = match serde_json::from_slice(bytes) {
            Ok(body) => body,
            Err(error) => return self.problems.push(format!("no JSON: {error}")),
        };
        let Some(body) = body.as_object() else {
            return self.problems.push("no object".to_owned());
        };
        match row.endpoint {
            Endpoint::Import => self.event(row, body, bytes),
            Endpoint::Engage => {
                self.id("$distinct_id", body.get("$distinct_id"));
                let beside =
                    ["$distinct_id", "$ip", "$time", "$ignore_time", "$ignore_alias", "$latitude"];
                self.update(body, &beside, &["$add", "$append"]);
            }
            Endpoint::Groups => {
                self.id("$group_key", body.get("$group_key"));
                let id = body.get("$group_id");
                if !(self.lets.group_numbers && id.is_some_and(Value::is_number)) {
                    self.id("$group_id", id);
                }
                self.update(body, &["$group_key", "$group_id"], &[]);
            }
        }
    }

    fn event(&mut self, row: &Row, body: &Map<String, Value>, bytes: &[u8]) {
        let name = body.get("event").and_then(Value::as_str).unwrap_or_default();
        self.unless(body.len() == 2, || format!("members {:?}", body.keys()));
        self.unless(!name.is_empty(), || "no event name".to_owned());
        self.unless(self.lets.nobody || !name.trim().is_empty(), || "a blank name".to_owned());
        let Some(properties) = body.get("properties").and_then(Value::as_object) else {
            return self.problems.push("no properties".to_owned());
        };
        if VERBS.contains(&name.trim()) {
            self.verb(row, name, properties);
            return;
        }
        let keys = Written::of(bytes);
        self.unless(keys.is_some_and(|keys| keys == properties.len()), || {
            "a name that stands twice".to_owned()
        });
        self.unless(properties.len() < 255, || format!("{} properties", properties.len()));
        for (name, value) in properties {
            self.name(name);
            let refused = ["bucket", "$bucket", "$ignore", "token"].contains(&name.as_str());
            self.unless(!refused, || format!("the name {name}"));
            self.value(name, value, 1);
        }
        match properties.get("time").and_then(Value::as_i64) {
            None => self.problems.push("no time".to_owned()),
            Some(_) if self.lets.any_time => {}
            Some(time) => {
                self.unless(time >= 31_536_000_000, || format!("the time {time}"));
                self.unless(time - self.received_at <= 3_600_000, || format!("ahead: {time}"));
            }
        }
        match properties.get("distinct_id") {
            None if properties.contains_key("$user_id") => {}
            None if properties.contains_key("$device_id") => {}
            None if self.lets.nobody => {}
            Some(Value::String(id)) if id.is_empty() && self.lets.nobody => {}
            id => self.id("distinct_id", id),
        }
        for name in ["$user_id", "$device_id"] {
            if let Some(id) = properties.get(name) {
                self.id(name, Some(id));
            }
        }
        let id = properties.get("$insert_id").and_then(Value::as_str).unwrap_or_default();
        let right = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let right = right && (1..=36).contains(&id.len()) && !is_bad(id);
        self.unless(right, || format!("$insert_id {id:?}"));
        self.unless(row.insert_id.is_some_and(|own| own.as_str() == id), || {
            "another $insert_id than the row's".to_owned()
        });
    }

    fn verb(&mut self, row: &Row, name: &str, properties: &Map<String, Value>) {
        self.unless(VERBS.contains(&name), || format!("the verb {name:?}"));
        self.unless(row.role == millrace_model::row::RowRole::Joins, || {
            format!("{name} from an event")
        });
        for (key, value) in properties {
            if !VERB_IDS.contains(&key.as_str()) {
                self.name(key);
                self.value(key, value, 1);
                continue;
            }
            match value {
                Value::Array(ids) => {
                    self.unless(ids.len() == 2, || format!("{} ids", ids.len()));
                    ids.iter().for_each(|id| self.id(key, Some(id)));
                }
                id => self.id(key, Some(id)),
            }
        }
    }

    fn update(&mut self, body: &Map<String, Value>, beside: &[&str], also: &[&str]) {
        let operators: Vec<(&String, &Value)> =
            body.iter().filter(|(key, _)| !beside.contains(&key.as_str())).collect();
        let [(operator, operand)] = operators.as_slice() else {
            return self.problems.push(format!("operators {:?}", body.keys()));
        };
        match operator.as_str() {
            "$delete" => {}
            "$unset" => {
                let names = operand.as_array().is_some_and(|names| {
                    names.iter().all(Value::is_string) && names.len() < 255 && !names.is_empty()
                });
                self.unless(names, || format!("$unset {operand}"));
            }
            "$set" | "$set_once" | "$union" | "$remove" => self.operand(operator, operand),
            other if also.contains(&other) => self.operand(operator, operand),
            other => self.problems.push(format!("the operator {other}")),
        }
    }

    fn operand(&mut self, operator: &str, operand: &Value) {
        let Some(members) = operand.as_object() else {
            return self.problems.push(format!("{operator} {operand}"));
        };
        self.unless(members.len() <= 2000, || format!("{} properties", members.len()));
        self.unless(self.lets.idle || !members.is_empty(), || format!("an empty {operator}"));
        for (name, value) in members {
            self.name(name);
            self.value(name, value, 1);
            match operator {
                "$add" => self.unless(value.is_number(), || format!("$add {name}: {value}")),
                "$union" => self.unless(value.is_array(), || format!("$union {name}: {value}")),
                _ => {}
            }
        }
    }

    fn name(&mut self, name: &str) {
        self.unless(name.chars().count() <= 255, || format!("a name of {} bytes", name.len()));
    }

    /// A value nested in so many containers, itself included, below the properties.
    fn value(&mut self, name: &str, value: &Value, depth: u32) {
        let count = match value {
            Value::Array(items) => items.len(),
            Value::Object(members) => members.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
        };
        self.unless(depth <= 3 || self.lets.any_shape, || format!("{name} is {depth} deep"));
        let most = if self.lets.any_shape { 255 } else { 254 };
        self.unless(count <= most, || format!("{name} has {count} entries"));
        if let Value::Array(items) = value {
            items.iter().for_each(|item| self.value(name, item, depth + 1));
        }
        for (key, inner) in value.as_object().into_iter().flatten() {
            self.name(key);
            self.value(name, inner, depth + 1);
        }
    }

    fn id(&mut self, key: &str, id: Option<&Value>) {
        let text = id.and_then(Value::as_str).unwrap_or_default();
        let right = !text.trim().is_empty() && text.len() <= 255 && !is_bad(text);
        self.unless(right, || format!("{key} {id:?}"));
    }
}

fn is_bad(id: &str) -> bool {
    BAD_IDS.iter().any(|bad| bad.eq_ignore_ascii_case(id))
}

/// How many names an event's properties were written with; a parsed map hides those that stand
/// twice.
struct Written;

impl Written {
    fn of(body: &[u8]) -> Option<usize> {
        #[derive(Deserialize)]
        struct Body {
            properties: Names,
        }
        struct Names(usize);
        impl<'de> Deserialize<'de> for Names {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Names, D::Error> {
                from.deserialize_map(Written).map(Names)
            }
        }
        serde_json::from_slice::<Body>(body).ok().map(|body| body.properties.0)
    }
}

impl<'de> Visitor<'de> for Written {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("properties")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<usize, M::Error> {
        let mut count = 0;
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

#[test]
fn the_checker_sees_what_mixpanel_refuses() {
    use millrace_model::id::InsertId;
    use millrace_model::row::{Lanes, RowRole};
    let event = |properties: &str| {
        let own = r#""time":1763633472345,"distinct_id":"u","$insert_id":"m-1""#;
        (Endpoint::Import, format!(r#"{{"event":"E","properties":{{{own}{properties}}}}}"#))
    };
    let update = |rest: &str| (Endpoint::Engage, format!(r#"{{"$distinct_id":"u"{rest}}}"#));
    let wide = format!("[{}0]", "0,".repeat(254));
    let name = "n".repeat(256);
    for ((endpoint, body), count) in [
        (event(""), 0),
        (event(r#","a":[[[1]]],"b":{"c":{"d":{}}}"#), 0),
        (event(r#","a":[[[[1]]]]"#), 1),
        (event(&format!(r#","a":{wide}"#)), 1),
        (event(&format!(r#","{name}":1,"a":{{"{name}":1}}"#)), 2),
        (event(r#","a":1,"a":2"#), 1),
        (event(r#","bucket":1,"token":"t""#), 2),
        (event(r#","$user_id":"NULL","$device_id":7"#), 2),
        (event(r#","time":1"#), 2),
        (event(r#","time":1763637072346"#), 2),
        (event(r#","$insert_id":"a b""#), 3),
        ((Endpoint::Import, r#"{"event":" ","properties":{}}"#.to_owned()), 5),
        ((Endpoint::Import, r#"{"event":"$merge","properties":{}}"#.to_owned()), 1),
        (update(r#","$set":{"a":1}"#), 0),
        (update(r#","$set":{},"$ip":"1""#), 1),
        (update(r#","$set":{"a":1},"$add":{"a":1}"#), 1),
        (update(r#","$add":{"a":"1"}"#), 1),
        (update(r#","$union":{"a":"1"}"#), 1),
        ((Endpoint::Groups, r#"{"$group_key":"k","$group_id":"0","$add":{"a":1}}"#.to_owned()), 2),
    ] {
        let row = Row {
            endpoint,
            role: RowRole::Plain,
            repeatable: true,
            lanes: Lanes::default(),
            insert_id: InsertId::exact("m-1"),
            project: None,
            alone: false,
            body: 0..body.len(),
        };
        let rows = Rows { bytes: body.clone().into_bytes(), rows: vec![row], ..Rows::default() };
        let found = refused(&rows, 1_763_633_472_345, Lets::default());
        assert_eq!(found.len(), count, "{body}: {found:?}");
    }
}
