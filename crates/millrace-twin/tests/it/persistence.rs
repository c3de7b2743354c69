//! What was answered is there after the twin was closed, or cut off, and opened again.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use millrace_model::code::Code;
use millrace_twin::TwinError;
use serde_json::{Value, json};

use crate::client::{Client, event, options};

fn open(folder: &Path) -> Client {
    Client::open(options(Some(folder))).unwrap()
}

fn fill(client: &Client) {
    let device = json!({"distinct_id":null,"$device_id":"D1"});
    let link = json!({"distinct_id":null,"$device_id":"D1","$user_id":"U1","$insert_id":"i-2","revenue":9.5,"currency":"EUR"});
    for changes in [&device, &link, &link] {
        assert_eq!(client.import(&json!([event("E", changes)])).status, 200);
    }
    let update = json!([{"$token":"T","$distinct_id":"$device:D1","$set":{"a":1},"$append":{"$transactions":{"$amount":5}}}]);
    assert_eq!(client.post("/engage", &update).text(), "1");
    let group = json!([{"$token":"T","$group_key":"company_id","$group_id":"acme","$set":{"b":2}}]);
    assert_eq!(client.post("/groups", &group).text(), "1");
}

fn shown(client: &Client) -> Vec<Value> {
    let mut all = client.export("&time_in_ms=true");
    for view in ["summary", "users/U1", "events", "groups/company_id/acme"] {
        all.push(client.view(view));
    }
    all
}

#[test]
fn a_folder_opened_again_shows_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let before = {
        let client = open(folder.path());
        fill(&client);
        shown(&client)
    };
    let again = open(folder.path());
    assert_eq!(shown(&again), before);
    let summary = again.view("summary");
    assert_eq!(
        summary,
        json!({
            "events": 2, "copies": 3, "duplicates": 1, "hidden": 0, "profiles": 1, "groups": 1,
            "users": 1, "by_event": {"E": 2},
            "revenue": {
                "total": 9.5, "refunds": 0.0,
                "by_currency": {"EUR": {"total": 9.5, "refunds": 0.0}},
                "transactions": {"total": 5.0, "count": 1}
            }
        })
    );
    // It goes on where it was: a resend is still a copy.
    fill(&again);
    assert_eq!(again.counts(), (2, 6));
}

fn segments(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && fs::metadata(path).unwrap().len() > 0)
        .collect();
    files.sort();
    files
}

#[test]
fn a_torn_tail_costs_nothing_that_was_answered() {
    let folder = tempfile::tempdir().unwrap();
    let before = {
        let client = open(folder.path());
        fill(&client);
        shown(&client)
    };
    let newest = segments(folder.path()).pop().unwrap();
    let mut file = OpenOptions::new().append(true).open(&newest).unwrap();
    file.write_all(&[7; 33]).unwrap();
    drop(file);
    assert_eq!(shown(&open(folder.path())), before);
}

#[test]
fn a_cut_last_record_costs_that_record_only() {
    let folder = tempfile::tempdir().unwrap();
    {
        let client = open(folder.path());
        for n in 0..3 {
            let changes = json!({"$insert_id":format!("i-{n}")});
            assert_eq!(client.import(&json!([event("E", &changes)])).status, 200);
        }
    }
    let newest = segments(folder.path()).pop().unwrap();
    let length = fs::metadata(&newest).unwrap().len();
    OpenOptions::new().write(true).open(&newest).unwrap().set_len(length - 1).unwrap();
    assert_eq!(open(folder.path()).counts(), (2, 2));
}

#[test]
fn a_folder_belongs_to_one_twin() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path());
    let second = Client::open(options(Some(folder.path()))).err().unwrap();
    assert_eq!(second.code(), Code::LogLocked);
    assert!(matches!(second, TwinError::Journal { .. }));
}

#[test]
fn a_project_that_is_left_out_keeps_its_data() {
    let folder = tempfile::tempdir().unwrap();
    fill(&open(folder.path()));
    let mut without = options(Some(folder.path()));
    without.projects.remove(0);
    drop(Client::open(without).unwrap());
    assert_eq!(open(folder.path()).counts(), (2, 3));
}
