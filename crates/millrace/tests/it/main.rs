//! Tests of the real binary as a process: the command line's contract, real SDKs, kill -9.

mod check;
mod demo;
mod docs;
mod http;
mod kill;
mod map;
mod quick_start;
mod sdk;
mod server;
