//! Connections: how many, how slow, and how they end.
//!
//! Each connection is a task of its own, and their number is bounded. At the bound a new client takes
//! the place of the one that has kept the server waiting longest (`slots`); while none does, one more
//! is accepted and the others wait in the kernel's queue. A client that does not finish its request
//! head in time, stays idle as long or does not read its answers is cut off anyway.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::server::TlsStream;
use tower::Service;

use crate::peer::PeerAddress;
use crate::slots::{Arriving, Slot, Slots};
use crate::tls::Certificate;
use crate::write_deadline::WriteDeadline;

/// How long to wait when the system refuses a connection (no file handles left, most often).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The bounds of a server.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    /// Connections at once. Default 10,000.
    pub max_connections: usize,
    /// How long a client may take to send the head of a request, and how long a kept connection
    /// may be idle. Default 30 s.
    pub header_timeout: Duration,
    /// How long a TLS handshake may take. Default 10 s: two round trips, on the worst of lines.
    pub handshake_timeout: Duration,
    /// How long an answer may wait for a client that does not read. Default 30 s.
    pub write_timeout: Duration,
    /// How long requests that are under way may take after the stop. Default 10 s.
    pub drain_timeout: Duration,
}

impl Default for ServeOptions {
    fn default() -> ServeOptions {
        ServeOptions {
            max_connections: 10_000,
            header_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Serves a router over HTTP/1.1 until `shutdown` resolves, then stops accepting, lets the requests
/// under way finish, and returns how many connections had to be cut off at the end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: ServeOptions,
    shutdown: impl Future<Output = ()>,
) -> usize {
    accept(listener, None, router, options, shutdown).await
}

/// The same over TLS. Handshakes are under way at the same time as everything else, within the
/// same bound of connections and with a time limit of their own.
pub async fn serve_tls(
    listener: TcpListener,
    certificate: Arc<Certificate>,
    router: Router,
    options: ServeOptions,
    shutdown: impl Future<Output = ()>,
) -> usize {
    accept(listener, Some(certificate), router, options, shutdown).await
}

async fn accept(
    listener: TcpListener,
    certificate: Option<Arc<Certificate>>,
    router: Router,
    options: ServeOptions,
    shutdown: impl Future<Output = ()>,
) -> usize {
    let slots = Slots::new(options.max_connections);
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                let slot = tokio::select! {
                    biased;
                    () = &mut shutdown => break,
                    slot = Arc::clone(&slots).take() => slot,
                };
                let Some(slot) = slot else { break };
                let peer = PeerAddress(peer.ip());
                // Answers are small and must not wait for more.
                let _ = stream.set_nodelay(true);
                let (certificate, router) = (certificate.clone(), router.clone());
                let stopped = stopped.clone();
                connections.spawn(async move {
                    let cut = Arc::clone(&slot);
                    let served = async move {
                        let Some(certificate) = certificate else {
                            return connection(stream, peer, router, options, stopped, slot).await;
                        };
                        let limit = options.handshake_timeout;
                        let shaken = shake_hands(&certificate, stream, limit, &stopped).await;
                        if let Some(stream) = shaken {
                            connection(stream, peer, router, options, stopped, slot).await;
                        }
                    };
                    tokio::select! {
                        // First, so that an answer is on its way before its place is given up.
                        biased;
                        () = served => {}
                        () = cut.cut() => tracing::debug!("a waiting connection gave way"),
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // Most often there are no file handles left: one that waits has one to give.
                slots.cut_longest();
                tokio::select! {
                    () = &mut shutdown => break,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
    drop(listener);
    let _ = stop.send(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(options.drain_timeout, drained).await.is_ok() {
        return 0;
    }
    while connections.try_join_next().is_some() {}
    let cut = connections.len();
    connections.shutdown().await;
    cut
}

/// The handshake; none when it fails or the server stops meanwhile: nothing was asked yet.
async fn shake_hands(
    certificate: &Certificate,
    stream: TcpStream,
    limit: Duration,
    stopped: &watch::Receiver<bool>,
) -> Option<TlsStream<TcpStream>> {
    let mut stopped = stopped.clone();
    let stop = async { drop(stopped.wait_for(|stopped| *stopped).await) };
    tokio::select! {
        stream = certificate.handshake(stream, limit) => stream,
        () = stop => None,
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: PeerAddress,
    router: Router,
    options: ServeOptions,
    mut stopped: watch::Receiver<bool>,
    slot: Arc<Slot>,
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let (mut router, slot) = (router.clone(), Arc::clone(&slot));
        async move {
            let body = |body| Body::new(Arriving::new(body, Arc::clone(&slot)));
            let response = router.call(request.map(body)).await;
            slot.waits();
            Ok::<_, Infallible>(response.unwrap_or_else(|never| match never {}))
        }
    });
    let stream = WriteDeadline::new(stream, options.write_timeout);
    let mut served = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(options.header_timeout)
            .serve_connection(TokioIo::new(stream), service)
    );
    let stop = async { drop(stopped.wait_for(|stopped| *stopped).await) };
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = stop => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
