//! Items that were set aside, through the door once more: the same decoding by the protocol that
//! they came in by, with the limits and the rules of now.
//!
//! What is not kept of a request is not there the second time: the address of the client, its
//! headers and cookies. The time of receipt is the first one, so that the time of an event and the
//! correction of its clock come out as they would have. Storing what comes out is for the caller.

use std::sync::Arc;

use bytes::Bytes;

use millrace_govern::Circumstances;
use millrace_model::code::Code;
use millrace_model::event::{Batch, EventKind};
use millrace_model::id::PipelineId;
use millrace_model::passage::Origin;
use millrace_model::time::UnixMillis;
use millrace_protocol::{DecodeError, edge, mixpanel, segment, syft, webhook};

use crate::answer::Refusal;
use crate::doors::Door;
use crate::routes::webhook::map_payloads;
use crate::taking::Collector;

/// An item that is to go through the door again.
#[derive(Clone, Debug)]
pub struct Again<'a> {
    /// The pipeline that it came in by.
    pub pipeline: &'a PipelineId,
    /// When it was received.
    pub received_at: UnixMillis,
    /// The protocol that it came in by.
    pub origin: Origin,
    /// What its path said it is.
    pub kind: Option<EventKind>,
    /// Why it was set aside.
    pub code: Code,
    /// Its bytes, all of them.
    pub body: Bytes,
}

/// Why an item cannot go through the door again. It stays where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotReadmitted {
    /// The stable code.
    pub code: Code,
    /// Why, in words.
    pub reason: String,
}

impl From<DecodeError> for NotReadmitted {
    fn from(error: DecodeError) -> NotReadmitted {
        NotReadmitted { code: error.code(), reason: error.to_string() }
    }
}

impl From<Refusal> for NotReadmitted {
    fn from(refusal: Refusal) -> NotReadmitted {
        NotReadmitted { code: refusal.code, reason: refusal.message.into_owned() }
    }
}

/// What tells a change of a group's profile from one of a user's.
#[derive(serde::Deserialize)]
struct GroupRecord<'a> {
    #[serde(rename = "$group_key", borrow)]
    group_key: Option<&'a serde_json::value::RawValue>,
}

/// The way back in. Cheap to clone.
#[derive(Clone)]
pub struct Readmission(Arc<Collector>);

impl std::fmt::Debug for Readmission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readmission")
    }
}

impl Readmission {
    pub(crate) fn new(collector: Arc<Collector>) -> Readmission {
        Readmission(collector)
    }

    /// What the door makes of an item now: events, or items that are filtered or set aside once
    /// more. Never empty. Takes processor time in proportion to the item; stores nothing.
    ///
    /// # Errors
    /// The item holds nothing that could be judged, its pipeline is gone, or its protocol needs
    /// more than the bytes.
    pub fn readmit(&self, again: &Again<'_>) -> Result<Batch, NotReadmitted> {
        let doors = self.0.doors.get();
        let door = doors.of(again.pipeline).ok_or_else(|| NotReadmitted {
            code: Code::CannotBeFedAgain,
            reason: format!("the pipeline {} is not configured any more", again.pipeline),
        })?;
        let mut batch = self.decode(again, door)?;
        if batch.items.is_empty() {
            let reason = "it holds no event".to_owned();
            return Err(NotReadmitted { code: Code::CannotBeFedAgain, reason });
        }
        door.rules.govern(
            &mut batch,
            &Circumstances {
                received_at: again.received_at,
                client_ip: None,
                from_device: false,
                user_agent: None,
                cookies: None,
                global_privacy_control: false,
            },
        );
        Ok(batch)
    }

    fn decode(&self, again: &Again<'_>, door: &Door) -> Result<Batch, NotReadmitted> {
        // It had been decoded when its key was found to be revoked: what is kept is the event.
        if again.code == Code::RevokedWriteKey {
            return self.decode_spec(again);
        }
        match again.origin {
            Origin::Spec | Origin::Browser | Origin::Datafly => self.decode_spec(again),
            Origin::Edge => self.decode_edge(again, door),
            Origin::Mixpanel => self.decode_mixpanel(again),
            // Of a query that gave a message the message is kept.
            Origin::Pixel if again.code != Code::BadPixel => self.decode_spec(again),
            Origin::Pixel => Err(NotReadmitted {
                code: Code::CannotBeFedAgain,
                reason: "the query of the pixel holds no message: send it again from its source"
                    .to_owned(),
            }),
            Origin::Syft => self.decode_syft(again),
            Origin::Webhook => self.decode_webhook(again),
        }
    }

