//! Requests recorded from Mixpanel's own SDKs and tools, sent as they were.

use std::fs;
use std::path::PathBuf;

use base64::Engine;
use millrace_model::secret::Secret;
use millrace_twin::ServiceAccount;
use serde_json::{Value, json};

use crate::client::{Answer, Client, NOW, options};

/// Where the twin answers otherwise than the recorder did, and why.
const OTHERWISE: [(&str, &str); 3] = [
    ("mixpanel-node/5", "an import without credentials is refused"),
    ("mixpanel-node/6", "an import without credentials is refused"),
    ("mixpanel-python/3", "$merge is refused under simplified merge"),
];

/// The folder of the recordings; none when this checkout has none.
fn folder() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let shared = std::env::var("MILLRACE_SHARED").unwrap_or_else(|_| beside.to_owned());
    let folder = PathBuf::from(shared).join("fixtures/sdk");
    if folder.is_dir() {
        return Some(folder);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{} is missing", folder.display());
    println!("no recordings in {}: not tested", folder.display());
    None
}

fn client() -> Client {
    let mut options = options(None);
    options.projects.truncate(1);
    let project = &mut options.projects[0];
    project.token = Secret::new("faketokenfaketokenfaketoken0001");
    project.api_secret = Secret::new("fakesecret0001");
    project.id = 12_345;
    project.service_accounts =
        vec![ServiceAccount { user: "sa-user.fake".to_owned(), secret: Secret::new("fakepass") }];
    project.group_keys = vec!["company".to_owned(), "company_id".to_owned()];
    // Some hours after the recording.
    Client::open_at(options, NOW + 5 * 3_600_000).unwrap()
}

fn replay(client: &Client, request: &Value) -> Answer {
    let text = |name: &str| request[name].as_str().unwrap();
    let headers: Vec<(&str, &str)> = request["headers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| (pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
        .collect();
    let body = base64::engine::general_purpose::STANDARD.decode(text("body_base64")).unwrap();
    client.send(text("method"), text("target"), &headers, body)
}

/// The answers say the same, whatever else they carry.
fn agree(answer: &Answer, recorded: &Value) -> bool {
    let body = recorded["body"].as_str().unwrap();
    let Ok(Value::Object(wanted)) = serde_json::from_str(body) else {
        return answer.text() == body;
    };
    let given = answer.json();
    wanted.iter().all(|(name, value)| given[name] == *value)
}

#[test]
fn recorded_clients_are_answered_as_they_expect() {
    let Some(folder) = folder() else { return };
    let mut replayed = 0;
    for sdk in ["mixpanel-browser", "mixpanel-import", "mixpanel-node", "mixpanel-python"] {
        for number in 1.. {
            let Ok(file) = fs::read(folder.join(sdk).join(format!("{number}.json"))) else { break };
            let recording: Value = serde_json::from_slice(&file).unwrap();
            let name = format!("{sdk}/{number}");
            let client = client();
            let answer = replay(&client, &recording["request"]);
            let refusals = client.get("/twin/v1/projects/12345/refusals").json();
            let refused = refusals["refusals"]
                .as_array()
                .unwrap()
                .iter()
                .any(|note| note["fate"] == "refused" || note["project"].is_null());
            let otherwise = OTHERWISE.iter().any(|(listed, _)| *listed == name);
            assert_eq!(
                answer.status == 200 && agree(&answer, &recording["reply_given"]) && !refused,
                !otherwise,
                "{name}: {} {} {refusals}",
                answer.status,
                answer.text()
            );
            replayed += 1;
        }
    }
    assert!(replayed >= 35, "only {replayed} recordings were found");
}

#[test]
fn the_browser_s_characters_are_put_together() {
    let Some(folder) = folder() else { return };
    let file = fs::read(folder.join("mixpanel-browser/1.json")).unwrap();
    let recording: Value = serde_json::from_slice(&file).unwrap();
    let client = client();
    assert_eq!(replay(&client, &recording["request"]).json(), json!({"error":null,"status":1}));
    let events = client.get("/twin/v1/projects/12345/events");
    assert!(events.text().contains('\u{1f40e}'), "{}", events.text());
}
