//! The events that a log keeps, for whoever wants to look at them: read without owning the log.

use std::ops::ControlFlow;
use std::path::Path;

use millrace_model::event::Batch;

use super::refeed::batch_of;
use super::types::ReadError;

/// Gives every kept batch of a log's folder to `take`, oldest first, until it breaks off. The
/// folder may belong to a running process; nothing in it is changed.
///
/// # Errors
/// `ReadError::Log` when the folder cannot be read or is damaged, `ReadError::Record` when a batch
/// cannot be decoded.
pub fn kept_batches(
    folder: &Path,
    mut take: impl FnMut(Batch) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    let mut failed = None;
    millrace_log::read_folder(folder, |entry| match batch_of(&entry) {
        Ok(Some((batch, _))) => take(batch),
        Ok(None) => ControlFlow::Continue(()),
        Err(source) => {
            failed = Some(ReadError::Record { seq: entry.seq, source });
            ControlFlow::Break(())
        }
    })?;
    failed.map_or(Ok(()), Err)
}
