//! Adobe's Edge Network API: what its clients need to hear, and what is stored.

mod refusals;
mod visitors;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use base64::Engine;
use millrace_http::{AdobeOptions, CollectorOptions, PipelineOptions, RateLimits, WriteKey};
use millrace_model::disposition::FilterReason;
use millrace_model::event::{Event, Item};
use millrace_model::intake::AdmitError;
use millrace_model::passage::Origin;
use millrace_model::secret::Secret;
use millrace_protocol::edge::{cookie_of_ecid, ecid_of_fpid};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::{recordings, request_of};
use crate::recording::{Answered, TestCollector, posting};

const ORGANISATION: &str = "FAKEORG0001@AdobeOrg";
const COOKIE: &str = "kndctr_FAKEORG0001_AdobeOrg_identity";
const ECID: &str = "31415926535897932384626433832795028841";
const INTERACT: &str = "/ee/v1/interact?configId=fake-datastream-0001&requestId=r-1";
const PAGE: &str = "https://www.shop.example";

fn pipeline(id: &str, adobe: AdobeOptions) -> PipelineOptions {
    PipelineOptions { adobe, ..PipelineOptions::new(id.parse().unwrap()) }
}

fn web() -> AdobeOptions {
    AdobeOptions {
        datastreams: vec![WriteKey::active("fake-datastream-0001")],
        disabled_datastreams: vec!["off".to_owned()],
        organisation: Some(ORGANISATION.to_owned()),
        ..AdobeOptions::default()
    }
}

fn with(pipelines: Vec<PipelineOptions>) -> TestCollector {
    let mut options = CollectorOptions { pipelines, ..CollectorOptions::default() };
    options.limits.body_bytes = 64 << 10;
    options.limits.batch_events = 3;
    options.limits.event_bytes = 4 << 10;
    TestCollector::of(options)
}

fn edge() -> TestCollector {
    with(vec![pipeline("web", web())])
}

async fn post(collector: &TestCollector, path: &str, body: &Value) -> Answered {
    let request = posting(path).header("origin", PAGE).header("content-type", "text/plain");
    collector.send(request.body(Body::from(body.to_string())).unwrap()).await
}

fn json_of(answered: &Answered) -> Value {
    serde_json::from_str(&answered.body).unwrap_or_else(|_| panic!("{}", answered.body))
}

/// The payload of the handle of that type.
fn handle(answered: &Answered, kind: &str) -> Option<Value> {
    let body = json_of(answered);
    let handles = body["handle"].as_array().unwrap().clone();
    handles
        .into_iter()
        .find(|handle| handle["type"] == kind)
        .map(|handle| handle["payload"].clone())
}

fn ecid(answered: &Answered) -> Option<String> {
    let payload = handle(answered, "identity:result")?;
    assert_eq!(payload[0]["namespace"]["code"], "ECID");
    payload[0]["id"].as_str().map(str::to_owned)
}

fn events(collector: &TestCollector) -> Vec<Event> {
    let event = |item| match item {
        Item::Event(event) => event,
        other => panic!("{other:?}"),
    };
    collector.stored().into_iter().map(event).collect()
}

fn body_of(event: &Event) -> Value {
    serde_json::from_slice(&event.body).unwrap()
}

fn one_event() -> Value {
    json!({"events": [{"xdm": {"eventType": "e"}}]})
}

