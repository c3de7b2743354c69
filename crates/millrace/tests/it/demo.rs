//! `millrace demo --once --json`: the contract, the counts, and that a seed repeats.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use millrace::demo::traffic;
use millrace_model::time::{Clock as _, SystemClock};
use serde_json::Value;

use crate::http;
use crate::server::{DevServer, WRITE_KEY, millrace, shared_folder};

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
    let mut users = BTreeSet::new();
    let mut groups = BTreeSet::new();
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

#[test]
fn a_folder_of_events_is_a_usage_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = millrace()
        .args(["demo", "--once", "--json", "--events"])
        .arg(folder.path())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(64));
    assert!(output.stdout.is_empty());
}

#[test]
fn a_file_with_odd_lines_costs_those_lines_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("events.jsonl");
    let event = |name: &str| format!(r#"{{"type":"track","userId":"u","event":"{name}"}}"#);
    let mut text = format!("{}\r\n\r\n{{broken\r\n  \n", event("one")).into_bytes();
    // Not UTF-8: the collector puts the replacement character there.
    text.extend_from_slice(b"{\"type\":\"track\",\"userId\":\"u\",\"event\":\"\xff\"}\n");
    // Over the limit of one event, of one body, and of one line.
    for bytes in [3 << 20, 12 << 20] {
        text.extend_from_slice(event(&"x".repeat(bytes)).as_bytes());
        text.push(b'\n');
    }
    text.extend_from_slice(event("last, without a line end").as_bytes());
    std::fs::write(&file, text).expect("the file");

    let (code, ledger) = demo(&["--events", file.to_str().expect("a path")]);
    assert_eq!(code, Some(0), "{ledger}");
    assert_eq!(number(&ledger, "/delivered"), 3, "{ledger}");
    assert_eq!(number(&ledger, "/set_aside"), 1, "{ledger}");
    assert_eq!(number(&ledger, "/received"), 4, "{ledger}");
}

#[test]
fn an_empty_file_is_fine() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let (code, ledger) = demo(&["--events", file.path().to_str().expect("a path")]);
    assert_eq!(code, Some(0), "{ledger}");
    assert_eq!(number(&ledger, "/received"), 0, "{ledger}");
}

/// Asked to stop while a pipe may still say something: the folder goes, the ledger is printed, and
/// the exit code says that not everything was delivered.
#[test]
fn a_stop_in_the_middle_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("events");
    let temporary = folder.path().join("tmp");
    std::fs::create_dir(&temporary).expect("a folder");
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let mut child = millrace()
        .args(["demo", "--once", "--events"])
        .arg(&pipe)
        .env("TMPDIR", &temporary)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    // Opens when the other side has; stays open, so that the end of the file never comes.
    let _writer = std::fs::OpenOptions::new().write(true).open(&pipe).expect("the pipe");
    let mut stdout = BufReader::new(child.stdout.take().expect("standard output"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("the welcome");
    assert_eq!(std::fs::read_dir(&temporary).expect("the folder").count(), 1);

    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("the ledger");
    assert_eq!(child.wait().expect("it ends").code(), Some(75));
    assert!(rest.contains("Ledger"), "{rest}");
    assert_eq!(std::fs::read_dir(&temporary).expect("the folder").count(), 0);
}

/// The twin's sums, against the same sums over the events themselves.
#[test]
fn the_twin_adds_the_shop_up_as_its_events_do() {
    let server = DevServer::start();
    let events: Vec<String> = traffic::events(5, SystemClock::default().now()).collect();
    let mut connection = http::Connection::open(server.collector_url()).expect("a connection");
    for batch in events.chunks(500) {
        let body = format!(r#"{{"batch":[{}]}}"#, batch.join(","));
        let (status, answer) = connection.post("/v1/batch", WRITE_KEY, &body).expect("an answer");
        assert_eq!(status, 200, "{answer}");
    }
    server.drain(events.len() as u64);

    let mut seen = BTreeSet::new();
    let (mut users, mut groups) = (BTreeSet::new(), BTreeSet::new());
    let mut orders = 0;
    // In hundredths by currency: what was sold, what was paid back.
    let mut money: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for event in &events {
        let event: Value = serde_json::from_str(event).expect("JSON");
        let text =
            |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        if !seen.insert(text("messageId")) {
            continue;
        }
        users.insert(text("userId"));
        groups.insert(text("groupId"));
        let hundredths = |key: &str| {
            let amount = event.pointer(&format!("/properties/{key}")).and_then(Value::as_f64);
            (amount.expect("an amount") * 100.0).round() as i64
        };
        let currency = event.pointer("/properties/currency").and_then(Value::as_str);
        let sums = currency.map(|currency| money.entry(currency.to_owned()).or_default());
        match (text("event").as_str(), sums) {
            ("Order Completed", Some(sums)) => {
                sums.0 += hundredths("revenue");
                orders += 1;
            }
            ("Order Refunded", Some(sums)) => sums.1 += hundredths("total"),
            _ => {}
        }
    }
    for ids in [&mut users, &mut groups] {
        ids.remove("");
    }

    let summary = server.twin_get("/twin/v1/projects/1/summary");
    assert_eq!(number(&summary, "/by_event/Order Completed"), orders, "{summary:#}");
    assert_eq!(number(&summary, "/profiles"), users.len() as u64, "{summary:#}");
    assert_eq!(number(&summary, "/groups"), groups.len() as u64, "{summary:#}");
    for (currency, (sold, back)) in money {
        let shown = |key: &str| {
            let path = format!("/revenue/by_currency/{currency}/{key}");
            let sum = summary.pointer(&path).and_then(Value::as_f64);
            (sum.unwrap_or_else(|| panic!("{path} in {summary:#}")) * 100.0).round() as i64
        };
        assert_eq!((shown("total"), shown("refunds")), (sold - back, back), "{currency}");
    }
}
