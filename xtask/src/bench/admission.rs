//! Admission and log alone: HTTP in, decoded, judged, synced, answered. No integration, so nothing
//! is mapped or sent.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

use super::table::{Limit, Row};
use crate::load::generator::{self, Load};
use crate::load::template::Template;
use crate::process::Server;

const WRITE_KEY: &str = "bench-write-key";

/// A way to load the door.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// The name in the table.
    pub(crate) name: &'static str,
    events_per_request: usize,
    connections: usize,
    /// Of the number of events asked for, how much this case sends.
    share: f64,
    at_least: f64,
}

/// The cases.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "admission, 100 events a request",
        events_per_request: 100,
        connections: 8,
        share: 3.0,
        at_least: 70_000.0,
    },
    Case {
        name: "admission, 1 event a request, 64 connections",
        events_per_request: 1,
        connections: 64,
        share: 0.6,
        at_least: 20_000.0,
    },
];

/// The peak of the last quarter of a steady run must not be above that of the one before by more.
const GROWTH_LIMIT_MB: f64 = 4.0;

/// Runs one case.
pub(crate) async fn run(
    case: &Case,
    binary: &Path,
    events: &[&str],
    count: u64,
) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let sync = sync_p50(folder.path())?;
    let server = start(binary, folder.path())?;
    let load = load(&server, events, case, (count as f64 * case.share) as u64)?;
    let start = Instant::now();
    let cpu_before = server.cpu()?;
    let accepted = generator::run(&load).await? as f64;
    let seconds = start.elapsed().as_secs_f64();
    let cpu = (server.cpu()? - cpu_before).as_secs_f64();
    let name = |what: &str| format!("{}: {what}", case.name);
    let limit = Limit::AtLeast(case.at_least);
    Ok(vec![
        Row::new(name("accepted (synced)"), accepted / seconds, "events/s", limit),
        Row::new(name("ours"), cpu * 1e6 / accepted, "CPU-us/event", Limit::None),
        Row::new(name("p50 of one sync of 16 KiB"), sync, "ms", Limit::None),
        Row::new(name("peak memory"), server.peak_memory()? as f64 / 1e6, "MB", Limit::None),
    ])
}

/// Sends at a fixed pace and watches the memory of the process.
///
/// The message ids of a pipeline are remembered up to a cap, so memory grows until that is reached
/// (a million ids) and then goes up and down by about 7 MB, since they are forgotten in fifths: the
/// peaks of the last two quarters are what is judged.
pub(crate) async fn steady(
    binary: &Path,
    events: &[&str],
    per_second: u64,
    span: Duration,
) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let server = start(binary, folder.path())?;
    let case = CASES.first().map(|case| Case { connections: 4, ..*case }).context("no case")?;
    let start = Instant::now();
    let (mut sent, mut most_late) = (0, Duration::ZERO);
    let mut memory = Vec::new();
    // A second's events in one go, then a look at the memory.
    for second in 0..span.as_secs() {
        let mut load = load(&server, events, &case, per_second)?;
        load.first = sent;
        sent += generator::run(&load).await?;
        let resident = server.resident_memory()? as f64 / 1e6;
        memory.push(resident);
        let due = Duration::from_secs(second + 1);
        match due.checked_sub(start.elapsed()) {
            Some(left) => tokio::time::sleep(left).await,
            None => most_late = most_late.max(start.elapsed() - due),
        }
    }
    let peak = |from: usize, to: usize| {
        let part = memory.get(from..to).unwrap_or_default();
        part.iter().copied().fold(0.0, f64::max)
    };
    let (half, three) = (memory.len() / 2, memory.len() * 3 / 4);
    let (before, after) = (peak(half, three), peak(three, memory.len()));
    let name =
        |what: &str| format!("steady, {per_second} events/s for {} s: {what}", span.as_secs());
    Ok(vec![
        Row::new(name("sent"), sent as f64, "events", Limit::None),
        Row::new(name("behind the pace at most"), most_late.as_secs_f64(), "s", Limit::None),
        Row::new(name("memory, most in the third quarter"), before, "MB", Limit::None),
        Row::new(name("memory, most in the fourth quarter"), after, "MB", Limit::None),
        Row::new(name("growth"), (after - before).max(0.0), "MB", Limit::AtMost(GROWTH_LIMIT_MB)),
    ])
}

fn start(binary: &Path, folder: &Path) -> anyhow::Result<Server> {
    let config = folder.join("millrace.toml");
    let data = folder.join("data");
    let text = format!(
        "data_dir = \"{}\"\n[server]\ncollect = \"127.0.0.1:0\"\nmanage = \"127.0.0.1:0\"\n\
         admin_token = \"bench-admin-token\"\n[[pipelines]]\nid = \"bench\"\n\
         write_keys = [\"{WRITE_KEY}\"]\n",
        data.display()
    );
    std::fs::write(&config, text)?;
    let mut command = Command::new(binary);
    command.args(["serve", "--config"]).arg(&config);
    Server::start(command)
}

fn load(server: &Server, events: &[&str], case: &Case, count: u64) -> anyhow::Result<Load> {
    let templates = events
        .chunks(case.events_per_request)
        .map(|events| Template::batch(events, &server.collector, WRITE_KEY))
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Load {
        address: server.collector.clone(),
        templates: Arc::new(templates),
        connections: case.connections,
        first: 0,
        events: count,
    })
}

/// The median of 200 appends of 16 KiB, each synced, in milliseconds: what the disk costs before
/// any code of ours.
fn sync_p50(folder: &Path) -> anyhow::Result<f64> {
    let mut file = std::fs::File::create(folder.join("sync"))?;
    let block = [7_u8; 16 << 10];
    let mut spans = Vec::new();
    for _ in 0..200 {
        file.write_all(&block)?;
        let start = Instant::now();
        file.sync_data()?;
        spans.push(start.elapsed().as_secs_f64() * 1e3);
    }
    spans.sort_by(f64::total_cmp);
    spans.get(spans.len() / 2).copied().context("no syncs")
}