#[tokio::test]
async fn every_recorded_request_gets_what_its_client_needs() {
    let Some(folder) = recordings() else { return };
    let (mut replayed, mut stored) = (0, 0);
    for name in ["alloy", "adobe-edge-api"] {
        for file in std::fs::read_dir(folder.join(name)).unwrap() {
            let path = file.unwrap().path();
            let recording: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let row = path.display();
            let collector = edge();
            let answered = collector.send(request_of(&recording["request"])).await;
            let given = &recording["reply_given"];
            assert_eq!(
                json!(answered.status.as_u16()),
                given["status"],
                "{row}: {}",
                answered.body
            );
            match answered.status {
                StatusCode::NO_CONTENT => assert_eq!(answered.body, "", "{row}"),
                StatusCode::ACCEPTED => assert!(json_of(&answered)["requestId"].is_string()),
                _ => check_reply(&answered, &recording["request"], &row.to_string()),
            }
            if recording["request"]["headers"].to_string().contains("origin") {
                assert_eq!(answered.header("access-control-allow-credentials"), Some("true"));
                let exposed = answered.header("access-control-expose-headers");
                assert_eq!(exposed, Some("Retry-After, x-adobe-edge"), "{row}");
            }
            stored += check_events(
                &collector,
                &recording["request"],
                ecid_told(&answered).as_deref(),
                &row.to_string(),
            );
            replayed += 1;
        }
    }
    assert_eq!((replayed, stored), (14, 14));
}

fn ecid_told(answered: &Answered) -> Option<String> {
    if answered.status == StatusCode::OK { ecid(answered) } else { None }
}

/// The handles that the Web SDK needs, and the id that it sent.
fn check_reply(answered: &Answered, request: &Value, row: &str) {
    let told = ecid(answered).unwrap();
    assert!(told.len() == 38 && told.bytes().all(|byte| byte.is_ascii_digit()), "{row}: {told}");
    let sent = String::from_utf8_lossy(&body_bytes(request)).into_owned();
    if sent.contains(ECID) || sent.contains(&cookie_of_ecid(ECID)) {
        assert_eq!(told, ECID, "{row}");
    }
    let stored = handle(answered, "state:store").unwrap();
    let cookie = json!({
        "key": COOKIE, "value": cookie_of_ecid(&told), "maxAge": 34_128_000, "attrs": {"SameSite": "Lax"},
    });
    assert_eq!(stored, json!([cookie]), "{row}");
    let body = json_of(answered);
    let id = body["requestId"].as_str().unwrap();
    let asked = request["query"]["requestId"].as_str().unwrap();
    let (head, tail) = id.rsplit_once('-').unwrap();
    assert_eq!((head, tail.len()), (asked, 16), "{row}");
    assert_eq!(answered.header("x-request-id"), Some(id), "{row}");
}

fn body_bytes(request: &Value) -> Vec<u8> {
    let encoded = request["body_base64"].as_str().unwrap();
    base64::engine::general_purpose::STANDARD.decode(encoded).unwrap()
}

/// Every event that was sent is stored with everything in it.
fn check_events(
    collector: &TestCollector,
    request: &Value,
    told: Option<&str>,
    row: &str,
) -> usize {
    let sent: Value = serde_json::from_slice(&body_bytes(request)).unwrap();
    let sent: Vec<&Value> = match (&sent["events"], &sent["event"]) {
        (Value::Array(events), _) => events.iter().collect(),
        (_, Value::Object(_)) => vec![&sent["event"]],
        _ => Vec::new(),
    };
    let stored = events(collector);
    assert_eq!(stored.len(), sent.len(), "{row}");
    for (event, sent) in stored.iter().zip(sent) {
        let body = body_of(event);
        for (name, value) in sent.as_object().unwrap() {
            assert_eq!(&body[name], value, "{row}: {name}");
        }
        let map = &sent["xdm"]["identityMap"];
        assert_eq!(event.passage.origin, Origin::Edge, "{row}");
        assert_eq!(body["event"], sent["xdm"]["eventType"], "{row}");
        assert_eq!(body["type"], "track", "{row}");
        assert_eq!(body.get("userId"), map["CRMID"][0].get("id"), "{row}");
        let own = map["ECID"][0]["id"].as_str().map(str::to_owned);
        let made = map["FPID"][0]["id"].as_str().map(ecid_of_fpid);
        // A beacon is told nothing, but its body carries the cookie.
        let device = own.or(made).or_else(|| told.map(str::to_owned)).or(Some(ECID.to_owned()));
        assert_eq!(body["anonymousId"].as_str().map(str::to_owned), device, "{row}");
        let device = request["headers"].to_string().contains("origin");
        assert_eq!(body["context"]["userAgent"].is_string(), device, "{row}");
    }
    stored.len()
}

