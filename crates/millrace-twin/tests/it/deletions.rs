//! Deletion tasks, and what `$delete` leaves.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::client::{Client, options};

const TASKS: &str = "/api/app/data-deletions/v3.0/?token=T";

fn fill(client: &Client) {
    let events = json!([
        {"event":"A","properties":{"token":"T","$device_id":"d1","distinct_id":"$device:d1","$insert_id":"1"}},
        {"event":"B","properties":{"token":"T","$device_id":"d1","$user_id":"u1","distinct_id":"u1","$insert_id":"2"}},
        {"event":"B","properties":{"token":"T","$user_id":"u2","distinct_id":"u2","$insert_id":"3"}}
    ]);
    assert_eq!(client.post("/track", &events).text(), "1");
    for id in ["u1", "u2"] {
        let update = json!({"$token":"T","$distinct_id":id,"$set":{"plan":"pro"}});
        assert_eq!(client.post("/engage", &update).text(), "1");
    }
}

fn ask(client: &Client, bearer: &str, body: &Value) -> (StatusCode, Value) {
    let headers = [("authorization", bearer), ("content-type", "application/json")];
    let answer = client.send("POST", TASKS, &headers, body.to_string());
    (answer.status, answer.json())
}

fn summary(client: &Client) -> Value {
    client.send("GET", "/twin/v1/projects/1/summary", &[], "").json()
}

#[test]
fn a_task_deletes_events_and_profile_of_a_person_and_of_the_devices() {
    let folder = tempfile::tempdir().unwrap();
    let client = Client::open(options(Some(folder.path()))).unwrap();
    fill(&client);
    let body = json!({"distinct_ids":["u1","never seen"],"compliance_type":"GDPR"});
    let (status, answer) = ask(&client, "Bearer S", &body);
    assert_eq!(status, StatusCode::CREATED);
    let task = answer["results"]["task_id"].as_str().unwrap().to_owned();
    let state = format!("/api/app/data-deletions/v3.0/{task}?token=T");
    let check = |client: &Client| {
        let sums = summary(client);
        assert_eq!((&sums["copies"], &sums["profiles"]), (&json!(1), &json!(1)), "{sums}");
        assert_eq!(sums["by_event"], json!({"B": 1}));
        let gone = client.send("GET", "/twin/v1/projects/1/users/u1", &[], "");
        assert!(gone.status == StatusCode::NOT_FOUND || gone.json()["counts"]["events"] == 0);
        let exported = client.send(
            "GET",
            "/api/2.0/export?from_date=2026-11-01&to_date=2026-11-30",
            &[("authorization", &crate::client::basic("S", ""))],
            "",
        );
        assert_eq!(exported.text().lines().count(), 1, "{}", exported.text());
        let state = client.send("GET", &state, &[("authorization", "Bearer S")], "").json();
        assert_eq!(state["results"]["status"], "SUCCESS");
        assert_eq!(state["results"]["distinct_ids"][0], "u1");
    };
    check(&client);
    drop(client);
    let client = Client::open(options(Some(folder.path()))).unwrap();
    check(&client);

    // Whoever comes back is there again.
    let event =
        json!([{"event":"C","properties":{"token":"T","distinct_id":"u1","$insert_id":"4"}}]);
    assert_eq!(client.post("/track", &event).text(), "1");
    assert_eq!(summary(&client)["copies"], 2);
}

#[test]
fn what_is_no_task_is_refused() {
    let client = Client::new();
    fill(&client);
    let good = json!({"distinct_ids":["u1"],"compliance_type":"CCPA"});
    for bearer in ["Bearer wrong", "Bearer ", "Basic Uzo="] {
        assert_eq!(ask(&client, bearer, &good).0, StatusCode::UNAUTHORIZED, "{bearer}");
    }
    let many: Vec<String> = (0..2_000).map(|n| format!("u{n}")).collect();
    for body in [
        json!([]),
        json!({"distinct_ids":["u1"]}),
        json!({"distinct_ids":["u1"],"compliance_type":"LAW"}),
        json!({"distinct_ids":[],"compliance_type":"GDPR"}),
        json!({"distinct_ids":[1],"compliance_type":"GDPR"}),
        json!({"distinct_ids":many,"compliance_type":"GDPR"}),
    ] {
        let (status, answer) = ask(&client, "Bearer S", &body);
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert_eq!(answer["status"], "error");
    }
    assert_eq!(summary(&client)["copies"], 3);
    let unknown = "/api/app/data-deletions/v3.0/none?token=T";
    let state = client.send("GET", unknown, &[("authorization", "Bearer S")], "").json();
    assert_eq!(state["results"]["status"], "NOT_FOUND");
}

#[test]
fn delete_takes_the_profile_alone() {
    let client = Client::new();
    fill(&client);
    let update = json!([{"$token":"T","$distinct_id":"u1","$delete":null,"$ignore_alias":true}]);
    assert_eq!(client.post("/engage", &update).text(), "1");
    let sums = summary(&client);
    assert_eq!((&sums["copies"], &sums["profiles"]), (&json!(3), &json!(1)), "{sums}");
}
