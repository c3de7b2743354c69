//! Stopping as a supervisor does it: SIGTERM, exit code 0, and everything is there again afterwards.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::http;
use crate::server::{DevServer, WRITE_KEY, tally};

#[test]
fn sigterm_ends_with_0_and_a_restart_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let event = |number: u32| {
        format!(r#"{{"userId":"u","event":"Step","messageId":"stop-{number}","properties":{{}}}}"#)
    };
    let server = DevServer::start_in(folder.path());
    let mut connection = http::Connection::open(server.collector_url()).expect("a connection");
    for number in 0..20 {
        let answer = connection.post("/v1/track", WRITE_KEY, &event(number)).expect("an answer");
        assert_eq!(answer.0, 200, "{}", answer.1);
    }
    assert_eq!(server.terminate(), Some(0));

    let server = DevServer::start_in(folder.path());
    let mut connection = http::Connection::open(server.collector_url()).expect("a connection");
    let answer = connection.post("/v1/track", WRITE_KEY, &event(0)).expect("an answer");
    assert_eq!(answer.0, 200, "{}", answer.1);
    let ledger = server.drain(21);
    assert_eq!(tally(&ledger, "delivered"), 20, "{ledger:#}");
    assert_eq!(tally(&ledger, "duplicates"), 1, "message ids are remembered: {ledger:#}");
    assert_eq!(server.twin_get("/twin/v1/projects/1/summary")["events"], 20);
}

/// A client that never ends its request holds up an orderly stop for ten seconds; whoever asks twice
/// does not want to wait.
#[test]
fn a_second_signal_ends_the_process_at_once() {
    let server = DevServer::start();
    let host = server.collector_url().trim_start_matches("http://").to_owned();
    let mut slow = TcpStream::connect(&host).expect("a connection");
    let head = "POST /v1/track HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                Authorization: Basic ZGV2LXdyaXRlLWtleTo=\r\nContent-Length: 100\r\n\
                Expect: 100-continue\r\n\r\n";
    slow.write_all(head.as_bytes()).expect("it takes the head");
    // It says "go on" when it begins to wait for the body.
    assert!(slow.read(&mut [0; 64]).expect("an answer") > 0);

    server.ask_to_stop();
    // The first signal has been heard when nothing listens any more.
    while TcpStream::connect(&host).is_ok() {
        std::thread::yield_now();
    }
    assert_eq!(server.terminate(), Some(130));
}
