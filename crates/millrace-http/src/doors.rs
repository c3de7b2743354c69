//! The pipelines as a request finds them: one [`Door`] each, looked up by what the request shows
//! (a write key; a token, a datastream or a path in other protocols).
//!
//! [`Doors`] never changes. New settings are a new one, put in the place of the old between two
//! requests; a request keeps the one that it began with.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use axum::http::Uri;
use axum::http::header::{COOKIE, HeaderMap};
use millrace_govern::Rules;

use millrace_model::id::PipelineId;
use millrace_model::secret::Secret;
use millrace_model::time::UnixMillis;
use millrace_protocol::edge::MixpanelCookie;

use crate::answer::Refusal;
use crate::counts::is_mixpanel;
use crate::datastreams::Datastreams;
use crate::keys::{Credentials, WriteKeys};
use crate::mixpanel_keys::MixpanelKeys;
use crate::options::{CookieOptions, DataflyOptions, PipelineOptions, WebhookOptions};
use crate::origins::Origins;
use crate::rate::{MeterId, RateLimits};
use crate::script_options::DoorScript;
use crate::write_key::{KeyState, WriteKey};

/// One pipeline.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) id: PipelineId,
    pub(crate) rules: Arc<Rules>,
    pub(crate) limits: RateLimits,
    pub(crate) datafly: DataflyOptions,
    pub(crate) script: DoorScript,
    pub(crate) cookie: Option<CookieOptions>,
    /// Whether Adobe's events of type `decisioning.*` are taken.
    pub(crate) keep_decisioning: bool,
    origins: Origins,
    /// The tokens of Mixpanel projects whose SDKs send here.
    mixpanel_tokens: Vec<Secret>,
}

impl Door {
    pub(crate) fn of(options: &PipelineOptions) -> Door {
        let tokens = options.mixpanel.tokens.iter().map(|token| token.key.clone());
        Door {
            mixpanel_tokens: tokens.collect(),
            id: options.id.clone(),
            rules: Arc::clone(&options.rules),
            limits: options.limits,
            datafly: options.datafly.clone(),
            script: DoorScript::new(&options.script, &options.write_keys),
            cookie: options.cookie.clone(),
            keep_decisioning: options.adobe.keep_decisioning,
            origins: options.origins.clone(),
        }
    }

    /// The ids in the cookie that Mixpanel's browser SDK keeps for one of the tokens of this
    /// pipeline, from the lines of the header `Cookie`.
    pub(crate) fn mixpanel_cookie(&self, headers: &HeaderMap) -> Option<MixpanelCookie> {
        if self.mixpanel_tokens.is_empty() {
            return None;
        }
        let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(';')).find_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let token = MixpanelCookie::token(name.trim())?;
            let known = self.mixpanel_tokens.iter().any(|own| own.expose() == token);
            if known { MixpanelCookie::parse(value.trim()) } else { None }
        })
    }

    /// Judges the head of a request: may a page of this origin send here?
    pub(crate) fn judge_origin(&self, request: &HeaderMap) -> Result<(), Refusal> {
        self.origins.judge(request)
    }
}

/// A pipeline as one request enters it: with the key that it showed, whatever kind of key the
/// protocol has. `Entrance::from(door)` is for what needs no key, such as a path of its own.
#[derive(Clone, Debug)]
pub(crate) struct Entrance {
    door: Arc<Door>,
    state: KeyState,
    meter: MeterId,
}

impl Entrance {
    /// By this key, which is known.
    pub(crate) fn new(door: Arc<Door>, key: &WriteKey) -> Entrance {
        let meter = MeterId::new(door.id.as_str(), key.key.expose());
        Entrance { door, state: key.state, meter }
    }

    /// Whose counts it adds to: those of its key.
    pub(crate) fn meter(&self) -> MeterId {
        self.meter
    }

    /// True when the key was revoked: everything that comes with it is set aside under a 200.
    pub(crate) fn is_revoked_at(&self, now: UnixMillis) -> bool {
        self.state.is_revoked_at(now)
    }
}

