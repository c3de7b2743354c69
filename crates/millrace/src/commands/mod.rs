//! What each command does: one module each, all of the form arguments in, outcome out.

mod blueprint;
mod check;
mod delete_users;
mod demo;
mod diff;
mod ledger;
mod lookup_table;
mod map;
mod serve;
mod server;
mod set_aside;
mod stop_request;
mod table;
mod test;
mod trace;

use std::io::{self, Write as _};

use std::path::Path;

use anyhow::{Context as _, anyhow};
use clap::CommandFactory as _;
use millrace_model::code::Code;
use millrace_model::diagnostic::nearest;
use serde_json::{Map, Value};

use crate::cli::{Arguments, Command};
use crate::exit::{Failure, Outcome};

/// Runs the command; prints an error, if there is one, to standard error.
#[must_use]
pub fn run(arguments: Arguments) -> Outcome {
    let result = match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Map(arguments) => map::run(&arguments),
        Command::DeleteUsers(arguments) => delete_users::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Diff(arguments) => diff::run(&arguments),
        Command::Blueprint { command } => blueprint::run(&command),
        Command::LookupTable(arguments) => lookup_table::run(&arguments),
        Command::Ledger(arguments) => ledger::run(&arguments),
        Command::SetAside { command } => set_aside::run(&command),
        Command::Trace(arguments) => trace::run(&arguments),
        Command::Completions { shell } => completions(shell),
    };
    match result {
        Ok(outcome) => outcome,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "error: {failure}");
            failure.outcome
        }
    }
}

fn completions(shell: clap_complete::Shell) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "millrace", &mut script);
    print(&script)?;
    Ok(Outcome::Fine)
}

/// Writes to standard output; false when its reader has gone away (`| head`), which is no error.
fn print(bytes: &[u8]) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => {
            let error = anyhow::Error::new(error).context("cannot write to standard output");
            Err(Failure::unavailable(error))
        }
    }
}

/// Prints a line to standard output; false when its reader has gone away.
fn print_line(line: &str) -> Result<bool, Failure> {
    print(format!("{line}\n").as_bytes())
}

/// What is told of a file that cannot be read; the reason follows.
fn unreadable(path: &Path) -> String {
    format!("{} cannot read {}", Code::FileUnreadable, path.display())
}

/// The JSON object in a file of settings.
fn json_object(path: &Path) -> Result<Map<String, Value>, Failure> {
    let text = std::fs::read_to_string(path).with_context(|| unreadable(path));
    let shown = path.display();
    serde_json::from_str(&text.map_err(Failure::usage)?)
        .with_context(|| format!("{} {shown} must be one JSON object", Code::BadValue))
        .map_err(Failure::usage)
}

/// The integration that was named on the command line is not in the configuration.
fn unknown_integration(wanted: &str, known: &[&str]) -> Failure {
    let hint = match nearest(wanted, known.iter().copied()) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.is_empty() => "there are none".to_owned(),
        None => format!("known are {}", known.join(", ")),
    };
    let code = Code::UnknownReference;
    Failure::usage(anyhow!("{code} there is no integration {wanted:?} ({hint})"))
}

/// The async runtime of a command that serves.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("millrace")
        .build()
        .map_err(Failure::internal)
}
