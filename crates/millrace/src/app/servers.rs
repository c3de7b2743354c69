//! What listens: the collector, the management API, on one address or on two.

use std::net::SocketAddr;
use std::sync::Arc;

use millrace_http::server::{self, ServeOptions};
use millrace_http::{CollectorOptions, Overview, management};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::STOP_DEADLINE;
use crate::config::Config;
use crate::exit::Failure;

/// Where everything listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// The collector.
    pub collector: SocketAddr,
    /// The management API.
    pub management: SocketAddr,
    /// The twin, if there is one.
    pub twin: Option<SocketAddr>,
}

/// Addresses that are taken, before anything answers on them.
#[derive(Debug)]
pub(super) struct Listeners {
    collect: TcpListener,
    manage: Option<TcpListener>,
    addresses: Addresses,
}

impl Listeners {
    /// Takes the addresses.
    pub(super) async fn bind(config: &Config) -> Result<Listeners, Failure> {
        let collect = bind(config.server.collect, "the collector").await?;
        let manage = match config.server.manage {
            Some(address) => Some(bind(address, "the management API").await?),
            None => None,
        };
        let collector = collect.local_addr().map_err(Failure::internal)?;
        let management = match &manage {
            Some(listener) => listener.local_addr().map_err(Failure::internal)?,
            None => collector,
        };
        let addresses = Addresses { collector, management, twin: None };
        Ok(Listeners { collect, manage, addresses })
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
            max_connections: config.limits.connections as usize,
            drain_timeout: STOP_DEADLINE,
            ..ServeOptions::default()
        };

        let (stop, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut serve = |listener: TcpListener, router: axum::Router| {
            let mut stopping = stopping.clone();
            tasks.spawn(async move {
                let stopped = async move {
                    let _ = stopping.wait_for(|stop| *stop).await;
                };
                let cut = server::serve(listener, router, options, stopped).await;
                if cut > 0 {
                    tracing::warn!(cut, "connections were cut off at the end");
                }
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
        Addresses { twin, ..self.addresses }
    }

    /// Takes no more connections, and resolves when open requests have ended or were cut off.
    pub(super) async fn stop(mut self) {
        let _ = self.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
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
