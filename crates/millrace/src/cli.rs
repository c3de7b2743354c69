//! The command line: a contract (DESIGN section 8) that scripts rely on.
//!
//! Only shapes and texts are here. What a command does stands in [`crate::commands`].

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod blueprints;
mod running;

pub use blueprints::{BlueprintCommand, DiffArguments, OneBlueprint, TestArguments};
pub use running::{
    LedgerArguments, RefeedArguments, ServerArguments, SetAsideCommand, SetAsideFilter,
    TraceArguments,
};

/// The open, self-hosted event pipeline for Mixpanel.
///
/// Millrace collects customer events from the SDKs you already have, keeps them on disk before it
/// answers, maps them by a blueprint and delivers them to Mixpanel, once and in order. It carries a
/// twin of Mixpanel, so that all of it runs on one machine with no account.
#[derive(Debug, Parser)]
#[command(name = "millrace", version, after_help = EXAMPLES, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Log more: once for every step, twice for every request.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,

    /// Log as one JSON object a line.
    #[arg(long, global = true)]
    pub log_json: bool,
}

const EXAMPLES: &str = "\
Examples:
  millrace demo                                see the whole way of an event, with sample traffic
  millrace demo --once --json                  the same, until all is delivered; the ledger as JSON
  millrace serve --dev                         a pipeline and a twin of Mixpanel, with no config
  millrace check --config millrace.toml        all mistakes of a configuration at once
  millrace map --blueprint default < events.jsonl   what would be sent to Mixpanel
  millrace test shop.yaml --coverage           the tests beside a blueprint
  millrace diff shop@2 shop.yaml --events events.jsonl   what a change does to kept events
  millrace ledger --dev                        what became of everything that was received
  millrace set-aside list --dev                what could not become an event, and why
  millrace trace MESSAGE_ID --dev              the way of one event";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run pipeline and twin on loopback with a sample shop's traffic, or with your own events.
    ///
    /// Everything lives in a fresh temporary folder that is removed at the end.
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(DemoArguments),

    /// Run the pipeline.
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeArguments),

    /// Print all errors of a configuration and its blueprints at once.
    #[command(after_help = "Example:\n  millrace check --config millrace.toml")]
    Check(CheckArguments),

    /// Map events (JSONL on standard input) and print the requests that would be sent.
    #[command(after_help = MAP_EXAMPLES)]
    Map(MapArguments),

    /// Delete users from the Mixpanel project of an integration. Asks nothing first.
    #[command(after_help = DELETE_USERS_EXAMPLES)]
    DeleteUsers(DeleteUsersArguments),

    /// Run the tests that stand beside blueprints.
    #[command(after_help = blueprints::TEST_EXAMPLES)]
    Test(TestArguments),

    /// Say what two blueprints say differently, and what they make of the same events.
    #[command(after_help = blueprints::DIFF_EXAMPLES)]
    Diff(DiffArguments),

    /// Look at a blueprint; publish and list its revisions.
    #[command(after_help = blueprints::BLUEPRINT_EXAMPLES)]
    Blueprint {
        /// What to do.
        #[command(subcommand)]
        command: BlueprintCommand,
    },

    /// List the lookup tables of a Mixpanel project, or put a product catalogue into one.
    #[command(after_help = LOOKUP_TABLE_EXAMPLES)]
    LookupTable(LookupTableArguments),

    /// Show what became of every event, and whether it adds up.
    #[command(after_help = running::LEDGER_EXAMPLES)]
    Ledger(LedgerArguments),

    /// Look at what was set aside at the door, and feed it in again.
    #[command(after_help = running::SET_ASIDE_EXAMPLES)]
    SetAside {
        /// What to do.
        #[command(subcommand)]
        command: SetAsideCommand,
    },

    /// Show everything that is known of an event.
    #[command(after_help = running::TRACE_EXAMPLES)]
    Trace(TraceArguments),

    /// Print a completion script for your shell.
    #[command(after_help = "Example:\n  millrace completions bash > millrace.bash")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

