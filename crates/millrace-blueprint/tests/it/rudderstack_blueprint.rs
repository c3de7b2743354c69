//! What the `rudderstack` blueprint makes of events where it does better than the destination that it
//! replaces, and what the variant `rudderstack-classic` makes of the same. What both share with that
//! destination is compared case by case by `cargo xtask conformance`.

use millrace_blueprint::Blueprint;
use millrace_model::time::UnixMillis;
use serde_json::{Value, json};

use crate::guide::blocks;
use crate::{AT, Mapping};

const PLAIN: &str = "rudderstack";
const CLASSIC: &str = "rudderstack-classic";

fn mapping(name: &str, settings: &Value) -> Mapping {
    let blueprint = Blueprint::built_in(name).expect("there").expect("right");
    Mapping::new(&blueprint, settings)
}

fn mapped(name: &str, settings: &Value, event: &Value) -> Value {
    mapping(name, settings).outcome(&event.to_string())
}

/// What both blueprints make of an event under the same identity mode, looked at by `look`.
fn both(settings: &Value, event: &Value, look: impl Fn(&Value) -> Value) -> [Value; 2] {
    let mut settings = settings.clone();
    settings["identityMergeApi"] = json!("original");
    settings["useNewMapping"] = json!(true);
    [PLAIN, CLASSIC].map(|name| look(&mapped(name, &settings, event)))
}

fn track(properties: &Value) -> Value {
    json!({"type": "track", "event": "E", "userId": "u", "properties": properties})
}

fn identify(traits: &Value, of_context: &Value) -> Value {
    json!({"type": "identify", "userId": "u", "timestamp": "2025-11-20T10:11:12.345Z",
        "traits": traits, "context": {"traits": of_context}})
}

/// The operator of the first row that has it.
fn operator(rows: &Value, name: &str) -> Value {
    let rows = rows.as_array().into_iter().flatten();
    rows.filter_map(|row| row["body"].get(name)).next().cloned().unwrap_or_default()
}

#[test]
fn every_example_of_the_page_is_true() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/blueprints/rudderstack.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let blocks = blocks(&page);
    let mut run = 0;
    for pair in blocks.windows(2) {
        let [(mark, event, line), (behind, rows, _)] = pair else { continue };
        let Some(name) = mark.strip_prefix("json event ") else { continue };
        assert_eq!(behind, "json rows", "line {line}");
        let event: Value = serde_json::from_str(event).expect("an event");
        let rows: Value = serde_json::from_str(rows).expect("rows");
        assert_eq!(mapped(name, &json!({}), &event), rows, "line {line}");
        run += 1;
    }
    assert!(run >= 2);
}

#[test]
fn nobody_is_sent_to_a_made_up_user() {
    let events = [
        json!({"type": "track", "event": "E"}),
        json!({"type": "page"}),
        json!({"type": "screen", "userId": "", "anonymousId": null}),
        json!({"type": "identify", "traits": {"a": 1}}),
        json!({"type": "track", "event": "E", "userId": "undefined"}),
    ];
    for mode in ["simplified", "original"] {
        for event in &events {
            let outcome = mapped(PLAIN, &json!({"identityMergeApi": mode}), event);
            let code = outcome["set_aside"].as_str().unwrap_or_default();
            assert!(["MR1104", "MR2002"].contains(&code), "{mode} {event}: {outcome}");
            let classic = mapped(CLASSIC, &json!({"identityMergeApi": mode}), event).to_string();
            assert!(!classic.contains("undefined"), "{classic}");
        }
    }
}

#[test]
fn an_event_needs_a_name() {
    for event in [
        json!({"type": "track", "userId": "u"}),
        json!({"type": "track", "userId": "u", "event": " "}),
    ] {
        assert_eq!(mapped(PLAIN, &json!({}), &event), json!({"set_aside": "MR2006"}), "{event}");
    }
}

