//! The commands of the README and the quick start, run as they stand.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::server::{DevServer, millrace, tally};

/// The lines of all `sh` blocks of a page that begin with this word.
fn commands(page: &str, word: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page);
    let text = std::fs::read_to_string(path).expect("the page");
    let text = text.replace("\\\n", " ");
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).filter(|line| line.starts_with(word)).map(str::to_owned).collect()
}

/// Runs a command line with the usual addresses replaced by those of the server.
fn run(command: &str, server: &DevServer) -> String {
    let command = command
        .replace("http://127.0.0.1:8080", server.collector_url())
        .replace("http://127.0.0.1:8081", server.twin_url())
        .replace("curl ", "curl -sS --fail-with-body ");
    let output = Command::new("sh").args(["-c", &command]).output().expect("sh");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command}\n{text}");
    text
}

#[test]
fn the_quick_start_gives_what_it_says() {
    let server = DevServer::start();
    let curls = commands("docs/quick-start.md", "curl");
    let (sends, looks) = curls.split_at(3);
    for send in sends {
        assert_eq!(run(send, &server), r#"{"success":true}"#, "{send}");
    }
    server.drain(3);
    let person: Value = serde_json::from_str(&run(&looks[0], &server)).expect("JSON");
    assert_eq!(person["distinct_id"], "maya", "{person:#}");
    assert_eq!(person["profile"]["$email"], "maya@shop.example", "{person:#}");
    assert_eq!(person["profile"]["$first_name"], "Maya", "{person:#}");
    let names: Vec<&str> = person["activity"]
        .as_array()
        .expect("activity")
        .iter()
        .filter_map(|event| event["event"].as_str())
        .collect();
    assert!(names.contains(&"Product Viewed"), "before the sign-up: {names:?}");
    let ledger: Value = serde_json::from_str(&run(&looks[1], &server)).expect("JSON");
    assert_eq!(tally(&ledger["ledger"][0]["sums"], "delivered"), 3);
    assert_eq!(ledger["ledger"][0]["unaccounted"], 0);
}

#[test]
fn the_readme_sends_an_event_of_your_own() {
    let server = DevServer::start();
    let curls = commands("README.md", "curl");
    assert_eq!(curls.len(), 1);
    assert_eq!(run(&curls[0], &server), r#"{"success":true}"#);
    server.drain(1);
    let person = server.twin_get("/twin/v1/projects/1/users/me");
    assert_eq!(person["activity"][0]["event"], "Hello", "{person:#}");
}

#[test]
fn the_configuration_of_the_quick_start_has_no_mistakes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/quick-start.md");
    let text = std::fs::read_to_string(path).expect("the page");
    let config = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("millrace.toml");
    std::fs::write(&file, config.expect("a configuration")).expect("written");
    let output = millrace()
        .args(["check", "--config"])
        .arg(&file)
        .env("MILLRACE_ADMIN_TOKEN", "a")
        .env("SHOP_WRITE_KEY", "b")
        .env("MIXPANEL_TOKEN", "c")
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
