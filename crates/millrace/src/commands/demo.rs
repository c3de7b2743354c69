//! `millrace demo`: pipeline and twin on loopback, sample traffic through the collector's own door,
//! and the ledger that adds up.

use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use millrace_model::ledger::LedgerSums;
use millrace_model::time::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::check;
use super::stop_request::StopRequest;
use crate::app::{Addresses, App};
use crate::cli::DemoArguments;
use crate::config::Config;
use crate::demo::feed::{Fed, Feed};
use crate::demo::traffic;
use crate::exit::{Failure, Outcome};
use crate::lines::{EventFile, Line};

const WRITE_KEY: &str = "dev-write-key";
/// Where the demo listens when that is free, so that what people type keeps working.
const USUAL_PORTS: (u16, u16) = (8080, 8081);
/// When this long nothing was delivered, `--once` gives up and says what is still open.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the bar looks how far delivery is.
const LOOK: Duration = Duration::from_millis(200);

/// Runs the demo.
pub(super) fn run(arguments: &DemoArguments) -> Result<Outcome, Failure> {
    let source = Source::open(arguments)?;
    super::runtime()?.block_on(async {
        // First of all: once there is a folder, only an end in order removes it.
        let stop = StopRequest::listen();
        // Removed when this block ends, whichever way.
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
        demonstrate(arguments, source, &data, &stop).await
    })
}

async fn demonstrate(
    arguments: &DemoArguments,
    source: Source,
    data: &Path,
    stop: &StopRequest,
) -> Result<Outcome, Failure> {
    let app = start(data, !arguments.once).await?;
    let addresses = app.addresses();
    if !arguments.json {
        super::print_line(&welcome(&addresses))?;
    }
    let client = reqwest::Client::builder().no_proxy().build().map_err(Failure::internal)?;
    let mut feed = Feed::new(client.clone(), &format!("http://{}", addresses.collector), WRITE_KEY);
    let bar = progress_bar();
    let work = async {
        source.feed(&mut feed, &bar).await?;
        deliver(&app, &bar).await;
        Ok::<(), Failure>(())
    };
    let finished = stop.unless_asked(work).await;
    bar.finish_and_clear();
    let finished = finished.transpose()?.is_some();

    let ledger = total(&app);
    if finished || arguments.once {
        let twin = twin_summary(&client, &addresses).await?;
        if arguments.json {
            super::print_line(&to_json(&ledger, &twin).to_string())?;
        } else {
            super::print_line(&table(&ledger, feed.fed(), &twin))?;
        }
    }
    if !arguments.once && finished {
        // With --json the last line is the ledger.
        if !arguments.json {
            super::print_line(&invitation(&addresses, arguments.data.as_deref()))?;
        }
        stop.wait().await;
    }
    app.stop().await;
    verdict(&ledger, arguments.once, finished)
}

/// Waits until everything has its final state, or nothing moves any more.
async fn deliver(app: &App, bar: &ProgressBar) {
    bar.set_message("delivering");
    let received = total(app).received.events;
    bar.set_length(received);
    let drained = app.drained();
    tokio::pin!(drained);
    let (mut open, mut quiet) = (u64::MAX, Duration::ZERO);
    while quiet < PATIENCE {
        match tokio::time::timeout(LOOK, &mut drained).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => {
                tracing::error!("{error:#}");
                return;
            }
            Err(_) => {
                let now = total(app).pending.events;
                bar.set_position(received.saturating_sub(now));
                quiet = if now < open { Duration::ZERO } else { quiet + LOOK };
                open = now;
            }
        }
    }
}

/// Starts on the usual ports, or on any others when one of those is taken or nobody will type them.
async fn start(data: &Path, usual: bool) -> Result<App, Failure> {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let free = |port| std::net::TcpListener::bind(loopback(port)).is_ok();
    let (collect, twin) = match USUAL_PORTS {
        (collect, twin) if usual && free(collect) && free(twin) => (collect, twin),
        _ => (0, 0),
    };
    let config = Config::dev(loopback(collect), loopback(twin), data.to_path_buf())
        .map_err(|mistakes| Failure::internal(anyhow::anyhow!("{mistakes:?}")))?;
    let plans = check::plans(&config)
        .map_err(|mistakes| Failure::internal(anyhow::anyhow!("{mistakes:?}")))?;
    App::start(&config, plans, None).await
}

