//! The configuration as plain data: what the rest of the binary is wired from.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use millrace_blueprint::Parameters;
use millrace_delivery::mixpanel::vendor_settings::OtherCredentials;
use millrace_delivery::mixpanel::{MixpanelOptions, OptionsError};
use millrace_govern::places::Places;
use millrace_http::{OtherPaths, PipelineOptions};
use millrace_model::code::Code;
use millrace_model::diagnostic::{Diagnostic, Severity};
use millrace_model::id::{IntegrationId, PipelineId};
use millrace_model::secret::Secret;

/// A whole configuration, valid in itself.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of the log, and of the twin if there is one.
    pub data_dir: PathBuf,
    /// What listens where.
    pub server: Server,
    /// What one request and one process may cost.
    pub limits: Limits,
    /// How the log keeps what came in.
    pub log: Log,
    /// How much of what was set aside can be looked at and fed in again.
    pub quarantine: Quarantine,
    /// The collection endpoints: at least one, ids unique, write keys unique over all of them.
    pub pipelines: Vec<Pipeline>,
    /// The destinations: ids unique, every pipeline among [`Config::pipelines`].
    pub integrations: Vec<Integration>,
    /// The database that says where addresses are, if there is one.
    pub places: Option<PlacesFile>,
    /// The embedded twin, if one is wanted.
    pub twin: Option<Twin>,
}

/// The file of a database of places, and what was read from it. The rules of the pipelines share it.
#[derive(Clone, Debug)]
pub struct PlacesFile {
    /// The file.
    pub path: PathBuf,
    /// Its contents; may be replaced when the file changes.
    pub places: Arc<Places>,
}

/// What listens where.
#[derive(Clone, Debug)]
pub struct Server {
    /// The address of the collector.
    pub collect: SocketAddr,
    /// Where the collector speaks TLS as well, if it does.
    pub tls: Option<Tls>,
    /// The address of the management API; none when it shares that of the collector.
    pub manage: Option<SocketAddr>,
    /// What the management API asks for.
    pub admin_token: Secret,
    /// The networks of the proxies whose `X-Forwarded-For` says where a request came from.
    pub trusted_proxies: Vec<IpNet>,
    /// Under which other paths the collector's routes are found.
    pub other_paths: OtherPaths,
    /// Segment's script for web pages, if there is one.
    pub segment_script: Option<Vec<u8>>,
}

/// More bytes than a chain of certificates or a key has.
pub(crate) const MAX_PEM_BYTES: u64 = 256 << 10;

/// A listener that speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// Its address.
    pub listen: SocketAddr,
    /// Where its certificate comes from.
    pub source: CertificateSource,
}

/// Where a certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// Files, which are looked at again while the process runs.
    Files {
        /// The certificates as PEM, the server's own first.
        chain: PathBuf,
        /// The private key as PEM.
        key: PathBuf,
    },
    /// One that is made at the start and that nobody trusts by themselves.
    ThrowAway,
}

/// What one request and one process may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a body as it came.
    pub body: u64,
    /// Bytes of a body after decompression.
    pub inflated: u64,
    /// Bytes of one event.
    pub event: u64,
    /// Events of one batch.
    pub batch_events: u32,
    /// How deep the JSON of one event may be nested.
    pub depth: u32,
    /// Connections that are open at once.
    pub connections: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body: 10 << 20,
            inflated: 32 << 20,
            event: 1 << 20,
            batch_events: 5_000,
            depth: 64,
            connections: 10_000,
        }
    }
}

/// How the log keeps what came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// How long what is settled for every integration stays. What is open always stays.
    pub retention: Duration,
    /// Bytes after which a new segment file is begun.
    pub segment: u64,
    /// How long a message id is remembered to find duplicates.
    pub dedupe_window: Duration,
    /// Bytes of disk that are kept free for bookkeeping: new events are refused before.
    pub reserve: u64,
}