    /// An event of an upload, which has what the upload said about all; or an upload that could not
    /// be read at all.
    fn decode_syft(&self, again: &Again<'_>) -> Result<Batch, NotReadmitted> {
        // What could not be read, and what is no object, would be taken for one another.
        if again.code == Code::NotAnObject {
            return self.decode_spec(again);
        }
        match syft::read(again.body.clone(), None, &self.0.limits) {
            Ok(envelope) => Ok(envelope.admit(&self.admission(again))),
            Err(DecodeError::NoBatch) if again.code != Code::BadBody => self.decode_spec(again),
            Err(error) => Err(error.into()),
        }
    }

    /// A payload, by the mapping of the pipeline's webhook. Which one it came in by is not kept.
    fn decode_webhook(&self, again: &Again<'_>) -> Result<Batch, NotReadmitted> {
        let doors = self.0.doors.get();
        let mut own = doors.webhooks.values().filter(|webhook| webhook.door.id == *again.pipeline);
        let (Some(webhook), None) = (own.next(), own.next()) else {
            let reason = "it is not kept by which webhook it came in, and the pipeline has none or \
                          several: send it again from its source";
            let code = Code::CannotBeFedAgain;
            return Err(NotReadmitted { code, reason: reason.to_owned() });
        };
        let payloads = webhook::items(&again.body, &self.0.limits)?;
        // Headers are not kept.
        let items = map_payloads(&self.0, webhook, &payloads, again.received_at, &|_| None)?;
        let pipeline = again.pipeline.clone();
        Ok(Batch { pipeline, received_at: again.received_at, items })
    }

    fn admission<'b>(&'b self, again: &'b Again<'_>) -> segment::Admission<'b> {
        segment::Admission {
            pipeline: again.pipeline,
            origin: again.origin,
            received_at: again.received_at,
            client_ip: None,
            from_device: false,
            limits: &self.0.limits,
            entropy: self.0.entropy.as_ref(),
        }
    }

    fn decode_spec(&self, again: &Again<'_>) -> Result<Batch, NotReadmitted> {
        let limits = &self.0.limits;
        let envelope = match again.kind {
            Some(kind) => {
                let call = segment::Call::Single(kind);
                segment::Envelope::read(call, again.body.clone(), limits)?
            }
            None => {
                let body = Bytes::from([b"{\"batch\":[", &again.body[..], b"]}"].concat());
                segment::Envelope::read(segment::Call::Batch, body, limits)?
            }
        };
        Ok(envelope.admit(&self.admission(again)))
    }

    /// A record without its token, which is not kept and not needed: the pipeline is known.
    fn decode_mixpanel(&self, again: &Again<'_>) -> Result<Batch, NotReadmitted> {
        let limits = &self.0.limits;
        let of_group = || {
            let record: Result<GroupRecord<'_>, _> = serde_json::from_slice(&again.body);
            record.is_ok_and(|record| record.group_key.is_some())
        };
        let endpoint = match again.kind {
            Some(EventKind::Profile) if of_group() => mixpanel::Endpoint::Groups,
            Some(EventKind::Profile) => mixpanel::Endpoint::Engage,
            _ => mixpanel::Endpoint::Track,
        };
        let envelope = mixpanel::Envelope::read(endpoint, again.body.clone(), limits)?;
        let admission = mixpanel::Admission {
            pipeline: again.pipeline,
            options: &mixpanel::Options::default(),
            received_at: again.received_at,
            client_ip: None,
            limits,
            entropy: self.0.entropy.as_ref(),
        };
        let records = (0..envelope.len()).filter_map(|place| envelope.admit(place, &admission));
        Ok(Batch {
            pipeline: again.pipeline.clone(),
            received_at: again.received_at,
            items: records.map(|(item, _)| item).collect(),
        })
    }

    fn decode_edge(&self, again: &Again<'_>, door: &Door) -> Result<Batch, NotReadmitted> {
        let limits = &self.0.limits;
        let envelope = edge::Envelope::read(edge::Form::Bare, again.body.clone(), limits)?;
        Ok(envelope.admit(&edge::Admission {
            pipeline: again.pipeline,
            received_at: again.received_at,
            request_id: None,
            visitor: edge::Visitor::default(),
            keep_decisioning: door.keep_decisioning,
            limits,
            entropy: self.0.entropy.as_ref(),
        }))
    }
}