#[test]
fn odd_calls_are_mapped_or_set_aside_for_a_reason() {
    for event in [
        json!({"type": "track", "event": "E", "userId": "u", "properties": null, "context": null}),
        json!({"type": "track", "event": "E", "userId": 7, "properties": [], "context": "x"}),
        json!({"type": "page", "userId": "u", "name": 5, "category": {}, "properties": "x"}),
        json!({"type": "screen", "anonymousId": "a", "context": {"campaign": [], "device": 1}}),
        json!({"type": "identify", "userId": "u", "traits": null}),
        json!({"type": "identify", "userId": "u", "traits": {"address": "Berlin", "name": null}}),
        json!({"type": "group", "userId": "u", "groupId": "g", "traits": []}),
        json!({"type": "alias", "userId": "u", "previousId": {}}),
    ] {
        for name in [PLAIN, CLASSIC] {
            let settings = json!({"groupKeySettings": ["groupId"]});
            let outcome = mapped(name, &settings, &event);
            let said = outcome.is_array()
                || outcome.get("set_aside").is_some()
                || outcome.get("filtered").is_some();
            assert!(said, "{name} {event}: {outcome}");
        }
    }
}

#[test]
fn a_time_that_cannot_be_read_is_that_of_the_receipt() {
    for timestamp in [json!("yesterday"), json!(null), json!("")] {
        let event = json!({"type": "track", "event": "E", "userId": "u", "timestamp": timestamp});
        let look = |rows: &Value| rows[0]["body"]["properties"]["time"].clone();
        assert_eq!(both(&json!({}), &event, look), [json!(AT.0), json!(AT.0)], "{timestamp}");
        let event =
            json!({"type": "identify", "userId": "u", "timestamp": timestamp, "traits": {"a": 1}});
        let look = |rows: &Value| rows[0]["body"]["$time"].clone();
        assert_eq!(both(&json!({}), &event, look), [json!(AT.0), json!(null)], "{timestamp}");
    }
}

#[test]
fn a_time_ahead_is_that_of_the_receipt() {
    let day = 86_400_000;
    for (name, wanted) in [(PLAIN, AT.0 - day), (CLASSIC, AT.0)] {
        let mut mapping = mapping(name, &json!({}));
        mapping.received_at = UnixMillis(AT.0 - day);
        let rows = mapping.outcome(&track(&json!({})).to_string());
        assert_eq!(rows[0]["body"]["properties"]["time"], wanted, "{name}");
    }
}

#[test]
fn the_five_years_count_from_the_time_that_is_sent() {
    let old = "2019-11-20T10:11:12.345Z";
    let said = json!({"type": "page", "userId": "u", "timestamp": old});
    let original = json!({"type": "page", "userId": "u", "originalTimestamp": old});
    for (event, plain, classic) in [(&said, true, true), (&original, true, false)] {
        for (name, refused) in [(PLAIN, plain), (CLASSIC, classic)] {
            let mut mapping = mapping(name, &json!({}));
            mapping.facts.time = UnixMillis::parse(old).expect("a time");
            let outcome = mapping.outcome(&event.to_string());
            assert_eq!(outcome == json!({"set_aside": "MR2008"}), refused, "{name} {event}");
        }
    }
    let mut mapping = mapping(PLAIN, &json!({}));
    mapping.facts.time = UnixMillis::parse(old).expect("a time");
    assert!(mapping.outcome(&identify(&json!({"a": 1}), &json!({})).to_string()).is_array());
}

#[test]
fn an_id_is_not_merged_with_itself() {
    let merge = |anonymous: &str| {
        let event = json!({"type": "identify", "userId": "u", "anonymousId": anonymous, "traits": {"a": 1}});
        both(&json!({}), &event, |rows| rows[1]["body"].clone())
    };
    let joined = json!({"event": "$merge", "properties": {"$distinct_ids": ["u", "a"]}});
    assert_eq!(merge("a"), [joined.clone(), joined]);
    assert_eq!(merge("u"), [json!(null), json!(null)]);
    let event = json!({"type": "alias", "userId": "u", "previousId": "u"});
    let refused = json!({"set_aside": "MR2002"});
    assert_eq!(both(&json!({}), &event, Value::clone), [refused.clone(), refused]);
}

