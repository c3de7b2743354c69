//! What the `default` blueprint makes of each call, one behaviour a test.

use millrace_model::row::{Endpoint, LaneKey, RowRole};
use serde_json::{Value, json};

use crate::{AT, Mapping};

fn default(settings: &Value, event: &Value) -> Value {
    Mapping::default(settings).outcome(&event.to_string())
}

/// The members of the event's properties that are asked for; null for those that are not there.
fn properties(settings: &Value, event: &Value, names: &[&str]) -> Value {
    let rows = default(settings, event);
    names.iter().map(|name| rows[0]["body"]["properties"][*name].clone()).collect()
}

#[test]
fn a_track_event_has_its_ids_in_each_mode() {
    let both = json!({"type": "track", "event": "E", "userId": "u", "anonymousId": "d"});
    let device = json!({"type": "track", "event": "E", "anonymousId": "d"});
    let names = ["distinct_id", "$device_id", "$user_id", "time", "$insert_id", "ip"];
    for (identity, event, wanted) in [
        ("simplified", &both, json!(["u", "d", "u", AT.0, "m-1", null])),
        ("simplified", &device, json!(["$device:d", "d", null, AT.0, "m-1", null])),
        ("original", &both, json!(["u", null, null, AT.0, "m-1", null])),
        ("original", &device, json!(["d", null, null, AT.0, "m-1", null])),
        ("legacy", &both, json!(["u", null, null, AT.0, "m-1", null])),
    ] {
        assert_eq!(properties(&json!({"identity": identity}), event, &names), wanted, "{identity}");
    }
}

#[test]
fn unusable_ids_count_as_absent() {
    for bad in [
        json!(""),
        json!(" \t"),
        json!("null"),
        json!("Undefined"),
        json!(0),
        json!(null),
        json!({}),
    ] {
        let event = json!({"type": "track", "event": "E", "userId": bad, "anonymousId": "d"});
        let found = properties(&json!({}), &event, &["distinct_id", "$user_id"]);
        assert_eq!(found, json!(["$device:d", null]), "{bad}");
        let event = json!({"type": "track", "event": "E", "userId": bad});
        let none = bad.is_null() || bad == "";
        let code = if none { "MR1104" } else { "MR2002" };
        assert_eq!(default(&json!({}), &event), json!({ "set_aside": code }), "{bad}");
    }
    let event = json!({"type": "track", "event": "E", "userId": 42, "anonymousId": "$device:d"});
    let found = properties(&json!({}), &event, &["distinct_id", "$user_id", "$device_id"]);
    assert_eq!(found, json!(["42", "42", "d"]));
}

#[test]
fn own_properties_win_over_context_but_not_over_ids() {
    let event = json!({
        "type": "track", "event": "E", "userId": "u",
        "context": {
            "os": {"name": "iOS", "version": ""}, "ip": "198.51.100.1", "groupId": "acme",
            "campaign": {"name": "spring"}, "page": {"referrer": "https://a.example/x"},
            "traits": {"plan": "pro"}
        },
        "properties": {
            "$os": "mine", "distinct_id": "x", "time": 1, "$insert_id": "x", "token": "x",
            "$user_id": "x", "$device_id": "x", "ip": "x", "empty": null, "deep": {"a": [1]}
        }
    });
    let names = [
        "$os",
        "$os_version",
        "distinct_id",
        "time",
        "$insert_id",
        "token",
        "$user_id",
        "$device_id",
        "ip",
        "empty",
        "deep",
        "utm_campaign",
        "$referring_domain",
        "$group_id",
        "plan",
    ];
    let wanted = json!([
        "mine", null, "u", AT.0, "m-1", null, "u", null, "198.51.100.1", null, {"a": [1]},
        "spring", "a.example", "acme", null
    ]);
    assert_eq!(properties(&json!({}), &event, &names), wanted);
    let settings = json!({"traits_on_events": true, "group_key": "company_id"});
    let found = properties(&settings, &event, &["plan", "company_id", "$group_id"]);
    assert_eq!(found, json!(["pro", "acme", null]));
    // A setting cannot take the place of an id either.
    let found = properties(&json!({"group_key": "time"}), &event, &["time"]);
    assert_eq!(found, json!([AT.0]));
}

#[test]
fn money_becomes_numbers() {
    for (name, sent, key, wanted) in [
        ("Any", json!({"revenue": "12.50"}), "revenue", json!(12.50)),
        ("Any", json!({"revenue": "a lot"}), "revenue", json!("a lot")),
        ("Any", json!({"total": 3}), "revenue", json!(null)),
        ("Order Completed", json!({"total": 3, "value": 4}), "revenue", json!(3)),
        ("Order Completed", json!({"value": "4"}), "revenue", json!(4)),
        ("Order Completed", json!({"revenue": 5, "total": 3}), "revenue", json!(5)),
        ("Order Refunded", json!({"total": "7"}), "refund_amount", json!(7)),
    ] {
        let event = json!({"type": "track", "event": name, "userId": "u", "properties": sent});
        assert_eq!(properties(&json!({}), &event, &[key]), json!([wanted]), "{name} {sent}");
    }
}

