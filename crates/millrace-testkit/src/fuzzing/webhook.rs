//! Payloads of webhooks under mappings, and the paths of mappings. Input: a path up to the first
//! line end, then a payload.

use bytes::Bytes;
use millrace_model::event::EventKind;
use millrace_protocol::Limits;
use millrace_protocol::inflate::decode_body;
use millrace_protocol::segment::{Call, Envelope};
use millrace_protocol::webhook::{Mapping, Path, Presets, items};

/// One input.
pub fn webhook(data: &[u8]) {
    let cut = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (path, body) = data.split_at(cut);
    let path = String::from_utf8_lossy(path);
    let limits = Limits::default();
    let Ok(body) = decode_body(Bytes::copy_from_slice(body), "", limits.inflated_bytes) else {
        return;
    };
    let Ok(payloads) = items(&body, &limits) else { return };
    let mut mapping = Mapping::new(Some("$.type")).unwrap();
    mapping.target("userId", "$.data.object.customer").unwrap();
    mapping.target("properties.all", "$").unwrap();
    if Path::parse(&path).is_ok() {
        let _ = mapping.target("properties.own.value", &path);
    }
    for payload in payloads {
        let Ok(message) = mapping.apply(&payload, &Presets::default()) else { continue };
        let call = Call::Single(EventKind::Track);
        let message = Bytes::from(message);
        if let Err(error) = Envelope::read(call, message.clone(), &limits) {
            panic!("{error}: {}", String::from_utf8_lossy(&message));
        }
    }
}
