//! Keeps the pipelines' doors as the configuration file says, while the process runs.
//!
//! The file is looked at twice a second, and at once on SIGHUP. A file with mistakes changes nothing.
//! What the doors are made of changes as a whole; what would take a restart is named, and left as it
//! is. Also keeps what keys with a quota have sent today over a restart.
//!
//! Nothing in here shows more of a key than its last characters.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use millrace_govern::hot_ids::HotIds;
use millrace_http::{CollectorHandle, KeyState, PipelineOptions};
use millrace_model::diagnostic::Diagnostic;
use millrace_model::id::PipelineId;
use millrace_model::time::{Clock, UnixMillis};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::quotas;
use super::restart::needs_restart;
use crate::config::{Config, PlacesFile};

/// How often the file is looked at: a key is revoked within a second of its change.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Whoever writes the file is done when it has not changed for so long; and how many times that is
/// waited for. The first part of a file can be a configuration with fewer keys.
const SETTLED_AFTER: Duration = Duration::from_millis(50);
const SETTLING_LOOKS: u32 = 6;
/// How many looks lie between two writes of the quotas.
const LOOKS_PER_SAVE: u32 = 20;
/// A configuration larger than this is a mistake; reading it says so.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The doors, and where they come from.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    collector: CollectorHandle,
    clock: Arc<dyn Clock>,
    /// The pipelines that the process was started with: others have no log to go to.
    known: Vec<PipelineId>,
    quotas: PathBuf,
    now: Mutex<Doors>,
}

/// What is shown of the doors.
#[derive(Debug)]
struct Doors {
    pipelines: Vec<PipelineOptions>,
    /// The database of places that their rules share.
    places: Option<PlacesFile>,
    loaded_at: UnixMillis,
    /// Why the file of now is not what holds.
    mistakes: Vec<String>,
    needs_restart: Vec<String>,
}

/// A file as it was when it was last looked at.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    modified: Option<SystemTime>,
    length: u64,
}

impl Look {
    fn at(path: &Path) -> Option<Look> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Look { modified: metadata.modified().ok(), length: metadata.len() })
    }
}

impl Doorkeeper {
    pub(super) fn new(
        config: &Config,
        collector: CollectorHandle,
        clock: Arc<dyn Clock>,
    ) -> Doorkeeper {
        let pipelines: Vec<_> =
            config.pipelines.iter().map(|pipeline| pipeline.door.clone()).collect();
        let quotas = config.data_dir.join(quotas::FILE);
        if let Some(usage) = quotas::load(&quotas) {
            collector.restore_day_usage(&usage);
        }
        let now = Doors {
            pipelines,
            places: config.places.clone(),
            loaded_at: clock.now(),
            mistakes: Vec::new(),
            needs_restart: Vec::new(),
        };
        let known = config.pipelines.iter().map(|pipeline| pipeline.id.clone()).collect();
        Doorkeeper { collector, clock, known, quotas, now: Mutex::new(now) }
    }

    pub(super) fn collector(&self) -> &CollectorHandle {
        &self.collector
    }

    /// The counts of the pipelines that look for ids with too many events.
    pub(super) fn hot_ids(&self) -> Vec<(PipelineId, Arc<HotIds>)> {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = now
            .pipelines
            .iter()
            .filter_map(|door| Some((door.id.clone(), Arc::clone(door.rules.hot_ids()?))));
        counted.collect()
    }

