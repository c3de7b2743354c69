//! Items that were set aside, through the door again.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use millrace_http::{
    AdobeOptions, Again, CollectorHandle, CollectorOptions, MixpanelAccess, PipelineOptions,
    WebhookOptions, WebhookProof, WriteKey,
};
use millrace_model::code::Code;
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::{Event, EventKind, Item};
use millrace_model::passage::Origin;
use millrace_model::time::{ManualClock, UnixMillis};
use millrace_protocol::webhook::Mapping;
use serde_json::Value;

use crate::recording::{NOW, RecordingIntake, TestCollector, basic, posting};

/// What the door makes of an item: a few words for each part.
fn readmit(
    pipeline: &str,
    origin: Origin,
    kind: Option<EventKind>,
    code: Code,
    body: &str,
) -> Result<Vec<String>, Code> {
    let options = CollectorOptions {
        pipelines: vec![PipelineOptions::new("dev".parse().unwrap())],
        ..CollectorOptions::default()
    };
    let handle = CollectorHandle::new(
        options,
        Arc::new(RecordingIntake::default()),
        Arc::new(ManualClock::at(NOW)),
        Arc::new(SeededEntropy::new(1)),
    );
    let received_at = UnixMillis(NOW.0 - 3_600_000);
    let batch = handle
        .readmission()
        .readmit(&Again {
            pipeline: &pipeline.parse().unwrap(),
            received_at,
            origin,
            kind,
            code,
            body: Bytes::copy_from_slice(body.as_bytes()),
        })
        .map_err(|refused| refused.code)?;
    assert_eq!(batch.received_at, received_at, "the time of receipt is the first one");
    Ok(batch
        .items
        .into_iter()
        .map(|item| match item {
            Item::Event(event) => {
                let facts = &event.facts;
                assert_eq!((event.passage.origin, &facts.client_ip), (origin, &None));
                format!("{} {} {}", event.kind.as_str(), facts.message_id, facts.time.0 - NOW.0)
            }
            Item::SetAside(aside) => format!("{} {}", aside.code, aside.origin.as_str()),
            other => format!("{other:?}"),
        })
        .collect())
}

