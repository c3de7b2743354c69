//! The twin as a client meets it: requests in, bytes out.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "in the functions that tests share a failure is a panic too"
)]

mod arrival;
mod bodies;
mod client;
mod crash;
mod deletions;
mod exports;
mod identity;
mod lookup_tables;
mod persistence;
mod profiles;
mod recordings;
mod replies;
mod served;
mod validation;
mod viewing;
