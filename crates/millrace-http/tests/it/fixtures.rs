//! Recorded requests of the real SDKs, sent to the router byte for byte.

use std::path::PathBuf;

use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use millrace_model::event::Item;
use serde_json::Value;

use crate::recording::TestCollector;

const FOLDERS: [&str; 7] = [
    "segment-node",
    "segment-python",
    "segment-browser",
    "rudder-node",
    "rudder-python",
    "rudder-browser",
    "http-api",
];

/// The folder of recordings; nothing where it is not at hand, which only CI must have.
pub(crate) fn recordings() -> Option<PathBuf> {
    let shared = std::env::var_os("MILLRACE_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let sdk = shared.join("fixtures/sdk");
    if sdk.is_dir() {
        return Some(sdk);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "no fixtures in {}", sdk.display());
    println!("no fixtures in {}: nothing replayed", sdk.display());
    None
}

pub(crate) fn request_of(recorded: &Value) -> Request<Body> {
    let mut request = Request::builder()
        .method(recorded["method"].as_str().unwrap())
        .uri(recorded["target"].as_str().unwrap());
    for header in recorded["headers"].as_array().unwrap() {
        request = request.header(header[0].as_str().unwrap(), header[1].as_str().unwrap());
    }
    let body = base64::engine::general_purpose::STANDARD
        .decode(recorded["body_base64"].as_str().unwrap())
        .unwrap();
    request.body(Body::from(body)).unwrap()
}

/// Pixels answer with bytes: `pixels` replays them.
fn is_served(recorded: &Value) -> bool {
    !recorded["path"].as_str().unwrap().contains("/pixel/")
}

#[tokio::test]
async fn every_recorded_request_gets_the_answer_that_its_sdk_wants() {
    let Some(folder) = recordings() else { return };
    let collector = TestCollector::new();
    let (mut posts, mut preflights, mut questions) = (0, 0, 0);
    for name in FOLDERS {
        for file in std::fs::read_dir(folder.join(name)).unwrap() {
            let path = file.unwrap().path();
            let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let recorded = &json["request"];
            if !is_served(recorded) {
                continue;
            }
            let answered = collector.send(request_of(recorded)).await;
            let wanted = json["reply_given"]["status"].as_u64();
            let row = path.display();
            assert_eq!(
                Some(u64::from(answered.status.as_u16())),
                wanted,
                "{row}: {}",
                answered.body
            );
            let stored = collector.stored();
            if recorded["method"] == "OPTIONS" {
                preflights += 1;
                assert!(answered.header("access-control-allow-origin").is_some(), "{row}");
                assert!(stored.is_empty(), "{row}");
                continue;
            }
            if recorded["method"] == "GET" {
                questions += 1;
                assert!(serde_json::from_str::<Value>(&answered.body).is_ok(), "{row}");
                assert!(stored.is_empty(), "{row}");
                continue;
            }
            posts += 1;
            assert_eq!(answered.body, r#"{"success":true}"#, "{row}");
            let items = recorded["decoded"]["batch"].as_array().map_or(1, Vec::len);
            assert_eq!(stored.len(), items, "{row}");
            assert!(stored.iter().all(|item| matches!(item, Item::Event(_))), "{row}: {stored:?}");
        }
    }
    assert!(posts >= 30 && preflights >= 3 && questions >= 2, "{posts} {preflights} {questions}");
}
