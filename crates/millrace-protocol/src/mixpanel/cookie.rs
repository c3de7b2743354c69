//! Offering the ids of Mixpanel's cookie to blueprints: `context.mixpanel` of an event that came by
//! another protocol, in the same form that events of Adobe's have.

use bytes::Bytes;

use crate::edge::MixpanelCookie;
use crate::json::{ObjectWriter, Scanner, Span, each_member, name};

/// The event with the ids of the cookie in `context.mixpanel`. Nothing of the event is replaced: its
/// own `context.mixpanel` stays, and so does a `context` that is no object.
#[must_use]
pub fn offer(event: &Bytes, cookie: &MixpanelCookie) -> Bytes {
    let Some(whole) = whole_object(event) else { return event.clone() };
    let mut context = Span::default();
    each_member(event, whole, |key, value| {
        if name(key.of(event)).as_ref() == b"context" {
            context = value;
        }
    });
    let mut ids = ObjectWriter::with_room(256);
    ids.text(b"\"distinct_id\"", cookie.distinct_id.as_deref());
    ids.text(b"\"device_id\"", cookie.device_id.as_deref());
    ids.text(b"\"user_id\"", cookie.user_id.as_deref());
    let ids = ids.finish();
    match context.of(event).first() {
        Some(b'{') => {
            let mut own = false;
            let mut empty = true;
            each_member(event, context, |key, _| {
                empty = false;
                own |= name(key.of(event)).as_ref() == b"mixpanel";
            });
            if own {
                return event.clone();
            }
            let after = if empty { "" } else { "," };
            // Behind the opening bracket of the object.
            spliced(event, context.range().start + 1, &[b"\"mixpanel\":", &ids, after.as_bytes()])
        }
        // Of members with the same name the last counts, so a null before does no harm.
        None | Some(b'n') => {
            let first = Scanner::again(event, whole);
            let comma: &[u8] = if is_empty(first) { b"" } else { b"," };
            let parts: [&[u8]; 4] = [comma, b"\"context\":{\"mixpanel\":", &ids, b"}"];
            spliced(event, whole.range().end - 1, &parts)
        }
        Some(_) => event.clone(),
    }
}

/// The place of the event, when it is one object.
fn whole_object(event: &[u8]) -> Option<Span> {
    let mut scanner = Scanner::new(event);
    if scanner.peek() != Some(b'{') {
        return None;
    }
    let whole = scanner.value().ok()?;
    scanner.end().is_ok().then_some(whole)
}

fn is_empty(mut object: Scanner<'_>) -> bool {
    object.peek();
    let mut first = true;
    object.enter().is_ok() && matches!(object.next_key(&mut first), Ok(None))
}

fn spliced(event: &[u8], at: usize, parts: &[&[u8]]) -> Bytes {
    let (before, after) = event.split_at_checked(at).unwrap_or((event, &[]));
    let room = event.len() + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut out = Vec::with_capacity(room);
    out.extend_from_slice(before);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(after);
    Bytes::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn cookie() -> MixpanelCookie {
        MixpanelCookie {
            distinct_id: Some("$device:d\"1".to_owned()),
            device_id: Some("d\"1".to_owned()),
            user_id: None,
        }
    }

    #[test]
    fn the_ids_stand_in_the_context_and_replace_nothing() {
        let ids = json!({"distinct_id": "$device:d\"1", "device_id": "d\"1"});
        for (event, wanted) in [
            (r#"{"event":"e"}"#, json!({"event": "e", "context": {"mixpanel": ids}})),
            (" { } ", json!({"context": {"mixpanel": ids}})),
            (r#"{"context":{}}"#, json!({"context": {"mixpanel": ids}})),
            (r#"{"context":null,"a":1}"#, json!({"context": {"mixpanel": ids}, "a": 1})),
            (
                r#"{"context" : { "ip":"1.2.3.4" }}"#,
                json!({"context": {"ip": "1.2.3.4", "mixpanel": ids}}),
            ),
            (r#"{"context":{"mixpanel":7}}"#, json!({"context": {"mixpanel": 7}})),
            (r#"{"context":"odd"}"#, json!({"context": "odd"})),
            ("[1]", json!([1])),
        ] {
            let offered = offer(&Bytes::from(event), &cookie());
            let read: Value = serde_json::from_slice(&offered).unwrap();
            assert_eq!(read, wanted, "{event}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), text in "[{}\":,contexmipal1 ]{0,60}") {
            for bytes in [Bytes::from(bytes), Bytes::from(text)] {
                let _ = offer(&bytes, &cookie());
            }
        }
    }
}
