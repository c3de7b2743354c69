//! `millrace delete-users` against the twin of a running server.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::http;
use crate::server::{DevServer, millrace};

/// A configuration whose integration sends to this address.
fn config(folder: &Path, url: &str, more: &str) -> PathBuf {
    let path = folder.join("millrace.toml");
    let text = format!(
        r#"
[server]
admin_token = "admin"

[[pipelines]]
id = "shop"
write_keys = ["wk"]

[[integrations]]
id = "prod"
pipeline = "shop"
token = "dev-token"
url = "{url}"
blueprint = "rudderstack"
{more}
"#
    );
    fs::write(&path, text).unwrap();
    path
}

fn ids(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("ids.txt");
    fs::write(&path, text).unwrap();
    path
}

/// Runs the command; its exit code, the last line of its output, and its words to people.
fn run(ids: &Path, config: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let output = millrace()
        .arg("delete-users")
        .arg(ids)
        .arg("--config")
        .arg(config)
        .args(["--integration", "prod"])
        .args(more)
        .output()
        .unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), out.lines().last().unwrap_or_default().to_owned(), words)
}

fn fill(server: &DevServer) {
    let event =
        |user: &str| json!({"type": "track", "event": "E", "userId": user, "messageId": user});
    let named = |user: &str| json!({"type": "identify", "userId": user, "messageId": format!("i-{user}"), "traits": {"plan": "pro"}});
    let batch = json!({"batch": [event("u1"), event("u2"), event("u3"), named("u1"), named("u2"), named("u3")]});
    let mut connection = http::Connection::open(server.collector_url()).unwrap();
    let answer = connection.post("/v1/batch", server.write_key(), &batch.to_string()).unwrap();
    assert_eq!(answer.0, 200, "{answer:?}");
    server.drain(6);
}

fn summary(server: &DevServer) -> Value {
    http::get_json(&format!("{}/twin/v1/projects/1/summary", server.twin_url()), None)
}

#[test]
fn users_are_deleted_by_either_api() {
    let folder = tempfile::tempdir().unwrap();
    let server = DevServer::start();
    fill(&server);
    let before = summary(&server);
    assert_eq!((&before["events"], &before["profiles"]), (&json!(3), &json!(3)), "{before}");
    let token = "gdpr_api_token = \"dev-secret\"";
    let config = config(folder.path(), server.twin_url(), token);

    let one = ids(folder.path(), "u1\n\n");
    let (code, out, _) = run(&one, &config, &["--dry-run"]);
    assert_eq!(code, Some(0));
    assert_eq!(out, format!("would send 1 users to {}/engage", server.twin_url()));
    assert_eq!(summary(&server)["profiles"], 3);

    let (code, out, words) = run(&one, &config, &["--json"]);
    assert_eq!(code, Some(0), "{words}");
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        out,
        json!({"api": "engage", "users": 1, "not_taken": 0, "tasks": [], "error": null})
    );
    let after = summary(&server);
    assert_eq!((&after["events"], &after["profiles"]), (&json!(3), &json!(2)), "{after}");

    // An id that stands there twice is one user.
    let two = ids(folder.path(), "u2\r\nu3\nu2");
    let (code, out, words) = run(&two, &config, &["--api", "task", "--json"]);
    assert_eq!(code, Some(0), "{words}");
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&out["users"], out["tasks"].as_array().map(Vec::len)), (&json!(2), Some(1)));
    let after = summary(&server);
    assert_eq!((&after["events"], &after["profiles"]), (&json!(1), &json!(0)), "{after}");
}

#[test]
fn what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let server = DevServer::start();
    let good = ids(folder.path(), "u1\n");
    let plain = config(folder.path(), server.twin_url(), "");
    let (code, _, words) = run(&good, &plain, &["--api", "task"]);
    assert_eq!(code, Some(64));
    assert!(words.contains("privacy requests"), "{words}");
    let (code, ..) = run(&good, &plain, &["--api", "all"]);
    assert_eq!(code, Some(64));
    for bad in ["", "\n \n", &"x".repeat(300), &format!("{}\n", "x".repeat(256))] {
        let bad = ids(folder.path(), bad);
        assert_eq!(run(&bad, &plain, &[]).0, Some(64));
    }
    let good = ids(folder.path(), "u1\n");
    let wrong = config(folder.path(), server.twin_url(), "gdpr_api_token = \"wrong-one\"");
    let (code, out, words) = run(&good, &wrong, &["--api", "task", "--json"]);
    assert_eq!(code, Some(64), "{words}");
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&out["error"]["code"], &out["not_taken"]), (&json!("MR3010"), &json!(1)));
    assert!(!words.contains("wrong-one") && !words.contains("dev-token"), "{words}");
}

/// RudderStack's own settings choose the API when nothing else does.
#[test]
fn the_settings_of_the_blueprint_choose_the_api() {
    let folder = tempfile::tempdir().unwrap();
    let good = ids(folder.path(), "u1\n");
    let settings = "[integrations.settings]\nuserDeletionApi = \"task\"\ngdprApiToken = \"g1\"";
    let config = config(folder.path(), "https://mixpanel.example", settings);
    let (code, out, words) = run(&good, &config, &["--dry-run", "--json"]);
    assert_eq!(code, Some(0), "{words}");
    let out: Value = serde_json::from_str(&out).unwrap();
    let url = "https://mixpanel.example/api/app/data-deletions/v3.0/";
    assert_eq!(
        out,
        json!({"api": "task", "dry_run": true, "requests": [{"url": url, "users": 1}]})
    );
}
