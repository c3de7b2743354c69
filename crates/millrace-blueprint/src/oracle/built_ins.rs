//! The plan equals the oracle for every built-in blueprint and variant: on the bench events, on what
//! the conformance cases send, and on random events.

use std::path::PathBuf;
use std::sync::LazyLock;

use millrace_model::event::{EventKind, Facts};
use millrace_model::time::UnixMillis;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::Outcomes;
use super::laws::{Compared, datafly, event, facts, kind, rudderstack};
use crate::{Blueprint, EventView, Mapper, SettingKind, SettingValues};

/// Every built-in with its defaults.
static USUAL: LazyLock<Vec<Compared>> = LazyLock::new(|| {
    let all = Blueprint::built_in_names().iter();
    all.map(|name| Compared::new(&built_in(name), &SettingValues::default())).collect()
});

/// Every built-in once for each value of each choice and switch, and with lists.
static OTHERS: LazyLock<Vec<Compared>> = LazyLock::new(|| {
    let mut others = Vec::new();
    for name in Blueprint::built_in_names() {
        let blueprint = built_in(name);
        for setting in blueprint.settings() {
            let values = match &setting.kind {
                SettingKind::Choice(of) => of.iter().map(|one| json!(one)).collect(),
                SettingKind::Switch => vec![json!(true), json!(false)],
                _ => Vec::new(),
            };
            for value in values.into_iter().filter(|value| *value != setting.default) {
                let chosen = SettingValues::from_json(&json!({ setting.name.clone(): value }));
                others.push(Compared::new(&blueprint, &chosen));
            }
        }
    }
    others.extend((0..6).map(|place| Compared::new(&built_in("rudderstack"), &rudderstack(place))));
    others.extend([true, false].map(|on| {
        let chosen = SettingValues::from_json(&datafly("original", on));
        Compared::new(&built_in("datafly"), &chosen)
    }));
    others
});

fn built_in(name: &str) -> Blueprint {
    Blueprint::built_in(name).expect("there").expect("right")
}

/// A file or folder of the shared data; none, and a note, where it is not there.
fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("MILLRACE_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", found.display());
    println!("skipped: there is no {}", found.display());
    None
}

/// Compares plan and oracle on an event; what differs as one text.
fn compare(compared: &Compared, mapper: &mut Mapper, body: &str, value: &Value) {
    let text = |name: &str| value[name].as_str();
    let Some(kind) = text("type").and_then(EventKind::parse) else { return };
    let usual = facts(text("messageId").unwrap_or("m-1"));
    let time = text("timestamp").and_then(UnixMillis::parse).unwrap_or(usual.time);
    let facts = Facts { time, ..usual };
    let event = EventView { kind, facts: &facts, received_at: time, body: body.as_bytes() };
    let (ours, theirs) = compared.both(mapper, event);
    // The sizes of rows and the shapes of values that Mixpanel refuses are not the oracle's.
    if let Outcomes::Other(millrace_model::row::Mapped::SetAside { code, .. }) = &ours
        && ["MR2003", "MR2004"].contains(&code.as_str())
    {
        return;
    }
    assert_eq!(ours, theirs, "{}: {body}", compared.name);
}

#[test]
fn plan_and_oracle_agree_on_the_bench_events() {
    let Some(path) = shared("bench/events-10k.jsonl") else { return };
    let text = std::fs::read_to_string(path).expect("the bench events");
    let events: Vec<(&str, Value)> =
        text.lines().map(|line| (line, serde_json::from_str(line).expect("an event"))).collect();
    let run = |all: &[Compared], part: usize| {
        let mut mapper = Mapper::new();
        for (number, compared) in all.iter().enumerate() {
            for (line, value) in events.iter().skip(number % part).step_by(part) {
                compare(compared, &mut mapper, line, value);
            }
        }
    };
    // All events through all blueprints where there is time for it, else a part of them.
    let (part, part_of_others) = if std::env::var("CI").is_ok() { (1, 101) } else { (7, 997) };
    std::thread::scope(|scope| {
        let (first, second) = USUAL.split_at(USUAL.len() / 2);
        scope.spawn(|| run(first, part));
        run(second, part);
    });
    run(&OTHERS, part_of_others);
}

#[test]
fn plan_and_oracle_agree_on_what_the_conformance_cases_send() {
    let Some(folder) = shared("conformance") else { return };
    let mut events = Vec::new();
    for folder in std::fs::read_dir(folder).expect("the folder").flatten() {
        for file in std::fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            if file.path().extension().is_some_and(|extension| extension == "json") {
                let text = std::fs::read_to_string(file.path()).expect("a file");
                collect(&serde_json::from_str(&text).expect("JSON"), &mut events);
            }
        }
    }
    assert!(events.len() > 500, "{} events", events.len());
    let mut mapper = Mapper::new();
    // What Mixpanel refuses for its shape becomes text, of which the oracle knows nothing.
    let all = events.len();
    events.retain(|event| !refused(event, 0));
    assert!(events.len() * 50 > all * 49, "{} of {all} events", events.len());
    for compared in USUAL.iter() {
        for event in &events {
            compare(compared, &mut mapper, &event.to_string(), event);
        }
    }
}

/// True for values that are wider or deeper than Mixpanel takes.
fn refused(value: &Value, level: u8) -> bool {
    match value {
        Value::Object(members) => {
            let inner = |value| refused(value, level + 1);
            level > 4 || members.len() >= 255 || members.values().any(inner)
        }
        Value::Array(items) => {
            level > 4 || items.len() >= 255 || items.iter().any(|item| refused(item, level + 1))
        }
        _ => false,
    }
}

/// Every object in a value that is an event.
fn collect(value: &Value, events: &mut Vec<Value>) {
    match value {
        Value::Object(members) => {
            let kind = members.get("type").and_then(Value::as_str).and_then(EventKind::parse);
            if kind.is_some() && members.len() > 1 {
                events.push(value.clone());
            }
            members.values().for_each(|inner| collect(inner, events));
        }
        Value::Array(items) => items.iter().for_each(|inner| collect(inner, events)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases.max(300),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn plan_and_oracle_agree_on_any_event_for_any_built_in(
        body in event(), kind in kind(), other in any::<prop::sample::Index>(),
    ) {
        let facts = facts("m-1");
        let view =
            EventView { kind, facts: &facts, received_at: facts.time, body: body.as_bytes() };
        let mut mapper = Mapper::new();
        let one_more = other.get(OTHERS.as_slice());
        for compared in USUAL.iter().chain([one_more]) {
            let (ours, theirs) = compared.both(&mut mapper, view);
            prop_assert_eq!(ours, theirs, "{}, {}", compared.name, body);
        }
    }
}
