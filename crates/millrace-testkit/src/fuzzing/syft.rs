//! Uploads of Syft, in both forms.

use bytes::Bytes;
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::Item;
use millrace_model::passage::Origin;
use millrace_model::time::UnixMillis;
use millrace_protocol::inflate::decode_body;
use millrace_protocol::segment::Admission;
use millrace_protocol::{Limits, syft};

/// One input.
pub fn syft(data: &[u8]) {
    let limits = Limits::default();
    let Ok(body) = decode_body(Bytes::copy_from_slice(data), "", limits.inflated_bytes) else {
        return;
    };
    let Ok(envelope) = syft::read(body, Some("Mozilla/5.0 \"x\""), &limits) else { return };
    let pipeline = "dev".parse().unwrap();
    let batch = envelope.admit(&Admission {
        pipeline: &pipeline,
        origin: Origin::Syft,
        received_at: UnixMillis(1_795_359_600_000),
        client_ip: None,
        from_device: true,
        limits: &limits,
        entropy: &SeededEntropy::new(1),
    });
    for item in &batch.items {
        match item {
            Item::Event(event) => assert!(event.body.len() <= limits.event_bytes),
            Item::SetAside(aside) => assert!(aside.body.len() <= limits.kept_bytes),
            other => panic!("{other:?}"),
        }
    }
}
