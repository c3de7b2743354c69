//! The pipelines as a request finds them: one [`Door`] each, looked up by what the request shows
//! (a write key; a token, a datastream or a path in other protocols).
//!
//! [`Doors`] never changes. New settings are a new one, put in the place of the old between two
//! requests; a request keeps the one that it began with.

use std::sync::{Arc, PoisonError, RwLock};

use millrace_govern::Rules;
use millrace_model::id::PipelineId;

use crate::keys::WriteKeys;
use crate::options::PipelineOptions;

/// One pipeline.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) id: PipelineId,
    pub(crate) rules: Arc<Rules>,
}

/// All pipelines.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) keys: WriteKeys,
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
        Doors { keys: WriteKeys::new(keys, seed) }
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
