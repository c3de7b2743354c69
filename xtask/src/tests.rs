//! `cargo xtask test`: everything that must pass, by one command.

use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::browser;
use crate::process::workspace_root;

/// Runs the examples in the documentation, then the tests of the whole workspace.
pub(crate) fn run() -> anyhow::Result<bool> {
    say_what_is_missing();
    browser::install_if_missing();
    // The integration tests of the binary start it as a process; build it first, so that a compile
    // error is not reported as a failing test.
    if !cargo(&["build", "--workspace", "--locked", "--bins"])? {
        return Ok(false);
    }
    // The examples first: the summary that people want to see is the other one, at the end.
    let examples = cargo(&["test", "--workspace", "--locked", "--doc"])?;
    let tested = if has_nextest() {
        cargo(&["nextest", "run", "--workspace", "--locked", "--no-fail-fast"])?
    } else {
        cargo(&["test", "--workspace", "--locked", "--no-fail-fast", "--all-targets"])?
    };
    Ok(examples && tested)
}

/// The tests with real SDKs fetch them through the package clients, and fail without those.
#[expect(clippy::print_stderr, reason = "this is a command for people")]
fn say_what_is_missing() {
    for (tool, why) in [
        ("node", "the tests with the Node SDKs will fail: install Node 20 or newer"),
        ("npm", "the tests with the Node SDKs will fail: install npm"),
        ("python3", "the tests with the Python SDK will fail: install Python 3 with pip"),
    ] {
        if !runs(tool, &["--version"]) {
            eprintln!("warning: {tool} is not there, {why}");
        }
    }
}

fn has_nextest() -> bool {
    runs("cargo", &["nextest", "--version"])
}

pub(crate) fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn cargo(arguments: &[&str]) -> anyhow::Result<bool> {
    let status = Command::new("cargo")
        .args(arguments)
        .current_dir(workspace_root())
        .status()
        .with_context(|| format!("cargo {} could not be started", arguments.join(" ")))?;
    Ok(status.success())
}
