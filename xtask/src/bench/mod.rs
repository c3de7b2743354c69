//! `cargo xtask bench`: every benchmark with its limit or peer, in one table.
//!
//! Figures are taken on the machine that runs them, the load generator and the destination
//! included. Nothing here fails a test run: speed is shown as a ratio to its limit, and the command
//! ends with 1 when a limit is missed, for whoever wants to act on it.

mod admission;
mod cold_start;
mod mapping;
mod pipeline;
mod table;

use std::fs;
use std::process::Command;

use anyhow::Context as _;
use clap::Args;

use crate::process::{build_millrace, shared_folder};
use table::Row;

/// Arguments of `cargo xtask bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// Run only the benchmarks whose name contains this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,

    /// Events to send through the whole pipeline in each run.
    #[arg(long, value_name = "NUMBER", default_value_t = 400_000)]
    events: u64,

    /// Also send 5,000 events a second for this many seconds and watch the memory.
    #[arg(long, value_name = "SECONDS")]
    steady: Option<u64>,

    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

/// Runs this command again, compiled with optimisation.
fn optimised(arguments: impl Iterator<Item = String>) -> anyhow::Result<bool> {
    let status = Command::new("cargo")
        .args(["run", "--release", "--locked", "--quiet", "--package", "xtask", "--"])
        .args(arguments)
        .status()
        .context("cargo could not be started")?;
    Ok(status.success())
}

/// Runs the benchmarks; true when every limit is kept.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command for people")]
pub(crate) fn run(arguments: &BenchArguments) -> anyhow::Result<bool> {
    if cfg!(debug_assertions) {
        // The alias `cargo xtask` builds without optimisation: that would measure the wrong thing.
        return optimised(std::env::args().skip(1));
    }
    let path = shared_folder().join("bench/events-10k.jsonl");
    let text = fs::read_to_string(&path).with_context(|| {
        let path = path.display();
        format!("cannot read the benchmark events {path}: set MILLRACE_SHARED to their folder")
    })?;
    let events: Vec<&str> = text.lines().collect();
    let binary = build_millrace()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("runtime")?;

    let mut rows: Vec<Row> = Vec::new();
    let wanted = |name: &str| name.contains(&arguments.only);
    if wanted("mapping") {
        eprintln!("mapping ...");
        rows.extend(mapping::run(&events)?);
    }
    for case in admission::CASES {
        if wanted(case.name) {
            eprintln!("{} ...", case.name);
            let run = admission::run(case, &binary, &events, arguments.events);
            rows.extend(runtime.block_on(run)?);
        }
    }
    if let Some(seconds) = arguments.steady {
        eprintln!("steady ...");
        let span = std::time::Duration::from_secs(seconds);
        rows.extend(runtime.block_on(admission::steady(&binary, &events, 5_000, span))?);
    }
    for case in pipeline::CASES {
        if wanted(case.name) {
            eprintln!("{} ...", case.name);
            rows.extend(runtime.block_on(pipeline::run(
                case,
                &binary,
                &events,
                arguments.events,
            ))?);
        }
    }
    if wanted("cold start") {
        eprintln!("cold start ...");
        rows.push(runtime.block_on(cold_start::run(&binary, &events))?);
    }
    println!("{}", table::render(&rows));
    if arguments.json {
        println!("{}", table::json(&rows));
    }
    Ok(rows.iter().all(Row::is_kept))
}
