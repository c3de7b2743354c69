//! Explanations are complete and true: every property has one, and taking away an input that one
//! names changes the field, takes it away, or lets another input step in.

use millrace_blueprint::{Blueprint, EventView, Explanation, FieldExplained, Mapper, Plan};
use millrace_blueprint::{RowExplained, SettingValues};
use millrace_model::event::{EventKind, Facts, TimeSource};
use millrace_model::row::Mapped;
use millrace_model::time::UnixMillis;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{AT, bench_lines};

/// Every form of value, so that random events meet all of them.
const WIDE: &str = r#"
blueprint: wide
settings:
  names: { kind: list, default: [a, b], about: names }
  wanted: { kind: list, default: [x, y.v], about: names and paths }
shared:
  block: { shared_a: $.a, nested: { x: '$.b.x ?? $.n' } }
rules:
  - name: all
    send:
      - event:
          name: $.event ?| "none"
          distinct_id: identifier($.userId) ?? identifier($.anonymousId) ?? "nobody"
          user_id: $.userId
          ip: $.context.ip
          properties:
            early: $.a
            "...": [ shared.block, 'omit($.b, y)', 'prefixed($.c, "c_")', { with: $.list, as: { first: '.[0].v' } } ]
            number: number($.a) ?? $.n
            template: '"<$.a-{{b.x}}>"'
            chain: $.a ?? $.b ?| $.c ?? 1
            lower: lower(text($.a))
            pair: [ $.a, { in_list: $.n } ]
            choice: { when: exists($.n), then: $.a, else: $.b }
            items: { each: $.list, as: { v: .v, outer: $.n, deep: { each: .l, as: { w: .w } } } }
            alone: { each: $.b, as: .x }
            with: { with: $.b, as: { x: .x, all: { y: .y } } }
            late: { "...": $.b, x: $.n }
      - profile:
          distinct_id: identifier($.userId) ?? "nobody"
          set: { "...": $.b }
          set_once: { "...": 'pick($.b, settings.wanted)' }
          union: { "...": 'omit($.b, settings.wanted)' }
          add: { n: $.n }
          unset: [gone, $.a]
      - group: { for_each: settings.names, group_key: settings.names, group_id: $.a, set: { n: $.n } }
"#;

struct Case<'p> {
    plan: &'p Plan,
    facts: Facts,
    kind: EventKind,
    received_at: UnixMillis,
}

fn plan(blueprint: &Blueprint) -> Plan {
    Plan::compile(blueprint, &SettingValues::default()).expect("fits")
}

impl<'p> Case<'p> {
    fn new(plan: &'p Plan, event: &Value) -> Option<Case<'p>> {
        let time = event["timestamp"].as_str().and_then(UnixMillis::parse).unwrap_or(AT);
        let facts = Facts {
            message_id: event["messageId"].as_str().unwrap_or("m-1").to_owned(),
            time,
            time_source: TimeSource::Client,
            client_ip: None,
        };
        let kind = EventKind::parse(event["type"].as_str()?)?;
        Some(Case { plan, facts, kind, received_at: time })
    }

    fn explain(&self, event: &Value) -> Explanation {
        let body = event.to_string();
        let view = EventView {
            kind: self.kind,
            facts: &self.facts,
            received_at: self.received_at,
            body: body.as_bytes(),
        };
        Mapper::new().explain(self.plan, &view)
    }

    /// What the event comes to without this input, or with another fact.
    fn without(&mut self, event: &Value, input: &str) -> Explanation {
        let (facts, received_at) = (self.facts.clone(), self.received_at);
        let mut event = event.clone();
        match input {
            "$.messageId" => self.facts.message_id.push_str("0a"),
            "$.timestamp" => self.facts.time.0 -= 86_400_000,
            "$.receivedAt" => self.received_at.0 -= 1000,
            path => assert!(take_away(&mut event, path), "{path} is not in {event}"),
        }
        let told = self.explain(&event);
        (self.facts, self.received_at) = (facts, received_at);
        told
    }
}

/// The steps of a path that an explanation names.
fn steps(path: &str) -> Vec<String> {
    let mut rest = path.strip_prefix('$').unwrap_or_else(|| panic!("{path} is of an item"));
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix("[\"") {
            let end = inner.find("\"]").expect("a closed name");
            steps.push(inner[..end].to_owned());
            rest = &inner[end + 2..];
        } else if let Some(inner) = rest.strip_prefix('[') {
            let (index, after) = inner.split_once(']').expect("a closed place");
            steps.push(index.to_owned());
            rest = after;
        } else {
            let inner = &rest[1..];
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            steps.push(inner[..end].to_owned());
            rest = &inner[end..];
        }
    }
    steps
}