#[test]
fn simplified_projects_get_link_events() {
    let device = "7a1f2c3d-0000-4000-8000-000000000001";
    let identify =
        json!({"type": "identify", "userId": "u", "anonymousId": device, "traits": {"a": 1}});
    let alias_of = |previous: &str| json!({"type": "alias", "userId": "u", "previousId": previous});
    for event in [&identify, &alias_of(device), &alias_of("$device:d")] {
        let rows = mapped(PLAIN, &json!({}), event);
        assert_eq!(rows[0]["body"]["event"], "Identity Linked", "{rows}");
        assert_eq!(rows[0]["body"]["properties"]["$user_id"], "u", "{rows}");
    }
    // Neither two users, nor without the event, nor in the classic variant.
    let refused = json!({"set_aside": "MR2001"});
    assert_eq!(mapped(PLAIN, &json!({}), &alias_of("a")), refused);
    let classic = json!({"identityMergeApi": "simplified"});
    for (name, settings) in [(PLAIN, json!({"link_event": ""})), (CLASSIC, classic)] {
        let rows = mapped(name, &settings, &identify);
        assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
        assert_eq!(mapped(name, &settings, &alias_of(device)), refused);
    }
}

#[test]
fn the_date_of_creation_is_one_that_can_be_filtered() {
    let traits = json!({"createdAt": "2026-01-05T10:00:00+02:00"});
    let look = |rows: &Value| operator(rows, "$set")["$created"].clone();
    let event = identify(&traits, &json!({}));
    let wanted = ["2026-01-05T08:00:00", "2026-01-05T10:00:00+02:00"];
    assert_eq!(both(&json!({}), &event, look), wanted.map(Value::from));
    let once = json!({"setOnceProperties": ["createdAt"]});
    assert_eq!(both(&once, &event, look), [Value::Null, Value::Null]);
}

#[test]
fn only_numbers_are_added_up_and_summed() {
    let settings = json!({"propIncrements": ["n", "s", "z", "o"]});
    let event = track(&json!({"n": 2, "s": "3", "z": 0, "o": {}}));
    let added = both(&settings, &event, |rows| operator(rows, "$add"));
    assert_eq!(added, [json!({"n": 2}), json!({"n": 2})]);
    for (revenue, plain, classic) in [
        (json!(9.5), json!(9.5), json!(9.5)),
        (json!("30"), json!(30), json!("30")),
        (json!(-4), json!(-4), json!(-4)),
        (json!("free"), json!(null), json!("free")),
        (json!(0), json!(null), json!(null)),
        (json!(null), json!(null), json!(null)),
    ] {
        let mut event = track(&json!({"revenue": revenue}));
        event["timestamp"] = json!("2025-11-20T10:11:12.345Z");
        let look = |rows: &Value| operator(rows, "$append")["$transactions"]["$amount"].clone();
        assert_eq!(both(&json!({}), &event, look), [plain, classic], "{revenue}");
    }
}

#[test]
fn traits_win_over_those_of_the_context() {
    let event = identify(
        &json!({"plan": "own", "email": "own@a.example", "first_name": "Ann"}),
        &json!({"plan": "context", "email": "c@a.example", "firstName": "Bob", "only": 1}),
    );
    let look = |rows: &Value| {
        let set = operator(rows, "$set");
        json!([set["plan"], set["$email"], set["only"]])
    };
    let plain = json!(["own", "own@a.example", 1]);
    let classic = json!(["context", "own@a.example", 1]);
    assert_eq!(both(&json!({}), &event, look), [plain, classic]);
}

#[test]
fn first_and_last_names_have_the_names_that_are_chosen() {
    let event = identify(&json!({"firstName": "Ann", "lastName": "Lee"}), &json!({}));
    for (new, first, last) in
        [(true, "$first_name", "$last_name"), (false, "$firstName", "$lastName")]
    {
        let set = operator(&mapped(PLAIN, &json!({"useNewMapping": new}), &event), "$set");
        assert_eq!((&set[first], &set[last]), (&json!("Ann"), &json!("Lee")), "{set}");
        assert_eq!(set["$name"], "Ann Lee");
    }
    // Set once, they have Mixpanel's own names whatever is chosen.
    let settings = json!({"useNewMapping": false, "setOnceProperties": ["firstName"]});
    let once = operator(&mapped(PLAIN, &settings, &event), "$set_once");
    assert_eq!(once, json!({"$first_name": "Ann"}));
}

