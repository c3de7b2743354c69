//! Stopping as a supervisor does it: SIGTERM, exit code 0, and everything is there again afterwards.

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
