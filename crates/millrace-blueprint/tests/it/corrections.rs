//! What Mixpanel would refuse, cut or lose: what is sent instead, and what is counted. One row of
//! the table for each rule of reference/mixpanel-api.md 2.3, 2.4, 3.2 and 5.1.

use std::collections::BTreeMap;

use millrace_blueprint::Blueprint;
use millrace_model::correction::Correction;
use millrace_model::row::Mapped;
use millrace_model::time::UnixMillis;
use serde_json::{Value, json};

use crate::{AT, Mapping};

/// Everything that a row of a blueprint can be made of, as it comes.
const PLAIN: &str = r#"
blueprint: plain
rules:
  - name: Groups
    when: type = "group"
    send:
      - group: { group_key: company, group_id: $.groupId, set: { "...": $.traits } }
  - name: Profiles
    when: type = "identify"
    send:
      - profile:
          distinct_id: $.userId
          set: { "...": $.traits }
          append: { "...": $.appended }
  - name: Links
    when: type = "alias"
    send:
      - link: { name: $.event, user_id: $.userId, device_id: $.previousId }
  - name: Events
    send:
      - event:
          name: $.event
          distinct_id: identifier($.userId) ?? identifier($.anonymousId)
          user_id: $.userId
          device_id: $.anonymousId
          time: time($.at)
          insert_id: $.id
          properties:
            "...": $.properties
            made: { x: $.made.a, y: [ $.made.b ] }
            upper: upper($.lower)
            text: '?"<$.text>"'
            $mine: $.mine
            bucket: $.explicit
"#;

/// What was counted, and the example of each kind.
fn counted(mapping: &Mapping) -> Value {
    let examples: BTreeMap<Correction, &String> =
        mapping.rows.examples.iter().map(|(what, field)| (*what, field)).collect();
    mapping
        .rows
        .corrections
        .iter()
        .map(|(what, count)| json!([what.as_str(), count, examples[&what]]))
        .collect()
}

fn plain() -> Mapping {
    Mapping::new(&Blueprint::parse("plain", PLAIN).expect("right"), &json!({}))
}