    /// The database of places of now.
    pub(super) fn places(&self) -> Option<PlacesFile> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).places.clone()
    }

    /// Keeps the doors until `stop` says so. Without a file only the quotas are kept.
    pub(super) async fn run(
        self: Arc<Self>,
        file: Option<PathBuf>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut hangups = Hangups::listen();
        let mut seen = file.as_deref().and_then(Look::at);
        let first = file.as_deref().and_then(|path| read(path).ok()).unwrap_or_default();
        for looks in 1_u32.. {
            let asked = tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => false,
                () = hangups.next() => true,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let mut look = file.as_deref().and_then(Look::at);
            let reload = asked || look != seen;
            if reload {
                look = settled(file.as_deref(), look).await;
            }
            seen = look;
            let save = looks.is_multiple_of(LOOKS_PER_SAVE);
            if !reload && !save {
                continue;
            }
            let (keeper, file, first) = (Arc::clone(&self), file.clone(), first.clone());
            let work = move || {
                if let Some(path) = file.as_deref().filter(|_| reload) {
                    keeper.reload(path, &first);
                }
                if save {
                    keeper.save_quotas();
                }
            };
            if tokio::task::spawn_blocking(work).await.is_err() {
                tracing::error!("the configuration could not be looked at");
            }
        }
        let _ = tokio::task::spawn_blocking(move || self.save_quotas()).await;
    }

    /// Takes the file over. `first` is its text at the start.
    fn reload(&self, path: &Path, first: &str) {
        let loaded = Config::load(path, &|name| std::env::var(name).ok());
        let text = read(path).unwrap_or_default();
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        match loaded {
            Err(refused) => {
                let told = refused.mistakes.iter().map(Diagnostic::to_string).collect();
                if now.mistakes != told {
                    for mistake in &told {
                        tracing::error!(%mistake, "the configuration was not taken over");
                    }
                }
                now.mistakes = told;
            }
            Ok((config, _)) => {
                let is_known = |door: &PipelineOptions| self.known.contains(&door.id);
                let doors = config.pipelines.into_iter().map(|pipeline| pipeline.door);
                now.pipelines = doors.filter(is_known).collect();
                now.places = config.places;
                now.mistakes = Vec::new();
                now.needs_restart = needs_restart(first, &text);
                now.loaded_at = self.clock.now();
                self.collector.replace(&now.pipelines);
                tracing::info!("the configuration was taken over");
                for what in &now.needs_restart {
                    tracing::warn!(%what, "takes effect with the next start");
                }
            }
        }
    }

    fn save_quotas(&self) {
        let usage = self.collector.day_usage();
        if let Err(error) = quotas::save(&self.quotas, &usage) {
            let file = self.quotas.display();
            tracing::warn!(%error, %file, "what was sent today could not be kept");
        }
    }

    /// The pipelines and their keys, and how the file stands to what holds.
    pub(super) fn show(&self) -> Value {
        let at = self.clock.now();
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let pipelines: Vec<Value> = now
            .pipelines
            .iter()
            .map(|door| {
                let keys: Vec<Value> = door
                    .write_keys
                    .iter()
                    .map(|key| {
                        let until = match key.state {
                            KeyState::Until(end) => Some(end.to_string()),
                            KeyState::Active | KeyState::Revoked => None,
                        };
                        json!({
                            "key": key.masked().to_string(),
                            "name": key.name,
                            "state": key.state.as_str(at),
                            "until": until,
                        })
                    })
                    .collect();
                json!({
                    "id": door.id,
                    "keys": keys,
                    "origins": door.origins.list(),
                    "limits": {
                        "requests_per_second": door.limits.requests_per_second,
                        "events_per_second": door.limits.events_per_second,
                        "burst_seconds": door.limits.burst_seconds,
                        "events_per_day": door.limits.events_per_day,
                    },
                })
            })
            .collect();
        json!({
            "pipelines": pipelines,
            "configuration": {
                "loaded_at": now.loaded_at.to_string(),
                "mistakes": now.mistakes,
                "needs_restart": now.needs_restart,
            },
        })
    }
}

/// The file once nobody writes it any more. One that is written for ever is taken as it is.
async fn settled(file: Option<&Path>, mut look: Option<Look>) -> Option<Look> {
    for _ in 0..SETTLING_LOOKS {
        tokio::time::sleep(SETTLED_AFTER).await;
        let now = file.and_then(Look::at);
        if now == look {
            break;
        }
        look = now;
    }
    look
}

fn read(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// SIGHUP, by which supervisors ask a process to read its configuration again.
struct Hangups {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    #[cfg(unix)]
    fn listen() -> Hangups {
        use tokio::signal::unix::{SignalKind, signal};
        Hangups { signal: signal(SignalKind::hangup()).ok() }
    }

    #[cfg(not(unix))]
    fn listen() -> Hangups {
        Hangups {}
    }

    /// Resolves at the next one.
    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
