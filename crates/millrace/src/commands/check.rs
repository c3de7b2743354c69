//! `millrace check`: all errors of a configuration and its blueprints at once.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millrace_blueprint::Plan;
use millrace_model::diagnostic::Diagnostic;

use crate::app::blueprints;
use crate::cli::CheckArguments;
use crate::config::{Config, DEFAULT_FILE};
use crate::exit::{Failure, Outcome};

/// Reads everything that `serve` would read, and starts nothing.
pub(super) fn run(arguments: &CheckArguments) -> Result<Outcome, Failure> {
    let path = arguments.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let mistakes = read(&path).err().unwrap_or_default();
    if arguments.json {
        let text = serde_json::to_string(&mistakes).map_err(Failure::internal)?;
        super::print_line(&text)?;
    } else {
        print_mistakes(&mistakes);
    }
    if !mistakes.is_empty() {
        return Ok(Outcome::Usage);
    }
    if !arguments.json {
        super::print_line(&format!("{}: no errors", path.display()))?;
    }
    Ok(Outcome::Fine)
}

/// A configuration and the plans of its integrations; warnings go to standard error.
///
/// With mistakes in the configuration, the blueprints that it names are still looked at, so that
/// one look shows everything.
fn read(path: &Path) -> Result<(Config, Vec<Arc<Plan>>), Vec<Diagnostic>> {
    match Config::load(path, &|name| std::env::var(name).ok()) {
        Ok((config, warnings)) => {
            print_warnings(&warnings);
            let plans = plans(&config)?;
            Ok((config, plans))
        }
        Err(refused) => {
            let mut mistakes = refused.mistakes;
            mistakes.extend(blueprints::compile_all(&refused.blueprints).err().unwrap_or_default());
            mistakes.sort_by_key(|mistake| (mistake.file.clone(), mistake.line, mistake.column));
            Err(mistakes)
        }
    }
}

/// The plans of a configuration's integrations, in their order.
///
/// # Errors
/// Every mistake in the blueprints and their settings.
pub(super) fn plans(config: &Config) -> Result<Vec<Arc<Plan>>, Vec<Diagnostic>> {
    blueprints::compile_all(config.integrations.iter().map(|integration| &integration.mapping))
}

/// Reads a configuration for a command that needs it.
///
/// # Errors
/// After every mistake was printed.
pub(super) fn read_or_explain(path: &Path) -> Result<(Config, Vec<Arc<Plan>>), Failure> {
    read(path).map_err(|mistakes| {
        print_mistakes(&mistakes);
        refused(path, mistakes.len())
    })
}

fn refused(path: &Path, count: usize) -> Failure {
    Failure::usage(anyhow::anyhow!(
        "{} has {count} error{}",
        path.display(),
        if count == 1 { "" } else { "s" }
    ))
}

/// Prints mistakes to standard error, a line each.
pub(super) fn print_mistakes(mistakes: &[Diagnostic]) {
    let mut stderr = io::stderr().lock();
    for mistake in mistakes {
        let _ = writeln!(stderr, "{mistake}");
    }
}

fn print_warnings(warnings: &[Diagnostic]) {
    let mut stderr = io::stderr().lock();
    for warning in warnings {
        let _ = writeln!(stderr, "warning: {warning}");
    }
}
