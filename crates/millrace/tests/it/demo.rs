//! `millrace demo --once --json`: the contract, the counts, and that a seed repeats.

use serde_json::Value;

use crate::server::{millrace, shared_folder};

/// Runs the demo; gives its exit code and the last line of standard output.
fn demo(arguments: &[&str]) -> (Option<i32>, Value) {
    let output =
        millrace().args(["demo", "--once", "--json"]).args(arguments).output().expect("it runs");
    let stdout = String::from_utf8(output.stdout).expect("text");
    let last = stdout.lines().last().unwrap_or_else(|| {
        panic!("no output; standard error: {}", String::from_utf8_lossy(&output.stderr))
    });
    (output.status.code(), serde_json::from_str(last).expect("JSON in the last line"))
}

fn number(ledger: &Value, path: &str) -> u64 {
    ledger.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} in {ledger}"))
}

#[test]
fn the_sample_shop_is_delivered_and_a_seed_repeats_its_ledger() {
    let (code, ledger) = demo(&["--seed", "7"]);
    assert_eq!(code, Some(0), "{ledger}");
    assert_eq!(number(&ledger, "/unaccounted"), 0);
    assert_eq!(number(&ledger, "/pending"), 0);
    assert!(number(&ledger, "/received") > 2_000, "{ledger}");
    assert!(number(&ledger, "/duplicates") > 0, "{ledger}");
    assert!(number(&ledger, "/set_aside") > 0, "{ledger}");
    assert_eq!(number(&ledger, "/rejected"), 0, "{ledger}");
    assert!(number(&ledger, "/twin/profiles") > 0 && number(&ledger, "/twin/groups") > 0);
    let finals = ["delivered", "filtered", "duplicates", "set_aside", "rejected", "dead"];
    let sum: u64 = finals.iter().map(|column| number(&ledger, &format!("/{column}"))).sum();
    assert_eq!(sum, number(&ledger, "/received"), "{ledger}");

    assert_eq!(demo(&["--seed", "7"]).1, ledger, "the same seed gives the same ledger");
    assert_ne!(demo(&["--seed", "8"]).1, ledger, "another seed gives another");
}

#[test]
fn the_benchmark_events_are_all_accounted_for() {
    let Some(shared) = shared_folder() else { return };
    let file = shared.join("bench/events-10k.jsonl");
    let (code, ledger) = demo(&["--events", file.to_str().expect("a path")]);
    assert_eq!(code, Some(0), "{ledger}");
    for (path, expected) in [
        ("/received", 10_000),
        ("/delivered", 10_000),
        ("/filtered", 0),
        ("/duplicates", 0),
        ("/set_aside", 0),
        ("/rejected", 0),
        ("/dead", 0),
        ("/pending", 0),
        ("/unaccounted", 0),
        // 6,000 track, 2,000 page and 400 screen events, and a link event for each of the 1,000
        // identify calls and 300 aliases, which all carry a device.
        ("/twin/events", 9_700),
    ] {
        assert_eq!(number(&ledger, path), expected, "{path} in {ledger}");
    }

    // The profiles and groups, counted from the file itself: whoever was identified or put into a
    // group has a profile.
    let text = std::fs::read_to_string(&file).expect("the events");
    let mut users = std::collections::BTreeSet::new();
    let mut groups = std::collections::BTreeSet::new();
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let id = |key: &str| event.get(key).and_then(Value::as_str).map(str::to_owned);
        match event.get("type").and_then(Value::as_str) {
            Some("identify") => users.extend(id("userId")),
            Some("group") => {
                users.extend(id("userId"));
                groups.extend(id("groupId"));
            }
            _ => {}
        }
    }
    assert_eq!(number(&ledger, "/twin/profiles"), users.len() as u64);
    assert_eq!(number(&ledger, "/twin/groups"), groups.len() as u64);
}

#[test]
fn a_file_that_is_not_there_is_a_usage_error() {
    let output = millrace()
        .args(["demo", "--once", "--json", "--events", "no/such/file.jsonl"])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no/such/file.jsonl"));
}
