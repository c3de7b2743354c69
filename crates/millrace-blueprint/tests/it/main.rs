//! The blueprint engine from outside: what the `default` blueprint makes of events, what the
//! engine does with odd ones, and that every example of the guide is true.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::string_slice,
    reason = "a test fails by panicking; this file is nothing but tests"
)]

mod actions;
mod adobe_blueprint;
mod adobe_guide;
mod adobe_mistakes;
mod adobe_operators;
mod adobe_rules;
mod corrections;
mod datafly_blueprint;
mod datafly_config;
mod datafly_steps;
mod default_blueprint;
mod explain;
mod guide;
mod hostile;
mod language;
mod limits;
mod odd_events;
mod rudderstack_blueprint;
mod seed_tables;
mod segment;
mod segment_blueprint;

use millrace_blueprint::{Blueprint, EventView, Mapper, Plan, SettingValues};
use millrace_model::event::{EventKind, Facts, TimeSource};
use millrace_model::row::{Mapped, Rows};
use millrace_model::time::UnixMillis;
use serde_json::{Value, json};

/// The time of events that name none: 2025-11-20T10:11:12.345Z.
const AT: UnixMillis = UnixMillis(1_763_633_472_345);

/// A plan and what is needed to run it.
struct Mapping {
    plan: Plan,
    facts: Facts,
    received_at: UnixMillis,
    rows: Rows,
}

impl Mapping {
    fn new(blueprint: &Blueprint, settings: &Value) -> Mapping {
        let settings = SettingValues::from_json(settings);
        let plan = Plan::compile(blueprint, &settings).expect("settings that fit");
        let facts = Facts {
            message_id: "m-1".to_owned(),
            time: AT,
            time_source: TimeSource::Client,
            client_ip: None,
        };
        Mapping { plan, facts, received_at: AT, rows: Rows::default() }
    }

    fn default(settings: &Value) -> Mapping {
        let blueprint = Blueprint::built_in("default").expect("there").expect("right");
        Mapping::new(&blueprint, settings)
    }

    fn map(&mut self, event: &str) -> Mapped {
        let parsed: Option<Value> = serde_json::from_str(event).ok();
        let kind = parsed.and_then(|event| EventKind::parse(event["type"].as_str()?));
        let event = EventView {
            kind: kind.unwrap_or(EventKind::Track),
            facts: &self.facts,
            received_at: self.received_at,
            body: event.as_bytes(),
        };
        Mapper::new().map(&self.plan, &event, &mut self.rows)
    }

    /// The rows as `{"path", "body"}`, or what else became of the event.
    fn outcome(&mut self, event: &str) -> Value {
        match self.map(event) {
            Mapped::Send => self.bodies(),
            Mapped::Filtered { reason, .. } => json!({ "filtered": reason.as_str() }),
            Mapped::SetAside { code, .. } => json!({ "set_aside": code.as_str() }),
        }
    }

    fn bodies(&self) -> Value {
        let rows = self.rows.rows.iter().map(|row| {
            let body: Value =
                serde_json::from_slice(self.rows.body(row)).expect("a row that is JSON");
            json!({ "path": row.endpoint.path(), "body": body })
        });
        Value::Array(rows.collect())
    }
}

/// The bench events; none, with a note, where they are not there.
fn bench_lines() -> Option<String> {
    let shared = std::env::var("MILLRACE_SHARED")
        .unwrap_or_else(|_| format!("{}/../../../shared", env!("CARGO_MANIFEST_DIR")));
    let path = std::path::Path::new(&shared).join("bench/events-10k.jsonl");
    match std::fs::read_to_string(&path) {
        Ok(lines) => Some(lines),
        Err(_) if std::env::var("CI").as_deref() != Ok("true") => {
            println!("no {}: nothing to check here", path.display());
            None
        }
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// The seeds' mapping tables as data; none, with a note, when the folder is missing here.
fn mapping_tables() -> Option<Value> {
    let folder = std::env::var("MILLRACE_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").to_owned());
    let path = std::path::Path::new(&folder).join("reference/seed-mapping-tables.json");
    match std::fs::read(&path) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).expect("tables")),
        Err(error) => {
            let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
            assert!(!ci, "{}: {error}", path.display());
            None
        }
    }
}

/// A path in the shared folder; none, with a note, where it is not at hand, which only CI must have.
fn shared(path: &str) -> Option<std::path::PathBuf> {
    let shared = std::env::var_os("MILLRACE_SHARED").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        std::path::PathBuf::from,
    );
    let found = shared.join(path);
    if found.exists() {
        return Some(found);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", found.display());
    println!("skipped: there is no {}", found.display());
    None
}
