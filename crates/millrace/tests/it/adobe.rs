//! Events of Adobe's Edge Network through `millrace map`, and what they come to in the twin.

use serde_json::{Value, json};

use crate::http::Connection;
use crate::map::map;
use crate::server::DevServer;

const ECID: &str = "31415926535897932384626433832795028841";

/// An event of one visitor; after the sign-in the site knows the user.
fn event(id: &str, event_type: &str, login_id: &str) -> Value {
    json!({"xdm": {
        "_id": id, "timestamp": format!("2026-11-22T10:00:0{}Z", id.len()),
        "identityMap": {"ECID": [{"id": ECID, "primary": true}]},
        "_acme": {"event_type": event_type, "LoginID": login_id, "properties": {"step": id}},
    }})
}

fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

#[test]
fn a_line_with_xdm_is_an_event_of_adobes() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.json");
    let text = r#"{"token":"T1","region":"eu","event_type":"_acme.event_type","login_id":"_acme.LoginID"}"#;
    std::fs::write(&settings, text).unwrap();
    let events = [
        event("a", "signin", "a@shop.example"),
        json!({"xdm": {"eventType": 7}}),
        json!({"xdm": {"eventType": "e"}, "type": "track"}),
    ];
    let arguments = [
        "--blueprint",
        "adobe-classic",
        "--settings",
        settings.to_str().unwrap(),
        "--now",
        "2026-11-22T12:00:00Z",
    ];
    let (code, answers) = map(&arguments, &lines(&events));
    assert_eq!(code, Some(0));
    let names: Vec<&Value> = answers[0]["requests"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|request| request["body"].as_array().unwrap())
        .map(|row| &row["event"])
        .collect();
    assert_eq!(names, ["signin", "$create_alias", "$identify"], "{}", answers[0]);
    assert_eq!(answers[1]["error"]["code"], "MR1107", "{}", answers[1]);
    // With a type it is a call in Segment's form, and lacks what such a call needs.
    assert_eq!(answers[2]["error"]["code"], "MR1105", "{}", answers[2]);
}

#[test]
fn the_identity_rule_makes_one_person_of_the_events_before_and_after_a_sign_in() {
    let server = DevServer::start();
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.json");
    let text = json!({
        "token": "dev-token", "url": server.twin_url(), "event_type": "_acme.event_type",
        "login_id": "_acme.LoginID", "properties": "_acme.properties",
    });
    std::fs::write(&settings, text.to_string()).unwrap();
    let events = [
        event("a", "Viewed", ""),
        event("ab", "Added", ""),
        event("abc", "signin", "a@shop.example"),
        event("abcd", "Bought", "a@shop.example"),
    ];
    let arguments = [
        "--blueprint",
        "adobe",
        "--settings",
        settings.to_str().unwrap(),
        "--now",
        "2026-11-22T12:00:00Z",
    ];
    let (_, answers) = map(&arguments, &lines(&events));
    let mut connection = Connection::open(server.twin_url()).unwrap();
    for request in answers.iter().flat_map(|answer| answer["requests"].as_array().unwrap()) {
        let path = request["url"].as_str().unwrap().strip_prefix(server.twin_url()).unwrap();
        let (status, answer) = connection
            .post(&format!("{path}?strict=1&ip=0"), "dev-token", &request["body"].to_string())
            .unwrap();
        assert_eq!(status, 200, "{answer}");
    }
    // Whoever is looked up, by device or by user, is one and the same, with all events.
    let summary = server.twin_get("/twin/v1/projects/1/summary");
    assert_eq!(summary["users"], 1, "{summary}");
    for id in ["a@shop.example", ECID] {
        let person = server.twin_get(&format!("/twin/v1/projects/1/users/{id}"));
        let names: Vec<&str> = person["activity"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["event"].as_str().unwrap())
            .collect();
        for name in ["Viewed", "Added", "signin", "Identity Linked", "Bought"] {
            assert!(names.contains(&name), "{id}: {name} of {names:?}");
        }
        assert_eq!(names.len(), 5, "{names:?}");
        let resolved = |event: &Value| event["distinct_id"] == "a@shop.example";
        assert!(person["activity"].as_array().unwrap().iter().all(resolved), "{person}");
    }
}
