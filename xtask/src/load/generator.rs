//! A closed-loop load generator: every connection sends its next request when it has its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};

use super::http::Connection;
use super::template::Template;

/// What to send.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    /// `host:port` of the collector.
    pub(crate) address: String,
    /// The requests, sent in turn.
    pub(crate) templates: Arc<Vec<Template>>,
    /// How many connections at once.
    pub(crate) connections: usize,
    /// The number of the first event: those below have been sent before.
    pub(crate) first: u64,
    /// How many events in all (rounded up to whole requests).
    pub(crate) events: u64,
}

/// Sends it all; gives the number of events that were answered 200.
pub(crate) async fn run(load: &Load) -> anyhow::Result<u64> {
    let claimed = Arc::new(AtomicU64::new(0));
    let mut senders = tokio::task::JoinSet::new();
    for offset in 0..load.connections {
        senders.spawn(send(load.clone(), Arc::clone(&claimed), offset));
    }
    let mut accepted = 0;
    while let Some(sent) = senders.join_next().await {
        accepted += sent??;
    }
    Ok(accepted)
}

async fn send(load: Load, claimed: Arc<AtomicU64>, offset: usize) -> anyhow::Result<u64> {
    let mut connection = Connection::open(&load.address).await?;
    let mut accepted = 0;
    // One copy of a request per connection, rewritten for every send.
    let mut turn = offset;
    loop {
        let source = load.templates.get(turn % load.templates.len()).context("no template")?;
        turn += load.connections;
        let first = claimed.fetch_add(source.events(), Ordering::Relaxed);
        if first >= load.events {
            return Ok(accepted);
        }
        let mut request = source.clone();
        request.renumber(load.first + first)?;
        loop {
            connection.write(&request.bytes).await?;
            let answer = connection.read().await?.context("connection closed")?;
            match answer.status() {
                200 => break,
                // Pushed back: the same request again, as an SDK would, only sooner.
                429 | 503 => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                _ => bail!("{} {}", answer.first_line, String::from_utf8_lossy(&answer.body)),
            }
        }
        accepted += request.events();
    }
}
