//! Syft's uploads: paths, answers, and what they come to.

use axum::body::Body;
use axum::http::Request;
use millrace_http::{CollectorOptions, PipelineOptions, WriteKey};
use millrace_model::code::Code;
use millrace_model::event::Item;
use millrace_model::intake::AdmitError;
use millrace_model::passage::Origin;
use millrace_protocol::Limits;
use serde_json::{Value, json};

use crate::fixtures::{recordings, request_of};
use crate::recording::{KEY, TestCollector, posting};

fn collector() -> TestCollector {
    collector_within(Limits::default())
}

fn collector_within(limits: Limits) -> TestCollector {
    let pipeline = PipelineOptions {
        write_keys: vec![WriteKey::active(KEY)],
        syft_path: Some("/api/syft".to_owned()),
        ..PipelineOptions::new("dev".parse().unwrap())
    };
    TestCollector::of(CollectorOptions {
        pipelines: vec![pipeline],
        limits,
        trusted_proxies: vec!["203.0.113.9/32".parse().unwrap()],
        ..CollectorOptions::default()
    })
}

const PAGE: &str = r#"{"events":[{"type":"page","anonymousId":"a","messageId":"m"}],"version":"0.0.1","sentAt":"2026-11-22T15:00:00Z"}"#;

#[tokio::test]
async fn every_recorded_upload_becomes_what_syfts_server_makes_of_it() {
    let Some(folder) = recordings() else { return };
    let collector = collector();
    for name in 1..=7 {
        let file = std::fs::read(folder.join(format!("syft/{name}.json"))).unwrap();
        let recorded: Value = serde_json::from_slice(&file).unwrap();
        let mut request = request_of(&recorded["request"]);
        request.extensions_mut().insert(millrace_http::PeerAddress("203.0.113.9".parse().unwrap()));
        let answered = collector.send(request).await;
        assert_eq!((answered.status.as_u16(), answered.body.as_str()), (200, "{}"), "{name}");
        let event = collector.stored_event();
        assert_eq!(event.passage.origin, Origin::Syft);
        // The address is a fact beside the event, as for every protocol.
        assert_eq!(event.facts.client_ip.as_deref(), Some("81.2.69.142"), "{name}");
        let mut wanted = recorded["request"]["decoded"]["events"][0].clone();
        assert_eq!(event.facts.message_id, wanted["messageId"].as_str().unwrap());
        wanted["context"]["library"] = json!({"name": "syft", "version": "0.0.1"});
        wanted["context"]["userAgent"] = json!("Mozilla/5.0 syft-sim");
        wanted["context"]["userAgentData"] = json!("Mozilla/5.0 syft-sim");
        let body: Value = serde_json::from_slice(&event.body).unwrap();
        assert_eq!(body, wanted, "{name}");
    }
}

#[tokio::test]
async fn the_path_or_the_key_in_it_says_whose_it_is() {
    let collector = collector();
    for (path, status, stored) in [
        ("/api/syft", 200, 1),
        ("/api/syft/", 200, 1),
        (&*format!("/syft/{KEY}"), 200, 1),
        ("/syft/nobody", 401, 0),
        ("/api/other", 404, 0),
    ] {
        let answered = collector.send(posting(path).body(PAGE.into()).unwrap()).await;
        assert_eq!(answered.status.as_u16(), status, "{path}");
        assert_eq!(collector.stored().len(), stored, "{path}");
    }
    for path in ["/api/syft", "/syft/x"] {
        let preflight = Request::builder().method("OPTIONS").uri(path);
        let preflight =
            preflight.header("origin", "https://a.example").body(Body::empty()).unwrap();
        let answered = collector.send(preflight).await;
        assert_eq!(answered.status.as_u16(), 204);
        assert_eq!(answered.header("access-control-allow-origin"), Some("https://a.example"));
    }
    let get = collector.send(Request::get("/api/syft").body(Body::empty()).unwrap()).await;
    assert_eq!(get.status.as_u16(), 404);
}

#[tokio::test]
async fn what_is_wrong_is_kept_under_200_since_the_client_would_repeat_it_at_once() {
    let collector = collector();
    let table: &[(&[u8], Code)] = &[
        (br#"{"events":[{"type":"merge"}]}"#, Code::UnknownType),
        (br#"{"events":[7]}"#, Code::NotAnObject),
        (b"hello", Code::BadJson),
        (b"{", Code::BadJson),
        (b"[{]", Code::BadJson),
        (b"{}", Code::BadBody),
        (b"\x1f\x8bbroken", Code::BadCompression),
        (b"", Code::EmptyBody),
    ];
    for (body, code) in table {
        let answered =
            collector.send(posting("/api/syft").body(body.to_vec().into()).unwrap()).await;
        assert_eq!((answered.status.as_u16(), answered.body.as_str()), (200, "{}"), "{code}");
        match &collector.stored()[..] {
            [Item::SetAside(aside)] => {
                assert_eq!((aside.code, aside.origin), (*code, Origin::Syft))
            }
            other => panic!("{code}: {other:?}"),
        }
    }
    let mixed = r#"{"events":[{"type":"page"},{"type":"?"},{"type":"page"}]}"#;
    let answered = collector.send(posting("/api/syft").body(mixed.into()).unwrap()).await;
    assert_eq!(answered.status.as_u16(), 200);
    let events = collector.stored().iter().filter(|item| matches!(item, Item::Event(_))).count();
    assert_eq!(events, 2);
}

#[tokio::test]
async fn what_cannot_be_stored_now_or_ever_is_told() {
    let limits = Limits { body_bytes: 200, batch_events: 2, ..Limits::default() };
    let collector = collector_within(limits);
    for body in ["[{},{},{}]".to_owned(), format!("{{\"events\":[\"{}\"]}}", "x".repeat(300))] {
        let answered = collector.send(posting("/api/syft").body(body.into()).unwrap()).await;
        assert_eq!(answered.status.as_u16(), 413);
        assert_eq!(collector.stored().len(), 0);
    }
    collector.intake.refuse(AdmitError::ShuttingDown);
    let answered = collector.send(posting("/api/syft").body(PAGE.into()).unwrap()).await;
    assert_eq!(answered.status.as_u16(), 503);
    assert!(answered.header("retry-after").is_some());
}

#[tokio::test]
async fn the_older_clients_list_is_taken() {
    let collector = collector();
    let body = r#"[{"eventName":"Bought","price":1.5,"userId":"u","installationId":"i"}]"#;
    collector.send(posting("/api/syft").body(body.into()).unwrap()).await;
    let stored: Value = serde_json::from_slice(&collector.stored_event().body).unwrap();
    assert_eq!(
        stored,
        json!({"type": "track", "event": "Bought", "userId": "u", "anonymousId": "i",
               "properties": {"price": 1.5}, "context": {"library": {"name": "syft"}}})
    );
}
