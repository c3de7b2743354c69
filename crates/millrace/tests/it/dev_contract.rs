//! `serve --dev` as DESIGN section 8 promises it, word by word: scripts rely on these values.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use millrace_model::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::http::{Connection, get_json};
use crate::server::{DevServer, millrace, tally};
use crate::ways_in::signature;

const FREE: [&str; 6] =
    ["serve", "--dev", "--listen", "127.0.0.1:0", "--twin-listen", "127.0.0.1:0"];

/// Killed when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first words of the lines up to `ready`, and what stands behind them.
fn first_lines(more: &[&str]) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = millrace();
    command.args(FREE).args(more).arg("--data").arg(folder.path().join("data"));
    let child = command.stdout(Stdio::piped()).spawn().expect("millrace starts");
    let mut process = Process(child);
    let lines = BufReader::new(process.0.stdout.take().expect("standard output")).lines();
    let mut found = Vec::new();
    for line in lines {
        let line = line.expect("text");
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        found.push((word.to_owned(), rest.trim().to_owned()));
        if word == "ready" {
            break;
        }
    }
    found
}

#[test]
fn the_first_lines_are_the_addresses_and_then_ready() {
    let lines = first_lines(&[]);
    let words: Vec<&str> = lines.iter().map(|(word, _)| word.as_str()).collect();
    assert_eq!(words, ["collector", "management", "twin", "ready"]);
    for (word, address) in lines.iter().take(3) {
        assert!(address.starts_with("http://127.0.0.1:"), "{word} {address}");
    }
    assert_eq!(lines[0].1, lines[1].1, "collector and management share an address");

    let lines = first_lines(&["--tls-listen", "127.0.0.1:0"]);
    let words: Vec<&str> = lines.iter().map(|(word, _)| word.as_str()).collect();
    assert_eq!(words, ["collector", "management", "collector", "trust", "twin", "ready"]);
    assert!(lines[2].1.starts_with("https://127.0.0.1:"), "{lines:?}");
    assert!(lines[3].1.ends_with("tls/ca.pem"), "{lines:?}");
}

#[test]
fn only_loopback_is_listened_on() {
    for option in ["--listen", "--twin-listen", "--tls-listen"] {
        for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
            let output = millrace().args(["serve", "--dev", option, address]).output().unwrap();
            let error = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(64), "{option} {address}: {error}");
            assert!(error.contains("MR5004") && error.contains(option), "{error}");
            assert!(output.stdout.is_empty(), "nothing was listened on");
        }
    }
}

/// Sends a request and wants this status.
fn send(
    server: &DevServer,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
    status: u16,
) -> String {
    let mut connection = Connection::open(server.collector_url()).unwrap();
    let (got, answer) = connection.send("POST", path, headers, Some(body)).unwrap();
    assert_eq!(got, status, "{path}: {answer}");
    answer
}

