//! Syft's upload form (`reference/sdk-wire-formats.md` section 10), made into the batch that its own
//! server makes of it.
//!
//! Two forms: `{"events": [...], "version", "userAgentData", "sentAt"}` of the browser client, and the list
//! of flat events of the older `@syftdata/client`. What Syft's server adds is added here: `library`,
//! `userAgent` and `userAgentData` go under the `context` of every event. The address of the client
//! stands beside the event, as for every protocol.

use bytes::Bytes;

use crate::error::DecodeError;
use crate::json::{Fault, Scanner, Span, name, text, write_text};
use crate::limits::Limits;
use crate::segment::{Call, Envelope, each_member};

/// What an upload says about itself goes into every event of it, so it must be short to count.
const MAX_ABOUT_BYTES: usize = 2 << 10;

/// Reads an upload, decompressed, with the `User-Agent` of its request.
///
/// # Errors
/// When the body is no JSON or holds no list of events.
pub fn read(
    body: Bytes,
    user_agent: Option<&str>,
    limits: &Limits,
) -> Result<Envelope, DecodeError> {
    let first = Scanner::new(&body).peek();
    let (body, about) = match first {
        Some(b'[') => (Bytes::from(flat_events(&body, limits)?), About::default()),
        _ => {
            let about = about(&body)?;
            (body, about)
        }
    };
    let mut envelope = Envelope::read(Call::Batch, body, limits)?;
    envelope.give_context(&about.context(user_agent));
    Ok(envelope)
}

/// What the upload says about its sender.
#[derive(Default)]
struct About {
    /// As JSON texts.
    version: Option<Vec<u8>>,
    user_agent_data: Option<Vec<u8>>,
}

impl About {
    fn context(&self, user_agent: Option<&str>) -> Vec<u8> {
        let mut out = b"{\"library\":{\"name\":\"syft\"".to_vec();
        if let Some(version) = &self.version {
            out.extend_from_slice(b",\"version\":");
            out.extend_from_slice(version);
        }
        out.push(b'}');
        if let Some(user_agent) = user_agent.filter(|agent| agent.len() <= MAX_ABOUT_BYTES) {
            out.extend_from_slice(b",\"userAgent\":");
            write_text(user_agent, &mut out);
        }
        if let Some(data) = &self.user_agent_data {
            out.extend_from_slice(b",\"userAgentData\":");
            out.extend_from_slice(data);
        }
        out.push(b'}');
        out
    }
}

fn about(body: &[u8]) -> Result<About, DecodeError> {
    let mut about = About::default();
    let mut scanner = Scanner::new(body);
    if scanner.peek() != Some(b'{') {
        // `Envelope::read` says what is wrong.
        return Ok(about);
    }
    scanner.enter()?;
    let mut first = true;
    while let Some(key) = scanner.next_key(&mut first)? {
        let value = scanner.value()?.of(body);
        let is_text =
            value.len() <= MAX_ABOUT_BYTES && text(value).is_some_and(|text| !text.is_empty());
        let said = || is_text.then(|| value.to_vec());
        match name(key.of(body)).as_ref() {
            b"version" => about.version = said(),
            b"userAgentData" => about.user_agent_data = said(),
            _ => {}
        }
    }
    Ok(about)
}

/// The list as a batch. Items that are no flat events of the older client stay as they are.
fn flat_events(body: &[u8], limits: &Limits) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::with_capacity(body.len().saturating_mul(2).min(limits.inflated_bytes));
    out.push(b'[');
    let mut scanner = Scanner::new(body);
    // The caller has seen the bracket.
    if scanner.peek().is_none() {
        return Err(DecodeError::Empty);
    }
    scanner.enter()?;
    let (mut first, mut count) = (true, 0_usize);
    while scanner.next_item(&mut first)? {
        count += 1;
        if count > limits.batch_events {
            return Err(DecodeError::TooManyEvents { limit: limits.batch_events });
        }
        let item = scanner.value()?;
        if count > 1 {
            out.push(b',');
        }
        if !write_flat_event(body, item, &mut out) {
            out.extend_from_slice(item.of(body));
        }
    }
    scanner.end()?;
    out.push(b']');
    Ok(out)
}

