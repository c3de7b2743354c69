//! Tools for tests: never shipped, never a normal dependency of what is shipped.
//!
//! | module | owns |
//! | --- | --- |
//! | [`sim_disk`] | a disk in memory that loses, tears and reorders what was not synced |

pub mod sim_disk;
