//! Wiring: from a checked configuration to running parts, and back to nothing in order.
//!
//! Start: journal (replays the log), twin, engines, then the servers, so that nothing is accepted
//! before it can be kept and nobody is told an address that does not answer. Stop: the servers
//! first, then the engines with what is in flight, then the journal, the twin last.
//!
//! Only wiring: no decision about an event is made here.

pub mod blueprints;
mod certificate;
mod doorkeeper;
mod metrics;
mod overview;
mod quarantine;
mod quotas;
mod restart;
mod rule_watch;
mod servers;
mod trace;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use millrace_blueprint::Plan;
use millrace_delivery::engine::{
    Engine, EngineHandle, EngineOptions, IntegrationMapping, ProxiedCalls,
};
use millrace_delivery::journal::{
    Journal, JournalError, JournalOptions, JournalWorker, QuarantineOptions,
};
use millrace_delivery::mixpanel::http::HttpTimeouts;
use millrace_delivery::mixpanel::{HttpTransport, MixpanelOptions, Projects, Region};
use millrace_http::CollectorHandle;
use millrace_log::RealDisk;
use millrace_model::code::Code;
use millrace_model::entropy::{Entropy, SystemEntropy};
use millrace_model::id::IntegrationId;
use millrace_model::intake::Intake;
use millrace_model::ledger::LedgerSums;
use millrace_model::secret::Secret;
use millrace_model::time::{Clock, SystemClock, UnixMillis};
use millrace_twin::{
    IdentityMode, ProjectOptions, ServiceAccount, TwinOptions, TwinServer, ViewAccess,
};

use crate::config::{
    Config, Connection, Destination, Integration, Proxied, Twin, TwinProject, TwinViews,
};
use crate::exit::Failure;

use doorkeeper::Doorkeeper;
use tokio::sync::watch;

pub use servers::{Addresses, TlsAddress};

/// The folder of the log inside of the data folder.
pub(crate) const LOG_FOLDER: &str = "log";

/// How long requests in flight may take to end when the process stops.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// The twin's projects are new ones: their days are UTC days (reference/mixpanel-api.md 6).
const PROJECT_CREATED: UnixMillis = UnixMillis(1_767_225_600_000);

/// Everything that runs.
#[derive(Debug)]
pub struct App {
    journal: Journal,
    worker: JournalWorker,
    engines: Vec<EngineHandle>,
    servers: servers::Servers,
    twin: Option<TwinServer>,
    integrations: Vec<IntegrationId>,
    keeping: tokio::task::JoinHandle<()>,
    stop_keeping: watch::Sender<bool>,
}

impl App {
    /// Starts everything; resolves when all addresses answer.
    ///
    /// `plans` are those of `config.integrations`, in their order. `file` is where the configuration
    /// stands, if it stands in one: what changes there takes effect as far as it can.
    ///
    /// # Errors
    /// When the log cannot be opened, an address is taken, or a part cannot be started.
    pub async fn start(
        config: &Config,
        plans: Vec<Arc<Plan>>,
        file: Option<&Path>,
    ) -> Result<App, Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let (journal, worker) = open_journal(config, &clock)?;
        let listeners = servers::Listeners::bind(config).await?;
        let twin = match &config.twin {
            Some(twin) => Some(start_twin(twin, &config.data_dir, &clock, &entropy)?),
            None => None,
        };
        let twin_address = twin.as_ref().map(TwinServer::addr);

        let mut engines = Vec::new();
        for (integration, plan) in config.integrations.iter().zip(plans) {
            let projects = projects(integration, twin_address)?;
            let transport = HttpTransport::for_projects(&projects, HttpTimeouts::default())
                .map_err(Failure::internal)?;
            let mut options = EngineOptions::new(integration.id.clone(), projects);
            options.limits.horizon = integration.retry_horizon;
            options.required_consent.clone_from(&integration.required_consent);
            let (clock, entropy) = (Arc::clone(&clock), Arc::clone(&entropy));
            let transport = Arc::new(transport);
            let proxied = proxied_calls(integration)?;
            let mapping = Arc::new(IntegrationMapping { plan, proxied });
            let engine =
                Engine::start(options, mapping, journal.clone(), transport, clock, entropy)
                    .map_err(Failure::internal)?;
            engines.push(engine);
        }

