//! Datafly's calls: keys, strictness, signatures.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::request::Builder;
use millrace_http::{CollectorOptions, DataflyOptions, PipelineOptions, WriteKey};
use millrace_model::code::Code;
use millrace_model::event::Item;
use millrace_model::passage::Origin;
use millrace_model::secret::Secret;
use ring::hmac;
use serde_json::{Value, json};

use crate::recording::{KEY, NOW, OTHER_KEY, TestCollector, basic, gzip, posting};

const EVENT: &str = r#"{"type":"track","event":"Bought","userId":"u","messageId":"m-1"}"#;

fn collector() -> TestCollector {
    let pipeline = |id: &str, key: &str, datafly: DataflyOptions| PipelineOptions {
        write_keys: vec![WriteKey::active(key)],
        datafly,
        ..PipelineOptions::new(id.parse().unwrap())
    };
    let secrets = |texts: &[&str]| texts.iter().map(|text| Secret::new(*text)).collect();
    TestCollector::of(CollectorOptions {
        pipelines: vec![
            pipeline("plain", KEY, DataflyOptions::default()),
            pipeline("strict", "dk_strict", DataflyOptions { strict: true, ..Default::default() }),
            pipeline(
                "rotated",
                "dk_rotated",
                DataflyOptions { hmac_secrets: secrets(&["old", "new"]), ..Default::default() },
            ),
            pipeline(
                "signed",
                "dk_signed",
                DataflyOptions {
                    require_signature: true,
                    hmac_secrets: secrets(&["sk"]),
                    ..Default::default()
                },
            ),
        ],
        ..CollectorOptions::default()
    })
}

fn bearer(path: &str, key: &str) -> Builder {
    posting(path).header("authorization", format!("Bearer {key}"))
}

/// Signs at so many milliseconds after now.
fn signed(builder: Builder, secret: &str, skew: i64, body: &[u8]) -> Builder {
    let timestamp = (NOW.0 + skew).to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, &[timestamp.as_bytes(), b".", body].concat());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    builder.header("x-timestamp", timestamp).header("x-signature", format!("sha256={hex}"))
}

fn body(builder: Builder, body: impl Into<Body>) -> axum::http::Request<Body> {
    builder.body(body.into()).unwrap()
}

