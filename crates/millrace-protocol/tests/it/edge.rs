//! Events of Adobe's Edge Network: what becomes of them at the door, from recorded requests and
//! from ones made for the purpose.

mod visitors;

use std::path::PathBuf;

use base64::Engine;
use bytes::Bytes;
use millrace_model::code::Code;
use millrace_model::entropy::SystemEntropy;
use millrace_model::event::{Batch, Event, EventKind, Item, TimeSource};
use millrace_model::time::UnixMillis;
use millrace_protocol::edge::{Admission, Envelope, Form, MixpanelCookie, Visitor, is_event};
use millrace_protocol::{DecodeError, Limits};
use proptest::prelude::*;
use serde_json::{Value, json};

const RECEIVED: UnixMillis = UnixMillis(1_795_354_000_000);
const ECID: &str = "31415926535897932384626433832795028841";

fn admitted(form: Form, body: &[u8], visitor: Visitor<'_>) -> Result<Batch, DecodeError> {
    let limits = Limits::default();
    let envelope = Envelope::read(form, Bytes::copy_from_slice(body), &limits)?;
    Ok(envelope.admit(&Admission {
        pipeline: &"web".parse().unwrap(),
        received_at: RECEIVED,
        request_id: Some("r-1"),
        visitor,
        keep_decisioning: true,
        limits: &limits,
        entropy: &SystemEntropy,
    }))
}

/// The one event of a body.
fn event(form: Form, body: &Value) -> Event {
    let batch = admitted(form, body.to_string().as_bytes(), Visitor::default()).unwrap();
    match batch.items.as_slice() {
        [Item::Event(event)] => event.clone(),
        other => panic!("{body}: {other:?}"),
    }
}

fn canonical(form: Form, body: &Value) -> Value {
    serde_json::from_slice(&event(form, body).body).unwrap()
}