        let intake: Arc<dyn Intake> = Arc::new(journal.clone());
        let options = servers::collector_options(config);
        let (clock_of_collector, entropy) = (Arc::clone(&clock), Arc::clone(&entropy));
        let collector = CollectorHandle::new(options, intake, clock_of_collector, entropy);
        let router = collector.router();
        let keeper = Arc::new(Doorkeeper::new(config, collector, Arc::clone(&clock)));
        let overview =
            overview::JournalOverview::new(config, journal.clone(), &engines, Arc::clone(&keeper));
        let servers = servers::Servers::start(config, listeners, router, Arc::new(overview));
        let (stop_keeping, stop) = watch::channel(false);
        // It ends by itself with the sender of `stop`, and holds nothing that has to be closed.
        tokio::spawn(rule_watch::run(Arc::clone(&keeper), stop.clone()));
        let keeping = tokio::spawn(keeper.run(file.map(Path::to_owned), stop));
        let integrations =
            config.integrations.iter().map(|integration| integration.id.clone()).collect();
        Ok(App { journal, worker, engines, servers, twin, integrations, keeping, stop_keeping })
    }

    /// Where everything listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.servers.addresses(self.twin.as_ref().map(TwinServer::addr))
    }

    /// The ledger of each integration.
    #[must_use]
    pub fn ledgers(&self) -> Vec<(IntegrationId, LedgerSums)> {
        self.integrations
            .iter()
            .filter_map(|id| Some((id.clone(), self.journal.ledger(id)?)))
            .collect()
    }

    /// Resolves when everything admitted so far has its final state at every integration.
    ///
    /// # Errors
    /// When the journal takes nothing more, so that it can never come to that.
    pub async fn drained(&self) -> anyhow::Result<()> {
        self.journal.flush().await?;
        for engine in &self.engines {
            engine.drained().await;
        }
        self.journal.flush().await?;
        Ok(())
    }

    /// Stops everything in order. What is open stays open and goes on at the next start.
    pub async fn stop(self) {
        self.servers.stop().await;
        let _ = self.stop_keeping.send(true);
        let _ = self.keeping.await;
        for engine in self.engines {
            engine.stop(STOP_DEADLINE).await;
        }
        self.journal.shutdown().await;
        drop(self.journal);
        // The thread has nothing left to do but to end; still, it is not the runtime's to wait for.
        let _ = tokio::task::spawn_blocking(move || self.worker.join()).await;
        if let Some(twin) = self.twin {
            let _ = tokio::task::spawn_blocking(move || twin.stop()).await;
        }
    }
}

