//! `millrace map`: one line out for each line in, in the three forms of the contract.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::server::millrace;

pub(crate) fn map(arguments: &[&str], input: &str) -> (Option<i32>, Vec<Value>) {
    let mut child = millrace()
        .arg("map")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("input").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    let lines = String::from_utf8(output.stdout).expect("text");
    let lines = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (output.status.code(), lines)
}

#[test]
fn each_line_gives_requests_or_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.json");
    std::fs::write(&settings, r#"{"token":"T1","region":"eu"}"#).unwrap();
    let input = concat!(
        r#"{"type":"track","userId":"u1","anonymousId":"a1","messageId":"m-1","event":"Signed up","timestamp":"2026-11-20T10:00:00.000Z","properties":{"plan":"pro"}}"#,
        "\n",
        r#"{"type":"identify","userId":"u1","anonymousId":"a1","messageId":"m-2","traits":{"email":"a@shop.example"}}"#,
        "\n",
        r#"{"type":"alias","userId":"u1","previousId":"u2","messageId":"m-3"}"#,
        "\n",
        r#"{"type":"track","event":"Nobody did this"}"#,
        "\n",
        "not json\n",
        r#"{"type":"identify","userId":"u1","messageId":"m-4"}"#,
        "\n",
    );
    let settings = settings.to_str().unwrap();
    let arguments =
        ["--blueprint", "default", "--settings", settings, "--now", "2026-11-22T12:00:00Z"];
    let (code, lines) = map(&arguments, input);
    assert_eq!(code, Some(0));
    assert_eq!(lines.len(), 6, "{lines:#?}");

    let track = &lines[0]["requests"][0];
    assert_eq!(track["method"], "POST");
    assert_eq!(track["url"], "https://api-eu.mixpanel.com/import");
    assert_eq!(track["params"], json!({"strict": "1", "ip": "0"}));
    assert_eq!(track["headers"]["Authorization"], "Basic VDE6");
    let event = &track["body"][0];
    assert_eq!(event["event"], "Signed up");
    assert_eq!(event["properties"]["distinct_id"], "u1");
    assert_eq!(event["properties"]["$device_id"], "a1");
    assert_eq!(event["properties"]["$user_id"], "u1");
    assert_eq!(event["properties"]["time"], 1_795_168_800_000_u64);
    assert_eq!(event["properties"]["$insert_id"], "m-1");
    assert_eq!(event["properties"]["plan"], "pro");

    let identify = lines[1]["requests"].as_array().unwrap();
    assert_eq!(identify.len(), 2, "a link event, then the profile: {identify:#?}");
    assert_eq!(identify[0]["body"][0]["event"], "Identity Linked");
    assert_eq!(identify[1]["url"], "https://api-eu.mixpanel.com/engage");
    assert_eq!(identify[1]["body"][0]["$token"], "T1");
    assert_eq!(identify[1]["body"][0]["$set"]["$email"], "a@shop.example");

    assert_eq!(lines[2]["error"]["code"], "MR2001", "{}", lines[2]);
    assert_eq!(lines[3]["error"]["code"], "MR1104", "{}", lines[3]);
    assert_eq!(lines[4]["error"]["code"], "MR1005", "{}", lines[4]);
    assert_eq!(lines[5]["filtered"]["reason"], "no_rule", "{}", lines[5]);
}

#[test]
fn settings_in_the_words_of_another_system_say_where_to_send() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("segment.json");
    let input = r#"{"type":"track","userId":"u1","event":"Signed up"}"#;
    let settings = json!({
        "projectToken": "T1", "apiSecret": "S1", "apiRegion": "EU 🇪🇺", "strictMode": "0",
    });
    std::fs::write(&file, settings.to_string()).unwrap();
    let arguments = ["--blueprint", "default", "--settings", file.to_str().unwrap()];
    let (code, lines) = map(&arguments, input);
    assert_eq!(code, Some(0));
    let track = &lines[0]["requests"][0];
    assert_eq!(track["url"], "https://api-eu.mixpanel.com/import");
    assert_eq!(track["params"], json!({"strict": "0", "verbose": "1", "ip": "0"}));
    assert_eq!(track["headers"]["Authorization"], "Basic UzE6");

    std::fs::write(&file, r#"{"projectToken":"T1","apiRegion":"Mars"}"#).unwrap();
    assert_eq!(map(&arguments, input), (Some(64), Vec::new()));
}