impl Default for Log {
    fn default() -> Log {
        Log {
            retention: Duration::from_secs(7 * 86_400),
            segment: 64 << 20,
            dedupe_window: Duration::from_secs(86_400),
            reserve: 64 << 20,
        }
    }
}

/// How much of what was set aside can be looked at and fed in again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// Items; the oldest make room.
    pub entries: u32,
    /// Bytes of these items, which lie in the log in any case.
    pub bytes: u64,
}

impl Default for Quarantine {
    fn default() -> Quarantine {
        Quarantine { entries: 20_000, bytes: 256 << 20 }
    }
}

/// A collection endpoint.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its name.
    pub id: PipelineId,
    /// Who may send to it, and what is done at its door.
    pub door: PipelineOptions,
    /// What it gives to blueprints that ask for it.
    pub parameters: PipelineParameters,
}

/// A configured destination.
#[derive(Clone, Debug)]
pub struct Integration {
    /// Its name.
    pub id: IntegrationId,
    /// The pipeline whose events it sends.
    pub pipeline: PipelineId,
    /// Where it sends to, and as whom.
    pub connection: Connection,
    /// Further projects that its rows may name by their token: names and tokens unique.
    pub projects: Vec<DeclaredProject>,
    /// What maps its events.
    pub mapping: BlueprintUse,
    /// What becomes of the calls of Mixpanel's own SDKs.
    pub proxied: Proxied,
    /// The token for privacy requests, which tasks that delete users need.
    pub gdpr_api_token: Option<Secret>,
    /// Whether requests are compressed.
    pub gzip: bool,
    /// How long a row is tried before it ends as dead.
    pub retry_horizon: Duration,
    /// The categories of consent without which an event is not sent.
    pub required_consent: Vec<String>,
}

/// What becomes of the calls of Mixpanel's own SDKs.
#[derive(Clone, Debug)]
pub enum Proxied {
    /// They keep their meaning: the built-in blueprint `passthrough` maps them.
    Passthrough(Box<BlueprintUse>),
    /// The integration's blueprint maps them.
    Blueprint,
    /// They are not sent.
    Drop,
}

impl Proxied {
    /// `passthrough`, for a project of which the integration's settings say the identity mode.
    #[must_use]
    pub fn passthrough(mapping: &BlueprintUse) -> Proxied {
        // Settings of the same name mean the same in the built-in blueprints; RudderStack calls the
        // identity mode by another. What is nothing that `passthrough` knows stays at its default.
        const MODES: [&str; 3] = ["simplified", "original", "legacy"];
        let text = |name: &str| {
            let setting = mapping.settings.get(name)?;
            setting.value.as_str().map(|_| setting.clone())
        };
        let mode = text("identity").or_else(|| text("identityMergeApi"));
        let mode = mode.filter(|mode| mode.value.as_str().is_some_and(|it| MODES.contains(&it)));
        let mode = mode.map(|mode| ("identity".to_owned(), mode));
        let link = text("link_event").map(|link| ("link_event".to_owned(), link));
        Proxied::Passthrough(Box::new(BlueprintUse {
            blueprint: BlueprintRef::BuiltIn("passthrough".to_owned()),
            place: mapping.place.clone(),
            settings: mode.into_iter().chain(link).collect(),
            parameters: PipelineParameters::default(),
        }))
    }
}

/// Where a project is sent to, and as whom.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The token of the Mixpanel project.
    pub token: Secret,
    /// Where it lives.
    pub destination: Destination,
    /// As whom events are imported; none for the token.
    pub credentials: Option<OtherCredentials>,
    /// Whether Mixpanel checks events row by row.
    pub strict: bool,
}

impl Connection {
    /// These options with the credentials and checks of the connection.
    ///
    /// # Errors
    /// When a part of the credentials cannot be sent.
    pub fn with_credentials(
        &self,
        options: MixpanelOptions,
    ) -> Result<MixpanelOptions, OptionsError> {
        let options = options.with_strict(self.strict);
        match self.credentials.clone() {
            None => Ok(options),
            Some(OtherCredentials::ApiSecret(secret)) => options.with_api_secret(secret),
            Some(OtherCredentials::ServiceAccount { user, secret, project_id }) => {
                options.with_service_account(user, secret, project_id)
            }
        }
    }
}

