//! `millrace check`: all errors of a configuration and its blueprints at once, and what is doubtful
//! about them.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use millrace_blueprint::Plan;
use millrace_model::diagnostic::{Diagnostic, Severity};

use crate::app::blueprints;
use crate::cli::CheckArguments;
use crate::config::{Config, DEFAULT_FILE};
use crate::exit::{Failure, Outcome};

/// Reads everything that `serve` would read, and starts nothing. Warnings alone are no failure.
pub(super) fn run(arguments: &CheckArguments) -> Result<Outcome, Failure> {
    let path = arguments.config.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let found = match read(&path) {
        Ok(reading) => reading.warnings,
        Err(mistakes) => mistakes,
    };
    if arguments.json {
        let text = serde_json::to_string(&found).map_err(Failure::internal)?;
        super::print_line(&text)?;
    } else {
        print_found(&found);
    }
    if found.iter().any(|one| one.severity == Severity::Error) {
        return Ok(Outcome::Usage);
    }
    if !arguments.json {
        let summary = match found.len() {
            0 => "no errors".to_owned(),
            1 => "no errors, 1 warning".to_owned(),
            count => format!("no errors, {count} warnings"),
        };
        super::print_line(&format!("{}: {summary}", path.display()))?;
    }
    Ok(Outcome::Fine)
}

/// A configuration that can be used.
struct Reading {
    config: Config,
    /// The plans of its integrations, in their order.
    plans: Vec<Arc<Plan>>,
    /// What is doubtful about it and its blueprints.
    warnings: Vec<Diagnostic>,
}

/// A configuration and the plans of its integrations.
///
/// With mistakes in the configuration, the blueprints that it names are still looked at, so that
/// one look shows everything. Warnings wait until there are no mistakes.
fn read(path: &Path) -> Result<Reading, Vec<Diagnostic>> {
    match Config::load(path, &|name| std::env::var(name).ok()) {
        Ok((config, mut warnings)) => {
            let plans = plans(&config)?;
            let uses = config.integrations.iter().map(|integration| &integration.mapping);
            warnings.extend(blueprints::warnings(uses));
            Ok(Reading { config, plans, warnings })
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
    match read(path) {
        Ok(Reading { config, plans, warnings }) => {
            print_found(&warnings);
            Ok((config, plans))
        }
        Err(mistakes) => {
            print_found(&mistakes);
            Err(refused(path, mistakes.len()))
        }
    }
}

fn refused(path: &Path, count: usize) -> Failure {
    Failure::usage(anyhow::anyhow!(
        "{} has {count} error{}",
        path.display(),
        if count == 1 { "" } else { "s" }
    ))
}

/// Prints what was found to standard error, a line each.
pub(super) fn print_found(found: &[Diagnostic]) {
    let mut stderr = io::stderr().lock();
    for one in found {
        let _ = match one.severity {
            Severity::Error => writeln!(stderr, "{one}"),
            Severity::Warning => writeln!(stderr, "warning: {one}"),
        };
    }
}
