//! What came of the cases: a table for people, one JSON object for machines (DESIGN section 8).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::deviations::Deviations;

/// A case that was run, or could not be.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) id: String,
    /// How binding the case is: `required`, `deviation-allowed`, `core`, `lenient`, `quirk`.
    pub(crate) class: String,
    /// What the case exercises, in the words of its file.
    pub(crate) kind: String,
    pub(crate) outcome: Outcome,
}

/// What came of a case.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Pass,
    /// With what differs.
    Fail(String),
    /// With why.
    NotRun(String),
}

#[derive(Debug, Default)]
struct Counts {
    pass: u32,
    fail: u32,
    not_run: u32,
    listed: u32,
}

/// All cases.
#[derive(Debug, Default)]
pub(crate) struct Report {
    groups: BTreeMap<(String, String), Counts>,
    failed: Vec<Failed>,
    /// Listed cases that pass: the list is out of date.
    outdated: Vec<String>,
}

#[derive(Debug)]
struct Failed {
    file: String,
    id: String,
    class: String,
    reason: String,
    /// The reason of the list.
    listed: Option<String>,
}

impl Report {
    /// Adds the cases of a file.
    pub(crate) fn add(&mut self, file: &str, cases: Vec<Case>, deviations: &Deviations) {
        for case in cases {
            let counts = self.groups.entry((file.to_owned(), case.class.clone())).or_default();
            let listed = deviations.reason(file, &case).map(str::to_owned);
            counts.listed += u32::from(listed.is_some());
            let reason = match case.outcome {
                Outcome::Pass => {
                    counts.pass += 1;
                    if deviations.names(&case.id) {
                        self.outdated.push(case.id);
                    }
                    continue;
                }
                Outcome::Fail(reason) => {
                    counts.fail += 1;
                    reason
                }
                Outcome::NotRun(reason) => {
                    counts.not_run += 1;
                    format!("not run: {reason}")
                }
            };
            let (id, class) = (case.id, case.class);
            self.failed.push(Failed { file: file.to_owned(), id, class, reason, listed });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// True when every case passes or is listed.
    pub(crate) fn is_kept(&self) -> bool {
        self.failed.iter().all(|failed| failed.listed.is_some())
    }

    /// The listed cases that pass.
    #[cfg(test)]
    pub(crate) fn outdated(&self) -> &[String] {
        &self.outdated
    }

    /// The table, then every case that did not pass.
    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{:<28} {:<18} {:>5} {:>5} {:>8} {:>7}",
            "file", "class", "pass", "fail", "not run", "listed"
        );
        let mut sums = Counts::default();
        for ((file, class), counts) in &self.groups {
            line(&mut out, file, class, counts);
            sums.pass += counts.pass;
            sums.fail += counts.fail;
            sums.not_run += counts.not_run;
            sums.listed += counts.listed;
        }
        line(&mut out, "all", "", &sums);
        for failed in &self.failed {
            let mark = if failed.listed.is_some() { "listed" } else { "FAILED" };
            let _ = writeln!(out, "{mark} {} {}: {}", failed.file, failed.id, failed.reason);
            if let Some(listed) = &failed.listed {
                let _ = writeln!(out, "       because {listed}");
            }
        }
        for id in &self.outdated {
            let _ = writeln!(out, "note: {id} passes and need not be listed any more");
        }
        out
    }

    /// The last line of `--json`. What was not run counts as failed.
    pub(crate) fn json(&self) -> Value {
        let groups: Vec<Value> = self
            .groups
            .iter()
            .map(|((file, class), counts)| {
                let fail = counts.fail + counts.not_run;
                json!({"file": file, "class": class, "pass": counts.pass, "fail": fail})
            })
            .collect();
        let failed: Vec<Value> = self
            .failed
            .iter()
            .map(|one| {
                let mut shown = json!({"id": one.id, "class": one.class, "reason": one.reason});
                if let (Some(_), Some(shown)) = (&one.listed, shown.as_object_mut()) {
                    shown.insert("listed".to_owned(), json!(true));
                }
                shown
            })
            .collect();
        json!({"groups": groups, "failed": failed})
    }
}

fn line(out: &mut String, file: &str, class: &str, counts: &Counts) {
    let Counts { pass, fail, not_run, listed } = counts;
    let _ = writeln!(out, "{file:<28} {class:<18} {pass:>5} {fail:>5} {not_run:>8} {listed:>7}");
}