const DEMO_EXAMPLES: &str = "\
Examples:
  millrace demo
  millrace demo --events events.jsonl --once --json";

/// Arguments of `millrace demo`.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Send the events of this file (JSONL, Segment form) instead of the sample shop's.
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,

    /// Exit when all is delivered: with 0 only if nothing is unaccounted.
    #[arg(long)]
    pub once: bool,

    /// Print the ledger as one JSON object, in the last line of standard output.
    #[arg(long)]
    pub json: bool,

    /// The seed of the sample traffic: the same seed gives the same ledger.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,

    /// Keep everything in this folder instead of a temporary one.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

const SERVE_EXAMPLES: &str = "\
Examples:
  millrace serve --config millrace.toml
  millrace serve --dev
  millrace serve --dev --listen 127.0.0.1:9000 --twin-listen 127.0.0.1:9001 --data ./dev-data
  millrace serve --dev --tls-listen 127.0.0.1:8443";

/// Arguments of `millrace serve`.
#[derive(Debug, Args)]
pub struct ServeArguments {
    /// The configuration [default: millrace.toml].
    #[arg(long, value_name = "FILE", conflicts_with = "dev")]
    pub config: Option<PathBuf>,

    /// Run without a configuration: pipeline `dev`, delivered to project `dev` of the twin.
    #[arg(long)]
    pub dev: bool,

    /// Where collector and management listen; loopback only [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR", requires = "dev")]
    pub listen: Option<SocketAddr>,

    /// Where the twin listens; loopback only [default: 127.0.0.1:8081].
    #[arg(long, value_name = "ADDR", requires = "dev")]
    pub twin_listen: Option<SocketAddr>,

    /// Speak TLS here as well, with a throw-away certificate; loopback only.
    #[arg(long, value_name = "ADDR", requires = "dev")]
    pub tls_listen: Option<SocketAddr>,

    /// The folder for the log and the twin [default: millrace-data].
    #[arg(long, value_name = "DIR", requires = "dev")]
    pub data: Option<PathBuf>,
}

/// Arguments of `millrace check`.
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// The configuration [default: millrace.toml].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Print the mistakes as one JSON array.
    #[arg(long)]
    pub json: bool,
}

const MAP_EXAMPLES: &str = "\
Each line gives one line: {\"requests\":[..]}, {\"filtered\":..} or {\"error\":{\"code\",\"message\"}}.

Examples:
  millrace map --blueprint default < events.jsonl
  millrace map --blueprint ./shop.yaml --settings settings.json --now 2026-11-22T12:00:00Z --explain < events.jsonl";

/// Arguments of `millrace map`.
#[derive(Debug, Args)]
pub struct MapArguments {
    /// A built-in blueprint, or a file.
    #[arg(long, value_name = "NAME")]
    pub blueprint: String,

    /// Settings as a JSON object: `token`, `region` or `url`, and what the blueprint declares.
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,

    /// The time of receipt [default: now].
    #[arg(long, value_name = "RFC3339", value_parser = parse_time)]
    pub now: Option<millrace_model::time::UnixMillis>,

    /// Say for every field where it comes from.
    #[arg(long)]
    pub explain: bool,
}

const DELETE_USERS_EXAMPLES: &str = "\
Examples:
  millrace delete-users ids.txt --integration mixpanel-prod --dry-run
  millrace delete-users ids.txt --integration mixpanel-prod --api task --json";

/// Arguments of `millrace delete-users`.
#[derive(Debug, Args)]
pub struct DeleteUsersArguments {
    /// The distinct ids, one a line.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// The configuration [default: millrace.toml].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The integration whose project the users are in.
    #[arg(long, value_name = "NAME")]
    pub integration: String,

    /// `engage` deletes profiles, `task` profiles and events [default: the setting
    /// `userDeletionApi` of the blueprint, else engage].
    #[arg(long, value_name = "API", value_parser = ["engage", "task"])]
    pub api: Option<String>,

