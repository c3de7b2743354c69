//! The embedded log: numbered records in append-only segment files, durable when a commit returns.
//!
//! | module | owns |
//! | --- | --- |
//! | `store` | [`LogStore`]: what the journal and the twin use of a log |
//! | `disk`, `real_disk` | [`Disk`]: the seam to the file system, and the real one behind it |
//! | `frame` | the byte layout of a segment file |
//! | `segment` | finding and reading records in one file |
//! | `recovery` | what opening a folder puts right, and what it refuses |
//! | `segment_log` | [`SegmentLog`]: groups, commits, the roll, dropping |
//! | `tail_cache` | the newest records in memory |
//! | `side` | rebuildable bytes beside a segment |
//! | `kept` | [`read_folder`]: the records of a folder that another process may own |
//!
//! What it promises (DESIGN 9.9): a record whose commit returned `Ok` is there after any crash, in
//! its place, unchanged; or opening or reading fails with [`LogError::Damaged`]. It is never
//! silently gone and never wrong. A record whose commit did not return `Ok` may be there after a
//! crash or not; numbers stay without gaps either way.
//!
//! What it does not do: threads, waiting, retrying, compressing, or giving a meaning to a record.
//! The only damage that it cannot tell from an unfinished commit is damage to the very last one.

mod disk;
mod error;
mod frame;
mod kept;
mod real_disk;
mod recovery;
mod segment;
mod segment_log;
mod side;
mod store;
mod tail_cache;
mod window;

pub use disk::{Disk, DiskFile};
pub use error::LogError;
pub use kept::read_folder;
pub use real_disk::{RealDisk, RealFile};
pub use recovery::{Recovery, Truncated};
pub use segment_log::{LogOptions, SegmentLog};
pub use store::{Entry, LogStats, LogStore, SegmentInfo};
