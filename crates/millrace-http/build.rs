//! Builds the browser collector (`collector-js`) into the output folder when Node is there.
//!
//! It never fails the build: without Node 20 or without a way to the packages the file is empty, the
//! binary answers `/d.js` with MR1030, and a warning says why. Nothing is written outside the output
//! folder.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io};

/// What the build of the script needs.
const SOURCES: [&str; 4] = ["package.json", "package-lock.json", "build.mjs", "src"];

fn main() {
    println!("cargo:rerun-if-env-changed=MILLRACE_COLLECTOR_JS");
    println!("cargo:rerun-if-changed=build.rs");
    let folder = |name: &str| PathBuf::from(env::var_os(name).unwrap_or_default());
    let (source, out) =
        (folder("CARGO_MANIFEST_DIR").join("../../collector-js"), folder("OUT_DIR"));
    for name in SOURCES {
        println!("cargo:rerun-if-changed={}", source.join(name).display());
    }
    let script = out.join("collector.js");
    let built = if env::var_os("MILLRACE_COLLECTOR_JS") == Some(OsString::from("skip")) {
        Err("MILLRACE_COLLECTOR_JS=skip".to_owned())
    } else {
        build(&source, &out.join("collector-js"), &script)
    };
    if let Err(reason) = built {
        println!("cargo:warning=the browser collector is not in this build: {reason}");
        println!("cargo:warning=it needs Node 20 or newer with npm (docs/errors/MR1030.md)");
        println!("cargo:rerun-if-env-changed=PATH");
        if let Err(error) = fs::write(&script, "") {
            println!("cargo:warning={} cannot be written: {error}", script.display());
        }
    }
}

fn build(source: &Path, work: &Path, script: &Path) -> Result<(), String> {
    let version = output(Command::new("node").arg("--version"), "node")?;
    let major = version.trim().trim_start_matches('v').split('.').next().unwrap_or_default();
    if major.parse::<u32>().unwrap_or_default() < 20 {
        return Err(format!("node {} is too old", version.trim()));
    }
    let failed = |error: io::Error| format!("a file could not be copied: {error}");
    let before = fs::read(work.join("package-lock.json")).ok();
    for name in SOURCES {
        copy(&source.join(name), &work.join(name)).map_err(failed)?;
    }
    let lock = fs::read(work.join("package-lock.json")).map_err(failed)?;
    if before.as_ref() != Some(&lock) || !work.join("node_modules/esbuild").exists() {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]);
        npm.args(["--prefer-offline", "--fetch-retries=1", "--fetch-timeout=20000"]);
        if let Err(reason) = output(npm.current_dir(work), "npm ci") {
            // The same attempt may work the next time, whatever has changed.
            println!("cargo:rerun-if-changed={}", work.join("node_modules/esbuild").display());
            let _ = fs::remove_file(work.join("package-lock.json"));
            return Err(reason);
        }
    }
    output(Command::new("node").arg("build.mjs").arg("dist").current_dir(work), "esbuild")?;
    copy(&work.join("dist/collector.js"), script).map_err(failed)
}

/// Runs a command; gives what it printed, or the end of what it complained about.
fn output(command: &mut Command, name: &str) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{name} cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.contains("error")).unwrap_or("it says nothing");
    Err(format!("{name} failed: {}", line.trim()))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        return fs::copy(from, to).map(|_| ());
    }
    // What was there before may have other files.
    let _ = fs::remove_dir_all(to);
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}
