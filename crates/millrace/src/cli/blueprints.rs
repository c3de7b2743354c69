//! The commands for who writes blueprints: `test`, `diff`, `blueprint`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub(super) const TEST_EXAMPLES: &str = "\
Tests stand under the key `tests` of a blueprint, or beside it in NAME.tests.yaml.
Exit code: 0 when all pass, 64 when one fails or a file has a mistake.

Examples:
  millrace test shop.yaml
  millrace test shop.yaml --coverage
  millrace test --config millrace.toml --json
  millrace test default";

/// Arguments of `millrace test`.
#[derive(Debug, Args)]
pub struct TestArguments {
    /// Blueprints: files, or names of what comes with Millrace.
    #[arg(value_name = "FILE")]
    pub blueprints: Vec<String>,

    /// Test the blueprints of this configuration [default: millrace.toml, when no FILE is named].
    #[arg(long, value_name = "FILE", conflicts_with = "blueprints")]
    pub config: Option<PathBuf>,

    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,

    /// Tell which rules, actions and fields no test hits.
    #[arg(long)]
    pub coverage: bool,
}

pub(super) const DIFF_EXAMPLES: &str = "\
OLD and NEW are files, names of what comes with Millrace, or published revisions such as shop@2.
Without --events: what the blueprints say differently. With: also what they make of these events.

Examples:
  millrace diff shop.yaml shop-new.yaml
  millrace diff shop@2 shop.yaml --events events.jsonl
  millrace diff default rudderstack --events events.jsonl --json";

/// Arguments of `millrace diff`.
#[derive(Debug, Args)]
pub struct DiffArguments {
    /// The old blueprint.
    #[arg(value_name = "OLD")]
    pub old: String,

    /// The new blueprint.
    #[arg(value_name = "NEW")]
    pub new: String,

    /// Settings as a JSON object; each blueprint takes those that it declares.
    #[arg(long, value_name = "FILE", requires = "input")]
    pub settings: Option<PathBuf>,

    /// Run both over these events (JSONL, Segment form or Adobe's).
    #[arg(long, value_name = "FILE", group = "input")]
    pub events: Option<PathBuf>,

    /// Run both over the events that a server keeps in this data folder. It may be running: the
    /// folder is only read.
    #[arg(long, value_name = "DIR", group = "input", conflicts_with = "now")]
    pub data: Option<PathBuf>,

    /// Of the kept events, only those of this pipeline.
    #[arg(long, value_name = "NAME", requires = "data")]
    pub pipeline: Option<String>,

    /// Of the kept events, only those received from then on.
    #[arg(long, value_name = "RFC3339", requires = "data", value_parser = super::parse_time)]
    pub since: Option<millrace_model::time::UnixMillis>,

    /// Read no more events than this.
    #[arg(long, value_name = "NUMBER", requires = "input")]
    pub limit: Option<u64>,

    /// The folder of published revisions.
    #[arg(long, value_name = "DIR", default_value = crate::revisions::DEFAULT_FOLDER)]
    pub dir: PathBuf,

    /// The time of receipt [default: now].
    #[arg(long, value_name = "RFC3339", value_parser = super::parse_time)]
    pub now: Option<millrace_model::time::UnixMillis>,

    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
}

pub(super) const BLUEPRINT_EXAMPLES: &str = "\
Examples:
  millrace blueprint explain shop.yaml
  millrace blueprint lineage shop.yaml
  millrace blueprint publish shop.yaml --about 'totals are numbers'
  millrace blueprint show shop@2";

/// Commands about one blueprint and its revisions.
#[derive(Debug, Subcommand)]
pub enum BlueprintCommand {
    /// Publish a file as the next revision of its name. Published revisions never change.
    #[command(
        after_help = "Example:\n  millrace blueprint publish shop.yaml --about 'totals are numbers'"
    )]
    Publish {
        /// The blueprint.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The folder of published revisions.
        #[arg(long, value_name = "DIR", default_value = crate::revisions::DEFAULT_FOLDER)]
        dir: PathBuf,
        /// Why, in your words.
        #[arg(long, value_name = "TEXT", default_value = "")]
        about: String,
    },
    /// List the blueprints that come with Millrace and the published revisions.
    #[command(
        after_help = "Examples:\n  millrace blueprint list\n  millrace blueprint list --dir revisions --json"
    )]
    List {
        /// The folder of published revisions.
        #[arg(long, value_name = "DIR", default_value = crate::revisions::DEFAULT_FOLDER)]
        dir: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print the text of a published revision (NAME@2; NAME: the newest).
    #[command(
        after_help = "Examples:\n  millrace blueprint show shop@2\n  millrace blueprint show shop > shop.yaml"
    )]
    Show {
        /// Which one.
        #[arg(value_name = "NAME[@NUMBER]")]
        revision: String,
        /// The folder of published revisions.
        #[arg(long, value_name = "DIR", default_value = crate::revisions::DEFAULT_FOLDER)]
        dir: PathBuf,
    },
    /// Say how each scalar of a blueprint is read.
    #[command(after_help = "Example:\n  millrace blueprint explain shop.yaml")]
    Explain(OneBlueprint),
    /// Say which paths and settings can reach each rule, action and field.
    #[command(after_help = "Example:\n  millrace blueprint lineage shop.yaml")]
    Lineage(OneBlueprint),
    /// Print the canonical JSON, by which blueprints are compared and numbered.
    #[command(after_help = "Example:\n  millrace blueprint canonical shop@2")]
    Canonical(OneBlueprint),
}

/// A blueprint to look at.
#[derive(Debug, Args)]
pub struct OneBlueprint {
    /// A file, a name of what comes with Millrace, or a published revision such as shop@2.
    #[arg(value_name = "FILE")]
    pub blueprint: String,

    /// The folder of published revisions.
    #[arg(long, value_name = "DIR", default_value = crate::revisions::DEFAULT_FOLDER)]
    pub dir: PathBuf,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
