//! Recorded requests of real SDKs: each decodes to the events it holds, and no change of a byte,
//! cut or doubling of it makes the decoder panic or let something half-read through.

use std::path::PathBuf;

use base64::Engine;
use millrace_model::event::{EventKind, Item};
use millrace_protocol::segment::Call;
use proptest::prelude::*;
use serde_json::Value;

use crate::bodies::Door;

const FOLDERS: [&str; 7] = [
    "segment-node",
    "segment-python",
    "segment-browser",
    "rudder-node",
    "rudder-python",
    "rudder-browser",
    "http-api",
];

struct Recorded {
    name: String,
    call: Call,
    body: Vec<u8>,
    items: usize,
}

/// The recorded calls; nothing where the shared folder is not at hand, which only CI must have.
fn recorded() -> Vec<Recorded> {
    let shared = std::env::var_os("MILLRACE_SHARED").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let sdk = shared.join("fixtures/sdk");
    if !sdk.is_dir() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no fixtures in {}", sdk.display());
        println!("no fixtures in {}: nothing replayed", sdk.display());
        return Vec::new();
    }
    let mut found = Vec::new();
    for folder in FOLDERS {
        for file in std::fs::read_dir(sdk.join(folder)).unwrap() {
            let path = file.unwrap().path();
            let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let request = &json["request"];
            let Some(call) = call_of(request["path"].as_str().unwrap()) else { continue };
            if request["method"] != "POST" {
                continue;
            }
            let body = base64::engine::general_purpose::STANDARD
                .decode(request["body_base64"].as_str().unwrap())
                .unwrap();
            let decoded = &request["decoded"];
            let items = decoded["batch"].as_array().map_or(1, Vec::len);
            found.push(Recorded { name: path.display().to_string(), call, body, items });
        }
    }
    assert!(found.len() > 30, "only {} recorded calls", found.len());
    found
}

fn call_of(path: &str) -> Option<Call> {
    let last = path.trim_end_matches('/').rsplit('/').next()?;
    let kind = match last {
        "batch" | "b" | "import" => return Some(Call::Batch),
        "t" => EventKind::Track,
        "i" => EventKind::Identify,
        "p" => EventKind::Page,
        "s" => EventKind::Screen,
        "g" => EventKind::Group,
        "a" => EventKind::Alias,
        name => EventKind::parse(name)?,
    };
    Some(Call::Single(kind))
}

#[test]
fn every_recorded_call_decodes_to_its_events() {
    for call in recorded() {
        let batch = Door::default().take(call.call, &call.body).unwrap();
        assert_eq!(batch.items.len(), call.items, "{}", call.name);
        for item in &batch.items {
            let Item::Event(event) = item else { panic!("{}: {item:?}", call.name) };
            let body: Value = serde_json::from_slice(&event.body).unwrap();
            assert!(body.get("writeKey").is_none(), "{}", call.name);
            if let Some(id) = body.get("messageId") {
                assert_eq!(event.facts.message_id, id.as_str().unwrap(), "{}", call.name);
            }
        }
    }
}

fn mutate(body: &mut Vec<u8>, place: prop::sample::Index, byte: u8, how: u8) {
    if body.is_empty() {
        return;
    }
    let at = place.index(body.len());
    match how {
        0 => body[at] = byte,
        1 => body.truncate(at),
        2 => body.insert(at, byte),
        3 => {
            body.remove(at);
        }
        _ => {
            let tail = body[at..].to_vec();
            body.extend(tail);
        }
    }
}

#[test]
fn no_mutation_of_a_recorded_body_panics() {
    let calls = recorded();
    if calls.is_empty() {
        return;
    }
    let mutations =
        proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..5_u8), 1..6);
    proptest!(ProptestConfig::with_cases(400), |(
        which in any::<prop::sample::Index>(), mutations in mutations
    )| {
        let call = &calls[which.index(calls.len())];
        let mut body = call.body.clone();
        for (place, byte, how) in mutations {
            mutate(&mut body, place, byte, how);
        }
        check_kept_bytes(call.call, &body);
    });
}

proptest! {
    #[test]
    fn no_body_panics(body in proptest::collection::vec(any::<u8>(), 0..300), batch: bool) {
        let call = if batch { Call::Batch } else { Call::Single(EventKind::Alias) };
        check_kept_bytes(call, &body);
    }

    #[test]
    fn no_pieces_of_messages_panic(
        pieces in proptest::collection::vec(
            prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"batch\":[", "\"context\":{", "\"writeKey\":\"k\"",
                "\"type\":\"track\"", "\"userId\":\"u\"", "\"event\":\"e\"", "\"\\ud800\"", "1e400",
                "null", "\"ip\":\"1\"", "\"sentAt\":\"2026-11-22\"", "\"messageId\":9", " ", "\"",
            ]),
            0..40,
        ),
        batch: bool,
    ) {
        let call = if batch { Call::Batch } else { Call::Single(EventKind::Track) };
        check_kept_bytes(call, pieces.concat().as_bytes());
    }
}

/// Whatever is taken as an event is good JSON and holds no write key.
fn check_kept_bytes(call: Call, body: &[u8]) {
    let Ok(batch) = Door::default().take(call, body) else {
        return;
    };
    for item in batch.items {
        if let Item::Event(event) = item {
            let members: std::collections::BTreeMap<String, Box<serde_json::value::RawValue>> =
                match serde_json::from_slice(&event.body) {
                    Ok(members) => members,
                    // The one thing that serde refuses and the grammar does not: half a pair.
                    Err(_) if event.body.windows(3).any(|bytes| bytes == b"\\ud") => continue,
                    Err(error) => panic!("{error}: {event:?}"),
                };
            assert!(!members.contains_key("writeKey"), "{event:?}");
        }
    }
}