#[test]
fn what_is_empty_is_not_appended() {
    let settings = json!({"appendProperties": ["a", "b"], "unionProperties": ["c", "d"]});
    let event = identify(&json!({"a": null, "b": 0, "c": "", "d": [1]}), &json!({}));
    let look = |rows: &Value| json!([operator(rows, "$append"), operator(rows, "$union")]);
    let wanted = json!([{"b": 0}, {"d": [1]}]);
    assert_eq!(both(&settings, &event, look), [wanted.clone(), wanted]);
}

#[test]
fn a_nested_trait_that_is_set_once_is_not_set_as_well() {
    let settings = json!({
        "setOnceProperties": [{"property": "plan.first"}, {"property": "plan.seats.bought"}],
        "unionProperties": [{"property": "tags.own"}],
    });
    let traits = json!({
        "plan": {"first": "free", "now": "pro", "seats": {"bought": 3, "used": 2}},
        "tags": "none",
        "city": "Oslo",
    });
    let event = identify(&traits, &json!({}));
    let once = json!({"first": "free", "bought": 3});
    assert_eq!(both(&settings, &event, |rows| operator(rows, "$set_once")), [once.clone(), once]);
    let set =
        json!({"$city": "Oslo", "tags": "none", "plan": {"now": "pro", "seats": {"used": 2}}});
    assert_eq!(both(&settings, &event, |rows| operator(rows, "$set")), [set.clone(), set]);
    // Nothing is left of an object that held nothing else.
    let event = identify(&json!({"plan": {"first": "free"}, "city": "Oslo"}), &json!({}));
    let set = json!({"$city": "Oslo"});
    assert_eq!(both(&settings, &event, |rows| operator(rows, "$set")), [set.clone(), set]);
}

#[test]
fn group_keys_are_found_in_the_traits_of_the_context() {
    let settings = json!({"groupKeySettings": [{"groupKey": "company"}]});
    let event = json!({"type": "group", "userId": "u", "context": {"traits": {"company": "acme"}},
        "traits": {"size": 3}});
    let [plain, classic] = both(&settings, &event, Value::clone);
    assert_eq!(
        plain,
        json!([
            {"path": "/engage", "body": {"$distinct_id": "u", "$set": {"company": ["acme"]}}},
            {"path": "/groups", "body": {"$group_key": "company", "$group_id": "acme", "$set": {"size": 3}}},
        ])
    );
    assert_eq!(classic, json!({"set_aside": "MR2007"}));
    assert_eq!(mapped(PLAIN, &json!({}), &event), json!({"set_aside": "MR5004"}));
}

#[test]
fn numeric_ids_are_text() {
    let settings = json!({"groupKeySettings": ["groupId"]});
    let event = json!({"type": "group", "userId": 7, "groupId": 42, "traits": {"a": 1}});
    let look =
        |rows: &Value| json!([rows[0]["body"]["$distinct_id"], rows[1]["body"]["$group_id"]]);
    assert_eq!(both(&settings, &event, look), [json!(["7", "42"]), json!(["7", 42])]);
    let mut event = track(&json!({}));
    event["messageId"] = json!(5);
    let [plain, classic] = both(&json!({}), &event, Value::clone);
    assert!(plain.is_array());
    assert_eq!(classic, json!({"set_aside": "MR2007"}));
}

#[test]
fn a_value_of_a_wrong_shape_costs_no_event() {
    let wide: Vec<u32> = (0..300).collect();
    let deep = json!({"a": {"b": {"c": {"d": 1}}}});
    let look = |rows: &Value| rows[0]["body"]["properties"]["v"].clone();
    let [plain, classic] = both(&json!({}), &track(&json!({"v": wide})), look);
    assert_eq!(plain, json!(json!(wide).to_string()));
    assert_eq!(classic, json!(null));
    let [plain, classic] = both(&json!({}), &track(&json!({"v": deep})), look);
    assert_eq!((plain["a"]["b"]["c"].is_string(), classic), (true, deep));
}
