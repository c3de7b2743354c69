//! Image requests: what is answered, and what is stored.

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use millrace_http::PeerAddress;
use millrace_model::code::Code;
use millrace_model::event::{Item, TimeSource};
use millrace_model::passage::Origin;
use millrace_model::time::UnixMillis;
use serde_json::{Value, json};

use crate::fixtures::{recordings, request_of};
use crate::recording::{KEY, NOW, TestCollector};

fn pixel(target: &str) -> Request<Body> {
    Request::get(target)
        .extension(PeerAddress("203.0.113.9".parse().unwrap()))
        .header("user-agent", "Mail/1.0")
        .body(Body::empty())
        .unwrap()
}

fn assert_image(headers: &HeaderMap, bytes: &[u8], about: &str) {
    let wanted = [
        ("content-type", "image/gif"),
        ("cache-control", "no-store, no-cache, must-revalidate"),
        ("pragma", "no-cache"),
        ("expires", "0"),
    ];
    for (name, value) in wanted {
        assert_eq!(headers.get(name).unwrap(), value, "{about}");
    }
    assert!(bytes.starts_with(b"GIF89a\x01\x00\x01\x00") && bytes.ends_with(b";"), "{about}");
    assert_eq!(bytes.len(), 43, "{about}");
}

#[tokio::test]
async fn every_form_is_stored_as_its_event() {
    let collector = TestCollector::new();
    let agent = json!({"userAgent": "Mail/1.0"});
    let table = [
        (
            format!(
                "/v1/pixel/track?wk={KEY}&e=Opened&uid=u&aid=a&p.a.b=1&t.plan=pro&ts=1795359000000&mid=m&cb=77"
            ),
            "track",
            json!({"event": "Opened", "userId": "u", "anonymousId": "a", "messageId": "m", "timestamp": 1_795_359_000_000_i64,
                   "properties": {"a": {"b": "1"}}, "traits": {"plan": "pro"}, "context": agent}),
        ),
        (
            format!("/v1/pixel/page?wk={KEY}&e=Home&aid=a"),
            "page",
            json!({"name": "Home", "anonymousId": "a", "context": agent}),
        ),
        (
            format!("/v1/pixel/identify.gif?wk={KEY}&uid=u"),
            "identify",
            json!({"userId": "u", "context": agent}),
        ),
        (
            format!("/v1/pixel/group?wk={KEY}&uid=u&gid=g"),
            "group",
            json!({"userId": "u", "groupId": "g", "context": agent}),
        ),
        (
            format!("/v1/pixel/alias?wk={KEY}&uid=u&pid=p"),
            "alias",
            json!({"userId": "u", "previousId": "p", "context": agent}),
        ),
        (
            format!("/pixel/v1/screen?writeKey={KEY}&userId=u&context.userAgent=own"),
            "screen",
            json!({"userId": "u", "context": {"userAgent": "own"}}),
        ),
    ];
    for (target, kind, wanted) in table {
        let (headers, bytes) = collector.send_bytes(pixel(&target)).await;
        assert_image(&headers, &bytes, &target);
        let event = collector.stored_event();
        assert_eq!((event.kind.as_str(), event.passage.origin), (kind, Origin::Pixel), "{target}");
        let body: Value = serde_json::from_slice(&event.body).unwrap();
        assert_eq!(body, wanted, "{target}");
        assert_eq!(event.facts.client_ip.as_deref(), Some("203.0.113.9"));
        if let Some(id) = wanted["messageId"].as_str() {
            assert_eq!(event.facts.message_id, id);
            assert_eq!(
                (event.facts.time, event.facts.time_source),
                (UnixMillis(1_795_359_000_000), TimeSource::Client)
            );
        } else {
            assert_eq!(event.facts.time, NOW);
        }
    }
}

#[tokio::test]
async fn the_image_comes_whatever_is_wrong() {
    let collector = TestCollector::new();
    let table = [
        ("/v1/pixel/track?wk=nobody&e=e".to_owned(), None),
        ("/v1/pixel/track?e=e".to_owned(), None),
        ("/v1/pixel/track".to_owned(), None),
        (format!("/v1/pixel/merge?wk={KEY}"), None),
        ("/v1/pixel/%ff?wk=k".to_owned(), None),
        ("/v1/pixel/track?data=%25%25".to_owned(), None),
        (format!("/v1/pixel/track?writeKey={KEY}&data=%25%25"), Some(Code::BadPixel)),
        (format!("/v1/pixel/track?writeKey={KEY}&data=aGVsbG8"), Some(Code::BadPixel)),
        (format!("/v1/pixel/track?wk={KEY}&{}", "p.a=1&".repeat(300)), Some(Code::BadPixel)),
        (format!("/v1/pixel/track?wk={KEY}&uid=u"), Some(Code::NoEventName)),
    ];
    for (target, aside) in table {
        let (headers, bytes) = collector.send_bytes(pixel(&target)).await;
        assert_image(&headers, &bytes, &target);
        let stored = collector.stored();
        assert_eq!(stored.len(), usize::from(aside.is_some()), "{target}");
        if let Some(code) = aside {
            let Some(Item::SetAside(aside)) = stored.first() else {
                panic!("{target}: {stored:?}")
            };
            assert_eq!(aside.code, code, "{target}");
            assert_eq!(aside.kind.map(|kind| kind.as_str()), Some("track"));
            let kept = String::from_utf8_lossy(&aside.body);
            assert!(!kept.contains(KEY), "{target}: {kept}");
        }
    }
}

#[tokio::test]
async fn an_overloaded_collector_shows_the_image_too() {
    let collector = TestCollector::new();
    collector.intake.refuse(millrace_model::intake::AdmitError::ShuttingDown);
    let (headers, bytes) = collector.send_bytes(pixel(&format!("/v1/pixel/page?wk={KEY}"))).await;
    assert_image(&headers, &bytes, "stopping");
}

#[tokio::test]
async fn the_recorded_pixels_give_their_events() {
    let Some(folder) = recordings() else { return };
    let collector = TestCollector::new();
    let agent = json!({"userAgent": "node"});
    let wanted = [
        (
            "5.json",
            json!({"userId": "px-user", "event": "Email Opened", "properties": {"subject": "Hi"}, "context": agent}),
        ),
        (
            "6.json",
            json!({"userId": "px-user", "event": "Opened", "properties": {"subject": "Hi"},
                   "context": {"page": {"url": "https://e.com/"}, "userAgent": "node"}}),
        ),
    ];
    for (name, wanted) in wanted {
        let file = std::fs::read(folder.join("http-api").join(name)).unwrap();
        let recorded: Value = serde_json::from_slice(&file).unwrap();
        let (headers, bytes) = collector.send_bytes(request_of(&recorded["request"])).await;
        assert_image(&headers, &bytes, name);
        let body: Value = serde_json::from_slice(&collector.stored_event().body).unwrap();
        assert_eq!(body, wanted, "{name}");
    }
}
