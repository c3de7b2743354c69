//! The journal: every accepted event, what became of it, and the sums that must add up.
//!
//! One thread owns the log and all state; everybody else has a [`Journal`] and asks. It takes what
//! is queued as one group, decides duplicates, appends, commits once and answers: an answer of
//! [`Intake::admit`](millrace_model::intake::Intake::admit) means that one sync has covered it.
//!
//! | module | owns |
//! | --- | --- |
//! | `handle`, `inspect`, `reader` | [`Journal`], [`Reader`]: what others call |
//! | `writer` | the thread: groups, answers, what is seen from outside |
//! | `core`, `apply`, `stored` | the state and how a commit changes it |
//! | `upkeep` | when checkpoints are written and old segments dropped |
//! | `replay` | the way back to the state after a stop or a crash |
//! | `kept` | [`kept_batches`]: what is kept, for whoever does not own the log |
//! | `verify` | the ledger counted a second time from the log |
//! | `dedupe`, `positions`, `book`, `recent` | message ids, what is open, the sums, the last bad ones |
//! | `quarantine`, `refeed` | what was set aside at the door, and its way back in |
//! | `trace` | everything that is known under a message id |
//! | `consents` | the newest known consent of each person, and its record |
//! | `progress`, `checkpoint`, `index` | the byte forms beside that of a batch |
//!
//! # Records
//!
//! Kind 1 is a batch (`millrace_model::record`), 2 progress (closes and sendings), 3 a checkpoint,
//! 4 a batch that takes the place of an item which had been set aside, 5 what is known of consent.
//! A checkpoint stands at the beginning of every segment, and after some bytes; a restart reads the
//! last one and what follows it. The index beside a sealed segment lists its batches and message
//! ids; it is not synced, and made anew from the segment when it is missing or not whole.
//!
//! # Promises (DESIGN 9.1 to 9.5, 9.9 to 9.12)
//!
//! - An item is received once and is then open or ended in one state, for each integration.
//! - A close counts once its commit has returned; a crash before that opens the event again.
//! - A repeated message id is answered as a duplicate with or after the sync of its first copy.
//! - A full disk refuses batches and goes on alone when there is room; closes use the reserve.
//! - After any other failure to write, nothing is taken or said until the next start.
//!
//! It does not send, map or retry anything, and it does not search: what is not a sum or a position
//! is an index that others may build from the log.

mod apply;
mod book;
mod checkpoint;
mod consents;
mod core;
mod dedupe;
mod handle;
mod index;
mod inspect;
mod kept;
mod options;
mod positions;
mod progress;
mod quarantine;
mod reader;
mod recent;
mod refeed;
mod replay;
#[cfg(test)]
mod simulation;
mod stored;
mod trace;
mod types;
mod upkeep;
mod verify;
mod writer;

pub use consents::{EventAt, KnownConsents};
pub use handle::{Journal, JournalWorker};
pub use kept::kept_batches;
pub use options::{JournalOptions, QuarantineOptions};
pub use quarantine::{Held, HeldPage, HeldQuery};
pub use reader::Reader;
pub use refeed::RefeedError;
pub use trace::{AtIntegration, Copy, Standing, Trace};
pub use types::{Closed, CodeText, Disposed, JournalError, OpenBatch, ReadError};
pub use verify::Verified;
