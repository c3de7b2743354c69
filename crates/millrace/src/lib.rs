//! The `millrace` binary as a library, so that tests can call what the command line calls.
//!
//! | module | owns |
//! | --- | --- |
//! | [`cli`] | the shape of the command line: a contract |
//! | [`commands`] | what each command does |
//! | [`config`] | configuration files: reading, checking, every mistake at once |
//! | [`app`] | wiring: journal, engines, servers and twin from a checked configuration |
//! | [`demo`] | the sample shop's traffic, and feeding events through the collector |
//! | [`exit`] | exit codes |
//! | [`lines`] | lines of events, read in bounded memory |
//! | [`logging`] | logs on standard error |
//! | [`open_files`] | the limit of open files, raised |
//!
//! Only this crate reads configuration files and the environment.

pub mod admit;
pub mod app;
pub mod cli;
pub mod commands;
pub mod config;
pub mod demo;
pub mod exit;
pub mod lines;
pub mod logging;
pub mod open_files;
pub mod revisions;
