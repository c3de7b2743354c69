//! A line of a file as the event that the collector would make of it.

use bytes::Bytes;
use millrace_model::code::Code;
use millrace_model::entropy::SystemEntropy;
use millrace_model::event::{Event, EventKind, Item};
use millrace_model::id::{IdError, PipelineId};
use millrace_model::passage::Origin;
use millrace_model::time::UnixMillis;
use millrace_protocol::segment::{Admission, Call, Envelope};
use millrace_protocol::{DecodeError, Limits, edge, mixpanel};
use serde::Deserialize;

/// The collector's admission without a server: for previews, tests and diffs.
#[derive(Debug)]
pub struct Door {
    pipeline: PipelineId,
    limits: Limits,
}

/// Why a line is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The code that the collector would set it aside or refuse it with.
    pub code: Code,
    /// Why, for people.
    pub reason: String,
}

impl Door {
    /// A door.
    ///
    /// # Errors
    /// Never in practice: the name of the pipeline is fixed.
    pub fn new() -> Result<Door, IdError> {
        Ok(Door { pipeline: "map".parse()?, limits: Limits::default() })
    }

    /// Admits a line: as an event of Adobe's or a record of one of Mixpanel's own SDKs when it is
    /// one, else as a call in Segment's form. A change of a profile can also be written in the form
    /// that blueprints see, with the type `profile`.
    ///
    /// # Errors
    /// What the collector would have against it.
    pub fn admit(&self, line: &[u8], received_at: UnixMillis) -> Result<Event, Refused> {
        let items = self
            .items(line, received_at)
            .map_err(|error| Refused { code: error.code(), reason: error.to_string() })?;
        let mut items = items.into_iter();
        match (items.next(), items.next()) {
            (Some(Item::Event(event)), None) => Ok(event),
            (Some(Item::SetAside(aside)), None) => {
                Err(Refused { code: aside.code, reason: aside.reason })
            }
            _ => {
                Err(Refused { code: Code::BadBody, reason: "write one event on a line".to_owned() })
            }
        }
    }

    fn items(&self, line: &[u8], received_at: UnixMillis) -> Result<Vec<Item>, DecodeError> {
        if edge::is_event(line) {
            let body = Bytes::copy_from_slice(line);
            let envelope = edge::Envelope::read(edge::Form::Bare, body, &self.limits)?;
            let admission = edge::Admission {
                pipeline: &self.pipeline,
                received_at,
                request_id: None,
                visitor: edge::Visitor::default(),
                keep_decisioning: true,
                limits: &self.limits,
                entropy: &SystemEntropy,
            };
            return Ok(envelope.admit(&admission).items);
        }
        if let Some(endpoint) = mixpanel::endpoint_of(line) {
            return self.mixpanel_record(endpoint, line, received_at);
        }
        let (call, origin, body) = if is_profile(line) {
            let call = Call::Single(EventKind::Profile);
            (call, Origin::Mixpanel, Bytes::copy_from_slice(line))
        } else {
            let body = Bytes::from([b"{\"batch\":[", line, b"]}"].concat());
            (Call::Batch, Origin::Spec, body)
        };
        let envelope = Envelope::read(call, body, &self.limits)?;
        let admission = Admission {
            pipeline: &self.pipeline,
            origin,
            received_at,
            client_ip: None,
            from_device: false,
            limits: &self.limits,
            entropy: &SystemEntropy,
        };
        Ok(envelope.admit(&admission).items)
    }

    fn mixpanel_record(
        &self,
        endpoint: mixpanel::Endpoint,
        line: &[u8],
        received_at: UnixMillis,
    ) -> Result<Vec<Item>, DecodeError> {
        let body = Bytes::copy_from_slice(line);
        let envelope = mixpanel::Envelope::read(endpoint, body, &self.limits)?;
        let admission = mixpanel::Admission {
            pipeline: &self.pipeline,
            options: &mixpanel::Options::default(),
            received_at,
            client_ip: None,
            limits: &self.limits,
            entropy: &SystemEntropy,
        };
        Ok(envelope.admit(0, &admission).map(|(item, _)| item).into_iter().collect())
    }
}

/// True for a change of a profile in the form that blueprints see (the module `mixpanel` of
/// millrace-protocol says what stands where).
fn is_profile(line: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Typed {
        r#type: Option<String>,
    }
    serde_json::from_slice::<Typed>(line)
        .is_ok_and(|typed| typed.r#type.as_deref() == Some(EventKind::Profile.as_str()))
}
