//! `millrace demo`: pipeline and twin on loopback, sample traffic through the collector's own door,
//! and the ledger that adds up.

use std::fs::File;
use std::io::{BufRead as _, BufReader, IsTerminal as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use millrace_model::ledger::LedgerSums;
use millrace_model::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::check;
use crate::app::{Addresses, App};
use crate::cli::DemoArguments;
use crate::config::Config;
use crate::demo::feed::{Fed, Feed};
use crate::demo::traffic;
use crate::exit::{Failure, Outcome};

const WRITE_KEY: &str = "dev-write-key";
/// Where the demo listens when that is free, so that what people type keeps working.
const USUAL_PORTS: (u16, u16) = (8080, 8081);
/// Without progress for this long, `--once` gives up and says what is still open.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs the demo.
pub(super) fn run(arguments: &DemoArguments) -> Result<Outcome, Failure> {
    let source = Source::open(arguments)?;
    // Removed when this function ends, whichever way.
    let (data, _temporary) = match &arguments.data {
        Some(folder) => (folder.clone(), None),
        None => {
            let folder = tempfile::Builder::new()
                .prefix("millrace-demo-")
                .tempdir()
                .context("cannot make a temporary folder")
                .map_err(Failure::unavailable)?;
            (folder.path().to_path_buf(), Some(folder))
        }
    };
    super::runtime()?.block_on(demonstrate(arguments, source, &data))
}

async fn demonstrate(
    arguments: &DemoArguments,
    source: Source,
    data: &Path,
) -> Result<Outcome, Failure> {
    let app = start(data, !arguments.once).await?;
    let addresses = app.addresses();
    if !arguments.json {
        super::print_line(&welcome(&addresses))?;
    }
    let client = reqwest::Client::builder().no_proxy().build().map_err(Failure::internal)?;
    let feed = Feed::new(client.clone(), &format!("http://{}", addresses.collector), WRITE_KEY);
    let bar = progress_bar(source.len());
    let fed = source.feed(&feed, &bar).await?;
    bar.set_message("delivering");
    let drained = tokio::time::timeout(PATIENCE, app.drained()).await;
    bar.finish_and_clear();
    if let Ok(Err(error)) = &drained {
        tracing::error!("{error:#}");
    }

    let ledger = total(&app);
    let twin = twin_summary(&client, &addresses).await?;
    let outcome = verdict(&ledger);
    if arguments.json {
        super::print_line(&to_json(&ledger, &twin).to_string())?;
    } else {
        super::print_line(&table(&ledger, fed, &twin))?;
    }
    if !arguments.once {
        super::print_line(&invitation(&addresses))?;
        super::asked_to_stop().await;
    }
    app.stop().await;
    Ok(outcome)
}

/// Starts on the usual ports, and on any others when those are taken or nobody will type them.
async fn start(data: &Path, usual: bool) -> Result<App, Failure> {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let attempts = [usual.then_some(USUAL_PORTS), Some((0, 0))];
    let mut last = None;
    for (collect, twin) in attempts.into_iter().flatten() {
        let config = Config::dev(loopback(collect), loopback(twin), data.to_path_buf())
            .map_err(|mistakes| Failure::internal(anyhow::anyhow!("{mistakes:?}")))?;
        let plans = check::plans(&config)
            .map_err(|mistakes| Failure::internal(anyhow::anyhow!("{mistakes:?}")))?;
        match App::start(&config, plans).await {
            Ok(app) => return Ok(app),
            Err(failure) => last = Some(failure),
        }
    }
    Err(last.unwrap_or_else(|| Failure::internal(anyhow::anyhow!("nothing was tried"))))
}

/// Where the events come from.
enum Source {
    Shop { seed: u64 },
    File { path: PathBuf, lines: u64 },
}

impl Source {
    fn open(arguments: &DemoArguments) -> Result<Source, Failure> {
        let Some(path) = &arguments.events else {
            return Ok(Source::Shop { seed: arguments.seed });
        };
        let count = || -> anyhow::Result<u64> {
            Ok(BufReader::new(File::open(path)?).lines().count() as u64)
        };
        let lines = count()
            .with_context(|| format!("cannot read {}", path.display()))
            .map_err(Failure::usage)?;
        Ok(Source::File { path: path.clone(), lines })
    }

    fn len(&self) -> Option<u64> {
        match self {
            Source::Shop { .. } => None,
            Source::File { lines, .. } => Some(*lines),
        }
    }

    async fn feed(&self, feed: &Feed, bar: &ProgressBar) -> Result<Fed, Failure> {
        let progress = |sent| bar.set_position(sent);
        match self {
            Source::Shop { seed } => {
                let events: Vec<String> =
                    traffic::events(*seed, SystemClock::default().now()).collect();
                bar.set_length(events.len() as u64);
                feed.send(events.iter().map(String::as_str), progress).await
            }
            Source::File { path, .. } => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))
                    .map_err(Failure::usage)?;
                let lines = text.lines().filter(|line| !line.trim().is_empty());
                feed.send(lines, progress).await
            }
        }
        .map_err(Failure::internal)
    }
}

