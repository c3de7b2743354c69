//! The bytes of an event that is to be read again, later and without its request.

use bytes::Bytes;

use millrace_model::event::Event;
use millrace_model::time::UnixMillis;

use super::Call;
use super::envelope::Envelope;
use super::scan::RawItem;
use crate::json::{ObjectWriter, Span, each_member, name};
use crate::limits::Limits;

/// What the facts say instead, where they have to be written down.
const SAID_BY_FACTS: [&[u8]; 4] = [b"messageId", b"timestamp", b"originalTimestamp", b"sentAt"];

/// The body of an event, with its message id, its time and its client's address in it. Read as a
/// single message of its kind, with the same time of receipt, it gives the same facts again.
///
/// What came so that it says all that by itself stays byte for byte. `received_at` is when it came.
#[must_use]
pub fn standing_alone(event: &Event, received_at: UnixMillis, limits: &Limits) -> Bytes {
    let read = Envelope::read(Call::Single(event.kind), event.body.clone(), limits);
    // What is no JSON is no event, so this does not happen.
    let Ok(envelope) = read else { return event.body.clone() };
    let Some(item) = envelope.items.first().filter(|item| item.is_object) else {
        return event.body.clone();
    };
    let facts_are_said = envelope.says(item, event, received_at);
    if facts_are_said && event.facts.client_ip.is_none() {
        return event.body.clone();
    }
    let body: &[u8] = &envelope.body;
    let mut object = ObjectWriter::with_room(body.len() + 128);
    if !facts_are_said {
        object.text(b"\"messageId\"", Some(&event.facts.message_id));
        object.text(b"\"timestamp\"", Some(&event.facts.time.to_string()));
    }
    let ip = event.facts.client_ip.as_deref();
    let mut ip_to_write = ip;
    each_member(body, item.whole, |key, value| {
        let name = name(key.of(body));
        let is_fact = SAID_BY_FACTS.contains(&name.as_ref());
        if is_fact && !facts_are_said {
            return;
        }
        match ip {
            Some(ip) if name.as_ref() == b"context" => {
                // Of several the last counts.
                if value == item.context.whole {
                    write_context(&mut object, body, value, ip);
                    ip_to_write = None;
                }
            }
            _ => object.member(key.of(body), value.of(body)),
        }
    });
    if let Some(ip) = ip_to_write {
        object.nested(b"\"context\"", |context| context.text(b"\"ip\"", Some(ip)));
    }
    Bytes::from(object.finish())
}

/// The context with the address; a context that is no object gives way to one.
fn write_context(object: &mut ObjectWriter, body: &[u8], context: Span, ip: &str) {
    object.nested(b"\"context\"", |out| {
        each_member(body, context, |key, value| {
            if name(key.of(body)).as_ref() != b"ip" {
                out.member(key.of(body), value.of(body));
            }
        });
        out.text(b"\"ip\"", Some(ip));
    });
}

impl Envelope {
    /// True when the item's own members give the event's id and time.
    fn says(&self, item: &RawItem, event: &Event, received_at: UnixMillis) -> bool {
        let id = self.id(item.message_id, "messageId").ok().flatten();
        let (time, _) = self.time_of(item, None, received_at);
        id.as_deref() == Some(event.facts.message_id.as_str()) && time == event.facts.time
    }
}
