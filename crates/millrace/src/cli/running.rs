//! The commands that ask a running server by its management API: `ledger`, `set-aside`, `trace`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Which server is asked, and as whom.
#[derive(Debug, Args)]
pub struct ServerArguments {
    /// Where the management API listens [default: http://127.0.0.1:8084].
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,

    /// The admin token [default: the variable MILLRACE_ADMIN_TOKEN].
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,

    /// Ask a server that runs as `serve --dev`: http://127.0.0.1:8080, with its token.
    #[arg(long)]
    pub dev: bool,

    /// Print the answer as JSON.
    #[arg(long)]
    pub json: bool,
}

pub(super) const LEDGER_EXAMPLES: &str = "\
Exit code: 0 when nothing is unaccounted and the recount agrees, else 70.

Examples:
  millrace ledger --dev
  millrace ledger --server http://127.0.0.1:8084 --verify --json";

/// Arguments of `millrace ledger`.
#[derive(Debug, Args)]
pub struct LedgerArguments {
    /// The server.
    #[command(flatten)]
    pub server: ServerArguments,

    /// Count it a second time from the log. Nothing is admitted meanwhile.
    #[arg(long)]
    pub verify: bool,
}

/// Which items are meant.
#[derive(Debug, Args)]
pub struct SetAsideFilter {
    /// Only those of this pipeline.
    #[arg(long, value_name = "NAME")]
    pub pipeline: Option<String>,

    /// Only those with this code, such as MR1102.
    #[arg(long, value_name = "CODE")]
    pub code: Option<String>,

    /// Only those that were received at this time or later.
    #[arg(long, value_name = "RFC3339")]
    pub since: Option<String>,

    /// At most this many, up to 1000.
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    pub limit: u32,
}

pub(super) const SET_ASIDE_EXAMPLES: &str = "\
Examples:
  millrace set-aside list --dev
  millrace set-aside show 4711:0 --dev
  millrace set-aside refeed 4711:0 --dry-run --dev";

/// What `millrace set-aside` can do.
#[derive(Debug, Subcommand)]
pub enum SetAsideCommand {
    /// List what is held, the newest first.
    #[command(after_help = "\
Examples:
  millrace set-aside list --dev
  millrace set-aside list --pipeline shop --code MR1102 --since 2026-11-22T00:00:00Z --json")]
    List {
        /// The server.
        #[command(flatten)]
        server: ServerArguments,

        /// Which items.
        #[command(flatten)]
        filter: SetAsideFilter,

        /// Go on behind this position.
        #[arg(long, value_name = "POSITION")]
        cursor: Option<String>,
    },

    /// Show one item with its bytes.
    #[command(after_help = "Example:\n  millrace set-aside show 4711:0 --dev")]
    Show {
        /// The server.
        #[command(flatten)]
        server: ServerArguments,

        /// Where it is, such as 4711:0.
        #[arg(value_name = "POSITION")]
        position: String,
    },

    /// Feed items in again, through the door as it is now.
    #[command(after_help = "\
Exit code: 0 when all were fed, 64 when one was refused; a refused one stays where it is.

Examples:
  millrace set-aside refeed 4711:0 4711:3 --dry-run --dev
  millrace set-aside refeed --all --pipeline shop --code MR1015
  millrace set-aside refeed 4711:0 --body mended.json")]
    Refeed(RefeedArguments),
}

/// Arguments of `millrace set-aside refeed`.
#[derive(Debug, Args)]
pub struct RefeedArguments {
    /// The server.
    #[command(flatten)]
    pub server: ServerArguments,

    /// Where the items are, such as 4711:0.
    #[arg(value_name = "POSITION", required_unless_present = "all", conflicts_with = "all")]
    pub positions: Vec<String>,

    /// All items that the filter lets through, the oldest first.
    #[arg(long)]
    pub all: bool,

    /// Which items.
    #[command(flatten)]
    pub filter: SetAsideFilter,

    /// The bytes of this file in place of the kept ones; with one position.
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    pub body: Option<PathBuf>,

    /// Say what would become of them, and change nothing.
    #[arg(long)]
    pub dry_run: bool,
}

pub(super) const TRACE_EXAMPLES: &str = "\
Examples:
  millrace trace 0b7e6d2c-7f0f-4c5e-9d43-6f6f2f5f1a10 --dev
  millrace trace order-4711 --pipeline shop --body --json";

/// Arguments of `millrace trace`.
#[derive(Debug, Args)]
pub struct TraceArguments {
    /// The message id of the event.
    #[arg(value_name = "MESSAGE_ID")]
    pub message_id: String,

    /// The pipeline that it came in by; with --dev the one that there is.
    #[arg(long, value_name = "NAME", required_unless_present = "dev")]
    pub pipeline: Option<String>,

    /// Show the event itself, as it is stored.
    #[arg(long)]
    pub body: bool,

    /// The server.
    #[command(flatten)]
    pub server: ServerArguments,
}
