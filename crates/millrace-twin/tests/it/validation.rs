//! The validation table of reference/mixpanel-api.md 2.4, strict and lenient, and what ingestion
//! adds and removes (2.5).

use serde_json::{Value, json};

use crate::client::{Client, NOW, basic, event};

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inner, _| json!({ "k": inner }))
}

fn keys(count: usize) -> Value {
    let members: serde_json::Map<String, Value> =
        (0..count).map(|n| (format!("k{n}"), json!(n))).collect();
    Value::Object(members)
}

#[test]
fn strict_refuses_with_field_and_message() {
    let mut many = keys(252);
    many["time"] = json!(NOW);
    let seconds = "'properties.time' is invalid: must be specified as seconds since epoch";
    let charset =
        "'$insert_id' is invalid: must only contain alphanumeric or hyphen '-' characters";
    let placeholder = "'$insert_id' is invalid: must not be a placeholder value";
    let id = "properties.distinct_id";
    let cases: Vec<(&str, Value, &str, &str)> = vec![
        ("", json!({}), "event", "'event' must not be missing or blank"),
        ("  ", json!({}), "event", "'event' must not be missing or blank"),
        (
            "E",
            json!({"time":null}),
            "properties.time",
            "'properties.time' is invalid: must not be missing",
        ),
        ("E", json!({"time":"soon"}), "properties.time", seconds),
        ("E", json!({"time":true}), "properties.time", seconds),
        ("E", json!({"time":[1]}), "properties.time", seconds),
        ("E", json!({"time":31_535_999}), "properties.time", seconds),
        ("E", json!({"time":-1}), "properties.time", seconds),
        (
            "E",
            json!({"distinct_id":null}),
            id,
            "'properties.distinct_id' is invalid: must not be missing",
        ),
        (
            "E",
            json!({"distinct_id":"NULL"}),
            id,
            "'properties.distinct_id' is invalid: must not be a placeholder value",
        ),
        (
            "E",
            json!({"distinct_id":0}),
            id,
            "'properties.distinct_id' is invalid: must not be a placeholder value",
        ),
        (
            "E",
            json!({"distinct_id":true}),
            id,
            "'properties.distinct_id' is invalid: must not be a placeholder value",
        ),
        (
            "E",
            json!({"distinct_id":[]}),
            id,
            "'properties.distinct_id' is invalid: must be a string",
        ),
        (
            "E",
            json!({"$insert_id":null}),
            "$insert_id",
            "'$insert_id' is invalid: must not be missing",
        ),
        (
            "E",
            json!({"$insert_id":""}),
            "$insert_id",
            "'$insert_id' is invalid: must not be missing",
        ),
        ("E", json!({"$insert_id":"a_b"}), "$insert_id", charset),
        ("E", json!({"$insert_id":"é"}), "$insert_id", charset),
        (
            "E",
            json!({"$insert_id":"x".repeat(37)}),
            "$insert_id",
            "'$insert_id' is invalid: must not exceed 36 bytes",
        ),
        ("E", json!({"$insert_id":"Undefined"}), "$insert_id", placeholder),
        (
            "E",
            json!({"$insert_id":"00000000-0000-0000-0000-000000000000"}),
            "$insert_id",
            placeholder,
        ),
        ("E", many, "properties", "'properties' is invalid: must have fewer than 255 properties"),
        (
            "E",
            json!({"o":nested(4)}),
            "properties.o",
            "'properties.o' is invalid: object is nested too deeply",
        ),
        (
            "E",
            json!({"o":keys(255)}),
            "properties.o",
            "'properties.o' is invalid: nested object must have fewer than 255 keys",
        ),
        (
            "E",
            json!({"a":vec![1; 255]}),
            "properties.a",
            "'properties.a' is invalid: array must have fewer than 255 items",
        ),
        (
            "E",
            json!({"a":vec!["x".repeat(200); 50]}),
            "properties.a",
            "'properties.a' is invalid: list or object is too large",
        ),
        ("E", json!({"s":"x".repeat(1_050_000)}), "event", "event is larger than 1 MB"),
    ];
    let client = Client::new();
    for (name, changes, field, message) in cases {
        let good = event("Good", &json!({}));
        let answer = client.import(&json!([good, event(name, &changes), good]));
        assert_eq!(answer.status, 400, "{message}");
        let body = answer.json();
        assert_eq!(body["num_records_imported"], 2, "{body}");
        let failed = body["failed_records"].as_array().unwrap();
        assert_eq!(failed.len(), 1);
        assert_eq!(
            (&failed[0]["index"], &failed[0]["field"], &failed[0]["message"]),
            (&json!(1), &json!(field), &json!(message))
        );
    }
}

