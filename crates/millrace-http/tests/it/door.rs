//! The door of a pipeline: origins, rates and quotas, other paths, new settings while it answers,
//! and what is counted.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use futures_util::StreamExt;
use http_body_util::StreamBody;
use hyper::body::Frame;
use millrace_http::{CollectorOptions, Origins, OtherPaths, PipelineOptions, RateLimits, WriteKey};
use millrace_model::code::Code;
use millrace_model::event::Item;
use millrace_model::intake::AdmitError;

use crate::recording::{Answered, TestCollector, basic, posting, track};

const LISTED: &str = "https://www.shop.example";
const STRANGER: &str = "https://evil.example";

fn pipeline(id: &str, keys: &[&str]) -> PipelineOptions {
    PipelineOptions {
        write_keys: keys.iter().map(|key| WriteKey::active(*key)).collect(),
        ..PipelineOptions::new(id.parse().unwrap())
    }
}

fn collector(pipelines: Vec<PipelineOptions>) -> TestCollector {
    TestCollector::of(CollectorOptions { pipelines, ..CollectorOptions::default() })
}

fn listing() -> TestCollector {
    let mut shop = pipeline("shop", &["shop-key"]);
    shop.origins.allow("https://*.shop.example").unwrap();
    shop.mixpanel.tokens = vec![WriteKey::active("shop-token")];
    shop.adobe.datastreams = vec![WriteKey::active("shop-stream")];
    let mut strict = pipeline("strict", &["strict-key"]);
    strict.origins.require();
    collector(vec![shop, strict, pipeline("open", &["open-key"])])
}

async fn post_as(collector: &TestCollector, key: &str, body: &str) -> Answered {
    let request = posting("/v1/batch").header("authorization", basic(key));
    collector.send(request.body(body.to_owned().into()).unwrap()).await
}