fn open_journal(
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Result<(Journal, JournalWorker), Failure> {
    let folder = config.data_dir.join(LOG_FOLDER);
    let failed = |code: Code, error: anyhow::Error| {
        let text = format!("{code} cannot open the log in {}", folder.display());
        Failure::unavailable(error.context(text))
    };
    let disk = RealDisk::open(&folder).map_err(|error| failed(Code::DiskFailed, error.into()))?;
    let options = JournalOptions {
        segment_bytes: config.log.segment,
        retention: config.log.retention,
        dedupe_window: config.log.dedupe_window,
        reserve_bytes: config.log.reserve,
        quarantine: QuarantineOptions {
            entries: config.quarantine.entries as usize,
            bytes: config.quarantine.bytes,
        },
        integrations: config
            .integrations
            .iter()
            .map(|integration| (integration.id.clone(), integration.pipeline.clone()))
            .collect(),
        consent_categories: config
            .integrations
            .iter()
            .flat_map(|integration| integration.required_consent.iter().cloned())
            .collect(),
        ..JournalOptions::default()
    };
    Journal::open(disk, options, Arc::clone(clock)).map_err(|error| match error {
        // Not the folder is wrong but the configuration.
        JournalError::StillOpen { ref integration, ref pipeline, pending } => {
            Failure::usage(anyhow::anyhow!(
                "{} the log in {} has {pending} open events for integration {integration} of \
                 pipeline {pipeline}: configure it until they are delivered, or use another data_dir",
                error.code(),
                folder.display(),
            ))
        }
        JournalError::Twice(_) => Failure::usage(anyhow::anyhow!("{} {error}", error.code())),
        error => failed(error.code(), error.into()),
    })
}

/// What becomes of the calls of Mixpanel's own SDKs.
fn proxied_calls(integration: &Integration) -> Result<ProxiedCalls, Failure> {
    match &integration.proxied {
        Proxied::Passthrough(used) => {
            let plans = blueprints::compile_all([used.as_ref()]);
            // The configuration was checked with it.
            let plan = plans
                .ok()
                .and_then(|mut plans| plans.pop())
                .ok_or_else(|| refuse(integration, &"the blueprint passthrough cannot be used"))?;
            Ok(ProxiedCalls::Passthrough(plan))
        }
        Proxied::Blueprint => Ok(ProxiedCalls::Blueprint),
        Proxied::Drop => Ok(ProxiedCalls::Drop),
    }
}

/// The projects of an integration, given where the twin listens.
pub(crate) fn projects(
    integration: &Integration,
    twin: Option<SocketAddr>,
) -> Result<Projects, Failure> {
    let mut projects = Projects::from(mixpanel_options(integration, twin)?);
    for project in &integration.projects {
        let options = options_of(&project.connection, integration, twin)?;
        projects
            .declare(project.name.as_str(), options)
            .map_err(|error| refuse(integration, &error))?;
    }
    Ok(projects)
}

/// Where an integration's own project is sent to and as whom, given where the twin listens.
pub(crate) fn mixpanel_options(
    integration: &Integration,
    twin: Option<SocketAddr>,
) -> Result<MixpanelOptions, Failure> {
    options_of(&integration.connection, integration, twin)
}

fn options_of(
    connection: &Connection,
    integration: &Integration,
    twin: Option<SocketAddr>,
) -> Result<MixpanelOptions, Failure> {
    let base = match &connection.destination {
        Destination::Region(region) => region.base_url().to_owned(),
        Destination::Url(url) => url.clone(),
        // The configuration was checked: an integration names the twin only when there is one.
        Destination::Twin => twin.map(|address| format!("http://{address}")).unwrap_or_default(),
    };
    Region::parse(&base, false)
        .and_then(|region| MixpanelOptions::new(region, connection.token.clone()))
        .and_then(|options| connection.with_credentials(options))
        .map(|options| options.with_gzip(integration.gzip))
        .map_err(|error| refuse(integration, &error))
}

fn refuse(integration: &Integration, error: &dyn std::fmt::Display) -> Failure {
    Failure::usage(anyhow::anyhow!("integration {}: {error}", integration.id))
}

fn start_twin(
    twin: &Twin,
    data_dir: &Path,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<TwinServer, Failure> {
    let listener = std::net::TcpListener::bind(twin.listen)
        .map_err(|error| servers::cannot_listen(twin.listen, "the twin", error))?;
    let options = TwinOptions {
        data_dir: Some(data_dir.join("twin")),
        projects: twin.projects.iter().map(project_options).collect(),
        views: match twin.views {
            TwinViews::Loopback => ViewAccess::Loopback,
            TwinViews::Everyone => ViewAccess::Everyone,
        },
    };
    TwinServer::start(options, listener, Arc::clone(clock), Arc::clone(entropy)).map_err(|error| {
        let text = format!("{} cannot start the twin", error.code());
        Failure::unavailable(anyhow::Error::new(error).context(text))
    })
}

fn project_options(project: &TwinProject) -> ProjectOptions {
    let service_accounts = project
        .service_accounts
        .iter()
        .map(|account| ServiceAccount {
            user: account.user.clone(),
            secret: account.secret.clone(),
        })
        .collect();
    ProjectOptions {
        id: project.id,
        name: project.name.clone(),
        token: project.token.clone(),
        api_secret: project.api_secret.clone().unwrap_or_else(|| Secret::new("")),
        service_accounts,
        timezone: project.timezone.clone(),
        identity: IdentityMode::Simplified,
        group_keys: project.group_keys.clone(),
        created_at: PROJECT_CREATED,
    }
}
