//! Rows keep to Mixpanel's limits and nothing panics: the bench events, the inputs of the
//! conformance cases, and events that are broken or bent on purpose, through every built-in
//! blueprint and every setting of it.

use std::path::PathBuf;
use std::sync::LazyLock;

use millrace_blueprint::{Blueprint, EventView, Mapper, Plan, SettingKind, SettingValues};
use millrace_model::event::{EventKind, Facts, TimeSource};
use millrace_model::row::{Mapped, Rows};
use millrace_model::time::UnixMillis;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::AT;
use crate::limits::{Lets, refused};

/// A compiled built-in.
struct Built {
    /// The blueprint, and the setting that differs from its default.
    name: String,
    plan: Plan,
    lets: Lets,
}

/// Each built-in with its defaults, then with each other value of each setting.
static BUILT: LazyLock<Vec<Built>> = LazyLock::new(|| {
    let mut built = Vec::new();
    for name in Blueprint::built_in_names() {
        let blueprint = Blueprint::built_in(name).expect("there").expect("right");
        // What the systems did that they replace, they do as well.
        let classic = name.ends_with("-classic");
        // Mixpanel's own calls may be nobody's, and their groups may have numbers.
        let proxied = *name == "passthrough";
        let lets = Lets {
            any_time: classic,
            nobody: classic || proxied,
            idle: classic,
            any_shape: classic,
            group_numbers: classic || proxied,
        };
        let mut add = |settings: &Value| {
            let plan = Plan::compile(&blueprint, &SettingValues::from_json(settings))
                .unwrap_or_else(|mistakes| panic!("{name} with {settings}: {mistakes:?}"));
            built.push(Built { name: format!("{name} {settings}"), plan, lets });
        };
        add(&json!({}));
        for setting in blueprint.settings() {
            for value in others(&setting.kind, &setting.default) {
                add(&json!({ setting.name.clone(): value }));
            }
        }
    }
    built
});

fn others(kind: &SettingKind, default: &Value) -> Vec<Value> {
    let values = match kind {
        SettingKind::Text => vec![json!(""), json!("a {{ name }} of {{ category }}")],
        SettingKind::Number => vec![json!(0), json!(7)],
        SettingKind::Switch => vec![json!(true), json!(false)],
        SettingKind::Choice(of) => of.iter().map(|one| json!(one)).collect(),
        SettingKind::List => vec![
            json!([]),
            json!([{"property": "company"}, "groupId", "email", "quantity", "a", "address.city"]),
        ],
        SettingKind::Ignored => Vec::new(),
    };
    values.into_iter().filter(|value| value != default).collect()
}