#[tokio::test]
async fn a_datastream_says_which_pipeline_it_is() {
    let stream = |id: &str| AdobeOptions {
        datastreams: vec![WriteKey::active(id)],
        ..AdobeOptions::default()
    };
    let mut production = stream("shop:prod");
    production.base_path = Some("shop/edge".to_owned());
    let collector = with(vec![
        pipeline("dev", stream("shop:dev")),
        pipeline("stage", stream("shop:stage")),
        pipeline("prod", production),
    ]);
    for (path, wanted) in [
        ("/ee/v1/interact?configId=shop%3Adev", "dev"),
        ("/ee/irl1/v1/interact?configId=shop:stage", "stage"),
        ("/shop/edge/v1/interact?configId=shop:prod", "prod"),
        ("/shop/edge/va6/v1/collect/?configId=shop:prod", "prod"),
        ("/ee/v2/interact?dataStreamId=shop:prod", "prod"),
    ] {
        let answered = post(&collector, path, &one_event()).await;
        assert!(answered.status.is_success(), "{path}: {}", answered.body);
        let batches = collector.intake.take();
        assert_eq!(batches[0].pipeline.as_str(), wanted, "{path}");
        if answered.status == StatusCode::OK {
            // Without an organisation the cookie has no name.
            assert_eq!(handle(&answered, "state:store"), None);
        }
    }
    let server =
        posting("/ee/v2/interact?datastreamId=shop:dev").header("x-gw-ims-org-id", "A@AdobeOrg");
    let answered = collector.send(server.body(Body::from(one_event().to_string())).unwrap()).await;
    let stored = handle(&answered, "state:store").unwrap();
    assert_eq!(stored[0]["key"], "kndctr_A_AdobeOrg_identity");
}

#[tokio::test]
async fn personalisation_is_filtered_unless_it_is_wanted() {
    let body = json!({"events": [{"xdm": {"eventType": "decisioning.propositionDisplay"}}]});
    for keep_decisioning in [false, true] {
        let collector = with(vec![pipeline("web", AdobeOptions { keep_decisioning, ..web() })]);
        let answered = post(&collector, INTERACT, &body).await;
        assert!(ecid(&answered).is_some());
        match collector.stored().pop() {
            Some(Item::Filtered(filtered)) => {
                assert!(!keep_decisioning);
                assert_eq!(filtered.reason, FilterReason::DropRule);
            }
            Some(Item::Event(_)) => assert!(keep_decisioning),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn media_preflights_and_other_paths_are_answered() {
    let collector = edge();
    let asking = |method: Method, path: &str| {
        Request::builder()
            .method(method)
            .uri(path)
            .header("origin", PAGE)
            .header("access-control-request-headers", "x-adobe-test")
            .body(Body::empty())
            .unwrap()
    };
    for (method, path, status) in [
        (Method::POST, "/ee/va/v1/sessionStart?configId=x", 204),
        (Method::OPTIONS, INTERACT, 204),
        (Method::OPTIONS, "/ee/irl1/v1/identity/acquire", 204),
        (Method::GET, INTERACT, 405),
        (Method::POST, "/ee/v1/unknown", 404),
        (Method::POST, "/eee/v1/interact", 404),
    ] {
        let answered = collector.send(asking(method.clone(), path)).await;
        assert_eq!(answered.status.as_u16(), status, "{method} {path}");
        assert_eq!(answered.header("access-control-allow-origin"), Some(PAGE), "{method} {path}");
        assert_eq!(answered.header("access-control-allow-credentials"), Some("true"));
    }
    assert!(collector.stored().is_empty());
}
