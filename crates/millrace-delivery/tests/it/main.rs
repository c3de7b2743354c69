//! The integration tests of delivery.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the lints know functions with #[test], not what such functions call"
)]

mod consent;
mod engine;
mod engine_on_journal;
mod far_end;
mod http;
mod journal;
mod world;
