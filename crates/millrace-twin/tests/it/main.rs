//! The twin as a client meets it: requests in, bytes out.

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
