//! Reads and maps ahead of the driver.
//!
//! The channel to the driver holds one portion, and a place in it is taken before the next one is
//! read: what is read and not yet in the window is at most two portions. When the window is full
//! the driver takes nothing, and so nothing more is read.

use millrace_model::code::Code;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::mapping::{Portion, Workshop};
use super::seams::EventSource;

/// What the feeder hands on.
#[derive(Debug)]
pub(super) enum Fed {
    /// Mapped events.
    Portion(Portion),
    /// There will be nothing more, because the journal can no longer be read.
    End { code: Code, message: String },
}

/// The driver's end of the feeder. Dropping it ends the feeder.
#[derive(Debug)]
pub(super) struct Feed {
    portions: mpsc::Receiver<Fed>,
    task: JoinHandle<()>,
}

impl Feed {
    /// The next portion; none when the feeder has ended.
    ///
    /// Cancel safe: a portion that was not returned stays in the channel.
    pub(super) async fn next(&mut self) -> Option<Fed> {
        self.portions.recv().await
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) fn start(source: Box<dyn EventSource>, workshop: Workshop, read_bytes: usize) -> Feed {
    let (send, portions) = mpsc::channel(1);
    let task = tokio::spawn(feed(source, workshop, read_bytes, send));
    Feed { portions, task }
}

async fn feed(
    mut source: Box<dyn EventSource>,
    mut workshop: Workshop,
    read_bytes: usize,
    send: mpsc::Sender<Fed>,
) {
    while let Ok(place) = send.reserve().await {
        let batches = match source.next(read_bytes).await {
            Ok(batches) => batches,
            Err(error) => {
                place.send(Fed::End { code: error.code(), message: describe(&error) });
                return;
            }
        };
        let mapped = tokio::task::spawn_blocking(move || {
            let portion = workshop.map(&batches);
            (workshop, portion)
        });
        match mapped.await {
            Ok((back, portion)) => {
                workshop = back;
                place.send(Fed::Portion(portion));
            }
            // Panics are caught per event, so this is the runtime going down.
            Err(_) => return,
        }
    }
}

/// An error with all its causes, for a place that has only text.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
