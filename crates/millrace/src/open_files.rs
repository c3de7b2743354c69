//! How many files the process may have open: each connection is one.
//!
//! Systems start processes with a low limit that these may raise by themselves up to a second, hard
//! one. That is done at the start, and what came of it bounds the connections.

/// Files that are no connection of a client: the log, connections to Mixpanel, the twin's.
const OTHERS: usize = 512;
/// More than this is not asked for.
#[cfg(unix)]
const MOST: u64 = 1 << 20;

/// Raises the limit as far as it goes.
pub fn raise() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let now = getrlimit(Resource::Nofile);
        let wanted = now.maximum.unwrap_or(MOST).min(MOST);
        if now.current.is_some_and(|current| current < wanted) {
            let raised = Rlimit { current: Some(wanted), maximum: now.maximum };
            if let Err(error) = setrlimit(Resource::Nofile, raised) {
                tracing::warn!(%error, "the limit of open files stays as it is");
            }
        }
    }
    tracing::info!(files = limit(), "open files at once");
}

/// As many connections as asked for, or as there may be open files for them. Says so when it is fewer.
#[must_use]
pub fn connections(asked: usize) -> usize {
    let possible =
        limit().map_or(asked, |limit| limit.saturating_sub(OTHERS).max(limit / 2).max(1));
    if possible < asked {
        tracing::warn!(
            asked,
            possible,
            "fewer connections than limits.connections: raise the limit of open files (ulimit -n)"
        );
    }
    asked.min(possible)
}

#[cfg(unix)]
fn limit() -> Option<usize> {
    let now = rustix::process::getrlimit(rustix::process::Resource::Nofile).current?;
    usize::try_from(now).ok()
}

#[cfg(not(unix))]
fn limit() -> Option<usize> {
    None
}