#[tokio::test]
async fn a_key_counts_wherever_it_stands_and_a_wrong_one_has_both_names() {
    let collector = collector();
    let in_body = format!(r#"{{"type":"track","event":"e","userId":"u","writeKey":"{KEY}"}}"#);
    let good = [
        body(bearer("/v1/t", KEY), EVENT),
        body(posting("/v1/t").header("authorization", basic(KEY)), EVENT),
        body(posting(&format!("/v1/t?writeKey={KEY}")), EVENT),
        body(posting("/v1/t"), in_body),
    ];
    for request in good {
        assert_eq!(collector.send(request).await.status, StatusCode::OK);
        assert_eq!(collector.stored().len(), 1);
    }
    for (request, code) in [
        (body(bearer("/v1/t", OTHER_KEY), EVENT), Code::UnknownWriteKey),
        (body(posting("/v1/t"), EVENT), Code::MissingWriteKey),
    ] {
        let answered = collector.send(request).await;
        assert_eq!((answered.status.as_u16(), answered.code()), (401, Some(code)));
        let said: Value = serde_json::from_str(&answered.body).unwrap();
        assert_eq!(said["error"]["code"], "INVALID_PIPELINE_KEY");
        assert!(said["message"].is_string() && said["error"]["message"] == said["message"]);
        assert_eq!(collector.stored().len(), 0);
    }
}

#[tokio::test]
async fn a_bearer_key_is_a_call_of_datafly() {
    let collector = collector();
    for (request, origin) in [
        (body(bearer("/v1/p", KEY), r#"{"type":"page"}"#), Origin::Datafly),
        (body(posting("/v1/p").header("authorization", basic(KEY)), "{}"), Origin::Spec),
    ] {
        collector.send(request).await;
        assert_eq!(collector.stored_event().passage.origin, origin);
    }
}

#[tokio::test]
async fn a_strict_pipeline_refuses_a_wrong_call_by_name_and_keeps_nothing() {
    let collector = collector();
    let table = [
        ("/v1/t", r#"{"type":"track","userId":"u"}"#, 400, Code::NoEventName, "event"),
        ("/v1/t", r#"{"event":"e","userId":"u"}"#, 400, Code::UnknownType, "type"),
        ("/v1/i", r#"{"type":"identify"}"#, 400, Code::NoIdentity, "anonymousId"),
        (
            "/v1/p",
            r#"{"type":"page","userId":"u","properties":1}"#,
            400,
            Code::BadField,
            "properties",
        ),
        ("/v1/g", r#"{"type":"group","userId":"u","groupId":{}}"#, 400, Code::BadField, "groupId"),
        ("/v1/t", "{", 400, Code::BadJson, "JSON"),
    ];
    for (path, text, status, code, named) in table {
        let answered = collector.send(body(bearer(path, "dk_strict"), text)).await;
        assert_eq!((answered.status.as_u16(), answered.code()), (status, Some(code)), "{text}");
        assert!(answered.body.contains(named), "{}", answered.body);
        assert_eq!(collector.stored().len(), 0, "{text}");
        // The same call of a pipeline that is not strict is never lost for this.
        if code != Code::BadJson {
            let answered = collector.send(body(bearer(path, KEY), text)).await;
            assert_eq!(answered.status, StatusCode::OK, "{text}");
            assert_eq!(collector.stored().len(), 1, "{text}");
        }
    }
    let good = [
        ("/v1/t", EVENT),
        ("/v1/p", r#"{"type":"page","anonymousId":"a","name":"Home"}"#),
        ("/v1/i", r#"{"type":"identify","userId":"u","traits":{"plan":"pro"}}"#),
        ("/v1/g", r#"{"type":"group","userId":"u","groupId":"g"}"#),
    ];
    for (path, text) in good {
        let answered = collector.send(body(bearer(path, "dk_strict"), text)).await;
        assert_eq!(
            (answered.status.as_u16(), answered.body.as_str()),
            (200, r#"{"success":true}"#)
        );
        let event = collector.stored_event();
        assert_eq!(&event.body[..], text.as_bytes());
    }
}

#[tokio::test]
async fn a_strict_batch_has_dataflys_limits_and_tells_what_is_wrong_by_place() {
    let collector = collector();
    let batch = |count: usize| format!("[{}]", vec![EVENT; count].join(","));
    for (count, status) in [(500, 200), (501, 413)] {
        let answered = collector.send(body(bearer("/v1/batch", "dk_strict"), batch(count))).await;
        assert_eq!(answered.status.as_u16(), status);
        assert_eq!(collector.stored().len(), if status == 200 { count } else { 0 });
    }
    for (length, status) in [(524_288, 200), (524_289, 413)] {
        let text = format!("{EVENT}{}", " ".repeat(length - EVENT.len()));
        let answered = collector.send(body(bearer("/v1/t", "dk_strict"), text)).await;
        assert_eq!(answered.status.as_u16(), status, "{length}");
        assert_eq!(collector.stored().len(), usize::from(status == 200));
    }
    let mixed = format!(r#"{{"events":[{EVENT},{{"type":"track","userId":"u"}},{EVENT}]}}"#);
    let answered = collector.send(body(bearer("/v1/batch", "dk_strict"), mixed)).await;
    assert_eq!(answered.status, StatusCode::OK);
    let said: Value = serde_json::from_str(&answered.body).unwrap();
    let error =
        json!([{"index": 1, "code": "MR1105", "message": "track needs an event name in `event`"}]);
    assert_eq!((&said["success"], &said["errors"]), (&json!(true), &error));
    let stored = collector.stored();
    assert_eq!(stored.iter().filter(|item| matches!(item, Item::Event(_))).count(), 2);
    assert!(matches!(&stored[1], Item::SetAside(aside) if aside.code == Code::NoEventName));
}

/// The signature was made with another program: `printf '1795359600000.{"type":...}' | openssl dgst
/// -sha256 -hmac sk`.
#[tokio::test]
async fn a_published_signature_opens_the_door() {
    let collector = collector();
    let request = posting("/v1/events").header("x-timestamp", "1795359600000").header(
        "x-signature",
        "sha256=389543956ffe82ff975cbcc234385941f2b31c1439654fe708da33451fd81f55",
    );
    let answered = collector.send(body(request, EVENT)).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
    let event = collector.stored_event();
    assert_eq!(event.passage.origin, Origin::Datafly);
    assert_eq!(&event.body[..], EVENT.as_bytes());
}

#[tokio::test]
async fn a_signature_must_fit_body_secret_and_time() {
    let collector = collector();
    let bytes = EVENT.as_bytes();
    let changed = EVENT.replace("Bought", "Bough7");
    let keyed = |path: &str| bearer(path, "dk_signed");
    let table = [
        ("right", signed(keyed("/v1/events"), "sk", 0, bytes), EVENT, None),
        ("without a key", signed(posting("/v1/events"), "sk", 0, bytes), EVENT, None),
        ("300 s late", signed(keyed("/v1/events"), "sk", -300_000, bytes), EVENT, None),
        ("300 s early", signed(keyed("/v1/events"), "sk", 300_000, bytes), EVENT, None),
        (
            "301 s late",
            signed(keyed("/v1/events"), "sk", -301_000, bytes),
            EVENT,
            Some(Code::SignatureExpired),
        ),
        (
            "301 s early",
            signed(keyed("/v1/events"), "sk", 301_000, bytes),
            EVENT,
            Some(Code::SignatureExpired),
        ),
        (
            "changed byte",
            signed(keyed("/v1/events"), "sk", 0, bytes),
            changed.as_str(),
            Some(Code::SignatureRefused),
        ),
        (
            "wrong secret",
            signed(keyed("/v1/events"), "sk2", 0, bytes),
            EVENT,
            Some(Code::SignatureRefused),
        ),
        (
            "another pipeline's secret",
            signed(keyed("/v1/events"), "new", 0, bytes),
            EVENT,
            Some(Code::SignatureRefused),
        ),
        (
            "nobody's secret",
            signed(posting("/v1/events"), "x", 0, bytes),
            EVENT,
            Some(Code::SignatureRefused),
        ),
        ("no signature", keyed("/v1/events"), EVENT, Some(Code::UnsignedRequest)),
        ("nothing at all", posting("/v1/events"), EVENT, Some(Code::UnsignedRequest)),
        (
            "no time",
            keyed("/v1/events").header("x-signature", "sha256=00"),
            EVENT,
            Some(Code::UnsignedRequest),
        ),
        (
            "unknown key",
            signed(bearer("/v1/events", "nobody"), "sk", 0, bytes),
            EVENT,
            Some(Code::UnknownWriteKey),
        ),
        (
            "plain key where signatures are required",
            keyed("/v1/t"),
            EVENT,
            Some(Code::UnsignedRequest),
        ),
        (
            "signed where signatures are required",
            signed(keyed("/v1/t"), "sk", 0, bytes),
            EVENT,
            None,
        ),
        ("old secret", signed(bearer("/v1/events", "dk_rotated"), "old", 0, bytes), EVENT, None),
        ("new secret", signed(bearer("/v1/events", "dk_rotated"), "new", 0, bytes), EVENT, None),
        ("plain key where secrets are only known", bearer("/v1/t", "dk_rotated"), EVENT, None),
        (
            "wrong signature where secrets are known",
            signed(bearer("/v1/t", "dk_rotated"), "x", 0, bytes),
            EVENT,
            Some(Code::SignatureRefused),
        ),
        (
            "somebody's header of that name",
            signed(bearer("/v1/t", KEY), "x", 0, bytes),
            EVENT,
            None,
        ),
        (
            "a path that demands what the pipeline cannot check",
            signed(bearer("/v1/events", KEY), "x", 0, bytes),
            EVENT,
            Some(Code::SignatureRefused),
        ),
    ];
    for (name, request, text, refused) in table {
        let answered = collector.send(body(request, text.to_owned())).await;
        assert_eq!(answered.status.as_u16(), if refused.is_some() { 401 } else { 200 }, "{name}");
        assert_eq!(answered.code(), refused, "{name}");
        assert_eq!(collector.stored().len(), usize::from(refused.is_none()), "{name}");
    }
}

#[tokio::test]
async fn a_batch_is_signed_as_it_is_sent_and_held_to_the_rules() {
    let collector = collector();
    let packed = gzip(format!("[{EVENT},{{}}]").as_bytes());
    let request = signed(posting("/v1/batch"), "sk", 0, &packed).header("content-encoding", "gzip");
    let answered = collector.send(body(request, packed)).await;
    assert_eq!(answered.status, StatusCode::OK);
    assert!(answered.body.contains(r#""index":1"#), "{}", answered.body);
    assert_eq!(collector.stored().len(), 2);
    // A single one that is wrong is refused: its sender is there to hear it.
    let wrong = r#"{"type":"merge","userId":"u"}"#;
    let request = signed(posting("/v1/events"), "sk", 0, wrong.as_bytes());
    let answered = collector.send(body(request, wrong)).await;
    assert_eq!((answered.status.as_u16(), answered.code()), (400, Some(Code::UnknownType)));
    assert_eq!(collector.stored().len(), 0);
}
