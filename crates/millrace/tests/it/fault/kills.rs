//! kill -9 again and again over one folder, also while it starts and while segments begin.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use millrace_delivery::journal::{Journal, JournalOptions};
use millrace_log::RealDisk;
use millrace_model::entropy::{Entropy as _, SeededEntropy};
use millrace_model::time::SystemClock;

use super::destination::{Destination, Reply};
use super::process::{Server, WRITE_KEY, batch, compare, configure};
use crate::http::Connection;
use crate::server::tally;

const ROUNDS: u64 = 15;
const SENDERS: u64 = 3;
const PER_REQUEST: u64 = 40;
const BLOCK: u64 = 1_000_000;

/// One sender: its events in their order, each request again until it is answered 200. Gives the
/// number of its next event.
fn send(server: &str, sender: u64, next: &AtomicU64, stop: &AtomicBool) {
    let Ok(mut connection) = Connection::open(server) else { return };
    while !stop.load(Ordering::SeqCst) {
        let first = sender * BLOCK + next.load(Ordering::SeqCst);
        // Users belong to one sender, since only its own events have an order among themselves.
        let body = batch(first..first + PER_REQUEST, 25).replace("user-", &format!("u{sender}-"));
        match connection.post("/v1/batch", WRITE_KEY, &body) {
            Ok((200, _)) => next.fetch_add(PER_REQUEST, Ordering::SeqCst),
            Ok((429 | 503, _)) => continue,
            Ok((status, body)) => panic!("{status} {body}"),
            Err(_) => return,
        };
    }
}

#[test]
fn nothing_is_lost_however_often_the_process_is_killed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    // Some answers are lost on the way, so that there is always something in doubt.
    let destination = Destination::start(|n| match n % 9 {
        4 => Reply::TakeAndReset,
        6 => Reply::Status(503),
        _ => Reply::Take,
    });
    let config = configure(folder.path(), &data, destination.url());
    let chance = SeededEntropy::new(0x5eed);
    let next: Vec<AtomicU64> = (0..SENDERS).map(|_| AtomicU64::new(0)).collect();
    for round in 0..ROUNDS {
        let mut server = Server::spawn(&config);
        // Every fourth time while it starts.
        if round % 4 == 3 {
            std::thread::sleep(Duration::from_millis(chance.below(60)));
            continue;
        }
        assert!(server.wait_until_ready(), "round {round}: millrace does not start");
        let stop = AtomicBool::new(false);
        let (address, stop) = (&server.collector.clone(), &stop);
        std::thread::scope(|scope| {
            for (sender, next) in (0..).zip(&next) {
                scope.spawn(move || send(address, sender, next, stop));
            }
            // A moment that is as good as any other: whatever it hits must be survived.
            std::thread::sleep(Duration::from_millis(50 + chance.below(500)));
            drop(server);
            stop.store(true, Ordering::SeqCst);
        });
        if round % 5 == 4 {
            check_log(&data);
        }
    }
    let server = Server::start(&config);
    let mut wanted = HashSet::new();
    for (sender, next) in (0..).zip(&next) {
        let first = sender * BLOCK;
        wanted.extend(first..first + next.load(Ordering::SeqCst));
    }
    println!("{} events accepted", wanted.len());
    let sums = server.drain(wanted.len() as u64);
    let delivered = tally(&sums, "delivered");
    assert!(delivered >= wanted.len() as u64, "{sums:#}");
    compare(&destination, &wanted, &sums);
    let keys: HashSet<_> = destination.taken().into_iter().map(|(_, n, id)| (n, id)).collect();
    assert_eq!(keys.len() as u64, delivered, "keys at the destination");
    drop(server);
    check_log(&data);
}

/// Opens the log of a killed process and counts it a second time.
fn check_log(data: &Path) {
    let log = data.join("log");
    let disk = RealDisk::open(&log).expect("the folder");
    let options = JournalOptions {
        segment_bytes: 1 << 20,
        integrations: vec![("mixpanel".parse().unwrap(), "shop".parse().unwrap())],
        ..JournalOptions::default()
    };
    let (journal, worker) =
        Journal::open(disk, options, Arc::new(SystemClock::default())).expect("the log opens");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let verified = runtime.block_on(journal.verify()).expect("a second count");
    assert_eq!(verified.differences, Vec::<String>::new());
    runtime.block_on(journal.shutdown());
    drop(journal);
    worker.join();
}
