//! Posts events through the collector over HTTP, as a server SDK would: in batches, one after the
//! other, and again when it is told to wait.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Client, StatusCode};

/// Events in a request; the size that Segment's Python SDK uses.
const BATCH_EVENTS: usize = 100;
/// Bytes in a request: below the 480 KB that SDKs keep to.
const BATCH_BYTES: usize = 450_000;
/// How often a request is sent before the feeder gives up on it.
const TRIES: u32 = 30;

/// Where to post, under which key, and what has come of it so far.
#[derive(Debug)]
pub struct Feed {
    client: Client,
    url: String,
    write_key: String,
    batch: Batch,
    fed: Fed,
}

/// What was posted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fed {
    /// Events that were answered with 200.
    pub accepted: u64,
    /// Events in requests that were refused as a whole.
    pub refused: u64,
}

impl Feed {
    /// A feeder for the collector at this base address, such as `http://127.0.0.1:8080`.
    pub fn new(client: Client, collector: &str, write_key: &str) -> Feed {
        Feed {
            client,
            url: format!("{collector}/v1/batch"),
            write_key: write_key.to_owned(),
            batch: Batch::default(),
            fed: Fed::default(),
        }
    }

    /// Takes an event, one JSON text, and posts the batch when it is full.
    ///
    /// What is no JSON text would spoil its batch, so it travels alone; the collector's answer to
    /// it is counted as refused.
    ///
    /// # Errors
    /// When the collector is away, or pushes back for too long.
    pub async fn push(&mut self, event: &[u8]) -> anyhow::Result<()> {
        let readable = std::str::from_utf8(event).is_ok()
            && serde_json::from_slice::<serde::de::IgnoredAny>(event).is_ok();
        let full =
            self.batch.count >= BATCH_EVENTS || self.batch.body.len() + event.len() > BATCH_BYTES;
        if full || !readable {
            self.finish().await?;
        }
        self.batch.add(event);
        if !readable {
            self.finish().await?;
        }
        Ok(())
    }

    /// Counts an event that no request could carry.
    pub fn refuse(&mut self) {
        self.fed.refused += 1;
    }

    /// Posts what has not been posted yet.
    ///
    /// # Errors
    /// As [`Feed::push`].
    pub async fn finish(&mut self) -> anyhow::Result<()> {
        if self.batch.count == 0 {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        self.post(batch).await
    }

    /// What has been posted so far.
    #[must_use]
    pub fn fed(&self) -> Fed {
        self.fed
    }

    async fn post(&mut self, batch: Batch) -> anyhow::Result<()> {
        let count = batch.count as u64;
        let body = bytes::Bytes::from([b"{\"batch\":[", batch.body.as_slice(), b"]}"].concat());
        for _ in 0..TRIES {
            let request = self
                .client
                .post(&self.url)
                .basic_auth(&self.write_key, Some(""))
                .header("content-type", "application/json")
                .body(body.clone());
            let response = request.send().await.context("the collector does not answer")?;
            match response.status() {
                StatusCode::OK => {
                    self.fed.accepted += count;
                    return Ok(());
                }
                StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                    let wait = response
                        .headers()
                        .get("retry-after")
                        .and_then(|value| value.to_str().ok()?.parse().ok())
                        .unwrap_or(1);
                    tokio::time::sleep(Duration::from_secs(wait)).await;
                }
                status if status.is_client_error() => {
                    let answer = response.text().await.unwrap_or_default();
                    tracing::warn!(%status, answer, events = count, "the collector refuses a request");
                    self.fed.refused += count;
                    return Ok(());
                }
                status => bail!("the collector answers {status}"),
            }
        }
        bail!("the collector pushed back {TRIES} times")
    }
}

#[derive(Debug, Default)]
struct Batch {
    body: Vec<u8>,
    count: usize,
}

impl Batch {
    fn add(&mut self, event: &[u8]) {
        if self.count > 0 {
            self.body.push(b',');
        }
        self.body.extend_from_slice(event);
        self.count += 1;
    }
}
