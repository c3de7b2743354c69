//! What the engine itself does with events that Mixpanel would refuse or misread.

use millrace_blueprint::{Blueprint, EventView, Mapper, Plan, SettingValues};
use millrace_model::event::EventKind;
use millrace_model::row::Mapped;
use millrace_model::time::UnixMillis;
use serde_json::{Value, json};

use crate::{AT, Mapping};

fn track(properties: &str) -> String {
    format!(r#"{{"type":"track","event":"E","userId":"u","properties":{properties}}}"#)
}

fn property(properties: &str, name: &str) -> Value {
    Mapping::default(&json!({})).outcome(&track(properties))[0]["body"]["properties"][name].clone()
}

#[test]
fn numbers_keep_their_digits() {
    let mut mapping = Mapping::default(&json!({}));
    let event = track(r#"{"a":12345678901234567890123,"b":1.10,"c":-0,"d":1E3}"#);
    assert_eq!(mapping.map(&event), Mapped::Send);
    let text = String::from_utf8_lossy(&mapping.rows.bytes).into_owned();
    for wanted in [r#""a":12345678901234567890123"#, r#""b":1.10"#, r#""c":-0"#, r#""d":1E3"#] {
        assert!(text.contains(wanted), "{text}");
    }
}

#[test]
fn one_odd_property_does_not_cost_the_event() {
    assert_eq!(property(r#"{"a":1e400}"#, "a"), json!("1e400"));
    assert_eq!(property(r#"{"a":"x\ud800"}"#, "a"), json!("x\u{fffd}"));
    assert_eq!(property(r#"{"\ud800":1}"#, "\u{fffd}"), json!(1));
    assert_eq!(property(r#"{"a":[{"b":{"c":{"d":1}}}]}"#, "a"), json!([{"b": {"c": "{\"d\":1}"}}]));
    let wide = format!("[{}1]", "1,".repeat(254));
    assert_eq!(property(&format!(r#"{{"a":{wide}}}"#), "a"), json!(wide));
    assert_eq!(property(r#"{"revenue":1e400}"#, "revenue"), json!("1e400"));
}

#[test]
fn the_last_of_two_equal_keys_wins() {
    let mut mapping = Mapping::default(&json!({}));
    let event = r#"{"type":"track","userId":"a","event":"E","properties":{"x":1,"y":1,"\u0078":2},
        "userId":"b","context":{"os":{"name":"old"}},"context":{"locale":"en"}}"#;
    assert_eq!(mapping.map(event), Mapped::Send);
    let text = String::from_utf8_lossy(&mapping.rows.bytes).into_owned();
    assert_eq!(text.matches("\"x\":").count(), 1, "{text}");
    let properties = &mapping.bodies()[0]["body"]["properties"];
    assert_eq!(properties["x"], 2);
    assert_eq!(properties["distinct_id"], "b");
    assert_eq!(properties["$os"], Value::Null);
}

#[test]
fn rows_that_mixpanel_would_refuse_are_set_aside() {
    let members = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!("\"p{n}\":1")).collect();
        format!("{{{}}}", members.join(","))
    };
    let mut mapping = Mapping::default(&json!({}));
    // With time, distinct_id, $insert_id, $user_id and ip there are 254.
    assert_eq!(mapping.map(&track(&members(249))), Mapped::Send);
    assert_eq!(mapping.outcome(&track(&members(250))), json!({"set_aside": "MR2004"}));
    assert_eq!(mapping.outcome(&track(&members(9000))), json!({"set_aside": "MR2004"}));
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(1_000_000));
    assert_eq!(mapping.outcome(&track(&long)), json!({"set_aside": "MR2003"}));
    let nameless = r#"{"type":"track","event":"","userId":"u"}"#;
    assert_eq!(mapping.outcome(nameless), json!({"set_aside": "MR2006"}));
    for broken in ["", "[]", "{", "{\"a\":tru}", "{} {}", "\u{1}"] {
        assert_eq!(mapping.outcome(broken), json!({"set_aside": "MR2007"}), "{broken}");
    }
    assert!(mapping.rows.rows.is_empty() && mapping.rows.bytes.is_empty());
}

#[test]
fn what_is_made_to_be_spread_has_the_limits_of_where_it_is_spread() {
    let text = "blueprint: b\nrules:\n  - name: r\n    send:\n      - event:\n          name: n\n          \
        distinct_id: $.userId\n          properties:\n            \"...\": omit($.none, a) ?? omit($.properties, a)\n";
    let mut mapping = Mapping::new(&Blueprint::parse("b", text).expect("right"), &json!({}));
    let rows = mapping.outcome(&track(r#"{"a":1,"d":{"e":{"f":{"g":1}}},"h":{"i":{"j":1}}}"#));
    let found = &rows[0]["body"]["properties"];
    assert_eq!(found["a"], Value::Null);
    assert_eq!(found["d"], json!({"e": {"f": {"g": 1}}}));
    let members: Vec<String> = (0..300).map(|n| format!("\"p{n}\":1")).collect();
    let event = track(&format!("{{{}}}", members.join(",")));
    assert_eq!(mapping.outcome(&event), json!({"set_aside": "MR2004"}));
}

#[test]
fn times_outside_of_what_mixpanel_takes() {
    let mut mapping = Mapping::default(&json!({}));
    let mut time = |at: i64| {
        mapping.facts.time = UnixMillis(at);
        let outcome = mapping.outcome(&track("{}"));
        match outcome.get(0) {
            Some(row) => row["body"]["properties"]["time"].clone(),
            None => outcome,
        }
    };
    assert_eq!(time(AT.0 + 3_600_000), json!(AT.0 + 3_600_000));
    assert_eq!(time(AT.0 + 3_600_001), json!(AT.0));
    assert_eq!(time(31_536_000_000), json!(31_536_000_000_i64));
    assert_eq!(time(31_535_999_999), json!({"set_aside": "MR2008"}));
}

#[test]
fn facts_stand_over_the_bytes() {
    let text = "blueprint: b\nrules:\n  - name: r\n    send:\n      - event:\n          name: $.type\n          \
        distinct_id: $.messageId\n          properties: { t: $.timestamp, ms: time($.timestamp), \
        r: $.receivedAt, ip: $.context.ip }\n";
    let text = text.replace("ip: $.context.ip", "from: $.context.ip");
    let blueprint = Blueprint::parse("b", &text).expect("right");
    let mut mapping = Mapping::new(&blueprint, &json!({}));
    mapping.facts.client_ip = Some("192.0.2.1".to_owned());
    mapping.received_at = UnixMillis(AT.0 + 1000);
    let event = r#"{"type":"track","messageId":"other","timestamp":"x","receivedAt":"y",
        "context":{"ip":""}}"#;
    let rows = mapping.outcome(event);
    assert_eq!(rows[0]["body"]["event"], "track");
    let found = &rows[0]["body"]["properties"];
    assert_eq!(found["distinct_id"], "m-1");
    assert_eq!(found["t"], "2025-11-20T10:11:12.345Z");
    assert_eq!(found["ms"], AT.0);
    assert_eq!(found["r"], "2025-11-20T10:11:13.345Z");
    assert_eq!(found["from"], "192.0.2.1");
    let rows = mapping.outcome(r#"{"context":{"ip":"198.51.100.9"}}"#);
    assert_eq!(rows[0]["body"]["properties"]["from"], "198.51.100.9");
}

#[test]
fn wrong_settings_are_told_all_at_once() {
    let blueprint = Blueprint::built_in("default").expect("there").expect("right");
    let settings = json!({"identty": "original", "identity": "modern", "transactions": 1});
    let mistakes = Plan::compile(&blueprint, &SettingValues::from_json(&settings))
        .expect_err("three mistakes");
    let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "built-in:default: MR5004 the setting `identity` takes one of simplified, original, \
             legacy",
            "built-in:default: MR5104 the blueprint `default` has no setting `identty` \
             (did you mean `identity`?)",
            "built-in:default: MR5004 the setting `transactions` takes true or false",
        ]
    );
}

#[test]
fn explain_tells_rules_and_the_lines_of_fields() {
    let mut mapping = Mapping::default(&json!({}));
    mapping.facts.client_ip = None;
    let body = r#"{"type":"group","userId":"u","groupId":"g","traits":{"name":"N"}}"#;
    let event = EventView {
        kind: EventKind::Group,
        facts: &mapping.facts,
        received_at: AT,
        body: body.as_bytes(),
    };
    let told = Mapper::new().explain(&mapping.plan, &event).to_json();
    let names: Vec<(&str, bool)> = told["rules"]
        .as_array()
        .expect("rules")
        .iter()
        .map(|rule| (rule["name"].as_str().expect("a name"), rule["matched"] == true))
        .collect();
    let passed =
        ["Consent", "XDM", "Events", "Identify", "Group without an id"].map(|name| (name, false));
    assert_eq!(names.split_last(), Some((&("Group", true), passed.as_slice())));
    let fields = told["rows"][0]["fields"].as_array().expect("fields");
    let field = fields.iter().find(|field| field["field"] == "$set.$name").expect("the name");
    assert_eq!(field["inputs"], json!(["$.traits.name"]));
    assert_eq!(field["from"], "$.traits.name");
    let text = include_str!("../../blueprints/default.yaml");
    let line = text.lines().position(|line| line.trim() == "$name: $.traits.name").map(|n| n + 1);
    assert_eq!(field["line"].as_u64().and_then(|n| usize::try_from(n).ok()), line);
    assert_eq!(told["outcome"]["state"], "send");
    assert_eq!(told["rows"].as_array().map(Vec::len), Some(2));
}

#[test]
fn no_event_can_act_as_an_identity_verb() {
    for verb in ["$identify", "$create_alias", "$merge", "\\u0024merge", " $merge "] {
        for mode in ["simplified", "original"] {
            let mut mapping = Mapping::default(&json!({"identity": mode}));
            let event = format!(
                r#"{{"type":"track","event":"{verb}","userId":"u","properties":{{
                    "$distinct_ids":["u","victim"],"alias":"victim"}}}}"#
            );
            assert_eq!(mapping.outcome(&event), json!({"set_aside": "MR2009"}), "{verb} {mode}");
        }
    }
    let mut mapping = Mapping::default(&json!({"link_event": "$identify"}));
    let event = r#"{"type":"identify","userId":"u","anonymousId":"d"}"#;
    assert_eq!(mapping.outcome(event), json!({"set_aside": "MR2009"}));
    let event = track(r#"{"alias":"x"}"#).replace("\"E\"", "\"$identify me\"");
    assert_eq!(mapping.map(&event), Mapped::Send);
}

#[test]
fn an_id_that_mixpanel_would_cut_stands_for_nobody() {
    let event = |length: usize| {
        format!(r#"{{"type":"track","event":"E","userId":"{}"}}"#, "x".repeat(length))
    };
    let mut mapping = Mapping::default(&json!({}));
    assert_eq!(mapping.map(&event(255)), Mapped::Send);
    assert_eq!(mapping.outcome(&event(256)), json!({"set_aside": "MR2002"}));
}

#[test]
fn the_last_of_equal_keys_wins_among_many_as_well() {
    for count in [10, 63, 64, 65, 66, 130, 1000] {
        let once: Vec<String> = (0..count).map(|n| format!(r#""p{n}":{n}"#)).collect();
        // Every third name comes again, in other letters.
        let again: Vec<String> =
            (0..count).step_by(3).map(|n| format!(r#""\u0070{n}":"again""#)).collect();
        let event = format!(
            r#"{{"type":"identify","userId":"u","traits":{{{},"p0":"first",{}}}}}"#,
            once.join(","),
            again.join(",")
        );
        let mut mapping = Mapping::default(&json!({}));
        assert_eq!(mapping.map(&event), Mapped::Send, "{count}");
        let text = String::from_utf8_lossy(&mapping.rows.bytes).into_owned();
        for n in 0..count {
            assert_eq!(text.matches(&format!(r#""p{n}":"#)).count(), 1, "{count} {n}");
            let wanted = if n % 3 == 0 { json!("again") } else { json!(n) };
            assert_eq!(mapping.bodies()[0]["body"]["$set"][format!("p{n}")], wanted);
        }
    }
}

#[test]
fn checks_can_be_done_otherwise() {
    let text = "blueprint: b\nchecks: { time_ahead: keep, wide_values: set_aside }\nrules:\n  - name: r\n    send:\n      \
        - event: { name: $.event, distinct_id: $.userId, properties: { \"...\": $.properties, made: [list($.x)] } }\n";
    let blueprint = Blueprint::parse("b", text).expect("right");
    let mut mapping = Mapping::new(&blueprint, &json!({}));
    let wide = format!("[{}1]", "1,".repeat(255));
    let members: Vec<String> = (0..255).map(|n| format!(r#""k{n}":1"#)).collect();
    let wide_object = format!("{{{}}}", members.join(","));
    for wide in [&wide, &wide_object] {
        let event = track(&format!(r#"{{"a":[{wide}]}}"#));
        assert_eq!(mapping.outcome(&event), json!({"set_aside": "MR2004"}));
    }
    // A list may have one member more, and stays a list.
    let just = format!("[{}1]", "1,".repeat(254));
    let sent = mapping.outcome(&track(&format!(r#"{{"a":[{just}]}}"#)));
    let list = &sent[0]["body"]["properties"]["a"][0];
    assert_eq!(list.as_array().map(Vec::len), Some(255));
    let text = text.replace("wide_values: set_aside", "deep_values: keep");
    let blueprint = Blueprint::parse("b", &text).expect("right");
    let deep = json!([[[[[{"a": [1e3]}]]]]]);
    let sent =
        Mapping::new(&blueprint, &json!({})).outcome(&track(&json!({"a": deep}).to_string()));
    assert_eq!(sent[0]["body"]["properties"]["a"], deep);
    // Nothing is refused of what stands inside of a text.
    let deep = format!(r#"{{"a":[[[[{wide}]]]]}}"#);
    assert_eq!(mapping.map(&track(&deep)), Mapped::Send);
    mapping.received_at = UnixMillis(AT.0 - 86_400_000);
    assert_eq!(mapping.outcome(&track("{}"))[0]["body"]["properties"]["time"], json!(AT.0));
}

#[test]
fn groups_keep_their_numbers_and_times_can_be_null_where_a_blueprint_says_so() {
    let text = "blueprint: b\nchecks: { group_ids: keep }\nrules:\n  - name: r\n    send:\n      \
        - group: { group_key: team, group_id: $.team, set: { a: 1 } }\n      \
        - profile: { distinct_id: $.userId, time: { \"@literal\": null }, set: { \"...\": [empties($.p)] }, \
        set_once: { \"...\": without_empties($.p) } }\n";
    let blueprint = Blueprint::parse("b", text).expect("right");
    let mut mapping = Mapping::new(&blueprint, &json!({}));
    let event =
        r#"{"userId":"u","team":[7,"8"],"p":{"a":"","b":null,"c":[ ],"d":{},"e":0,"f":" "}}"#;
    assert_eq!(
        mapping.outcome(event),
        json!([
            {"path": "/groups", "body": {"$group_key": "team", "$group_id": 7, "$set": {"a": 1}}},
            {"path": "/groups", "body": {"$group_key": "team", "$group_id": "8", "$set": {"a": 1}}},
            {"path": "/engage", "body": {"$distinct_id": "u", "$time": null,
                "$set": {"a": "", "b": null, "c": [], "d": {}}}},
            {"path": "/engage", "body": {"$distinct_id": "u", "$time": null,
                "$set_once": {"e": 0, "f": " "}}},
        ])
    );
}

#[test]
fn what_other_destinations_send_can_be_sent_by_checks() {
    let text = "blueprint: b\nchecks: { time_before: keep, nobody: empty, blank_names: keep, idle_rows: send }\nrules:\n  - name: r\n    send:\n      \
        - event: { name: $.event, distinct_id: $.userId, time: time($.at) }\n      \
        - identify: { user_id: $.userId, anonymous_id: $.anonymousId }\n      \
        - group: { group_key: team, group_id: $.team, set: { \"...\": $.traits } }\n";
    let blueprint = Blueprint::parse("b", text).expect("right");
    let mut mapping = Mapping::new(&blueprint, &json!({}));
    let event = r#"{"event": " ", "userId": "", "team": "t", "at": "1815-06-18T00:00:00Z"}"#;
    assert_eq!(
        mapping.outcome(event),
        json!([
            {"path": "/import", "body": {"event": " ", "properties": {
                "time": -4_876_848_000_000_i64, "distinct_id": "", "$insert_id": "m-1"}}},
            {"path": "/groups", "body": {"$group_key": "team", "$group_id": "t", "$set": {}}},
        ])
    );
    let same = mapping.outcome(r#"{"event": "e", "userId": "u", "anonymousId": "u"}"#);
    assert_eq!(
        same[1]["body"],
        json!({"event": "$identify", "properties": {"$identified_id": "u", "$anon_id": "u"}})
    );
    let absent = Blueprint::parse("b", &text.replace("nobody: empty", "nobody: absent"));
    let mut mapping = Mapping::new(&absent.expect("right"), &json!({}));
    let properties = &mapping.outcome(r#"{"event": "e"}"#)[0]["body"]["properties"];
    assert_eq!(properties, &json!({"time": AT.0, "$insert_id": "m-1"}));
}

#[test]
fn a_path_can_be_read_as_it_was_sent() {
    let text = "blueprint: b\nrules:\n  - name: r\n    send:\n      \
        - event: { name: e, distinct_id: $.userId, properties: { a: as_sent($.timestamp), b: $.timestamp } }\n";
    let blueprint = Blueprint::parse("b", text).expect("right");
    let mut mapping = Mapping::new(&blueprint, &json!({}));
    let rows = mapping.outcome(r#"{"userId": "u", "timestamp": "soon"}"#);
    let properties = &rows[0]["body"]["properties"];
    assert_eq!(properties["a"], "soon");
    assert_eq!(properties["b"], "2025-11-20T10:11:12.345Z");
    let rows = mapping.outcome(r#"{"userId": "u"}"#);
    assert_eq!(rows[0]["body"]["properties"].get("a"), None);
}
