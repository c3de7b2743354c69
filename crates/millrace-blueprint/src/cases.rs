//! Tests beside a blueprint: an event that is given, and the rows that are expected.
//!
//! They stand under the key `tests` of the blueprint, or in a file of their own. What runs them is
//! the plan of production; who admits the event is up to the caller, so that tests see what the
//! collector would hand on.

use std::collections::{BTreeMap, BTreeSet};

use millrace_model::code::Code;
use millrace_model::diagnostic::Diagnostic;
use millrace_model::disposition::FilterReason;
use millrace_model::row::Mapped;
use millrace_model::time::UnixMillis;
use serde_json::{Value, json};

use crate::canonical::text_of;
use crate::syntax::Problems;
use crate::syntax::parts::{known_keys, map, member, text};
use crate::syntax::tree::{self, Node, NodeValue};
use crate::{Blueprint, EventView, Explanation, Mapper, Parameters, Plan, SettingValues};

/// When events of tests are received unless they say otherwise: 2025-11-20T10:11:12.345Z, as in
/// the examples of the guide.
pub const CASE_RECEIVED_AT: UnixMillis = UnixMillis(1_763_633_472_345);

/// The message id of events of tests that have none.
pub const CASE_MESSAGE_ID: &str = "m-1";

const CASE_KEYS: [&str; 3] = ["name", "given", "expect"];
const GIVEN_KEYS: [&str; 4] = ["event", "settings", "parameters", "received_at"];
const EXPECT_KEYS: [&str; 3] = ["requests", "filtered", "set_aside"];
const ROW_KEYS: [&str; 2] = ["path", "body"];

/// A test beside a blueprint.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// Where it stands, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
    /// The event as JSON, as an SDK would send it.
    pub event: String,
    /// The settings that differ from their defaults, as a JSON object.
    pub settings: Value,
    /// What the pipeline gives, by name.
    pub parameters: BTreeMap<String, String>,
    /// When the event is received.
    pub received_at: UnixMillis,
    /// What must become of it.
    pub expected: Expected,
}

/// What must become of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// These rows, in this order: the path of the endpoint and the row.
    Requests(Vec<(String, Value)>),
    /// It is filtered, for this reason.
    Filtered(String),
    /// It is set aside with this code.
    SetAside(String),
}

/// Something that is not as expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Where: `row 1 /import properties.total`, or `outcome`.
    pub at: String,
    /// What was expected; none for what should not be there.
    pub expected: Option<Value>,
    /// What was found; none for what is missing.
    pub found: Option<Value>,
}

/// What a test came to.
#[derive(Clone, Debug)]
pub struct CaseOutcome {
    /// What is not as expected; nothing when the test passes.
    pub differences: Vec<Difference>,
    /// How the event was mapped.
    pub explanation: Explanation,
}

impl Blueprint {
    /// The tests that stand in the blueprint itself.
    #[must_use]
    pub fn cases(&self) -> Vec<Case> {
        let Some(Node { value: NodeValue::Map(members), .. }) = self.tree() else {
            return Vec::new();
        };
        let mut problems = Problems::new(&self.file);
        member(&members, "tests").map(|node| read(node, &mut problems)).unwrap_or_default()
    }
}

impl Blueprint {
    /// The tests of a blueprint that comes with Millrace; none for one that has none.
    ///
    /// # Errors
    ///
    /// The inner result holds mistakes of the tests themselves.
    #[must_use]
    pub fn built_in_cases(name: &str) -> Option<Result<Vec<Case>, Vec<Diagnostic>>> {
        let text = crate::built_in_tests::text(name)?;
        Some(Case::parse_file(&format!("built-in:{name}.tests"), text))
    }
}

impl Case {
    /// Reads a file of tests: a map with the key `tests`.
    ///
    /// # Errors
    ///
    /// Every mistake in the text at once.
    pub fn parse_file(file: &str, text: &str) -> Result<Vec<Case>, Vec<Diagnostic>> {
        let mut problems = Problems::new(file);
        let cases = tree::read(text, &mut problems).and_then(|root| {
            let members = map(&root, "a file of tests", &mut problems)?;
            known_keys(members, &["tests"], "a file of tests", &mut problems);
            match member(members, "tests") {
                Some(node) => Some(read(node, &mut problems)),
                None => {
                    let message = "the file has no tests";
                    problems.add(root.place, Code::MissingKey, message, None);
                    None
                }
            }
        });
        match cases {
            Some(cases) if problems.count() == 0 => Ok(cases),
            _ => Err(problems.into_list()),
        }
    }

    /// The plan of the blueprint with the settings of the test.
    ///
    /// # Errors
    ///
    /// Every setting that the blueprint does not take.
    pub fn plan(&self, blueprint: &Blueprint) -> Result<Plan, Vec<Diagnostic>> {
        let parameters: Parameters = self.parameters.clone().into_iter().collect();
        Plan::compile_with(blueprint, &SettingValues::from_json(&self.settings), &parameters)
    }

