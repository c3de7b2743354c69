//! New settings of a running process: a key is revoked by writing the file, and a file with mistakes
//! changes nothing.

use std::path::Path;
use std::time::Duration;

use millrace_model::time::{Clock as _, SystemClock};
use serde_json::Value;

use crate::http;
use crate::server::{ADMIN_TOKEN, DevServer, tally};

const CONFIG: &str = r#"
data_dir = "data"

[server]
collect = "127.0.0.1:0"
manage = "127.0.0.1:0"
admin_token = "dev-admin-token"

[[pipelines]]
id = "shop"
write_keys = [{ key = "first-key", name = "old" }]

[[integrations]]
id = "twin"
pipeline = "shop"
token = "t"
region = "twin"

[twin]
listen = "127.0.0.1:0"

[[twin.projects]]
id = 1
token = "t"
"#;

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("the configuration is written");
}

/// Waits until `GET /api/v1/pipelines` is as wanted.
fn until(server: &DevServer, wanted: impl Fn(&Value) -> bool) -> Value {
    let clock = SystemClock::default();
    loop {
        let shown = server.manage("/api/v1/pipelines");
        if wanted(&shown) {
            return shown;
        }
        assert!(clock.elapsed() < Duration::from_secs(60), "{shown:#}");
        std::thread::yield_now();
    }
}

fn post(server: &DevServer, key: &str, number: u32) -> u16 {
    let mut connection = http::Connection::open(server.collector_url()).expect("a connection");
    let event = format!(r#"{{"userId":"u","event":"e","messageId":"m-{number}"}}"#);
    connection.post("/v1/track", key, &event).expect("an answer").0
}

#[test]
fn a_key_is_revoked_and_another_let_in_while_the_process_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("millrace.toml");
    write(&path, CONFIG);
    let server = DevServer::start_with(&path);
    assert_eq!((post(&server, "first-key", 1), post(&server, "second-key", 2)), (200, 401));

    let rotated = CONFIG.replace(
        "{ key = \"first-key\", name = \"old\" }",
        "{ key = \"first-key\", name = \"old\", revoked = true }, \"second-key\"",
    );
    write(&path, &rotated);
    let key = |shown: &Value, place: usize, member: &str| {
        shown.pointer(&format!("/pipelines/0/keys/{place}/{member}")).cloned().unwrap_or_default()
    };
    let shown = until(&server, |shown| key(shown, 0, "state") == "revoked");
    assert_eq!((key(&shown, 0, "key"), key(&shown, 0, "name")), ("****-key".into(), "old".into()));
    assert_eq!(key(&shown, 1, "state"), "active");
    assert!(!shown.to_string().contains("first-key"), "{shown:#}");
    assert_eq!((post(&server, "first-key", 3), post(&server, "second-key", 4)), (200, 200));
    let ledger = server.drain(3);
    assert_eq!((tally(&ledger, "delivered"), tally(&ledger, "set_aside")), (2, 1), "{ledger:#}");

    // A mistake: what held goes on.
    write(&path, &rotated.replace("[server]", "[sever]"));
    let shown = until(&server, |shown| shown["configuration"]["mistakes"] != Value::Array(vec![]));
    let mistakes = shown["configuration"]["mistakes"].to_string();
    assert!(mistakes.contains("millrace.toml:4:") && mistakes.contains("MR5003"), "{mistakes}");
    assert_eq!((post(&server, "second-key", 5), post(&server, "third-key", 6)), (200, 401));

    // What needs a restart is named, and the rest holds.
    let more = rotated
        .replace("\"second-key\"", "\"third-key\"")
        .replace("[server]", "[limits]\ndepth = 9\n\n[server]");
    write(&path, &more);
    let shown = until(&server, |shown| {
        key(shown, 1, "key") == "****-key"
            && shown["configuration"]["mistakes"] == Value::Array(vec![])
    });
    assert_eq!(shown["configuration"]["needs_restart"], serde_json::json!(["limits"]));
    assert_eq!((post(&server, "second-key", 7), post(&server, "third-key", 8)), (401, 200));

    let (status, metrics) = http::get_bearer(&server.management_url("/metrics"), ADMIN_TOKEN);
    assert_eq!(status, 200);
    assert!(
        metrics.contains("millrace_refusals_total{pipeline=\"\",code=\"MR1002\"} 3"),
        "{metrics}"
    );
    assert!(
        metrics.contains("millrace_collector_requests_total{protocol=\"spec\"} 8"),
        "{metrics}"
    );
}

#[test]
fn a_quota_goes_on_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("millrace.toml");
    let limited = "write_keys = [\"first-key\"]\nlimits = { events_per_day = 2 }";
    write(
        &path,
        &CONFIG.replace("write_keys = [{ key = \"first-key\", name = \"old\" }]", limited),
    );
    let server = DevServer::start_with(&path);
    assert_eq!((post(&server, "first-key", 1), post(&server, "first-key", 2)), (200, 200));
    assert_eq!(post(&server, "first-key", 3), 429);
    assert_eq!(server.terminate(), Some(0));
    let kept = std::fs::read_to_string(folder.path().join("data/quotas.json")).expect("a file");
    assert!(!kept.contains("first-key"), "{kept}");
    let server = DevServer::start_with(&path);
    // At midnight UTC a new day would begin: then the file says another day.
    let today = SystemClock::default().now().0.div_euclid(86_400_000);
    if kept.contains(&format!("\"day\":{today}")) {
        assert_eq!(post(&server, "first-key", 4), 429);
    }
}
