//! Logs go to standard error, so that standard output stays what scripts read.

use tracing_subscriber::EnvFilter;

use crate::cli::Arguments;

/// Starts logging. `MILLRACE_LOG` (as in `info,millrace_delivery=debug`) wins over the flags, and
/// `NO_COLOR` switches colours off.
pub fn start(arguments: &Arguments) {
    let level = match arguments.verbose {
        0 => "warn,millrace::audit=info",
        1 => "info",
        _ => "debug",
    };
    let filter = EnvFilter::try_from_env("MILLRACE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let coloured = std::io::IsTerminal::is_terminal(&std::io::stderr())
        && std::env::var_os("NO_COLOR").is_none();
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(coloured)
        .with_writer(std::io::stderr);
    // A second start (tests in one process) keeps the first.
    let _ = if arguments.log_json { logs.json().try_init() } else { logs.try_init() };
}
