//! A collector in trouble: the real router on real sockets, before an intake that refuses for a while.
//!
//! The intake refuses as the log does under overload or with a full disk. Every request but for
//! preflights is noted, with its answer.

#![expect(clippy::expect_used, clippy::panic, reason = "helper functions of tests")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{self, Next};
use millrace_http::server::{ServeOptions, serve_tls};
use millrace_http::tls::Certificate;
use millrace_http::{
    AdobeOptions, CollectorOptions, MixpanelAccess, PipelineOptions, WriteKey, collector, serve,
};
use millrace_model::entropy::SystemEntropy;
use millrace_model::event::{Batch, Event, Item};
use millrace_model::id::Seq;
use millrace_model::intake::{AdmitError, AdmitFuture, Admitted, Intake};
use millrace_model::time::SystemClock;
use tokio::net::TcpListener;

/// The write key, the token and the datastream of the one pipeline.
pub(crate) const KEY: &str = "stress-write-key";
/// An event larger than this is set aside.
pub(crate) const EVENT_BYTES: usize = 16 << 10;

/// An intake that refuses for a while, and then keeps what it is given.
#[derive(Debug, Default)]
struct Weather {
    /// What is refused next, the first at the end.
    refusals: Mutex<Vec<AdmitError>>,
    batches: Mutex<Vec<Batch>>,
}

impl Intake for Weather {
    fn admit(&self, batch: Batch) -> AdmitFuture<'_> {
        Box::pin(async move {
            if let Some(refusal) = self.refusals.lock().expect("no panic").pop() {
                return Err(refusal);
            }
            let events = u32::try_from(batch.items.len()).unwrap_or(u32::MAX);
            self.batches.lock().expect("no panic").push(batch);
            Ok(Admitted { seq: Seq(1), events, duplicates: 0, set_aside: 0 })
        })
    }

    fn ready(&self) -> Result<(), AdmitError> {
        Ok(())
    }
}

/// A request as it came, and what it was answered.
pub(crate) type Asked = (Method, String, u16);

/// A collector on two sockets, and what came in.
#[derive(Debug)]
pub(crate) struct StressedCollector {
    address: SocketAddr,
    tls: SocketAddr,
    weather: Arc<Weather>,
    asked: Arc<Mutex<Vec<Asked>>>,
    _runtime: tokio::runtime::Runtime,
}

impl StressedCollector {
    /// Starts with what is refused first, the last of it first, and the largest body it takes.
    pub(crate) fn start(refusals: &[AdmitError], body_bytes: Option<usize>) -> StressedCollector {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let weather =
            Arc::new(Weather { refusals: Mutex::new(refusals.to_vec()), ..Weather::default() });
        let mut options = CollectorOptions {
            pipelines: vec![PipelineOptions {
                write_keys: vec![WriteKey::active(KEY)],
                mixpanel: MixpanelAccess {
                    tokens: vec![WriteKey::active(KEY)],
                    ..MixpanelAccess::default()
                },
                adobe: AdobeOptions {
                    datastreams: vec![WriteKey::active(KEY)],
                    ..AdobeOptions::default()
                },
                ..PipelineOptions::new("stress".parse().expect("a name"))
            }],
            ..CollectorOptions::default()
        };
        options.limits.event_bytes = EVENT_BYTES;
        options.limits.body_bytes = body_bytes.unwrap_or(options.limits.body_bytes);
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        let router = collector(
            options,
            Arc::clone(&weather) as Arc<dyn Intake>,
            Arc::new(SystemClock::default()),
            Arc::new(SystemEntropy),
        )
        .layer(middleware::from_fn(move |request: Request, next: Next| {
            let noted = Arc::clone(&noted);
            async move {
                let (method, path) = (request.method().clone(), request.uri().path().to_owned());
                let answer = next.run(request).await;
                if method != Method::OPTIONS {
                    let status = answer.status().as_u16();
                    noted.lock().expect("no panic").push((method, path, status));
                }
                answer
            }
        }));
        let made = rcgen::generate_simple_self_signed(["edge.millrace.test".to_owned()]);
        let made = made.expect("a certificate");
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let certificate = Certificate::from_pem(chain.as_bytes(), key.as_bytes());
        let certificate = Arc::new(certificate.expect("a pair"));
        let (address, tls) = runtime.block_on(async {
            let open = || async { TcpListener::bind("127.0.0.1:0").await.expect("a port") };
            let (plain, secret) = (open().await, open().await);
            let address = |listener: &TcpListener| listener.local_addr().expect("an address");
            let addresses = (address(&plain), address(&secret));
            let (options, never) = (ServeOptions::default(), std::future::pending);
            tokio::spawn(serve_tls(secret, certificate, router.clone(), options, never()));
            tokio::spawn(serve(plain, router, options, never()));
            addresses
        });
        StressedCollector { address, tls, weather, asked, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens for TLS.
    pub(crate) fn tls(&self) -> SocketAddr {
        self.tls
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    /// The events, with copies, and how many items were set aside.
    pub(crate) fn stored(&self) -> (Vec<Event>, usize) {
        let (mut events, mut aside) = (Vec::new(), 0);
        for item in self.weather.batches.lock().expect("no panic").iter().flat_map(|b| &b.items) {
            match item {
                Item::Event(event) => events.push(event.clone()),
                Item::SetAside(_) => aside += 1,
                other => panic!("{other:?}"),
            }
        }
        (events, aside)
    }
}

/// Two refusals under overload and one for a full disk: rudder-sdk-node tries a batch four times
/// in all, the least of the SDKs that try again.
pub(crate) fn trouble() -> [AdmitError; 3] {
    let overloaded = AdmitError::Overloaded { retry_after: Duration::from_secs(1) };
    let full = AdmitError::DiskFull { retry_after: Duration::from_secs(1) };
    [overloaded.clone(), full, overloaded]
}
