//! The transport of production against a server that says exactly what a test wants.

use std::time::Duration;

use bytes::Bytes;
use millrace_delivery::mixpanel::http::HttpTimeouts;
use millrace_delivery::mixpanel::{
    HttpTransport, MixpanelOptions, Region, RequestParts, Response, Transport, TransportError,
    TransportErrorKind, requests_for,
};
use millrace_model::row::{Endpoint, Lanes, Row, RowRole, Rows};
use millrace_model::secret::Secret;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Answers one connection with these bytes, then closes it. Gives the head of what it was sent.
async fn serve_once(listener: TcpListener, answer: Vec<u8>) -> String {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    while !got.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut buffer).await.unwrap();
        got.extend_from_slice(&buffer[..count]);
    }
    // A client that has seen enough may close first.
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
    String::from_utf8_lossy(&got).into_owned()
}

fn request(port: u16) -> RequestParts {
    let region = Region::parse(&format!("http://127.0.0.1:{port}"), false).unwrap();
    let options = MixpanelOptions::new(region, Secret::new("tok")).unwrap();
    let row = Row {
        endpoint: Endpoint::Import,
        role: RowRole::Plain,
        repeatable: true,
        lanes: Lanes::default(),
        insert_id: None,
        project: None,
        alone: false,
        body: 0..2,
    };
    let rows = Rows { bytes: b"{}".to_vec(), rows: vec![row], ..Rows::default() };
    requests_for(&rows, &options.into()).unwrap().remove(0).packed()
}

fn client() -> HttpTransport {
    let region = Region::parse("http://127.0.0.1", false).unwrap();
    let timeouts =
        HttpTimeouts { connect: Duration::from_secs(5), overall: Duration::from_secs(20) };
    HttpTransport::new(&region, timeouts).unwrap()
}

async fn exchange(answer: Vec<u8>) -> (Result<Response, TransportError>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(serve_once(listener, answer));
    let got = client().send(request(port)).await;
    (got, server.await.unwrap())
}

#[tokio::test]
async fn a_request_has_its_query_and_headers_and_the_answer_comes_back() {
    let answer = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nhi";
    let (got, head) = exchange(answer.to_vec()).await;
    let body = Bytes::from_static(b"hi");
    let wanted = Response { status: 429, retry_after: Some("7".to_owned()), body, cut: false };
    assert_eq!(got, Ok(wanted));
    assert!(head.starts_with("POST /import?strict=1&ip=0 HTTP/1.1\r\n"), "{head}");
    let head = head.to_lowercase();
    for line in [
        "content-type: application/json\r\n",
        "content-encoding: gzip\r\n",
        "authorization: basic dg9rog==\r\n",
        concat!("user-agent: millrace/", env!("CARGO_PKG_VERSION"), "\r\n"),
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let answer =
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n";
    let (got, _) = exchange(answer.to_vec()).await;
    assert_eq!(got.unwrap().status, 302);
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let mut answer = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    answer.resize(answer.len() + 1024 * 1024 + 5, b'x');
    let (got, _) = exchange(answer).await;
    let response = got.unwrap();
    assert!(response.cut);
    assert_eq!(response.body.len(), 1024 * 1024);
}

#[tokio::test]
async fn a_connection_that_closes_early_is_a_reset() {
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"] {
        let (got, _) = exchange(answer.to_vec()).await;
        assert_eq!(got.unwrap_err().kind, TransportErrorKind::Reset);
    }
}

#[tokio::test]
async fn nobody_listening_is_no_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let got = client().send(request(port)).await;
    assert_eq!(got.unwrap_err().kind, TransportErrorKind::Connect);
}

#[tokio::test]
async fn plain_bytes_where_tls_is_expected_are_a_tls_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    });
    let mut request = request(port);
    request.url = request.url.replace("http://", "https://");
    let got = client().send(request).await;
    assert_eq!(got.unwrap_err().kind, TransportErrorKind::Tls);
    server.await.unwrap();
}
