//! The server on a port: a real socket, threads of its own, a clean stop.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use millrace_model::entropy::SeededEntropy;
use millrace_model::time::{ManualClock, UnixMillis};
use millrace_twin::TwinServer;

use crate::client::{NOW, basic, options};

fn start(folder: &std::path::Path) -> TwinServer {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let clock = Arc::new(ManualClock::at(UnixMillis(NOW)));
    let entropy = Arc::new(SeededEntropy::new(1));
    TwinServer::start(options(Some(folder)), listener, clock, entropy).unwrap()
}

fn call(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_serves_stops_and_keeps_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let body = format!(
        "[{{\"event\":\"E\",\"properties\":{{\"time\":{NOW},\"distinct_id\":\"u\",\"$insert_id\":\"i\"}}}}]"
    );
    let import = format!(
        "POST /import?strict=1 HTTP/1.1\r\nhost: twin.test\r\nconnection: close\r\n\
         authorization: {}\r\ncontent-length: {}\r\n\r\n{body}",
        basic("T", ""),
        body.len()
    );
    assert!(call(server.addr(), &import).ends_with("\"status\":\"OK\"}"));
    // An idle connection does not hold the stop up for long.
    let _idle = TcpStream::connect(server.addr()).unwrap();
    server.stop();
    let again = start(folder.path());
    let summary =
        "GET /twin/v1/projects/1/summary HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(call(again.addr(), summary).contains("\"events\":1,"));
}

#[test]
fn requests_at_the_same_time_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let address = server.addr();
    std::thread::scope(|scope| {
        for sender in 0..8 {
            scope.spawn(move || {
                for number in 0..10 {
                    let event = format!(
                        "[{{\"event\":\"E\",\"properties\":{{\"token\":\"T\",\"distinct_id\":\"u{sender}\",                         \"$insert_id\":\"{sender}-{number}\"}}}}]"
                    );
                    let track = format!(
                        "POST /track HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
                         content-length: {}\r\n\r\n{event}",
                        event.len()
                    );
                    assert!(call(address, &track).ends_with("\r\n\r\n1"));
                }
            });
        }
    });
    server.stop();
    let again = start(folder.path());
    let summary =
        "GET /twin/v1/projects/1/summary HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let shown = call(again.addr(), summary);
    assert!(shown.contains("\"events\":80,") && shown.contains("\"users\":8,"), "{shown}");
}

#[test]
fn a_long_request_target_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path());
    let event = format!(
        "{{\"event\":\"E\",\"properties\":{{\"token\":\"T\",\"p\":\"{}\"}}}}",
        "x".repeat(60_000)
    );
    let data = percent_encoding::utf8_percent_encode(&event, percent_encoding::NON_ALPHANUMERIC);
    let get = format!("GET /track?data={data} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(call(server.addr(), &get).ends_with("\r\n\r\n1"));
}
