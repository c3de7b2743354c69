//! The server on a real socket: many clients, slow clients, stopping.

use std::time::Duration;

use millrace_http::{ServeOptions, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::recording::{TestCollector, basic, track};

struct Running {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<usize>,
}

async fn start(collector: &TestCollector, options: ServeOptions) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let router = collector.router.clone();
    let served = tokio::spawn(serve(listener, router, options, async {
        let _ = stopped.await;
    }));
    Running { address, stop, served }
}

fn post_text(body: &str) -> String {
    let (length, key) = (body.len(), basic("dev-write-key:"));
    format!(
        "POST /v1/track HTTP/1.1\r\nhost: x\r\nauthorization: {key}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Reads up to the end of one answer with the success body.
async fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let mut piece = [0; 512];
        let length = stream.read(&mut piece).await.unwrap();
        assert!(length > 0, "{answer:?}");
        answer.extend_from_slice(&piece[..length]);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_slow_head_is_cut_off_and_its_slot_serves_another() {
    let collector = TestCollector::new();
    let options = ServeOptions {
        max_connections: 1,
        header_timeout: Duration::from_millis(50),
        ..ServeOptions::default()
    };
    let running = start(&collector, options).await;
    // The slow client has the only slot and never finishes its head.
    let mut slow = TcpStream::connect(running.address).await.unwrap();
    slow.write_all(b"POST /v1/track HTTP/1.1\r\nhost:").await.unwrap();
    // The other waits in the queue of the kernel and is served once the slow one is cut off.
    let mut other = TcpStream::connect(running.address).await.unwrap();
    other.write_all(post_text(&track("")).as_bytes()).await.unwrap();
    assert!(read_answer(&mut other).await.starts_with("HTTP/1.1 200 OK\r\n"));
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.unwrap();
    assert_eq!(collector.intake.take().len(), 1);
    running.stop.send(()).unwrap();
    assert_eq!(running.served.await.unwrap(), 0);
}

#[tokio::test]
async fn a_connection_is_kept_and_its_address_is_known() {
    let collector = TestCollector::new();
    let running = start(&collector, ServeOptions::default()).await;
    let mut client = TcpStream::connect(running.address).await.unwrap();
    for _ in 0..3 {
        client.write_all(post_text(&track(r#","channel":"web""#)).as_bytes()).await.unwrap();
        assert!(read_answer(&mut client).await.ends_with(r#"{"success":true}"#));
    }
    // The address is the loopback's here, which is never kept as a device's.
    let batches = collector.intake.take();
    assert_eq!(batches.len(), 3);
    running.stop.send(()).unwrap();
    assert_eq!(running.served.await.unwrap(), 0, "an idle connection does not hold up the stop");
}

#[tokio::test]
async fn stopping_lets_a_request_under_way_finish() {
    let collector = TestCollector::new();
    let running = start(&collector, ServeOptions::default()).await;
    let gate = collector.intake.close_gate();
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(post_text(&track("")).as_bytes()).await.unwrap();
    gate.reached.acquire().await.unwrap().forget();
    running.stop.send(()).unwrap();
    gate.open.add_permits(1);
    assert!(read_answer(&mut client).await.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(running.served.await.unwrap(), 0);
    assert_eq!(collector.intake.take().len(), 1);
}

#[tokio::test]
async fn what_does_not_finish_is_cut_off_at_the_end_of_the_drain() {
    let collector = TestCollector::new();
    let options =
        ServeOptions { drain_timeout: Duration::from_millis(20), ..ServeOptions::default() };
    let running = start(&collector, options).await;
    let gate = collector.intake.close_gate();
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(post_text(&track("")).as_bytes()).await.unwrap();
    gate.reached.acquire().await.unwrap().forget();
    running.stop.send(()).unwrap();
    assert_eq!(running.served.await.unwrap(), 1);
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest).await;
    assert!(rest.is_empty(), "nothing was answered for what was not stored");
}

#[tokio::test]
async fn a_request_is_stored_though_its_client_has_gone() {
    let collector = TestCollector::new();
    let running = start(&collector, ServeOptions::default()).await;
    let gate = collector.intake.close_gate();
    let mut client = TcpStream::connect(running.address).await.unwrap();
    client.write_all(post_text(&track("")).as_bytes()).await.unwrap();
    gate.reached.acquire().await.unwrap().forget();
    drop(client);
    running.stop.send(()).unwrap();
    assert_eq!(running.served.await.unwrap(), 0);
    // The connection is gone; the request is not.
    gate.open.add_permits(1);
    while collector.intake.take().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_client_that_sends_too_much_still_reads_why() {
    let collector = TestCollector::new();
    let running = start(&collector, ServeOptions::default()).await;
    let text = post_text(&" ".repeat(50 << 20));
    let wrong_key = text.replace("authorization: Basic ", "authorization: Basic eDo6");
    for (text, status) in [(text, "413"), (wrong_key, "401")] {
        let mut client = TcpStream::connect(running.address).await.unwrap();
        client.write_all(text.as_bytes()).await.unwrap();
        let answer = read_answer(&mut client).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    running.stop.send(()).unwrap();
    running.served.await.unwrap();
    assert!(collector.intake.take().is_empty());
}

/// Mixpanel's SDK for Node puts single calls into the query (sdk-wire-formats.md 7).
#[tokio::test]
async fn long_targets_are_taken_up_to_what_a_uri_can_have() {
    let collector = TestCollector::new();
    let running = start(&collector, ServeOptions::default()).await;
    for (length, wanted) in
        [(16, "HTTP/1.1 200 "), (65_534, "HTTP/1.1 200 "), (65_535, "HTTP/1.1 414 ")]
    {
        let mut target = "/v1/m?a=".to_owned();
        target.extend(std::iter::repeat_n('a', length - target.len()));
        let mut client = TcpStream::connect(running.address).await.unwrap();
        let request = format!("POST {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(wanted), "{length}: {answer}");
    }
    running.stop.send(()).unwrap();
    running.served.await.unwrap();
}

/// Two servers that disagree about where a request ends can be made to take a part of one for the
/// next (RFC 9112, 11.2): whatever is in doubt ends the connection.
#[tokio::test]
async fn nothing_is_read_behind_a_request_whose_length_is_in_doubt() {
    let collector = TestCollector::new();
    let running = start(&collector, ServeOptions::default()).await;
    let (event, key) = (track(""), basic("dev-write-key:"));
    let chunks = format!("{:x}\r\n{event}\r\n0\r\n\r\n", event.len());
    let next = post_text(&track(""));
    for (lengths, status, stored) in [
        ("content-length: 4\r\ntransfer-encoding: chunked", "200 OK", 1),
        ("transfer-encoding: chunked\r\ncontent-length: 4", "200 OK", 1),
        ("content-length: 4\r\ncontent-length: 5", "400 Bad Request", 0),
        ("content-length: +4", "400 Bad Request", 0),
        ("transfer-encoding: xchunked", "400 Bad Request", 0),
        ("transfer-encoding: chunked, identity", "400 Bad Request", 0),
    ] {
        let mut client = TcpStream::connect(running.address).await.unwrap();
        let head = format!("POST /v1/track HTTP/1.1\r\nhost: x\r\nauthorization: {key}");
        let request = format!("{head}\r\n{lengths}\r\n\r\n{chunks}{next}");
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // What was not read may break the connection behind the answer.
        let _ = client.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{lengths}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{lengths}: {answer}");
        assert_eq!(collector.intake.take().len(), stored, "{lengths}");
    }
    running.stop.send(()).unwrap();
    assert_eq!(running.served.await.unwrap(), 0);
}
