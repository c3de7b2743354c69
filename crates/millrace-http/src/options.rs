//! The settings of a collector and of its pipelines, as plain data.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use millrace_govern::Rules;
use millrace_model::id::PipelineId;
use millrace_protocol::Limits;

use crate::write_key::WriteKey;

/// One pipeline, as far as the collector is concerned.
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// The name.
    pub id: PipelineId,
    /// The keys that its SDKs send. A key must belong to one pipeline only; else the first has it.
    pub write_keys: Vec<WriteKey>,
    /// What may be stored of its events, and what is changed or added before.
    pub rules: Arc<Rules>,
}

impl PipelineOptions {
    /// A pipeline that nothing can reach yet and that takes everything.
    #[must_use]
    pub fn new(id: PipelineId) -> PipelineOptions {
        PipelineOptions { id, write_keys: Vec::new(), rules: Arc::default() }
    }
}

/// The settings of a collector.
#[derive(Clone, Debug)]
pub struct CollectorOptions {
    /// The pipelines.
    pub pipelines: Vec<PipelineOptions>,
    /// Limits of bodies, batches and events.
    pub limits: Limits,
    /// How long a body may take to arrive, and again how long it may take to become durable.
    /// Default 30 s, the longest that any SDK waits.
    pub request_timeout: Duration,
    /// How many bytes of requests may be in memory at once, from their arrival to the answer:
    /// bodies as they came, decompressed, and what their items take beside them.
    /// Default 256 MiB. Over it: 429.
    pub max_in_flight_bytes: usize,
    /// The proxies whose `X-Forwarded-For` is believed. Default none.
    pub trusted_proxies: Vec<IpAddr>,
}

impl Default for CollectorOptions {
    fn default() -> CollectorOptions {
        CollectorOptions {
            pipelines: Vec::new(),
            limits: Limits::default(),
            request_timeout: Duration::from_secs(30),
            max_in_flight_bytes: 256 << 20,
            trusted_proxies: Vec::new(),
        }
    }
}
