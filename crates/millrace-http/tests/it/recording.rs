//! A collector whose intake keeps what it is given, and requests to it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use millrace_http::{CollectorHandle, CollectorOptions, PeerAddress, PipelineOptions, WriteKey};
use millrace_model::code::Code;
use millrace_model::entropy::SeededEntropy;
use millrace_model::event::{Batch, Event, Item, SetAside};
use millrace_model::id::Seq;
use millrace_model::intake::{AdmitError, AdmitFuture, Admitted, Intake};
use millrace_model::time::{Clock, ManualClock, UnixMillis};
use serde_json::Value;
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// 2026-11-22T15:00:00Z, shortly after the fixtures were recorded.
pub(crate) const NOW: UnixMillis = UnixMillis(1_795_359_600_000);
pub(crate) const KEY: &str = "dev-write-key";
pub(crate) const OTHER_KEY: &str = "other-key";

#[derive(Default)]
pub(crate) struct RecordingIntake {
    batches: Mutex<Vec<Batch>>,
    refusal: Mutex<Option<AdmitError>>,
    gate: Mutex<Option<Arc<Gate>>>,
}

/// Holds admissions back until it is opened, and tells when one has come to it.
pub(crate) struct Gate {
    pub(crate) reached: Semaphore,
    pub(crate) open: Semaphore,
}

impl RecordingIntake {
    pub(crate) fn refuse(&self, refusal: AdmitError) {
        *self.refusal.lock().unwrap() = Some(refusal);
    }

    pub(crate) fn close_gate(&self) -> Arc<Gate> {
        let gate = Arc::new(Gate { reached: Semaphore::new(0), open: Semaphore::new(0) });
        *self.gate.lock().unwrap() = Some(Arc::clone(&gate));
        gate
    }

    pub(crate) fn take(&self) -> Vec<Batch> {
        std::mem::take(&mut self.batches.lock().unwrap())
    }
}

impl Intake for RecordingIntake {
    fn admit(&self, batch: Batch) -> AdmitFuture<'_> {
        Box::pin(async move {
            self.ready()?;
            let gate = self.gate.lock().unwrap().clone();
            if let Some(gate) = gate {
                gate.reached.add_permits(1);
                gate.open.acquire().await.unwrap().forget();
            }
            let events = batch.items.len().try_into().unwrap_or_default();
            self.batches.lock().unwrap().push(batch);
            Ok(Admitted { seq: Seq(1), events, duplicates: 0, set_aside: 0 })
        })
    }

    fn ready(&self) -> Result<(), AdmitError> {
        self.refusal.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answered {
    pub(crate) fn code(&self) -> Option<Code> {
        let body: Value = serde_json::from_str(&self.body).ok()?;
        Code::parse(body.get("code")?.as_str()?)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(crate) struct TestCollector {
    pub(crate) router: Router,
    pub(crate) intake: Arc<RecordingIntake>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) handle: CollectorHandle,
}

impl TestCollector {
    pub(crate) fn new() -> TestCollector {
        TestCollector::with(CollectorOptions::default())
    }

    pub(crate) fn with(options: CollectorOptions) -> TestCollector {
        let pipeline = |id: &str, key: &str| PipelineOptions {
            write_keys: vec![WriteKey::active(key), WriteKey::active("")],
            ..PipelineOptions::new(id.parse().unwrap())
        };
        let standard = CollectorOptions {
            pipelines: vec![
                pipeline("dev", KEY),
                pipeline("other", OTHER_KEY),
                pipeline("segment", "fakeSegmentWriteKey01"),
                pipeline("rudder", "fakeRudderWriteKey01"),
            ],
            ..options
        };
        TestCollector::of(standard)
    }

    /// With one pipeline, `dev`, that has these keys.
    pub(crate) fn with_keys(write_keys: Vec<WriteKey>) -> TestCollector {
        let pipeline =
            PipelineOptions { write_keys, ..PipelineOptions::new("dev".parse().unwrap()) };
        TestCollector::of(CollectorOptions {
            pipelines: vec![pipeline],
            ..CollectorOptions::default()
        })
    }

    /// With exactly these options.
    pub(crate) fn of(options: CollectorOptions) -> TestCollector {
        let clock = Arc::new(ManualClock::at(NOW));
        let intake = Arc::new(RecordingIntake::default());
        let handle = CollectorHandle::new(
            options,
            Arc::clone(&intake) as Arc<dyn Intake>,
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(SeededEntropy::new(1)),
        );
        TestCollector { router: handle.router(), intake, clock, handle }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answered {
        send(&self.router, request).await
    }

    /// Headers and bytes of an answer that is no text and always 200.
    pub(crate) async fn send_bytes(&self, request: Request<Body>) -> (HeaderMap, Vec<u8>) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        assert_eq!(parts.status, StatusCode::OK);
        (parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
    }

    /// Posts with the key in the header.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Answered {
        self.send(keyed(path).body(body.into()).unwrap()).await
    }

    /// The one item of the one batch that was stored since.
    pub(crate) fn stored(&self) -> Vec<Item> {
        let mut batches = self.intake.take();
        assert!(batches.len() <= 1, "{batches:?}");
        batches.pop().map(|batch| batch.items).unwrap_or_default()
    }

    pub(crate) fn stored_event(&self) -> Event {
        match self.stored().pop() {
            Some(Item::Event(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn stored_aside(&self) -> SetAside {
        match self.stored().pop() {
            Some(Item::SetAside(aside)) => aside,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answered {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = String::from_utf8_lossy(&body).into_owned();
    Answered { status: parts.status, headers: parts.headers, body }
}

pub(crate) fn basic(user_and_password: &str) -> String {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(user_and_password);
    format!("Basic {encoded}")
}

pub(crate) fn keyed(path: &str) -> axum::http::request::Builder {
    posting(path).header("authorization", basic(&format!("{KEY}:")))
}

pub(crate) fn posting(path: &str) -> axum::http::request::Builder {
    let peer = PeerAddress("203.0.113.9".parse().unwrap());
    Request::builder().method(Method::POST).uri(path).extension(peer)
}

pub(crate) fn track(members: &str) -> String {
    format!(r#"{{"userId":"u","event":"e"{members}}}"#)
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
