//! How fast a blueprint maps (the `default` one unless another is named): events per CPU second, JSON in and out included.
//!
//! `cargo run --release -p millrace-blueprint --example mapping_speed -- events.jsonl [passes] [blueprint] [settings as JSON]`

use std::error::Error;
use std::time::Duration;

use millrace_blueprint::{Blueprint, EventView, Mapper, Plan, SettingValues};
use millrace_model::event::{EventKind, Facts, TimeSource};
use millrace_model::row::{Mapped, Rows};
use millrace_model::time::UnixMillis;
use serde::Deserialize;

/// What the collector knows about an event before it is mapped.
#[derive(Deserialize)]
struct Envelope<'a> {
    r#type: &'a str,
    #[serde(rename = "messageId")]
    message_id: String,
    timestamp: &'a str,
}

fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[expect(clippy::print_stdout, reason = "an example reports on standard output")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("give the path of a file with one event a line")?;
    let passes: usize = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let text = std::fs::read_to_string(path)?;
    let mut events = Vec::new();
    for line in text.lines() {
        let envelope: Envelope<'_> = serde_json::from_str(line)?;
        let kind = EventKind::parse(envelope.r#type).ok_or("an event of an unknown type")?;
        let time = UnixMillis::parse(envelope.timestamp).ok_or("an unreadable timestamp")?;
        let facts = Facts {
            message_id: envelope.message_id,
            time,
            time_source: TimeSource::Client,
            client_ip: None,
        };
        events.push((kind, facts, line.as_bytes()));
    }
    let name = arguments.next().unwrap_or_else(|| "default".to_owned());
    let blueprint = Blueprint::built_in(&name).ok_or("no such blueprint")?.map_err(|_| "broken")?;
    let settings: serde_json::Value =
        arguments.next().map_or(Ok(serde_json::Value::Null), |text| serde_json::from_str(&text))?;
    let settings = SettingValues::from_json(&settings);
    let plan = Plan::compile(&blueprint, &settings).map_err(|_| "settings")?;
    let mut mapper = Mapper::new();
    let mut rows = Rows::default();
    let mut best = 0.0_f64;
    for pass in 0..=passes {
        let start = cpu_time();
        let (mut sent, mut set_aside, mut bytes, mut written) = (0, 0, 0, 0);
        for (kind, facts, body) in &events {
            let event = EventView { kind: *kind, facts, received_at: facts.time, body };
            match mapper.map(&plan, &event, &mut rows) {
                Mapped::Send => sent += 1,
                Mapped::SetAside { .. } => set_aside += 1,
                Mapped::Filtered { .. } => {}
            }
            bytes += rows.bytes.len();
            written += rows.rows.len();
        }
        let spent = (cpu_time() - start).as_secs_f64();
        let speed = f64::from(u32::try_from(events.len())?) / spent;
        if pass > 0 {
            best = best.max(speed);
        }
        println!(
            "pass {pass}: {speed:.0} events per CPU second; {sent} sent, {set_aside} set aside, \
             {written} rows, {bytes} bytes"
        );
    }
    println!("best: {best:.0} events per CPU second");
    Ok(())
}
