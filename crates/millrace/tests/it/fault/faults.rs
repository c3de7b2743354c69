//! Faults of the destination.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::destination::{Destination, Reply};
use super::process::{PROJECT_TOKEN, Server, WRITE_KEY, batch, compare, configure};
use crate::http::Connection;
use crate::server::tally;

const EVENTS: u64 = 3_000;

/// A name and what the destination does.
type Case = (&'static str, fn(usize) -> Reply);

/// Posts all events in their order over one connection.
fn post(server: &Server) {
    let mut connection = Connection::open(&server.collector).expect("a connection");
    for first in (0..EVENTS).step_by(100) {
        let body = batch(first..first + 100, 40);
        let (status, answer) = connection.post("/v1/batch", WRITE_KEY, &body).expect("an answer");
        assert_eq!(status, 200, "{answer}");
    }
}

/// Nothing that is written or shown holds a secret.
fn assert_secrets_stay_in(server: &Server, folder: &std::path::Path) {
    let shown = ["/api/v1/ledger", "/api/v1/integrations", "/api/v1/set-aside"]
        .map(|path| server.manage(path).to_string());
    let said = std::fs::read_to_string(folder.join("errors")).expect("the log");
    assert!(said.contains("DEBUG"), "the log is not that of a debug run");
    for text in shown.iter().chain([&said]) {
        for secret in [PROJECT_TOKEN, WRITE_KEY, "admin-of-the-fault-tests"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
}

fn run(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> (Destination, Value) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let destination = Destination::start(script);
    let config = configure(folder.path(), &folder.path().join("data"), destination.url());
    let server = Server::start(&config);
    post(&server);
    let sums = server.drain(EVENTS);
    assert_secrets_stay_in(&server, folder.path());
    (destination, sums)
}

#[test]
fn every_event_arrives_whatever_the_destination_answers() {
    let cases: [Case; 6] = [
        ("busy", |n| if n < 3 { Reply::Status(500) } else { Reply::Take }),
        ("too many", |n| if n % 2 == 0 && n < 6 { Reply::Status(429) } else { Reply::Take }),
        ("resets", |n| if n < 3 { Reply::Reset } else { Reply::Take }),
        ("taken, then reset", |n| if n < 3 { Reply::TakeAndReset } else { Reply::Take }),
        ("half an answer", |n| if n < 3 { Reply::TakeAndHalf } else { Reply::Take }),
        ("slow", |n| if n < 4 { Reply::TakeSlowly } else { Reply::Take }),
    ];
    let all: HashSet<u64> = (0..EVENTS).collect();
    for (name, script) in cases {
        println!("{name}");
        let (destination, sums) = run(script);
        compare(&destination, &all, &sums);
        assert_eq!(tally(&sums, "delivered"), EVENTS, "{name}: {sums:#}");
    }
}

#[test]
fn rows_that_are_refused_by_name_end_alone() {
    let (destination, sums) = run(|_| Reply::Refuse(7));
    let good: HashSet<u64> = (0..EVENTS).filter(|n| n % 7 != 0).collect();
    compare(&destination, &good, &sums);
    assert_eq!(tally(&sums, "delivered"), good.len() as u64);
    assert_eq!(tally(&sums, "rejected"), EVENTS - good.len() as u64);
    assert_eq!(sums.get("resent"), Some(&Value::from(0)));
    assert_eq!(destination.taken().len(), good.len(), "nothing twice");
}

#[test]
fn refused_credentials_pause_and_charge_nothing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let good = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&good);
    let destination = Destination::start(move |_| match switch.load(Ordering::SeqCst) {
        true => Reply::Take,
        false => Reply::Status(401),
    });
    let config = configure(folder.path(), &folder.path().join("data"), destination.url());
    let server = Server::start(&config);
    post(&server);
    let state = |server: &Server| {
        let shown = server.manage("/api/v1/integrations");
        shown.to_string().contains(r#""state":"paused""#)
    };
    server.until(state);
    // Some probes later nothing has changed.
    let before = destination.requests();
    server.until(|_| destination.requests() > before + 1);
    assert!(state(&server));
    assert_eq!(tally(&server.sums(), "pending"), EVENTS);
    assert_secrets_stay_in(&server, folder.path());

    good.store(true, Ordering::SeqCst);
    let sums = server.drain(EVENTS);
    compare(&destination, &(0..EVENTS).collect(), &sums);
    assert_eq!(tally(&sums, "delivered"), EVENTS);
    assert_eq!(destination.taken().len() as u64, EVENTS, "nothing twice");
    assert_eq!(sums.get("resent"), Some(&Value::from(0)), "{sums:#}");
}

#[test]
fn a_destination_that_comes_late_gets_everything() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // A port that is free: taken, given back, and taken again later.
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it");
    let url = format!("http://{port}");
    let config = configure(folder.path(), &folder.path().join("data"), &url);
    let server = Server::start(&config);
    post(&server);
    server.until(|server| {
        server.manage("/api/v1/integrations").to_string().contains("no connection")
    });
    assert_eq!(tally(&server.sums(), "pending"), EVENTS);
    let destination = Destination::on(TcpListener::bind(port).expect("the port"), |_| Reply::Take);
    let sums = server.drain(EVENTS);
    compare(&destination, &(0..EVENTS).collect(), &sums);
    assert_eq!(destination.taken().len() as u64, EVENTS, "nothing twice");
    assert_eq!(sums.get("resent"), Some(&Value::from(0)), "{sums:#}");
}