fn refused(body: &Value) -> (Code, String) {
    let batch = admitted(Form::Bare, body.to_string().as_bytes(), Visitor::default()).unwrap();
    match batch.items.as_slice() {
        [Item::SetAside(aside)] => (aside.code, aside.reason.clone()),
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn the_canonical_event_has_what_was_sent_and_the_names_of_other_events() {
    let sent = json!({
        "xdm": {
            "_id": "x-1", "eventType": "web.webpagedetails.pageViews", "timestamp": "2026-11-22T12:52:22.755Z",
            "identityMap": {
                "ECID": [{"id": ECID, "authenticatedState": "authenticated", "primary": true}],
                "CRMID": [{"id": "crm-7", "authenticatedState": "authenticated"}],
            },
        },
        "data": {"a": 1}, "meta": {"m": 2}, "query": {"q": 3},
        "type": "alias", "userId": "somebody else", "messageId": "m", "context": {"ip": "192.0.2.1"},
    });
    let event = event(Form::Bare, &sent);
    assert_eq!(event.kind, EventKind::Track);
    assert_eq!(event.facts.message_id, "x-1");
    assert_eq!(event.facts.time.to_string(), "2026-11-22T12:52:22.755Z");
    assert_eq!(event.facts.time_source, TimeSource::Client);
    let body: Value = serde_json::from_slice(&event.body).unwrap();
    let wanted = json!({
        "xdm": sent["xdm"], "data": {"a": 1}, "meta": {"m": 2}, "query": {"q": 3},
        "type": "track", "event": "web.webpagedetails.pageViews", "anonymousId": ECID, "userId": "crm-7",
    });
    assert_eq!(body, wanted);
}

#[test]
fn only_an_authenticated_identity_is_a_user() {
    let authenticated = |id: &str| json!([{"id": id, "authenticatedState": "authenticated"}]);
    let of_f = millrace_protocol::edge::ecid_of_fpid("f");
    for (map, user, device) in [
        (json!({}), None, None),
        (json!({"CRMID": [{"id": "u"}]}), None, None),
        (
            json!({"CRMID": [{"id": "u", "authenticatedState": "ambiguous", "primary": true}]}),
            None,
            None,
        ),
        (json!({"CRMID": [{"id": "u", "authenticatedState": "loggedOut"}]}), None, None),
        (json!({"CRMID": authenticated("u")}), Some("u"), None),
        (
            json!({"CRMID": authenticated("u"), "Email": authenticated("a@b.example")}),
            Some("u"),
            None,
        ),
        (
            json!({"CRMID": authenticated("u"),
                "Email": [{"id": "a@b.example", "authenticatedState": "authenticated", "primary": "true"}]}),
            Some("a@b.example"),
            None,
        ),
        (json!({"ECID": authenticated("e"), "IDFA": authenticated("i")}), None, Some("e")),
        (
            json!({"FPID": [{"id": "f"}], "ECID": [{"id": ""}, {"id": "e"}, {"id": "e2"}]}),
            None,
            Some("e"),
        ),
        (json!({"FPID": [{"id": "f", "primary": true}]}), None, Some(of_f.as_str())),
        (json!({"CRMID": authenticated(""), "ECID": null}), None, None),
        (json!({"CRMID": [{"id": 7, "authenticatedState": "authenticated"}]}), Some("7"), None),
    ] {
        let body = canonical(Form::Bare, &json!({"xdm": {"identityMap": map}}));
        let found = |name: &str| body.get(name).and_then(Value::as_str);
        assert_eq!((found("userId"), found("anonymousId")), (user, device), "{map}");
    }
}

#[test]
fn what_the_request_shares_stands_under_each_event() {
    let body = canonical(
        Form::Request,
        &json!({
            "xdm": {"eventType": "shared", "a": 1, "b": {"c": 2},
                "identityMap": {"ECID": [{"id": "e"}], "CRMID": [{"id": "shared", "authenticatedState": "authenticated"}]}},
            "events": [{"data": {"x": 1}, "xdm": {"b": {"d": 3},
                "identityMap": {"CRMID": [{"id": "own", "authenticatedState": "authenticated"}]}}}],
        }),
    );
    let wanted = json!({
        "xdm": {"eventType": "shared", "a": 1, "b": {"d": 3},
            "identityMap": {"ECID": [{"id": "e"}], "CRMID": [{"id": "own", "authenticatedState": "authenticated"}]}},
        "data": {"x": 1}, "type": "track", "event": "shared", "anonymousId": "e", "userId": "own",
    });
    assert_eq!(body, wanted);
    let body = canonical(Form::Request, &json!({"event": {"data": 1}, "xdm": {"eventType": "s"}}));
    assert_eq!(body, json!({"data": 1, "xdm": {"eventType": "s"}, "type": "track", "event": "s"}));
}

#[test]
fn the_visitor_fills_what_the_event_does_not_say() {
    let cookie = MixpanelCookie {
        distinct_id: Some("$device:d".to_owned()),
        device_id: Some("d".to_owned()),
        user_id: None,
    };
    let visitor = Visitor {
        ecid: Some("7"),
        mixpanel: Some(&cookie),
        user_agent: Some("Agent \"1\""),
        ip: Some("::ffff:192.0.2.7".parse().unwrap()),
        ecid_is_fleeting: false,
    };
    let body = json!({"events": [{"xdm": {}}, {"xdm": {"identityMap": {"ECID": [{"id": "e"}]}}}]});
    let batch = admitted(Form::Request, body.to_string().as_bytes(), visitor).unwrap();
    let devices = ["7", "e"];
    for (item, device) in batch.items.iter().zip(devices) {
        let Item::Event(event) = item else { panic!("{item:?}") };
        assert_eq!(event.facts.client_ip.as_deref(), Some("192.0.2.7"));
        let body: Value = serde_json::from_slice(&event.body).unwrap();
        let context = json!({"userAgent": "Agent \"1\"", "mixpanel": {"distinct_id": "$device:d", "device_id": "d"}});
        assert_eq!((&body["context"], &body["anonymousId"]), (&context, &json!(device)));
    }
}

#[test]
fn ids_and_times_that_are_missing_come_from_the_request() {
    let body =
        json!({"events": [{"xdm": {"timestamp": "soon"}}, {"xdm": {}}, {"xdm": {"_id": "own"}}]});
    let ids = |body: &Value| -> Vec<String> {
        let batch =
            admitted(Form::Request, body.to_string().as_bytes(), Visitor::default()).unwrap();
        let id = |item: &Item| match item {
            Item::Event(event) => {
                assert_eq!(event.facts.time, RECEIVED);
                assert_eq!(event.facts.time_source, TimeSource::Receipt);
                event.facts.message_id.clone()
            }
            other => panic!("{other:?}"),
        };
        batch.items.iter().map(id).collect()
    };
    let first = ids(&body);
    assert_eq!(first, ids(&body), "the same request again has the same ids");
    assert_eq!(first[2], "own");
    let other = ids(&json!({"events": [{"xdm": {}}, {"xdm": {}}]}));
    assert!(first[1].starts_with("r-1-1-"), "{first:?}");
    assert_eq!(first[1], other[1]);
    assert_ne!(other[0], other[1]);
}

#[test]
fn what_is_wrong_with_an_event_costs_that_event() {
    for (event, code, word) in [
        (json!(7), Code::NotAnObject, "object"),
        (json!({"xdm": []}), Code::BadField, "xdm"),
        (json!({"xdm": {"eventType": 7}}), Code::BadField, "eventType"),
        (json!({"xdm": {"_id": {}}}), Code::BadField, "_id"),
        (json!({"xdm": {"identityMap": "x"}}), Code::BadField, "identityMap"),
        (json!({"xdm": {"identityMap": {"ECID": {"id": "x"}}}}), Code::BadField, "list"),
        (json!({"xdm": {"identityMap": {"ECID": ["x"]}}}), Code::BadField, "object"),
        (json!({"xdm": {"identityMap": {"ECID": [{"id": [1]}]}}}), Code::BadField, "text"),
        (json!({"xdm": {"a": "x".repeat(2 << 20)}}), Code::EventTooLarge, "bytes"),
    ] {
        let (found, reason) = refused(&event);
        assert_eq!(found, code, "{reason}");
        assert!(reason.contains(word), "{reason}");
    }
    let deep = format!(r#"{{"xdm":{}1{}}}"#, r#"{"a":"#.repeat(80), "}".repeat(80));
    let batch = admitted(Form::Bare, deep.as_bytes(), Visitor::default()).unwrap();
    assert!(matches!(&batch.items[0], Item::SetAside(aside) if aside.code == Code::TooDeep));
    for (body, wanted) in [
        ("", DecodeError::Empty),
        ("[]", DecodeError::NoEvents),
        (r#"{"query":{}}"#, DecodeError::NoEvents),
        (r#"{"events":{}}"#, DecodeError::NoEvents),
    ] {
        let found = admitted(Form::Request, body.as_bytes(), Visitor::default());
        assert_eq!(found.err(), Some(wanted), "{body}");
    }
}

#[test]
fn a_bare_event_is_told_from_a_segment_call() {
    for (line, wanted) in [
        (r#" {"xdm": {}}"#, true),
        (r#"{"data": {"type": 1}, "\u0078dm": 7}"#, true),
        (r#"{"xdm": {}, "type": "track"}"#, false),
        (r#"{"type": "track"}"#, false),
        (r#"{"xdm": {}"#, false),
        ("[]", false),
        ("", false),
    ] {
        assert_eq!(is_event(line.as_bytes()), wanted, "{line}");
    }
}

struct Recorded {
    name: String,
    body: Vec<u8>,
    events: Vec<Value>,
    ecid: Option<&'static str>,
}

/// The recorded calls; nothing where the shared folder is not at hand, which only CI must have.
fn recorded() -> Vec<Recorded> {
    let shared = std::env::var_os("MILLRACE_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let sdk = shared.join("fixtures/sdk");
    if !sdk.is_dir() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no fixtures in {}", sdk.display());
        println!("no fixtures in {}: nothing replayed", sdk.display());
        return Vec::new();
    }
    let mut found = Vec::new();
    for folder in ["alloy", "adobe-edge-api"] {
        for file in std::fs::read_dir(sdk.join(folder)).unwrap() {
            let path = file.unwrap().path();
            let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let request = &json["request"];
            let body = base64::engine::general_purpose::STANDARD
                .decode(request["body_base64"].as_str().unwrap())
                .unwrap();
            let decoded = &request["decoded"];
            let events = match (&decoded["events"], &decoded["event"]) {
                (Value::Array(events), _) => events.clone(),
                (_, Value::Null) => Vec::new(),
                (_, event) => vec![event.clone()],
            };
            let ecid = request["decoded"].to_string().contains("kndctr_").then_some(ECID);
            found.push(Recorded { name: path.display().to_string(), body, events, ecid });
        }
    }
    assert!(found.len() > 12, "only {} recorded calls", found.len());
    found
}

#[test]
fn recorded_requests_become_their_events() {
    let mut events = 0;
    for recorded in recorded() {
        let name = &recorded.name;
        let batch = match admitted(Form::Request, &recorded.body, Visitor::default()) {
            Ok(batch) => batch,
            Err(error) => {
                assert_eq!((error, recorded.events.len()), (DecodeError::NoEvents, 0), "{name}");
                continue;
            }
        };
        assert_eq!(batch.items.len(), recorded.events.len(), "{name}");
        for (item, sent) in batch.items.iter().zip(&recorded.events) {
            let Item::Event(event) = item else { panic!("{name}: {item:?}") };
            let body: Value = serde_json::from_slice(&event.body).unwrap();
            for (key, value) in sent.as_object().unwrap() {
                assert_eq!(&body[key], value, "{name}: {key}");
            }
            assert_eq!(body["type"], "track", "{name}");
            assert_eq!(body["event"], sent["xdm"]["eventType"], "{name}");
            let time = UnixMillis::parse(sent["xdm"]["timestamp"].as_str().unwrap());
            assert_eq!(Some(event.facts.time), time, "{name}");
            let map = &sent["xdm"]["identityMap"];
            let made = map["FPID"][0]["id"].as_str().map(millrace_protocol::edge::ecid_of_fpid);
            let device = map["ECID"][0]["id"].as_str().or(made.as_deref()).or(recorded.ecid);
            assert_eq!(body.get("anonymousId").and_then(Value::as_str), device, "{name}");
            assert_eq!(body.get("userId"), map["CRMID"][0].get("id"), "{name}");
            if let Some(id) = sent["xdm"]["_id"].as_str() {
                assert_eq!(event.facts.message_id, id, "{name}");
            }
            events += 1;
        }
    }
    assert!(events == 0 || events >= 14, "{events} events");
}

/// JSON in the form of a request, and beside it.
fn request() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "null",
        "true",
        "7",
        "1e400",
        "\"\"",
        "\"a\"",
        "\"\\ud800\"",
        "\"authenticated\"",
        "\"2026-11-22T12:52:22.755Z\"",
        "[]",
        "{}",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(6, 40, 4, |inner| {
        let name = prop::sample::select(vec![
            "events",
            "event",
            "xdm",
            "data",
            "identityMap",
            "ECID",
            "CRMID",
            "id",
            "primary",
            "authenticatedState",
            "_id",
            "eventType",
            "timestamp",
            "meta",
            "state",
            "entries",
            "key",
            "value",
            "\\u0078dm",
            "userId",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3)
                .prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((name, inner), 0..4).prop_map(|members| {
                let members: Vec<String> =
                    members.into_iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
                format!("{{{}}}", members.join(", "))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_event_comes_out_as_one_json_object(
        event in request(), xdm in request(), map in request(), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let whole = format!(
            r#"{{"xdm":{xdm},"events":[{event},{{"xdm":{xdm},"data":{event}}},{{"xdm":{{"identityMap":{map}}}}}]}}"#
        );
        let mut changed = whole.clone().into_bytes();
        let place = at.index(changed.len());
        changed[place] = byte;
        for body in [whole.as_bytes(), event.as_bytes(), &changed] {
            if std::str::from_utf8(body).is_err() {
                continue;
            }
            for form in [Form::Request, Form::Bare] {
                let Ok(batch) = admitted(form, body, Visitor::default()) else { continue };
                for item in batch.items {
                    if let Item::Event(event) = item {
                        let text = std::str::from_utf8(&event.body).unwrap();
                        let raw: Box<serde_json::value::RawValue> = serde_json::from_str(text).unwrap();
                        prop_assert_eq!(raw.get().as_bytes().first(), Some(&b'{'));
                    }
                }
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = admitted(Form::Request, &bytes, Visitor::default());
    }
}

#[test]
fn what_personalisation_says_of_itself_is_filtered_unless_it_is_wanted() {
    let limits = Limits::default();
    let body = json!({"events": [
        {"xdm": {"eventType": "decisioning.propositionDisplay"}},
        {"xdm": {"eventType": "Decisioning.propositionFetch"}},
        {"xdm": {"eventType": "decisioning"}},
        {"xdm": {}},
    ]});
    for (keep_decisioning, filtered) in [(false, 2), (true, 0)] {
        let body = Bytes::from(body.to_string());
        let envelope = Envelope::read(Form::Request, body, &limits).unwrap();
        let batch = envelope.admit(&Admission {
            pipeline: &"web".parse().unwrap(),
            received_at: RECEIVED,
            request_id: None,
            visitor: Visitor::default(),
            keep_decisioning,
            limits: &limits,
            entropy: &SystemEntropy,
        });
        let found = batch.items.iter().filter(|item| matches!(item, Item::Filtered(_))).count();
        assert_eq!((found, batch.items.len()), (filtered, 4));
    }
}
