//! The settings of the browser collector of a pipeline, and the form in which the script gets them.

use std::collections::BTreeMap;
use std::time::Duration;

use millrace_model::secret::Secret;
use serde_json::{Map, Value, json};

use crate::write_key::{KeyState, WriteKey};

/// How a pipeline serves its browser collector (`[pipelines.script]`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptOptions {
    /// The name of the file, such as `d.js`.
    pub file: String,
    /// The name under which pages find it, besides `datafly`.
    pub global: String,
    /// True when the file names the pipeline's first write key to whoever asks for it.
    pub embed_key: bool,
    /// Where events go, without `/v1`. None: where the script came from.
    pub endpoint: Option<String>,
    /// How many events are sent without waiting for the interval.
    pub batch_size: u32,
    /// How long an event waits for others.
    pub flush_interval: Duration,
    /// Whether pages are reported on load and on navigation.
    pub pages: bool,
    /// The categories without which nothing is stored in the browser or sent.
    pub consent_required: Vec<String>,
    /// The consent platform, or `auto`.
    pub consent_from: String,
    /// Codes of the platform, and the category that each stands for.
    pub consent_map: BTreeMap<String, String>,
}

impl Default for ScriptOptions {
    fn default() -> ScriptOptions {
        ScriptOptions {
            file: "d.js".to_owned(),
            global: "_df".to_owned(),
            embed_key: false,
            endpoint: None,
            batch_size: 10,
            flush_interval: Duration::from_secs(1),
            pages: true,
            consent_required: Vec::new(),
            consent_from: "auto".to_owned(),
            consent_map: BTreeMap::new(),
        }
    }
}

impl ScriptOptions {
    /// The settings as `collector-js/src/settings.ts` names them.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let mut settings = Map::new();
        let mut add = |name: &str, value: Value| settings.insert(name.to_owned(), value);
        add("global", json!(self.global));
        if let Some(endpoint) = &self.endpoint {
            add("endpoint", json!(endpoint));
        }
        add("batchSize", json!(self.batch_size));
        add("flushInterval", json!(self.flush_interval.as_millis()));
        add("pages", json!(self.pages));
        add("consentRequired", json!(self.consent_required));
        add("consentFrom", json!(self.consent_from));
        add("consentMap", json!(self.consent_map));
        settings
    }
}

/// The script as a door has it.
#[derive(Debug)]
pub(crate) struct DoorScript {
    pub(crate) options: ScriptOptions,
    /// The key that everybody may know.
    pub(crate) key: Option<Secret>,
}

impl DoorScript {
    pub(crate) fn new(options: &ScriptOptions, keys: &[WriteKey]) -> DoorScript {
        let mut active = keys.iter().filter(|key| key.state == KeyState::Active);
        let key = active.find(|key| !key.key.is_empty()).map(|key| key.key.clone());
        DoorScript { options: options.clone(), key: key.filter(|_| options.embed_key) }
    }
}
