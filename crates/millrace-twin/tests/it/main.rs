//! The twin as a client meets it: requests in, bytes out.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "in the functions that tests share a failure is a panic too"
)]

mod arrival;
mod bodies;
mod client;
mod exports;
mod identity;
mod persistence;
mod profiles;
mod replies;
mod served;
mod validation;
mod viewing;
