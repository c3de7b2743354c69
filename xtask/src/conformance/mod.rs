//! `cargo xtask conformance`: what peers send to Mixpanel for given events, against what we send.
//!
//! The cases are observations of a peer. They are read as they are: nothing here edits an expected
//! value or knows the input of a case. Where we mean to differ, the lists under
//! `crates/millrace-blueprint/conformance` say so with a reason ([`deviations`]); whatever differs
//! beside that fails the command. A case that cannot be run yet counts as failed, too.
//!
//! What the comparison takes off, and why. The first two are about how the same data travels:
//!
//! - **Framing**: the slash at the end of an address, and the list or form around rows. Segment's
//!   forms to `/track` are rows of `/import` here. How rows share requests is the batcher's matter;
//!   cases of batches check limits, order and that every item goes once.
//! - **Credentials**: a pause stands for the peer's giving up on 401, 403 and 404, since no event is
//!   lost by it. A token inside of a row must be that of the settings, and is no property here.
//!
//! The rest is more than that. It is the same for every case, and the pages of the blueprints say it:
//!
//! - **The query**: `ip=0` is ours alone; on profiles our `verbose=1&strict=1` stands against
//!   `verbose=2` or nothing. Both ask for answers and change no row. On events `strict` is compared
//!   where the settings say it; RudderStack's silent default is lax, and ours is not.
//! - **Insert ids**: where a message has no id and RudderStack sends none, ours is taken off; where
//!   Segment draws one, ours must be there, and be the same for all rows of the event.
//! - **Compression** is compared where a case asks for it.
//! - **Retries**: peers give up at 429 and 5xx where we try again. The verdict is taken from the
//!   first such answer, and what is sent after it is not compared.
//! - **Success without words**: an answer of 200 without a body is given as Mixpanel words success,
//!   because an empty answer is no success here.
//! - **Words and kinds of errors** are not compared beyond event or settings, refused here or there.

mod deviations;
mod report;
mod rudderstack;
mod segment_agents;
mod segment_fql;
mod segment_mapping;
mod segment_mixpanel;
mod segment_rows;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::Value;

use deviations::Deviations;
use report::{Case, Outcome, Report};

/// Arguments of `cargo xtask conformance`.
#[derive(Debug, Args)]
pub(crate) struct ConformanceArguments {
    /// The folders with the cases.
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,

    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Runs all cases; true when every one passes or is listed.
#[expect(clippy::print_stdout, reason = "this is a command for people")]
pub(crate) fn run(arguments: &ConformanceArguments) -> anyhow::Result<bool> {
    let report = report_of(&arguments.folders)?;
    print!("{}", report.table());
    if arguments.json {
        println!("{}", report.json());
    }
    Ok(report.is_kept())
}

/// Runs the cases of some folders.
fn report_of(folders: &[PathBuf]) -> anyhow::Result<Report> {
    let deviations = Deviations::of_the_project()?;
    let mut report = Report::default();
    for folder in folders {
        for path in case_files(folder)? {
            let (name, cases) = run_file(&path)?;
            report.add(&name, cases, &deviations);
        }
    }
    if report.is_empty() {
        bail!("there are no cases in these folders");
    }
    Ok(report)
}

/// The case files of a folder, in the order of their names.
fn case_files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Runs the cases of a file with the runner for its form. A file without cases is data for others.
fn run_file(path: &Path) -> anyhow::Result<(String, Vec<Case>)> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| shown.to_string())?;
    let file: Value = serde_json::from_str(&text).with_context(|| shown.to_string())?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some(cases) = file.get("cases").and_then(Value::as_array) else {
        return Ok((name, Vec::new()));
    };
    let format = file.get("format").and_then(Value::as_str).unwrap_or_default();
    let suite = file.get("suite").and_then(Value::as_str).unwrap_or_default();
    let cases = match (format, suite) {
        ("millrace-conformance/1", "rudderstack") => rudderstack::run(cases),
        ("fql/1", _) => segment_fql::run(cases),
        ("useragent/1", _) => segment_agents::run(cases)?,
        ("mixpanel/1", _) => segment_mixpanel::run(&name, &file, cases)?,
        ("mapping/1", _) => segment_mapping::run(&text, cases)?,
        _ => cases
            .iter()
            .map(|case| Case {
                id: text_of(case, "id"),
                class: text_of(case, "class"),
                kind: format.to_owned(),
                outcome: Outcome::NotRun(format!("there is no runner for the form {format:?}")),
            })
            .collect(),
    };
    Ok((name, cases))
}

/// A text member; empty when it is not there.
fn text_of(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
