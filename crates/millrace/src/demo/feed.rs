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

/// Where to post, and under which key.
#[derive(Clone, Debug)]
pub struct Feed {
    client: Client,
    url: String,
    write_key: String,
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
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn new(client: Client, collector: &str, write_key: &str) -> Feed {
        Feed { client, url: format!("{collector}/v1/batch"), write_key: write_key.to_owned() }
    }

    /// Posts the events, each one JSON text, in their order.
    ///
    /// A text that is no JSON would spoil its batch, so it travels alone; the collector's answer to
    /// it is counted as refused.
    ///
    /// # Errors
    /// When the collector is away, or pushes back for too long.
    pub async fn send<'a>(
        &self,
        events: impl Iterator<Item = &'a str>,
        mut progress: impl FnMut(u64),
    ) -> anyhow::Result<Fed> {
        let mut fed = Fed::default();
        let mut batch = Batch::default();
        for event in events {
            let readable = serde_json::from_str::<serde::de::IgnoredAny>(event).is_ok();
            let full = batch.count >= BATCH_EVENTS || batch.body.len() + event.len() > BATCH_BYTES;
            if batch.count > 0 && (full || !readable) {
                self.post(&mut batch, &mut fed).await?;
                progress(fed.accepted + fed.refused);
            }
            batch.add(event);
            if !readable {
                self.post(&mut batch, &mut fed).await?;
            }
        }
        if batch.count > 0 {
            self.post(&mut batch, &mut fed).await?;
            progress(fed.accepted + fed.refused);
        }
        Ok(fed)
    }

    async fn post(&self, batch: &mut Batch, fed: &mut Fed) -> anyhow::Result<()> {
        let Batch { body, count } = std::mem::take(batch);
        let count = count as u64;
        let body = bytes::Bytes::from(format!("{{\"batch\":[{body}]}}"));
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
                    fed.accepted += count;
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
                    fed.refused += count;
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
    body: String,
    count: usize,
}

impl Batch {
    fn add(&mut self, event: &str) {
        if self.count > 0 {
            self.body.push(',');
        }
        self.body.push_str(event);
        self.count += 1;
    }
}
