//! Reading what is open for an integration, right behind the writer.

use super::types::{OpenBatch, ReadError};

/// Reads the open events of one integration, forward only.
#[derive(Debug)]
pub struct Reader {}

impl Reader {
    /// The next batches with open events, at least one; waits until there is one.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn next(&mut self, _max_bytes: usize) -> Result<Vec<OpenBatch>, ReadError> {
        Err(ReadError::Stopped)
    }
}
