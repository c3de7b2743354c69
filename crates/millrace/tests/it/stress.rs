//! Unmodified SDKs, with the retries that they come with, against a collector in trouble.
//!
//! The collector is the real router on a real socket; behind it stands an intake that refuses the
//! first batches as the log does under overload or with a full disk. Every good event must arrive,
//! in a number of requests that shows that nothing loops.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helper functions of tests"
)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{self, Next};
use millrace_http::{CollectorOptions, PipelineOptions, collector, serve, server::ServeOptions};
use millrace_model::entropy::SystemEntropy;
use millrace_model::event::{Batch, Item};
use millrace_model::id::Seq;
use millrace_model::intake::{AdmitError, AdmitFuture, Admitted, Intake};
use millrace_model::secret::Secret;
use millrace_model::time::SystemClock;
use serde_json::Value;

use crate::packages::{npm_packages, python_packages};

const KEY: &str = "stress-write-key";
/// Enough for several batches of ten.
const EVENTS: usize = 40;
/// One event in the middle is larger than this.
const EVENT_BYTES: usize = 16 << 10;

/// An intake that refuses for a while, and then keeps what it is given.
#[derive(Default)]
struct Weather {
    /// What is refused next, the first at the end.
    refusals: Mutex<Vec<AdmitError>>,
    batches: Mutex<Vec<Batch>>,
}

impl Intake for Weather {
    fn admit(&self, batch: Batch) -> AdmitFuture<'_> {
        Box::pin(async move {
            if let Some(refusal) = self.refusals.lock().expect("no panic").pop() {
                return Err(refusal);
            }
            let events = u32::try_from(batch.items.len()).unwrap_or(u32::MAX);
            self.batches.lock().expect("no panic").push(batch);
            Ok(Admitted { seq: Seq(1), events, duplicates: 0, set_aside: 0 })
        })
    }

    fn ready(&self) -> Result<(), AdmitError> {
        Ok(())
    }
}

/// A collector on a socket, and what came in.
struct Collector {
    address: SocketAddr,
    weather: Arc<Weather>,
    requests: Arc<AtomicUsize>,
    _runtime: tokio::runtime::Runtime,
}

impl Collector {
    fn start(refusals: Vec<AdmitError>) -> Collector {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let weather = Arc::new(Weather { refusals: Mutex::new(refusals), ..Weather::default() });
        let requests = Arc::new(AtomicUsize::new(0));
        let mut options = CollectorOptions {
            pipelines: vec![PipelineOptions {
                write_keys: vec![Secret::new(KEY).into()],
                ..PipelineOptions::new("stress".parse().expect("a name"))
            }],
            ..CollectorOptions::default()
        };
        options.limits.event_bytes = EVENT_BYTES;
        let counted = Arc::clone(&requests);
        let router = collector(
            options,
            Arc::clone(&weather) as Arc<dyn Intake>,
            Arc::new(SystemClock::default()),
            Arc::new(SystemEntropy),
        )
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            counted.fetch_add(1, Ordering::Relaxed);
            next.run(request)
        }));
        let address = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            tokio::spawn(serve(listener, router, ServeOptions::default(), std::future::pending()));
            address
        });
        Collector { address, weather, requests, _runtime: runtime }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The message ids of the events, and how many items were set aside.
    fn stored(&self) -> (BTreeSet<String>, usize) {
        let (mut ids, mut aside) = (BTreeSet::new(), 0);
        for item in self.weather.batches.lock().expect("no panic").iter().flat_map(|b| &b.items) {
            match item {
                Item::Event(event) => {
                    ids.insert(event.facts.message_id.clone());
                }
                Item::SetAside(_) => aside += 1,
                other => panic!("{other:?}"),
            }
        }
        (ids, aside)
    }
}

/// The command that sends with an SDK to a collector, by its address and a write key.
type Driver = fn(&str, &str) -> Command;