#[test]
fn strict_takes_what_is_within_the_limits() {
    let mut many = keys(250);
    many["o"] = nested(3);
    let cases = [
        json!({}),
        json!({"time":NOW}),
        json!({"time":(NOW as f64) / 1000.0}),
        json!({"time":"1795348000"}),
        json!({"time":31_536_000}),
        json!({"distinct_id":""}),
        json!({"distinct_id":12345}),
        json!({"distinct_id":null,"$device_id":"D"}),
        json!({"distinct_id":null,"$user_id":"U"}),
        json!({"$insert_id":"x".repeat(36)}),
        json!({"$insert_id":"abc-DEF-123"}),
        json!({"o":nested(3),"k":keys(254),"a":vec![1; 254]}),
        many,
    ];
    let client = Client::new();
    for changes in &cases {
        let answer = client.import(&json!([event("E", changes)]));
        assert_eq!(answer.status, 200, "{changes} {}", answer.text());
    }
    assert_eq!(client.view("summary")["copies"], cases.len());
}

#[test]
fn lenient_drops_or_trims_quietly() {
    let auth = basic("T", "");
    for (name, changes, stored) in [
        ("", json!({}), false),
        ("E", json!({"time":null}), false),
        ("E", json!({"time":"soon"}), false),
        ("E", json!({"distinct_id":"null"}), false),
        ("E", json!({"distinct_id":null}), true),
        ("E", json!({"$insert_id":null}), true),
        ("E", json!({"$insert_id":"a_b"}), true),
        ("E", keys(300), true),
        ("E", json!({"o":nested(4),"a":vec![1; 300]}), true),
    ] {
        let client = Client::new();
        let body = json!([event(name, &changes)]).to_string();
        let answer = client.send("POST", "/import", &[("authorization", &auth)], body);
        assert_eq!(answer.text(), if stored { "1" } else { "0" }, "{name} {changes}");
        assert_eq!(client.export("").len(), usize::from(stored));
        assert!(
            !client.view("refusals")["refusals"].as_array().unwrap().is_empty()
                || changes == json!({"distinct_id":null})
                || changes == json!({"$insert_id":null})
        );
        if let Some(line) = client.export("").first() {
            let properties = line["properties"].as_object().unwrap();
            assert!(properties.len() <= 254 + 12, "{}", properties.len());
            assert!(!properties.contains_key("o"));
            assert!(properties.get("a").is_none_or(|list| list.as_array().unwrap().len() == 254));
            assert_ne!(properties["$insert_id"], "a_b");
        }
    }
}

#[test]
fn broken_utf8_fails_one_record() {
    let client = Client::new();
    let auth = basic("T", "");
    let good = event("E", &json!({})).to_string();
    let bad = event("E", &json!({"utm_source":"XX"})).to_string().into_bytes();
    let at = bad.windows(2).position(|pair| pair == b"XX").unwrap();
    let bad = [&bad[..at], b"\xff\xfe", &bad[at + 2..]].concat();
    let body = [b"[", good.as_bytes(), b",", &bad, b"]"].concat();
    let answer = client.send("POST", "/import?strict=1", &[("authorization", &auth)], body);
    let failed = &answer.json()["failed_records"][0];
    assert_eq!(answer.json()["num_records_imported"], 1);
    assert_eq!(failed["message"], "properties.utm_source is invalid: string should be valid utf8");
    assert_eq!(
        (&failed["field"], &failed["index"], &failed["insert_id"]),
        (&json!("properties.utm_source"), &json!(1), &json!("i-1"))
    );
    // A lone surrogate is no Unicode either.
    let bad = good.replace("\"i-1\"", "\"i-2\",\"p\":\"\\ud800\"");
    let answer =
        client.send("POST", "/import?strict=1", &[("authorization", &auth)], format!("[{bad}]"));
    assert_eq!(answer.json()["failed_records"][0]["field"], "properties.p");
}

