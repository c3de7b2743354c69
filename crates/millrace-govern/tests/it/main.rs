//! The rules of a pipeline on whole batches.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "these are tests, helper functions included"
)]

mod mmdb;
mod places;
mod privacy;
mod rules;
mod world;
