//! The recorded requests of Mixpanel's SDKs, byte for byte: each gets the answer that its client
//! needs and becomes the events that it holds.

use base64::Engine;
use millrace_http::{CollectorOptions, MixpanelAccess, PipelineOptions, WriteKey};
use millrace_model::event::{Event, EventKind, Item};
use millrace_model::passage::Origin;
use serde_json::{Value, json};

use crate::fixtures::{recordings, request_of};
use crate::recording::TestCollector;

const TOKEN: &str = "faketokenfaketokenfaketoken0001";

/// Folder, and how many of its recordings are calls.
const FOLDERS: [(&str, usize); 4] = [
    ("mixpanel-browser", 7),
    ("mixpanel-import", 4),
    ("mixpanel-node", 13),
    ("mixpanel-python", 11),
];

fn collector() -> TestCollector {
    let pipeline = PipelineOptions {
        mixpanel: MixpanelAccess {
            tokens: vec![WriteKey::active(TOKEN)],
            api_secrets: vec![WriteKey::active("fakesecret0001")],
            service_accounts: vec![WriteKey::active("sa-user.fake:fakepass")],
        },
        ..PipelineOptions::new("dev".parse().unwrap())
    };
    TestCollector::of(CollectorOptions { pipelines: vec![pipeline], ..CollectorOptions::default() })
}

#[tokio::test]
async fn every_recorded_call_gets_the_answer_that_its_client_needs() {
    let Some(folder) = recordings() else { return };
    for (name, count) in FOLDERS {
        let mut calls = 0;
        for file in std::fs::read_dir(folder.join(name)).unwrap() {
            let path = file.unwrap().path();
            let recorded: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let collector = collector();
            let answered = collector.send(request_of(&recorded["request"])).await;
            calls += 1;
            let shown = format!("{} {}", path.display(), answered.body);
            assert_eq!(answered.status, 200, "{shown}");
            let given = recorded["reply_given"]["body"].as_str().unwrap();
            let is_strict = recorded["request"]["query"]["strict"] == "1";
            if given == "1" {
                assert_eq!(answered.body, "1", "{shown}");
            } else if is_strict {
                // What these clients look at; the recorder said less or more around it.
                let said: Value = serde_json::from_str(&answered.body).unwrap();
                let good =
                    if said["status"] == "OK" { "num_records_imported" } else { "num_good_events" };
                assert!(said["status"] == "OK" || said["status"] == 1, "{shown}");
                assert_eq!(said[good], events_of(&recorded).len(), "{shown}");
            } else {
                let said: Value = serde_json::from_str(&answered.body).unwrap();
                assert_eq!(said, serde_json::from_str::<Value>(given).unwrap(), "{shown}");
            }
            let origin = recorded["request"]["headers"]
                .as_array()
                .unwrap()
                .iter()
                .find(|header| header[0] == "Origin")
                .map(|header| header[1].as_str().unwrap().to_owned());
            assert_eq!(answered.header("access-control-allow-origin"), origin.as_deref());
            holds_what_was_sent(&recorded, &collector.stored(), &shown);
        }
        assert_eq!(calls, count, "{name}");
    }
}

/// The records of a recording, as they were sent.
fn events_of(recorded: &Value) -> Vec<Value> {
    let request = &recorded["request"];
    let decoded = match (&request["query_data_decoded"], &request["decoded"]) {
        (Value::Null, decoded) => decoded.get("__form").map_or(decoded, |form| &form["data"]),
        (in_query, _) => in_query,
    };
    // Long lists are cut in what was decoded for reading, so the count comes from the number beside.
    let mut records: Vec<Value> = match decoded {
        Value::Array(records) => records.clone(),
        one => vec![one.clone()],
    };
    let whole = count_of(request).unwrap_or(records.len());
    records.resize(whole, Value::Null);
    records
}

