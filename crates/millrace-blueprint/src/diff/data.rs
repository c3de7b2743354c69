//! Two plans over the same events: what the second makes otherwise than the first.

use std::collections::BTreeSet;

use millrace_model::event::EventKind;
use millrace_model::row::{Endpoint, Mapped, Rows};
use serde_json::{Map, Value};

use super::data_report::{DataReport, Sums};
use crate::{EventView, Mapper, Plan};

/// The members of an event row by which Mixpanel knows it again, beside its name
/// (reference/mixpanel-api.md 2.4).
const KNOWN_BY: [&str; 3] = ["distinct_id", "$insert_id", "time"];

/// A data diff that is being made. Both plans run as in production.
#[derive(Debug)]
pub struct DataDiff<'p> {
    plans: [&'p Plan; 2],
    mapper: Mapper,
    rows: [Rows; 2],
    sums: Sums,
}

impl<'p> DataDiff<'p> {
    /// A diff between what two plans make of events.
    #[must_use]
    pub fn new(old: &'p Plan, new: &'p Plan) -> DataDiff<'p> {
        let rows = [Rows::default(), Rows::default()];
        DataDiff { plans: [old, new], mapper: Mapper::new(), rows, sums: Sums::default() }
    }

    /// Maps an event by both and adds what differs.
    pub fn add(&mut self, event: &EventView<'_>) {
        self.sums.events += 1;
        let [old_plan, new_plan] = self.plans;
        let [old_rows, new_rows] = &mut self.rows;
        let old = self.mapper.map(old_plan, event, old_rows);
        let new = self.mapper.map(new_plan, event, new_rows);
        let message_id = &event.facts.message_id;
        if (&old, &new) != (&Mapped::Send, &Mapped::Send) {
            let (old, new) = (outcome(&old), outcome(&new));
            if old == new {
                self.sums.same += 1;
            } else {
                self.sums.outcome(&event_name(event), old, new, message_id);
            }
            return;
        }
        if same(old_rows, new_rows) {
            self.sums.same += 1;
            return;
        }
        let name = event_name(event);
        let (old, new) = (drafts(old_rows), drafts(new_rows));
        let mut differs = false;
        for draft in &old {
            match new.iter().find(|other| other.key == draft.key) {
                Some(other) => differs |= self.compare(&name, message_id, draft, other),
                None => {
                    let at = (name.as_str(), draft.row.as_str(), "");
                    self.sums.field(at, message_id, Some(&draft.whole()), None);
                    differs = true;
                }
            }
        }
        for draft in new.iter().filter(|one| !old.iter().any(|other| other.key == one.key)) {
            let at = (name.as_str(), draft.row.as_str(), "");
            self.sums.field(at, message_id, None, Some(&draft.whole()));
            differs = true;
        }
        self.sums.same += u64::from(!differs);
    }

    /// The sums.
    #[must_use]
    pub fn report(self) -> DataReport {
        self.sums.report()
    }

    /// Compares two rows member by member; true when something differs.
    fn compare(&mut self, name: &str, message_id: &str, old: &Draft, new: &Draft) -> bool {
        let mut differs = false;
        let fields: BTreeSet<&String> = old.fields.keys().chain(new.fields.keys()).collect();
        for field in fields {
            let (before, after) = (old.fields.get(field), new.fields.get(field));
            if before != after {
                differs = true;
                self.sums.field((name, &old.row, field), message_id, before, after);
            }
        }
        if old.is_event {
            let changed = |field: &str| old.fields.get(field) != new.fields.get(field);
            let of = KNOWN_BY.map(|field| changed(&format!("properties.{field}")));
            let (renamed, [distinct_id, insert_id, time]) = (changed("event"), of);
            let counts = &mut self.sums.new_to_mixpanel;
            counts.name += u64::from(renamed);
            counts.distinct_id += u64::from(distinct_id);
            counts.insert_id += u64::from(insert_id);
            counts.time += u64::from(time);
            counts.rows += u64::from(renamed || distinct_id || insert_id || time);
        }
        differs
    }
}

/// A row with its members by name, so that rows of two plans can be held against each other.
struct Draft {
    /// What it is and the how-manieth of its like.
    key: (String, usize),
    row: String,
    is_event: bool,
    fields: Map<String, Value>,
}

impl Draft {
    fn whole(&self) -> Value {
        Value::Object(self.fields.clone())
    }
}

fn same(old: &Rows, new: &Rows) -> bool {
    old.rows.len() == new.rows.len()
        && old.rows.iter().zip(&new.rows).all(|(a, b)| {
            a.endpoint == b.endpoint && a.project == b.project && old.body(a) == new.body(b)
        })
}

