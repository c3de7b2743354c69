//! The decoder from the outside: what the door takes, what it puts aside, and that no body of any
//! kind makes it panic.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "these are tests, helper functions included"
)]

mod bodies;
mod datafly;
mod door;
mod edge;
mod fixtures;
mod mixpanel;
mod shared_members;
