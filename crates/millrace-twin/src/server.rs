//! The twin on a TCP port: threads and a runtime of its own, nothing shared with the caller.
//!
//! The twin stands for a remote system, so a host process must not be able to starve it or to be
//! starved by it through a common runtime (DESIGN 9.21).

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::serve::ListenerExt;
use millrace_model::entropy::Entropy;
use millrace_model::time::Clock;
use tokio::sync::oneshot;

use crate::error::TwinError;
use crate::options::TwinOptions;
use crate::twin::Twin;

/// Threads that run the asynchronous part; parsing happens on blocking threads beside them.
const WORKERS: usize = 2;

/// How long open requests may take to end once the server is told to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// A running twin. Dropping it stops it.
#[derive(Debug)]
pub struct TwinServer {
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TwinServer {
    /// Opens the twin and serves it on a bound listener until it is stopped.
    ///
    /// # Errors
    /// Whatever [`Twin::open`] refuses, and a listener or thread that the system refuses.
    pub fn start(
        options: TwinOptions,
        listener: TcpListener,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<TwinServer, TwinError> {
        let addr = listener.local_addr().map_err(TwinError::Start)?;
        listener.set_nonblocking(true).map_err(TwinError::Start)?;
        let twin = Twin::open(options, clock, entropy)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("twin")
            .enable_all()
            .build()
            .map_err(TwinError::Start)?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("twin-serve".to_owned())
            .spawn(move || {
                runtime.block_on(serve(&twin, listener, stopped));
                runtime.shutdown_timeout(DRAIN);
            })
            .map_err(TwinError::Start)?;
        Ok(TwinServer { addr, stop: Some(stop), thread: Some(thread) })
    }

    /// The address it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops listening, lets open requests end and waits for all threads.
    pub fn stop(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        if let Some(stop) = self.stop.take() {
            // A server that has already ended has dropped the other half: nothing is left to do.
            let _already_gone = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic in the server thread has been printed by the runtime; there is no caller
            // here that could do more about it.
            let _ended = thread.join();
        }
    }
}

impl Drop for TwinServer {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Serves until told to stop, then for as long as open requests need, up to [`DRAIN`].
async fn serve(twin: &Twin, listener: TcpListener, stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    // Small answers must not wait for Nagle's algorithm; a socket that refuses is only slower.
    let listener = listener.tap_io(|socket| {
        let _slower = socket.set_nodelay(true);
    });
    let service = twin.router().into_make_service_with_connect_info::<SocketAddr>();
    let (drain, drained) = oneshot::channel::<()>();
    let server = axum::serve(listener, service).with_graceful_shutdown(async {
        let _told = drained.await;
    });
    let server = std::future::IntoFuture::into_future(server);
    tokio::pin!(server);
    let ended: io::Result<()> = tokio::select! {
        ended = &mut server => ended,
        _ = stopped => {
            let _told = drain.send(());
            tokio::time::timeout(DRAIN, server).await.unwrap_or(Ok(()))
        }
    };
    // axum's accept loop answers errors of single connections itself and ends only when told.
    drop(ended);
}
