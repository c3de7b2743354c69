//! The configuration of `millrace serve --dev`, which needs no file (DESIGN 8).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use millrace_http::{
    AdobeOptions, DataflyOptions, MixpanelAccess, OtherPaths, PipelineOptions, WriteKey,
};
use millrace_model::code::Code;
use millrace_model::diagnostic::Diagnostic;
use millrace_model::id::IdError;
use millrace_model::secret::Secret;

use super::tree::{
    BlueprintRef, BlueprintUse, CertificateSource, Config, Connection, Destination, Integration,
    Limits, Log, Pipeline, PipelineParameters, Place, Proxied, Quarantine, Server, Tls, Twin,
    TwinProject, TwinServiceAccount, TwinViews,
};

/// What diagnostics name as the file of what was typed.
const COMMAND_LINE: &str = "command line";

impl Config {
    /// Pipeline `dev`, delivered with the `default` blueprint to project `dev` of the twin.
    ///
    /// Its keys are known to everybody, so it listens on loopback only.
    ///
    /// # Errors
    /// An address that is not on loopback.
    pub fn dev(
        listen: SocketAddr,
        twin_listen: SocketAddr,
        data_dir: PathBuf,
    ) -> Result<Config, Vec<Diagnostic>> {
        let refused: Vec<Diagnostic> = [("--listen", listen), ("--twin-listen", twin_listen)]
            .into_iter()
            .filter(|(_, address)| !address.ip().to_canonical().is_loopback())
            .map(|(option, address)| not_loopback(option, address))
            .collect();
        if !refused.is_empty() {
            return Err(refused);
        }
        build(listen, twin_listen, data_dir).map_err(|error| {
            // Cannot happen: the names are the ones below. Told all the same rather than hidden.
            vec![command_line().diagnostic(Code::BadValue, format!("a name {error}"), None)]
        })
    }
}

impl Config {
    /// The same with a collector that speaks TLS as well, with a throw-away certificate.
    ///
    /// # Errors
    /// An address that is not on loopback.
    pub fn with_dev_tls(mut self, listen: SocketAddr) -> Result<Config, Vec<Diagnostic>> {
        if !listen.ip().to_canonical().is_loopback() {
            return Err(vec![not_loopback("--tls-listen", listen)]);
        }
        self.server.tls = Some(Tls { listen, source: CertificateSource::ThrowAway });
        Ok(self)
    }
}

fn build(
    listen: SocketAddr,
    twin_listen: SocketAddr,
    data_dir: PathBuf,
) -> Result<Config, IdError> {
    let door = PipelineOptions {
        write_keys: vec![WriteKey::active("dev-write-key")],
        adobe: AdobeOptions {
            datastreams: vec![WriteKey::active("dev")],
            organisation: Some("dev@AdobeOrg".to_owned()),
            ..AdobeOptions::default()
        },
        datafly: DataflyOptions {
            hmac_secrets: vec![Secret::new("dev-secret")],
            ..DataflyOptions::default()
        },
        syft_path: Some("/api/syft".to_owned()),
        mixpanel: MixpanelAccess {
            tokens: vec![WriteKey::active("dev-token")],
            api_secrets: vec![WriteKey::active("dev-secret")],
            service_accounts: vec![WriteKey::active("dev.sa:dev-secret")],
        },
        ..PipelineOptions::new("dev".parse()?)
    };
    let pipeline = Pipeline { id: door.id.clone(), door, parameters: parameters() };
    let mapping = BlueprintUse {
        blueprint: BlueprintRef::BuiltIn("default".to_owned()),
        place: command_line(),
        settings: BTreeMap::new(),
        parameters: parameters(),
    };
    let integration = Integration {
        id: "dev".parse()?,
        pipeline: pipeline.id.clone(),
        connection: Connection {
            token: Secret::new("dev-token"),
            destination: Destination::Twin,
            credentials: None,
            strict: true,
        },
        projects: Vec::new(),
        proxied: Proxied::passthrough(&mapping),
        mapping,
        gdpr_api_token: None,
        gzip: true,
        retry_horizon: Duration::from_secs(5 * 86_400),
        required_consent: Vec::new(),
    };
    let project = TwinProject {
        id: 1,
        name: "dev".to_owned(),
        token: Secret::new("dev-token"),
        api_secret: Some(Secret::new("dev-secret")),
        service_accounts: vec![TwinServiceAccount {
            user: "dev.sa".to_owned(),
            secret: Secret::new("dev-secret"),
        }],
        timezone: "UTC".to_owned(),
        group_keys: vec!["company_id".to_owned(), "$group_id".to_owned()],
    };
    Ok(Config {
        data_dir,
        server: Server {
            collect: listen,
            tls: None,
            manage: None,
            admin_token: Secret::new("dev-admin-token"),
            trusted_proxies: Vec::new(),
            other_paths: OtherPaths::default(),
            segment_script: None,
        },
        limits: Limits::default(),
        log: Log::default(),
        quarantine: Quarantine::default(),
        pipelines: vec![pipeline],
        integrations: vec![integration],
        places: None,
        twin: Some(Twin {
            listen: twin_listen,
            views: TwinViews::Loopback,
            projects: vec![project],
        }),
    })
}

fn parameters() -> PipelineParameters {
    PipelineParameters { place: Some(command_line()), ..PipelineParameters::default() }
}

fn command_line() -> Place {
    Place { file: COMMAND_LINE.to_owned(), line: 0, column: 0 }
}

fn not_loopback(option: &str, address: SocketAddr) -> Diagnostic {
    command_line().diagnostic(
        Code::BadValue,
        format!(
            "{option} {address} is not a loopback address, and the keys of --dev are no secret"
        ),
        Some(format!(
            "use {option} 127.0.0.1:{} or write a configuration with keys of your own",
            address.port()
        )),
    )
}
