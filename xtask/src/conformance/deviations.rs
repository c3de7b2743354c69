//! Where the project means to differ from a peer: checked-in lists of ids and reasons.
//!
//! Each peer has a list of its own, `crates/millrace-blueprint/conformance/NAME.toml`, with
//! `[[deviation]]` (`id`, `reason`) and `[[not_run]]` (`file`, `kind`, `reason`) for cases that
//! have no runner yet.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, bail};
use serde::Deserialize;

use super::report::{Case, Outcome};
use crate::process::workspace_root;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    #[serde(default)]
    deviation: Vec<Deviation>,
    #[serde(default)]
    not_run: Vec<NotRun>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviation {
    id: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NotRun {
    file: String,
    kind: String,
    reason: String,
}

/// All lists together.
#[derive(Debug, Default)]
pub(crate) struct Deviations {
    cases: BTreeMap<String, String>,
    not_run: BTreeMap<(String, String), String>,
}

impl Deviations {
    /// The lists of this repository.
    pub(crate) fn of_the_project() -> anyhow::Result<Deviations> {
        let folder = workspace_root().join("crates/millrace-blueprint/conformance");
        let mut all = Deviations::default();
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                let text = fs::read_to_string(&path)?;
                all.read(&text).with_context(|| path.display().to_string())?;
            }
        }
        Ok(all)
    }

    /// Adds the entries of a list.
    pub(crate) fn read(&mut self, text: &str) -> anyhow::Result<()> {
        let list: List = toml::from_str(text)?;
        for Deviation { id, reason } in list.deviation {
            if reason.trim().is_empty() {
                bail!("the deviation {id} has no reason");
            }
            if self.cases.insert(id.clone(), reason).is_some() {
                bail!("the deviation {id} is listed twice");
            }
        }
        for NotRun { file, kind, reason } in list.not_run {
            if reason.trim().is_empty() {
                bail!("{file} has no reason not to be run");
            }
            self.not_run.insert((file, kind), reason);
        }
        Ok(())
    }

    /// The reason that the lists give for a case that did not pass.
    pub(crate) fn reason(&self, file: &str, case: &Case) -> Option<&str> {
        match &case.outcome {
            Outcome::Pass => None,
            Outcome::Fail(_) => self.cases.get(&case.id).map(String::as_str),
            Outcome::NotRun(_) => {
                let key = (file.to_owned(), case.kind.clone());
                self.not_run.get(&key).map(String::as_str)
            }
        }
    }

    /// True when a case stands in a list, whether it passes or not.
    pub(crate) fn names(&self, id: &str) -> bool {
        self.cases.contains_key(id)
    }
}
