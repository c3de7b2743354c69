//! Table 4.2 of reference/mixpanel-api.md, row by row: the canonical id of every event.

use serde_json::{Value, json};

use crate::client::{Client, NOW};

/// Sends events one by one, each given by its ids, and returns the canonical ids in that order.
fn canonical(client: &Client, events: &[Value]) -> Vec<String> {
    for (number, ids) in events.iter().enumerate() {
        let mut properties = json!({
            "time": NOW - 60_000, "$insert_id": format!("i-{number}")
        });
        for (short, value) in ids.as_object().unwrap() {
            let name = match short.as_str() {
                "d" => "$device_id",
                "u" => "$user_id",
                "x" => "distinct_id",
                other => other,
            };
            properties[name] = value.clone();
        }
        let answer = client.import(&json!([{ "event": "E", "properties": properties }]));
        assert_eq!(answer.json(), json!({"code":200,"num_records_imported":1,"status":"OK"}));
    }
    let lines = client.export("");
    lines
        .iter()
        .map(|line| line["properties"]["distinct_id"].as_str().unwrap().to_owned())
        .collect()
}

fn case(events: &[Value], expected: &[&str]) -> Client {
    let client = Client::new();
    assert_eq!(canonical(&client, events), expected);
    client
}

#[test]
fn s1_anonymous() {
    case(&[json!({"d":"D1"}), json!({"d":"D1"})], &["$device:D1", "$device:D1"]);
}

#[test]
fn s2_a_link_works_backwards() {
    case(&[json!({"d":"D1"}), json!({"d":"D1"}), json!({"d":"D1","u":"U1"})], &["U1", "U1", "U1"]);
}

#[test]
fn s3_a_second_device_is_a_stranger() {
    case(
        &[
            json!({"d":"D1"}),
            json!({"d":"D1"}),
            json!({"d":"D1","u":"U1"}),
            json!({"d":"D2"}),
            json!({"d":"D2"}),
        ],
        &["U1", "U1", "U1", "$device:D2", "$device:D2"],
    );
}

#[test]
fn s4_until_it_is_linked_too() {
    case(
        &[
            json!({"d":"D1"}),
            json!({"d":"D1","u":"U1"}),
            json!({"d":"D2"}),
            json!({"d":"D2","u":"U1"}),
        ],
        &["U1", "U1", "U1", "U1"],
    );
}

#[test]
fn s5_reset_between_users() {
    case(
        &[
            json!({"d":"D1"}),
            json!({"d":"D1","u":"U1"}),
            json!({"d":"D2"}),
            json!({"d":"D2"}),
            json!({"d":"D2","u":"U2"}),
        ],
        &["U1", "U1", "U2", "U2", "U2"],
    );
}

#[test]
fn s6_the_first_link_of_a_device_wins() {
    let client = case(
        &[json!({"d":"D5","u":"U51"}), json!({"d":"D5","u":"U52"}), json!({"d":"D5"})],
        &["U51", "U52", "U51"],
    );
    let reasons: Vec<Value> = client
        .export("")
        .iter()
        .map(|line| line["properties"]["$identity_failure_reason"].clone())
        .collect();
    assert_eq!(reasons, [Value::Null, json!("errAnonDistinctIdAssignedAlready"), Value::Null]);
}

#[test]
fn s7_a_prefixed_distinct_id_is_a_device() {
    let client = case(&[json!({"x":"$device:D6"})], &["$device:D6"]);
    assert_eq!(client.export("")[0]["properties"]["$device_id"], "D6");
}

#[test]
fn s8_a_bare_distinct_id_is_a_user() {
    let client = case(&[json!({"x":"charlie"})], &["charlie"]);
    assert_eq!(client.export("")[0]["properties"]["$user_id"], "charlie");
}

#[test]
fn s9_even_a_uuid() {
    let uuid = "7f1cbd04-9c66-4f14-a0c5-2f7d8e0e6a11";
    let client = case(&[json!({"x":uuid})], &[uuid]);
    assert_eq!(client.export("")[0]["properties"]["$user_id"], uuid);
}

#[test]
fn s10_one_prefix_is_taken_off_a_device_id() {
    let client = case(&[json!({"d":"$device:D8","u":"U8"}), json!({"d":"D8"})], &["U8", "U8"]);
    assert_eq!(client.export("")[0]["properties"]["$device_id"], "D8");
    case(&[json!({"d":"$device:$device:D8"})], &["$device:$device:D8"]);
}

#[test]
fn s11_a_back_dated_link_counts_for_later_events() {
    let month_ago = NOW - 30 * 86_400_000;
    case(&[json!({"d":"D9"}), json!({"d":"D9","u":"U9","time":month_ago})], &["U9", "U9"]);
}

#[test]
fn s12_users_have_no_aliases() {
    case(
        &[json!({"d":"+6512345678","u":"charlie"}), json!({"u":"+6512345678"})],
        &["charlie", "+6512345678"],
    );
}

