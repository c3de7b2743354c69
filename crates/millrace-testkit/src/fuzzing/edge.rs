//! Bodies of Adobe's Edge Network API, and the two cookies that come with them.

use bytes::Bytes;
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::Item;
use millrace_model::time::UnixMillis;
use millrace_protocol::Limits;
use millrace_protocol::edge::{Admission, Envelope, Form, MixpanelCookie, Visitor, ecid_of_cookie};
use millrace_protocol::inflate::decode_body;

/// One input.
pub fn edge(data: &[u8]) {
    let Some((first, body)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(body);
    let cookie = MixpanelCookie::parse(&text);
    let ecid = ecid_of_cookie(&text);
    let form = if first % 2 == 0 { Form::Request } else { Form::Bare };
    let limits = Limits::default();
    let Ok(body) = decode_body(Bytes::copy_from_slice(body), "", limits.inflated_bytes) else {
        return;
    };
    let Ok(envelope) = Envelope::read(form, body, &limits) else { return };
    let pipeline = "dev".parse().unwrap();
    let batch = envelope.admit(&Admission {
        pipeline: &pipeline,
        received_at: UnixMillis(1_795_359_600_000),
        request_id: (first % 3 == 0).then_some("r-1"),
        visitor: Visitor {
            ecid: ecid.as_deref(),
            ecid_is_fleeting: first & 16 != 0,
            mixpanel: cookie.as_ref(),
            user_agent: Some("Mozilla/5.0"),
            ip: None,
        },
        keep_decisioning: first & 8 != 0,
        limits: &limits,
        entropy: &SeededEntropy::new(1),
    });
    assert_eq!(batch.items.len(), envelope.len());
    for item in &batch.items {
        match item {
            Item::Event(event) => assert!(event.body.len() <= limits.event_bytes),
            Item::SetAside(aside) => assert!(aside.body.len() <= limits.kept_bytes),
            Item::Filtered(_) => assert!(first & 8 == 0),
            Item::Duplicate(_) => panic!("duplicates are the log's"),
        }
    }
}