fn take_away(event: &mut Value, path: &str) -> bool {
    let steps = steps(path);
    let Some((last, above)) = steps.split_last() else { return false };
    let found = above.iter().try_fold(event, |value, step| match value {
        Value::Object(members) => members.get_mut(step),
        Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
        _ => None,
    });
    match found {
        Some(Value::Object(members)) => members.remove(last).is_some(),
        Some(Value::Array(items)) => match items.get_mut(last.parse::<usize>().unwrap_or(99_999)) {
            // The places of the others must stay what they are.
            Some(item) => {
                *item = Value::Null;
                true
            }
            None => false,
        },
        _ => false,
    }
}

fn at<'v>(body: &'v Value, at: &[String]) -> Option<&'v Value> {
    at.iter().try_fold(body, |value, step| match value {
        Value::Object(members) => members.get(step),
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Rows of one action and one operator are told apart by their order.
fn rows_like<'e>(told: &'e Explanation, row: &RowExplained) -> Vec<&'e RowExplained> {
    let operator = |row: &RowExplained| {
        let members = row.body.as_object().expect("an object");
        members.keys().find(|key| key.starts_with('$') && members[*key].is_object()).cloned()
    };
    let like = |other: &&RowExplained| {
        (other.line, other.path) == (row.line, row.path) && operator(other) == operator(row)
    };
    told.rows.iter().filter(like).collect()
}

/// Every member of a row, and of its properties or operator, is explained once.
fn is_complete(row: &RowExplained) {
    let explained = |at: &[&str]| {
        let count = row.fields.iter().filter(|field| field.at == at).count();
        assert_eq!(count, 1, "{at:?} in {row:#?}");
    };
    for (name, value) in row.body.as_object().expect("an object") {
        match value {
            Value::Object(members) => {
                members.keys().filter(|key| *key != "$distinct_ids").for_each(|key| {
                    explained(&[name, key]);
                });
            }
            _ => explained(&[name]),
        }
    }
    for field in &row.fields {
        assert!(at(&row.body, &field.at).is_some(), "{field:?} is not in {}", row.body);
        let place = field.line > 0 && field.column > 0;
        assert!(place && (!field.source.is_empty() || !field.engine.is_empty()), "{field:?}");
    }
}

/// True when the field is another one, is gone, or is now told to come from elsewhere.
fn depends(
    told: &Explanation,
    without: &Explanation,
    row: &RowExplained,
    of: &FieldExplained,
) -> bool {
    if !matches!(without.outcome, Mapped::Send) {
        return true;
    }
    let place = rows_like(told, row).iter().position(|one| std::ptr::eq(*one, row));
    let rows = rows_like(without, row);
    let Some(other) = place.and_then(|place| rows.get(place)) else { return true };
    if at(&other.body, &of.at) != at(&row.body, &of.at) {
        return true;
    }
    let now = other.fields.iter().find(|field| field.at == of.at);
    now.is_none_or(|now| now.inputs != of.inputs)
}

fn explanations_are_true(case: &mut Case<'_>, event: &Value) -> usize {
    let told = case.explain(event);
    if !matches!(told.outcome, Mapped::Send) {
        return 0;
    }
    let mut checked = 0;
    for row in &told.rows {
        is_complete(row);
        for field in &row.fields {
            for input in &field.inputs {
                let without = case.without(event, input);
                assert!(
                    depends(&told, &without, row, field),
                    "without {input} {field:#?} stays, for {event} in {}",
                    row.body
                );
                checked += 1;
            }
        }
    }
    checked
}

#[test]
fn every_property_of_a_mapped_bench_event_is_explained() {
    let Some(lines) = bench_lines() else { return };
    for name in Blueprint::built_in_names() {
        let blueprint = Blueprint::built_in(name).expect("there").expect("right");
        let (plan, mut rows) = (plan(&blueprint), 0);
        for line in lines.lines().step_by(61) {
            let event: Value = serde_json::from_str(line).expect("JSON");
            let Some(case) = Case::new(&plan, &event) else { continue };
            let told = case.explain(&event);
            if matches!(told.outcome, Mapped::Send) {
                told.rows.iter().for_each(is_complete);
                rows += told.rows.len();
            }
        }
        println!("{name}: {rows} rows explained");
    }
}

