//! Bodies of the Segment and RudderStack calls: decompression, reading, admission. The first byte
//! chooses the path.

use bytes::Bytes;
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::{EventKind, Item};
use millrace_model::passage::Origin;
use millrace_model::time::UnixMillis;
use millrace_protocol::Limits;
use millrace_protocol::inflate::decode_body;
use millrace_protocol::segment::{Admission, Call, Envelope};

/// One input.
pub fn segment(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let call = match EventKind::SPEC.get(usize::from(*first)) {
        Some(kind) => Call::Single(*kind),
        None => Call::Batch,
    };
    let limits = Limits { inflated_bytes: 4 << 20, ..Limits::default() };
    let Ok(body) = decode_body(Bytes::copy_from_slice(body), "", limits.inflated_bytes) else {
        return;
    };
    assert!(body.len() <= limits.inflated_bytes);
    let Ok(envelope) = Envelope::read(call, body, &limits) else { return };
    let pipeline = "dev".parse().unwrap();
    let batch = envelope.admit(&Admission {
        pipeline: &pipeline,
        origin: Origin::Spec,
        received_at: UnixMillis(1_795_359_600_000),
        client_ip: Some([203, 0, 113, 9].into()),
        from_device: first % 2 == 0,
        limits: &limits,
        entropy: &SeededEntropy::new(1),
    });
    assert_eq!(batch.items.len(), envelope.len());
    for item in &batch.items {
        match item {
            Item::Event(event) => assert!(event.body.len() <= limits.event_bytes),
            Item::SetAside(aside) => assert!(aside.body.len() <= limits.kept_bytes),
            other => panic!("{other:?}"),
        }
    }
}
