//! `mapping-kit.json`: a mapping of Segment's directives over an input gives a value.

use millrace_blueprint::Mapper;
use millrace_blueprint::segment::Mapping;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::report::{Case, Outcome};
use super::text_of;

/// The mappings as they are written: what `@json` makes of one depends on the order of its members.
#[derive(Deserialize)]
struct Written<'t> {
    #[serde(borrow)]
    cases: Vec<WrittenCase<'t>>,
}

#[derive(Deserialize)]
struct WrittenCase<'t> {
    #[serde(borrow)]
    mapping: &'t RawValue,
}

/// Runs the cases of a file.
pub(crate) fn run(text: &str, cases: &[Value]) -> anyhow::Result<Vec<Case>> {
    let written: Written<'_> = serde_json::from_str(text)?;
    let mut mapper = Mapper::new();
    let cases = cases.iter().zip(written.cases).map(|(case, WrittenCase { mapping })| {
        let kind = text_of(case, "feature");
        let outcome = if kind == "liquid" {
            Outcome::NotRun("`@liquid` is not taken".to_owned())
        } else {
            one(&mut mapper, case, mapping.get())
        };
        Case { id: text_of(case, "id"), class: text_of(case, "class"), kind, outcome }
    });
    Ok(cases.collect())
}

fn one(mapper: &mut Mapper, case: &Value, text: &str) -> Outcome {
    let flag = |name: &str| case.get(name) == Some(&Value::Bool(true));
    let mapping = Mapping::parse("case", text);
    if flag("validate_only") {
        return match (&mapping, flag("expected_valid")) {
            (Ok(_), true) | (Err(_), false) => Outcome::Pass,
            (Ok(_), false) => Outcome::Fail("the mapping reads without a mistake".to_owned()),
            (Err(mistakes), true) => refused(mistakes),
        };
    }
    let mapping = match mapping {
        Ok(mapping) => mapping,
        Err(_) if flag("error") => return Outcome::Pass,
        Err(mistakes) => return refused(&mistakes),
    };
    let input = case.get("input").unwrap_or(&Value::Null).to_string();
    let found = match mapping.apply(mapper, input.as_bytes()) {
        None if flag("error") => return Outcome::Pass,
        None => return Outcome::Fail("the input is refused".to_owned()),
        Some(json) => json.map(|json| serde_json::from_slice::<Value>(&json)),
    };
    let expected = if flag("expected_absent") { None } else { case.get("expected") };
    match (found, expected) {
        (None, None) if flag("expected_absent") => Outcome::Pass,
        (Some(Ok(found)), Some(expected)) if same(&found, expected) => Outcome::Pass,
        (Some(Err(error)), _) => Outcome::Fail(format!("what it gives is no JSON: {error}")),
        (found, expected) => {
            let shown = |one: Option<&Value>| one.map_or("nothing".to_owned(), Value::to_string);
            let found = found.and_then(Result::ok);
            Outcome::Fail(format!("gives {}, not {}", shown(found.as_ref()), shown(expected)))
        }
    }
}

fn refused(mistakes: &[impl ToString]) -> Outcome {
    let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
    Outcome::Fail(format!("the mapping is refused: {first}"))
}

/// Whether two values are the same: numbers by value, members in any order.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(a, b)| same(a, b))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, a)| right.get(key).is_some_and(|b| same(a, b)))
        }
        _ => left == right,
    }
}
