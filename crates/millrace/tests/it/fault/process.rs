//! A running `millrace serve --config`, and the load that is put on it.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use millrace_model::time::{Clock as _, SystemClock};
use serde_json::Value;

use super::destination::Destination;
use crate::http;
use crate::server::{millrace, tally};

const ADMIN_TOKEN: &str = "admin-of-the-fault-tests";
pub(crate) const WRITE_KEY: &str = "write-key-of-the-fault-tests";
pub(crate) const PROJECT_TOKEN: &str = "project-token-of-the-fault-tests";

/// The process; killed when dropped. What it says on standard error goes to `errors` beside the
/// configuration.
pub(crate) struct Server {
    child: Child,
    pub(crate) collector: String,
    management: String,
}

/// Writes a configuration with small segments; its path.
pub(crate) fn configure(folder: &Path, data: &Path, destination: &str) -> PathBuf {
    let path = folder.join("millrace.toml");
    let text = format!(
        r#"data_dir = "{data}"
[server]
collect = "127.0.0.1:0"
manage = "127.0.0.1:0"
admin_token = "{ADMIN_TOKEN}"
[log]
segment = "1MiB"
reserve = "1MiB"
[[pipelines]]
id = "shop"
write_keys = ["{WRITE_KEY}"]
[[integrations]]
id = "mixpanel"
pipeline = "shop"
token = "{PROJECT_TOKEN}"
url = "{destination}"
gzip = false
"#,
        data = data.display()
    );
    std::fs::write(&path, text).expect("a configuration");
    path
}

impl Server {
    /// Starts and waits until it is ready.
    pub(crate) fn start(config: &Path) -> Server {
        let mut server = Server::spawn(config);
        assert!(server.wait_until_ready(), "millrace ended before it was ready");
        server
    }

    /// Starts and does not wait.
    pub(crate) fn spawn(config: &Path) -> Server {
        let errors = std::fs::File::options()
            .create(true)
            .append(true)
            .open(config.with_file_name("errors"))
            .expect("a file for errors");
        let child = millrace()
            .args(["serve", "--config"])
            .arg(config)
            .env("MILLRACE_LOG", "debug")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .expect("millrace starts");
        Server { child, collector: String::new(), management: String::new() }
    }

    /// Reads the addresses; false when the process has ended before it said `ready`.
    pub(crate) fn wait_until_ready(&mut self) -> bool {
        let stdout = self.child.stdout.take().expect("standard output");
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("collector"), Some(url)) => url.clone_into(&mut self.collector),
                (Some("management"), Some(url)) => url.clone_into(&mut self.management),
                (Some("ready"), _) => return true,
                _ => {}
            }
        }
        false
    }

    pub(crate) fn manage(&self, path: &str) -> Value {
        http::get_json(&format!("{}{path}", self.management), Some(ADMIN_TOKEN))
    }

    /// The sums of the integration.
    pub(crate) fn sums(&self) -> Value {
        let ledger = self.manage("/api/v1/ledger");
        assert_eq!(ledger.pointer("/ledger/0/unaccounted"), Some(&Value::from(0)), "{ledger:#}");
        ledger.pointer("/ledger/0/sums").cloned().expect("an integration in the ledger")
    }

    /// Waits until what is shown is as wanted.
    pub(crate) fn until(&self, wanted: impl Fn(&Server) -> bool) {
        let clock = SystemClock::default();
        while !wanted(self) {
            assert!(
                clock.elapsed() < Duration::from_secs(120),
                "{:#} {:#}",
                self.sums(),
                self.manage("/api/v1/integrations")
            );
            // Polling another process: there is nothing here to wait on.
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until so many events are in and none is open.
    pub(crate) fn drain(&self, received: u64) -> Value {
        self.until(|server| {
            let sums = server.sums();
            tally(&sums, "received") >= received && tally(&sums, "pending") == 0
        });
        self.sums()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A batch of numbered events; user `n % users`.
pub(crate) fn batch(numbers: std::ops::Range<u64>, users: u64) -> String {
    let now = SystemClock::default().now();
    let events: Vec<String> = numbers
        .map(|n| {
            let user = n % users;
            format!(
                r#"{{"type":"track","messageId":"fault-{n}","userId":"user-{user}","event":"Step","timestamp":"{now}","properties":{{"n":{n}}}}}"#
            )
        })
        .collect();
    format!(r#"{{"batch":[{}]}}"#, events.join(","))
}

/// Checks what a destination has taken against the ledger: every event of `wanted` is there, under
/// one insert id, doubled only as often as the ledger says, and each user's in order.
pub(crate) fn compare(destination: &Destination, wanted: &HashSet<u64>, sums: &Value) {
    let mut copies: HashMap<u64, u64> = HashMap::new();
    let mut ids: HashMap<u64, String> = HashMap::new();
    let mut last: HashMap<String, u64> = HashMap::new();
    for (user, number, insert_id) in destination.taken() {
        let first = ids.entry(number).or_insert_with(|| insert_id.clone());
        assert_eq!(*first, insert_id, "event {number} came under two insert ids");
        let count = copies.entry(number).or_default();
        *count += 1;
        if *count == 1 {
            let before = last.insert(user.clone(), number);
            assert!(
                before.is_none_or(|before| before < number),
                "{user}: {before:?} then {number}"
            );
        }
    }
    let taken: HashSet<u64> = copies.keys().copied().collect();
    let missing: Vec<_> = wanted.difference(&taken).take(5).collect();
    assert!(missing.is_empty(), "not taken: {missing:?}");
    let doubled = copies.values().filter(|count| **count > 1).count() as u64;
    let resent = sums.get("resent").and_then(Value::as_u64).expect("resent");
    assert!(doubled <= resent, "{doubled} events doubled, the ledger says {resent}");
}