    /// Send nothing, and say what would be sent.
    #[arg(long)]
    pub dry_run: bool,

    /// Print what was sent as one JSON object, in the last line of standard output.
    #[arg(long)]
    pub json: bool,
}

const LOOKUP_TABLE_EXAMPLES: &str = "\
Examples:
  millrace lookup-table list --integration mixpanel-prod
  millrace lookup-table put products.csv --integration mixpanel-prod --table Products --key sku --dry-run
  millrace lookup-table put products.jsonl --integration mixpanel-prod --table Products --key sku";

/// Arguments of `millrace lookup-table`.
#[derive(Debug, Args)]
pub struct LookupTableArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: LookupTableAction,
}

/// What `millrace lookup-table` can do.
#[derive(Debug, Subcommand)]
pub enum LookupTableAction {
    /// Show the id and the name of each table.
    #[command(
        after_help = "Example:\n  millrace lookup-table list --integration mixpanel-prod --json"
    )]
    List {
        /// The project.
        #[command(flatten)]
        project: LookupTableProject,

        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Replace what a table holds: all of it, or nothing when a row is wrong.
    ///
    /// Mixpanel takes at most 100 MB before compression and 100 calls in 24 hours.
    #[command(
        after_help = "Example:\n  millrace lookup-table put products.csv --integration mixpanel-prod --table Products --key sku"
    )]
    Put(LookupTablePutArguments),
}

/// The project that lookup tables belong to.
#[derive(Debug, Args)]
pub struct LookupTableProject {
    /// The configuration [default: millrace.toml].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The integration whose project the tables are in.
    #[arg(long, value_name = "NAME")]
    pub integration: String,

    /// A service account in place of the integration's; its secret is taken from the variable
    /// MILLRACE_SERVICE_SECRET.
    #[arg(long, value_name = "NAME", requires = "project_id")]
    pub service_account: Option<String>,

    /// The number of the project.
    #[arg(long, value_name = "NUMBER", requires = "service_account")]
    pub project_id: Option<String>,
}

/// Arguments of `millrace lookup-table put`.
#[derive(Debug, Args)]
pub struct LookupTablePutArguments {
    /// The catalogue: CSV with headers, or JSONL.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// The project.
    #[command(flatten)]
    pub project: LookupTableProject,

    /// The table, as Mixpanel calls it, or its id.
    #[arg(long, value_name = "TABLE")]
    pub table: String,

    /// The column that events refer to [default: the first].
    #[arg(long, value_name = "COLUMN")]
    pub key: Option<String>,

    /// What the file is written in [default: what its name ends with].
    #[arg(long, value_name = "FORMAT", value_parser = ["csv", "jsonl"])]
    pub format: Option<String>,

    /// Check the file and send nothing.
    #[arg(long)]
    pub dry_run: bool,

    /// Print what was sent as one JSON object, in the last line of standard output.
    #[arg(long)]
    pub json: bool,
}

fn parse_time(text: &str) -> Result<millrace_model::time::UnixMillis, String> {
    millrace_model::time::UnixMillis::parse(text)
        .ok_or_else(|| "write it as 2026-11-22T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example() {
        use clap::CommandFactory as _;
        let mut open = vec![Arguments::command()];
        while let Some(command) = open.pop() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let name = command.get_name();
            assert!(command.has_subcommands() || help.contains("  millrace "), "{name}: {help}");
            open.extend(command.get_subcommands().cloned());
        }
    }

    #[test]
    fn dev_and_config_exclude_each_other() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        assert!(parse("millrace serve --dev --config x").is_err());
        assert!(parse("millrace serve --listen 127.0.0.1:1").is_err());
        assert!(parse("millrace serve --dev --listen 127.0.0.1:1").is_ok());
        assert!(parse("millrace map --blueprint default --now yesterday").is_err());
    }
}
