//! What the tests share: decoding a body as the collector does, with everything else fixed.

use bytes::Bytes;
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::{Batch, Event, EventKind, Item, SetAside};
use millrace_model::time::UnixMillis;
use millrace_protocol::inflate::decode_body;
use millrace_protocol::segment::{Admission, Call, Envelope};
use millrace_protocol::{DecodeError, Limits};

/// 2026-11-22T12:00:00Z
pub(crate) const NOW: UnixMillis = UnixMillis(1_795_348_800_000);
pub(crate) const TRACK: Call = Call::Single(EventKind::Track);

#[derive(Default)]
pub(crate) struct Door {
    pub(crate) limits: Limits,
    pub(crate) client_ip: Option<&'static str>,
    pub(crate) from_device: bool,
}

impl Door {
    pub(crate) fn take(&self, call: Call, body: &[u8]) -> Result<Batch, DecodeError> {
        let body = decode_body(Bytes::copy_from_slice(body), "", self.limits.inflated_bytes)?;
        let envelope = Envelope::read(call, body, &self.limits)?;
        Ok(envelope.admit(&Admission {
            pipeline: &"dev".parse().unwrap(),
            origin: millrace_model::passage::Origin::Spec,
            received_at: NOW,
            client_ip: self.client_ip.map(|ip| ip.parse().unwrap()),
            from_device: self.from_device,
            limits: &self.limits,
            entropy: &SeededEntropy::new(1),
        }))
    }

    pub(crate) fn one(&self, call: Call, body: &str) -> Item {
        let mut batch = self.take(call, body.as_bytes()).unwrap();
        assert_eq!(batch.items.len(), 1, "{body}");
        batch.items.remove(0)
    }

    pub(crate) fn event(&self, call: Call, body: &str) -> Event {
        match self.one(call, body) {
            Item::Event(event) => event,
            other => panic!("{body}: {other:?}"),
        }
    }

    pub(crate) fn set_aside(&self, call: Call, body: &str) -> SetAside {
        match self.one(call, body) {
            Item::SetAside(aside) => aside,
            other => panic!("{body}: {other:?}"),
        }
    }
}

pub(crate) fn event(body: &str) -> Event {
    Door::default().event(TRACK, body)
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}