    /// What differs when the event does not get past the door, for the reason with this code.
    #[must_use]
    pub fn refused(&self, code: Code) -> Vec<Difference> {
        self.unlike(&json!({ "set_aside": code.as_str() })).into_iter().collect()
    }

    /// Runs the admitted event of the test through a plan and compares.
    #[must_use]
    pub fn run(&self, plan: &Plan, event: &EventView<'_>) -> CaseOutcome {
        let explanation = Mapper::new().explain(plan, event);
        CaseOutcome { differences: self.compare(&explanation), explanation }
    }

    /// The difference when another outcome was expected than this one.
    fn unlike(&self, outcome: &Value) -> Option<Difference> {
        let wanted = match &self.expected {
            Expected::Requests(_) => json!("requests"),
            Expected::Filtered(reason) => json!({ "filtered": reason }),
            Expected::SetAside(code) => json!({ "set_aside": code }),
        };
        (wanted != *outcome).then(|| Difference {
            at: "outcome".to_owned(),
            expected: Some(wanted),
            found: Some(outcome.clone()),
        })
    }

    fn compare(&self, told: &Explanation) -> Vec<Difference> {
        let outcome = match &told.outcome {
            Mapped::Send => json!("requests"),
            Mapped::Filtered { reason, .. } => json!({ "filtered": reason.as_str() }),
            Mapped::SetAside { code, .. } => json!({ "set_aside": code.as_str() }),
        };
        if let Some(difference) = self.unlike(&outcome) {
            return vec![difference];
        }
        let Expected::Requests(rows) = &self.expected else { return Vec::new() };
        let mut differences = Vec::new();
        for place in 0..rows.len().max(told.rows.len()) {
            let wanted = rows.get(place).map(|(path, body)| (path.as_str(), body));
            let found = told.rows.get(place).map(|row| (row.path, &row.body));
            let number = place.saturating_add(1);
            let as_json = |(path, body): (&str, &Value)| json!({ "path": path, "body": body });
            match (wanted, found) {
                (Some((path, wanted)), Some((endpoint, found))) if path == endpoint => {
                    compare(&format!("row {number} {path}"), wanted, found, &mut differences);
                }
                (wanted, found) => differences.push(Difference {
                    at: format!("row {number}"),
                    expected: wanted.map(as_json),
                    found: found.map(as_json),
                }),
            }
        }
        differences
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |value: &Option<Value>| {
            value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string)
        };
        write!(f, "{}: expected {}, found {}", self.at, text(&self.expected), text(&self.found))
    }
}

/// Compares two values field by field; lists as a whole when their lengths differ.
fn compare(at: &str, wanted: &Value, found: &Value, differences: &mut Vec<Difference>) {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            let names: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
            for name in names {
                let inner = join(at, name);
                match (wanted.get(name), found.get(name)) {
                    (Some(wanted), Some(found)) => compare(&inner, wanted, found, differences),
                    (expected, found) => differences.push(Difference {
                        at: inner,
                        expected: expected.cloned(),
                        found: found.cloned(),
                    }),
                }
            }
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (place, (wanted, found)) in wanted.iter().zip(found).enumerate() {
                compare(&join(at, &place.to_string()), wanted, found, differences);
            }
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        (wanted, found) if wanted == found => {}
        (wanted, found) => differences.push(Difference {
            at: at.to_owned(),
            expected: Some(wanted.clone()),
            found: Some(found.clone()),
        }),
    }
}

/// `row 1 /import`, then `row 1 /import properties`, then `row 1 /import properties.total`.
fn join(at: &str, name: &str) -> String {
    let inside = at.rsplit('/').next().is_some_and(|last| last.contains(' '));
    format!("{at}{}{name}", if inside { "." } else { " " })
}

/// Reads the list of tests; mistakes go to the problems.
pub(crate) fn read(node: &Node, problems: &mut Problems) -> Vec<Case> {
    let NodeValue::List(items) = &node.value else {
        let message = format!("`tests` takes a list, not {}", node.describe());
        problems.add(node.place, Code::BadValue, message, None);
        return Vec::new();
    };
    let cases: Vec<Case> = items.iter().filter_map(|item| case(item, problems)).collect();
    let mut names = BTreeSet::new();
    for (case, item) in cases.iter().zip(items) {
        if !names.insert(case.name.as_str()) {
            let message = format!("there is a test `{}` above", case.name);
            problems.add(item.place, Code::DuplicateName, message, None);
        }
    }
    cases
}