#[test]
fn transactions_are_rows_that_cannot_be_repeated() {
    let mut mapping = Mapping::default(&json!({"transactions": true}));
    let event = json!({
        "type": "track", "event": "Order Completed", "userId": "u", "properties": {"total": "9.5"}
    });
    let rows = mapping.outcome(&event.to_string());
    let wanted = json!({"path": "/engage", "body": {
        "$distinct_id": "u",         "$append": {"$transactions": {"$time": "2025-11-20T10:11:12", "$amount": 9.5}}
    }});
    assert_eq!(rows[1], wanted);
    let repeatable: Vec<bool> = mapping.rows.rows.iter().map(|row| row.repeatable).collect();
    assert_eq!(repeatable, [true, false]);
    let event = json!({"type": "track", "event": "E", "userId": "u"});
    assert_eq!(mapping.outcome(&event.to_string()).as_array().map(Vec::len), Some(1));
}

#[test]
fn page_and_screen_calls_become_named_events() {
    let event = json!({
        "type": "page", "userId": "u", "name": "Home", "category": "Docs",
        "properties": {"url": "https://a.example/", "title": "T"}
    });
    let names = ["name", "category", "$current_url", "current_page_title"];
    let wanted = json!(["Home", "Docs", "https://a.example/", "T"]);
    assert_eq!(properties(&json!({}), &event, &names), wanted);
    assert_eq!(default(&json!({}), &event)[0]["body"]["event"], "Page Viewed");
    let event = json!({"type": "screen", "userId": "u"});
    assert_eq!(default(&json!({}), &event)[0]["body"]["event"], "Screen Viewed");
    let named = default(&json!({"screen_event": "Seen"}), &event);
    assert_eq!(named[0]["body"]["event"], "Seen");
    assert_eq!(default(&json!({"screen_event": " "}), &event), json!({"set_aside": "MR2006"}));
}

#[test]
fn identify_joins_first_and_then_sets_the_profile() {
    let event = json!({
        "type": "identify", "userId": "u", "anonymousId": "d",
        "traits": {"email": "a@b.example", "firstName": "Ada", "plan": "pro", "n": null,
                   "created_at": "2024-02-03T04:05:06.789+01:00"},
        "context": {"traits": {"last_name": "L", "plan": "old", "age": 3}, "ip": "198.51.100.1"}
    });
    let profile = json!({"path": "/engage", "body": {
        "$distinct_id": "u", "$ip": "198.51.100.1",
        "$set": {"$email": "a@b.example", "$first_name": "Ada", "$last_name": "L", "$name": "Ada L",
                 "$created": "2024-02-03T03:05:06", "plan": "pro", "age": 3, "n": null}
    }});
    let mut mapping = Mapping::default(&json!({}));
    let rows = mapping.outcome(&event.to_string());
    assert_eq!(rows[0]["body"]["event"], "Identity Linked");
    let link = &rows[0]["body"]["properties"];
    assert_eq!(link["distinct_id"], "u");
    assert_eq!((&link["$user_id"], &link["$device_id"]), (&json!("u"), &json!("d")));
    assert_eq!(rows[1], profile);
    let [first, second] = mapping.rows.rows.as_slice() else { panic!("two rows") };
    assert_eq!((first.role, first.endpoint), (RowRole::Joins, Endpoint::Import));
    assert_eq!((second.role, second.endpoint), (RowRole::Plain, Endpoint::Engage));
    let lanes: Vec<LaneKey> = second.lanes.iter().collect();
    assert_eq!(lanes, [LaneKey::person("u"), LaneKey::person("d")]);

    let rows = default(&json!({"link_event": ""}), &event);
    assert_eq!(rows, json!([profile]));
    let rows = default(&json!({"identity": "legacy"}), &event);
    assert_eq!(rows, json!([profile]));
    let rows = default(&json!({"identity": "original"}), &event);
    assert_eq!(rows[0]["body"]["event"], "$identify");
    let ids = &rows[0]["body"]["properties"];
    assert_eq!(
        (&ids["$insert_id"], &ids["$identified_id"], &ids["$anon_id"]),
        (&json!(null), &json!("u"), &json!("d"))
    );
    assert_eq!(rows[1], profile);
}

#[test]
fn an_identify_without_effect_is_filtered() {
    let event = json!({"type": "identify", "userId": "u"});
    assert_eq!(default(&json!({}), &event), json!({"filtered": "no_rule"}));
    let event = json!({"type": "identify", "anonymousId": "d", "traits": {"a": 1}});
    assert_eq!(default(&json!({}), &event)[0]["body"]["$distinct_id"], "$device:d");
}

