//! The routes of the SDKs: read, decode, make durable, answer.
//!
//! One request is one batch of the log. Once its body is there it is carried to its end even when
//! the client has gone: a browser that leaves its page cuts the request and still counts on it
//! (`reference/sdk-wire-formats.md` section 3).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::{self, HeaderMap};
use axum::http::request::Parts;
use axum::http::{Response, StatusCode, Uri};
use axum::routing::{MethodRouter, get, post};
use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};

use millrace_model::code::Code;
use millrace_model::entropy::Entropy;
use millrace_model::event::{Batch, EventKind};
use millrace_model::id::PipelineId;
use millrace_model::intake::Intake;
use millrace_model::secret::Secret;
use millrace_model::time::{Clock, UnixMillis};
use millrace_protocol::Limits;
use millrace_protocol::inflate::{decode_body, is_compressed};
use millrace_protocol::segment::{Admission, Call, Envelope};

use crate::answer::{Refusal, answer, preflight, show};
use crate::body::{Budget, Reservation, discard, read_body};
use crate::keys::{Credentials, WriteKeys};
use crate::peer::client_ip;
use crate::startup;

/// Every path and what its body is. The one-letter paths are those of Segment's browser SDK, the
/// beacon is RudderStack's.
const ROUTES: [(&str, Call); 16] = [
    ("/v1/track", Call::Single(EventKind::Track)),
    ("/v1/identify", Call::Single(EventKind::Identify)),
    ("/v1/page", Call::Single(EventKind::Page)),
    ("/v1/screen", Call::Single(EventKind::Screen)),
    ("/v1/group", Call::Single(EventKind::Group)),
    ("/v1/alias", Call::Single(EventKind::Alias)),
    ("/v1/batch", Call::Batch),
    ("/v1/import", Call::Batch),
    ("/v1/t", Call::Single(EventKind::Track)),
    ("/v1/i", Call::Single(EventKind::Identify)),
    ("/v1/p", Call::Single(EventKind::Page)),
    ("/v1/s", Call::Single(EventKind::Screen)),
    ("/v1/g", Call::Single(EventKind::Group)),
    ("/v1/a", Call::Single(EventKind::Alias)),
    ("/v1/b", Call::Batch),
    ("/beacon/v1/batch", Call::Batch),
];

/// How much of a refused body is read and thrown away so that its sender hears why. It costs time on
/// the wire only, and that is bounded as well.
const DISCARD_BYTES: usize = 256 << 20;

/// Bodies above this are decoded off the async threads: about half a millisecond of work.
const HEAVY_BYTES: usize = 256 << 10;
/// The same for compressed bodies, which can hold a thousand times their size.
const HEAVY_COMPRESSED_BYTES: usize = 2 << 10;
/// How many heavy bodies are decoded at once: each may take up to the limit of decompressed bytes
/// before the budget hears of it.
const HEAVY_AT_ONCE: usize = 4;

/// One pipeline, as far as the collector is concerned.
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// The name.
    pub id: PipelineId,
    /// The keys that its SDKs send. A key must belong to one pipeline only; else the first has it.
    pub write_keys: Vec<Secret>,
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

