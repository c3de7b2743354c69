//! Mapping alone: the `default` blueprint over the benchmark events, JSON in and JSON out.

use anyhow::{Context as _, bail};
use millrace_blueprint::{Blueprint, EventView, Mapper, Plan, SettingValues};
use millrace_model::event::{EventKind, Facts, TimeSource};
use millrace_model::row::{Mapped, Rows};
use millrace_model::time::UnixMillis;

use super::table::{Limit, Row};
use crate::process::own_cpu_seconds;

/// What the fastest peer maps on a quiet core (rudder-transformer 1.145.0; DESIGN section 7).
const PEER_EVENTS_PER_CPU_SECOND: f64 = 10_270.0;
const PASSES: usize = 5;

/// Maps all events several times on one thread.
pub(crate) fn run(lines: &[&str]) -> anyhow::Result<Vec<Row>> {
    let blueprint = Blueprint::built_in("default").context("no default blueprint")?;
    let plan = blueprint
        .and_then(|blueprint| Plan::compile(&blueprint, &SettingValues::default()))
        .map_err(|mistakes| anyhow::anyhow!("{mistakes:?}"))?;
    let events = lines.iter().map(|line| admitted(line)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut mapper = Mapper::new();
    let mut out = Rows::default();
    let mut best = 0.0_f64;
    let mut rows = 0;
    for _ in 0..PASSES {
        let start = own_cpu_seconds();
        rows = 0;
        for (kind, facts, body) in &events {
            out.clear();
            let received_at = UnixMillis(facts.time.0);
            let view = EventView { kind: *kind, facts, received_at, body };
            match mapper.map(&plan, &view, &mut out) {
                Mapped::Send => rows += out.rows.len(),
                other => bail!("{other:?}"),
            }
        }
        best = best.max(events.len() as f64 / (own_cpu_seconds() - start));
    }
    Ok(vec![
        Row::new("mapping, default blueprint", best, "events/CPU-s", Limit::AtLeast(100_000.0)),
        Row::new(
            "mapping, times the faster peer (10 270)",
            best / PEER_EVENTS_PER_CPU_SECOND,
            "times",
            Limit::AtLeast(14.0),
        ),
        Row::new("mapping, rows of 10 000 events", rows as f64, "rows", Limit::None),
    ])
}

/// What admission makes of a line; outside the measured part.
fn admitted(line: &str) -> anyhow::Result<(EventKind, Facts, Vec<u8>)> {
    let event: serde_json::Value = serde_json::from_str(line)?;
    let text = |key: &str| event.get(key).and_then(serde_json::Value::as_str);
    let kind = text("type").and_then(EventKind::parse).context("type")?;
    let facts = Facts {
        message_id: text("messageId").context("messageId")?.to_owned(),
        time: text("timestamp").and_then(UnixMillis::parse).context("timestamp")?,
        time_source: TimeSource::Client,
        client_ip: None,
    };
    Ok((kind, facts, line.as_bytes().to_vec()))
}