fn progress_bar(length: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::new(length.unwrap_or(0));
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) =
        ProgressStyle::with_template("{msg:<11} {wide_bar} {pos}/{len} events, {per_sec}")
    {
        bar.set_style(style);
    }
    bar.with_message("sending")
}

/// The sums of all integrations; the demo has one.
fn total(app: &App) -> LedgerSums {
    app.ledgers().into_iter().map(|(_, sums)| sums).next().unwrap_or_default()
}

async fn twin_summary(client: &reqwest::Client, addresses: &Addresses) -> Result<Value, Failure> {
    let Some(twin) = addresses.twin else { return Ok(Value::Null) };
    let answer = async {
        let url = format!("http://{twin}/twin/v1/projects/1/summary");
        let text = client.get(url).send().await?.error_for_status()?.text().await?;
        anyhow::Ok(serde_json::from_str(&text)?)
    };
    answer.await.context("the twin does not answer").map_err(Failure::internal)
}

/// 0 only if everything was accounted for and nothing is open.
fn verdict(ledger: &LedgerSums) -> Outcome {
    if ledger.unaccounted() != 0 {
        Outcome::Internal
    } else if ledger.pending.events > 0 {
        Outcome::NotDrained
    } else {
        Outcome::Fine
    }
}

/// The object of the contract (DESIGN section 8).
fn to_json(ledger: &LedgerSums, twin: &Value) -> Value {
    let count = |name: &str| twin.get(name).and_then(Value::as_u64).unwrap_or(0);
    json!({
        "received": ledger.received.events,
        "delivered": ledger.delivered.events,
        "filtered": ledger.filtered.events,
        "duplicates": ledger.duplicates.events,
        "set_aside": ledger.set_aside.events,
        "rejected": ledger.rejected.events,
        "dead": ledger.dead.events,
        "pending": ledger.pending.events,
        "unaccounted": ledger.unaccounted(),
        "twin": {
            "events": count("events"),
            "profiles": count("profiles"),
            "groups": count("groups"),
        },
    })
}

fn table(ledger: &LedgerSums, fed: Fed, twin: &Value) -> String {
    let mut lines = vec![String::new(), "Ledger".to_owned()];
    for (name, events) in [
        ("received", ledger.received.events),
        ("delivered", ledger.delivered.events),
        ("filtered", ledger.filtered.events),
        ("duplicates", ledger.duplicates.events),
        ("set aside", ledger.set_aside.events),
        ("rejected", ledger.rejected.events),
        ("dead", ledger.dead.events),
        ("pending", ledger.pending.events),
    ] {
        lines.push(format!("  {name:<12} {events:>9}"));
    }
    lines.push(format!("  {:<12} {:>9}", "unaccounted", ledger.unaccounted()));
    for (code, events) in &ledger.by_code {
        lines.push(format!("  {:<12} {events:>9}  {code}", ""));
    }
    if fed.refused > 0 {
        lines.push(format!("  {} events were in requests that the collector refused", fed.refused));
    }
    lines.push(String::new());
    lines.push("Twin of Mixpanel".to_owned());
    for name in ["events", "users", "profiles", "groups"] {
        let count = twin.get(name).and_then(Value::as_u64).unwrap_or(0);
        lines.push(format!("  {name:<12} {count:>9}"));
    }
    lines.join("\n")
}

fn welcome(addresses: &Addresses) -> String {
    let twin = addresses.twin.map(|twin| format!("http://{twin}")).unwrap_or_default();
    format!(
        "Millrace demo\n  collector    http://{}  (write key {WRITE_KEY})\n  twin         {twin}",
        addresses.collector
    )
}

fn invitation(addresses: &Addresses) -> String {
    let twin = addresses.twin.map(|twin| twin.to_string()).unwrap_or_default();
    format!(
        "
Look at
  http://{twin}/twin/v1/projects/1/summary
  http://{twin}/twin/v1/projects/1/events?limit=20

Send one of your own
  curl http://{}/v1/track -u {WRITE_KEY}: -d '{{\"userId\":\"me\",\"event\":\"Hello\"}}'
  curl http://{twin}/twin/v1/projects/1/users/me

Ctrl-C stops it all; nothing stays behind.",
        addresses.collector
    )
}
