//! `cargo xtask test`: everything that must pass, by one command.

use std::process::{Command, Stdio};

use anyhow::Context as _;

use crate::process::workspace_root;

/// Runs the examples in the documentation, then the tests of the whole workspace.
pub(crate) fn run() -> anyhow::Result<bool> {
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

fn has_nextest() -> bool {
    Command::new("cargo")
        .args(["nextest", "--version"])
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
