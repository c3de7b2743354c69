//! The reply forms and credentials of reference/mixpanel-api.md 2.2, 2.3 and 11, to the byte.

use serde_json::{Value, json};

use crate::client::{Client, NOW, basic, event};

#[test]
fn track_answers_in_every_dress() {
    let client = Client::new();
    let good = json!([{"event":"E","properties":{"token":"T","distinct_id":"u"}}]);
    let bad = json!([{"event":"","properties":{"token":"T"}}]);
    let verbose = "{\"error\":null,\"status\":1}";
    let fault = "{\"error\":\"event, missing\",\"status\":0}";
    for (query, good_body, bad_body, kind) in [
        ("", "1", "0", "text/plain"),
        ("?verbose=0", "1", "0", "text/plain"),
        ("?verbose=1", verbose, fault, "application/json"),
        ("?verbose=2", verbose, fault, "application/json"),
        ("?callback=cb.x", "cb.x(1);", "cb.x(0);", "text/javascript"),
        (
            "?callback=cb&verbose=1",
            "cb({\"error\":null,\"status\":1});",
            "cb({\"error\":\"event, missing\",\"status\":0});",
            "text/javascript",
        ),
        ("?callback=alert(1)//", "1", "0", "text/plain"),
    ] {
        for path in ["/track", "/track/"] {
            for (body, expected) in [(&good, good_body), (&bad, bad_body)] {
                let answer = client.post(&format!("{path}{query}"), body);
                assert_eq!(answer.status, 200);
                assert_eq!(
                    (answer.text(), answer.content_type.as_str()),
                    (expected, kind),
                    "{query}"
                );
            }
        }
    }
    let image = client.post("/track?img=1", &good);
    assert_eq!(image.content_type, "image/gif");
    assert!(image.body.starts_with(b"GIF89a") && image.body.ends_with(b";"));
    assert_eq!(image.body.len(), 43);
}

#[test]
fn track_says_one_when_at_least_one_event_is_valid() {
    let client = Client::new();
    let mixed = json!([{"event":"E"}, {"event":"E","properties":{"token":"T"}}, 7]);
    assert_eq!(client.post("/track", &mixed).text(), "1");
    assert_eq!(client.counts(), (1, 1));
    for (body, error) in [
        (json!([]), "data, missing or empty"),
        (json!([{"event":"E","properties":{}}]), "token, missing or empty"),
        (json!([{"event":"E"}]), "token, missing or empty"),
        (
            json!([{"event":"$identify","properties":{"token":"T"}}]),
            "distinct_id, missing or empty",
        ),
    ] {
        let answer = client.post("/track?verbose=1", &body);
        assert_eq!(
            (answer.status.as_u16(), answer.json()),
            (200, json!({"error":error,"status":0}))
        );
    }
}

#[test]
fn track_says_success_to_what_it_does_not_store() {
    let client = Client::new();
    let day = 86_400_000;
    for (properties, reason) in [
        (json!({"token":"nobody"}), "the token belongs to no project"),
        (json!({"token":"T","time":NOW - 5 * day - 1}), "older than the 5 days"),
        (json!({"token":"T","$ignore":true}), "$ignore"),
        (json!({"token":"T","$ignore":"yes"}), "$ignore"),
    ] {
        let body = json!([{"event":"E","properties":properties}]);
        assert_eq!(client.post("/track", &body).text(), "1", "{reason}");
        let note = &client.view("refusals?limit=1")["refusals"][0];
        assert!(note["reason"].as_str().unwrap().contains(reason), "{note}");
        assert_eq!(note["fate"], "ignored");
    }
    assert_eq!(client.counts(), (0, 0));
    for properties in [
        json!({"token":"T","time":NOW - 5 * day}),
        json!({"token":"T","$ignore":""}),
        json!({"token":"T","$ignore":false}),
    ] {
        client.post("/track", &json!([{"event":"E","properties":properties}]));
    }
    assert_eq!(client.counts(), (3, 3));
}

