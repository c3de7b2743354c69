//! The whole pipeline: HTTP in, synced before the answer, mapped, HTTP out to a sink.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, bail};

use super::table::{Limit, Row};
use crate::load::generator::{self, Load};
use crate::load::http::get_json;
use crate::load::sink;
use crate::load::template::Template;
use crate::process::Server;

const WRITE_KEY: &str = "bench-write-key";
const ADMIN_TOKEN: &str = "bench-admin-token";

/// A way to load the pipeline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// The name in the table.
    pub(crate) name: &'static str,
    events_per_request: usize,
    connections: usize,
    gzip: bool,
    /// Of the number of events asked for, how much this case sends.
    share: f64,
    at_least: Option<f64>,
}

/// The cases, the ones with limits first.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "pipeline, 100 events a request",
        events_per_request: 100,
        connections: 8,
        gzip: false,
        share: 1.0,
        at_least: Some(35_000.0),
    },
    Case {
        name: "pipeline, 100 events a request, gzip out",
        events_per_request: 100,
        connections: 8,
        gzip: true,
        share: 1.0,
        at_least: Some(35_000.0),
    },
    Case {
        name: "pipeline, 1 event a request, 64 connections",
        events_per_request: 1,
        connections: 64,
        gzip: false,
        share: 0.3,
        at_least: Some(12_000.0),
    },
];

/// The most resident memory that any case may need.
const MEMORY_LIMIT_MB: f64 = 150.0;

/// Runs one case.
pub(crate) async fn run(
    case: &Case,
    binary: &Path,
    events: &[&str],
    count: u64,
) -> anyhow::Result<Vec<Row>> {
    let (sink_address, seen) = sink::start().await?;
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("millrace.toml");
    std::fs::write(&config, configuration(folder.path(), &sink_address, case.gzip))?;
    let mut command = Command::new(binary);
    command.args(["serve", "--config"]).arg(&config);
    let server = Server::start(command)?;

    let templates = events
        .chunks(case.events_per_request)
        .map(|events| Template::batch(events, &server.collector, WRITE_KEY))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let load = Load {
        address: server.collector.clone(),
        templates: Arc::new(templates),
        connections: case.connections,
        first: 0,
        events: (count as f64 * case.share) as u64,
    };
    let start = tokio::time::Instant::now();
    let cpu_before = server.cpu()?;
    let accepted = generator::run(&load).await?;
    let accepted_after = start.elapsed().as_secs_f64();
    wait_until_drained(&server, accepted).await?;
    let drained_after = start.elapsed().as_secs_f64();
    let cpu = (server.cpu()? - cpu_before).as_secs_f64();
    let memory = server.peak_memory()? as f64 / 1e6;
    let stored = folder_size(&folder.path().join("data"))? as f64;
    let sent = accepted as f64;

    let limit = case.at_least.map_or(Limit::None, Limit::AtLeast);
    let name = |what: &str| format!("{}: {what}", case.name);
    Ok(vec![
        Row::new(name("accepted to delivered"), sent / drained_after, "events/s", limit),
        Row::new(name("accepted (synced)"), sent / accepted_after, "events/s", Limit::None),
        Row::new(name("ours"), sent / cpu, "events/CPU-s", Limit::None),
        Row::new(name("peak memory"), memory, "MB", Limit::AtMost(MEMORY_LIMIT_MB)),
        Row::new(name("log"), stored / sent, "bytes/event", Limit::None),
        Row::new(
            name("sent to the sink"),
            seen.bytes.load(Ordering::Relaxed) as f64 / sent,
            "bytes/event",
            Limit::None,
        ),
    ])
}

fn configuration(folder: &Path, sink: &str, gzip: bool) -> String {
    let data = folder.join("data");
    let data = data.display();
    format!(
        r#"data_dir = "{data}"

[server]
collect = "127.0.0.1:0"
manage = "127.0.0.1:0"
admin_token = "{ADMIN_TOKEN}"

[[pipelines]]
id = "bench"
write_keys = ["{WRITE_KEY}"]

[[integrations]]
id = "sink"
pipeline = "bench"
token = "bench-token"
url = "http://{sink}"
blueprint = "default"
gzip = {gzip}
"#
    )
}

async fn wait_until_drained(server: &Server, accepted: u64) -> anyhow::Result<()> {
    let give_up = tokio::time::Instant::now() + std::time::Duration::from_secs(300);
    loop {
        let ledger = get_json(&server.management, "/api/v1/ledger", Some(ADMIN_TOKEN)).await?;
        let sums = ledger.pointer("/ledger/0/sums").context("ledger")?;
        let events = |key: &str| sums.pointer(&format!("/{key}/events")).and_then(|n| n.as_u64());
        if events("received") >= Some(accepted) && events("pending") == Some(0) {
            if events("delivered") != Some(accepted) {
                bail!("not everything was delivered: {sums}");
            }
            return Ok(());
        }
        if tokio::time::Instant::now() > give_up {
            bail!("not drained in five minutes: {sums}");
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

fn folder_size(folder: &Path) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        sum += if meta.is_dir() { folder_size(&entry.path())? } else { meta.len() };
    }
    Ok(sum)
}
