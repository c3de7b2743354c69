//! Reading what is open for an integration, right behind the writer.

use std::sync::mpsc::Sender;

use millrace_model::event::Item;
use millrace_model::id::Seq;
use millrace_model::record::decode_batch;
use tokio::sync::{oneshot, watch};

use super::core::RawOpen;
use super::types::{OpenBatch, ReadError};
use super::writer::Command;

/// Reads the open events of one integration, forward only.
#[derive(Debug)]
pub struct Reader {
    pub(super) commands: Sender<Command>,
    pub(super) committed: watch::Receiver<Seq>,
    pub(super) track: usize,
    pub(super) from: Seq,
}

impl Reader {
    /// The next batches with open events, about `max_bytes` of them and at least one; waits until
    /// there is one. What is closed while it waits to be read is skipped.
    ///
    /// # Errors
    /// See [`ReadError`]; the next call tries the same place again.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing: the next call reads the same batches.
    pub async fn next(&mut self, max_bytes: usize) -> Result<Vec<OpenBatch>, ReadError> {
        loop {
            let (reply, answer) = oneshot::channel();
            let (track, from) = (self.track, self.from);
            self.commands
                .send(Command::Read { track, from, max_bytes, reply })
                .map_err(|_| ReadError::Stopped)?;
            let (raw, next) = answer.await.map_err(|_| ReadError::Stopped)??;
            if !raw.is_empty() {
                let batches: Result<Vec<_>, _> = raw.into_iter().map(decode).collect();
                let batches = batches?;
                self.from = next;
                return Ok(batches);
            }
            self.from = next;
            self.committed.wait_for(|end| *end > next).await.map_err(|_| ReadError::Stopped)?;
        }
    }
}

/// Decodes a batch here, off the writer's thread.
fn decode(raw: RawOpen) -> Result<OpenBatch, ReadError> {
    let RawOpen { seq, payload, open, perhaps_sent } = raw;
    let batch = decode_batch(payload).map_err(|source| ReadError::Record { seq, source })?;
    let open = open.unwrap_or_else(|| {
        let items = batch.items.iter().zip(0_u32..);
        items.filter(|(item, _)| matches!(item, Item::Event(_))).map(|(_, index)| index).collect()
    });
    Ok(OpenBatch { seq, batch, open, perhaps_sent })
}
