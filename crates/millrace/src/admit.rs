//! A line of a file as the event that the collector would make of it.

use bytes::Bytes;
use millrace_model::code::Code;
use millrace_model::entropy::SystemEntropy;
use millrace_model::event::{Event, Item};
use millrace_model::id::{IdError, PipelineId};
use millrace_model::passage::Origin;
use millrace_model::time::UnixMillis;
use millrace_protocol::edge;
use millrace_protocol::segment::{Admission, Call, Envelope};
use millrace_protocol::{DecodeError, Limits};

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

    /// Admits a line: as an event of Adobe's when it is one, else as a call in Segment's form.
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
        let body = Bytes::from([b"{\"batch\":[", line, b"]}"].concat());
        let envelope = Envelope::read(Call::Batch, body, &self.limits)?;
        let admission = Admission {
            pipeline: &self.pipeline,
            origin: Origin::Spec,
            received_at,
            client_ip: None,
            from_device: false,
            limits: &self.limits,
            entropy: &SystemEntropy,
        };
        Ok(envelope.admit(&admission).items)
    }
}