fn batch(events: usize) -> String {
    let events = vec![r#"{"type":"track","userId":"u","event":"e"}"#; events];
    format!(r#"{{"batch":[{}]}}"#, events.join(","))
}

#[tokio::test]
async fn only_the_pages_of_the_list_may_send() {
    let collector = listing();
    // key, in the body or the header, origin, status
    let table = [
        ("shop-key", false, Some(LISTED), 200),
        ("shop-key", true, Some(LISTED), 200),
        ("shop-key", false, Some(STRANGER), 403),
        ("shop-key", true, Some(STRANGER), 403),
        ("shop-key", false, Some("null"), 403),
        ("shop-key", false, None, 200),
        ("open-key", false, Some(STRANGER), 200),
        ("open-key", false, Some("null"), 200),
        ("strict-key", false, Some(STRANGER), 200),
        ("strict-key", true, None, 403),
    ];
    for (key, in_body, origin, status) in table {
        let mut request = posting("/v1/track");
        let mut body = track("");
        if in_body {
            body = track(&format!(r#","writeKey":"{key}""#));
        } else {
            request = request.header("authorization", basic(key));
        }
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let answered = collector.send(request.body(body.into()).unwrap()).await;
        let row = format!("{key} {in_body} {origin:?}");
        assert_eq!(answered.status.as_u16(), status, "{row}");
        assert_eq!(answered.header("vary"), Some("Origin"), "{row}");
        let readable = origin.filter(|_| status == 200);
        assert_eq!(answered.header("access-control-allow-origin"), readable, "{row}");
        let credentials = readable.map(|_| "true");
        assert_eq!(answered.header("access-control-allow-credentials"), credentials, "{row}");
        assert_eq!(collector.stored().len(), usize::from(status == 200), "{row}");
        if status == 403 {
            assert_eq!(answered.code(), Some(Code::OriginRefused), "{row}");
        }
    }
}

#[tokio::test]
async fn a_preflight_is_judged_by_what_its_address_says() {
    let collector = listing();
    for (path, origin, status) in [
        ("/v1/track", STRANGER, 204),
        ("/beacon/v1/batch?writeKey=shop-key", STRANGER, 403),
        ("/beacon/v1/batch?writeKey=shop-key", LISTED, 204),
        ("/beacon/v1/batch?writeKey=unknown", STRANGER, 204),
        ("/v1/projects/shop-key/settings", STRANGER, 403),
        ("/v1/projects/shop-key/settings", LISTED, 204),
        ("/flags/?context=%7B%7D&token=shop-token&mp_lib=web", STRANGER, 403),
        ("/flags/?context=%7B%7D&token=shop-token&mp_lib=web", LISTED, 204),
        ("/flags/?token=unknown", STRANGER, 204),
        ("/settings/?mp_lib=web", STRANGER, 204),
        ("/ee/v1/interact?configId=shop-stream", STRANGER, 403),
        ("/ee/irl1/v2/collect?datastreamId=shop-stream", LISTED, 204),
        ("/ee/v1/interact?configId=unknown", STRANGER, 204),
    ] {
        let request = Request::builder().method(Method::OPTIONS).uri(path).header("origin", origin);
        let answered = collector.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answered.status.as_u16(), status, "{path} {origin}");
        let readable = Some(origin).filter(|_| status == 204);
        assert_eq!(answered.header("access-control-allow-origin"), readable, "{path}");
    }
    for (origin, status) in [(LISTED, 200), (STRANGER, 403)] {
        let request = Request::builder().uri("/v1/projects/shop-key/settings");
        let request = request.header("origin", origin).body(Body::empty()).unwrap();
        assert_eq!(collector.send(request).await.status.as_u16(), status, "{origin}");
    }
}

#[tokio::test]
async fn a_key_that_is_too_fast_waits_and_others_do_not() {
    let limits = RateLimits {
        requests_per_second: Some(2),
        events_per_second: Some(10),
        burst_seconds: 1,
        events_per_day: Some(25),
    };
    let limited = PipelineOptions { limits, ..pipeline("shop", &["one", "two"]) };
    let collector = collector(vec![limited, pipeline("free", &["free"])]);
    // key, events, seconds later, status, code, Retry-After
    let table = [
        ("one", 1, 0, 200, None, None),
        ("one", 1, 0, 200, None, None),
        ("one", 1, 0, 429, Some(Code::RateLimited), Some("1")),
        ("two", 10, 0, 200, None, None),
        ("two", 1, 0, 429, Some(Code::RateLimited), Some("1")),
        ("free", 500, 0, 200, None, None),
        ("one", 1, 1, 200, None, None),
        ("two", 15, 1, 200, None, None),
        ("two", 1, 60, 429, Some(Code::QuotaUsedUp), Some("32338")),
        ("one", 1, 0, 200, None, None),
        ("two", 1, 32_338, 200, None, None),
    ];
    for (number, (key, events, later, status, code, retry_after)) in table.into_iter().enumerate() {
        collector.clock.advance(Duration::from_secs(later));
        let answered = post_as(&collector, key, &batch(events)).await;
        assert_eq!((answered.status.as_u16(), answered.code()), (status, code), "row {number}");
        assert_eq!(answered.header("retry-after"), retry_after, "row {number}");
        assert_eq!(answered.header("x-ratelimit-reset").is_some(), code.is_some(), "row {number}");
        assert_eq!(collector.stored().len(), if code.is_some() { 0 } else { events });
    }
}

#[tokio::test]
async fn what_was_not_stored_does_not_use_up_the_day() {
    let limits = RateLimits { events_per_day: Some(3), ..RateLimits::default() };
    let collector = collector(vec![PipelineOptions { limits, ..pipeline("shop", &["key"]) }]);
    collector.intake.refuse(AdmitError::DiskFull { retry_after: Duration::from_secs(5) });
    for _ in 0..3 {
        assert_eq!(post_as(&collector, "key", &batch(3)).await.status.as_u16(), 503);
    }
    assert_eq!(collector.handle.day_usage().events, []);
    let usage = collector.handle.day_usage();
    collector.handle.restore_day_usage(&usage);
}

#[tokio::test]
async fn new_settings_hold_from_the_next_request_on() {
    let limits = RateLimits { events_per_day: Some(2), ..RateLimits::default() };
    let shop = PipelineOptions { limits, ..pipeline("shop", &["key"]) };
    let collector = collector(vec![shop.clone()]);
    assert_eq!(post_as(&collector, "key", &batch(2)).await.status.as_u16(), 200);
    collector.stored();

    // What was sent so far goes on counting, under whatever other settings.
    let mut origins = Origins::default();
    origins.allow(LISTED).unwrap();
    collector.handle.replace(&[PipelineOptions { origins, ..shop.clone() }]);
    assert_eq!(post_as(&collector, "key", &batch(1)).await.code(), Some(Code::QuotaUsedUp));
    let request = posting("/v1/batch").header("authorization", basic("key"));
    let request = request.header("origin", STRANGER).body(batch(1).into()).unwrap();
    assert_eq!(collector.send(request).await.code(), Some(Code::OriginRefused));

    let gone = WriteKey::active("key").revoked();
    let next = WriteKey::active("next");
    collector.handle.replace(&[PipelineOptions {
        write_keys: vec![gone, next],
        limits: RateLimits::default(),
        ..shop
    }]);
    assert_eq!(post_as(&collector, "key", &batch(1)).await.status.as_u16(), 200);
    assert!(matches!(collector.stored()[..], [Item::SetAside(_)]));
    assert_eq!(post_as(&collector, "next", &batch(1)).await.status.as_u16(), 200);
    assert!(matches!(collector.stored()[..], [Item::Event(_)]));
    collector.handle.replace(&[]);
    assert_eq!(post_as(&collector, "next", &batch(1)).await.code(), Some(Code::UnknownWriteKey));
}

#[tokio::test]
async fn every_route_is_found_below_a_prefix_and_under_its_name() {
    let mut other_paths = OtherPaths::default();
    other_paths.add_prefix("/x").unwrap();
    other_paths.add_name("/t1", "/v1/track").unwrap();
    let collector = TestCollector::of(CollectorOptions {
        pipelines: vec![pipeline("shop", &["key"])],
        other_paths,
        ..CollectorOptions::default()
    });
    for (path, status) in [
        ("/v1/track", 200),
        ("/x/v1/track", 200),
        ("/x/v1/track/", 200),
        ("/t1", 200),
        ("/t1/", 200),
        ("/x/t1", 200),
        ("/y/v1/track", 404),
        ("/x/x/v1/track", 404),
        ("/x", 404),
        ("/x/readyz", 405),
    ] {
        let request = posting(path).header("authorization", basic("key"));
        let request = request.header("origin", LISTED).body(track("").into()).unwrap();
        let answered = collector.send(request).await;
        assert_eq!(answered.status.as_u16(), status, "{path}");
        assert_eq!(answered.header("access-control-allow-origin"), Some(LISTED), "{path}");
        assert_eq!(collector.stored().len(), usize::from(status == 200), "{path}");
    }
    // The SDK is told to come back below the same prefix.
    let request = Request::builder().uri("/x/v1/projects/key/settings").header("host", "a.example");
    let answered = collector.send(request.body(Body::empty()).unwrap()).await;
    assert!(answered.body.contains(r#""apiHost":"a.example/x/v1""#), "{}", answered.body);
    let preflight = Request::builder().method(Method::OPTIONS).uri("/x/v1/t");
    let preflight = preflight.header("origin", LISTED).body(Body::empty()).unwrap();
    assert_eq!(collector.send(preflight).await.status.as_u16(), 204);
}

#[tokio::test]
async fn what_sdks_say_of_themselves_is_answered_and_dropped() {
    let collector = collector(vec![pipeline("shop", &["key"])]);
    for path in ["/v1/m", "/v1/m/", "/rsaMetrics", "/rsaMetrics/"] {
        let request = posting(path).header("origin", LISTED);
        let answered = collector.send(request.body("{\"series\":[]}".into()).unwrap()).await;
        assert_eq!(answered.status.as_u16(), 200, "{path}");
        assert_eq!(answered.header("access-control-allow-origin"), Some(LISTED), "{path}");
        assert!(collector.stored().is_empty());
    }
    let merge = r#"{"writeKey":"key","mergeProperties":[{"type":"email","value":"a@b.example"}]}"#;
    let answered = collector.send(posting("/v1/merge").body(merge.into()).unwrap()).await;
    assert_eq!(answered.status.as_u16(), 200, "{}", answered.body);
    let aside = collector.stored_aside();
    assert_eq!(aside.code, Code::UnknownType);
    assert!(!aside.body.windows(8).any(|part| part == b"writeKey"), "{:?}", aside.body);
    let answered = collector.send(posting("/v1/merge").body("{}".into()).unwrap()).await;
    assert_eq!(answered.code(), Some(Code::MissingWriteKey));
}

#[tokio::test]
async fn requests_are_counted_by_protocol_and_refusals_by_pipeline_and_code() {
    let collector = listing();
    post_as(&collector, "open-key", &batch(1)).await;
    post_as(&collector, "wrong", &batch(1)).await;
    post_as(&collector, "open-key", "{").await;
    let request = posting("/v1/batch").header("authorization", basic("shop-key"));
    collector.send(request.header("origin", STRANGER).body(batch(1).into()).unwrap()).await;
    collector.send(posting("/nothing").body(Body::empty()).unwrap()).await;
    collector.intake.refuse(AdmitError::Poisoned);
    post_as(&collector, "open-key", &batch(1)).await;

    let counts = collector.handle.counts();
    assert_eq!((counts.requests["spec"], counts.requests["other"]), (5, 1));
    let of = |pipeline: Option<&str>, code| {
        counts.refusals.get(&(pipeline.map(|id| id.parse().unwrap()), code)).copied()
    };
    assert_eq!(of(None, Code::UnknownWriteKey), Some(1));
    assert_eq!(of(Some("open"), Code::BadJson), Some(1));
    assert_eq!(of(Some("shop"), Code::OriginRefused), Some(1));
    assert_eq!(of(Some("open"), Code::LogPoisoned), Some(1));
    assert_eq!(of(None, Code::UnknownPath), Some(1));
    assert_eq!(counts.refusals.len(), 5);
}

#[tokio::test]
async fn a_prefix_takes_nothing_from_paths_that_begin_like_it() {
    let mut shop = pipeline("shop", &["shop-key"]);
    shop.adobe.datastreams = vec![WriteKey::active("stream")];
    shop.adobe.base_path = Some("shop/edge".to_owned());
    shop.syft_path = Some("/shop/api/syft".to_owned());
    let mut other_paths = OtherPaths::default();
    other_paths.add_prefix("/shop").unwrap();
    other_paths.add_prefix("/ee").unwrap();
    let pipelines = vec![shop];
    let options = CollectorOptions { pipelines, other_paths, ..CollectorOptions::default() };
    let collector = TestCollector::of(options);
    let event = r#"{"type":"track","userId":"u","event":"e","xdm":{}}"#;
    for path in [
        "/shop/edge/v1/interact?configId=stream",
        "/ee/v1/interact?configId=stream",
        "/shop/ee/v1/interact?configId=stream",
        "/ee/ee/v1/interact?configId=stream",
        "/shop/api/syft",
        "/shop/shop/api/syft",
        "/shop/v1/batch",
        "/ee/v1/batch",
    ] {
        let body = format!(r#"{{"writeKey":"shop-key","batch":[{event}],"events":[{event}]}}"#);
        let answered = collector.send(posting(path).body(body.into()).unwrap()).await;
        assert_eq!(answered.status.as_u16(), 200, "{path}: {}", answered.body);
        assert_eq!(collector.stored().len(), 1, "{path}");
    }
}

#[tokio::test]
async fn a_key_that_is_revoked_while_a_body_arrives_is_revoked_for_it() {
    let collector = collector(vec![pipeline("shop", &["key"])]);
    let (pieces, arriving) = tokio::sync::mpsc::unbounded_channel::<&'static str>();
    let pieces_of = |mut arriving: tokio::sync::mpsc::UnboundedReceiver<&'static str>| {
        futures_util::stream::poll_fn(move |context| arriving.poll_recv(context))
            .map(|piece| Ok::<_, std::io::Error>(Frame::data(Bytes::from(piece))))
    };
    let body = Body::new(StreamBody::new(pieces_of(arriving)));
    let request = posting("/v1/track").header("authorization", basic("key")).body(body).unwrap();
    let router = collector.router.clone();
    let answered = tokio::spawn(async move { crate::recording::send(&router, request).await });
    pieces.send(r#"{"userId":"u","#).unwrap();
    tokio::task::yield_now().await;
    let gone = WriteKey::active("key").revoked();
    collector.handle.replace(&[PipelineOptions {
        write_keys: vec![gone],
        ..PipelineOptions::new("shop".parse().unwrap())
    }]);
    pieces.send(r#""event":"e"}"#).unwrap();
    drop(pieces);
    assert_eq!(answered.await.unwrap().status.as_u16(), 200);
    assert_eq!(collector.stored_aside().code, Code::RevokedWriteKey);
}
