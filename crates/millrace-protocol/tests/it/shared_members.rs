//! What a batch shares with its items: defaults, merged under each.

use millrace_model::code::Code;
use millrace_model::event::{Item, TimeSource};
use millrace_model::time::UnixMillis;
use millrace_protocol::segment::Call;
use millrace_protocol::{DecodeError, Limits};

use crate::bodies::{Door, NOW, text};

fn batch_of(shared: &str, item: &str) -> String {
    format!(r#"{{{shared}"batch":[{{"type":"page","userId":"u"{item}}}]}}"#)
}

#[test]
fn context_and_integrations_go_under_those_of_the_item() {
    let context = r#""context":{"ip":"1.2.3.4","app":{"name":"a"}},"#;
    let both = r#""integrations":{"All":true,"X":false},"context":{"ip":"1.2.3.4"},"#;
    let table = [
        ("", r#","context":{"ip":"9.9.9.9"}"#, r#","context":{"ip":"9.9.9.9"}"#),
        (context, "", r#","context":{"ip":"1.2.3.4","app":{"name":"a"}}"#),
        (
            context,
            r#","context":null,"name":"n""#,
            r#","context":{"ip":"1.2.3.4","app":{"name":"a"}},"name":"n""#,
        ),
        (
            context,
            r#","context":{},"name":"n""#,
            r#","context":{"ip":"1.2.3.4","app":{"name":"a"}},"name":"n""#,
        ),
        (
            context,
            r#","context":{"ip":"9.9.9.9","os":1}"#,
            r#","context":{"ip":"9.9.9.9","os":1,"app":{"name":"a"}}"#,
        ),
        (
            context,
            r#","context":{"\u0069p":"9.9.9.9"}"#,
            r#","context":{"\u0069p":"9.9.9.9","app":{"name":"a"}}"#,
        ),
        (context, r#","context":"odd""#, r#","context":"odd""#),
        (
            context,
            r#","context":{"a":1},"context":{"b":2}"#,
            r#","context":{"b":2,"ip":"1.2.3.4","app":{"name":"a"}}"#,
        ),
        (both, "", r#","context":{"ip":"1.2.3.4"},"integrations":{"All":true,"X":false}"#),
        (
            both,
            r#","integrations":{"X":true}"#,
            r#","integrations":{"X":true,"All":true},"context":{"ip":"1.2.3.4"}"#,
        ),
        (r#""context":null,"integrations":"x","#, "", ""),
        (
            r#""timestamp":"2026-11-22T11:00:00Z","sentAt":"2026-11-22T12:00:00Z","anything":1,"#,
            "",
            "",
        ),
    ];
    for (shared, item, wanted) in table {
        let event = Door::default().event(Call::Batch, &batch_of(shared, item));
        let wanted = format!(r#"{{"type":"page","userId":"u"{wanted}}}"#);
        assert_eq!(text(&event.body), wanted, "{shared} + {item}");
    }
}

#[test]
fn shared_times_count_last() {
    let at = |text: &str| UnixMillis::parse(text).unwrap();
    let shared = r#""timestamp":"2026-11-22T09:00:00Z","sentAt":"2026-11-22T11:00:00Z","#;
    let table = [
        (shared, "", at("2026-11-22T10:00:00Z"), TimeSource::Corrected),
        (
            shared,
            r#","originalTimestamp":"2026-11-22T08:00:00Z""#,
            at("2026-11-22T09:00:00Z"),
            TimeSource::Corrected,
        ),
        (
            shared,
            r#","timestamp":"2026-11-22T08:00:00Z","sentAt":"2026-11-22T12:00:01Z""#,
            at("2026-11-22T08:00:00Z"),
            TimeSource::Client,
        ),
        (shared, r#","sentAt":null"#, at("2026-11-22T10:00:00Z"), TimeSource::Corrected),
        ("", "", NOW, TimeSource::Receipt),
    ];
    for (shared, item, time, source) in table {
        let facts = Door::default().event(Call::Batch, &batch_of(shared, item)).facts;
        assert_eq!((facts.time, facts.time_source), (time, source), "{shared} + {item}");
    }
}

#[test]
fn a_shared_address_counts_as_the_events_own() {
    let door = Door { client_ip: Some("203.0.113.9"), from_device: true, ..Door::default() };
    let shared = r#""context":{"ip":"1.2.3.4"},"#;
    assert_eq!(door.event(Call::Batch, &batch_of(shared, "")).facts.client_ip, None);
    let other = r#""context":{"os":"x"},"#;
    let kept = door.event(Call::Batch, &batch_of(other, "")).facts.client_ip;
    assert_eq!(kept.as_deref(), Some("203.0.113.9"));
}

#[test]
fn what_is_shared_cannot_blow_a_body_up() {
    let shared = format!(r#""context":{{"a":"{}"}},"#, "x".repeat(1000));
    let items = vec![r#"{"type":"page","userId":"u"}"#; 100].join(",");
    let body = format!(r#"{{{shared}"batch":[{items}]}}"#);
    let door = |inflated_bytes| Door {
        limits: Limits { inflated_bytes, ..Limits::default() },
        ..Door::default()
    };
    let refused = door(50_000).take(Call::Batch, body.as_bytes());
    assert_eq!(refused, Err(DecodeError::TooLarge { limit: 50_000 }));
    assert_eq!(door(200_000).take(Call::Batch, body.as_bytes()).unwrap().items.len(), 100);
}

#[test]
fn size_and_depth_count_what_is_shared() {
    let deep = format!(r#""context":{{"a":{}{}}},"#, "[".repeat(63), "]".repeat(63));
    let aside = Door::default().set_aside(Call::Batch, &batch_of(&deep, ""));
    assert_eq!(aside.code, Code::TooDeep);
    let limits = Limits { event_bytes: 100, ..Limits::default() };
    let door = Door { limits, ..Door::default() };
    let large = format!(r#""context":{{"a":"{}"}},"#, "x".repeat(90));
    assert_eq!(door.set_aside(Call::Batch, &batch_of(&large, "")).code, Code::EventTooLarge);
}

#[test]
fn items_that_share_nothing_are_slices_of_the_body() {
    let body = batch_of(r#""sentAt":"2026-11-22T12:00:00Z","writeKey":"k","#, "");
    let batch = Door::default().take(Call::Batch, body.as_bytes()).unwrap();
    let [Item::Event(event)] = batch.items.as_slice() else { panic!("{batch:?}") };
    assert!(body.contains(text(&event.body)));
}
