//! Tools for tests: never shipped, never a normal dependency of what is shipped.
//!
//! | module | owns |
//! | --- | --- |
//! | [`fuzzing`] | what the fuzzers run, and the tests that replay their inputs |
//! | [`sim_disk`] | a disk in memory that loses, tears and reorders what was not synced |

pub mod fuzzing;
pub mod sim_disk;