#[test]
fn ingestion_adds_and_removes() {
    let client = Client::new();
    let sent = event(
        "E",
        &json!({
            "token":"T", "ip":"1.2.3.4", "time": NOW - 1_500, "plan":"pro", "s":"é".repeat(300),
            "$mp_api_endpoint":"old", "$import":false, "mp_processing_time_ms":1, "$mp_event_size":2,
            "$mp_api_timestamp_ms":3, "x".repeat(300): 1
        }),
    );
    let size = sent.to_string().len();
    assert_eq!(client.import(&json!([sent])).status, 200);
    let line = &client.export("")[0];
    assert_eq!(line["event"], "E");
    let properties = &line["properties"];
    assert_eq!(
        *properties,
        json!({
            "time": NOW / 1000 - 2, "distinct_id":"u1", "$insert_id":"i-1", "$user_id":"u1",
            "plan":"pro", "s":"é".repeat(255), "x".repeat(255): 1,
            "$mp_api_endpoint":"twin.test", "$mp_api_timestamp_ms":NOW, "mp_processing_time_ms":NOW,
            "$mp_event_size":size, "$import":true
        })
    );
    let tracked = json!([{"event":"F","properties":{"token":"T","distinct_id":"u"}}]);
    client.post("/track", &tracked);
    let lines = client.export("");
    let properties = lines[1]["properties"].as_object().unwrap();
    assert!(!properties.contains_key("$import") && !properties.contains_key("token"));
    assert_eq!(properties["$insert_id"].as_str().unwrap().len(), 36);
    assert_eq!(properties["time"], NOW / 1000);
}

#[test]
fn a_future_time_is_clamped_to_now() {
    let client = Client::new();
    for (n, ahead) in [1_000, 3 * 3_600_000].into_iter().enumerate() {
        let event = event("E", &json!({"time":NOW + ahead,"$insert_id":format!("f-{n}")}));
        assert_eq!(client.import(&json!([event])).status, 200);
    }
    assert_eq!(client.import(&json!([event("E", &json!({"time":1e300}))])).status, 200);
    assert!(client.export("&time_in_ms=true").iter().all(|line| line["properties"]["time"] == NOW));
    assert_eq!(client.view("refusals")["refusals"][0]["fate"], "changed");
}

#[test]
fn an_event_with_a_hundred_thousand_names_costs_little() {
    let client = Client::new();
    let auth = basic("T", "");
    let names: Vec<String> = (0..90_000).map(|n| format!("\"{n}\":1")).collect();
    let text = event("E", &json!({"p":1})).to_string().replace("\"p\":1", &names.join(","));
    let body = format!("[{text}]");
    assert_eq!(client.send("POST", "/import", &[("authorization", &auth)], body).text(), "1");
    let kept = client.export("")[0]["properties"].as_object().unwrap().len();
    assert_eq!(kept, 254 + 9);
    assert_eq!(client.view("refusals")["refusals"].as_array().unwrap().len(), 1);
}

#[test]
fn of_a_repeated_property_the_last_counts() {
    let client = Client::new();
    let text =
        event("E", &json!({"p":1})).to_string().replace("\"p\":1", "\"p\":1,\"q\":0,\"p\":2");
    let auth = basic("T", "");
    client.send("POST", "/import?strict=1", &[("authorization", &auth)], format!("[{text}]"));
    assert_eq!(client.export("")[0]["properties"]["p"], 2);
}