/// The SDKs, each with its name.
fn sdks() -> [(&'static str, Driver); 4] {
    fn node(sdk: &str, url: &str, key: &str) -> Command {
        let mut command = Command::new("node");
        command.arg(npm_packages("sdk/node").join("stress.mjs")).args([sdk, url, key]);
        command
    }
    fn python(sdk: &str, url: &str, key: &str) -> Command {
        let folder = python_packages();
        let mut command = Command::new("python3");
        command
            .arg(folder.join("stress_driver.py"))
            .args([sdk, url, key])
            .env("PYTHONPATH", folder.join("packages"));
        command
    }
    [
        ("segment", |url, key| node("segment", url, key)),
        ("rudder", |url, key| node("rudder", url, key)),
        ("segment", |url, key| python("segment", url, key)),
        ("rudder", |url, key| python("rudder", url, key)),
    ]
}

/// Runs one SDK to its end; gives the errors that it reported.
fn send(mut command: Command) -> Vec<Value> {
    let output = command
        .arg(EVENTS.to_string())
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .stdin(Stdio::null())
        .output()
        .expect("the driver starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    let line = output.stdout.split(|byte| *byte == b'\n').rfind(|line| !line.is_empty());
    let report: Value = line
        .and_then(|line| serde_json::from_slice(line).ok())
        .unwrap_or_else(|| panic!("{}: {errors}", output.status));
    report["errors"].as_array().expect("errors").clone()
}

/// Runs all SDKs side by side, each against a collector of its own.
fn each_sdk(refusals: &[AdmitError], key: &str, check: impl Fn(&str, &Collector, &[Value]) + Sync) {
    std::thread::scope(|scope| {
        for (place, (sdk, command)) in sdks().into_iter().enumerate() {
            let check = &check;
            scope.spawn(move || {
                let collector = Collector::start(refusals.to_vec());
                let errors = send(command(&collector.url(), key));
                let name = format!("{sdk} {}", if place < 2 { "node" } else { "python" });
                check(&name, &collector, &errors);
            });
        }
    });
}

fn everything_good_arrived(name: &str, collector: &Collector, most_requests: usize) {
    let (ids, aside) = collector.stored();
    assert_eq!(ids.len(), EVENTS - 1, "{name}: {ids:?}");
    assert!(aside >= 1, "{name}: the large event was not set aside");
    let requests = collector.requests.load(Ordering::Relaxed);
    assert!(requests <= most_requests, "{name}: {requests} requests");
}

/// One large event costs itself: its batch is answered 200 and nothing is sent again.
#[test]
fn a_bad_event_in_a_batch_costs_itself_with_every_sdk() {
    each_sdk(&[], KEY, |name, collector, errors| {
        assert!(errors.is_empty(), "{name}: {errors:?}");
        everything_good_arrived(name, collector, EVENTS / 10 + 4);
        assert_eq!(collector.stored().1, 1, "{name}");
    });
}

#[test]
fn nothing_good_is_lost_under_overload_or_with_a_full_disk() {
    let overloaded = AdmitError::Overloaded { retry_after: Duration::from_secs(1) };
    let full = AdmitError::DiskFull { retry_after: Duration::from_secs(1) };
    // Three: rudder-sdk-node tries a batch four times in all, the least of these SDKs.
    let refusals = [overloaded.clone(), full, overloaded];
    each_sdk(&refusals, KEY, |name, collector, errors| {
        assert!(errors.is_empty(), "{name}: {errors:?}");
        // The requests without trouble, one more for each refusal, and room for other batching.
        everything_good_arrived(name, collector, EVENTS / 10 + 4 + 3);
    });
}

/// A wrong key is the operator's mistake: the SDK gives its batches up, one request each.
#[test]
fn a_wrong_key_is_reported_and_nothing_loops() {
    each_sdk(&[], "another-key", |name, collector, errors| {
        assert!(!errors.is_empty(), "{name}: no error was reported");
        assert!(collector.stored().0.is_empty(), "{name}");
        let requests = collector.requests.load(Ordering::Relaxed);
        assert!(requests <= EVENTS / 10 + 4, "{name}: {requests} requests");
    });
}
