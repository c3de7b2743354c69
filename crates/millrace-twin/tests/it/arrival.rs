//! Laws: where the order of arrival must not matter it does not, and no request breaks the twin.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::client::{Client, NOW, basic};

/// Events of a few devices, each of which belongs to one user or to none.
fn events() -> impl Strategy<Value = Vec<Value>> {
    let one = (0_u8..6, any::<bool>(), 0_i64..100_000);
    prop::collection::vec(one, 1..25).prop_map(|list| {
        let event = |(number, (device, says_user, ago)): (usize, (u8, bool, i64))| {
            let mut properties = json!({
                "time": NOW - ago, "$insert_id": format!("i-{number}"),
                "$device_id": format!("D{device}")
            });
            if says_user && device < 4 {
                properties["$user_id"] = json!(format!("U{}", device / 2));
            }
            json!({ "event": "E", "properties": properties })
        };
        list.into_iter().enumerate().map(event).collect()
    })
}

/// The canonical id of every event, and what the sums say.
fn outcome(events: &[Value], per_request: usize) -> (Vec<(String, String)>, Value) {
    let client = Client::new();
    for chunk in events.chunks(per_request) {
        assert_eq!(client.import(&json!(chunk)).status, 200);
    }
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut ids: Vec<(String, String)> = client
        .export("")
        .iter()
        .map(|line| {
            (text(&line["properties"]["$insert_id"]), text(&line["properties"]["distinct_id"]))
        })
        .collect();
    ids.sort();
    (ids, client.view("summary"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn order_and_batching_do_not_change_the_clusters(
        (events, shuffled) in events().prop_flat_map(|e| (Just(e.clone()), Just(e).prop_shuffle())),
        per_request in 1_usize..10,
    ) {
        prop_assert_eq!(outcome(&events, 100), outcome(&shuffled, per_request));
    }

    #[test]
    fn resends_change_no_sum(events in events(), again in 1_usize..25) {
        let mut twice = events.clone();
        twice.extend(events.iter().take(again).cloned());
        let (_, once) = outcome(&events, 100);
        let (_, twice) = outcome(&twice, 7);
        for member in ["events", "users", "by_event", "hidden"] {
            prop_assert_eq!(&once[member], &twice[member]);
        }
        prop_assert_eq!(&twice["duplicates"], again.min(events.len()));
    }
}

/// JSON of any shape, with the names that mean something.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("T")),
        Just(json!("$device:D")),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        let name = prop_oneof![
            Just("event".to_owned()),
            Just("properties".to_owned()),
            Just("token".to_owned()),
            Just("$token".to_owned()),
            Just("time".to_owned()),
            Just("distinct_id".to_owned()),
            Just("$distinct_id".to_owned()),
            Just("$insert_id".to_owned()),
            Just("$set".to_owned()),
            Just("$append".to_owned()),
            Just("$unset".to_owned()),
            Just("$group_key".to_owned()),
            ".{0,6}",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(name, inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

const TARGETS: [&str; 6] = [
    "/track?verbose=1&ip=1",
    "/import?strict=1",
    "/import",
    "/engage?strict=1",
    "/engage?verbose=1",
    "/groups",
];

fn answered(client: &Client, target: &str, body: Vec<u8>, kind: &str) -> Result<(), TestCaseError> {
    let auth = basic("T", "");
    let headers = [("authorization", auth.as_str()), ("content-type", kind)];
    let answer = client.send("POST", target, &headers, body);
    prop_assert!([200, 400].contains(&answer.status.as_u16()), "{}", answer.status);
    // Whatever was taken can be shown: every line and view parses.
    client.export("");
    client.view("events");
    client.view("summary");
    client.view("refusals");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_break_the_twin(
        body in prop::collection::vec(any::<u8>(), 0..300),
        target in prop::sample::select(TARGETS.to_vec()),
        ndjson in any::<bool>(),
    ) {
        let kind = if ndjson { "application/x-ndjson" } else { "text/plain" };
        answered(&Client::new(), target, body, kind)?;
    }

    #[test]
    fn no_json_breaks_the_twin(
        records in prop::collection::vec(any_json(), 0..5),
        properties in any_json(),
        target in prop::sample::select(TARGETS.to_vec()),
    ) {
        let client = Client::new();
        answered(&client, target, json!(records).to_string().into_bytes(), "application/json")?;
        let mut whole = json!({"event":"E","$token":"T","$distinct_id":"u","$set":properties,"properties":properties});
        if let Some(members) = whole["properties"].as_object_mut() {
            members.insert("token".to_owned(), json!("T"));
        }
        answered(&client, target, json!([whole]).to_string().into_bytes(), "application/json")?;
    }
}