fn count_of(request: &Value) -> Option<usize> {
    let body =
        base64::engine::general_purpose::STANDARD.decode(request["body_base64"].as_str()?).ok()?;
    let text = request["decoded"].to_string();
    let cut = text
        .split("\"decoded_truncated_from\":")
        .nth(1)
        .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok());
    let beside = request["decoded_truncated_from"].as_u64().and_then(|count| count.try_into().ok());
    if body.is_empty() { None } else { beside.or(cut.flatten()) }
}

fn holds_what_was_sent(recorded: &Value, items: &[Item], shown: &str) {
    let sent = events_of(recorded);
    assert_eq!(items.len(), sent.len(), "{shown}");
    for (item, sent) in items.iter().zip(&sent) {
        let Item::Event(event) = item else { panic!("{shown}: {item:?}") };
        assert_eq!(event.passage.origin, Origin::Mixpanel, "{shown}");
        let body: Value = serde_json::from_slice(&event.body).unwrap();
        assert!(!body.to_string().contains(TOKEN), "{shown}");
        if sent.is_null() {
            continue;
        }
        if sent.get("event").is_some() {
            holds_the_event(event, &body, sent, shown);
        } else {
            holds_the_profile(event, &body, sent, shown);
        }
    }
}

fn holds_the_event(event: &Event, body: &Value, sent: &Value, shown: &str) {
    let properties = &sent["properties"];
    let name = sent["event"].as_str().unwrap();
    let (kind, verb) = match name {
        "$identify" => (EventKind::Identify, true),
        "$create_alias" | "$merge" => (EventKind::Alias, true),
        _ => (EventKind::Track, false),
    };
    assert_eq!(event.kind, kind, "{shown}");
    if let Some(id) = properties["$insert_id"].as_str() {
        assert_eq!(event.facts.message_id, id, "{shown}");
    }
    if let Some(time) = properties["time"].as_f64() {
        let millis = if time < 1e11 { time * 1000.0 } else { time };
        assert!((event.facts.time.0 as f64 - millis).abs() < 1.0, "{shown}");
    }
    if !verb {
        assert_eq!(body["event"], name, "{shown}");
        let mut wanted = properties.as_object().unwrap().clone();
        for elsewhere in
            ["token", "distinct_id", "$user_id", "$device_id", "time", "$insert_id", "ip"]
        {
            wanted.remove(elsewhere);
        }
        let got = body["properties"].as_object().unwrap();
        assert_eq!(got.len(), wanted.len(), "{shown}");
        for (key, value) in &wanted {
            // The recorder could not read CESU-8.
            let readable = !value.to_string().contains('\u{fffd}');
            if readable {
                assert_eq!(&got[key], value, "{shown}");
            } else {
                assert!(got[key].to_string().contains('\u{1f40e}'), "{shown}: {}", got[key]);
            }
        }
    }
    let device = properties["distinct_id"].as_str().and_then(|id| id.strip_prefix("$device:"));
    if let (false, Some(device)) = (verb, device) {
        assert_eq!(body["anonymousId"], device, "{shown}");
    }
}

fn holds_the_profile(event: &Event, body: &Value, sent: &Value, shown: &str) {
    assert_eq!(event.kind, EventKind::Profile, "{shown}");
    for operator in ["$set", "$set_once", "$add", "$append", "$union", "$remove", "$unset"] {
        assert_eq!(body.get(operator), sent.get(operator), "{shown}");
    }
    assert_eq!(body.get("$delete"), sent.get("$delete").map(|_| &Value::Bool(true)), "{shown}");
    if let Some(id) = sent.get("$distinct_id") {
        assert_eq!(body["userId"], *id, "{shown}");
        assert_eq!(
            body["context"]["ip"],
            sent.get("$ip").cloned().unwrap_or(json!(null)),
            "{shown}"
        );
    } else {
        assert_eq!(body["groupId"], sent["$group_id"], "{shown}");
        assert_eq!(body["mixpanel"]["group_key"], sent["$group_key"], "{shown}");
    }
}
