//! The rules of the door, one row each.

use millrace_model::code::Code;
use millrace_model::event::{EventKind, Item, TimeSource};
use millrace_model::time::UnixMillis;
use millrace_protocol::segment::{Call, Envelope};
use millrace_protocol::{DecodeError, Limits};

use crate::bodies::{Door, NOW, TRACK, event, text};

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[test]
fn what_is_wrong_with_an_item_costs_that_item() {
    let deep =
        format!(r#"{{"type":"track","userId":"u","event":"e","properties":{}}}"#, nested(64));
    let table: &[(&str, Code, &str)] = &[
        ("12", Code::NotAnObject, "object"),
        ("null", Code::NotAnObject, "object"),
        ("[]", Code::NotAnObject, "object"),
        ("\"track\"", Code::NotAnObject, "object"),
        ("{}", Code::UnknownType, "type is missing"),
        (r#"{"type":null,"userId":"u"}"#, Code::UnknownType, "type must be one of"),
        (r#"{"type":"merge","userId":"u"}"#, Code::UnknownType, "alias"),
        (r#"{"type":"Track","userId":"u","event":"e"}"#, Code::UnknownType, "track"),
        (r#"{"type":7,"userId":"u"}"#, Code::UnknownType, "type must be one of"),
        (r#"{"type":"track","userId":"u"}"#, Code::NoEventName, "event"),
        (r#"{"type":"track","userId":"u","event":""}"#, Code::NoEventName, "event"),
        (r#"{"type":"track","userId":"u","event":null}"#, Code::NoEventName, "event"),
        (r#"{"type":"track","userId":"u","event":5}"#, Code::BadField, "event"),
        (r#"{"type":"track","userId":"u","event":{"a":1}}"#, Code::BadField, "event"),
        (r#"{"type":"track","userId":{"a":1},"event":"e"}"#, Code::BadField, "userId"),
        (r#"{"type":"track","userId":true,"event":"e"}"#, Code::BadField, "userId"),
        (r#"{"type":"page","userId":"u","anonymousId":[]}"#, Code::BadField, "anonymousId"),
        (r#"{"type":"page","userId":"u","messageId":false}"#, Code::BadField, "messageId"),
        (r#"{"type":"page","userId":"u\ud800"}"#, Code::BadText, "userId"),
        (r#"{"type":"page","userId":"u","messageId":"\udc00"}"#, Code::BadText, "messageId"),
        (r#"{"type":"group","userId":"u","groupId":[]}"#, Code::BadField, "groupId"),
        (r#"{"type":"alias","previousId":"p"}"#, Code::MissingId, "userId"),
        (r#"{"type":"alias","userId":"u"}"#, Code::MissingId, "previousId"),
        (&deep, Code::TooDeep, "64"),
    ];
    let good = r#"{"type":"track","userId":"u","event":"e"}"#;
    for (item, code, word) in table {
        let body = format!(r#"{{"batch":[{good},{item},{good}]}}"#);
        let batch = Door::default().take(Call::Batch, body.as_bytes()).unwrap();
        let [Item::Event(_), Item::SetAside(aside), Item::Event(_)] = batch.items.as_slice() else {
            panic!("{item}: {batch:?}");
        };
        assert_eq!(aside.code, *code, "{item}");
        assert!(aside.reason.contains(word), "{item}: {}", aside.reason);
        assert_eq!(text(&aside.body), *item);
        assert_eq!(aside.full_length, item.len() as u64);
    }
}

#[test]
fn what_is_odd_but_good_becomes_an_event() {
    for item in [
        r#"{"type":"identify","anonymousId":"a"}"#,
        r#"{"type":"page","userId":0}"#,
        r#"{"type":"screen","userId":-1.5e400}"#,
        r#"{"type":"group","userId":"u","traits":{"company_id":"c"}}"#,
        r#"{"type":"alias","userId":"u","anonymousId":"a"}"#,
        r#"{"type":"alias","userId":"u","previousId":"u"}"#,
        r#"{"type":"track","userId":"u","event":"e","properties":{"n":1e400,"m":12345678901234567890123}}"#,
        r#"{"type":"track","userId":"u","event":"e","properties":{"half":"\ud83d"}}"#,
        r#"{"type":"track","userId":"u","event":" ","properties":null,"context":null,"traits":5}"#,
        r#"{"type":"bogus","type":"track","userId":{},"userId":"u","event":"e"}"#,
        r#"{"\u0074ype":"page","user\u0049d":"u"}"#,
    ] {
        let body = format!(r#"{{"batch":[{item}]}}"#);
        let event = Door::default().event(Call::Batch, &body);
        assert_eq!(text(&event.body), item);
    }
}

#[test]
fn a_body_that_cannot_be_read_is_refused_as_a_whole() {
    let limits = Limits { batch_events: 3, ..Limits::default() };
    let door = Door { limits, ..Door::default() };
    let four = r#"{"batch":[1,2,3,4]}"#;
    let table: &[(Call, &str, Code)] = &[
        (TRACK, "", Code::EmptyBody),
        (TRACK, " \n", Code::EmptyBody),
        (TRACK, "hello", Code::BadJson),
        (TRACK, "{\"event\":\"e\"", Code::BadJson),
        (TRACK, "{\"event\":NaN}", Code::BadJson),
        (TRACK, "{}\n{}\n", Code::BadJson),
        (TRACK, "data=eyJ9", Code::BadJson),
        (Call::Batch, "{\"batch\":[{},]}", Code::BadJson),
        (Call::Batch, "{\"batch\":[{}]} x", Code::BadJson),
        (Call::Batch, "7", Code::BadBody),
        (Call::Batch, "[{},]", Code::BadJson),
        (Call::Batch, "[1,2,3,4]", Code::TooManyEvents),
        (Call::Batch, "{\"events\":[1,2,3,4]}", Code::TooManyEvents),
        (Call::Batch, "[", Code::BadJson),
        (Call::Batch, "{}", Code::BadBody),
        (Call::Batch, "{\"batch\":{}}", Code::BadBody),
        (Call::Batch, "{\"batch\":[],\"batch\":null}", Code::BadBody),
        (Call::Batch, four, Code::TooManyEvents),
    ];
    for (call, body, code) in table {
        let error = door.take(*call, body.as_bytes()).unwrap_err();
        assert_eq!(error.code(), *code, "{body}: {error}");
    }
    assert_eq!(door.take(Call::Batch, b"{\"batch\":[1,2,3]}").unwrap().items.len(), 3);
    assert_eq!(door.take(Call::Batch, b"{\"batch\":[]}").unwrap().items.len(), 0);
    let place = Door::default().take(TRACK, b"{\"a\":tru}").unwrap_err();
    assert_eq!(place, DecodeError::BadJson { what: "expected a value", at: 5 });
}

#[test]
fn depth_is_bounded_without_recursion() {
    let door = Door::default();
    for depth in [65, 10_000, 60_000] {
        let body = nested(depth);
        assert_eq!(door.set_aside(TRACK, &body).code, Code::NotAnObject);
        let body = format!(r#"{{"userId":"u","event":"e","properties":{}}}"#, nested(depth));
        assert_eq!(door.set_aside(TRACK, &body).code, Code::TooDeep, "{depth}");
    }
    let error = door.take(TRACK, nested(1_000_000).as_bytes()).unwrap_err();
    assert_eq!(error.code(), Code::TooDeep);
    let body = format!(r#"{{"userId":"u","event":"e","properties":{}}}"#, nested(63));
    door.event(TRACK, &body);
}

#[test]
fn a_large_event_is_set_aside_and_cut() {
    let body =
        format!(r#"{{"userId":"u","event":"e","properties":{{"a":"{}"}}}}"#, "x".repeat(2 << 20));
    let aside = Door::default().set_aside(TRACK, &body);
    assert_eq!(aside.code, Code::EventTooLarge);
    assert_eq!(aside.full_length, body.len() as u64);
    assert_eq!(aside.body.as_ref(), &body.as_bytes()[..32 << 10]);
}

#[test]
fn the_path_says_the_type_of_a_single_message() {
    for kind in EventKind::ALL {
        let body = r#"{"type":"bogus","userId":"u","groupId":"g","previousId":"p","event":"e"}"#;
        assert_eq!(Door::default().event(Call::Single(kind), body).kind, kind);
    }
}

#[test]
fn message_ids_are_texts_and_never_missing() {
    let id =
        |member: &str| event(&format!(r#"{{"userId":"u","event":"e"{member}}}"#)).facts.message_id;
    assert_eq!(id(r#","messageId":"m-1""#), "m-1");
    assert_eq!(id(r#","messageId":"caf\u00e9""#), "caf\u{e9}");
    assert_eq!(id(r#","messageId":17"#), "17");
    assert_eq!(id(r#","messageId":1.50"#), "1.50");
    for missing in ["", r#","messageId":"""#, r#","messageId":null"#] {
        assert_eq!(id(missing).len(), 32, "{missing}");
    }
    let twice = r#"{"batch":[{"type":"page","userId":"u"},{"type":"page","userId":"u"}]}"#;
    let batch = Door::default().take(Call::Batch, twice.as_bytes()).unwrap();
    let [Item::Event(a), Item::Event(b)] = batch.items.as_slice() else { panic!("{batch:?}") };
    assert_ne!(a.facts.message_id, b.facts.message_id);
    assert_ne!(a.dedupe_key, b.dedupe_key);
    assert_eq!(a.body_hash, b.body_hash);
}

#[test]
fn a_resend_has_the_same_key_and_content_though_its_sent_at_differs() {
    let body = |sent: &str, name: &str| {
        event(&format!(r#"{{"userId":"u","sentAt":"{sent}","event":"{name}","messageId":"m"}}"#))
    };
    let first = body("2026-11-22T11:00:00Z", "a");
    let again = body("2026-11-22T11:30:00Z", "a");
    let other = body("2026-11-22T11:00:00Z", "b");
    assert_eq!((first.dedupe_key, first.body_hash), (again.dedupe_key, again.body_hash));
    assert_eq!(first.dedupe_key, other.dedupe_key);
    assert_ne!(first.body_hash, other.body_hash);
}

#[test]
fn the_time_of_an_event_comes_from_the_first_that_can_be_read() {
    let at = |text: &str| UnixMillis::parse(text).unwrap();
    let table: &[(&str, UnixMillis, TimeSource)] = &[
        (
            r#""timestamp":"2026-11-22T11:00:00Z","originalTimestamp":"2026-11-22T10:00:00Z""#,
            at("2026-11-22T11:00:00Z"),
            TimeSource::Client,
        ),
        (
            r#""timestamp":"soon","originalTimestamp":"2026-11-22T10:00:00Z""#,
            at("2026-11-22T10:00:00Z"),
            TimeSource::Client,
        ),
        (
            r#""timestamp":null,"originalTimestamp":"2026-11-22T10:00:00Z""#,
            at("2026-11-22T10:00:00Z"),
            TimeSource::Client,
        ),
        (r#""timestamp":1795345200000"#, at("2026-11-22T11:00:00Z"), TimeSource::Client),
        (r#""timestamp":1795345200"#, at("2026-11-22T11:00:00Z"), TimeSource::Client),
        (r#""timestamp":0"#, NOW, TimeSource::Receipt),
        (r#""timestamp":1e400"#, NOW, TimeSource::Receipt),
        (r#""timestamp":"\ud800""#, NOW, TimeSource::Receipt),
        (r#""timestamp":{}"#, NOW, TimeSource::Receipt),
        (r#""x":1"#, NOW, TimeSource::Receipt),
        (r#""timestamp":"0001-01-01T00:00:00Z""#, at("0001-01-01"), TimeSource::Client),
        (r#""timestamp":"9999-12-31T23:59:59Z""#, at("9999-12-31T23:59:59Z"), TimeSource::Client),
        (
            r#""timestamp":"2026-11-22T10:00:00Z","sentAt":"2026-11-22T11:00:00Z""#,
            at("2026-11-22T11:00:00Z"),
            TimeSource::Corrected,
        ),
        (
            r#""timestamp":"2026-11-22T10:00:00Z","sentAt":"2026-11-22T11:56:00Z""#,
            at("2026-11-22T10:00:00Z"),
            TimeSource::Client,
        ),
        (
            r#""timestamp":"2026-11-22T10:00:00Z","sentAt":"never""#,
            at("2026-11-22T10:00:00Z"),
            TimeSource::Client,
        ),
    ];
    for (members, time, source) in table {
        let facts = event(&format!(r#"{{"userId":"u","event":"e",{members}}}"#)).facts;
        assert_eq!((facts.time, facts.time_source), (*time, *source), "{members}");
    }
}

#[test]
fn the_client_address_is_kept_only_for_devices_and_only_when_the_event_has_none() {
    let table: &[(&str, bool, &str, Option<&str>)] = &[
        ("203.0.113.9", true, "", Some("203.0.113.9")),
        ("203.0.113.9", false, "", None),
        ("203.0.113.9", false, r#","channel":"web""#, Some("203.0.113.9")),
        ("203.0.113.9", false, r#","channel":"mobile""#, Some("203.0.113.9")),
        ("203.0.113.9", false, r#","channel":"server""#, None),
        ("203.0.113.9", true, r#","context":{"ip":"198.51.100.1"}"#, None),
        ("203.0.113.9", true, r#","context":{"ip":""}"#, Some("203.0.113.9")),
        ("203.0.113.9", true, r#","context":{"page":{"ip":"1.2.3.4"}}"#, Some("203.0.113.9")),
        ("192.168.1.20", true, "", Some("192.168.1.20")),
        ("127.0.0.1", true, "", None),
        ("::1", true, "", None),
        ("0.0.0.0", true, "", None),
        ("::ffff:127.0.0.1", true, "", None),
        ("::ffff:203.0.113.9", true, "", Some("203.0.113.9")),
        ("2001:db8::7", true, "", Some("2001:db8::7")),
    ];
    for (ip, from_device, members, wanted) in table {
        let door = Door { client_ip: Some(ip), from_device: *from_device, ..Door::default() };
        let event = door.event(TRACK, &format!(r#"{{"userId":"u","event":"e"{members}}}"#));
        assert_eq!(event.facts.client_ip.as_deref(), *wanted, "{ip} {from_device} {members}");
    }
}

#[test]
fn the_write_key_is_found_and_never_kept() {
    let limits = Limits::default();
    let key = |call: Call, body: &'static str| {
        let envelope = Envelope::read(call, body.into(), &limits).unwrap();
        envelope.write_key().map(|key| key.expose().to_owned())
    };
    assert_eq!(key(TRACK, r#"{"writeKey":"k1"}"#).as_deref(), Some("k1"));
    assert_eq!(key(Call::Batch, r#"{"batch":[],"writeKey":"k2"}"#).as_deref(), Some("k2"));
    for none in [r#"{"writeKey":""}"#, r#"{"writeKey":null}"#, r#"{"writeKey":5}"#, "[1]"] {
        assert_eq!(key(TRACK, none), None, "{none}");
    }

    let table = [
        (r#"{"writeKey":"k","userId":"u","event":"e"}"#, r#"{"userId":"u","event":"e"}"#),
        (r#"{"userId":"u","event":"e","writeKey":"k"}"#, r#"{"userId":"u","event":"e"}"#),
        (
            r#"{"userId":"u", "write\u004bey" : "k", "event":"e","writeKey":"k"}"#,
            r#"{"userId":"u","event":"e"}"#,
        ),
    ];
    for (body, kept) in table {
        assert_eq!(text(&event(body).body), kept);
        let in_batch = body.replacen('{', r#"{"batch":[{"type":"track","#, 1) + "]}";
        let kept = kept.replacen('{', r#"{"type":"track","#, 1);
        assert_eq!(text(&Door::default().event(Call::Batch, &in_batch).body), kept);
    }
    let aside = Door::default().set_aside(TRACK, r#"{"writeKey":"k","userId":"u"}"#);
    assert_eq!((text(&aside.body), aside.full_length), (r#"{"userId":"u"}"#, 14));
}