#[test]
fn import_answers_as_strict_and_verbose_ask() {
    let client = Client::new();
    let auth = basic("T", "");
    let send = |query: &str, body: &Value| {
        let answer = client.send(
            "POST",
            &format!("/import{query}"),
            &[("authorization", &auth)],
            body.to_string(),
        );
        (answer.status.as_u16(), answer.text().to_owned())
    };
    let good = json!([event("E", &json!({}))]);
    let bad = json!([event("", &json!({}))]);
    let message = "'event' must not be missing or blank";
    let fine = |text: &str| (200, text.to_owned());
    assert_eq!(send("", &good), fine("1"));
    assert_eq!(send("/?verbose=0", &good), fine("1"));
    assert_eq!(send("", &bad), fine("0"));
    assert_eq!(send("", &json!([good[0], bad[0]])), fine("1"));
    assert_eq!(send("", &json!("x")), fine("0"));
    let verbose = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(
        verbose(&send("?verbose=1", &good).1),
        json!({"code":200,"error":null,"num_records_imported":1,"status":1})
    );
    assert_eq!(
        verbose(&send("?verbose=1", &bad).1),
        json!({"code":200,"error":message,"num_records_imported":0,"status":0})
    );
    assert_eq!(
        send("?strict=1", &good),
        fine("{\"code\":200,\"num_records_imported\":1,\"status\":\"OK\"}")
    );
    assert_eq!(verbose(&send("?strict=1", &json!([])).1)["num_records_imported"], 0);
    let (status, text) = send("?strict=1", &json!([good[0], bad[0]]));
    assert_eq!(status, 400);
    assert_eq!(
        verbose(&text),
        json!({
            "code":400, "error":"some data points in the request failed validation",
            "status":"Bad Request", "num_records_imported":1,
            "failed_records":[{"index":1,"insert_id":"i-1","$insert_id":"i-1","field":"event","message":message}]
        })
    );
    for body in [json!("x"), json!([1]), json!([good[0], []])] {
        let (status, text) = send("?strict=1", &body);
        assert_eq!(
            (status, verbose(&text)["failed_records"].clone()),
            (400, Value::Null),
            "{text}"
        );
        assert_eq!(verbose(&text)["status"], "Bad Request");
    }
}

#[test]
fn who_may_import() {
    let client = Client::new();
    let invalid = "Invalid credentials";
    let account = "Not a valid service account username";
    let raw = "Basic dev.sa:sa-secret".to_owned();
    for (query, auth, expected) in [
        ("", basic("T", ""), Ok(())),
        ("", basic("S", ""), Ok(())),
        ("&project_id=1", basic("dev.sa", "sa-secret"), Ok(())),
        ("&project_id=1", raw.clone(), Ok(())),
        ("", "Basic T:".to_owned(), Ok(())),
        ("", raw, Err(invalid)),
        ("&project_id=9", basic("dev.sa", "sa-secret"), Err(invalid)),
        ("&project_id=1", basic("dev.sa", "wrong"), Err(invalid)),
        ("&project_id=1", basic("nobody", "sa-secret"), Err(account)),
        ("", basic("wrong", ""), Err(invalid)),
        ("", basic("", ""), Err(invalid)),
        ("", "Bearer T".to_owned(), Err(invalid)),
        ("", "Basic".to_owned(), Err(invalid)),
        ("", "Basic ÿÿ".to_owned(), Err(invalid)),
    ] {
        let body = json!([event("E", &json!({}))]).to_string();
        let answer = client.send(
            "POST",
            &format!("/import?strict=1{query}"),
            &[("authorization", &auth)],
            body,
        );
        match expected {
            Ok(()) => assert_eq!(answer.status, 200, "{auth}"),
            Err(text) => {
                assert_eq!(answer.status, 401, "{auth}");
                assert_eq!(answer.json(), json!({"code":401,"error":text,"status":"Unauthorized"}));
            }
        }
    }
    assert_eq!(client.get("/import").status, 401);
}

#[test]
fn a_nameless_record_proves_a_token_and_stores_nothing() {
    let client = Client::new();
    let probe = json!([{"event":"","properties":{}}]);
    let answer = client.import(&probe);
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["failed_records"][0]["field"], "event");
    assert_eq!(answer.json()["num_records_imported"], 0);
    let wrong = [("authorization", basic("wrong", ""))];
    let wrong = [(wrong[0].0, wrong[0].1.as_str())];
    assert_eq!(client.send("POST", "/import?strict=1", &wrong, probe.to_string()).status, 401);
    assert_eq!(client.counts(), (0, 0));
}

#[test]
fn other_paths_do_no_harm() {
    let client = Client::new();
    for (path, status, body) in [
        ("/healthz", 200, "ok"),
        ("/settings/?$lib_version=2&mp_lib=web&sdk_config=1", 200, "{}"),
        ("/flags/?token=T", 200, "{\"flags\":{}}"),
        ("/decide", 200, "{}"),
    ] {
        let answer = client.get(path);
        assert_eq!((answer.status.as_u16(), answer.text()), (status, body), "{path}");
    }
    let record = client.send("POST", "/record/?replay_id=1", &[], vec![1_u8, 2]);
    assert_eq!(record.json(), json!({"code":200,"status":"OK"}));
    assert!(client.get("/").json()["error"].is_string());
    assert_eq!(client.get("/nothing").status, 404);
    assert_eq!(client.send("PUT", "/track", &[], "").status, 405);
}

#[test]
fn browsers_may_send_from_anywhere_but_not_read_the_views() {
    let client = Client::new();
    let origin =
        [("origin", "https://shop.test"), ("access-control-request-headers", "content-type")];
    let preflight = client.send("OPTIONS", "/track/?verbose=1", &origin, "");
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.headers["access-control-allow-origin"], "https://shop.test");
    assert_eq!(preflight.headers["access-control-allow-headers"], "content-type");
    let sent = client.send("POST", "/track/", &origin, "data=e30");
    assert_eq!(sent.headers["access-control-allow-credentials"], "true");
    let view = client.send("GET", "/twin/v1/projects", &origin, "");
    assert!(!view.headers.contains_key("access-control-allow-origin"));
}
