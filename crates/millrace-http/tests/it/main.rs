//! The routers and the server from the outside.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "these are tests, helper functions included"
)]

mod answers;
mod bad_input;
mod cookie;
mod cors;
mod datafly;
mod door;
mod edge;
mod fixtures;
mod keys;
mod leaks;
mod management;
mod mixpanel;
mod mixpanel_fixtures;
mod mobile;
mod odd_input;
mod overload;
mod pixels;
mod readmission;
mod recording;
mod recordings;
mod script;
mod server;
mod startup;
mod syft;
mod tls;
mod webhooks;
