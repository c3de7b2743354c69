//! What Mixpanel's SDKs hear when something is not as it should be: no good record is lost, and none
//! of them sends the same again for ever.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use millrace_http::{CollectorOptions, MixpanelAccess, PipelineOptions, WriteKey};
use millrace_model::code::Code;
use millrace_model::event::{Event, EventKind, Item};
use millrace_model::intake::AdmitError;
use millrace_protocol::Limits;
use serde_json::{Value, json};

use crate::recording::{Answered, KEY, TestCollector, basic, gzip, posting, track};

const GOOD: &str = r#"{"event":"ok","properties":{"token":"t1","distinct_id":"u"}}"#;
const BAD: &str = r#"{"properties":{"token":"t1","$insert_id":"i-9"}}"#;
const GOOD_PROFILE: &str = r#"{"$token":"t1","$distinct_id":"u","$set":{"a":1}}"#;

fn collector() -> TestCollector {
    with_limits(Limits::default())
}

fn with_limits(limits: Limits) -> TestCollector {
    let pipeline = |id: &str, tokens: Vec<WriteKey>, key: &str| PipelineOptions {
        write_keys: vec![WriteKey::active(key)],
        mixpanel: MixpanelAccess {
            tokens,
            api_secrets: vec![WriteKey::active(format!("{id}-secret"))],
            service_accounts: vec![WriteKey::active(format!("{id}.sa:pass"))],
        },
        ..PipelineOptions::new(id.parse().unwrap())
    };
    let old = WriteKey::active("t-old").revoked();
    TestCollector::of(CollectorOptions {
        pipelines: vec![
            pipeline("dev", vec![WriteKey::active("t1"), old], KEY),
            pipeline("other", vec![WriteKey::active("t2")], "k2"),
        ],
        limits,
        ..CollectorOptions::default()
    })
}

async fn post(collector: &TestCollector, path: &str, body: impl Into<Body>) -> Answered {
    collector.send(posting(path).body(body.into()).unwrap()).await
}

async fn get(collector: &TestCollector, path: &str) -> Answered {
    collector.send(Request::get(path).body(Body::empty()).unwrap()).await
}

/// The items of all batches, each with its pipeline.
fn stored(collector: &TestCollector) -> Vec<(String, Item)> {
    let batches = collector.intake.take().into_iter();
    batches
        .flat_map(|batch| {
            let pipeline = batch.pipeline.to_string();
            batch.items.into_iter().map(move |item| (pipeline.clone(), item))
        })
        .collect()
}

fn code_of(item: &Item) -> Option<Code> {
    match item {
        Item::SetAside(aside) => Some(aside.code),
        _ => None,
    }
}

#[tokio::test]
async fn a_bad_record_costs_itself() {
    let collector = collector();
    let two = format!("[{GOOD},{BAD}]");
    // path, body, wanted status and body
    let words = "'event' must not be missing or blank";
    let failed = json!({"index": 1, "insert_id": "i-9", "$insert_id": "i-9", "field": "event",
        "message": words});
    let table = [
        ("/track", two.clone(), 200, json!("1")),
        ("/track/?verbose=1", two.clone(), 200, json!({"status": 1, "error": null})),
        ("/track", BAD.to_owned(), 200, json!("0")),
        ("/track?verbose=1", BAD.to_owned(), 200, json!({"status": 0, "error": words})),
        ("/track?strict=1", two.clone(), 200, json!("1")),
        (
            "/import?strict=1",
            two.clone(),
            400,
            json!({"code": 400, "error": "some data points in the request failed validation",
                "failed_records": [failed], "num_records_imported": 1, "status": "Bad Request"}),
        ),
        (
            "/import?strict=1",
            format!("{GOOD}\n{GOOD}"),
            200,
            json!({"code": 200, "num_records_imported": 2, "status": "OK"}),
        ),
        ("/import", format!("data={two}"), 200, json!("1")),
        ("/import?verbose=1", format!("data={two}"), 200, json!({"status": 1, "error": null})),
        (
            "/engage?strict=1",
            GOOD_PROFILE.to_owned(),
            200,
            json!({"code": 200, "error": null, "num_good_events": 1, "status": 1}),
        ),
        ("/engage", format!("[{GOOD_PROFILE},7]"), 200, json!("1")),
        ("/groups", GOOD_PROFILE.to_owned(), 200, json!("0")),
        ("/track", "[]".to_owned(), 200, json!("1")),
    ];
    for (path, body, status, wanted) in table {
        let answered = post(&collector, path, body.clone()).await;
        assert_eq!(answered.status.as_u16(), status, "{path} {body}: {}", answered.body);
        let said: Value = match wanted {
            Value::String(_) => json!(answered.body),
            _ => serde_json::from_str(&answered.body).unwrap(),
        };
        assert_eq!(said, wanted, "{path} {body}");
        for (_, item) in stored(&collector) {
            let Item::SetAside(aside) = item else { continue };
            assert!(!String::from_utf8_lossy(&aside.body).contains("t1"), "{aside:?}");
        }
    }
}

