//! kill -9 in the middle of a load: nothing that was answered 200 is lost, nothing is doubled beyond
//! what was in flight, and the ledger says what was sent again.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use millrace_model::time::{Clock as _, SystemClock, UnixMillis};
use serde_json::Value;

use crate::http;
use crate::server::{DevServer, WRITE_KEY, tally};

const EVENTS: usize = 50_000;
const PER_REQUEST: usize = 50;
const SENDERS: usize = 4;

/// What the senders know.
struct Load {
    /// The next request to send.
    next: AtomicUsize,
    /// Requests that were answered 200.
    accepted: Mutex<HashSet<usize>>,
    accepted_events: AtomicU64,
    at: UnixMillis,
}

impl Load {
    fn body(&self, request: usize) -> String {
        let events: Vec<String> = (0..PER_REQUEST)
            .map(|place| {
                let number = request * PER_REQUEST + place;
                let user = number % 500;
                format!(
                    r#"{{"type":"track","messageId":"kill-{number}","userId":"user-{user}","event":"Step","timestamp":"{}","properties":{{"n":{number}}}}}"#,
                    self.at
                )
            })
            .collect();
        format!(r#"{{"batch":[{}]}}"#, events.join(","))
    }

    /// Sends requests until all are sent or the server is gone.
    fn send(&self, server: &str) {
        let Ok(mut connection) = http::Connection::open(server) else { return };
        loop {
            let request = self.next.fetch_add(1, Ordering::SeqCst);
            if request * PER_REQUEST >= EVENTS {
                return;
            }
            match connection.post("/v1/batch", WRITE_KEY, &self.body(request)) {
                Ok((200, _)) => {
                    self.accepted.lock().unwrap().insert(request);
                    self.accepted_events.fetch_add(PER_REQUEST as u64, Ordering::SeqCst);
                }
                // Pushed back: not accepted, so it is sent again at the end.
                Ok((429 | 503, _)) => {}
                Ok((status, body)) => panic!("{status} {body}"),
                Err(_) => return,
            }
        }
    }

    /// Requests without an answer of 200.
    fn unanswered(&self) -> Vec<usize> {
        let accepted = self.accepted.lock().unwrap();
        (0..EVENTS / PER_REQUEST).filter(|request| !accepted.contains(request)).collect()
    }
}

#[test]
fn what_was_answered_200_survives_kill_9_and_arrives_once() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemClock::default().now();
    let load = Load {
        next: AtomicUsize::new(0),
        accepted: Mutex::default(),
        accepted_events: AtomicU64::new(0),
        at: UnixMillis(now.0 - 3_600_000),
    };

    let server = DevServer::start_in(folder.path());
    let address = server.collector_url().to_owned();
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| load.send(&address));
        }
        while load.accepted_events.load(Ordering::SeqCst) < EVENTS as u64 * 2 / 5 {
            std::thread::yield_now();
        }
        server.kill();
    });
    let accepted_before = load.accepted.lock().unwrap().clone();
    assert!(accepted_before.len() < EVENTS / PER_REQUEST, "the kill came after the load");

    // The rest, as an SDK would send it again: under the same message ids, perhaps for the second
    // time.
    let server = DevServer::start_in(folder.path());
    let mut connection = http::Connection::open(server.collector_url()).unwrap();
    let mut again = 0;
    for request in load.unanswered() {
        let (status, body) =
            connection.post("/v1/batch", WRITE_KEY, &load.body(request)).expect("an answer");
        assert_eq!(status, 200, "{body}");
        again += PER_REQUEST as u64;
    }
    let ledger = server.drain(accepted_before.len() as u64 * PER_REQUEST as u64 + again);

    assert_eq!(tally(&ledger, "delivered"), EVENTS as u64, "{ledger:#}");
    let resent = ledger.get("resent").and_then(Value::as_u64).expect("resent");

    // Once per (event, distinct id, time, insert id): one such key for each message.
    let mut copies: HashMap<[String; 4], u64> = HashMap::new();
    for row in export(&server, load.at) {
        let text = |path: &str| row.pointer(path).map(ToString::to_string).unwrap_or_default();
        let key = [
            text("/event"),
            text("/properties/distinct_id"),
            text("/properties/time"),
            text("/properties/$insert_id"),
        ];
        *copies.entry(key).or_default() += 1;
    }
    assert_eq!(copies.len(), EVENTS, "keys in the twin");
    let doubled: u64 = copies.values().map(|count| count - 1).sum();
    println!("{} answered before the kill, {doubled} doubled, {resent} resent", {
        accepted_before.len() * PER_REQUEST
    });
    assert!(doubled <= resent, "{doubled} doubled, but the ledger says {resent} were sent again");
}

/// All rows of the twin around a moment.
fn export(server: &DevServer, at: UnixMillis) -> Vec<Value> {
    let day = |at: UnixMillis| at.to_string().chars().take(10).collect::<String>();
    let (from, to) = (day(at), day(UnixMillis(at.0 + 3_600_000)));
    let url = format!(
        "{}/api/2.0/export?from_date={from}&to_date={to}&time_in_ms=true",
        server.twin_url()
    );
    let (status, body) = http::get_basic(&url, "dev-secret", "");
    assert_eq!(status, 200, "{body}");
    body.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}