#[test]
fn each_project_has_its_own_token() {
    let folder = tempfile::tempdir().unwrap();
    let blueprint = folder.path().join("sites.yaml");
    std::fs::write(
        &blueprint,
        "blueprint: sites\nparameters: { site: { about: The site } }\nrules:\n  - name: all\n    send:\n      \
         - event: { name: parameters.site, distinct_id: $.userId, token: $.properties.token }\n",
    )
    .unwrap();
    let settings = folder.path().join("settings.json");
    let projects = json!({
        "token": "T1", "region": "us", "projects": {"eu": {"token": "T2", "region": "eu"}},
        "parameters": {"site": "shop"},
    });
    std::fs::write(&settings, projects.to_string()).unwrap();
    let line = |properties: Value| {
        json!({"type": "track", "userId": "u", "event": "e", "properties": properties}).to_string()
    };
    let input = [json!({}), json!({"token": "T2"}), json!({"token": "hush"})].map(line).join("\n");
    let (blueprint, settings) = (blueprint.to_str().unwrap(), settings.to_str().unwrap());
    let (code, lines) = map(&["--blueprint", blueprint, "--settings", settings], &input);
    assert_eq!((code, lines.len()), (Some(0), 3), "{lines:#?}");
    for (line, url, authorization) in [
        (&lines[0], "https://api.mixpanel.com/import", "Basic VDE6"),
        (&lines[1], "https://api-eu.mixpanel.com/import", "Basic VDI6"),
    ] {
        assert_eq!(line["requests"][0]["url"], url, "{line}");
        assert_eq!(line["requests"][0]["headers"]["Authorization"], authorization, "{line}");
        assert_eq!(line["requests"][0]["body"][0]["event"], "shop", "{line}");
    }
    assert_eq!(lines[2]["error"]["code"], "MR2012", "{}", lines[2]);
    assert!(!lines[2].to_string().contains("hush"));
}

#[test]
fn explain_names_the_rule() {
    let input = r#"{"type":"track","userId":"u1","event":"Signed up"}"#;
    let (code, lines) = map(&["--blueprint", "default", "--explain"], input);
    assert_eq!(code, Some(0));
    assert!(lines[0].get("explain").is_some_and(|explain| !explain.is_null()), "{}", lines[0]);
}

#[test]
fn an_unknown_blueprint_is_a_usage_error() {
    let (code, lines) = map(&["--blueprint", "defualt"], "");
    assert_eq!((code, lines.len()), (Some(64), 0));
}

/// As in `| head -1`, with a standard input that has no end.
#[test]
fn it_ends_when_nobody_reads_any_more() {
    let mut child = millrace()
        .args(["map", "--blueprint", "default"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let mut input = child.stdin.take().expect("input");
    let event = b"{\"type\":\"track\",\"userId\":\"u\",\"event\":\"E\"}\n";
    // Ends when the other side is gone.
    while input.write_all(event).is_ok() {}
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

/// The records on the page about Mixpanel's SDKs.
#[test]
fn records_of_mixpanel_sdks_are_known_by_their_token() {
    let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/mixpanel-sdks.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let (_, rest) = page.split_once("```json file=records.jsonl\n").expect("the records");
    let (records, _) = rest.split_once("```").expect("their end");
    let (code, lines) =
        map(&["--blueprint", "passthrough", "--now", "2026-11-22T14:00:00Z"], records);
    assert_eq!((code, lines.len()), (Some(0), 3), "{lines:#?}");
    let sent = |line: &Value| {
        let requests = line["requests"].as_array().expect("requests");
        assert_eq!(requests.len(), 1, "{line:#}");
        (requests[0]["url"].clone(), requests[0]["body"][0].clone())
    };
    let (url, event) = sent(&lines[0]);
    assert_eq!(url, "https://api.mixpanel.com/import");
    let properties = json!({
        "time": 1_795_355_460_092_i64, "distinct_id": "$device:d", "$device_id": "d",
        "$insert_id": "a1",
    });
    assert_eq!(event, json!({ "event": "Seen", "properties": properties }));
    let (url, profile) = sent(&lines[1]);
    assert_eq!(url, "https://api.mixpanel.com/engage");
    assert_eq!(
        profile,
        json!({
            "$token": "PROJECT_TOKEN", "$distinct_id": "u", "$time": 1_795_356_000_000_i64,
            "$ignore_time": true, "$set": { "plan": "pro" },
        })
    );
    let (url, group) = sent(&lines[2]);
    assert_eq!(url, "https://api.mixpanel.com/groups");
    assert_eq!(group["$union"], json!({ "tags": ["a"] }));

    // A call in Segment's form stays one, whatever its properties are called.
    let call = r#"{"type":"track","event":"e","userId":"u","properties":{"token":"t"}}"#;
    let untyped = r#"{"event":"e","properties":{"distinct_id":"u"}}"#;
    let (_, lines) = map(&["--blueprint", "default"], &format!("{call}\n{untyped}\n"));
    assert_eq!(lines[0]["requests"][0]["body"][0]["properties"]["$user_id"], "u");
    assert_eq!(lines[1]["error"]["code"], "MR1102", "{}", lines[1]);
}
