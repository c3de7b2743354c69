//! Ctrl-C and SIGTERM: the two ways in which people and supervisors ask a process to stop.
//!
//! The first asks, the second ends the process at once.

use std::future::Future;

use tokio::sync::watch;

/// What a shell shows for a process that a Ctrl-C ended: 128 and the number of the signal.
const ENDED_BY_SIGNAL: i32 = 130;

/// Whether the process was asked to stop.
#[derive(Clone, Debug)]
pub(super) struct StopRequest(watch::Receiver<bool>);

impl StopRequest {
    /// Listens from now on, until the process ends. Needs the async runtime.
    pub(super) fn listen() -> StopRequest {
        let (asked, request) = watch::channel(false);
        let mut signals = Signals::listen();
        tokio::spawn(async move {
            signals.next().await;
            let _ = asked.send(true);
            signals.next().await;
            end_at_once();
        });
        StopRequest(request)
    }

    /// Resolves when the process is asked to stop, or was.
    pub(super) async fn wait(&self) {
        let _ = self.0.clone().wait_for(|asked| *asked).await;
    }

    /// What the work comes to, or nothing when the process is asked to stop before.
    pub(super) async fn unless_asked<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.wait() => None,
        }
    }
}

#[expect(clippy::exit, reason = "whoever asks twice does not want to wait for anything")]
fn end_at_once() {
    std::process::exit(ENDED_BY_SIGNAL);
}

/// The signals themselves, kept from the moment of listening on.
struct Signals {
    #[cfg(unix)]
    kinds: Option<(tokio::signal::unix::Signal, tokio::signal::unix::Signal)>,
}

impl Signals {
    #[cfg(unix)]
    fn listen() -> Signals {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = signal(SignalKind::interrupt()).ok().zip(signal(SignalKind::terminate()).ok());
        Signals { kinds }
    }

    #[cfg(not(unix))]
    fn listen() -> Signals {
        Signals {}
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some((interrupt, terminate)) = &mut self.kinds {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
        let _ = tokio::signal::ctrl_c().await;
    }
}