impl From<Arc<Door>> for Entrance {
    fn from(door: Arc<Door>) -> Entrance {
        let meter = MeterId::new(door.id.as_str(), "");
        Entrance { door, state: KeyState::Active, meter }
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
    pub(crate) mixpanel: MixpanelKeys,
    /// In the order of the configuration.
    pub(crate) all: Vec<Arc<Door>>,
    /// Those that know secrets for signed calls.
    pub(crate) signing: Vec<Arc<Door>>,
    /// By id.
    pub(crate) webhooks: HashMap<String, Webhook>,
    /// By the path of their own.
    pub(crate) syft: HashMap<String, Arc<Door>>,
}

/// A webhook and its pipeline.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    pub(crate) door: Arc<Door>,
    pub(crate) options: WebhookOptions,
}

impl Doors {
    pub(crate) fn new(pipelines: &[PipelineOptions], seed: u64) -> Doors {
        let doors: Vec<Arc<Door>> =
            pipelines.iter().map(|options| Arc::new(Door::of(options))).collect();
        let owned = pipelines.iter().zip(&doors);
        let keys = owned.flat_map(|(options, door)| {
            options.write_keys.iter().map(move |key| (key.clone(), Arc::clone(door)))
        });
        let datastreams =
            Datastreams::new(pipelines.iter().map(|options| &options.adobe).zip(&doors));
        let keys = WriteKeys::new(keys, seed);
        let signs = |door: &&Arc<Door>| !door.datafly.hmac_secrets.is_empty();
        let signing = doors.iter().filter(signs).cloned().collect();
        let (mut webhooks, mut syft) = (HashMap::new(), HashMap::new());
        for (options, door) in pipelines.iter().zip(&doors) {
            for webhook in &options.webhooks {
                let found = Webhook { door: Arc::clone(door), options: webhook.clone() };
                webhooks.entry(webhook.id.clone()).or_insert(found);
            }
            if let Some(path) = &options.syft_path {
                syft.entry(path.clone()).or_insert_with(|| Arc::clone(door));
            }
        }
        let owned: Vec<_> = pipelines.iter().zip(&doors).collect();
        let mixpanel = MixpanelKeys::new(&owned, seed);
        Doors { keys, datastreams, mixpanel, all: doors, signing, webhooks, syft }
    }

    /// The door of a pipeline.
    pub(crate) fn of(&self, pipeline: &PipelineId) -> Option<&Arc<Door>> {
        self.all.iter().find(|door| door.id == *pipeline)
    }

    /// Where a request leads to, as far as its address alone says it: all that is known of a
    /// preflight, which has neither authorization nor a body.
    pub(crate) fn by_address(&self, uri: &Uri) -> Option<Entrance> {
        let path = uri.path();
        let named = |wanted: &str| {
            let mut pairs = form_urlencoded::parse(uri.query()?.as_bytes());
            pairs.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
        };
        if is_mixpanel(path) {
            return self.mixpanel.of_token(&Secret::new(named("token")?));
        }
        let after = |start: &str| path.strip_prefix(start);
        let in_path = after("/v1/projects/").or_else(|| after("/syft/"));
        let in_path = in_path.and_then(|rest| rest.split('/').next());
        let credentials = match in_path {
            Some(key) => Credentials::in_path(key),
            None => Credentials::of(&HeaderMap::new(), uri),
        };
        self.keys.owner(&credentials, None).ok()
    }
}

/// The doors of now.
#[derive(Debug)]
pub(crate) struct CurrentDoors(RwLock<Arc<Doors>>);

impl CurrentDoors {
    pub(crate) fn new(doors: Doors) -> CurrentDoors {
        CurrentDoors(RwLock::new(Arc::new(doors)))
    }

    /// Puts others in their place. Requests under way keep those that they began with.
    pub(crate) fn replace(&self, doors: Doors) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(doors);
    }

    pub(crate) fn get(&self) -> Arc<Doors> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}