fn case(node: &Node, problems: &mut Problems) -> Option<Case> {
    let members = map(node, "a test", problems)?;
    known_keys(members, &CASE_KEYS, "a test", problems);
    let mut needed = |key: &str| {
        let found = member(members, key);
        if found.is_none() {
            let message = format!("the test needs `{key}`");
            problems.add(node.place, Code::MissingKey, message, None);
        }
        found
    };
    let (name, given, expect) = (needed("name"), needed("given"), needed("expect"));
    let name = text(name?, "`name`", problems)?;
    let given = map(given?, "`given`", problems)?;
    known_keys(given, &GIVEN_KEYS, "`given`", problems);
    let Some(event) = member(given, "event") else {
        let message = "`given` needs an `event`";
        problems.add(node.place, Code::MissingKey, message, None);
        return None;
    };
    map(event, "an event", problems)?;
    let settings = match member(given, "settings") {
        Some(node) => {
            map(node, "`settings`", problems)?;
            value(node)
        }
        None => json!({}),
    };
    let mut parameters = BTreeMap::new();
    if let Some(node) = member(given, "parameters") {
        for (key, node) in map(node, "`parameters`", problems)? {
            parameters.insert(key.text.clone(), text(node, "a parameter", problems)?);
        }
    }
    let received_at = match member(given, "received_at") {
        Some(node) => {
            let time = text(node, "`received_at`", problems).and_then(|at| UnixMillis::parse(&at));
            if time.is_none() {
                let hint = Some("write it as 2025-11-20T10:11:12Z".to_owned());
                problems.add(node.place, Code::BadValue, "this is no time", hint);
            }
            time?
        }
        None => CASE_RECEIVED_AT,
    };
    let expected = expected(expect?, problems)?;
    let (line, column) = (node.place.line, node.place.column);
    let event = text_of(event);
    Some(Case { name, line, column, event, settings, parameters, received_at, expected })
}

fn expected(node: &Node, problems: &mut Problems) -> Option<Expected> {
    let members = map(node, "`expect`", problems)?;
    known_keys(members, &EXPECT_KEYS, "`expect`", problems);
    let [(key, node)] = members else {
        let message = "`expect` has exactly one of `requests`, `filtered` and `set_aside`";
        problems.add(node.place, Code::MissingKey, message, None);
        return None;
    };
    match key.text.as_str() {
        "requests" => {
            let NodeValue::List(rows) = &node.value else {
                let message = "`requests` takes a list of rows";
                problems.add(node.place, Code::BadValue, message, None);
                return None;
            };
            Some(Expected::Requests(rows.iter().filter_map(|one| row(one, problems)).collect()))
        }
        "filtered" => {
            let reason = text(node, "`filtered`", problems)?;
            let known = [FilterReason::NoRule, FilterReason::DropRule].map(FilterReason::as_str);
            if !known.contains(&reason.as_str()) {
                problems.unknown(node.place, Code::BadValue, "the reason", &reason, &known);
            }
            Some(Expected::Filtered(reason))
        }
        "set_aside" => {
            let code = text(node, "`set_aside`", problems)?;
            if Code::parse(&code).is_none() {
                let hint = Some("codes look like MR2001".to_owned());
                problems.add(node.place, Code::UnknownReference, "no such code", hint);
            }
            Some(Expected::SetAside(code))
        }
        _ => None,
    }
}

fn row(node: &Node, problems: &mut Problems) -> Option<(String, Value)> {
    let members = map(node, "a row", problems)?;
    known_keys(members, &ROW_KEYS, "a row", problems);
    let (Some(path), Some(body)) = (member(members, "path"), member(members, "body")) else {
        let message = "a row has a `path` and a `body`";
        problems.add(node.place, Code::MissingKey, message, None);
        return None;
    };
    let path = text(path, "`path`", problems)?;
    if !["/import", "/engage", "/groups"].contains(&path.as_str()) {
        let known = ["/import", "/engage", "/groups"];
        problems.unknown(node.place, Code::BadValue, "the path", &path, &known);
    }
    Some((path, value(body)))
}

/// A node as plain data.
fn value(node: &Node) -> Value {
    serde_json::from_str(&text_of(node)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differ(wanted: &Value, found: &Value) -> Vec<String> {
        let mut differences = Vec::new();
        compare("row 1 /import", wanted, found, &mut differences);
        differences.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn differences_are_told_by_field() {
        let wanted = json!({"event": "E", "properties": {"a": 1, "b": [1, 2], "c": {"d": 1}}});
        let found = json!({"event": "E", "properties": {"a": 1.0, "b": [1, 3], "c": {"e": 1}}});
        assert_eq!(
            differ(&wanted, &found),
            [
                "row 1 /import properties.b.1: expected 2, found 3",
                "row 1 /import properties.c.d: expected 1, found nothing",
                "row 1 /import properties.c.e: expected nothing, found 1",
            ]
        );
        assert!(differ(&json!({"a": 19.90}), &json!({"a": 19.9})).is_empty());
    }

    #[test]
    fn mistakes_in_tests_have_lines() {
        let text = "tests:\n  - name: a\n    given: { event: { type: track } }\n    expect: { filtered: because }\n  - name: a\n    given: { evnt: {} }\n    expect: {}\n";
        let mistakes = Case::parse_file("x.tests.yaml", text).expect_err("mistakes");
        let lines: Vec<u32> = mistakes.iter().map(|mistake| mistake.line).collect();
        assert_eq!(lines, [4, 5, 6], "{mistakes:#?}");
        assert!(Case::parse_file("x", "tests: []").is_ok_and(|cases| cases.is_empty()));
        assert!(Case::parse_file("x", "a: 1").is_err());
    }
}