#[test]
fn items_are_read_by_the_protocol_that_they_came_in_by() {
    let track = r#"{"type":"track","userId":"u","event":"e","messageId":"m"}"#;
    let xdm = r#"{"xdm":{"_id":"m","eventType":"e","identityMap":{"ECID":[{"id":"1234567890"}]}}}"#;
    let bare = Code::UnknownType;
    for (origin, kind, code, body, wanted) in [
        (Origin::Spec, None, bare, track, Ok(vec!["track m -3600000"])),
        (Origin::Browser, None, bare, track, Ok(vec!["track m -3600000"])),
        // The path said what it is; the item says something else.
        (Origin::Spec, Some(EventKind::Page), bare, track, Ok(vec!["page m -3600000"])),
        (Origin::Spec, None, bare, r#"{"type":"tracks","userId":"u"}"#, Ok(vec!["MR1102 spec"])),
        (Origin::Spec, None, bare, "[1]", Ok(vec!["MR1101 spec"])),
        (Origin::Spec, None, bare, "{", Err(Code::BadJson)),
        (Origin::Spec, None, bare, "", Err(Code::CannotBeFedAgain)),
        (Origin::Edge, None, bare, xdm, Ok(vec!["track m -3600000"])),
        // What a revoked key brought had been decoded before.
        (
            Origin::Edge,
            Some(EventKind::Track),
            Code::RevokedWriteKey,
            track,
            Ok(vec!["track m -3600000"]),
        ),
        // Without its token, as it is kept.
        (
            Origin::Mixpanel,
            Some(EventKind::Track),
            bare,
            r#"{"event":"e","properties":{"distinct_id":"u","$insert_id":"m"}}"#,
            Ok(vec!["track m -3600000"]),
        ),
        (Origin::Mixpanel, Some(EventKind::Track), Code::BadJson, "{", Err(Code::BadJson)),
        // Of a pixel the message is kept, or the query, which holds none.
        (Origin::Pixel, Some(EventKind::Track), bare, track, Ok(vec!["track m -3600000"])),
        (Origin::Pixel, None, Code::BadPixel, "data=%25", Err(Code::CannotBeFedAgain)),
        // Of an upload one event is kept, or all of what could not be read.
        (Origin::Syft, None, bare, track, Ok(vec!["track m -3600000"])),
        (Origin::Syft, None, Code::NotAnObject, "[1]", Ok(vec!["MR1101 syft"])),
        (Origin::Syft, None, Code::BadJson, "{", Err(Code::BadJson)),
        (Origin::Syft, None, Code::BadBody, r#"{"version":"1"}"#, Err(Code::BadBody)),
        (
            Origin::Syft,
            None,
            Code::BadBody,
            r#"{"events":[{"type":"track","userId":"u","event":"e","messageId":"m"}]}"#,
            Ok(vec!["track m -3600000"]),
        ),
        // There is no webhook to map it.
        (Origin::Webhook, None, bare, "{}", Err(Code::CannotBeFedAgain)),
    ] {
        let wanted: Result<Vec<String>, Code> =
            wanted.map(|words| words.into_iter().map(str::to_owned).collect());
        let found = readmit("dev", origin, kind, code, body);
        assert_eq!(found, wanted, "{origin:?} {kind:?} {body}");
    }
    assert_eq!(readmit("gone", Origin::Spec, None, bare, track), Err(Code::CannotBeFedAgain));
}

/// A pipeline that can be reached by every protocol, with a live key and a revoked one.
fn collector() -> TestCollector {
    let keys =
        |live: &str, old: &str| vec![WriteKey::active(live), WriteKey::active(old).revoked()];
    let mut mapping = Mapping::new(Some("$.kind")).unwrap();
    mapping.target("userId", "$.user").unwrap();
    let webhook = WebhookOptions {
        id: "wh".to_owned(),
        proof: WebhookProof::Nothing,
        mapping: Arc::new(mapping),
    };
    TestCollector::of(CollectorOptions {
        pipelines: vec![PipelineOptions {
            write_keys: keys("live", "old"),
            mixpanel: MixpanelAccess { tokens: keys("live", "old"), ..MixpanelAccess::default() },
            adobe: AdobeOptions { datastreams: keys("live", "old"), ..AdobeOptions::default() },
            webhooks: vec![webhook],
            syft_path: Some("/api/syft".to_owned()),
            ..PipelineOptions::new("dev".parse().unwrap())
        }],
        ..CollectorOptions::default()
    })
}

/// A request by the live key or the revoked one, whose name stands for KEY.
fn request(call: &Call, key: &str) -> Request<Body> {
    let (method, target, body) = call;
    let target = target.replace("KEY", key);
    let request = posting(&target).method(*method).header("user-agent", "UA");
    let request = if target.starts_with("/v1/") && !target.contains("pixel") {
        request.header("authorization", basic(&format!("{key}:"))).header("origin", "https://a.b")
    } else {
        request
    };
    request.body(Body::from(body.replace("KEY", key))).unwrap()
}

type Call = (&'static str, &'static str, &'static str);

async fn assert_ok(collector: &TestCollector, request: Request<Body>) {
    collector.send_bytes(request).await;
}

fn feed(collector: &TestCollector, items: Vec<Item>) -> Vec<Result<Event, Code>> {
    let readmission = collector.handle.readmission();
    let feed = |item: Item| {
        let Item::SetAside(aside) = item else { panic!("{item:?}") };
        assert_eq!(aside.body.len() as u64, aside.full_length);
        let batch = readmission.readmit(&Again {
            pipeline: &"dev".parse().unwrap(),
            received_at: NOW,
            origin: aside.origin,
            kind: aside.kind,
            code: aside.code,
            body: aside.body,
        });
        match batch.map_err(|refused| refused.code)?.items.pop() {
            Some(Item::Event(event)) => Ok(event),
            Some(Item::SetAside(aside)) => Err(aside.code),
            other => panic!("{other:?}"),
        }
    };
    items.into_iter().map(feed).collect()
}

/// What of an event has to be the same, whichever way it came in.
fn gist(event: &Event) -> (EventKind, Origin, String, UnixMillis, Option<String>, Value) {
    let facts = &event.facts;
    let mut body: Value = serde_json::from_slice(&event.body).unwrap();
    let address = body["context"]["ip"].as_str().map(str::to_owned).or(facts.client_ip.clone());
    for fact in ["messageId", "timestamp", "originalTimestamp", "sentAt", "writeKey"] {
        body.as_object_mut().unwrap().remove(fact);
    }
    if let Some(context) = body.get_mut("context").and_then(Value::as_object_mut) {
        context.remove("ip");
    }
    if body["context"].as_object().is_none_or(serde_json::Map::is_empty) {
        body.as_object_mut().unwrap().remove("context");
    }
    (event.kind, event.passage.origin, facts.message_id.clone(), facts.time, address, body)
}

#[tokio::test]
async fn what_came_with_a_revoked_key_is_the_same_event_when_it_is_fed_in() {
    let calls: [Call; 12] = [
        // The clock of the client is an hour behind, which only the envelope says.
        (
            "POST",
            "/v1/batch",
            r#"{"sentAt":"2026-11-22T14:00:00Z","context":{"app":{"name":"a"}},"batch":[{"type":"track","event":"e","userId":"u","messageId":"m","timestamp":"2026-11-22T13:59:00.123Z"},{"type":"identify","userId":"u","messageId":"n","traits":{"a":1}}]}"#,
        ),
        (
            "POST",
            "/v1/page",
            r#"{"name":"Home","anonymousId":"a","messageId":"m","writeKey":"KEY","sentAt":"2026-11-22T14:00:00Z","originalTimestamp":"2026-11-22T13:00:00Z","context":{"page":{"url":"x"}}}"#,
        ),
        (
            "POST",
            "/beacon/v1/batch?writeKey=KEY",
            r#"{"batch":[{"type":"track","event":"e","channel":"web","userId":"u","messageId":"m"}]}"#,
        ),
        ("GET", "/v1/pixel/track?wk=KEY&e=Opened&uid=u&mid=m&ts=1795359500000&p.a=1", ""),
        ("GET", "/pixel/v1/page?writeKey=KEY&name=Home&userId=u&messageId=m", ""),
        (
            "POST",
            "/syft/KEY",
            r#"{"events":[{"type":"track","event":"e","userId":"u","messageId":"m"}],"version":"0.0.1"}"#,
        ),
        (
            "POST",
            "/track?ip=1",
            r#"[{"event":"e","properties":{"token":"KEY","time":1795359500.25,"distinct_id":"u","$device_id":"d","$insert_id":"m","a":1}}]"#,
        ),
        (
            "POST",
            "/track",
            r#"{"event":"$identify","properties":{"token":"KEY","time":1795359500,"distinct_id":"u","$anon_distinct_id":"$device:d","$insert_id":"m"}}"#,
        ),
        (
            "POST",
            "/import",
            r#"data={"event":"$merge","properties":{"token":"KEY","$distinct_ids":["u","v"],"$insert_id":"m"}}"#,
        ),
        (
            "POST",
            "/engage",
            r#"{"$token":"KEY","$distinct_id":"$device:d","$time":1795359500,"$ignore_time":true,"$set":{"a":1},"$user_id":"u"}"#,
        ),
        (
            "POST",
            "/ee/v1/interact?configId=KEY",
            r#"{"events":[{"xdm":{"_id":"m","eventType":"e","timestamp":"2026-11-22T14:59:00.5Z","identityMap":{"ECID":[{"id":"31415926535897932384626433832795028841"}]}}}]}"#,
        ),
        (
            "POST",
            "/groups",
            r#"{"$token":"KEY","$group_key":"company","$group_id":7,"$set":{"a":1}}"#,
        ),
    ];
    let collector = collector();
    for call in &calls {
        assert_ok(&collector, request(call, "live")).await;
        let live = collector.stored();
        assert!(!live.is_empty(), "{call:?}");
        assert_ok(&collector, request(call, "old")).await;
        let fed = feed(&collector, collector.stored());
        assert_eq!(live.len(), fed.len(), "{call:?}");
        for (live, fed) in live.into_iter().zip(fed) {
            let Item::Event(live) = live else { panic!("{call:?} {live:?}") };
            let mut live = gist(&live);
            let fed = gist(&fed.unwrap());
            // Drawn ids differ.
            if live.0 == EventKind::Profile {
                live.2.clone_from(&fed.2);
            }
            assert_eq!(live, fed, "{call:?}");
        }
    }
}

#[tokio::test]
async fn what_was_wrong_is_read_again_with_all_that_was_said_about_it() {
    let calls: [(Call, Code); 5] = [
        // It keeps what its batch shares.
        (
            ("POST", "/v1/batch", r#"{"context":{"a":1},"batch":[{"type":"?","userId":"u"}]}"#),
            Code::UnknownType,
        ),
        (("POST", "/syft/KEY", r#"{"events":[{"type":"?"}]}"#), Code::UnknownType),
        (("GET", "/v1/pixel/track?wk=KEY&uid=u", ""), Code::NoEventName),
        (("POST", "/engage", r#"{"$token":"KEY","$distinct_id":"u"}"#), Code::NoOperator),
        (("POST", "/v1/webhook/wh", r#"{"user":7}"#), Code::UnmappedPayload),
    ];
    let collector = collector();
    for (call, code) in &calls {
        assert_ok(&collector, request(call, "live")).await;
        let items = collector.stored();
        assert_eq!(feed(&collector, items), [Err(*code)], "{call:?}");
    }
    let call = ("POST", "/v1/batch", r#"{"context":{"app":1},"batch":[{"type":"tracks"}]}"#);
    assert_ok(&collector, request(&call, "live")).await;
    let aside = collector.stored_aside();
    let kept: Value = serde_json::from_slice(&aside.body).unwrap();
    assert_eq!(kept["context"], serde_json::json!({"app": 1}));
}

#[test]
fn a_payload_is_mapped_again_by_the_one_webhook_of_its_pipeline() {
    let collector = collector();
    let feed = |body: &str| {
        let readmission = collector.handle.readmission();
        let batch = readmission.readmit(&Again {
            pipeline: &"dev".parse().unwrap(),
            received_at: NOW,
            origin: Origin::Webhook,
            kind: None,
            code: Code::UnmappedPayload,
            body: Bytes::copy_from_slice(body.as_bytes()),
        });
        batch.map(|batch| batch.items).map_err(|refused| refused.code)
    };
    let items = feed(r#"{"kind":"Ping","user":7}"#).unwrap();
    let [Item::Event(event)] = &items[..] else { panic!("{items:?}") };
    assert_eq!(event.body, r#"{"type":"track","event":"Ping","userId":7}"#);
    assert_eq!(event.passage.origin, Origin::Webhook);
    assert_eq!(feed("{").unwrap_err(), Code::BadJson);
}