#[test]
fn taking_away_an_input_changes_what_it_explains() {
    let Some(lines) = bench_lines() else { return };
    for name in Blueprint::built_in_names() {
        let blueprint = Blueprint::built_in(name).expect("there").expect("right");
        let (plan, mut checked) = (plan(&blueprint), 0);
        for line in lines.lines().step_by(499) {
            let event: Value = serde_json::from_str(line).expect("JSON");
            if let Some(mut case) = Case::new(&plan, &event) {
                checked += explanations_are_true(&mut case, &event);
            }
        }
        println!("{name}: {checked} inputs taken away");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(json!("")),
        any::<i16>().prop_map(Value::from),
        "[a-z]{1,4}".prop_map(Value::from),
        Just(json!(true)),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[vxylw]", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn explanations_of_random_events_are_true(
        values in proptest::collection::btree_map("a|b|c|n|event|userId", any_value(), 0..6),
        list in proptest::collection::vec(any_value(), 0..3),
    ) {
        let mut event = Value::Object(values.into_iter().collect());
        event["type"] = json!("track");
        event["list"] = Value::Array(list);
        let blueprint = Blueprint::parse("wide", WIDE).expect("right");
        let plan = plan(&blueprint);
        let mut case = Case::new(&plan, &event).expect("a known type");
        explanations_are_true(&mut case, &event);
    }
}

#[test]
fn an_explanation_tells_paths_functions_and_the_alternative_that_fired() {
    let blueprint = Blueprint::parse("wide", WIDE).expect("right");
    let event = json!({
        "type": "track", "anonymousId": "d1", "event": "Order", "n": 3, "a": "A",
        "b": {"x": "X", "y": "Y"}, "c": {"k": 1},
        "list": [{"v": 1}, {"l": [{"w": 2}]}],
    });
    let plan = plan(&blueprint);
    let case = Case::new(&plan, &event).expect("a known type");
    let told = case.explain(&event);
    let row = &told.rows[0];
    is_complete(row);
    let field = |name: &str| {
        row.fields.iter().find(|field| field.name() == name).unwrap_or_else(|| panic!("{name}"))
    };
    let inputs = |name: &str| field(name).inputs.clone();
    assert_eq!(inputs("event"), ["$.event"]);
    assert_eq!(inputs("properties.distinct_id"), ["$.anonymousId"]);
    assert_eq!(field("properties.distinct_id").chosen, ["fallback: 2 of 3"]);
    assert_eq!(field("properties.distinct_id").functions, ["identifier"]);
    assert_eq!(inputs("properties.x"), ["$.b.x"]);
    assert_eq!(field("properties.x").functions, ["omit"]);
    assert_eq!(inputs("properties.c_k"), ["$.c"]);
    assert_eq!(inputs("properties.first"), ["$.list[0].v"]);
    assert_eq!(inputs("properties.items.0.v"), ["$.list[0].v"]);
    assert_eq!(inputs("properties.items.1.deep"), ["$.list[1].l[0].w"]);
    assert_eq!(inputs("properties.items.1.outer"), ["$.n"]);
    assert_eq!(field("properties.lower").functions, ["text", "lower"]);
    assert_eq!(inputs("properties.choice"), ["$.a"]);
    assert_eq!(field("properties.choice").tested, ["$.n"]);
    assert_eq!(field("properties.choice").chosen, ["choice: then"]);
    assert_eq!(inputs("properties.late.x"), ["$.n"]);
    assert_eq!(inputs("properties.late.y"), ["$.b.y"]);
    assert_eq!(inputs("properties.with.all.y"), ["$.b.y"]);
    assert_eq!(field("properties.time").engine, ["the event's own time"]);
    assert_eq!(field("properties.$insert_id").engine, ["the message id"]);
    let text = WIDE.lines().nth(field("properties.chain").line as usize - 1).expect("a line");
    assert!(text.trim().starts_with("chain: $.a ??"), "{text}");
    assert_eq!(field("properties.chain").source, "$.a ?? $.b ?| $.c ?? 1");
}
