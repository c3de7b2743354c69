//! Unmodified SDKs, with the retries that they come with, against a collector in trouble.
//!
//! Every good event must arrive, in a number of requests that shows that nothing loops.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helper functions of tests"
)]

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use millrace_model::intake::AdmitError;
use serde_json::Value;

use crate::packages::{npm_packages, python_packages};
use crate::stressed_collector::{KEY, StressedCollector as Collector, trouble};

/// Enough for several batches of ten.
const EVENTS: usize = 40;

/// The command that sends with an SDK to a collector, by its address and a write key.
type Driver = fn(&str, &str) -> Command;

/// The SDKs, each with its name.
fn sdks() -> [(&'static str, Driver); 4] {
    fn node(sdk: &str, url: &str, key: &str) -> Command {
        let mut command = Command::new("node");
        command.arg(npm_packages("sdk/node").join("stress.mjs")).args([sdk, url, key]);
        command
    }
    fn python(sdk: &str, url: &str, key: &str) -> Command {
        let folder = python_packages();
        let mut command = Command::new("python3");
        command
            .arg(folder.join("stress_driver.py"))
            .args([sdk, url, key])
            .env("PYTHONPATH", folder.join("packages"));
        command
    }
    [
        ("segment", |url, key| node("segment", url, key)),
        ("rudder", |url, key| node("rudder", url, key)),
        ("segment", |url, key| python("segment", url, key)),
        ("rudder", |url, key| python("rudder", url, key)),
    ]
}

/// Runs one SDK to its end; gives the errors that it reported.
fn send(mut command: Command) -> Vec<Value> {
    let output = command
        .arg(EVENTS.to_string())
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .stdin(Stdio::null())
        .output()
        .expect("the driver starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    let line = output.stdout.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
    let report: Value = line
        .and_then(|line| serde_json::from_slice(line).ok())
        .unwrap_or_else(|| panic!("{}: {errors}", output.status));
    report["errors"].as_array().expect("errors").clone()
}

/// Runs all SDKs side by side, each against a collector of its own.
fn each_sdk(refusals: &[AdmitError], key: &str, check: impl Fn(&str, &Collector, &[Value]) + Sync) {
    std::thread::scope(|scope| {
        for (place, (sdk, command)) in sdks().into_iter().enumerate() {
            let check = &check;
            scope.spawn(move || {
                let collector = Collector::start(refusals, None);
                let errors = send(command(&collector.url(), key));
                let name = format!("{sdk} {}", if place < 2 { "node" } else { "python" });
                check(&name, &collector, &errors);
            });
        }
    });
}

fn everything_good_arrived(name: &str, collector: &Collector, most_requests: usize) {
    let (events, aside) = collector.stored();
    let ids: BTreeSet<&str> = events.iter().map(|event| event.facts.message_id.as_str()).collect();
    assert_eq!(ids.len(), EVENTS - 1, "{name}: {ids:?}");
    assert!(aside >= 1, "{name}: the large event was not set aside");
    let requests = collector.asked().len();
    assert!(requests <= most_requests, "{name}: {requests} requests");
}

/// One large event costs itself: its batch is answered 200 and nothing is sent again.
#[test]
fn a_bad_event_in_a_batch_costs_itself_with_every_sdk() {
    each_sdk(&[], KEY, |name, collector, errors| {
        assert!(errors.is_empty(), "{name}: {errors:?}");
        everything_good_arrived(name, collector, EVENTS / 10 + 4);
        assert_eq!(collector.stored().1, 1, "{name}");
    });
}

#[test]
fn nothing_good_is_lost_under_overload_or_with_a_full_disk() {
    each_sdk(&trouble(), KEY, |name, collector, errors| {
        assert!(errors.is_empty(), "{name}: {errors:?}");
        // The requests without trouble, one more for each refusal, and room for other batching.
        everything_good_arrived(name, collector, EVENTS / 10 + 4 + 3);
    });
}

/// A wrong key is the operator's mistake: the SDK gives its batches up, one request each.
#[test]
fn a_wrong_key_is_reported_and_nothing_loops() {
    each_sdk(&[], "another-key", |name, collector, errors| {
        assert!(!errors.is_empty(), "{name}: no error was reported");
        assert!(collector.stored().0.is_empty(), "{name}");
        let requests = collector.asked().len();
        assert!(requests <= EVENTS / 10 + 4, "{name}: {requests} requests");
    });
}
