//! The handle of a running engine.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::driver::Driver;
use super::gate::Gate;
use super::mapping::Workshop;
use super::seams::EventSink;
use super::status::{IntegrationState, IntegrationStatus};
use super::{EngineOptions, EngineParts, feeder};

/// How often [`EngineHandle::drained`] looks when nothing changes: the journal may have closed the
/// last event a moment after the engine last said something.
const DRAIN_LOOK: Duration = Duration::from_millis(20);

/// What a handle asks of the driver.
#[derive(Debug)]
pub(super) enum Command {
    Pause,
    Resume,
    Stop { deadline: Duration, done: oneshot::Sender<()> },
}

/// A running engine. Dropping the handle lets the engine run on.
pub struct EngineHandle {
    commands: mpsc::Sender<Command>,
    status: watch::Receiver<IntegrationStatus>,
    sink: Arc<dyn EventSink>,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for EngineHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineHandle").field("status", &self.status).finish_non_exhaustive()
    }
}

pub(super) fn start(options: EngineOptions, parts: EngineParts) -> EngineHandle {
    let (commands, command_queue) = mpsc::channel(8);
    let (show, status) = watch::channel(IntegrationStatus::new());
    let sink = Arc::clone(&parts.sink);
    let projects = Arc::new(options.projects.clone());
    let mapping = Arc::clone(&parts.mapping);
    let gate = Gate { required: options.required_consent.clone(), known: parts.consents };
    let workshop = Workshop::new(mapping, projects, gate);
    let feed = feeder::start(parts.source, workshop, options.read_bytes);
    let driver =
        Driver::new(options, feed, parts.sink, parts.transport, parts.clock, parts.entropy, show);
    let task = tokio::spawn(driver.run(command_queue));
    EngineHandle { commands, status, sink, task }
}

impl EngineHandle {
    /// How things stand.
    #[must_use]
    pub fn status(&self) -> IntegrationStatus {
        self.status.borrow().clone()
    }

    /// A receiver that is told of every change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<IntegrationStatus> {
        self.status.clone()
    }

    /// Stops sending until [`EngineHandle::resume`]; requests in flight come to their end.
    pub async fn pause(&self) {
        // An error says that the engine has stopped, and sends nothing anyway.
        let _ = self.commands.send(Command::Pause).await;
    }

    /// Ends a pause, whatever its cause. If that is still there, the next answer pauses again.
    pub async fn resume(&self) {
        let _ = self.commands.send(Command::Resume).await;
    }

    /// Resolves once no admitted event is open for the integration, or the engine has stopped.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn drained(&self) {
        let mut status = self.status.clone();
        loop {
            let idle = {
                let now = status.borrow_and_update();
                if now.state == IntegrationState::Stopped {
                    return;
                }
                now.idle
            };
            if idle && self.sink.is_drained() {
                return;
            }
            if let Ok(Err(_)) = tokio::time::timeout(DRAIN_LOOK, status.changed()).await {
                return;
            }
        }
    }

    /// Stops: reads and sends nothing more, waits for requests in flight until the deadline, and
    /// makes the closes durable. What was in flight at the deadline may be sent again after the
    /// next start, with the same insert ids.
    pub async fn stop(self, deadline: Duration) {
        let (done, finished) = oneshot::channel();
        if self.commands.send(Command::Stop { deadline, done }).await.is_ok() {
            // An error says that the driver ended first: there is nothing left to wait for.
            let _ = finished.await;
        }
        let _ = self.task.await;
    }
}
