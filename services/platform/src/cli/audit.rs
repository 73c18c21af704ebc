//! The command line of `mcp audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

const VERIFY_EXAMPLES: &str = "\
Examples:
  mcp audit verify                                        every log of the platform in .mcp
  mcp audit checkpoint --service context > yesterday      keep this somewhere else
  mcp audit verify --service context --against yesterday  nothing before it was changed, nothing cut off since
  mcp audit verify export.jsonl --key gateway.vkey        an export, with a key that the exporter cannot write to

Exits 0 where every log is sound and 65 where one is not. docs/audit.md says what that proves.";

#[derive(Debug, Subcommand)]
pub(crate) enum AuditVerb {
    /// Print rows, oldest first.
    List(ListArgs),
    /// Print the newest rows, and go on as they come.
    Tail(TailArgs),
    /// Print a log's newest checkpoint, signed; kept elsewhere, it proves later that nothing was changed.
    Checkpoint(LogArgs),
    /// Write a whole log as JSON lines, for `mcp audit verify` on another machine.
    Export(ExportArgs),
    /// Check logs, or an export, and say what is wrong.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
    /// Prove that one row is in the log, or that the log grew out of an older checkpoint.
    Prove(ProveArgs),
}

/// Which logs.
#[derive(Args, Debug)]
pub(crate) struct Logs {
    /// The folder of a platform: each service's folder is below it.
    #[arg(long, default_value = ".mcp", value_name = "DIR", conflicts_with = "config")]
    pub(crate) data_dir: PathBuf,
    /// The configuration of one service that runs by `mcp serve`.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One service's logs.
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// One tenant's logs; without it, services' own too.
    #[arg(long, value_name = "SLUG")]
    pub(crate) tenant: Option<String>,
}

/// Which rows.
#[derive(Args, Debug)]
pub(crate) struct Filter {
    /// Rows of this request.
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
    /// Rows about this user.
    #[arg(long, value_name = "NAME")]
    pub(crate) principal: Option<String>,
    /// Rows of this decision.
    #[arg(long, value_parser = ["allow", "deny"])]
    pub(crate) decision: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) logs: Logs,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// The newest so many, where there are more.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub(crate) limit: usize,
}

#[derive(Args, Debug)]
pub(crate) struct TailArgs {
    #[command(flatten)]
    pub(crate) logs: Logs,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// How many to begin with.
    #[arg(short = 'n', long, default_value_t = 20, value_name = "N")]
    pub(crate) lines: usize,
    /// Go on until interrupted.
    #[arg(short, long)]
    pub(crate) follow: bool,
}

#[derive(Args, Debug)]
pub(crate) struct LogArgs {
    #[command(flatten)]
    pub(crate) logs: Logs,
}

#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) logs: Logs,
    /// Where it goes; without it, to the standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// An export; without it, the logs where they lie.
    #[arg(value_name = "EXPORT", conflicts_with_all = ["config", "service", "tenant"])]
    pub(crate) export: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) logs: Logs,
    /// The verifier key, or a file with it. Without it the key beside the log is believed.
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// A checkpoint that was kept from earlier; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Vec<PathBuf>,
}

#[derive(Args, Debug)]
#[group(id = "what", required = true, multiple = false)]
pub(crate) struct ProveArgs {
    #[command(flatten)]
    pub(crate) logs: Logs,
    /// The row in this place, counted from 0.
    #[arg(long, value_name = "N", group = "what")]
    pub(crate) index: Option<u64>,
    /// An older checkpoint of the log.
    #[arg(long, value_name = "FILE", group = "what")]
    pub(crate) from: Option<PathBuf>,
}