fn drafts(rows: &Rows) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    for row in &rows.rows {
        let body: Value = serde_json::from_slice(rows.body(row)).unwrap_or_default();
        let mut fields = Map::new();
        let mut kind = row.endpoint.path().to_owned();
        for (name, value) in body.as_object().into_iter().flatten() {
            match value {
                Value::Object(members) => {
                    if row.endpoint != Endpoint::Import {
                        kind = format!("{kind} {name}");
                    }
                    for (member, value) in members {
                        fields.insert(format!("{name}.{member}"), value.clone());
                    }
                }
                _ => {
                    if name.starts_with("$unset") || name.starts_with("$delete") {
                        kind = format!("{kind} {name}");
                    }
                    fields.insert(name.clone(), value.clone());
                }
            }
        }
        let verb = fields.get("event").and_then(Value::as_str).filter(|name| is_verb(name));
        if let Some(verb) = verb {
            kind = format!("{kind} {verb}");
        }
        let is_event = row.endpoint == Endpoint::Import && verb.is_none();
        let count = drafts.iter().filter(|one| one.row == kind).count();
        drafts.push(Draft { key: (kind.clone(), count), row: kind, is_event, fields });
    }
    drafts
}

fn is_verb(name: &str) -> bool {
    ["$identify", "$create_alias", "$merge"].contains(&name)
}

fn outcome(mapped: &Mapped) -> String {
    match mapped {
        Mapped::Send => "sent".to_owned(),
        Mapped::Filtered { reason, rule: Some(rule) } => {
            format!("filtered: {} ({rule})", reason.as_str())
        }
        Mapped::Filtered { reason, rule: None } => format!("filtered: {}", reason.as_str()),
        Mapped::SetAside { code, .. } => format!("set aside: {code}"),
    }
}

/// The name of a track call's event; the type of other calls.
fn event_name(event: &EventView<'_>) -> String {
    let kind = event.kind.as_str();
    if event.kind != EventKind::Track {
        return kind.to_owned();
    }
    let body: Value = serde_json::from_slice(event.body).unwrap_or_default();
    body.get("event").and_then(Value::as_str).map_or_else(|| kind.to_owned(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use millrace_model::event::{Facts, TimeSource};
    use serde_json::json;

    use super::*;
    use crate::{Blueprint, SettingValues};

    const OLD: &str = r#"
blueprint: old
rules:
  - { name: Tests, when: 'event = "Test"', drop: true }
  - name: Orders
    send:
      - event: { name: $.event, distinct_id: $.userId, properties: { total: $.total, x: $.x } }
      - profile: { distinct_id: $.userId, set: { a: $.total } }
"#;

    fn diff(edits: &[(&str, &str)], events: &[Value]) -> DataReport {
        let plan = |text: &str| {
            let blueprint = Blueprint::parse("test", text).expect("right");
            Plan::compile(&blueprint, &SettingValues::default()).expect("fits")
        };
        let text = edits.iter().fold(OLD.to_owned(), |text, (from, to)| text.replace(from, to));
        let (old, new) = (plan(OLD), plan(&text));
        let mut diff = DataDiff::new(&old, &new);
        for (event, number) in events.iter().zip(0..) {
            let facts = Facts {
                message_id: format!("m-{number}"),
                time: crate::CASE_RECEIVED_AT,
                time_source: TimeSource::Client,
                client_ip: None,
            };
            let body = event.to_string();
            let (kind, received_at) = (EventKind::Track, crate::CASE_RECEIVED_AT);
            diff.add(&EventView { kind, facts: &facts, received_at, body: body.as_bytes() });
        }
        diff.report()
    }

    #[test]
    fn changes_are_grouped_by_event_and_field() {
        let events = [
            json!({"event": "Order", "userId": "u1", "total": "3"}),
            json!({"event": "Order", "userId": "u2", "total": "4", "x": 1}),
            json!({"event": "Test", "userId": "u2"}),
            json!({"event": "View", "userId": "u2"}),
        ];
        assert!(diff(&[], &events).is_same());
        let report = diff(
            &[
                ("total: $.total", "total: number($.total)"),
                ("'event = \"Test\"'", "'event = \"Tset\"'"),
                ("name: $.event", "name: '\"Shop $.event\"'"),
                ("x: $.x", "x: nonblank($.x)"),
            ],
            &events,
        );
        assert_eq!((report.events, report.same), (4, 0));
        assert_eq!(report.outcomes.len(), 1);
        assert_eq!(report.outcomes[0].old, "filtered: drop_rule (Tests)");
        assert_eq!(
            (report.outcomes[0].new.as_str(), report.outcomes[0].example.as_str()),
            ("sent", "m-2")
        );
        let told: Vec<(&str, &str, &str, u64)> = report
            .fields
            .iter()
            .map(|one| (one.event.as_str(), one.field.as_str(), one.kind, one.rows))
            .collect();
        assert_eq!(
            told,
            [
                ("Order", "event", "changed", 2),
                ("Order", "properties.total", "changed", 2),
                ("View", "event", "changed", 1),
            ]
        );
        assert_eq!(report.fields[1].example.old, Some(json!("3")));
        assert_eq!(report.fields[1].example.new, Some(json!(3)));
        assert_eq!((report.new_to_mixpanel.rows, report.new_to_mixpanel.name), (3, 3));
        assert_eq!(report.new_to_mixpanel.time, 0);
    }
}
