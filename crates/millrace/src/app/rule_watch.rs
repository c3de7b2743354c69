//! What the rules of the doors need from time to time: alarms are told, and a new database of places
//! is read when its file changes.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use millrace_govern::hot_ids::{HotIds, MIXPANEL_LIMIT};
use millrace_model::code::Code;
use millrace_model::id::PipelineId;
use tokio::sync::watch::Receiver;

use super::doorkeeper::Doorkeeper;
use crate::config::PlacesFile;

/// How often is looked.
const EVERY: Duration = Duration::from_secs(10);

/// Looks after the rules until the process stops.
pub(super) async fn run(doorkeeper: Arc<Doorkeeper>, mut stopping: Receiver<bool>) {
    let mut seen = doorkeeper.places().and_then(|file| state(&file.path));
    while tokio::time::timeout(EVERY, stopping.wait_for(|stop| *stop)).await.is_err() {
        for (pipeline, hot) in doorkeeper.hot_ids() {
            tell(&pipeline, &hot);
        }
        let Some(file) = doorkeeper.places() else { continue };
        // Files and databases take their time.
        let before = seen;
        let look = move || reread(&file, before);
        seen = tokio::task::spawn_blocking(look).await.unwrap_or(before);
    }
}

fn tell(pipeline: &PipelineId, hot: &HotIds) {
    for alarm in hot.take_alarms() {
        tracing::warn!(
            code = Code::HotIdentity.as_str(),
            %pipeline,
            id = ?alarm.id,
            events = alarm.events,
            "one id has many events today, and Mixpanel renames an id after {MIXPANEL_LIMIT} of them"
        );
    }
}

/// When a file was written, and its length: both stay when it did not change.
type State = (SystemTime, u64);

fn state(path: &Path) -> Option<State> {
    let metadata = path.metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Reads the database again if its file has changed. A file that is gone or broken, which may be half
/// written, changes nothing.
fn reread(file: &PlacesFile, before: Option<State>) -> Option<State> {
    let now = state(&file.path);
    if now.is_none() || now == before {
        return before;
    }
    match file.reload() {
        Ok(()) => {
            tracing::info!(file = %file.path.display(), "the database of places was read anew")
        }
        Err(reason) => tracing::warn!(
            code = Code::PlacesUnusable.as_str(),
            file = %file.path.display(),
            reason,
            "the database of places has changed and cannot be used: the former one stays in use"
        ),
    }
    now
}
