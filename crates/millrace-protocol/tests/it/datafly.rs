//! What Datafly's clients and pipelines need of the calls: other forms of a batch, strictness, and
//! what the collector gives to items that lack it.

use bytes::Bytes;
use millrace_model::code::Code;
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::{Batch, Item};
use millrace_model::passage::Origin;
use millrace_protocol::Limits;
use millrace_protocol::segment::{Admission, Call, Envelope};
use proptest::prelude::*;

use crate::bodies::{Door, NOW, TRACK, text};

fn admitted(call: Call, body: &str, prepare: impl FnOnce(&mut Envelope)) -> Batch {
    let limits = Limits::default();
    let mut envelope =
        Envelope::read(call, Bytes::copy_from_slice(body.as_bytes()), &limits).unwrap();
    prepare(&mut envelope);
    envelope.admit(&Admission {
        pipeline: &"dev".parse().unwrap(),
        origin: Origin::Datafly,
        received_at: NOW,
        client_ip: None,
        from_device: false,
        limits: &limits,
        entropy: &SeededEntropy::new(1),
    })
}

fn bodies(batch: &Batch) -> Vec<&str> {
    let items = batch.items.iter().map(|item| match item {
        Item::Event(event) => text(&event.body),
        other => panic!("{other:?}"),
    });
    items.collect()
}

#[test]
fn a_batch_has_three_forms() {
    let item = r#"{"type":"page","userId":"u"}"#;
    let table = [
        format!(r#"{{"batch":[{item}]}}"#),
        format!(r#"{{"events":[{item}]}}"#),
        format!(" [{item}] "),
        format!(r#"{{"events":[1,2],"batch":[{item}]}}"#),
        format!(r#"{{"batch":[{item}],"events":[1,2]}}"#),
    ];
    for body in table {
        let batch = Door::default().take(Call::Batch, body.as_bytes()).unwrap();
        assert_eq!(bodies(&batch), [item], "{body}");
    }
    let shared = r#"{"events":[{"type":"page","userId":"u"}],"context":{"locale":"en"}}"#;
    let batch = Door::default().take(Call::Batch, shared.as_bytes()).unwrap();
    assert_eq!(bodies(&batch), [r#"{"type":"page","userId":"u","context":{"locale":"en"}}"#]);
}

#[test]
fn a_typed_message_says_its_own_type() {
    let event = Door::default().event(Call::Typed, r#"{"type":"group","groupId":"g"}"#);
    assert_eq!(event.kind.as_str(), "group");
    let aside = Door::default().set_aside(Call::Typed, r#"{"event":"e"}"#);
    assert_eq!((aside.code, aside.kind), (Code::UnknownType, None));
}

#[test]
fn a_strict_pipeline_names_the_member_that_is_wrong() {
    let table: &[(&str, Option<(Code, &str)>)] = &[
        (r#"{"type":"track","event":"e","anonymousId":"a"}"#, None),
        (r#"{"type":"track","event":"e","userId":7,"properties":null,"timestamp":null}"#, None),
        (r#"{"event":"e","userId":"u"}"#, Some((Code::UnknownType, "type is missing"))),
        (
            r#"{"type":"page","event":"e","userId":"u"}"#,
            Some((Code::UnknownType, "type must be track on this path")),
        ),
        (r#"{"type":"track","userId":"u"}"#, Some((Code::NoEventName, "`event`"))),
        (r#"{"type":"track","event":"e"}"#, Some((Code::NoIdentity, "anonymousId is missing"))),
        (
            r#"{"type":"track","event":"e","userId":"u","properties":[]}"#,
            Some((Code::BadField, "properties must be an object")),
        ),
        (
            r#"{"type":"track","event":"e","userId":"u","traits":"x"}"#,
            Some((Code::BadField, "traits must be an object")),
        ),
        (
            r#"{"type":"track","event":"e","userId":"u","context":1}"#,
            Some((Code::BadField, "context must be an object")),
        ),
        (
            r#"{"type":"track","event":"e","userId":"u","name":1}"#,
            Some((Code::BadField, "name must be text")),
        ),
        (
            r#"{"type":"track","event":"e","userId":"u","timestamp":"soon"}"#,
            Some((Code::BadField, "timestamp must be a time")),
        ),
        (
            r#"{"type":"track","event":"e","userId":"u","messageId":{}}"#,
            Some((Code::BadField, "messageId")),
        ),
    ];
    for (body, wanted) in table {
        let mut batch = admitted(TRACK, body, Envelope::be_strict);
        match (batch.items.remove(0), wanted) {
            (Item::Event(_), None) => {}
            (Item::SetAside(aside), Some((code, reason))) => {
                assert_eq!(aside.code, *code, "{body}: {}", aside.reason);
                assert!(aside.reason.contains(reason), "{body}: {}", aside.reason);
            }
            (other, _) => panic!("{body}: {other:?}"),
        }
    }
}

#[test]
fn an_anonymous_id_is_given_to_those_without_and_to_no_other() {
    let body = r#"[{"type":"page"},{"type":"page","anonymousId":null,"a":1},{"type":"page","anonymousId":"own"},{"type":"alias","userId":"u","writeKey":"k"},7]"#;
    let batch = admitted(Call::Batch, body, |envelope| {
        assert!(envelope.lacks_anonymous_id());
        envelope.give_anonymous_id("giv\"en");
        envelope.be_strict();
    });
    let wanted = [
        r#"{"type":"page","anonymousId":"giv\"en"}"#,
        r#"{"type":"page","a":1,"anonymousId":"giv\"en"}"#,
        r#"{"type":"page","anonymousId":"own"}"#,
        // A device and a user: an alias without a previous id joins them.
        r#"{"type":"alias","userId":"u","anonymousId":"giv\"en"}"#,
    ];
    for (item, wanted) in batch.items.iter().zip(wanted) {
        let Item::Event(event) = item else { panic!("{item:?}") };
        assert_eq!(text(&event.body), wanted);
    }
    assert!(matches!(&batch.items[4], Item::SetAside(aside) if &aside.body[..] == b"7"));
    admitted(TRACK, r#"{"event":"e","anonymousId":"a"}"#, |envelope| {
        assert!(!envelope.lacks_anonymous_id());
    });
}

#[test]
fn a_resend_without_an_id_has_the_same_content_whatever_it_was_given() {
    let hash = |id: &str| {
        let batch = admitted(TRACK, r#"{"event":"e"}"#, |envelope| envelope.give_anonymous_id(id));
        let [Item::Event(event)] = &batch.items[..] else { panic!("{batch:?}") };
        event.body_hash
    };
    assert_eq!(hash("a"), hash("b"));
}

proptest! {
    #[test]
    fn a_given_context_stands_under_what_is_said(
        own in prop::option::of(0_u8..9), shared in prop::option::of(0_u8..9), given in 0_u8..9
    ) {
        let object = |value: Option<u8>| value.map(|value| serde_json::json!({"x": value}));
        let mut body = serde_json::json!({"batch": [{"type": "page"}]});
        if let Some(context) = object(shared) { body["context"] = context; }
        if let Some(context) = object(own) { body["batch"][0]["context"] = context; }
        let context = serde_json::json!({"x": given, "y": 1}).to_string();
        let batch = admitted(Call::Batch, &body.to_string(), |envelope| {
            envelope.give_context(context.as_bytes());
        });
        let event: serde_json::Value = serde_json::from_str(bodies(&batch)[0]).unwrap();
        prop_assert_eq!(&event["context"]["x"], &serde_json::json!(own.or(shared).unwrap_or(given)));
        prop_assert_eq!(&event["context"]["y"], &serde_json::json!(1));
    }
}
