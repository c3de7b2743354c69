//! The `millrace` binary: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser as _;
use millrace::cli::Arguments;
use millrace::exit::Outcome;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are asked for and fine; everything else is a usage error (64).
            let outcome = if error.use_stderr() { Outcome::Usage } else { Outcome::Fine };
            let _ = error.print();
            return outcome.into();
        }
    };
    millrace::logging::start(&arguments);
    millrace::commands::run(arguments).into()
}
