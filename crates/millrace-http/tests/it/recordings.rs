//! All recorded requests of all clients against one collector: the status that the client was
//! content with, and what was stored, kept as a snapshot for each recording.
//!
//! What a body of an answer has to hold is tested beside each protocol. A snapshot is changed on
//! purpose by running this test with `MILLRACE_UPDATE_SNAPSHOTS=1`, and then read in the diff.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use millrace_http::{AdobeOptions, CollectorOptions, MixpanelAccess, PipelineOptions, WriteKey};
use millrace_model::event::{Event, Item};
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use crate::fixtures::{recordings, request_of};
use crate::recording::TestCollector;

/// How many recordings there are.
const RECORDINGS: usize = 96;
/// Of larger batches the first events stand in the snapshot, and a hash of the rest.
const SHOWN: usize = 3;

fn collector() -> TestCollector {
    let pipeline = |id: &str, keys: &[&str]| PipelineOptions {
        write_keys: keys.iter().map(|key| WriteKey::active(*key)).collect(),
        ..PipelineOptions::new(id.parse().unwrap())
    };
    let segment = PipelineOptions {
        syft_path: Some("/api/syft".to_owned()),
        ..pipeline("segment", &["fakeSegmentWriteKey01"])
    };
    let mixpanel = PipelineOptions {
        mixpanel: MixpanelAccess {
            tokens: vec![WriteKey::active("faketokenfaketokenfaketoken0001")],
            api_secrets: vec![WriteKey::active("fakesecret0001")],
            service_accounts: vec![WriteKey::active("sa-user.fake:fakepass")],
        },
        ..pipeline("mixpanel", &[])
    };
    let adobe = PipelineOptions {
        adobe: AdobeOptions {
            datastreams: vec![WriteKey::active("fake-datastream-0001")],
            organisation: Some("FAKEORG0001@AdobeOrg".to_owned()),
            ..AdobeOptions::default()
        },
        ..pipeline("adobe", &[])
    };
    TestCollector::of(CollectorOptions {
        pipelines: vec![segment, pipeline("rudder", &["fakeRudderWriteKey01"]), mixpanel, adobe],
        ..CollectorOptions::default()
    })
}

/// What is stored of an item, as JSON.
fn shown(item: &Item) -> Value {
    match item {
        Item::Event(event) => shown_event(event),
        Item::SetAside(aside) => json!({
            "set_aside": aside.code.as_str(),
            "reason": aside.reason,
            "body": String::from_utf8_lossy(&aside.body),
        }),
        Item::Filtered(filtered) => json!({
            "filtered": filtered.reason.as_str(),
            "rule": filtered.rule,
        }),
        Item::Duplicate(duplicate) => panic!("{duplicate:?}"),
    }
}

fn shown_event(event: &Event) -> Value {
    let notes: Vec<String> = event
        .passage
        .notes
        .iter()
        .map(|note| format!("{} {}", note.kind.as_str(), note.detail))
        .collect();
    json!({
        "kind": event.kind.as_str(),
        "origin": event.passage.origin.as_str(),
        "message_id": event.facts.message_id,
        "time": event.facts.time,
        "time_source": format!("{:?}", event.facts.time_source),
        "client_ip": event.facts.client_ip,
        "notes": notes,
        "body": serde_json::from_slice::<Value>(&event.body).unwrap(),
    })
}

fn snapshot(pipeline: &Value, items: &[Item]) -> Value {
    let shown: Vec<Value> = items.iter().map(shown).collect();
    let rest = shown.get(SHOWN..).unwrap_or_default();
    let hash = xxh3_64(Value::from(rest.to_vec()).to_string().as_bytes());
    json!({
        "pipeline": pipeline,
        "items": shown.len(),
        "first": shown.iter().take(SHOWN).collect::<Vec<_>>(),
        "rest": (!rest.is_empty()).then(|| format!("{hash:016x}")),
    })
}

fn snapshots() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/recordings")
}

#[tokio::test]
async fn every_recording_is_answered_and_stored_as_its_snapshot_says() {
    let Some(folder) = recordings() else { return };
    let update = std::env::var_os("MILLRACE_UPDATE_SNAPSHOTS").is_some();
    let (mut replayed, mut differ) = (0, Vec::new());
    let mut names = BTreeSet::new();
    for client in std::fs::read_dir(&folder).unwrap() {
        let client = client.unwrap().path();
        if !client.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(&client).unwrap() {
            let path = file.unwrap().path();
            let client = client.file_name().unwrap().to_string_lossy();
            let name = format!("{client}-{}", path.file_name().unwrap().to_string_lossy());
            let recording: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            // One collector for each, so that made-up ids do not depend on the order of files.
            let collector = collector();
            let answered = collector.send(request_of(&recording["request"])).await;
            let status = json!(answered.status.as_u16());
            assert_eq!(status, recording["reply_given"]["status"], "{name}: {}", answered.body);
            let batches = collector.intake.take();
            let pipeline = json!(batches.first().map(|batch| batch.pipeline.to_string()));
            let items: Vec<Item> = batches.into_iter().flat_map(|batch| batch.items).collect();
            let bad = |item: &&Item| !matches!(item, Item::Event(_) | Item::Filtered(_));
            assert_eq!(items.iter().find(bad), None, "{name}");
            let mut text = serde_json::to_string_pretty(&snapshot(&pipeline, &items)).unwrap();
            text.push('\n');
            let kept = snapshots().join(&name);
            if update {
                std::fs::write(&kept, &text).unwrap();
            } else if std::fs::read_to_string(&kept).ok().as_deref() != Some(&text) {
                differ.push(format!("{name}: {text}"));
            }
            names.insert(name);
            replayed += 1;
        }
    }
    assert_eq!(replayed, RECORDINGS);
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    let kept = std::fs::read_dir(snapshots()).unwrap();
    let kept = kept.map(|file| file.unwrap().file_name().to_string_lossy().into_owned());
    assert_eq!(kept.collect::<BTreeSet<String>>(), names, "snapshots without a recording");
}
