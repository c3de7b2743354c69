//! What was set aside, by the command line against a running server: listed, shown, traced, fed in
//! again, and still there after kill -9.

use serde_json::Value;

use crate::http::{Connection, get_bearer};
use crate::server::{ADMIN_TOKEN, DevServer, millrace, tally};

/// Runs a command against a server: exit code, standard output and error.
fn run(server: &DevServer, arguments: &[&str]) -> (i32, String, String) {
    let output = millrace()
        .args(arguments)
        .args(["--server", server.collector_url(), "--token", ADMIN_TOKEN])
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn json(server: &DevServer, arguments: &[&str]) -> Value {
    let (code, out, err) = run(server, &[arguments, &["--json"]].concat());
    assert_eq!(code, 0, "{arguments:?}: {err}");
    serde_json::from_str(&out).unwrap()
}

fn post(server: &DevServer, events: &[&str]) {
    let body = format!("{{\"batch\":[{}]}}", events.join(","));
    let mut connection = Connection::open(server.collector_url()).unwrap();
    let (status, body) = connection.post("/v1/batch", server.write_key(), &body).unwrap();
    assert_eq!(status, 200, "{body}");
}

const GOOD: &str = r#"{"type":"track","event":"E","userId":"u","messageId":"good-1"}"#;
const GOOD_DIFFERING: &str = r#"{"type":"track","event":"F","userId":"u","messageId":"good-1"}"#;
const BAD: &str = r#"{"type":"tracks","event":"E","userId":"u","messageId":"bad-1"}"#;
const WORSE: &str = r#"[1,2]"#;

fn positions(list: &Value) -> Vec<String> {
    let items = list["set_aside"].as_array().unwrap();
    items.iter().map(|item| item["position"].as_str().unwrap().to_owned()).collect()
}

fn json_of(server: &DevServer) -> Value {
    json(server, &["set-aside", "list"])
}

#[test]
fn an_item_set_aside_is_mended_fed_in_again_and_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = DevServer::start_in(folder.path());
    post(&server, &[GOOD, BAD, WORSE]);
    // A resend: nothing of it fills the quarantine. And another event under the same id.
    post(&server, &[GOOD, BAD, WORSE]);
    post(&server, &[GOOD_DIFFERING]);
    server.drain(7);

    let list = json(&server, &["set-aside", "list"]);
    let held = positions(&list);
    assert_eq!((held.len(), &list["held"]["items"]), (2, &Value::from(2)), "{list:#}");
    let of_type = json(&server, &["set-aside", "list", "--code", "MR1102", "--limit", "1"]);
    let bad = positions(&of_type).pop().unwrap();
    assert_eq!(of_type["set_aside"][0]["kept_bytes"], BAD.len());
    let shown = json(&server, &["set-aside", "show", &bad]);
    assert_eq!(shown["body"]["text"], BAD);
    let (code, table, _) = run(&server, &["set-aside", "list", "--pipeline", "dev"]);
    assert!(code == 0 && table.contains("MR1102") && table.contains("2 held"), "{table}");

    let trace = json(&server, &["trace", "bad-1", "--pipeline", "dev"]);
    let outcomes: Vec<&Value> =
        trace["copies"].as_array().unwrap().iter().map(|copy| &copy["outcome"]).collect();
    assert_eq!(outcomes, ["duplicate", "set_aside"], "{trace:#}");
    let (code, _, error) = run(&server, &["trace", "nobody", "--pipeline", "dev"]);
    assert!(code == 64 && error.contains("MR4010"), "{error}");

    // As it is, it would be set aside once more; nothing is changed by asking.
    let dry = json(&server, &["set-aside", "refeed", &bad, "--dry-run"]);
    assert_eq!(dry["results"][0]["outcome"], "set_aside", "{dry:#}");
    assert_eq!(json_of(&server), list);

    let mended = folder.path().join("mended.json");
    std::fs::write(&mended, BAD.replace("tracks", "track")).unwrap();
    let mended = mended.to_str().unwrap();
    let fed = json(&server, &["set-aside", "refeed", &bad, "--body", mended]);
    assert_eq!(fed["results"][0]["outcome"], "event", "{fed:#}");
    let (code, _, _) = run(&server, &["set-aside", "refeed", &bad]);
    assert_eq!(code, 64, "it is fed once");

    // Received stays: the new run takes the place of the former.
    let ledger = server.drain(7);
    for (state, events) in [("delivered", 2), ("duplicates", 4), ("set_aside", 1), ("pending", 0)] {
        assert_eq!(tally(&ledger, state), events, "{state}: {ledger:#}");
    }
    assert_eq!(ledger["differs"], 1, "{ledger:#}");
    let trace = json(&server, &["trace", "bad-1", "--pipeline", "dev", "--body"]);
    let event = &trace["copies"][0];
    assert_eq!(event["fed_again_from"], bad.as_str(), "{trace:#}");
    assert_eq!(event["integrations"][0]["state"], "delivered");
    assert!(event["body"]["text"].as_str().unwrap().contains("bad-1"));
    let twice = json(&server, &["trace", "good-1", "--pipeline", "dev"]);
    assert_eq!(twice["copies"][0]["differs"], true, "{twice:#}");
    assert_eq!(twice["copies"][0]["duplicate_of"], twice["copies"][2]["position"]);
    let (code, table, _) = run(&server, &["trace", "good-1", "--pipeline", "dev"]);
    assert!(code == 0 && table.contains("duplicate of") && table.contains("delivered"), "{table}");

    let (code, table, _) = run(&server, &["ledger", "--verify"]);
    assert!(code == 0 && table.contains("0 differences"), "{table}");
    let metrics = format!("{}/metrics", server.collector_url());
    let (_, page) = get_bearer(&metrics, ADMIN_TOKEN);
    for line in ["millrace_quarantine_items 1", "millrace_duplicates_differing_total{"] {
        assert!(page.contains(line), "{page}");
    }

    let before = json_of(&server);
    server.kill();
    let again = DevServer::start_in(folder.path());
    assert_eq!(json_of(&again), before, "the quarantine after kill -9");
    let ledger = again.ledger();
    assert_eq!(tally(&ledger, "set_aside"), 1, "{ledger:#}");
    let (code, _, _) = run(&again, &["ledger", "--verify"]);
    assert_eq!(code, 0);
}

#[test]
fn mistakes_are_told_with_the_exit_code_of_their_kind() {
    let server = DevServer::start();
    for (arguments, code, words) in [
        (&["set-aside", "show", "7"][..], 64, "RECORD:INDEX"),
        (&["set-aside", "show", "7:0"], 64, "MR4008"),
        (&["set-aside", "list", "--code", "MR0000"], 64, "MR5004"),
        (&["set-aside", "refeed", "7:0", "--code", "MR1101"], 64, "--all"),
        (&["set-aside", "refeed", "7:0", "--body", "not-there.json"], 64, "MR5001"),
    ] {
        let (found, _, error) = run(&server, arguments);
        assert!(found == code && error.contains(words), "{arguments:?}: {found} {error}");
    }
    let output = millrace()
        .args(["ledger", "--server", server.collector_url(), "--token", "wrong"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    let output =
        millrace().args(["ledger", "--server", "http://127.0.0.1:9", "--dev"]).output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    let output = millrace().args(["ledger"]).env_remove("MILLRACE_ADMIN_TOKEN").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
}