/// Where the events come from.
enum Source {
    Shop { seed: u64 },
    File { path: PathBuf, file: EventFile },
}

impl Source {
    fn open(arguments: &DemoArguments) -> Result<Source, Failure> {
        let Some(path) = &arguments.events else {
            return Ok(Source::Shop { seed: arguments.seed });
        };
        let file = EventFile::open(path).map_err(|error| unreadable(path, error))?;
        Ok(Source::File { path: path.clone(), file })
    }

    async fn feed(self, feed: &mut Feed, bar: &ProgressBar) -> Result<(), Failure> {
        match self {
            Source::Shop { seed } => {
                let events: Vec<String> =
                    traffic::events(seed, SystemClock::default().now()).collect();
                bar.set_length(events.len() as u64);
                for event in events {
                    feed.push(event.as_bytes()).await.map_err(Failure::internal)?;
                    show(bar, feed);
                }
            }
            Source::File { path, file } => {
                bar.set_length(file.events().unwrap_or(0));
                let mut lines = file.read().map_err(Failure::internal)?;
                while let Some(line) = lines.recv().await {
                    match line.map_err(|error| unreadable(&path, error))? {
                        Line::Event(event) => {
                            feed.push(&event).await.map_err(Failure::internal)?;
                        }
                        Line::TooLong { number } => {
                            tracing::warn!(
                                line = number,
                                "longer than any body the collector takes"
                            );
                            feed.refuse();
                        }
                    }
                    show(bar, feed);
                }
            }
        }
        feed.finish().await.map_err(Failure::internal)?;
        show(bar, feed);
        Ok(())
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Failure {
    Failure::usage(anyhow::Error::new(error).context(super::unreadable(path)))
}

fn show(bar: &ProgressBar, feed: &Feed) {
    let Fed { accepted, refused } = feed.fed();
    let sent = accepted + refused;
    if bar.length().is_some_and(|length| length < sent) {
        bar.set_length(sent);
    }
    bar.set_position(sent);
}

fn progress_bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) =
        ProgressStyle::with_template("{msg:<11} {wide_bar} {pos}/{len} events, {rate}/s")
    {
        let rate = |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:.0}", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate));
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

/// Fine only if nothing is unaccounted and, with `--once`, everything was sent and delivered.
fn verdict(ledger: &LedgerSums, once: bool, finished: bool) -> Result<Outcome, Failure> {
    let pending = ledger.pending.events;
    let failure = |outcome, error| Err(Failure { outcome, error });
    if ledger.unaccounted() != 0 {
        let error =
            anyhow::anyhow!("{} events are unaccounted: this is a bug", ledger.unaccounted());
        return failure(Outcome::Internal, error);
    }
    if once && !finished {
        let error = anyhow::anyhow!(
            "asked to stop before everything was sent and delivered; {pending} events are open"
        );
        return failure(Outcome::NotDrained, error);
    }
    if once && pending > 0 {
        let error = anyhow::anyhow!(
            "{pending} events are open and nothing moves: run it again with -v to see why"
        );
        return failure(Outcome::NotDrained, error);
    }
    Ok(Outcome::Fine)
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
        lines.push(format!("  not received: {}, which the collector refused to take", fed.refused));
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

fn invitation(addresses: &Addresses, data: Option<&Path>) -> String {
    let twin = addresses.twin.map(|twin| twin.to_string()).unwrap_or_default();
    let rest = match data {
        Some(folder) => format!("the data stays in {}", folder.display()),
        None => "nothing stays behind".to_owned(),
    };
    format!(
        "
Look at
  http://{twin}/twin/v1/projects/1/summary
  http://{twin}/twin/v1/projects/1/events?limit=20

Send one of your own
  curl http://{}/v1/track -u {WRITE_KEY}: \\
    -d '{{\"userId\":\"me\",\"event\":\"Hello\"}}'
  curl http://{twin}/twin/v1/projects/1/users/me

Ctrl-C stops it all; {rest}.",
        addresses.collector
    )
}
