//! The work of mapping grows with the event and no faster, whoever made the event.

use millrace_model::event::{EventKind, Facts, TimeSource};
use millrace_model::row::{Mapped, Rows};
use millrace_model::time::UnixMillis;

use super::each::READ_AGAIN_LIMIT;
use crate::json::effort;
use crate::{Blueprint, EventView, Mapper, Plan, SettingValues};

/// Every function and shape that goes through a value, one in a blueprint: some would do so once
/// for each item or level, if nothing kept them from it.
const VALUES: [&str; 24] = [
    "$.a",
    "omit($.a, x)",
    "rename($.a, email, \"$email\", name, \"$name\", x, y)",
    "prefixed($.a, \"p_\")",
    "flatten($.a, \".\")",
    "flatten($.a, \".\", keep_lists)",
    "without_nulls($.a)",
    "json($.a)",
    "from_json(json($.a))",
    "json(json(json($.a)))",
    "list($.a)",
    "count($.a)",
    "sum($.a)",
    "sum($.a, x)",
    "join($.a, \", \")",
    "replace($.text, \"a\", \"bcd\")",
    "replace($.text, \"A\", \"\", ignore_case)",
    "lower($.text)",
    "domain($.text)",
    "browser($.text)",
    "number($.text)",
    "time($.text)",
    "{ each: $.a, as: { x: .x, y: { each: .list, as: text(.) } } }",
    "{ with: 'flatten($.a, \"_\")', as: { all: \".\", one: .x } }",
];

/// Those that read the event again for each item.
const READING_AGAIN: [&str; 4] = [
    "{ each: $.a, as: { all: 'sum($.a, x)' } }",
    "{ each: $.a, as: { when: 'contains($.a, \"x\")', then: 1 } }",
    "{ each: $.a, as: { with: $.a, as: .none } }",
    "{ each: $.a, as: '\"$.text\"' }",
];

fn plan(value: &str) -> Plan {
    let text = format!(
        "blueprint: b\nrules:\n  - name: r\n    send:\n      - event:\n          name: E\n          \
         distinct_id: u\n          properties:\n            spread: 1\n            value: {}\n",
        if value.starts_with('{') { value.to_owned() } else { format!("'{value}'") }
    );
    let spread = format!("{text}            \"...\": $.a\n");
    let text = if value == "$.a" { spread } else { text };
    let blueprint = Blueprint::parse("b", &text).expect("right");
    Plan::compile(&blueprint, &SettingValues::default()).expect("no settings")
}

/// Events of about so many times a thousand bytes, each with another weak place.
fn events(size: usize) -> Vec<String> {
    let times = |count: usize, part: &dyn Fn(usize) -> String| {
        (0..size * 1000 / count).map(part).collect::<Vec<_>>().join(",")
    };
    let deep = |open: &str, close: &str| {
        let (depth, text) = (100, "x".repeat(size * 1000));
        format!("{}\"{text}\"{}", open.repeat(depth), close.repeat(depth))
    };
    let a = vec![
        format!("[{}]", times(2, &|_| "1".to_owned())),
        format!("[{}]", times(5, &|_| "\"x\"".to_owned())),
        format!("[{}]", times(30, &|n| format!(r#"{{"x":{n},"list":[1,2,"a"]}}"#))),
        format!("[{}]", times(25, &|_| r#"{"list":[{"list":[]}]}"#.to_owned())),
        // Few enough members to be built, and far too many.
        format!("{{{}}}", times(size.max(1) * 10, &|n| format!("\"m{n}\":{n}"))),
        format!("{{{}}}", times(15, &|n| format!("\"m{n}\":{n}"))),
        format!("{{{}}}", times(15, &|_| "\"email\":1".to_owned())),
        format!("{{{}}}", times(15, &|n| format!("\"\\u0061{}\":null", n % 7))),
        deep("[", "]"),
        deep("{\"x\":", "}"),
        deep("{\"y\":1,\"y\":2,\"x\":", "}"),
        format!("\"{}\"", "\\ud800".repeat(size * 160)),
        format!("{{\"{}\":1}}", "n".repeat(size * 1000)),
        "9".repeat(size * 1000),
    ];
    let text = ["aA".repeat(size * 500), "https://".repeat(size * 125), "1".repeat(size * 1000)];
    a.iter()
        .zip(text.iter().cycle())
        .map(|(a, text)| format!(r#"{{"text":"{text}","a":{a}}}"#))
        .collect()
}

/// The work that mapping an event is.
fn work(plan: &Plan, event: &str) -> u64 {
    let facts = Facts {
        message_id: "m-1".to_owned(),
        time: UnixMillis(1_763_633_472_345),
        time_source: TimeSource::Client,
        client_ip: None,
    };
    let event = EventView {
        kind: EventKind::Track,
        facts: &facts,
        received_at: facts.time,
        body: event.as_bytes(),
    };
    let (mut mapper, mut rows) = (Mapper::new(), Rows::default());
    effort::take();
    let mapped = mapper.map(plan, &event, &mut rows);
    assert!(!matches!(mapped, Mapped::Filtered { .. }));
    effort::take() + u64::try_from(mapper.scratch.arena.len() + rows.bytes.len()).expect("small")
}

#[test]
fn work_grows_with_the_event_and_no_faster() {
    let (small, middle, large) = (events(10), events(20), events(40));
    for value in VALUES {
        let plan = plan(value);
        for ((small, middle), large) in small.iter().zip(&middle).zip(&large) {
            let works = [small, middle, large].map(|event| work(&plan, event));
            let shown = small.get(small.len() - 60..).expect("the end of an event");
            let [one, two, four] = works;
            assert!(two <= one * 5 / 2 && four <= one * 5, "{value}: {works:?} for ..{shown}");
            let most = u64::try_from(large.len() * 40).expect("small");
            assert!(four <= most, "{value}: {four} for {} bytes, ..{shown}", large.len());
        }
    }
}

#[test]
fn the_event_is_read_again_for_items_up_to_a_bound() {
    let most = u64::try_from(READ_AGAIN_LIMIT).expect("small") * 3;
    let event = format!(r#"{{"text":"{}","a":[{}1]}}"#, "x".repeat(9000), "2,".repeat(20_000));
    for value in READING_AGAIN {
        let work = work(&plan(value), &event);
        assert!(work <= most, "{value}: {work}");
    }
}
