//! Odd but possible bodies, in every protocol: nothing panics, good events are kept.

use axum::body::Body;
use axum::http::{Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_http::{
    AdobeOptions, CollectorOptions, MixpanelAccess, PeerAddress, PipelineOptions, WriteKey,
};
use millrace_model::event::Item;
use serde_json::Value;

use crate::recording::{KEY, TestCollector, basic, gzip, posting};

fn collector() -> TestCollector {
    TestCollector::of(CollectorOptions {
        pipelines: vec![PipelineOptions {
            write_keys: vec![WriteKey::active(KEY)],
            mixpanel: MixpanelAccess {
                tokens: vec![WriteKey::active("t")],
                ..MixpanelAccess::default()
            },
            adobe: AdobeOptions {
                datastreams: vec![WriteKey::active("s")],
                ..AdobeOptions::default()
            },
            syft_path: Some("/api/syft".to_owned()),
            ..PipelineOptions::new("dev".parse().unwrap())
        }],
        ..CollectorOptions::default()
    })
}

/// Events and items set aside.
async fn taken(
    collector: &TestCollector,
    target: &str,
    body: impl Into<Body>,
) -> (u16, usize, usize) {
    let request = posting(target).header("authorization", basic(&format!("{KEY}:")));
    let request = if target.starts_with("/v1/") { request } else { posting(target) };
    let answered = collector.send(request.body(body.into()).unwrap()).await;
    let stored = collector.stored();
    let events = stored.iter().filter(|item| matches!(item, Item::Event(_))).count();
    let aside = stored.iter().filter(|item| matches!(item, Item::SetAside(_))).count();
    (answered.status.as_u16(), events, aside)
}

const ITEM: &str = r#"{"type":"track","event":"e","userId":"u"}"#;
const RECORD: &str = r#"{"event":"e","properties":{"token":"t","distinct_id":"u"}}"#;
const XDM: &str =
    r#"{"xdm":{"eventType":"e","identityMap":{"CRMID":[{"id":"u","primary":true}]}}}"#;

#[tokio::test]
async fn lists_of_every_shape_keep_what_is_good_in_them() {
    let collector = collector();
    let table: Vec<(&str, String, (u16, usize, usize))> = vec![
        // Empty ones.
        ("/v1/batch", "[]".into(), (200, 0, 0)),
        ("/v1/batch", r#"{"events":[]}"#.into(), (200, 0, 0)),
        ("/track", "[]".into(), (200, 0, 0)),
        ("/engage?verbose=1", "data=[]".into(), (200, 0, 0)),
        ("/api/syft", "[]".into(), (200, 0, 0)),
        // Lists in lists, and what is no object.
        ("/v1/batch", format!("[[{ITEM}],{ITEM},null,\"x\",1]"), (200, 1, 4)),
        (
            "/track",
            format!("[[{RECORD}],{RECORD},{{\"properties\":{{\"token\":\"t\"}}}}]"),
            (200, 1, 2),
        ),
        ("/api/syft", format!("{{\"events\":[[{ITEM}],{ITEM}]}}"), (200, 1, 1)),
        ("/ee/v1/interact?configId=s", format!("{{\"events\":[[{XDM}],{XDM}]}}"), (200, 1, 1)),
        // Both names of the list: `batch` counts.
        ("/v1/batch", format!("{{\"batch\":[{ITEM}],\"events\":[{ITEM},{ITEM}]}}"), (200, 1, 0)),
        ("/v1/batch", format!("{{\"events\":[{ITEM},{ITEM}],\"batch\":[{ITEM}]}}"), (200, 1, 0)),
        // Commas at the end are no JSON; of lines each counts for itself.
        ("/v1/batch", format!("{{\"batch\":[{ITEM},]}}"), (400, 0, 0)),
        ("/track", format!("[{RECORD},]"), (200, 0, 0)),
        ("/import", format!("\n\n{RECORD}\r\n\n  \n{RECORD}\n\n"), (200, 2, 0)),
        ("/import", format!("\u{feff}{RECORD}\n{RECORD}"), (200, 2, 0)),
        ("/import", format!("{RECORD}\n{{\"cut\n{RECORD}"), (200, 2, 1)),
    ];
    for (target, body, wanted) in table {
        assert_eq!(taken(&collector, target, body.clone()).await, wanted, "{target} {body}");
    }
}

#[tokio::test]
async fn wrappings_in_wrappings_come_off() {
    let collector = collector();
    let zipped = gzip(RECORD.as_bytes());
    let form = |bytes: &[u8]| format!("data={}", STANDARD.encode(bytes).replace('+', "%2B"));
    for (name, body, wanted) in [
        ("gzip within base64", form(&zipped).into_bytes(), (200, 1, 0)),
        ("base64 within gzip", gzip(form(RECORD.as_bytes()).as_bytes()), (200, 1, 0)),
        ("gzip within base64 within gzip", gzip(form(&zipped).as_bytes()), (200, 1, 0)),
        ("gzip twice", gzip(&zipped), (200, 1, 0)),
        ("raw base64", STANDARD.encode(RECORD).into_bytes(), (200, 1, 0)),
        (
            "base64 of a list with a byte order mark",
            form(format!("\u{feff}[{RECORD}]").as_bytes()).into_bytes(),
            (200, 1, 0),
        ),
        ("base64 of nothing", b"data=".to_vec(), (200, 0, 0)),
        ("a cut of base64", b"data=eyJ".to_vec(), (200, 0, 0)),
    ] {
        assert_eq!(taken(&collector, "/track", body).await, wanted, "{name}");
    }
    let twice = gzip(&gzip(ITEM.as_bytes()));
    assert_eq!(taken(&collector, "/v1/track", twice).await, (200, 1, 0));
    let thrice = gzip(&gzip(&gzip(ITEM.as_bytes())));
    assert_eq!(taken(&collector, "/v1/track", thrice).await.1, 0);
}

#[tokio::test]
async fn odd_values_are_values() {
    let collector = collector();
    let many: Vec<String> = (0..10_000).map(|key| format!("\"k{key}\":{key}")).collect();
    let properties = many.join(",");
    for values in [
        r#""userId":1e3"#,
        r#""userId":1.0"#,
        r#""userId":123456789012345678901234567890"#,
        r#""userId":"a\u0000b""#,
        r#""userId":"пользователь 🐎""#,
        r#""userId":"u","":1,"ключ":2,"\ud83d\udc0e":3"#,
    ] {
        let body = format!(r#"{{"event":"e\u0000",{values},"properties":{{{properties}}}}}"#);
        assert_eq!(taken(&collector, "/v1/track", body).await, (200, 1, 0), "{values}");
        let ids = values.replace("userId", "distinct_id");
        let body =
            format!(r#"{{"event":"e\u0000","properties":{{"token":"t",{ids},{properties}}}}}"#);
        assert_eq!(taken(&collector, "/track", body).await, (200, 1, 0), "{values}");
        let id = values.split_once(':').unwrap().1.split(",\"").next().unwrap();
        let body = format!(
            r#"{{"events":[{{"xdm":{{"eventType":"e","identityMap":{{"A":[{{"id":{id},"primary":true}}]}}}},"data":{{{properties}}}}}]}}"#
        );
        let (status, events, _) = taken(&collector, "/ee/v1/interact?configId=s", body).await;
        assert_eq!((status, events), (200, 1), "{values}");
    }
    // A NUL that is not escaped is no JSON.
    assert_eq!(taken(&collector, "/v1/track", "{\"event\":\"a\0\"}").await, (400, 0, 0));
    assert_eq!(taken(&collector, "/track", format!("\0{RECORD}")).await, (200, 0, 0));
}

/// The address that an event has in the end.
async fn address(
    collector: &TestCollector,
    peer: &str,
    target: &str,
    body: &str,
) -> Option<String> {
    let method = if body.is_empty() { Method::GET } else { Method::POST };
    let request = Request::builder().method(method).uri(target);
    let request = request.extension(PeerAddress(peer.parse().unwrap()));
    let request = match target.starts_with("/v1/") {
        true => request.header("authorization", basic(&format!("{KEY}:"))),
        false => request,
    };
    let request = request.body(Body::from(body.to_owned())).unwrap();
    collector.send(request).await;
    let event = collector.stored_event();
    let body: Value = serde_json::from_slice(&event.body).unwrap();
    body["context"]["ip"].as_str().map(str::to_owned).or(event.facts.client_ip)
}

#[tokio::test]
async fn an_address_is_a_persons_or_none() {
    let collector = collector();
    let (four, six) = ("203.0.113.9", "2001:db8::7");
    let profile = r#"{"$token":"t","$distinct_id":"u","$set":{"a":1}}"#;
    let of_ip = |ip: &str| profile.replace("\"$set\"", &format!("\"$ip\":{ip},\"$set\""));
    let event_of = |ip: &str| RECORD.replace("\"token\"", &format!("\"ip\":{ip},\"token\""));
    let table: Vec<(&str, &str, String, Option<&str>)> = vec![
        // A server's address is nobody's.
        (four, "/v1/track", ITEM.into(), None),
        (four, "/v1/track", ITEM.replace("\"type\"", "\"channel\":\"server\",\"type\""), None),
        (four, "/v1/track", ITEM.replace("\"type\"", "\"channel\":\"web\",\"type\""), Some(four)),
        (six, "/v1/track", ITEM.replace("\"type\"", "\"channel\":\"mobile\",\"type\""), Some(six)),
        ("::ffff:203.0.113.9", "/api/syft", format!("[{ITEM}]"), Some(four)),
        ("127.0.0.1", "/api/syft", format!("[{ITEM}]"), None),
        (six, "/v1/pixel/track?wk=dev-write-key&e=e&uid=u", String::new(), Some(six)),
        (four, "/track", RECORD.into(), None),
        (four, "/track?ip=0", RECORD.into(), None),
        (four, "/track?ip=1", RECORD.into(), Some(four)),
        (six, "/track", format!("data={RECORD}&ip=1"), Some(six)),
        (four, "/track?ip=1", event_of("\"198.51.100.1\""), Some("198.51.100.1")),
        (four, "/track?ip=1", event_of("0"), None),
        (four, "/engage", profile.into(), Some(four)),
        (four, "/engage?ip=0", profile.into(), None),
        (four, "/engage?ip=1", of_ip("\"0\""), None),
        (four, "/engage?ip=0", of_ip("\"198.51.100.1\""), Some("198.51.100.1")),
    ];
    for (peer, target, body, wanted) in table {
        let found = address(&collector, peer, target, &body).await;
        assert_eq!(found.as_deref(), wanted, "{peer} {target} {body}");
    }
}