/// Writes `{eventName, ...fields, userId, installationId}` as a track call; false when the item is
/// something else.
fn write_flat_event(body: &[u8], item: Span, out: &mut Vec<u8>) -> bool {
    let (mut event, mut user, mut device) = (None, None, None);
    let mut has_type = false;
    let mut properties = Vec::new();
    // The bytes were scanned before, so no fault can come up again.
    let _: Result<(), Fault> =
        each_member(body, item, |key, value| match name(key.of(body)).as_ref() {
            b"eventName" => event = Some(value),
            b"userId" => user = Some(value),
            b"installationId" => device = Some(value),
            own => {
                has_type |= own == b"type";
                properties.push((key, value));
            }
        });
    let Some(event) = event.filter(|_| !has_type) else { return false };
    out.extend_from_slice(b"{\"type\":\"track\",\"event\":");
    out.extend_from_slice(event.of(body));
    for (member, id) in [(&b",\"userId\":"[..], user), (b",\"anonymousId\":", device)] {
        if let Some(id) = id {
            out.extend_from_slice(member);
            out.extend_from_slice(id.of(body));
        }
    }
    out.extend_from_slice(b",\"properties\":{");
    for (place, (key, value)) in properties.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(key.of(body));
        out.push(b':');
        out.extend_from_slice(value.of(body));
    }
    out.extend_from_slice(b"}}");
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use millrace_model::entropy::SeededEntropy;
    use millrace_model::event::Item;
    use millrace_model::passage::Origin;
    use millrace_model::time::UnixMillis;
    use proptest::prelude::*;

    use crate::segment::Admission;

    /// The bodies of the events; what is set aside as its reason.
    fn items(body: &[u8]) -> Result<Vec<String>, DecodeError> {
        let limits = Limits::default();
        let envelope = read(Bytes::copy_from_slice(body), Some("UA \"1\""), &limits)?;
        let batch = envelope.admit(&Admission {
            pipeline: &"dev".parse().unwrap(),
            origin: Origin::Syft,
            received_at: UnixMillis(1_763_800_000_000),
            client_ip: None,
            from_device: true,
            limits: &limits,
            entropy: &SeededEntropy::new(1),
        });
        Ok(batch
            .items
            .into_iter()
            .map(|item| match item {
                Item::Event(event) => String::from_utf8(event.body.to_vec()).unwrap(),
                Item::SetAside(aside) => aside.reason,
                other => panic!("{other:?}"),
            })
            .collect())
    }

    #[test]
    fn an_upload_is_what_syfts_server_makes_of_it() {
        let table = [
            (
                r#"{"events":[{"type":"page","name":"/","context":{"locale":"en"}},{"type":"?"}],"version":"0.0.1","userAgentData":"X"}"#,
                vec![
                    r#"{"type":"page","name":"/","context":{"locale":"en","library":{"name":"syft","version":"0.0.1"},"userAgent":"UA \"1\"","userAgentData":"X"}}"#,
                    "type must be one of track, identify, page, screen, group, alias",
                ],
            ),
            (
                r#"[{"eventName":"Bought","price":1.10,"userId":"u","installationId":"i"},{"type":"track","event":"E","eventName":"n"},7]"#,
                vec![
                    r#"{"type":"track","event":"Bought","userId":"u","anonymousId":"i","properties":{"price":1.10},"context":{"library":{"name":"syft"},"userAgent":"UA \"1\""}}"#,
                    r#"{"type":"track","event":"E","eventName":"n","context":{"library":{"name":"syft"},"userAgent":"UA \"1\""}}"#,
                    "the event must be a JSON object",
                ],
            ),
            (r#"{"events":[]}"#, vec![]),
        ];
        for (body, wanted) in table {
            assert_eq!(items(body.as_bytes()).unwrap(), wanted, "{body}");
        }
        assert_eq!(items(b"{\"version\":\"1\"}"), Err(DecodeError::NoBatch));
        assert_eq!(items(b""), Err(DecodeError::Empty));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = items(&bytes);
        }

        #[test]
        fn a_cut_upload_is_refused_as_a_whole(cut in 0_usize..100) {
            let body = br#"[{"eventName":"Bought","price":1.10,"userId":"u"},{"eventName":"x"}]"#;
            let cut = cut.min(body.len() - 1);
            prop_assert!(items(&body[..cut]).is_err());
        }
    }
}