#[test]
fn an_alias_joins_devices_and_never_two_users() {
    let uuid = "d19a4a76-2ec6-440c-b50e-b574d3763384";
    let alias = |previous: &str| json!({"type": "alias", "userId": "u", "previousId": previous, "anonymousId": "d"});
    for (previous, device) in [("d", "d"), ("$device:x", "x"), (uuid, uuid)] {
        let rows = default(&json!({}), &alias(previous));
        assert_eq!(rows[0]["body"]["properties"]["$device_id"], device, "{previous}");
        assert_eq!(rows.as_array().map(Vec::len), Some(1));
    }
    assert_eq!(default(&json!({}), &alias("other")), json!({"set_aside": "MR2001"}));
    assert_eq!(default(&json!({}), &alias("u")), json!({"filtered": "no_rule"}));
    for identity in ["original", "legacy"] {
        let rows = default(&json!({"identity": identity}), &alias("other"));
        let row = &rows[0]["body"];
        assert_eq!(row["event"], "$create_alias");
        assert_eq!(row["properties"]["distinct_id"], "other");
        assert_eq!(row["properties"]["alias"], "u");
    }
}

#[test]
fn a_group_call_sets_the_group_and_adds_the_user() {
    let event = json!({
        "type": "group", "userId": "u", "groupId": 7, "traits": {"name": "Acme", "plan": "pro"}
    });
    let mut mapping = Mapping::default(&json!({"group_key": "company_id"}));
    let wanted = json!([
        {"path": "/groups", "body": {"$group_key": "company_id", "$group_id": "7",
            "$set": {"$name": "Acme", "plan": "pro"}}},
        {"path": "/engage", "body": {"$distinct_id": "u",             "$union": {"company_id": ["7"]}}},
    ]);
    assert_eq!(mapping.outcome(&event.to_string()), wanted);
    let lanes: Vec<LaneKey> = mapping.rows.rows[0].lanes.iter().collect();
    assert_eq!(lanes, [LaneKey::group("company_id", "7")]);
}

#[test]
fn an_alias_without_a_previous_id_joins_the_device_it_comes_from() {
    let event = json!({"type": "alias", "userId": "u", "anonymousId": "d", "previousId": ""});
    let rows = default(&json!({}), &event);
    assert_eq!(rows[0]["body"]["properties"]["$device_id"], "d");
    let rows = default(&json!({"identity": "original"}), &event);
    assert_eq!(rows[0]["body"]["properties"]["distinct_id"], "d");
}

#[test]
fn a_group_is_found_in_the_traits_and_missed_in_sight() {
    let event = json!({"type": "group", "userId": "u", "traits": {"groupId": 7, "plan": "pro"}});
    let rows = default(&json!({}), &event);
    let group = json!({"$group_key": "$group_id", "$group_id": "7", "$set": {"plan": "pro"}});
    assert_eq!(rows[0]["body"], group);
    assert_eq!(rows[1]["body"]["$union"], json!({"$group_id": ["7"]}));
    for bad in [json!(null), json!("undefined"), json!([1])] {
        let event = json!({"type": "group", "userId": "u", "groupId": bad, "traits": {"a": 1}});
        assert_eq!(default(&json!({}), &event), json!({"set_aside": "MR1106"}), "{bad}");
    }
}

#[test]
fn campaigns_and_sessions_are_kept() {
    let event = json!({"type": "page", "userId": "u", "context": {
        "sessionId": 1_763_800_000_123_i64,
        "campaign": {"source_platform": "ads", "creative_format": "video", "marketing_tactic": ""}
    }});
    let names =
        ["utm_source_platform", "utm_creative_format", "utm_marketing_tactic", "$session_id"];
    let wanted = json!(["ads", "video", null, "1763800000123"]);
    assert_eq!(properties(&json!({}), &event, &names), wanted);
}

#[test]
fn a_place_that_the_application_knows_is_kept() {
    let event = json!({"type": "track", "event": "E", "userId": "u", "context": {
        "device": {"type": "ios"},
        "location": {"city": "Paris", "region": "", "country": "France",
                     "latitude": 48.85, "longitude": "2.35"}
    }});
    let names = ["$device_type", "$city", "$region", "mp_country_code", "$latitude", "$longitude"];
    let wanted = json!(["ios", "Paris", null, null, 48.85, 2.35]);
    assert_eq!(properties(&json!({}), &event, &names), wanted);

    // As the collector adds it: the code goes to Mixpanel, not the name.
    let event = json!({"type": "track", "event": "E", "userId": "u", "context": {
        "location": {"city": "Bonn", "country": "Germany", "country_code": "DE"}
    }});
    let wanted = json!([null, "Bonn", null, "DE", null, null]);
    assert_eq!(properties(&json!({}), &event, &names), wanted);
}
