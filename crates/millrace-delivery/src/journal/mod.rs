//! The journal: every accepted event, what became of it, and the sums.

mod handle;
mod options;
mod reader;
mod types;

pub use handle::{Journal, JournalWorker};
pub use options::JournalOptions;
pub use reader::Reader;
pub use types::{Closed, CodeText, Disposed, JournalError, OpenBatch, ReadError};
