//! Unmodified browser SDKs in Chromium, from a page through the real binary to the twin.
//!
//! A page of `tests/browser/pages` and a test here is all that one more SDK takes. Needed on the
//! machine: Node 20 or newer with npm, and Chromium (`cargo xtask test` installs Debian's when it
//! can; `MILLRACE_CHROMIUM` names another).

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helper functions of tests"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use serde_json::{Value, json};

use crate::packages::npm_packages;
use crate::server::{DevServer, tally};

/// Where Debian puts it.
const CHROMIUM: &str = "/usr/bin/chromium";

/// A browser in which a scenario of `tests/browser/scenarios` has run, still open.
#[derive(Debug)]
pub(crate) struct Visit {
    driver: Child,
    stdin: ChildStdin,
    /// What the scenario says that it did.
    pub(crate) report: Value,
}

impl Visit {
    /// Runs a scenario against a collector. `job` is what the scenario needs to know besides.
    pub(crate) fn run(scenario: &str, server: &DevServer, job: Value) -> Visit {
        let mut job = job;
        job["collector"] = json!(server.collector_url());
        job["key"] = json!(server.write_key());
        Visit::run_with(scenario, job)
    }

    /// Runs a scenario whose `job` names the collector and the key itself.
    pub(crate) fn run_with(scenario: &str, mut job: Value) -> Visit {
        let folder = npm_packages("browser");
        job["chromium"] = json!(chromium());
        let mut driver = Command::new("node")
            .arg(folder.join("run.mjs"))
            .arg(scenario)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("this test needs Node 20 or newer");
        let mut stdin = driver.stdin.take().expect("standard input");
        writeln!(stdin, "{job}").expect("the driver listens");
        let mut stdout = BufReader::new(driver.stdout.take().expect("standard output"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("the report is text");
        let Ok(report) = serde_json::from_str(&line) else {
            let mut said = String::new();
            let _ = driver.stderr.take().expect("standard error").read_to_string(&mut said);
            let _ = driver.wait();
            panic!("the scenario {scenario} failed: {said}");
        };
        Visit { driver, stdin, report }
    }

    /// Closes the browser.
    pub(crate) fn leave(mut self) {
        drop(self.stdin);
        let status = self.driver.wait().expect("the driver ends");
        assert!(status.success(), "the browser could not be closed: {status}");
    }
}

fn chromium() -> PathBuf {
    let named = std::env::var_os("MILLRACE_CHROMIUM").map(PathBuf::from);
    let path = named.unwrap_or_else(|| PathBuf::from(CHROMIUM));
    assert!(
        path.exists(),
        "{} is not there: install Debian's package chromium, or name one in MILLRACE_CHROMIUM",
        path.display()
    );
    path
}

/// Opens the page of an SDK and waits until the pipeline has delivered `calls` of it, and no more.
///
/// Gives the twin's counts by name of event.
pub(crate) fn page_arrives(page: &str, server: &DevServer, calls: u64) -> Value {
    let visit = Visit::run("sdk", server, json!({ "page": page }));
    assert_eq!(visit.report["calls"], json!(calls), "{}", visit.report);
    server.drain(calls);
    visit.leave();
    // What the SDK may still have sent while its page was closed would count here.
    let ledger = server.drain(calls);
    assert_eq!(tally(&ledger, "received"), calls, "{ledger:#}");
    assert_eq!(tally(&ledger, "delivered"), calls, "{ledger:#}");
    server.twin_get("/twin/v1/projects/1/summary")
}

/// The visit of `pages/visit.mjs`, by an SDK of the Segment spec.
fn the_visit_arrives(page: &str) {
    let server = DevServer::start();
    let summary = page_arrives(page, &server, 5);
    let expected = json!({
        "Page Viewed": 1, "Product Viewed": 1, "Identity Linked": 1, "Order Completed": 1,
    });
    assert_eq!(summary["by_event"], expected, "{summary:#}");
    assert_eq!((&summary["events"], &summary["copies"]), (&json!(4), &json!(4)), "{summary:#}");
    assert_eq!((&summary["profiles"], &summary["groups"]), (&json!(1), &json!(1)), "{summary:#}");
    let ada = server.twin_get("/twin/v1/projects/1/users/ada");
    assert_eq!(ada["profile"]["$email"], "ada@mail.example", "{ada:#}");
    let activity = ada["activity"].as_array().expect("activity");
    assert_eq!(activity.len(), 4, "what came before the sign-in is hers, too: {ada:#}");
}

#[test]
fn segment_in_a_browser_arrives_whole() {
    the_visit_arrives("segment");
}

#[test]
fn rudderstack_in_a_browser_arrives_whole() {
    the_visit_arrives("rudder");
}

/// Two events and `$identify`; and four updates of profiles: what the page sets, where the visitor
/// came from, the group among the user's properties, and the group's own.
#[test]
fn mixpanel_in_a_browser_arrives_whole() {
    let server = DevServer::start();
    let visit = Visit::run("sdk", &server, json!({ "page": "mixpanel" }));
    server.drain(7);
    visit.leave();
    let ledger = server.drain(7);
    assert_eq!(tally(&ledger, "received"), 7, "{ledger:#}");
    assert_eq!(tally(&ledger, "delivered"), 7, "{ledger:#}");
    let summary = server.twin_get("/twin/v1/projects/1/summary");
    let ada = server.twin_get("/twin/v1/projects/1/users/ada");
    let group = server.twin_get("/twin/v1/projects/1/groups/company_id/moss");
    let expected = json!({ "Product Viewed": 1, "Identity Linked": 1, "Order Completed": 1 });
    assert_eq!(summary["by_event"], expected, "{summary:#}");
    assert_eq!((&summary["events"], &summary["copies"]), (&json!(3), &json!(3)), "{summary:#}");
    let people = ["users", "profiles", "groups"].map(|count| summary[count].as_u64());
    assert_eq!(people, [Some(1); 3], "{summary:#}");
    assert_eq!(ada["activity"].as_array().map(Vec::len), Some(3), "{ada:#}");
    let profile = &ada["profile"];
    let said = ["$email", "plan", "company_id", "$initial_referrer"].map(|name| &profile[name]);
    let wanted = [json!("ada@mail.example"), json!("pro"), json!(["moss"]), json!("$direct")];
    assert_eq!(said, wanted.each_ref(), "{ada:#}");
    assert_eq!(group["profile"]["name"], "Moss & Sons", "{group:#}");
}

/// The script comes from the collector, too, out of the file of the SDK's package.
#[test]
fn the_snippet_of_segment_arrives_whole() {
    let script =
        npm_packages("browser").join("node_modules/@segment/analytics-next/dist/umd/standalone.js");
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("millrace.toml");
    let text = format!(
        "[server]\ncollect = \"127.0.0.1:0\"\nmanage = \"127.0.0.1:0\"\n\
         admin_token = \"dev-admin-token\"\nsegment_script = {script:?}\n\
         [[pipelines]]\nid = \"dev\"\nwrite_keys = [\"dev-write-key\"]\n\
         [[integrations]]\nid = \"dev\"\npipeline = \"dev\"\ntoken = \"dev-token\"\nregion = \"twin\"\n\
         [twin]\nlisten = \"127.0.0.1:0\"\n[[twin.projects]]\nid = 1\ntoken = \"dev-token\"\n"
    );
    std::fs::write(&config, text).expect("a configuration");
    let server = DevServer::start_with(&config);
    let summary = page_arrives("snippet", &server, 2);
    let expected = json!({ "Page Viewed": 1, "Product Viewed": 1 });
    assert_eq!(summary["by_event"], expected, "{summary:#}");
}

/// The lock file says which packages, and leaves it to the package client where they come from.
#[test]
fn the_lock_file_of_the_browser_tests_names_no_registry() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/browser/package-lock.json");
    let lock = std::fs::read_to_string(path).expect("the lock file");
    assert!(!lock.contains("\"resolved\""));
}
