//! How an event was mapped, noted by the run itself.

use millrace_model::row::{Mapped, Rows};
use serde_json::{Value, json};

use crate::plan::node::{Entry, Rule};
use crate::syntax::ast::Place;

/// What a run has noted.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    rules: Vec<Value>,
    actions: Vec<Value>,
}

impl Trace {
    pub(super) fn rule(&mut self, rule: &Rule, matched: bool) {
        self.rules.push(json!({
            "name": rule.name,
            "line": rule.place.line,
            "matched": matched,
        }));
    }

    pub(super) fn action(&mut self, place: Place) {
        self.actions.push(json!({ "line": place.line, "column": place.column, "fields": [] }));
    }

    pub(super) fn field(&mut self, name: &str, entry: &Entry) {
        let fields = self.actions.last_mut().and_then(|action| action.get_mut("fields"));
        if let Some(Value::Array(fields)) = fields {
            fields.push(json!({
                "field": name,
                "from": entry.describe(),
                "line": entry.place.line,
                "column": entry.place.column,
            }));
        }
    }

    pub(super) fn into_json(self, mapped: &Mapped, rows: &Rows) -> Value {
        let outcome = match mapped {
            Mapped::Send => json!({ "state": "send" }),
            Mapped::Filtered { reason, rule } => {
                json!({ "state": "filtered", "reason": reason.as_str(), "rule": rule })
            }
            Mapped::SetAside { code, message } => {
                json!({ "state": "set_aside", "code": code.as_str(), "message": message })
            }
        };
        let rows: Vec<Value> = rows
            .rows
            .iter()
            .map(|row| {
                json!({
                    "path": row.endpoint.path(),
                    "insert_id": row.insert_id.map(|id| id.to_string()),
                    "repeatable": row.repeatable,
                    "body": serde_json::from_slice::<Value>(rows.body(row)).unwrap_or_default(),
                })
            })
            .collect();
        json!({ "rules": self.rules, "actions": self.actions, "outcome": outcome, "rows": rows })
    }
}
