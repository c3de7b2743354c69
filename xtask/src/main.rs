//! Developer commands: `cargo xtask test`, `cargo xtask bench`, `cargo xtask conformance`.

mod bench;
mod browser;
mod conformance;
mod docs;
mod load;
mod process;
mod tests;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer commands of Millrace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run all tests: with cargo-nextest when it is installed, else with cargo test.
    Test,
    /// Run every benchmark against its limit and print one table.
    Bench(bench::BenchArguments),
    /// Run the cases of what peers send and compare.
    Conformance(conformance::ConformanceArguments),
    /// Fill the tables of the pages about the built-in blueprints.
    Docs(docs::DocsArguments),
}

#[expect(clippy::print_stderr, reason = "this is a command for people")]
fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Test => tests::run(),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Conformance(arguments) => conformance::run(&arguments),
        Command::Docs(arguments) => docs::run(&arguments),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