/// Maps an event and checks what comes of it.
fn check(built: &Built, mapper: &mut Mapper, rows: &mut Rows, event: &EventView<'_>) {
    let mapped = mapper.map(&built.plan, event, rows);
    let problems = refused(rows, event.received_at.0, built.lets);
    let shown = String::from_utf8_lossy(event.body);
    let shown: String = shown.chars().take(600).collect();
    assert!(problems.is_empty(), "{}: {problems:?}\n{shown}", built.name);
    assert_eq!(mapped == Mapped::Send, !rows.rows.is_empty(), "{}\n{shown}", built.name);
    let examples: Vec<_> = rows.examples.iter().map(|(what, _)| *what).collect();
    let counted: Vec<_> = rows.corrections.iter().map(|(what, _)| what).collect();
    assert!(counted.iter().all(|what| examples.contains(what)), "{counted:?} {examples:?}");
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

fn facts(event: &Value, kind: EventKind) -> (EventKind, Facts) {
    let text = |name: &str| event[name].as_str();
    let facts = Facts {
        message_id: text("messageId").unwrap_or("m-1").to_owned(),
        time: text("timestamp").and_then(UnixMillis::parse).unwrap_or(AT),
        time_source: TimeSource::Client,
        client_ip: None,
    };
    (kind, facts)
}

fn kind_of(event: &Value) -> Option<EventKind> {
    event.get("type")?.as_str().and_then(EventKind::parse)
}

#[test]
fn the_rows_of_the_bench_events_keep_to_the_limits() {
    let Some(path) = shared("bench/events-10k.jsonl") else { return };
    let text = std::fs::read_to_string(path).expect("the bench events");
    // All events through all blueprints where there is time for it, else a part of them.
    let (part, part_of_others) = if std::env::var("CI").is_ok() { (1, 97) } else { (11, 997) };
    let (mut mapper, mut rows) = (Mapper::new(), Rows::default());
    for (place, line) in text.lines().enumerate() {
        let event: Value = serde_json::from_str(line).expect("an event");
        let (kind, facts) = facts(&event, kind_of(&event).expect("a type"));
        let view =
            EventView { kind, facts: &facts, received_at: facts.time, body: line.as_bytes() };
        for (number, built) in BUILT.iter().enumerate() {
            let part = if built.name.ends_with("{}") { part } else { part_of_others };
            if (place + number).is_multiple_of(part) {
                check(built, &mut mapper, &mut rows, &view);
            }
        }
    }
}

#[test]
fn the_rows_of_the_conformance_inputs_keep_to_the_limits() {
    let Some(folder) = shared("conformance") else { return };
    let mut events = Vec::new();
    for folder in std::fs::read_dir(folder).expect("the folder").flatten() {
        for file in std::fs::read_dir(folder.path()).expect("a folder").flatten() {
            if file.path().extension().is_some_and(|extension| extension == "json") {
                let text = std::fs::read_to_string(file.path()).expect("a file");
                collect(&serde_json::from_str(&text).expect("JSON"), &mut events);
            }
        }
    }
    assert!(events.len() > 100, "{} events", events.len());
    let (mut mapper, mut rows) = (Mapper::new(), Rows::default());
    for (place, (kind, event)) in events.iter().enumerate() {
        let (kind, facts) = facts(event, *kind);
        let body = event.to_string();
        // Times of the cases lie in any year; what counts is that they were received then.
        let view =
            EventView { kind, facts: &facts, received_at: facts.time, body: body.as_bytes() };
        for (number, built) in BUILT.iter().enumerate() {
            if built.name.ends_with("{}") || (place + number).is_multiple_of(7) {
                check(built, &mut mapper, &mut rows, &view);
            }
        }
    }
}

/// Every object in a file that has the type of an event.
fn collect(value: &Value, events: &mut Vec<(EventKind, Value)>) {
    match value {
        Value::Object(members) => {
            if let Some(kind) = kind_of(value) {
                events.push((kind, value.clone()));
            }
            members.values().for_each(|inner| collect(inner, events));
        }
        Value::Array(items) => items.iter().for_each(|inner| collect(inner, events)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A value that something could stumble over, as JSON text.
fn hostile_value() -> impl Strategy<Value = String> {
    let huge = |unit: &'static str, range: std::ops::Range<usize>| {
        range.prop_map(move |count| format!("\"{}\"", unit.repeat(count)))
    };
    prop_oneof![
        6 => prop::sample::select(vec![
            "null", "true", "0", "-1", "1e400", "-1E999", "1e-999", "12345678901234567890", "0.1e5",
            "\"\"", "\" \"", "\"undefined\"", "\"$device:\"", "\"$device:0\"", "\"a b\"", "\"<nil>\"",
            "\"\\ud800\"", "\"\\udc00\\ud800\"", "\"\\ud83d\\ude00\"", "\"\\u0000\"",
            "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"", "\"1e400\"", "\"2150-01-01T00:00:00Z\"",
            "\"1969-12-31T23:59:59Z\"", "[]", "{}", "[[]]", "{\"a\":{}}", "[null]", "\"$merge\"",
            "{\"a\":1,\"a\":2,\"\\u0061\":3}", "{\"\\ud800\":1,\"\\udfff\":2}", "{\"\":1}",
            "{\"bucket\":1,\"$bucket\":2,\"$ignore\":true,\"token\":\"x\",\"time\":\"x\"}",
            "253402300800000", "-62135596800000", "9007199254740993", "1763633472",
        ]).prop_map(str::to_owned),
        2 => (1..126_usize, prop::bool::ANY).prop_map(|(depth, object)| {
            let (open, close) = if object { ("{\"a\":", "}") } else { ("[", "]") };
            format!("{}1{}", open.repeat(depth), close.repeat(depth))
        }),
        2 => huge("x", 250..260),
        1 => huge("ä", 120..300),
        1 => huge("\\u0041", 250..260),
        1 => huge("\\ud83d", 1..90),
        1 => (250..260_usize).prop_map(|count| format!("[{}0]", "0,".repeat(count - 1))),
        1 => (240..260_usize, prop::bool::ANY).prop_map(|(count, same)| {
            let members: Vec<String> =
                (0..count).map(|n| format!("\"p{}\":1", if same { 0 } else { n })).collect();
            format!("{{{}}}", members.join(","))
        }),
        1 => (200..300_usize).prop_map(|length| {
            format!("{{\"{0}\":1,\"{0}b\":{{\"{0}\":2}},\"$x\":3}}", "n".repeat(length))
        }),
        1 => (1..4_usize).prop_map(|count| {
            let product = r#"{"product_id":"p","price":"9.5","quantity":2,"$x":1}"#;
            format!(r#"{{"products":[{}],"revenue":"1"}}"#, vec![product; count].join(","))
        }),
    ]
}

/// An event whose members may be of any kind.
fn hostile_event() -> impl Strategy<Value = String> {
    let ordinary = |name: &'static str, value: &'static str| {
        prop_oneof![
            3 => Just(format!("\"{name}\":{value}")),
            2 => hostile_value().prop_map(move |value| format!("\"{name}\":{value}")),
            1 => Just(String::new()),
        ]
    };
    let inner = |names: &'static [&'static str]| {
        prop::collection::vec((prop::sample::select(names), hostile_value()), 0..6).prop_map(
            |members| {
                let members: Vec<String> =
                    members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            },
        )
    };
    let properties = inner(&[
        "revenue",
        "products",
        "category",
        "$os",
        "email",
        "groupId",
        "company",
        "quantity",
        "a",
        "$oops",
        "ip",
        "distinct_id",
        "order_id",
        "currency",
    ]);
    let traits =
        inner(&["email", "name", "firstName", "company", "address", "createdAt", "avatar", "$y"]);
    let context = inner(&[
        "ip",
        "os",
        "device",
        "app",
        "page",
        "campaign",
        "userAgent",
        "traits",
        "locale",
        "screen",
        "library",
        "network",
        "groupId",
        "sessionId",
        "location",
        "active",
        "userAgentData",
    ]);
    let members = (
        ordinary("userId", "\"u\""),
        ordinary("anonymousId", "\"d\""),
        ordinary("event", "\"Order Completed\""),
        ordinary("name", "\"n\""),
        ordinary("groupId", "\"g\""),
        ordinary("previousId", "\"p\""),
        ordinary("timestamp", "\"2025-11-20T10:11:12Z\""),
        prop_oneof![4 => properties, 1 => hostile_value()],
        prop_oneof![4 => traits, 1 => hostile_value()],
        prop_oneof![4 => context, 1 => hostile_value()],
    );
    members.prop_map(|(a, b, c, d, e, f, g, properties, traits, context)| {
        let mut parts: Vec<String> =
            [a, b, c, d, e, f, g].into_iter().filter(|part| !part.is_empty()).collect();
        parts.push(format!("\"properties\" : {properties}"));
        parts.push(format!("\"traits\":{traits}"));
        parts.push(format!("\"context\":{context}"));
        format!("{{{}}}", parts.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn rows_keep_to_the_limits_whatever_the_event_is(
        event in hostile_event(),
        kind in prop::sample::select(EventKind::ALL.to_vec()),
        message_id in prop_oneof![Just("m-1".to_owned()), ".{0,80}"],
        ahead in prop::sample::select(vec![0, 3_600_000, 3_600_001, i64::MAX / 4, -AT.0, -AT.0 + 31_536_000_000]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let facts = Facts {
            message_id,
            time: UnixMillis(AT.0.saturating_add(ahead)),
            time_source: TimeSource::Client,
            client_ip: Some("192.0.2.7".to_owned()),
        };
        let mut changed = event.clone().into_bytes();
        for (place, byte) in changes {
            let place = place.index(changed.len());
            changed[place] = byte;
        }
        if let Some(cut) = cut {
            changed.truncate(cut.index(changed.len()));
        }
        let (mut mapper, mut rows) = (Mapper::new(), Rows::default());
        for body in [event.as_bytes(), &changed] {
            let view = EventView { kind, facts: &facts, received_at: AT, body };
            // All with the defaults, and each time some with another setting.
            for (number, built) in BUILT.iter().enumerate() {
                if built.name.ends_with("{}") || (number + event.len()).is_multiple_of(31) {
                    check(built, &mut mapper, &mut rows, &view);
                }
            }
        }
    }
}