/// The collector's router: every call of the Segment and RudderStack spec, what their browser SDKs
/// ask first, `/healthz` and `/readyz`. It answers every other path with 404.
pub fn collector(
    options: CollectorOptions,
    intake: Arc<dyn Intake>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Router {
    let keys = WriteKeys::new(&options.pipelines, entropy.next_u64());
    let collector = Arc::new(Collector {
        keys,
        limits: options.limits,
        request_timeout: options.request_timeout,
        trusted_proxies: options.trusted_proxies,
        budget: Budget::new(options.max_in_flight_bytes),
        heavy: Semaphore::new(HEAVY_AT_ONCE),
        intake,
        clock,
        entropy,
    });
    let mut router = Router::new()
        .route("/healthz", get(async || alive()))
        .route("/readyz", get(ready))
        .route("/v1/projects/{key}/settings", preflighted(get(segment_settings)))
        .route("/sourceConfig", preflighted(get(rudder_source_config)))
        .route("/sourceConfig/", preflighted(get(rudder_source_config)));
    for (path, call) in ROUTES {
        router = router.route(path, call_route(call)).route(&format!("{path}/"), call_route(call));
    }
    router
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(unknown_path)
        .with_state(collector)
}

fn call_route(call: Call) -> MethodRouter<Arc<Collector>> {
    let take = async move |State(collector): State<Arc<Collector>>, request: Request| {
        collector.take(call, request).await
    };
    preflighted(post(take))
}

fn preflighted(route: MethodRouter<Arc<Collector>>) -> MethodRouter<Arc<Collector>> {
    route.options(async |headers: HeaderMap| preflight(&headers))
}

async fn segment_settings(
    State(collector): State<Arc<Collector>>,
    key: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Response<Body> {
    // What is no text is no key. axum's own answer has no CORS headers and is no JSON.
    let key = key.map_or_else(|_| String::new(), |Path(key)| key);
    show(startup::segment_settings(&collector.keys, &key, &headers), &headers)
}

async fn rudder_source_config(
    State(collector): State<Arc<Collector>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    show(startup::rudder_source_config(&collector.keys, &headers, &uri), &headers)
}

fn alive() -> Response<Body> {
    answer(Ok(()), &HeaderMap::new())
}

async fn ready(State(collector): State<Arc<Collector>>) -> Response<Body> {
    answer(collector.intake.ready().map_err(Refusal::from), &HeaderMap::new())
}

async fn method_not_allowed(headers: HeaderMap) -> Response<Body> {
    let message = "this path does not take this method: SDKs post their events";
    let refusal = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, message);
    answer(Err(refusal), &headers)
}

async fn unknown_path(headers: HeaderMap) -> Response<Body> {
    let message = "there is no such path here: see docs/collector.md for those that there are";
    let refusal = Refusal::new(StatusCode::NOT_FOUND, Code::UnknownPath, message);
    answer(Err(refusal), &headers)
}

struct Collector {
    keys: WriteKeys,
    limits: Limits,
    request_timeout: Duration,
    trusted_proxies: Vec<IpAddr>,
    budget: Arc<Budget>,
    heavy: Semaphore,
    intake: Arc<dyn Intake>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// A request whose body is there.
struct Received {
    call: Call,
    body: Bytes,
    content_encoding: String,
    credentials: Credentials,
    client_ip: Option<IpAddr>,
    from_device: bool,
    at: UnixMillis,
    /// Held until the batch is durable.
    reservation: Reservation,
}

impl Received {
    fn is_heavy(&self) -> bool {
        let limit = if is_compressed(&self.body) { HEAVY_COMPRESSED_BYTES } else { HEAVY_BYTES };
        self.body.len() > limit
    }
}

impl Collector {
    async fn take(self: Arc<Collector>, call: Call, request: Request) -> Response<Body> {
        let (parts, mut body) = request.into_parts();
        let result = match self.receive(call, &parts, &mut body).await {
            Ok(received) => Arc::clone(&self).carry(received).await,
            Err(refusal) => {
                if refusal.code != Code::BodyIncomplete {
                    discard(&mut body, &parts.headers, DISCARD_BYTES, self.request_timeout).await;
                }
                Err(refusal)
            }
        };
        answer(result, &parts.headers)
    }

    /// Reads a request whose head does not already say that it is refused.
    async fn receive(
        &self,
        call: Call,
        parts: &Parts,
        body: &mut Body,
    ) -> Result<Received, Refusal> {
        let credentials = Credentials::of(&parts.headers, &parts.uri);
        self.keys.check_early(&credentials)?;
        let mut reservation = self.budget.reserve();
        let (limit, timeout) = (self.limits.body_bytes, self.request_timeout);
        let body = read_body(body, &parts.headers, limit, timeout, &mut reservation).await?;
        Ok(Received {
            call,
            body,
            content_encoding: content_encoding(&parts.headers),
            credentials,
            client_ip: client_ip(parts, &self.trusted_proxies),
            from_device: parts.headers.contains_key(header::ORIGIN),
            at: self.clock.now(),
            reservation,
        })
    }

    /// Carries a request to its end in a task of its own, which goes on when the client has gone.
    async fn carry(self: Arc<Collector>, received: Received) -> Result<(), Refusal> {
        tokio::spawn(async move { self.store(received).await })
            .await
            .unwrap_or_else(|_| Err(stopping()))
    }

    async fn store(self: Arc<Collector>, received: Received) -> Result<(), Refusal> {
        let (batch, _reservation) = if received.is_heavy() {
            let slot = heavy_slot(&self.heavy, self.request_timeout).await?;
            let collector = Arc::clone(&self);
            let decoded = tokio::task::spawn_blocking(move || collector.decode(received)).await;
            drop(slot);
            decoded.map_err(|_| stopping())??
        } else {
            self.decode(received)?
        };
        if batch.items.is_empty() {
            return Ok(());
        }
        match tokio::time::timeout(self.request_timeout, self.intake.admit(batch)).await {
            Ok(admitted) => admitted.map(|_| ()).map_err(Refusal::from),
            // It may be stored yet; the client's resend is then found to be a duplicate.
            Err(_) => Err(Refusal::overloaded("writing takes too long at the moment")),
        }
    }

    fn decode(&self, mut received: Received) -> Result<(Batch, Reservation), Refusal> {
        let sent = received.body.len();
        let body =
            decode_body(received.body, &received.content_encoding, self.limits.inflated_bytes)?;
        received.reservation.grow(body.len().saturating_sub(sent))?;
        let envelope = Envelope::read(received.call, body, &self.limits)?;
        let pipeline = self.keys.owner(&received.credentials, envelope.write_key())?;
        received.reservation.grow(envelope.admission_bytes())?;
        let batch = envelope.admit(&Admission {
            pipeline: &pipeline,
            received_at: received.at,
            client_ip: received.client_ip,
            from_device: received.from_device,
            limits: &self.limits,
            entropy: self.entropy.as_ref(),
        });
        Ok((batch, received.reservation))
    }
}

/// A place among the heavy bodies. Behind a row of gzip bombs one could wait longer than any SDK
/// does, so the wait ends and the client hears when to come back.
async fn heavy_slot(heavy: &Semaphore, wait: Duration) -> Result<SemaphorePermit<'_>, Refusal> {
    match tokio::time::timeout(wait, heavy.acquire()).await {
        Ok(slot) => slot.map_err(|_| stopping()),
        Err(_) => Err(Refusal::overloaded("too many large bodies are being decoded at the moment")),
    }
}

fn stopping() -> Refusal {
    Refusal::from(millrace_model::intake::AdmitError::ShuttingDown)
}

fn content_encoding(headers: &HeaderMap) -> String {
    match headers.get(header::CONTENT_ENCODING) {
        // What is no text is no encoding that is known here.
        Some(value) => value.to_str().unwrap_or("?").to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_wait_behind_heavy_bodies_ends_with_a_time_to_come_back() {
        let heavy = Semaphore::new(1);
        let wait = Duration::from_secs(30);
        let slot = heavy_slot(&heavy, wait).await;
        let Err(refusal) = heavy_slot(&heavy, wait).await else { panic!("there is one slot") };
        assert_eq!(refusal.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(refusal.retry_after.is_some());
        drop(slot);
        assert!(heavy_slot(&heavy, wait).await.is_ok());
    }
}
