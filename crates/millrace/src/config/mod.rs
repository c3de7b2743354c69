//! The configuration: what `millrace serve` and `millrace check` are told.
//!
//! One TOML file becomes one [`Config`] of plain, checked data in two steps: the document with the
//! place of every key and value (`document`), then the tree (`sections`). Every mistake in the
//! file is found in one go and told with line, column, code and, where one is near, what was
//! probably meant. Unknown keys are mistakes. `docs/configuration.md` is the reference for users;
//! a test runs its examples.
//!
//! Invariants: a [`Config`] that exists is valid in itself (references resolve, names are unique,
//! numbers are in range); no secret ever stands in a diagnostic; the environment comes in as a
//! function, so nothing here reads the process's own.
//!
//! Not here: whether a blueprint exists and takes its settings. The caller knows that, and finds the
//! [`Place`] of both for its own diagnostics.

mod dev;
mod document;
mod quantity;
mod secrets;
mod sections;
mod tree;

#[cfg(test)]
mod tests;

use std::io::Read as _;
use std::path::Path;

use millrace_model::code::Code;
use millrace_model::diagnostic::{Diagnostic, Severity};

pub use tree::{
    BlueprintRef, BlueprintUse, CertificateSource, Config, Connection, DeclaredProject,
    Destination, Integration, Limits, Log, Pipeline, PipelineParameters, Place, PlacesFile,
    Proxied, Quarantine, Region, Server, Setting, Tls, Twin, TwinProject, TwinServiceAccount,
    TwinViews,
};

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "millrace.toml";

/// A configuration larger than this is a mistake: it is read into memory whole.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Looks a variable of the environment up.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What a configuration with mistakes still tells.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Every mistake, in the order of their places.
    pub mistakes: Vec<Diagnostic>,
    /// The blueprints that could be read from it: the caller can look for mistakes in them, too.
    pub blueprints: Vec<BlueprintUse>,
}

impl PlacesFile {
    /// Reads the file again and puts what it holds now in the place of what was read before.
    ///
    /// # Errors
    /// When it cannot be read or is no database of places; the former contents then stay.
    pub fn reload(&self) -> Result<(), String> {
        self.places.replace(sections::places::load(&self.path)?);
        Ok(())
    }
}

impl Config {
    /// Reads and checks a configuration file; gives warnings beside it.
    ///
    /// Relative paths in the file are relative to its folder.
    ///
    /// # Errors
    /// Every mistake in the file, in the order of their places.
    pub fn load(
        path: &Path,
        environment: Environment<'_>,
    ) -> Result<(Config, Vec<Diagnostic>), Refused> {
        let file = path.display().to_string();
        let text = read_text(path, MAX_FILE_BYTES).map_err(|reason| {
            let mistake = Diagnostic {
                file: file.clone(),
                line: 0,
                column: 0,
                severity: Severity::Error,
                code: Code::FileUnreadable,
                message: format!("cannot read the configuration: {reason}"),
                suggestion: Some("name another file with --config".to_owned()),
            };
            Refused { mistakes: vec![mistake], blueprints: Vec::new() }
        })?;
        Config::parse(&text, &file, path.parent().unwrap_or(Path::new("")), environment)
    }

    /// Checks the text of a configuration file.
    ///
    /// `file` is its name in diagnostics, `folder` what its relative paths are relative to.
    ///
    /// # Errors
    /// Every mistake in the text, in the order of their places.
    pub fn parse(
        text: &str,
        file: &str,
        folder: &Path,
        environment: Environment<'_>,
    ) -> Result<(Config, Vec<Diagnostic>), Refused> {
        let mut report = document::Report::new(file, text, folder, environment);
        let config = sections::read(text, &mut report);
        let blueprints = std::mem::take(&mut report.blueprints);
        let (mistakes, warnings) = report.finish();
        match config {
            Some(config) if mistakes.is_empty() => Ok((config, warnings)),
            _ => Err(Refused { mistakes, blueprints }),
        }
    }
}

/// The text of a file of certificates or keys, or why there is none.
pub(crate) fn read_pem(path: &Path) -> Result<String, String> {
    read_text(path, tree::MAX_PEM_BYTES)
}

/// The text of a small file, or why there is none.
fn read_text(path: &Path, limit: u64) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > limit) {
        return Err(format!("it has more than {limit} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}
