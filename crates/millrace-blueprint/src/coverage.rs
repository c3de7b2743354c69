//! What tests have hit of a blueprint, and what not: its rules, actions and fields.
//!
//! A rule is hit when it took an event, an action when it wrote a row, a field when it stood in
//! one. It is counted from explanations, which are the run's own notes.

use serde_json::{Value, json};

use crate::lineage::{ANY_MEMBER, FieldLineage};
use crate::{Blueprint, Explanation};

/// How often the parts of a blueprint were hit.
#[derive(Clone, Debug)]
pub struct Coverage {
    /// The rules, in the order of the text.
    pub rules: Vec<Covered>,
    /// The actions.
    pub actions: Vec<Covered>,
    /// The fields and members. One in a shared block counts once, wherever it is spread.
    pub fields: Vec<Covered>,
}

/// A part of a blueprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// What it is called: the rule's name, the rule and the verb, or the way to the field.
    pub what: String,
    /// Where it stands, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// How often it was hit.
    pub hits: u64,
}

impl Coverage {
    /// The parts of a blueprint, none of them hit.
    #[must_use]
    pub fn of(blueprint: &Blueprint) -> Coverage {
        let mut coverage = Coverage { rules: vec![], actions: vec![], fields: vec![] };
        for rule in blueprint.lineage().rules {
            coverage.rules.push(Covered::new(rule.name.clone(), rule.line, rule.column));
            for action in rule.actions {
                let what = format!("{}: {}", rule.name, action.verb);
                coverage.actions.push(Covered::new(what, action.line, action.column));
                for field in &action.fields {
                    if is_no_field_of_a_row(field) || is_told_by_its_members(field, &action.fields)
                    {
                        continue;
                    }
                    let known =
                        coverage.fields.iter().any(|one| one.is_at(field.line, field.column));
                    if !known {
                        let what = field.at.join(".");
                        coverage.fields.push(Covered::new(what, field.line, field.column));
                    }
                }
            }
        }
        coverage
    }

    /// Counts what an event has hit.
    pub fn add(&mut self, told: &Explanation) {
        for rule in told.rules.iter().filter(|rule| rule.matched) {
            hit(&mut self.rules, rule.line, rule.column);
        }
        for row in &told.rows {
            hit(&mut self.actions, row.line, row.column);
            for field in &row.fields {
                hit(&mut self.fields, field.line, field.column);
            }
        }
    }

    /// The coverage as JSON: for each kind of part how many there are, how many were hit, and the
    /// others by name and place.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let part = |list: &[Covered]| {
            let missed: Vec<Value> = list
                .iter()
                .filter(|one| one.hits == 0)
                .map(|one| json!({ "what": one.what, "line": one.line, "column": one.column }))
                .collect();
            json!({ "all": list.len(), "hit": list.len() - missed.len(), "missed": missed })
        };
        json!({
            "rules": part(&self.rules),
            "actions": part(&self.actions),
            "fields": part(&self.fields),
        })
    }
}

impl Covered {
    fn new(what: String, line: u32, column: u32) -> Covered {
        Covered { what, line, column, hits: 0 }
    }

    fn is_at(&self, line: u32, column: u32) -> bool {
        (self.line, self.column) == (line, column)
    }
}

/// True for a spread of an object that the blueprint writes: its members are told one by one.
fn is_told_by_its_members(field: &FieldLineage, all: &[FieldLineage]) -> bool {
    field.at.last().is_some_and(|last| last == ANY_MEMBER)
        && all.iter().any(|one| one.at.len() > field.at.len() && one.at.starts_with(&field.at))
}

/// True for the fields of an action that decide how its rows are sent and stand in none.
fn is_no_field_of_a_row(field: &FieldLineage) -> bool {
    let first = field.at.first().map(String::as_str).unwrap_or_default();
    matches!(first, "alone" | "token" | "identity")
}

fn hit(list: &mut [Covered], line: u32, column: u32) {
    for one in list.iter_mut().filter(|one| one.is_at(line, column)) {
        one.hits = one.hits.saturating_add(1);
    }
}
