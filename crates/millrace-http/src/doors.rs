//! The pipelines as a request finds them: one [`Door`] each, looked up by what the request shows
//! (a write key; a token, a datastream or a path in other protocols).
//!
//! [`Doors`] never changes. New settings are a new one, put in the place of the old between two
//! requests; a request keeps the one that it began with.

use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use millrace_govern::Rules;
use millrace_model::id::PipelineId;
use millrace_model::time::UnixMillis;

use crate::datastreams::Datastreams;
use crate::keys::WriteKeys;
use crate::options::PipelineOptions;
use crate::write_key::KeyState;

/// One pipeline.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) id: PipelineId,
    pub(crate) rules: Arc<Rules>,
}

/// A pipeline as one request enters it: with the key that it showed, whatever kind of key the
/// protocol has. `Entrance::from(door)` is for what needs no key, such as a path of its own.
#[derive(Clone, Debug)]
pub(crate) struct Entrance {
    door: Arc<Door>,
    state: KeyState,
}

impl Entrance {
    pub(crate) fn new(door: Arc<Door>, state: KeyState) -> Entrance {
        Entrance { door, state }
    }

    /// True when the key was revoked: everything that comes with it is set aside under a 200.
    pub(crate) fn is_revoked_at(&self, now: UnixMillis) -> bool {
        self.state.is_revoked_at(now)
    }
}

impl From<Arc<Door>> for Entrance {
    fn from(door: Arc<Door>) -> Entrance {
        Entrance::new(door, KeyState::Active)
    }
}

impl Deref for Entrance {
    type Target = Door;

    fn deref(&self) -> &Door {
        &self.door
    }
}

/// All pipelines.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) keys: WriteKeys,
    pub(crate) datastreams: Datastreams,
}

impl Doors {
    pub(crate) fn new(pipelines: &[PipelineOptions], seed: u64) -> Doors {
        let doors: Vec<Arc<Door>> = pipelines
            .iter()
            .map(|options| {
                Arc::new(Door { id: options.id.clone(), rules: Arc::clone(&options.rules) })
            })
            .collect();
        let owned = pipelines.iter().zip(&doors);
        let keys = owned.flat_map(|(options, door)| {
            options.write_keys.iter().map(move |key| (key.clone(), Arc::clone(door)))
        });
        let datastreams =
            Datastreams::new(pipelines.iter().map(|options| &options.adobe).zip(&doors));
        Doors { keys: WriteKeys::new(keys, seed), datastreams }
    }
}

/// The doors of now.
#[derive(Debug)]
pub(crate) struct CurrentDoors(RwLock<Arc<Doors>>);

impl CurrentDoors {
    pub(crate) fn new(doors: Doors) -> CurrentDoors {
        CurrentDoors(RwLock::new(Arc::new(doors)))
    }

    pub(crate) fn get(&self) -> Arc<Doors> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
