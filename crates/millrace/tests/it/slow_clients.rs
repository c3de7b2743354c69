//! Clients that are slow, idle or malicious, in a process of their own beside the server's: they do
//! not keep others out and cost bounded memory.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::http;
use crate::server::{ADMIN_TOKEN, DevServer, WRITE_KEY, tally};

/// The idle connections of the promise.
const IDLE: usize = 8_000;
/// The kernel's queue of a listener holds as many at least.
const ACCEPTED_AT_ONCE: usize = 100;
const HEAD: &str = "POST /v1/track HTTP/1.1\r\nHost: x\r\nAuthorization: Basic ZGV2LXdyaXRlLWtleTo=\r\n\
                    Content-Length: 100000\r\n\r\n";

/// As many connections as this process may have, at most `wanted`.
fn connections(wanted: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("the limit can be raised up to the hard one");
    let possible = limit.maximum.map_or(wanted, |most| usize::try_from(most).unwrap_or(wanted));
    let count = wanted.min(possible.saturating_sub(200));
    println!("{count} connections of {wanted}: the system allows {:?} files", limit.maximum);
    count
}

/// A server with limits of its own.
fn start(folder: &Path, limits: &str) -> DevServer {
    let path = folder.join("millrace.toml");
    let config = format!(
        "[server]\ncollect = \"127.0.0.1:0\"\nmanage = \"127.0.0.1:0\"\nadmin_token = \"{ADMIN_TOKEN}\"\n\
         [limits]\n{limits}\n\
         [[pipelines]]\nid = \"shop\"\nwrite_keys = [\"{WRITE_KEY}\"]\n\
         [[integrations]]\nid = \"twin\"\npipeline = \"shop\"\ntoken = \"t\"\nregion = \"twin\"\n\
         [twin]\nlisten = \"127.0.0.1:0\"\n[[twin.projects]]\nid = 1\ntoken = \"t\"\n"
    );
    std::fs::write(&path, config).expect("the configuration is written");
    DevServer::start_with(&path)
}

fn connect(server: &DevServer) -> TcpStream {
    let host = server.collector_url().trim_start_matches("http://");
    TcpStream::connect(host).expect("a connection")
}

fn post(server: &DevServer, number: usize) {
    let mut connection = http::Connection::open(server.collector_url()).expect("a connection");
    let event = format!(r#"{{"userId":"u","event":"e","messageId":"s-{number}"}}"#);
    let answer = connection.post("/v1/track", WRITE_KEY, &event).expect("an answer");
    assert_eq!(answer.0, 200, "{}", answer.1);
}

/// Sends a byte to each of them every second until the channel is closed.
fn trickle(mut slow: Vec<TcpStream>, stop: &mpsc::Receiver<()>) {
    while stop.recv_timeout(Duration::from_secs(1)) == Err(mpsc::RecvTimeoutError::Timeout) {
        for stream in &mut slow {
            // Cut off by the server is as good.
            let _ = stream.write_all(b"x");
        }
    }
}

#[test]
fn thousands_of_idle_and_slow_connections_do_not_stop_others() {
    let server = DevServer::start();
    let count = connections(IDLE);
    let before = server.memory("VmRSS");
    let mut slow = Vec::new();
    let mut idle = Vec::new();
    for number in 0..count {
        let mut stream = connect(&server);
        match number % 8 {
            // In the middle of the head, of the body, or silent from the start.
            0 => stream.write_all(&HEAD.as_bytes()[..40]).expect("it takes the half of a head"),
            1 => stream.write_all(HEAD.as_bytes()).expect("it takes a head"),
            _ => {}
        }
        if number % 8 < 2 { &mut slow } else { &mut idle }.push(stream);
        // Connections are accepted in their order. Without a word from the server the kernel's queue
        // would fill up, and a client that meets it full waits for seconds by itself.
        if number % ACCEPTED_AT_ONCE == 0 {
            post(&server, number);
        }
    }
    let (stop, stopped) = mpsc::channel();
    let trickling = std::thread::spawn(move || trickle(slow, &stopped));
    for number in 0..50 {
        post(&server, count + number);
    }
    let posted = 50 + count.div_ceil(ACCEPTED_AT_ONCE);
    let ledger = server.drain(posted as u64);
    assert_eq!(tally(&ledger, "delivered"), posted as u64, "{ledger:#}");
    let grown = server.memory("VmRSS").saturating_sub(before);
    println!("{count} connections: {} KiB each", grown / count as u64);
    assert!(grown < 512 << 10, "{grown} KiB for {count} connections");
    drop(stop);
    trickling.join().expect("the slow clients end");
}

#[test]
fn at_the_bound_the_connection_that_waits_longest_gives_way() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path(), "connections = 50");
    let mut held = Vec::new();
    for number in 0..200 {
        let mut stream = connect(&server);
        if number % 2 == 0 {
            stream.write_all(HEAD.as_bytes()).expect("it takes a head");
        }
        held.push(stream);
        if number % 20 == 0 {
            post(&server, number);
        }
    }
    for number in 200..220 {
        post(&server, number);
    }
    let ledger = server.drain(30);
    assert_eq!(tally(&ledger, "received"), 30, "{ledger:#}");
    // The first to come was the first to go.
    let mut rest = Vec::new();
    let ended = held[0].read_to_end(&mut rest);
    assert!(ended.is_err() || rest.is_empty(), "it was closed without an answer");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

#[test]
fn bombs_stop_at_the_cap() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(folder.path(), "inflated = \"2MiB\"");
    post(&server, 0);
    let before = server.memory("VmHWM");
    // Sixteen times the cap of decompressed bytes; and the same once more in gzip.
    let bomb = gzip(&vec![b' '; 1 << 20]).repeat(32);
    let nested = gzip(&bomb);
    println!("bombs of {} and {} bytes", bomb.len(), nested.len());
    let url = server.collector_url();
    std::thread::scope(|scope| {
        for round in 0..8 {
            let (bomb, nested) = (&bomb, &nested);
            scope.spawn(move || {
                let body = if round % 4 == 3 { nested } else { bomb };
                let mut connection = http::Connection::open(url).expect("a connection");
                let answer = connection.post_bytes("/v1/track", WRITE_KEY, body);
                let (status, text) = answer.expect("an answer");
                // 429 where a machine is so slow that the wait for a place has ended.
                assert!(matches!(status, 400 | 413 | 429), "{status} {text}");
            });
        }
    });
    let grown = server.memory("VmHWM").saturating_sub(before);
    println!("the server grew by {grown} KiB at most");
    // Four are decoded at once, each up to the cap; the rest is the allocator's and the threads'.
    // One that was decoded whole would alone be as much.
    assert!(grown < 32 << 10, "{grown} KiB");
    post(&server, 1);
    assert_eq!(tally(&server.drain(2), "delivered"), 2);
}
