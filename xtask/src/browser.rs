//! The browser of the tests: Debian's Chromium, installed when it is missing and that is possible.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::tests::runs;

/// Where Debian puts it, and where the tests look for it.
const CHROMIUM: &str = "/usr/bin/chromium";

/// Installs Chromium through `apt-get`, as root or by `sudo` when that asks for no password.
///
/// Says what to do when it cannot. The tests that need a browser then fail, the others do not.
#[expect(clippy::print_stderr, reason = "this is a command for people")]
pub(crate) fn install_if_missing() {
    if std::env::var_os("MILLRACE_CHROMIUM").is_some() || Path::new(CHROMIUM).exists() {
        return;
    }
    eprintln!("{CHROMIUM} is not there, installing Debian's package chromium");
    let installed = runs("apt-get", &["--version"])
        && apt_get(&["update", "-qq"])
        && apt_get(&["install", "-y", "-qq", "--no-install-recommends", "chromium"]);
    if !installed {
        eprintln!(
            "warning: {CHROMIUM} could not be installed, the tests in a browser will fail: run \
             `apt-get install --no-install-recommends chromium` as root, or name another Chromium \
             in MILLRACE_CHROMIUM"
        );
    }
}

fn apt_get(arguments: &[&str]) -> bool {
    let mut plain = Command::new("apt-get");
    let mut by_sudo = Command::new("sudo");
    by_sudo.args(["-n", "--preserve-env=DEBIAN_FRONTEND", "apt-get"]);
    [&mut plain, &mut by_sudo].into_iter().any(|command| {
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}
