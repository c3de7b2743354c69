//! The views under `/twin/v1/`.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use serde_json::{Value, json};

use crate::client::{Client, NOW, event, options};
use millrace_twin::ViewAccess;

#[test]
fn projects_are_listed_without_secrets() {
    let client = Client::new();
    let answer = client.get("/twin/v1/projects");
    let projects = answer.json()["projects"].clone();
    assert_eq!(projects.as_array().unwrap().len(), 2);
    assert_eq!(projects[0]["name"], "project 1");
    assert_eq!(projects[0]["identity"], "simplified");
    assert!(!answer.text().contains("secret") && !answer.text().contains("token"));
}

#[test]
fn events_are_shown_newest_first_and_filtered() {
    let client = Client::new();
    for (n, (name, changes)) in [
        ("A", json!({"distinct_id":null,"$device_id":"D"})),
        ("B", json!({"distinct_id":null,"$device_id":"D","$user_id":"U","p":[1]})),
        ("A", json!({"distinct_id":"other"})),
    ]
    .iter()
    .enumerate()
    {
        let mut changes = changes.clone();
        changes["$insert_id"] = json!(format!("i-{n}"));
        assert_eq!(client.import(&json!([event(name, &changes)])).status, 200);
    }
    let ids = |query: &str| -> Vec<String> {
        let view = client.view(&format!("events{query}"));
        let list = view["events"].as_array().unwrap();
        list.iter().map(|e| e["insert_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(""), ["i-2", "i-1", "i-0"]);
    assert_eq!(ids("?limit=1"), ["i-2"]);
    assert_eq!(ids("?event=A"), ["i-2", "i-0"]);
    assert_eq!(ids("?event=nothing"), [""; 0]);
    assert_eq!(ids("?distinct_id=U"), ["i-1", "i-0"]);
    assert_eq!(ids("?distinct_id=D&event=A"), ["i-0"]);
    assert_eq!(
        client.view("events?limit=1&distinct_id=D")["events"][0],
        json!({
            "event":"B", "time":NOW - 60_000, "distinct_id":"U", "original_distinct_id":"U",
            "insert_id":"i-1", "received_at":NOW, "imported":true, "hidden":false, "superseded":false,
            "properties":{"$user_id":"U","$device_id":"D","p":[1]}
        })
    );
}

#[test]
fn a_user_is_found_by_any_id() {
    let client = Client::new();
    for (n, ago) in [1, 3, 2].iter().enumerate() {
        let changes = json!({"distinct_id":null,"$device_id":format!("D{n}"),"$user_id":"U",
            "time":NOW - ago, "$insert_id":format!("i-{n}")});
        client.import(&json!([event("E", &changes)]));
    }
    client.post("/engage", &json!({"$token":"T","$distinct_id":"U","$set":{"$name":"N"}}));
    let user = client.view("users/U");
    for id in ["$device:D1", "D2", "$device%3AD0"] {
        assert_eq!(client.view(&format!("users/{id}")), user, "{id}");
    }
    assert_eq!(user["ids"], json!(["U", "$device:D0", "$device:D1", "$device:D2"]));
    assert_eq!(user["profile"]["$name"], "N");
    assert_eq!(user["counts"], json!({"events":3,"copies":3,"duplicates":0,"hidden":0}));
    let times: Vec<&Value> =
        user["activity"].as_array().unwrap().iter().map(|e| &e["insert_id"]).collect();
    assert_eq!(times, ["i-1", "i-2", "i-0"]);
    assert_eq!(client.view("users/U?limit=1")["activity"].as_array().unwrap().len(), 1);
}

#[test]
fn money_is_summed_once_and_by_currency() {
    let client = Client::new();
    let buy = |id: &str, more: Value| {
        let mut changes = more;
        changes["$insert_id"] = json!(id);
        client.import(&json!([event("Order", &changes)]));
    };
    buy("a", json!({"revenue":10,"currency":"EUR"}));
    buy("a", json!({"revenue":12.5,"currency":"EUR"}));
    buy("b", json!({"revenue":"7","currency":"EUR"}));
    buy("c", json!({"refund_amount":2.5,"currency":"EUR"}));
    buy("d", json!({"revenue":1}));
    assert_eq!(
        client.view("summary")["revenue"],
        json!({
            "total": 11.0, "refunds": 2.5,
            "by_currency": {
                "EUR": {"total":10.0,"refunds":2.5}, "unspecified": {"total":1.0,"refunds":0.0}
            },
            "transactions": {"total":0.0,"count":0}
        })
    );
}

#[test]
fn requests_and_refusals_are_counted_and_noted() {
    let client = Client::new();
    client.import(&json!([event("E", &json!({})), event("", &json!({}))]));
    client.post("/track", &json!([{"event":"E","properties":{"token":"nobody-knows-me"}}]));
    let requests = client.view("requests");
    assert_eq!(
        requests["endpoints"]["/import"],
        json!({"requests":1,"rows":2,"stored":1,"refused":1,"ignored":0})
    );
    assert_eq!(requests["without_project"]["/track"]["ignored"], 1);
    let refusals = client.view("refusals");
    assert_eq!(
        refusals["refusals"][1],
        json!({
            "at":NOW, "project":1, "endpoint":"/import", "fate":"refused",
            "reason":"'event' must not be missing or blank", "index":1, "subject":null,
            "insert_id":"i-1"
        })
    );
    assert!(!refusals.to_string().contains("nobody-knows-me"), "a token is never shown");
}

#[test]
fn unknown_things_are_404() {
    let client = Client::new();
    for path in [
        "9/summary",
        "x/summary",
        "1/users/nobody",
        "1/groups/company_id/x",
        "9/requests",
        "9/refusals",
    ] {
        assert_eq!(client.get(&format!("/twin/v1/projects/{path}")).status, 404, "{path}");
    }
}

#[test]
fn views_are_closed_to_other_machines() {
    let ask = |client: &Client, peer: &str, path: &str| {
        let peer: SocketAddr = peer.parse().unwrap();
        let request = Request::builder().uri(path).extension(ConnectInfo(peer));
        client.call(request.body(Body::empty()).unwrap()).status.as_u16()
    };
    let closed = Client::new();
    assert_eq!(ask(&closed, "198.51.100.7:9", "/twin/v1/projects"), 403);
    assert_eq!(ask(&closed, "198.51.100.7:9", "/healthz"), 200);
    assert_eq!(ask(&closed, "127.0.0.1:9", "/twin/v1/projects"), 200);
    let mut options = options(None);
    options.views = ViewAccess::Everyone;
    let open = Client::open(options).unwrap();
    assert_eq!(ask(&open, "198.51.100.7:9", "/twin/v1/projects"), 200);
}

#[test]
fn what_is_not_there_is_named_in_the_answer() {
    let client = Client::new();
    // Gone again: its id is known, and it is nobody.
    client.post("/engage", &json!({"$token":"T","$distinct_id":"gone","$set":{"$name":"N"}}));
    client.post("/engage", &json!({"$token":"T","$distinct_id":"gone","$delete":""}));
    for (path, status, words) in [
        ("/twin/v1/projects/99/summary", 404, "99"),
        ("/twin/v1/projects/one/refusals", 404, "one"),
        ("/twin/v1/projects/1/users/nobody", 404, "nobody"),
        ("/twin/v1/projects/1/users/gone", 404, "gone"),
        ("/twin/v1/projects/1/groups/company_id/none", 404, "none"),
        ("/twin/v1/projects/1/events?limit=many", 400, "limit"),
        ("/twin/v1/projects/1/users/U?limit=-1", 400, "limit"),
        ("/twin/v1/projects/1/refusals?limit=", 400, "limit"),
    ] {
        let answer = client.get(path);
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.json()["error"].as_str().unwrap().contains(words), "{path}");
    }
}
