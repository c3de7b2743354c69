//! The settings of a collector and of its pipelines, as plain data.

mod sources;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ipnet::IpNet;
use millrace_govern::Rules;
use millrace_model::id::PipelineId;
use millrace_model::secret::Secret;
use millrace_protocol::Limits;

use crate::origins::Origins;
use crate::paths::OtherPaths;
use crate::rate::RateLimits;
use crate::script_options::ScriptOptions;
use crate::write_key::WriteKey;
pub use sources::{CookieOptions, DataflyOptions, WebhookOptions, WebhookProof};

/// One pipeline, as far as the collector is concerned.
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// The name.
    pub id: PipelineId,
    /// The keys that its SDKs send. A key must belong to one pipeline only; else the first has it.
    pub write_keys: Vec<WriteKey>,
    /// The pages that may send to it.
    pub origins: Origins,
    /// How much each of its keys may send.
    pub limits: RateLimits,
    /// What may be stored of its events, and what is changed or added before.
    pub rules: Arc<Rules>,
    /// How Adobe's clients reach it.
    pub adobe: AdobeOptions,
    /// How calls of Datafly's clients and servers are treated.
    pub datafly: DataflyOptions,
    /// The cookie that gives browsers an anonymous id; none by default.
    pub cookie: Option<CookieOptions>,
    /// Its webhooks. An id must be unique over all pipelines; else the first has it.
    pub webhooks: Vec<WebhookOptions>,
    /// The path of its own for uploads of Syft's clients, such as `/api/syft`. Likewise.
    pub syft_path: Option<String>,
    /// Whose calls of Mixpanel's own SDKs it takes.
    pub mixpanel: MixpanelAccess,
    /// How its browser collector is served.
    pub script: ScriptOptions,
}

/// How Adobe's clients reach a pipeline: the Web SDK and whoever calls the Edge Network API.
#[derive(Clone, Debug, Default)]
pub struct AdobeOptions {
    /// The datastreams whose events are this pipeline's. One belongs to one pipeline only; else the
    /// first has it.
    pub datastreams: Vec<WriteKey>,
    /// Datastreams that are switched off: their requests are refused as Adobe refuses them.
    pub disabled_datastreams: Vec<String>,
    /// The organisation, such as `ABC@AdobeOrg`. The Web SDK does not send it, and the name of its
    /// cookie holds it: without it every visit is a new visitor.
    pub organisation: Option<String>,
    /// What servers send as bearer tokens. None: tokens are not looked at.
    pub tokens: Vec<Secret>,
    /// Whether every request needs a token, as where no page sends. Default no: what shows no sign of
    /// a server is a page's, which has no token.
    pub require_token: bool,
    /// The path that stands for `ee`, without slashes at its ends; `ee` is served as well.
    pub base_path: Option<String>,
    /// Whether events of type `decisioning.*` are taken. Default no: they tell Adobe what its
    /// personalisation showed.
    pub keep_decisioning: bool,
}

/// What Mixpanel's own SDKs show to send to a pipeline. Each belongs to one pipeline only; else the
/// first has it.
#[derive(Clone, Debug, Default)]
pub struct MixpanelAccess {
    /// The project tokens in the records; as the user of Basic authorization, too, for `/import`.
    pub tokens: Vec<WriteKey>,
    /// The API secrets that `/import` may be called with.
    pub api_secrets: Vec<WriteKey>,
    /// The service accounts that `/import` may be called with, each as `user:secret`.
    pub service_accounts: Vec<WriteKey>,
}

impl PipelineOptions {
    /// A pipeline that nothing can reach yet and that takes everything.
    #[must_use]
    pub fn new(id: PipelineId) -> PipelineOptions {
        PipelineOptions {
            id,
            write_keys: Vec::new(),
            adobe: AdobeOptions::default(),
            script: ScriptOptions::default(),
            origins: Origins::default(),
            limits: RateLimits::default(),
            rules: Arc::default(),
            datafly: DataflyOptions::default(),
            cookie: None,
            webhooks: Vec::new(),
            syft_path: None,
            mixpanel: MixpanelAccess::default(),
        }
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
    /// The networks of the proxies whose `X-Forwarded-For` is believed. Default none.
    pub trusted_proxies: Vec<IpNet>,
    /// Under which other paths the routes are found.
    pub other_paths: OtherPaths,
    /// Segment's script for web pages, as `/analytics.js/v1/KEY/analytics.min.js`. Default none.
    pub segment_script: Option<Bytes>,
}

impl Default for CollectorOptions {
    fn default() -> CollectorOptions {
        CollectorOptions {
            pipelines: Vec::new(),
            limits: Limits::default(),
            request_timeout: Duration::from_secs(30),
            max_in_flight_bytes: 256 << 20,
            trusted_proxies: Vec::new(),
            other_paths: OtherPaths::default(),
            segment_script: None,
        }
    }
}
