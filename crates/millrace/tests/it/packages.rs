//! Packages that tests need, installed once into the target folder by the package clients.

#![expect(clippy::expect_used, clippy::panic, reason = "helper functions of tests")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A copy of a folder of `tests` that has a `package.json`, with its packages installed.
pub(crate) fn npm_packages(name: &str) -> PathBuf {
    npm_packages_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name), name)
}

/// The same for a folder elsewhere; the copy has this name.
pub(crate) fn npm_packages_of(source: &Path, name: &str) -> PathBuf {
    installed_of(source, name, &["package.json", "package-lock.json"], |folder| {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(folder);
        run(npm, "npm, which comes with Node 20 or newer");
    })
}

/// A copy of `tests/sdk/python`, with its packages in the folder `packages`.
pub(crate) fn python_packages() -> PathBuf {
    installed("sdk/python", &["requirements.txt"], |folder| {
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
            "--upgrade",
        ])
        .args(["--target", "packages", "-r", "requirements.txt"])
        .current_dir(folder);
        run(pip, "Python 3 with pip");
    })
}

/// A copy of a folder of drivers under the target folder, with their packages beside it.
///
/// Installs only when one of the `pinned` files has changed since. Tests that run at the same time,
/// in this process or another, wait for each other.
pub(crate) fn installed(name: &str, pinned: &[&str], install: impl Fn(&Path)) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    installed_of(&source, name, pinned, install)
}

fn installed_of(source: &Path, name: &str, pinned: &[&str], install: impl Fn(&Path)) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).expect("a folder under target");
    let turn = File::create(folder.join("turn.lock")).expect("a lock file");
    turn.lock().expect("our turn");

    copy(source, &folder);
    let read = |name: &&str| fs::read(source.join(name)).expect("a pinned file");
    let wanted: Vec<u8> = pinned.iter().flat_map(read).collect();
    let stamp = folder.join("installed.stamp");
    if fs::read(&stamp).ok().as_ref() != Some(&wanted) {
        let _ = fs::remove_file(&stamp);
        install(&folder);
        fs::write(&stamp, wanted).expect("the stamp");
    }
    folder
}

/// Runs an installation to its end.
pub(crate) fn run(mut command: Command, needed: &str) {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}: this test needs {needed}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} failed: {}{said}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// Copies what differs: a driver of another test may be reading the rest.
fn copy(source: &Path, folder: &Path) {
    for entry in fs::read_dir(source).expect("the drivers") {
        let file = entry.expect("a driver").path();
        let name = file.file_name().expect("a name");
        let copied = folder.join(name);
        if name == "node_modules" || name == "dist" {
            continue;
        }
        if file.is_dir() {
            fs::create_dir_all(&copied).expect("a folder under target");
            copy(&file, &copied);
            continue;
        }
        let wanted = fs::read(&file).expect("a driver can be read");
        if fs::read(&copied).ok().as_ref() != Some(&wanted) {
            fs::write(&copied, wanted).expect("a copy of the driver");
        }
    }
}
