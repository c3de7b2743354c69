//! The seams of the engine: where events come from, where their ends go, and who maps them.
//!
//! In production these are the journal and a blueprint's plan; tests put scripts in their place.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use millrace_blueprint::{EventView, Mapper, Plan};
use millrace_model::id::{IntegrationId, Position};
use millrace_model::intake::AdmitError;
use millrace_model::passage::Origin;
use millrace_model::row::{Mapped, Rows};

use crate::journal::{Closed, Journal, OpenBatch, ReadError, Reader};

/// The future of [`EventSource::next`].
pub type NextFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<OpenBatch>, ReadError>> + Send + 'a>>;

/// The future of [`EventSink::flush`].
pub type FlushFuture<'a> = Pin<Box<dyn Future<Output = Result<(), AdmitError>> + Send + 'a>>;

/// Where the open events of one integration come from, in the order in which they were accepted.
pub trait EventSource: Send + 'static {
    /// The next batches, at least one; waits until there is one.
    ///
    /// # Errors
    /// Nothing more can be read.
    ///
    /// # Cancel safety
    /// A dropped future loses no batch that was not returned.
    fn next(&mut self, max_bytes: usize) -> NextFuture<'_>;
}

/// Where the ends of events go.
pub trait EventSink: Send + Sync + 'static {
    /// These events are about to be sent. Durable once a later [`EventSink::flush`] resolves.
    fn sending(&self, events: &[Position]);

    /// These events have their final state.
    fn close(&self, closed: Vec<Closed>);

    /// Resolves once all that was said before is on stable storage.
    ///
    /// # Errors
    /// The log takes nothing more.
    fn flush(&self) -> FlushFuture<'_>;

    /// True when no admitted event is open for the integration.
    fn is_drained(&self) -> bool;
}

/// Makes mappers. Each belongs to one thread at a time.
pub trait MapEvents: Send + Sync + 'static {
    /// A new mapper.
    fn mapper(&self) -> Box<dyn MapEvent>;
}

/// Maps one event after the other.
pub trait MapEvent: Send {
    /// Makes the rows of an event. `out` is emptied first.
    fn map(&mut self, event: &EventView<'_>, out: &mut Rows) -> Mapped;

    /// The same for an event that came in by this protocol, for mappers to which that matters.
    fn map_from(&mut self, origin: Origin, event: &EventView<'_>, out: &mut Rows) -> Mapped {
        let _ = origin;
        self.map(event, out)
    }
}

impl EventSource for Reader {
    fn next(&mut self, max_bytes: usize) -> NextFuture<'_> {
        Box::pin(Reader::next(self, max_bytes))
    }
}

/// The journal, seen by one integration.
#[derive(Debug)]
pub(super) struct JournalSink {
    pub(super) journal: Journal,
    pub(super) integration: IntegrationId,
}

impl EventSink for JournalSink {
    fn sending(&self, events: &[Position]) {
        self.journal.sending(&self.integration, events);
    }

    fn close(&self, closed: Vec<Closed>) {
        self.journal.close(&self.integration, closed);
    }

    fn flush(&self) -> FlushFuture<'_> {
        Box::pin(self.journal.flush())
    }

    fn is_drained(&self) -> bool {
        self.journal.is_drained(&self.integration)
    }
}

impl MapEvents for Arc<Plan> {
    fn mapper(&self) -> Box<dyn MapEvent> {
        Box::new(PlanMapper { plan: Arc::clone(self), mapper: Mapper::new() })
    }
}

struct PlanMapper {
    plan: Arc<Plan>,
    mapper: Mapper,
}

impl MapEvent for PlanMapper {
    fn map(&mut self, event: &EventView<'_>, out: &mut Rows) -> Mapped {
        self.mapper.map(&self.plan, event, out)
    }
}
