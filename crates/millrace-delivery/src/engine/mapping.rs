//! A portion of stored events into rows. Pure processor work, for a blocking thread.
//!
//! An event costs itself and nothing else: one that cannot be mapped is set aside, and so is one on
//! which the mapper panics, which would be a bug of ours and must not stop the integration.

use std::borrow::Cow;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use millrace_blueprint::EventView;
use millrace_model::code::Code;
use millrace_model::disposition::{Disposition, FilterReason};
use millrace_model::event::{Event, Item};
use millrace_model::id::Position;
use millrace_model::row::{Mapped, Row, Rows};
use millrace_model::time::UnixMillis;

use super::corrected::Corrected;
use super::gate::Gate;
use super::seams::{MapEvent, MapEvents};
use crate::journal::{Closed, EventAt, OpenBatch};
use crate::mixpanel::Projects;
use crate::scheduler::MappedEvent;

/// What a portion came to. The rows of all events stand in one list: one allocation, not many.
#[derive(Debug, Default)]
pub(crate) struct Portion {
    events: Vec<PortionEvent>,
    rows: Vec<Row>,
    /// Events that need no sending.
    pub(crate) closed: Vec<Closed>,
    /// What was changed or noticed about the others.
    pub(crate) corrected: Corrected,
}

#[derive(Debug)]
struct PortionEvent {
    position: Position,
    perhaps_sent: bool,
    bytes: Bytes,
    rows: Range<usize>,
}

impl Portion {
    /// Takes what mapping an event came to. Its rows move over; `rows` keeps its memory.
    pub(crate) fn take(
        &mut self,
        position: Position,
        perhaps_sent: bool,
        mapped: Mapped,
        rows: &mut Rows,
        projects: &Projects,
    ) {
        match mapped {
            Mapped::Send if rows.rows.is_empty() => {
                let code = Cow::Borrowed(FilterReason::NoRule.as_str());
                self.closed.push(closed(position, Disposition::Filtered, code, None));
            }
            Mapped::Send => match projects.check(rows) {
                Ok(()) => {
                    self.corrected.add(rows);
                    let start = self.rows.len();
                    self.rows.append(&mut rows.rows);
                    self.events.push(PortionEvent {
                        position,
                        perhaps_sent,
                        bytes: Bytes::copy_from_slice(&rows.bytes),
                        rows: start..self.rows.len(),
                    });
                }
                Err(undeclared) => {
                    let code = Cow::Borrowed(undeclared.code().as_str());
                    let words = Some(undeclared.to_string());
                    self.closed.push(closed(position, Disposition::SetAside, code, words));
                }
            },
            Mapped::Filtered { reason, rule } => {
                let code = Cow::Borrowed(reason.as_str());
                self.closed.push(closed(position, Disposition::Filtered, code, rule));
            }
            Mapped::SetAside { code, message } => {
                let code = Cow::Borrowed(code.as_str());
                self.closed.push(closed(position, Disposition::SetAside, code, Some(message)));
            }
        }
    }

    /// The events to send, in their order.
    pub(crate) fn events(&self) -> impl Iterator<Item = MappedEvent<'_>> {
        self.events.iter().map(|event| MappedEvent {
            position: event.position,
            perhaps_sent: event.perhaps_sent,
            bytes: event.bytes.clone(),
            rows: self.rows.get(event.rows.clone()).unwrap_or_default(),
        })
    }
}

/// A mapper and the memory that it uses again.
pub(super) struct Workshop {
    mapping: Arc<dyn MapEvents>,
    mapper: Box<dyn MapEvent>,
    projects: Arc<Projects>,
    gate: Gate,
    rows: Rows,
}

impl Workshop {
    pub(super) fn new(
        mapping: Arc<dyn MapEvents>,
        projects: Arc<Projects>,
        gate: Gate,
    ) -> Workshop {
        Workshop { mapper: mapping.mapper(), mapping, projects, gate, rows: Rows::default() }
    }

    /// Maps the open events of some batches.
    pub(super) fn map(&mut self, batches: &[OpenBatch]) -> Portion {
        let mut portion = Portion::default();
        for open in batches {
            for index in &open.open {
                let position = Position { seq: open.seq, index: *index };
                match open.batch.items.get(*index as usize) {
                    Some(Item::Event(event)) => {
                        let perhaps_sent = open.perhaps_sent.binary_search(index).is_ok();
                        let received_at = open.batch.received_at;
                        self.map_event(event, received_at, position, perhaps_sent, &mut portion);
                    }
                    // The journal ends these at the door; should it ever hand one on, it ends here.
                    Some(Item::SetAside(aside)) => portion.closed.push(closed(
                        position,
                        Disposition::SetAside,
                        Cow::Borrowed(aside.code.as_str()),
                        Some(aside.reason.clone()),
                    )),
                    Some(Item::Filtered(item)) => portion.closed.push(closed(
                        position,
                        Disposition::Filtered,
                        Cow::Borrowed(item.reason.as_str()),
                        Some(item.rule.clone()),
                    )),
                    Some(Item::Duplicate(_)) => portion.closed.push(Closed {
                        state: Disposition::Duplicate,
                        ..Closed::delivered(position, 0)
                    }),
                    None => portion.closed.push(closed(
                        position,
                        Disposition::SetAside,
                        Cow::Borrowed(Code::MappingFailed.as_str()),
                        Some("the batch has no such item".to_owned()),
                    )),
                }
            }
        }
        portion
    }

    fn map_event(
        &mut self,
        event: &Event,
        received_at: UnixMillis,
        position: Position,
        perhaps_sent: bool,
        portion: &mut Portion,
    ) {
        if let Some(closed) = self.gate.refuse(event, EventAt { at: position, received_at }) {
            portion.closed.push(closed);
            return;
        }
        let view =
            EventView { kind: event.kind, facts: &event.facts, received_at, body: &event.body };
        self.rows.clear();
        let (mapper, rows) = (&mut self.mapper, &mut self.rows);
        let mapping = || mapper.map_from(event.passage.origin, &view, rows);
        let Ok(mapped) = catch_unwind(AssertUnwindSafe(mapping)) else {
            // Nobody knows in which state the panic left it.
            self.mapper = self.mapping.mapper();
            tracing::error!(%position, "the mapping of an event panicked; the event is set aside");
            let words = Some("the mapping failed unexpectedly".to_owned());
            let code = Cow::Borrowed(Code::MappingFailed.as_str());
            portion.closed.push(closed(position, Disposition::SetAside, code, words));
            return;
        };
        portion.take(position, perhaps_sent, mapped, &mut self.rows, &self.projects);
    }
}

fn closed(
    position: Position,
    state: Disposition,
    code: Cow<'static, str>,
    detail: Option<String>,
) -> Closed {
    Closed { state, code: Some(code), detail, ..Closed::delivered(position, 0) }
}