#[test]
fn s13_merge_is_refused_with_the_whole_batch() {
    let client = case(&[json!({"u":"U1"}), json!({"u":"U2"})], &["U1", "U2"]);
    let good = json!({"event":"E","properties":{
        "time": NOW, "distinct_id": "U1", "$insert_id": "g-1"}});
    for verb in ["$merge", "$identify", "$create_alias"] {
        let batch = json!([good, {"event": verb, "properties": {"$distinct_ids":["U1","U2"]}}]);
        let answer = client.import(&batch);
        assert_eq!(answer.status, 400);
        assert_eq!(
            answer.json(),
            json!({
                "code": 400,
                "error": "some data points in the request failed validation",
                "status": "Bad Request",
                "num_records_imported": 0,
                "failed_records": ["identity events are not allowed when project is using \
                    simplified identity management"]
            })
        );
    }
    assert_eq!(client.counts(), (2, 2));
    assert_eq!(client.view("summary")["users"], 2);
}

#[test]
fn s14_a_resend_is_one_event_and_two_lines() {
    let client = Client::new();
    let event = json!([{"event":"E","properties":{
        "time": NOW - 5, "$device_id": "D1", "$user_id": "U1", "$insert_id": "same"}}]);
    for _ in 0..2 {
        assert_eq!(client.import(&event).status, 200);
    }
    assert_eq!(client.counts(), (1, 2));
    assert_eq!(client.export("").len(), 2);
    assert_eq!(client.view("summary")["duplicates"], 1);
}

#[test]
fn s15_a_link_does_not_carry_properties_over() {
    let client = Client::new();
    let set = |id: &str, properties: Value| {
        let update = json!([{"$token":"T","$distinct_id":id,"$set":properties}]);
        assert_eq!(client.post("/engage", &update).text(), "1");
    };
    set("$device:D1", json!({"a":1}));
    assert_eq!(client.profile("$device:D1")["a"], 1);
    canonical(&client, &[json!({"d":"D1","u":"U1"})]);
    set("U1", json!({"b":2}));
    let profile = client.profile("U1");
    assert_eq!((&profile["a"], &profile["b"]), (&Value::Null, &json!(2)));
    assert_eq!(client.view("summary")["profiles"], 1);
    // After the link an update of the device is one of the user.
    set("$device:D1", json!({"c":3}));
    assert_eq!(client.profile("U1")["c"], 3);
}

#[test]
fn s16_a_device_wins_over_a_bare_distinct_id() {
    case(&[json!({"d":"D1","x":"U1"})], &["$device:D1"]);
}

#[test]
fn s17_without_any_id_the_address_or_nobody() {
    let client = Client::new();
    let event = json!([{"event":"E","properties":{"token":"T"}}]);
    let from = |target: &str| {
        let headers = [("x-forwarded-for", "198.51.100.7, 10.0.0.1")];
        assert_eq!(client.send("POST", target, &headers, event.to_string()).text(), "1");
    };
    from("/track?ip=1");
    from("/track?ip=1");
    from("/track?ip=0");
    let ids: Vec<Value> =
        client.export("").iter().map(|line| line["properties"]["distinct_id"].clone()).collect();
    assert_eq!(ids[0], ids[1]);
    assert_eq!(ids[0].as_str().unwrap().len(), 16);
    assert_eq!(ids[2], "");
    assert_eq!(client.view("summary")["users"], 1);
    assert!(!client.export("")[0].to_string().contains("198.51.100.7"));
}

#[test]
fn s18_no_cap_on_devices() {
    let client = Client::new();
    let events: Vec<Value> = (0..600)
        .map(|n| {
            json!({"event":"E","properties":{"time": NOW, "$insert_id": format!("i-{n}"),
                "$device_id": format!("D{n}"), "$user_id": "U1"}})
        })
        .collect();
    assert_eq!(client.import(&json!(events)).status, 200);
    assert!(client.export("").iter().all(|line| line["properties"]["distinct_id"] == "U1"));
    let user = client.view("users/$device:D599");
    assert_eq!(user["distinct_id"], "U1");
    assert_eq!(user["ids"].as_array().unwrap().len(), 601);
    assert_eq!(user["counts"]["events"], 600);
}

#[test]
fn verbs_by_track_are_kept_hidden_and_link_nothing() {
    let client = Client::new();
    let events = json!([
        {"event":"E","properties":{"token":"T","$device_id":"D1"}},
        {"event":"$identify","properties":{"token":"T","distinct_id":"U1","$device_id":"D1",
            "$user_id":"U1","$anon_distinct_id":"$device:D1"}}
    ]);
    assert_eq!(client.post("/track?verbose=1", &events).json(), json!({"error":null,"status":1}));
    let summary = client.view("summary");
    assert_eq!((&summary["events"], &summary["hidden"]), (&json!(1), &json!(1)));
    assert_eq!(client.export("")[0]["properties"]["distinct_id"], "$device:D1");
    assert_eq!(client.export("").len(), 2);
}

#[test]
fn a_resolved_event_says_what_it_was_before() {
    let client = case(&[json!({"d":"D1"}), json!({"d":"D1","u":"U1"})], &["U1", "U1"]);
    let lines = client.export("");
    let first = &lines[0]["properties"];
    assert_eq!(first["$distinct_id_before_identity"], "$device:D1");
    assert_eq!(first["$is_reshuffled"], true);
    assert_eq!(first["$preshuffle_distinct_id"], "$device:D1");
    assert_eq!(lines[1]["properties"]["$is_reshuffled"], Value::Null);
}
