//! Mapping alone: three blueprints over the benchmark events, JSON in and JSON out; and how long all
//! built-in ones take to load.

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

/// What the blueprints of other systems must map, user agents read: fourteen times the faster peer.
const OTHERS_EVENTS_PER_CPU_SECOND: f64 = 150_000.0;

/// How long reading and compiling all that is built in may take.
const LOAD_MILLIS: f64 = 50.0;

/// Maps all events several times on one thread, with each of three blueprints, and loads all.
pub(crate) fn run(lines: &[&str]) -> anyhow::Result<Vec<Row>> {
    let events = lines.iter().map(|line| admitted(line)).collect::<anyhow::Result<Vec<_>>>()?;
    let (best, rows) = speed("default", &events)?;
    let mut found = vec![
        Row::new("mapping, default blueprint", best, "events/CPU-s", Limit::AtLeast(100_000.0)),
        Row::new(
            "mapping, times the faster peer (10 270)",
            best / PEER_EVENTS_PER_CPU_SECOND,
            "times",
            Limit::AtLeast(14.0),
        ),
        Row::new("mapping, rows of 10 000 events", rows as f64, "rows", Limit::None),
    ];
    for name in ["segment", "rudderstack"] {
        let (best, _) = speed(name, &events)?;
        let what = format!("mapping, {name} blueprint");
        let limit = Limit::AtLeast(OTHERS_EVENTS_PER_CPU_SECOND);
        found.push(Row::new(what, best, "events/CPU-s", limit));
    }
    let what = "mapping, load and compile of all built-ins";
    found.push(Row::new(what, load()?, "ms", Limit::AtMost(LOAD_MILLIS)));
    Ok(found)
}

/// The plan of a built-in blueprint, with its own settings.
fn plan(name: &str) -> anyhow::Result<Plan> {
    let blueprint = Blueprint::built_in(name).with_context(|| format!("no blueprint {name}"))?;
    let blueprint = blueprint.map_err(|mistakes| anyhow::anyhow!("{name}: {mistakes:?}"))?;
    Plan::compile(&blueprint, &SettingValues::default())
        .map_err(|mistakes| anyhow::anyhow!("{name}: {mistakes:?}"))
}

/// Reads and compiles every built-in blueprint and variant: the milliseconds of the fastest pass.
fn load() -> anyhow::Result<f64> {
    let mut best = f64::INFINITY;
    for _ in 0..PASSES {
        let start = own_cpu_seconds();
        for name in Blueprint::built_in_names() {
            plan(name)?;
        }
        best = best.min((own_cpu_seconds() - start) * 1000.0);
    }
    Ok(best)
}

/// Events a CPU second of the fastest pass, and the rows of one.
fn speed(name: &str, events: &[(EventKind, Facts, Vec<u8>)]) -> anyhow::Result<(f64, usize)> {
    let plan = plan(name)?;
    let mut mapper = Mapper::new();
    let mut out = Rows::default();
    let mut best = 0.0_f64;
    let mut rows = 0;
    for _ in 0..PASSES {
        let start = own_cpu_seconds();
        rows = 0;
        for (kind, facts, body) in events {
            out.clear();
            let received_at = UnixMillis(facts.time.0);
            let view = EventView { kind: *kind, facts, received_at, body };
            match mapper.map(&plan, &view, &mut out) {
                Mapped::Send => rows += out.rows.len(),
                // A blueprint of another system may have no place for a call.
                _ if name != "default" => {}
                other => bail!("{other:?}"),
            }
        }
        best = best.max(events.len() as f64 / (own_cpu_seconds() - start));
    }
    Ok((best, rows))
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
