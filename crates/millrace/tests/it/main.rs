//! Tests of the real binary as a process: the command line's contract, real SDKs, kill -9.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

mod adobe;
mod browser;
mod browser_stress;
mod check;
mod collector_js;
mod consent;
mod delete_users;
mod demo;
mod dev_contract;
mod docs;
mod docs_examples;
mod edge;
mod edge_visitors;
mod fault;
mod http;
mod kill;
mod lookup_table;
mod map;
mod metrics;
mod one_purchase;
mod packages;
mod projects;
mod quarantine;
mod quick_start;
mod reload;
mod sdk;
mod server;
#[cfg(target_os = "linux")]
mod slow_clients;
mod stop;
mod stress;
mod stressed_collector;
mod ways_in;
mod workflow;
