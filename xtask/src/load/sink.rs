//! A destination that only answers: it takes every request, and looks at none but the small ones.
//!
//! A real Mixpanel validates; the sink measures our side, so it must cost next to nothing. It
//! answers the proof of the token (one nameless record) as Mixpanel does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpListener;

use super::http::{Connection, Message};

/// What the sink has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Requests.
    pub(crate) requests: AtomicU64,
    /// Bytes of bodies, as sent.
    pub(crate) bytes: AtomicU64,
}

/// Starts the sink on a free port of the loopback; gives its address.
pub(crate) async fn start() -> anyhow::Result<(String, Arc<Seen>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let seen = Arc::new(Seen::default());
    let counters = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let counters = Arc::clone(&counters);
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let mut connection = Connection::over(stream);
                while let Ok(Some(request)) = connection.read().await {
                    counters.requests.fetch_add(1, Ordering::Relaxed);
                    counters.bytes.fetch_add(request.body.len() as u64, Ordering::Relaxed);
                    if connection.write(answer(&request).as_bytes()).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    Ok((address, seen))
}

fn answer(request: &Message) -> String {
    let is_import = request.first_line.contains(" /import");
    let (status, body) = if is_import && is_proof(&request.body) {
        (
            "400 Bad Request",
            r#"{"code":400,"error":"some data points in the request failed validation","failed_records":[{"index":0,"insert_id":"","field":"event","message":"'event' must not be missing or blank"}],"num_records_imported":0,"status":"Bad Request"}"#,
        )
    } else if is_import {
        ("200 OK", r#"{"code":200,"status":"OK"}"#)
    } else {
        ("200 OK", r#"{"error":null,"status":1}"#)
    };
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// True for a body of one record without a name.
fn is_proof(body: &[u8]) -> bool {
    if body.len() > 512 {
        return false;
    }
    let mut plain = Vec::new();
    if body.starts_with(&[0x1f, 0x8b]) {
        use std::io::Read as _;
        if flate2::read::GzDecoder::new(body).take(4096).read_to_end(&mut plain).is_err() {
            return false;
        }
    } else {
        plain.extend_from_slice(body);
    }
    serde_json::from_slice::<Vec<serde_json::Value>>(&plain).is_ok_and(|records| {
        records.iter().all(|record| {
            record.get("event").is_none_or(|name| name.as_str().is_some_and(str::is_empty))
        })
    })
}
