//! How an event was mapped: what [`Mapper::explain`](crate::Mapper::explain) gives.
//!
//! Plain data and its JSON. Who notes it is the run itself (`run::explain`); nothing is worked out
//! a second time.

use millrace_model::correction::Corrections;
use millrace_model::row::Mapped;
use serde_json::{Map, Value, json};

/// How one event was mapped.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The rules that were tried, from the top.
    pub rules: Vec<RuleTried>,
    /// The rows, in the order in which they are sent. With another outcome than
    /// [`Mapped::Send`]: those that were written before it was met, which are not sent.
    pub rows: Vec<RowExplained>,
    /// What became of the event.
    pub outcome: Mapped,
    /// What was changed so that Mixpanel takes the rows.
    pub corrections: Corrections,
    /// True when the event was so large that not everything was noted.
    pub cut_off: bool,
}

/// A rule that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTried {
    /// Its name.
    pub name: String,
    /// Where it stands in the blueprint, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// True when its condition held.
    pub matched: bool,
    /// The paths that its condition read and that gave something.
    pub tested: Vec<String>,
}

/// A row and where its fields come from.
#[derive(Clone, Debug, PartialEq)]
pub struct RowExplained {
    /// The rule that sends it.
    pub rule: String,
    /// The verb of the action.
    pub verb: &'static str,
    /// Where the action stands, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// The path of the endpoint, such as `/import`.
    pub path: &'static str,
    /// The insert id of an event.
    pub insert_id: Option<String>,
    /// False for what counts twice when it is sent twice.
    pub repeatable: bool,
    /// The row.
    pub body: Value,
    /// Its fields, members inside of members included as far as an entry wrote them.
    pub fields: Vec<FieldExplained>,
}

/// Where a field of a row comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldExplained {
    /// The way to it in the row: names, and places in lists.
    pub at: Vec<String>,
    /// What the blueprint says, as written; empty when the engine sees to the field by itself.
    pub source: String,
    /// Where that stands in the blueprint, from 1: the entry's line, else the action's.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// The paths of the event that went into it.
    pub inputs: Vec<String>,
    /// The paths that a choice looked at and that gave something.
    pub tested: Vec<String>,
    /// The functions that were applied, the innermost first.
    pub functions: Vec<&'static str>,
    /// Which alternative of a first-present or of a choice it was: `fallback: 2 of 3`.
    pub chosen: Vec<String>,
    /// What the engine did by itself.
    pub engine: Vec<String>,
}

impl Explanation {
    /// The explanation as JSON, the form of `millrace map --explain`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let rules: Vec<Value> = self.rules.iter().map(RuleTried::to_json).collect();
        let rows: Vec<Value> = self.rows.iter().map(RowExplained::to_json).collect();
        let corrections: Map<String, Value> = self
            .corrections
            .iter()
            .map(|(what, count)| (what.as_str().to_owned(), json!(count)))
            .collect();
        let mut told = json!({ "rules": rules, "outcome": outcome(&self.outcome), "rows": rows });
        if let Value::Object(told) = &mut told {
            if !corrections.is_empty() {
                told.insert("corrections".to_owned(), Value::Object(corrections));
            }
            if self.cut_off {
                told.insert("cut_off".to_owned(), Value::Bool(true));
            }
        }
        told
    }
}

fn outcome(mapped: &Mapped) -> Value {
    match mapped {
        Mapped::Send => json!({ "state": "send" }),
        Mapped::Filtered { reason, rule } => {
            json!({ "state": "filtered", "reason": reason.as_str(), "rule": rule })
        }
        Mapped::SetAside { code, message } => {
            json!({ "state": "set_aside", "code": code.as_str(), "message": message })
        }
    }
}

impl RuleTried {
    fn to_json(&self) -> Value {
        let RuleTried { name, line, column, matched, tested } = self;
        let mut told = json!({ "name": name, "line": line, "column": column, "matched": matched });
        put(&mut told, "tested", tested);
        told
    }
}

impl RowExplained {
    fn to_json(&self) -> Value {
        let fields: Vec<Value> = self.fields.iter().map(FieldExplained::to_json).collect();
        json!({
            "rule": self.rule,
            "action": { "verb": self.verb, "line": self.line, "column": self.column },
            "path": self.path,
            "insert_id": self.insert_id,
            "repeatable": self.repeatable,
            "body": self.body,
            "fields": fields,
        })
    }
}

impl FieldExplained {
    /// The way to the field as one text: `properties.products.0.id`.
    #[must_use]
    pub fn name(&self) -> String {
        self.at.join(".")
    }

    fn to_json(&self) -> Value {
        let mut told = json!({ "field": self.name(), "line": self.line, "column": self.column });
        if let (Value::Object(told), false) = (&mut told, self.source.is_empty()) {
            told.insert("from".to_owned(), Value::String(self.source.clone()));
        }
        put(&mut told, "inputs", &self.inputs);
        put(&mut told, "tested", &self.tested);
        put(&mut told, "functions", &self.functions);
        put(&mut told, "chosen", &self.chosen);
        put(&mut told, "engine", &self.engine);
        told
    }
}

/// Puts a list that is not empty.
fn put<T: AsRef<str>>(told: &mut Value, key: &str, list: &[T]) {
    if let (Value::Object(told), false) = (told, list.is_empty()) {
        let list = list.iter().map(|one| Value::String(one.as_ref().to_owned())).collect();
        told.insert(key.to_owned(), Value::Array(list));
    }
}