#[tokio::test]
async fn a_body_that_nobody_can_read_is_nothing_under_200() {
    let collector = collector();
    for body in ["", "[{", "data=%%%", "verbose=1", "hello"] {
        let answered = post(&collector, "/track", body).await;
        // One of them asks for JSON.
        let nothing = answered.body == "0" || answered.body.ends_with("\"status\":0}");
        assert!(answered.status == StatusCode::OK && nothing, "{body}: {}", answered.body);
        let answered = post(&collector, "/engage?verbose=1", body).await;
        let said: Value = serde_json::from_str(&answered.body).unwrap();
        assert_eq!((answered.status, &said["status"]), (StatusCode::OK, &json!(0)), "{body}");
        assert!(said["error"].is_string());
    }
    let answered = post(&collector, "/import", "[{").await;
    let said: Value = serde_json::from_str(&answered.body).unwrap();
    assert_eq!((answered.status.as_u16(), &said["code"]), (400, &json!(400)));
    assert!(stored(&collector).is_empty());
}

#[tokio::test]
async fn tokens_say_the_pipeline() {
    let collector = collector();
    let event = |token: &str| {
        json!({"event": "e", "properties": {"token": token, "distinct_id": "u"}}).to_string()
    };
    // Records of one body go where each of them belongs; one of an unknown token costs itself.
    let mixed = format!("[{},{},{},{}]", event("t1"), event("t2"), event("nope"), event("t1"));
    assert_eq!(post(&collector, "/track", mixed).await.body, "1");
    let items = stored(&collector);
    let places: Vec<_> = items.iter().map(|(id, item)| (id.as_str(), code_of(item))).collect();
    assert_eq!(
        places,
        [("dev", None), ("dev", Some(Code::UnknownToken)), ("dev", None), ("other", None)]
    );
    // None of the tokens is known.
    for body in [event("nope"), format!("[{},{}]", event("nope"), event("no"))] {
        let answered = post(&collector, "/track?verbose=1", body).await;
        let said: Value = serde_json::from_str(&answered.body).unwrap();
        assert_eq!((answered.status.as_u16(), &said["status"]), (401, &json!(0)), "{said}");
        assert!(!answered.body.contains("nope"));
    }
    // No token at all is a broken call, in Mixpanel's words.
    for (path, body, words) in [
        ("/track", r#"{"event":"e"}"#, "token, missing or empty"),
        ("/engage", r#"{"$distinct_id":"u","$set":{"a":1}}"#, "$token, missing or empty"),
    ] {
        let answered = post(&collector, &format!("{path}?verbose=1"), body).await;
        let said: Value = serde_json::from_str(&answered.body).unwrap();
        assert_eq!(answered.status, StatusCode::OK);
        assert_eq!(said, json!({"status": 0, "error": words}));
    }
    assert!(stored(&collector).is_empty());
    // A revoked one is answered well, and everything is set aside.
    let answered =
        post(&collector, "/track", format!("[{},{}]", event("t-old"), event("t1"))).await;
    assert_eq!((answered.status.as_u16(), answered.body.as_str()), (200, "1"));
    let codes: Vec<_> = stored(&collector).iter().map(|(_, item)| code_of(item)).collect();
    assert_eq!(codes, [Some(Code::RevokedWriteKey), None]);
}

#[tokio::test]
async fn basic_authorization_decides_on_import_alone() {
    let bare =
        r#"{"event":"e","properties":{"distinct_id":"u","time":1760000000,"$insert_id":"i"}}"#;
    for (credentials, wanted) in [
        ("t1:", Some("dev")),
        ("other-secret:", Some("other")),
        ("other.sa:pass", Some("other")),
        ("other.sa:wrong", None),
        ("nobody:", None),
        ("t1:t1", None),
    ] {
        let collector = collector();
        let request = posting("/import?strict=1").header("authorization", basic(credentials));
        let answered = collector.send(request.body(Body::from(format!("[{bare}]"))).unwrap()).await;
        let place = stored(&collector).pop().map(|(pipeline, _)| pipeline);
        assert_eq!(place.as_deref(), wanted, "{credentials}");
        let said: Value = serde_json::from_str(&answered.body).unwrap();
        if wanted.is_none() {
            assert_eq!(answered.status.as_u16(), 401, "{credentials}");
            assert_eq!(
                said,
                json!({"code": 401, "error": "Invalid credentials", "status": "Unauthorized"})
            );
        } else {
            assert_eq!(said, json!({"code": 200, "num_records_imported": 1, "status": "OK"}));
        }
        // On other paths it means nothing.
        let request = posting("/track").header("authorization", basic(credentials));
        let answered = collector.send(request.body(Body::from(GOOD)).unwrap()).await;
        assert_eq!(answered.body, "1", "{credentials}");
    }
}

#[tokio::test]
async fn trouble_is_503_and_too_much_is_413() {
    let collector = collector();
    collector.intake.refuse(AdmitError::Overloaded { retry_after: Duration::from_secs(2) });
    for path in ["/track?verbose=1", "/track", "/import?strict=1", "/engage", "/groups"] {
        let request = posting(path).header("origin", "https://shop.example");
        let body = if path.starts_with("/g") {
            r#"{"$token":"t1","$group_key":"k","$group_id":"g","$set":{"a":1}}"#
        } else if path.starts_with("/e") {
            GOOD_PROFILE
        } else {
            GOOD
        };
        let answered = collector.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answered.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(answered.header("retry-after"), Some("2"), "{path}");
        assert_eq!(answered.header("access-control-allow-origin"), Some("https://shop.example"));
        let said: Value = serde_json::from_str(&answered.body).unwrap();
        assert!(said["error"].is_string() && said["status"] != 1, "{said}");
    }
    let small = with_limits(Limits { body_bytes: 100, batch_events: 2, ..Limits::default() });
    let many = r#"[{"event":"a"},{"event":"a"},{"event":"a"}]"#;
    for body in [many.to_owned(), "x".repeat(101)] {
        let answered = post(&small, "/track/?verbose=1", body).await;
        assert_eq!(answered.status, StatusCode::PAYLOAD_TOO_LARGE);
        let said: Value = serde_json::from_str(&answered.body).unwrap();
        assert_eq!(said["status"], 0);
    }
    assert!(stored(&small).is_empty());
}

#[tokio::test]
async fn answers_come_as_image_or_script_where_asked_for() {
    let collector = collector();
    let data = "data=".to_owned() + &percent_encoding(GOOD);
    let image = Request::get(format!("/track/?{data}&img=1")).body(Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(collector.router.clone(), image).await.unwrap();
    assert_eq!(response.headers()["content-type"], "image/gif");
    for (query, wanted) in [
        ("callback=mixpanel._jsc", "mixpanel._jsc(1);"),
        ("callback=cb&verbose=1", "cb({\"status\":1,\"error\":null});"),
        // What is no name of a function is not repeated.
        ("callback=alert(1)//", "1"),
        // Where a link leads is not for anybody to say.
        ("redirect=https://evil.example", "1"),
    ] {
        let answered = get(&collector, &format!("/track?{data}&{query}")).await;
        assert_eq!((answered.status.as_u16(), answered.body.as_str()), (200, wanted), "{query}");
        let is_script = answered.header("content-type").unwrap().starts_with("text/javascript");
        assert_eq!(is_script, wanted.ends_with(");"), "{query}");
    }
    assert_eq!(stored(&collector).len(), 5);
}

fn percent_encoding(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn what_sdks_ask_beside_their_calls_is_answered_and_kept_nowhere() {
    let collector = collector();
    for (path, wanted) in [
        ("/settings/?$lib_version=2.83.0&mp_lib=web&sdk_config=1", "{}"),
        ("/flags/?context=%7B%7D&token=t1", "{\"flags\":{}}"),
        ("/decide?version=1&token=t1", "{\"notifications\":[],\"config\":{}}"),
    ] {
        let answered = get(&collector, path).await;
        assert_eq!((answered.status.as_u16(), answered.body.as_str()), (200, wanted), "{path}");
    }
    let recording = gzip(&[b'x'; 5_000]);
    let answered = post(&collector, "/record/?replay_id=1&seq=0&format=gzip", recording).await;
    assert_eq!(
        (answered.status.as_u16(), answered.body.as_str()),
        (200, "{\"code\":200,\"status\":\"OK\"}")
    );
    assert!(stored(&collector).is_empty());
    for path in ["/track/", "/engage", "/groups/", "/import", "/record/", "/settings/", "/flags/"] {
        let request = Request::builder()
            .method(Method::OPTIONS)
            .uri(path)
            .header("origin", "https://shop.example")
            .header("access-control-request-headers", "authorization");
        let answered = collector.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answered.status, StatusCode::NO_CONTENT, "{path}");
        assert_eq!(answered.header("access-control-allow-headers"), Some("authorization"));
    }
}

#[tokio::test]
async fn the_cookie_of_a_page_is_offered_to_blueprints() {
    let cookie = |token: &str| {
        format!(
            "a=b; mp_{token}_mixpanel=%7B%22distinct_id%22%3A%22%24device%3Ad1%22%2C%22%24device_id%22%3A%22d1%22%7D; c=d"
        )
    };
    let send = async |token: &str, key: &str| -> Event {
        let collector = collector();
        let request = posting("/v1/track")
            .header("authorization", basic(&format!("{key}:")))
            .header("cookie", cookie(token));
        let body = track(r#","context":{"locale":"de"}"#);
        let answered = collector.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answered.status, StatusCode::OK);
        collector.stored_event()
    };
    let context = |event: &Event| -> Value {
        serde_json::from_slice::<Value>(&event.body).unwrap()["context"].clone()
    };
    let event = send("t1", KEY).await;
    assert_eq!(event.kind, EventKind::Track);
    let ids = json!({"distinct_id": "$device:d1", "device_id": "d1"});
    assert_eq!(context(&event), json!({"locale": "de", "mixpanel": ids}));
    // Only that of a token of this pipeline.
    for (token, key) in [("t2", KEY), ("t1", "k2"), ("zzz", KEY)] {
        assert_eq!(context(&send(token, key).await), json!({"locale": "de"}), "{token} {key}");
    }
}
