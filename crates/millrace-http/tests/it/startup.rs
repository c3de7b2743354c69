//! What browser SDKs ask before they send.

use axum::body::Body;
use axum::http::Request;
use millrace_model::code::Code;
use serde_json::{Value, json};

use crate::recording::{KEY, TestCollector, basic};

async fn settings(headers: &[(&str, &str)]) -> Value {
    let mut request = Request::builder().uri(format!("/v1/projects/{KEY}/settings"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answered = TestCollector::new().send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answered.status.as_u16(), 200);
    let settings: Value = serde_json::from_str(&answered.body).unwrap();
    let integrations = settings["integrations"].as_object().unwrap();
    assert_eq!(integrations.len(), 1, "any other name makes the SDK load a plug-in");
    integrations["Segment.io"].clone()
}

#[tokio::test]
async fn segments_settings_lead_back_to_the_host_that_was_asked() {
    let host = ("host", "collect.example.com");
    let local = ("host", "127.0.0.1:8080");
    let table: [(&[(&str, &str)], _); 5] = [
        (&[], None),
        (&[host], Some(("collect.example.com/v1", "http"))),
        (&[host, ("origin", "https://a.example")], Some(("collect.example.com/v1", "https"))),
        (&[host, ("x-forwarded-proto", "https")], Some(("collect.example.com/v1", "https"))),
        (&[local, ("origin", "http://localhost:3000")], Some(("127.0.0.1:8080/v1", "http"))),
    ];
    for (headers, wanted) in table {
        let segment = settings(headers).await;
        assert_eq!(segment["apiKey"], KEY);
        let told = segment["apiHost"].as_str().zip(segment["protocol"].as_str());
        assert_eq!(told, wanted, "{headers:?}");
    }
}

#[tokio::test]
async fn rudders_source_config_is_valid_and_asks_for_nothing_more() {
    let collector = TestCollector::new();
    for request in [
        Request::builder().uri("/sourceConfig/?p=npm").header("authorization", basic(KEY)),
        Request::builder().uri("/sourceConfig?writeKey=dev-write-key"),
    ] {
        let answered = collector.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answered.status.as_u16(), 200);
        let source = &serde_json::from_str::<Value>(&answered.body).unwrap()["source"];
        assert_eq!((&source["id"], &source["enabled"]), (&json!("dev"), &json!(true)));
        assert_eq!(source["destinations"], json!([]));
        assert_eq!(source["config"]["statsCollection"]["metrics"]["enabled"], false);
        assert!(!answered.body.contains(KEY));
    }
}

#[tokio::test]
async fn an_unknown_key_gets_no_settings() {
    let collector = TestCollector::new();
    let table = [
        ("/v1/projects/wrong/settings", Code::UnknownWriteKey),
        ("/sourceConfig/?writeKey=wrong", Code::UnknownWriteKey),
        ("/sourceConfig/", Code::MissingWriteKey),
        ("/v1/projects/%ff/settings", Code::UnknownWriteKey),
    ];
    for (path, code) in table {
        let request = Request::builder().uri(path).header("origin", "https://shop.example");
        let answered = collector.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answered.status.as_u16(), answered.code()), (401, Some(code)), "{path}");
        assert!(answered.header("access-control-allow-origin").is_some(), "{path}");
    }
}
