//! The command line.

pub(crate) mod audit;
pub(crate) mod secrets;
pub(crate) mod store;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum, builder::styling};
use clap_complete::Shell;

const STYLES: styling::Styles = styling::Styles::styled()
    .header(styling::AnsiColor::Green.on_default().bold())
    .usage(styling::AnsiColor::Green.on_default().bold())
    .literal(styling::AnsiColor::Cyan.on_default().bold())
    .placeholder(styling::AnsiColor::Cyan.on_default());

/// A multi-tenant text platform whose services speak gRPC over mutual TLS.
#[derive(Debug, Parser)]
#[command(name = "mcp", version, styles = STYLES, propagate_version = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// How results and errors are written.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text, value_name = "FORMAT")]
    pub(crate) output: Format,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

const EXAMPLES: &str = "\
Examples:
  mcp up                                              everything in one process, on loopback
  mcp token --tenant acme --user alice --role editor  an access token for a running `mcp up`
  mcp cert --service gateway --out client/            a certificate for a client of the mesh
  mcp policy show --output markdown                   who may call what
  mcp audit verify                                    whether anybody changed the audit logs
  mcp serve context --config context.toml             one service, as in production

Exit codes are those of sysexits(3): 64 usage, 65 input, 69 unavailable, 70 software, 74 input/output,
75 try again, 77 no permission, 78 configuration.";

/// How results and errors are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[value(alias = "table")]
    Text,
    /// One JSON document.
    Json,
    /// Markdown, where there is a table to show.
    Markdown,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run the whole platform in this process, for development.
    #[command(after_help = "Stop it with Ctrl-C or SIGTERM: calls in flight finish, then it exits 0.")]
    Up(UpArgs),
    /// Run one service in this process.
    Serve(ServeArgs),
    /// Print an access token (development only; makes tenant and user where they are missing).
    #[command(
        after_help = "Example:\n  curl -H \"authorization: Bearer $(mcp token --tenant acme --user alice --role editor)\" ..."
    )]
    Token(TokenArgs),
    /// Write a certificate for a client of the mesh (development only).
    #[command(
        after_help = "Writes cert.pem (chain), key.pem (mode 0600) and ca.pem (the mesh's roots) to the folder."
    )]
    Cert(CertArgs),
    /// Print a join token: the right to one first certificate.
    JoinToken(JoinTokenArgs),
    /// Read the audit logs and prove that nobody changed them.
    #[command(subcommand)]
    Audit(audit::AuditVerb),
    /// Ways back for a service's sealed secrets, and the change of its master key.
    #[command(subcommand)]
    Secrets(secrets::SecretsVerb),
    /// The tables of services that are on PostgreSQL.
    #[command(subcommand)]
    Store(store::StoreVerb),
    /// Show who may call what: the policy of every method.
    Policy(PolicyArgs),
    /// Show the effective configuration: every key with its value.
    Config(ConfigArgs),
    /// Print the version.
    Version,
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  source <(mcp completions bash)")]
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

#[derive(Args, Debug)]
pub(crate) struct UpArgs {
    /// Where everything is kept.
    #[arg(long, default_value = ".mcp", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// Where the gateway listens; port 0 picks a free one. Loopback only.
    #[arg(long, default_value = "127.0.0.1:8443", value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
    /// Write a JSON description here once everything serves.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// Configuration; see `mcp config show`.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// Which service.
    #[arg(value_enum)]
    pub(crate) service: ServiceChoice,
    /// Configuration; see `mcp config show`.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Write a JSON description here once the service serves.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum ServiceChoice {
    /// The certificate authority.
    Ca,
    /// Sign-in, tokens, tenants.
    Auth,
    /// Contexts and messages.
    Context,
    /// Summaries.
    Summarization,
    /// The edge.
    Gateway,
}

impl ServiceChoice {
    /// Every one of them.
    pub(crate) const ALL: [Self; 5] =
        [Self::Ca, Self::Auth, Self::Context, Self::Summarization, Self::Gateway];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::Auth => "auth",
            Self::Context => "context",
            Self::Summarization => "summarization",
            Self::Gateway => "gateway",
        }
    }
}

/// Which running platform a verb talks to.
#[derive(Args, Debug)]
pub(crate) struct Target {
    /// The folder of a running `mcp up`.
    #[arg(long, default_value = ".mcp", value_name = "DIR", conflicts_with = "config")]
    pub(crate) data_dir: PathBuf,
    /// A configuration that names the mesh and the operator's certificate, for services run by `mcp serve`.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct TokenArgs {
    /// The tenant's slug.
    #[arg(long)]
    pub(crate) tenant: String,
    /// The user's name within the tenant.
    #[arg(long)]
    pub(crate) user: String,
    /// The user's role from now on.
    #[arg(long, value_parser = ["viewer", "editor", "admin", "owner"])]
    pub(crate) role: String,
    /// How long the token lives.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "10m", value_name = "DURATION")]
    pub(crate) ttl: Duration,
    /// Bind the token to the first certificate of this PEM file: it then works on a service's own port too,
    /// presented with that certificate.
    #[arg(long, value_name = "CERT.pem")]
    pub(crate) bind: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct CertArgs {
    /// The service whose identity the certificate states.
    #[arg(long, value_name = "NAME")]
    pub(crate) service: String,
    /// Where the files go.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct JoinTokenArgs {
    /// The service that may join.
    #[arg(long, value_name = "NAME")]
    pub(crate) service: String,
    /// How long the token may wait to be used; at most a day.
    #[arg(long, value_parser = humantime::parse_duration, default_value = "10m", value_name = "DURATION")]
    pub(crate) ttl: Duration,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    pub(crate) verb: PolicyVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyVerb {
    /// Print the policy of every method.
    Show,
}

#[derive(Args, Debug)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) verb: ConfigVerb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigVerb {
    /// Print every key with its value: defaults, then the file, then `MCP__SECTION__KEY`.
    Show {
        /// The file to start from.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Show what `mcp up` would use, or a service of its own.
        #[arg(long)]
        serve: bool,
    },
}