#[test]
fn every_way_in_has_the_promised_key() {
    let server = DevServer::start();
    let track = r#"{"type":"track","event":"Segment","userId":"u1"}"#;
    let key = format!("Basic {}", STANDARD.encode("dev-write-key:"));
    send(&server, "/v1/track", &[("Authorization", &key)], track, 200);
    let bearer = [("Authorization", "Bearer dev-write-key")];
    send(&server, "/v1/t", &bearer, track, 200);

    let millis = SystemClock::default().now().0.to_string();
    let signed = r#"{"type":"track","event":"Signed","userId":"u1"}"#;
    for (secret, status) in [("dev-secret", 200), ("another", 401)] {
        let mac = format!("sha256={}", signature(secret, &millis, signed));
        let headers = [("X-Timestamp", millis.as_str()), ("X-Signature", mac.as_str())];
        send(&server, "/v1/events", &headers, signed, status);
    }

    let upload = r#"{"events":[{"type":"track","event":"Syft","userId":"u1"}]}"#;
    assert_eq!(send(&server, "/api/syft", &[], upload, 200), "{}");

    let mixpanel = |token: &str| {
        json!([{"event": "Proxied", "properties": {"token": token, "distinct_id": "u1",
            "time": SystemClock::default().now().0 / 1000, "$insert_id": "p-1"}}])
        .to_string()
    };
    let json_body = [("Content-Type", "application/json")];
    send(&server, "/track", &json_body, &mixpanel("dev-token"), 200);
    send(&server, "/track", &json_body, &mixpanel("another"), 401);
    for user in ["dev-token:", "dev-secret:", "dev.sa:dev-secret"] {
        let proof = format!("Basic {}", STANDARD.encode(user));
        let headers = [("Content-Type", "application/json"), ("Authorization", proof.as_str())];
        let path = "/import?strict=1&project_id=1";
        let body = mixpanel("dev-token").replace("p-1", &format!("i-{}", user.len()));
        send(&server, path, &headers, &body, 200);
    }

    let xdm = r#"{"events":[{"xdm":{"eventType":"edge","identityMap":{"ECID":[{"id":"1"}]}}}]}"#;
    let answer = send(&server, "/ee/v1/interact?configId=dev", &json_body, xdm, 200);
    assert!(answer.contains("kndctr_dev_AdobeOrg_identity"), "of dev@AdobeOrg: {answer}");
    send(&server, "/ee/v1/interact?configId=other", &json_body, xdm, 400);

    let ledger = server.drain(9);
    assert_eq!(tally(&ledger, "received"), 9, "{ledger:#}");
    assert_eq!(tally(&ledger, "delivered"), 9, "{ledger:#}");
}

#[test]
fn the_twin_has_project_dev_with_its_keys_and_groups() {
    let server = DevServer::start();
    let project = server.twin_get("/twin/v1/projects/1/summary");
    assert!(project.is_object(), "{project:#}");
    let mut twin = Connection::open(server.twin_url()).unwrap();
    let event = json!([{"event": "Direct", "properties": {"distinct_id": "u1", "$insert_id": "d-1",
        "time": SystemClock::default().now().0}}])
    .to_string();
    for (user, project, status) in [
        ("dev-token:", "", 200),
        ("dev-secret:", "", 200),
        ("dev.sa:dev-secret", "&project_id=1", 200),
        ("dev.sa:wrong", "&project_id=1", 401),
    ] {
        let proof = format!("Basic {}", STANDARD.encode(user));
        let headers = [("Content-Type", "application/json"), ("Authorization", proof.as_str())];
        let path = format!("/import?strict=1{project}");
        let (got, answer) = twin.send("POST", &path, &headers, Some(&event)).unwrap();
        assert_eq!(got, status, "{user}: {answer}");
    }
    let mut connection = Connection::open(server.collector_url()).unwrap();
    let group = r#"{"type":"group","userId":"u1","groupId":"acme","traits":{"plan":"pro"}}"#;
    assert_eq!(connection.post("/v1/group", server.write_key(), group).unwrap().0, 200);
    server.drain(1);
    for key in ["company_id", "$group_id"] {
        let update =
            json!([{"$token": "dev-token", "$group_key": key, "$group_id": "g", "$set": {"a": 1}}])
                .to_string();
        let headers = [("Content-Type", "application/json")];
        let (status, answer) =
            twin.send("POST", "/groups?verbose=1", &headers, Some(&update)).unwrap();
        assert_eq!(status, 200, "{answer}");
    }
    let summary = server.twin_get("/twin/v1/projects/1/summary");
    assert!(summary["groups"].as_u64() >= Some(2), "{summary:#}");
}

#[test]
fn the_management_api_asks_for_the_admin_token() {
    let server = DevServer::start();
    let mut connection = Connection::open(server.collector_url()).unwrap();
    let (status, _) = connection.send("GET", "/api/v1/ledger", &[], None).unwrap();
    assert_eq!(status, 401);
    let url = server.management_url("/api/v1/pipelines");
    let pipelines: Value = get_json(&url, Some("dev-admin-token"));
    assert_eq!(pipelines["pipelines"][0]["id"], "dev", "{pipelines:#}");
    let ledger = get_json(&server.management_url("/api/v1/ledger"), Some("dev-admin-token"));
    assert_eq!(ledger["ledger"][0]["integration"], "dev", "{ledger:#}");
}
