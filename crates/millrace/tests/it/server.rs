//! A running `millrace serve --dev`: the real binary in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use millrace_model::time::{Clock as _, SystemClock};
use serde_json::Value;

use crate::http;

/// The write key of `serve --dev`.
pub(crate) const WRITE_KEY: &str = "dev-write-key";
/// The admin token of `serve --dev`.
pub(crate) const ADMIN_TOKEN: &str = "dev-admin-token";

/// The process; killed when dropped.
#[derive(Debug)]
pub(crate) struct DevServer {
    child: Child,
    collector: String,
    management: String,
    twin: String,
    tls: String,
    authority: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

/// The binary under test.
pub(crate) fn millrace() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_millrace"));
    command.env_remove("MILLRACE_LOG").env("NO_COLOR", "1");
    command
}

impl DevServer {
    /// Starts with an empty folder that goes away with the server.
    pub(crate) fn start() -> DevServer {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut server = DevServer::start_in(folder.path());
        server._folder = Some(folder);
        server
    }

    /// Starts over a folder that stays.
    pub(crate) fn start_in(data: &Path) -> DevServer {
        let mut command = millrace();
        command
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--twin-listen", "127.0.0.1:0"])
            .arg("--data")
            .arg(data);
        DevServer::launch(command)
    }

    /// Starts with a collector that speaks TLS as well.
    pub(crate) fn start_with_tls() -> DevServer {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = millrace();
        command
            .args(["serve", "--dev", "--listen", "127.0.0.1:0", "--twin-listen", "127.0.0.1:0"])
            .args(["--tls-listen", "127.0.0.1:0", "--data"])
            .arg(folder.path());
        let mut server = DevServer::launch(command);
        server._folder = Some(folder);
        server
    }

    /// The base address of the collector over TLS, and the file to trust.
    pub(crate) fn tls(&self) -> (&str, &Path) {
        (&self.tls, &self.authority)
    }

    /// Starts with a configuration, whose admin token is [`ADMIN_TOKEN`].
    pub(crate) fn start_with(config: &Path) -> DevServer {
        let mut command = millrace();
        command.args(["serve", "--config"]).arg(config);
        DevServer::launch(command)
    }

    fn launch(mut command: Command) -> DevServer {
        let mut child =
            command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().expect("millrace starts");
        let stdout = child.stdout.take().expect("standard output");
        let (collector, management, twin) = (String::new(), String::new(), String::new());
        let (tls, authority) = (String::new(), PathBuf::new());
        let mut server =
            DevServer { child, collector, management, twin, tls, authority, _folder: None };
        let mut lines = BufReader::new(stdout).lines();
        while let Some(Ok(line)) = lines.next() {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("collector"), Some(url)) if url.starts_with("https:") => {
                    url.clone_into(&mut server.tls);
                }
                (Some("trust"), Some(path)) => server.authority = PathBuf::from(path),
                (Some("collector"), Some(url)) => url.clone_into(&mut server.collector),
                (Some("management"), Some(url)) => url.clone_into(&mut server.management),
                (Some("twin"), Some(url)) => url.clone_into(&mut server.twin),
                (Some("ready"), _) => return server,
                _ => {}
            }
        }
        panic!("millrace ended before it was ready");
    }

    /// The base address of the collector and the management API, such as `http://127.0.0.1:1234`.
    pub(crate) fn collector_url(&self) -> &str {
        &self.collector
    }

    /// The base address of the twin.
    pub(crate) fn twin_url(&self) -> &str {
        &self.twin
    }

    /// A line of the process's `/proc/PID/status`, in KiB, such as `VmRSS`.
    #[cfg(target_os = "linux")]
    pub(crate) fn memory(&self, line: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the process runs");
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let number = found.and_then(|text| text.split_whitespace().next());
        number.and_then(|text| text.parse().ok()).expect("a number of KiB")
    }

    /// An address of the management API.
    pub(crate) fn management_url(&self, path: &str) -> String {
        format!("{}{path}", self.management)
    }

    /// What the management API says.
    pub(crate) fn manage(&self, path: &str) -> Value {
        http::get_json(&self.management_url(path), Some(ADMIN_TOKEN))
    }

    /// The write key of the pipeline `dev`.
    pub(crate) fn write_key(&self) -> &'static str {
        WRITE_KEY
    }

    /// Kills the process as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the process can be killed");
        self.child.wait().expect("the process ends");
    }

    /// Asks the process to stop (SIGTERM) and gives its exit code.
    pub(crate) fn terminate(mut self) -> Option<i32> {
        self.ask_to_stop();
        self.child.wait().expect("the process ends").code()
    }

    /// Asks the process to stop (SIGTERM), and waits for nothing.
    pub(crate) fn ask_to_stop(&self) {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
    }

    /// The sums of the one integration of `serve --dev`. They add up, whenever one looks.
    pub(crate) fn ledger(&self) -> Value {
        let url = format!("{}/api/v1/ledger", self.management);
        let ledger = http::get_json(&url, Some(ADMIN_TOKEN));
        assert_eq!(ledger.pointer("/ledger/0/unaccounted"), Some(&Value::from(0)), "{ledger:#}");
        ledger.pointer("/ledger/0/sums").cloned().expect("an integration in the ledger")
    }

    /// Waits until this many items were received and none is open; gives the ledger.
    pub(crate) fn drain(&self, received: u64) -> Value {
        let clock = SystemClock::default();
        loop {
            let ledger = self.ledger();
            if tally(&ledger, "received") >= received && tally(&ledger, "pending") == 0 {
                return ledger;
            }
            assert!(clock.elapsed() < Duration::from_secs(180), "not drained: {ledger:#}");
            // Polling another process: there is nothing here to wait on.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A view of the twin.
    pub(crate) fn twin_get(&self, path: &str) -> Value {
        http::get_json(&format!("{}{path}", self.twin), None)
    }
}

impl Drop for DevServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The events of one column of a ledger.
pub(crate) fn tally(ledger: &Value, column: &str) -> u64 {
    ledger.pointer(&format!("/{column}/events")).and_then(Value::as_u64).expect("a column")
}

/// The folder with recorded requests and benchmark events; see `docs/testing.md`.
pub(crate) fn shared_folder() -> Option<PathBuf> {
    let folder = std::env::var_os("MILLRACE_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{} is missing, and CI=true",
        folder.display()
    );
    println!("passing without a look: {} is missing", folder.display());
    None
}
