//! What listens: the collector, the management API, on one address or on two.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use millrace_http::server::{self, ServeOptions};
use millrace_http::{CollectorOptions, Overview, management};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::STOP_DEADLINE;
use super::certificate::{self, Loaded};
use crate::config::Config;
use crate::exit::Failure;
use crate::open_files;

/// Where everything listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The collector.
    pub collector: SocketAddr,
    /// The collector over TLS, if it speaks that.
    pub tls: Option<TlsAddress>,
    /// The management API.
    pub management: SocketAddr,
    /// The twin, if there is one.
    pub twin: Option<SocketAddr>,
}

/// Where the collector speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsAddress {
    /// The address.
    pub address: SocketAddr,
    /// The file that clients have to trust, with a throw-away certificate.
    pub authority: Option<PathBuf>,
}

/// Addresses that are taken, before anything answers on them.
#[derive(Debug)]
pub(super) struct Listeners {
    collect: TcpListener,
    tls: Option<(TcpListener, Loaded)>,
    manage: Option<TcpListener>,
    addresses: Addresses,
}

impl Listeners {
    /// Takes the addresses.
    pub(super) async fn bind(config: &Config) -> Result<Listeners, Failure> {
        let collect = bind(config.server.collect, "the collector").await?;
        let mut tls_address = None;
        let tls = match &config.server.tls {
            Some(tls) => {
                let loaded = certificate::load(&tls.source, &config.data_dir)?;
                let listener = bind(tls.listen, "the collector over TLS").await?;
                let address = listener.local_addr().map_err(Failure::internal)?;
                tls_address = Some(TlsAddress { address, authority: loaded.authority.clone() });
                Some((listener, loaded))
            }
            None => None,
        };
        let manage = match config.server.manage {
            Some(address) => Some(bind(address, "the management API").await?),
            None => None,
        };
        let collector = collect.local_addr().map_err(Failure::internal)?;
        let management = match &manage {
            Some(listener) => listener.local_addr().map_err(Failure::internal)?,
            None => collector,
        };
        let addresses = Addresses { collector, tls: tls_address, management, twin: None };
        Ok(Listeners { collect, tls, manage, addresses })
    }
}

async fn bind(address: SocketAddr, what: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| cannot_listen(address, what, error))
}

/// Why an address cannot be taken, and what to do.
pub(super) fn cannot_listen(address: SocketAddr, what: &str, error: std::io::Error) -> Failure {
    let text = format!(
        "cannot listen on {address} ({what}): stop what listens there or choose another address"
    );
    Failure::unavailable(anyhow::Error::new(error).context(text))
}

/// The running servers.
#[derive(Debug)]
pub(super) struct Servers {
    addresses: Addresses,
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Servers {
    /// Starts answering.
    pub(super) fn start(
        config: &Config,
        listeners: Listeners,
        collecting: axum::Router,
        overview: Arc<dyn Overview>,
    ) -> Servers {
        let managing = management(config.server.admin_token.clone(), overview);
        let options = ServeOptions {
            max_connections: open_files::connections(config.limits.connections as usize),
            drain_timeout: STOP_DEADLINE,
            ..ServeOptions::default()
        };

        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        if let Some((listener, loaded)) = listeners.tls {
            let (mut stopping, router) = (stopping.clone(), collecting.clone());
            let certificate = Arc::clone(&loaded.certificate);
            tasks.spawn(loaded.follow(stopping.clone()));
            tasks.spawn(async move {
                let stopped = async move {
                    let _ = stopping.wait_for(|stop| *stop).await;
                };
                told_of(server::serve_tls(listener, certificate, router, options, stopped).await);
            });
        }
        let mut serve = |listener: TcpListener, router: axum::Router| {
            let mut stopping = stopping.clone();
            tasks.spawn(async move {
                let stopped = async move {
                    let _ = stopping.wait_for(|stop| *stop).await;
                };
                told_of(server::serve(listener, router, options, stopped).await);
            });
        };
        match listeners.manage {
            Some(listener) => {
                serve(listeners.collect, collecting);
                serve(listener, managing);
            }
            // What neither knows is answered as the collector does: SDKs come here, too.
            None => serve(listeners.collect, collecting.merge(managing)),
        }
        Servers { addresses: listeners.addresses, tasks, stop }
    }

    /// Where everything listens.
    pub(super) fn addresses(&self, twin: Option<SocketAddr>) -> Addresses {
        Addresses { twin, ..self.addresses.clone() }
    }

    /// Takes no more connections, and resolves when open requests have ended or were cut off.
    pub(super) async fn stop(mut self) {
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
    }
}

fn told_of(cut: usize) {
    if cut > 0 {
        tracing::warn!(cut, "connections were cut off at the end");
    }
}

/// The settings of the collector.
pub(super) fn collector_options(config: &Config) -> CollectorOptions {
    let mut options = CollectorOptions {
        pipelines: config.pipelines.iter().map(|pipeline| pipeline.door.clone()).collect(),
        trusted_proxies: config.server.trusted_proxies.clone(),
        other_paths: config.server.other_paths.clone(),
        segment_script: config.server.segment_script.clone().map(Into::into),
        ..CollectorOptions::default()
    };
    let limits = &mut options.limits;
    limits.body_bytes = usize::try_from(config.limits.body).unwrap_or(usize::MAX);
    limits.inflated_bytes = usize::try_from(config.limits.inflated).unwrap_or(usize::MAX);
    limits.event_bytes = usize::try_from(config.limits.event).unwrap_or(usize::MAX);
    limits.batch_events = config.limits.batch_events as usize;
    limits.depth = config.limits.depth as usize;
    options
}
