//! Calls of Mixpanel's own SDKs. Input: a byte that chooses the path, the query up to the first line
//! end, then the body.

use bytes::Bytes;
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::Item;
use millrace_model::time::UnixMillis;
use millrace_protocol::Limits;
use millrace_protocol::inflate::decode_body;
use millrace_protocol::mixpanel::{Admission, Endpoint, Envelope, Unpacked};

/// One input.
pub fn mixpanel(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else { return };
    let cut = rest.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (query, body) = rest.split_at(cut);
    let body = body.strip_prefix(b"\n").unwrap_or(body);
    let endpoints = [Endpoint::Track, Endpoint::Import, Endpoint::Engage, Endpoint::Groups];
    let Some(endpoint) = endpoints.get(usize::from(first % 4)) else { return };
    let limits = Limits { inflated_bytes: 4 << 20, ..Limits::default() };
    let Ok(body) = decode_body(Bytes::copy_from_slice(body), "", limits.inflated_bytes) else {
        return;
    };
    let unpacked = Unpacked::new(&String::from_utf8_lossy(query), body, &limits);
    let Ok(json) = unpacked.json else { return };
    assert!(json.len() <= limits.inflated_bytes);
    let Ok(envelope) = Envelope::read(*endpoint, json, &limits) else { return };
    let pipeline = "dev".parse().unwrap();
    let admission = Admission {
        pipeline: &pipeline,
        options: &unpacked.options,
        received_at: UnixMillis(1_795_359_600_000),
        client_ip: Some([203, 0, 113, 9].into()),
        limits: &limits,
        entropy: &SeededEntropy::new(1),
    };
    for place in 0..envelope.len() {
        let _ = envelope.token(place);
        match envelope.admit(place, &admission) {
            Some((Item::Event(event), None)) => assert!(event.body.len() <= limits.event_bytes),
            Some((Item::SetAside(aside), Some(_))) => {
                assert!(aside.body.len() <= limits.kept_bytes);
            }
            other => panic!("{other:?}"),
        }
    }
}