/// A further project of an integration.
#[derive(Clone, Debug)]
pub struct DeclaredProject {
    /// Its name, in what is shown of it.
    pub name: String,
    /// Where it is sent to, and as whom.
    pub connection: Connection,
}

/// Where an integration sends to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Mixpanel itself.
    Region(Region),
    /// The twin of this process, whose address is known once it listens.
    Twin,
    /// An address of the user's own, such as a proxy or a twin elsewhere; without a final slash.
    Url(String),
}

/// Where Mixpanel keeps a project's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// United States.
    Us,
    /// European Union.
    Eu,
    /// India.
    In,
}

impl Region {
    /// The address of the ingestion API (reference/mixpanel-api.md 1).
    #[must_use]
    pub const fn base_url(self) -> &'static str {
        match self {
            Region::Us => "https://api.mixpanel.com",
            Region::Eu => "https://api-eu.mixpanel.com",
            Region::In => "https://api-in.mixpanel.com",
        }
    }
}

/// A blueprint and the settings that it is given.
#[derive(Clone, Debug, PartialEq)]
pub struct BlueprintUse {
    /// The blueprint.
    pub blueprint: BlueprintRef,
    /// Where it is named; where the integration stands when it is not.
    pub place: Place,
    /// The settings, by name.
    pub settings: BTreeMap<String, Setting>,
    /// What the pipeline gives to it.
    pub parameters: PipelineParameters,
}

/// What a pipeline gives to the blueprints of its integrations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipelineParameters {
    /// The texts, by name.
    pub texts: Parameters,
    /// Where the pipeline stands; none when it could not be read, so that nothing is missing in it.
    pub place: Option<Place>,
}

/// Which blueprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlueprintRef {
    /// One that comes with Millrace.
    BuiltIn(String),
    /// A file.
    File(PathBuf),
    /// A published revision, written as `NAME@3`.
    Revision {
        /// The folder of published revisions.
        folder: PathBuf,
        /// The name of the blueprint.
        name: String,
        /// The number of the revision.
        number: u32,
    },
}

/// A setting of a blueprint.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its value; dates are texts.
    pub value: serde_json::Value,
    /// Where it stands.
    pub place: Place,
}

/// A place in a file, for diagnostics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user named it.
    pub file: String,
    /// The line, from 1; 0 for what was typed on the command line.
    pub line: u32,
    /// The column in characters, from 1; 0 likewise.
    pub column: u32,
}

impl Place {
    /// A diagnostic for this place.
    #[must_use]
    pub fn diagnostic(
        &self,
        code: Code,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) -> Diagnostic {
        Diagnostic {
            file: self.file.clone(),
            line: self.line,
            column: self.column,
            severity: Severity::Error,
            code,
            message: message.into(),
            suggestion,
        }
    }
}

/// The embedded twin.
#[derive(Clone, Debug)]
pub struct Twin {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may read its views.
    pub views: TwinViews,
    /// Its projects: at least one, ids and tokens unique.
    pub projects: Vec<TwinProject>,
}

/// Who may read the twin's views, which ask for no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwinViews {
    /// This machine.
    Loopback,
    /// Whoever reaches the port.
    Everyone,
}

/// A project of the twin.
#[derive(Clone, Debug)]
pub struct TwinProject {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its token.
    pub token: Secret,
    /// Its API secret; without one, that way in is closed.
    pub api_secret: Option<Secret>,
    /// Its service accounts.
    pub service_accounts: Vec<TwinServiceAccount>,
    /// Its time zone, an IANA name.
    pub timezone: String,
    /// The properties that name a group.
    pub group_keys: Vec<String>,
}

/// A service account of a twin's project.
#[derive(Clone, Debug)]
pub struct TwinServiceAccount {
    /// Its user name.
    pub user: String,
    /// Its secret.
    pub secret: Secret,
}