/// An event `E` of the user `u` with these properties.
fn track(properties: &str) -> String {
    format!(r#"{{"type":"track","event":"E","userId":"u","properties":{properties}}}"#)
}

fn items(count: usize) -> String {
    format!("[{}0]", "0,".repeat(count - 1))
}

fn members(count: usize) -> String {
    let members: Vec<String> = (0..count).map(|n| format!("\"m{n}\":1")).collect();
    format!("{{{}}}", members.join(","))
}

#[test]
fn properties_are_sent_as_mixpanel_takes_them() {
    let long = "x".repeat(256);
    let name = "ä".repeat(256);
    let short = format!("{}~", "ä".repeat(238));
    let texts: Vec<String> = vec![format!("\"{long}\""); 3];
    let wide = items(255);
    let large: Vec<String> = vec!["\"123456789\"".to_owned(); 254 * 4];
    let large: Vec<String> =
        large.chunks(127).map(|part| format!("[{}]", part.join(","))).collect();
    let large = format!("[{}]", large.join(","));
    for (properties, sent, wanted) in [
        // Shapes: three containers inside each other, fewer than 255 members.
        (r#"{"a":[[[1]]]}"#.to_owned(), json!({"a": [[[1]]]}), json!([])),
        (
            r#"{"a":[[[[1]]]]}"#.to_owned(),
            json!({"a": [[["[1]"]]]}),
            json!([["shape_as_text", 1, "a"]]),
        ),
        (
            format!(r#"{{"a":{wide},"b":{}}}"#, items(254)),
            json!({"a": wide, "b": vec![0; 254]}),
            json!([["shape_as_text", 1, "a"], ["long_text", 1, "a"]]),
        ),
        // Numbers and Unicode.
        (
            r#"{"a":1e400,"b":{"c":[-1e999]}}"#.to_owned(),
            json!({"a": "1e400", "b": {"c": ["-1e999"]}}),
            json!([["number_as_text", 2, "a"]]),
        ),
        (
            r#"{"a":"\ud800","b":{"\udc00":1},"\ud800":2}"#.to_owned(),
            json!({"a": "\u{fffd}", "b": {"\u{fffd}": 1}, "\u{fffd}": 2}),
            json!([["broken_unicode", 3, "\u{fffd}"]]),
        ),
        (r#"{"a":"\ud83d\ude00"}"#.to_owned(), json!({"a": "😀"}), json!([])),
        // Texts: 255 bytes, whatever their escapes.
        (format!(r#"{{"a":"{}"}}"#, "x".repeat(255)), json!({"a": "x".repeat(255)}), json!([])),
        (
            format!(r#"{{"b":1,"a":"{long}"}}"#),
            json!({"a": long, "b": 1}),
            json!([["long_text", 1, "a"]]),
        ),
        (
            format!(r#"{{"a":[{}]}}"#, texts.join(",")),
            json!({"a": [long, long, long]}),
            json!([["long_text", 3, "a"]]),
        ),
        (
            format!(r#"{{"a":"{}"}}"#, "\\u0041".repeat(255)),
            json!({"a": "A".repeat(255)}),
            json!([]),
        ),
        // Lists and objects above 8 KB.
        (
            format!(r#"{{"a":{large}}}"#),
            json!({"a": serde_json::from_str::<Value>(&large).expect("a list")}),
            json!([["large_value", 1, "a"]]),
        ),
        // Names: known, unknown, forbidden. Inside of values they mean nothing.
        (
            r#"{"$os":"x","$warehouse_a":1,"$oss":{"$b":1}}"#.to_owned(),
            json!({"$os": "x", "$warehouse_a": 1, "$oss": {"$b": 1}}),
            json!([["unknown_dollar_name", 1, "$oss"]]),
        ),
        (
            r#"{"bucket":1,"$bucket":{"bucket":3},"$\u0062ucket":2}"#.to_owned(),
            json!({"bucket_": 1, "_bucket": 2}),
            json!([["forbidden_name", 3, "bucket"]]),
        ),
        // With it Mixpanel would drop the event and say that it has taken it.
        (
            r#"{"$ignore":true,"a":{"$ignore":1}}"#.to_owned(),
            json!({"_ignore": true, "a": {"$ignore": 1}}),
            json!([["forbidden_name", 1, "$ignore"]]),
        ),
    ] {
        let mut mapping = plain();
        assert_eq!(mapping.map(&track(&properties)), Mapped::Send, "{properties}");
        let mut row = mapping.bodies()[0]["body"]["properties"].clone();
        let row = row.as_object_mut().expect("properties");
        for name in ["time", "distinct_id", "$insert_id", "$user_id"] {
            row.remove(name).expect("a name that is always there");
        }
        assert_eq!(Value::Object(row.clone()), sent, "{properties}");
        assert_eq!(counted(&mapping), wanted, "{properties}");
    }
    let mut mapping = plain();
    assert_eq!(
        mapping.map(&track(&format!(r#"{{"{name}":{{"{name}":1}},"{name}b":2}}"#))),
        Mapped::Send
    );
    let rows = mapping.bodies();
    let sent: Vec<&String> = rows[0]["body"]["properties"]
        .as_object()
        .expect("properties")
        .keys()
        .filter(|key| key.starts_with('ä'))
        .collect();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|key| key.starts_with(&short) && key.chars().count() == 255));
    assert_eq!(counted(&mapping)[0][1], 3, "{:?}", counted(&mapping));
}

#[test]
fn values_that_are_made_are_counted_too() {
    let long = "x".repeat(300);
    for (event, wanted) in [
        (r#"{"made":{"a":[[[1]]]}}"#.to_owned(), json!([["shape_as_text", 1, "made"]])),
        (format!(r#"{{"made":{{"a":"{long}","b":"{long}"}}}}"#), json!([["long_text", 2, "made"]])),
        (format!(r#"{{"lower":"{long}"}}"#), json!([["long_text", 1, "upper"]])),
        (r#"{"lower":"\ud800"}"#.to_owned(), json!([["broken_unicode", 1, "upper"]])),
        (r#"{"text":"\ud800"}"#.to_owned(), json!([["broken_unicode", 1, "text"]])),
        (r#"{"mine":1}"#.to_owned(), json!([["unknown_dollar_name", 1, "$mine"]])),
    ] {
        let mut mapping = plain();
        let event = event.replacen('{', r#"{"type":"track","event":"E","userId":"u","#, 1);
        assert_eq!(mapping.map(&event), Mapped::Send, "{event}");
        assert_eq!(counted(&mapping), wanted, "{event}");
    }
}

#[test]
fn ids_times_and_names_of_events() {
    let long = "x".repeat(256);
    let members_of = |count: usize| format!(r#"{{"userId":"u","properties":{}}}"#, members(count));
    let far = AT.0 + 3_600_001;
    // The members of an event; the members of the row; what is counted, or the code.
    for (event, sent, wanted) in [
        (
            r#"{"userId":"undefined","anonymousId":"d"}"#.to_owned(),
            json!({"distinct_id": "d", "$device_id": "d"}),
            json!([["unusable_id", 1, "distinct_id"]]),
        ),
        (
            r#"{"userId":"u","anonymousId":"[]"}"#.to_owned(),
            json!({"distinct_id": "u", "$user_id": "u"}),
            json!([["unusable_id", 1, "$device_id"]]),
        ),
        (
            format!(r#"{{"userId":"{long}","anonymousId":{{"a":1}},"properties":{{}}}}"#),
            json!("MR2002"),
            json!([]),
        ),
        // A blank id is none.
        (
            r#"{"userId":" ","anonymousId":"d"}"#.to_owned(),
            json!({"distinct_id": "d", "$device_id": "d"}),
            json!([]),
        ),
        (
            format!(r#"{{"userId":"u","at":{far}}}"#),
            json!({"time": AT.0}),
            json!([["time_ahead", 1, "time"]]),
        ),
        (
            r#"{"userId":"u","at":"1971-01-01T00:00:00Z"}"#.to_owned(),
            json!({"time": 31_536_000_000_i64}),
            json!([]),
        ),
        (r#"{"userId":"u","at":"1970-12-31T23:59:59Z"}"#.to_owned(), json!("MR2008"), json!([])),
        (r#"{"userId":"u","id":"A-1"}"#.to_owned(), json!({"$insert_id": "A-1"}), json!([])),
        (
            r#"{"userId":"u","id":"node-next-1763799335123-d19a4a76-2ec6-440c-b50e-b574d3763384"}"#
                .to_owned(),
            json!({"$insert_id": "d19a4a76-2ec6-440c-b50e-b574d3763384"}),
            json!([]),
        ),
        (
            r#"{"userId":"u","id":"a b"}"#.to_owned(),
            json!({"$insert_id": "99a1a522-4bea-5945-a6ae-05a28d746e34"}),
            json!([["derived_insert_id", 1, "$insert_id"]]),
        ),
        (
            r#"{"userId":"u","id":"undefined"}"#.to_owned(),
            json!({}),
            json!([["derived_insert_id", 1, "$insert_id"]]),
        ),
        (
            format!(r#"{{"userId":"u","event":"{long}"}}"#),
            json!({}),
            json!([["long_text", 1, "event"]]),
        ),
        (r#"{"userId":"u","event":" "}"#.to_owned(), json!("MR2006"), json!([])),
        (r#"{"userId":"u","event":"$merge"}"#.to_owned(), json!("MR2009"), json!([])),
        // Fewer than 255 properties, the engine's own included.
        (members_of(249), json!({"m0": 1}), json!([])),
        (members_of(250), json!("MR2004"), json!([])),
        (
            format!(r#"{{"userId":"u","properties":{{"a":"{}"}}}}"#, "x".repeat(1_000_000)),
            json!("MR2003"),
            json!([]),
        ),
    ] {
        let name = if event.contains("\"event\"") { "" } else { r#""event":"E","# };
        let event = event.replacen('{', &format!(r#"{{"type":"track",{name}"#), 1);
        let shown = event.get(..200).unwrap_or(&event);
        let mut mapping = plain();
        let outcome = mapping.outcome(&event);
        match sent.as_str() {
            Some(code) => assert_eq!(outcome, json!({"set_aside": code}), "{shown}"),
            None => {
                let found = &outcome[0]["body"]["properties"];
                for (key, wanted) in sent.as_object().expect("members") {
                    assert_eq!(&found[key], wanted, "{shown}");
                }
            }
        }
        assert_eq!(counted(&mapping), wanted, "{shown}");
    }
}

#[test]
fn the_time_and_the_id_of_admission_are_checked_too() {
    let mut mapping = plain();
    mapping.facts.time = UnixMillis(AT.0 + 3_600_001);
    mapping.facts.message_id = "not for Mixpanel".to_owned();
    assert_eq!(mapping.map(&track("{}")), Mapped::Send);
    let wanted = json!([["time_ahead", 1, "time"], ["derived_insert_id", 1, "$insert_id"]]);
    assert_eq!(counted(&mapping), wanted);
    let event = r#"{"type":"alias","event":"E","userId":"u","previousId":"d"}"#;
    assert_eq!(mapping.map(event), Mapped::Send);
    assert_eq!(counted(&mapping), wanted);
    assert_eq!(mapping.bodies()[0]["body"]["properties"]["time"], AT.0);
}

#[test]
fn profiles_and_groups() {
    let long = "x".repeat(256);
    let large: Vec<String> = vec![format!("\"{}\"", "y".repeat(250)); 100];
    let large = format!("[{}]", vec![format!("[{}]", large.join(",")); 11].join(","));
    let groups = |count: usize| {
        let ids: Vec<String> = (0..count).map(|n| format!("\"g{n}\"")).collect();
        ids.join(",")
    };
    // The call; the number of rows, or the code; what is counted.
    for (event, sent, wanted) in [
        (
            r#""type":"identify","traits":{"$email":"e","$emial":"e","bucket":1}"#.to_owned(),
            json!(1),
            json!([["unknown_dollar_name", 1, "$emial"]]),
        ),
        (
            format!(r#""type":"identify","appended":{{"a":"{long}","b":[[[[1]]]]}}"#),
            json!(1),
            json!([["shape_as_text", 1, "b"], ["long_text", 1, "a"]]),
        ),
        (
            format!(r#""type":"identify","traits":{{"a":{large}}}"#),
            json!(1),
            json!([["large_value", 1, "a"]]),
        ),
        (format!(r#""type":"identify","traits":{}"#, members(2000)), json!(1), json!([])),
        (format!(r#""type":"identify","traits":{}"#, members(2001)), json!("MR2004"), json!([])),
        (
            r#""type":"group","groupId":["a","null",7],"traits":{"$name":"N"}"#.to_owned(),
            json!(2),
            json!([["unusable_id", 1, "$group_id"]]),
        ),
        (
            format!(r#""type":"group","groupId":[{}],"traits":{{"a":1}}"#, groups(254)),
            json!(254),
            json!([]),
        ),
    ] {
        let mut mapping = plain();
        let event = format!(r#"{{"userId":"u",{event}}}"#);
        let shown = event.get(..200).unwrap_or(&event);
        let outcome = mapping.outcome(&event);
        let outcome = match outcome.as_array() {
            Some(rows) => json!(rows.len()),
            None => outcome["set_aside"].clone(),
        };
        assert_eq!(outcome, sent, "{shown}");
        assert_eq!(counted(&mapping), wanted, "{shown}");
    }
}

#[test]
fn a_name_that_a_blueprint_writes_is_moved_too() {
    let mut mapping = plain();
    let event =
        r#"{"type":"track","event":"E","userId":"u","explicit":2,"properties":{"bucket":1}}"#;
    let rows = mapping.outcome(event);
    assert_eq!(rows[0]["body"]["properties"]["bucket_"], 2);
    assert_eq!(rows[0]["body"]["properties"]["bucket"], Value::Null);
}
