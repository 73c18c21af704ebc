//! The command line of `mcp secrets`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

const CHANGE_EXAMPLES: &str = "\
Examples:
  mcp secrets change-master --service auth --key .mcp/auth/master-2.key
  mcp secrets change-master --service auth --passphrase-file words

Afterwards `[auth.secrets.sealed]` in the configuration must name the new key. The old key opens older copies of the
secrets, and nothing else.";

const ROTATE_EXAMPLES: &str = "\
Examples:
  mcp secrets rotate-signing-keys --config auth.toml
  mcp secrets rotate-signing-keys --config auth.toml --compromised

Keys in a vault change while auth runs, which takes them over within half a minute. For keys in a sealed store, stop the
platform first.";

#[derive(Debug, Subcommand)]
pub(crate) enum SecretsVerb {
    /// Take a service's secrets as they stand for the newest: where a mark was lost, or an older copy is all that is left.
    Accept(ServiceArgs),
    /// Seal a service's secrets anew under another master key.
    #[command(after_help = CHANGE_EXAMPLES)]
    ChangeMaster(ChangeMasterArgs),
    /// Change the keys that tokens are signed with now, whatever the schedule says.
    #[command(after_help = ROTATE_EXAMPLES)]
    RotateSigningKeys(RotateArgs),
    /// Make the identity that opens an escrow, and print its recipient. Keep it offline.
    EscrowIdentity {
        /// The file to make.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Write a copy of every tenant's wrapping key to the escrow, and remove those of destroyed keys.
    EscrowExport(EscrowExportArgs),
    /// Take back the wrapping keys that are missing, from their copies in escrow.
    EscrowImport(EscrowImportArgs),
}

/// Whose sealed store. No process may have it open.
#[derive(Args, Debug)]
pub(crate) struct ServiceArgs {
    /// Which service.
    #[arg(long, value_enum)]
    pub(crate) service: SealedService,
    /// The folder of a platform that runs by `mcp up`; `.mcp` where there is no configuration either.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The configuration that the service, or with `--data-dir` the platform, runs with.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

/// A service that has secrets.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum SealedService {
    /// The certificate authority.
    Ca,
    /// Sign-in, tokens, tenants.
    Auth,
    /// Contexts and messages.
    Context,
}

#[derive(Args, Debug)]
pub(crate) struct RotateArgs {
    /// Believe no key of before any longer: every token is refused from now on, and everybody signs in again.
    #[arg(long)]
    pub(crate) compromised: bool,
    /// The folder of a platform that runs by `mcp up`; `.mcp` where there is no configuration either.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The configuration that auth, or with `--data-dir` the platform, runs with.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ChangeMasterArgs {
    #[command(flatten)]
    pub(crate) of: ServiceArgs,
    /// The file of the new key; made where it is missing.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "passphrase_file",
        conflicts_with = "passphrase_file"
    )]
    pub(crate) key: Option<PathBuf>,
    /// A file with the new passphrase.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Where the new passphrase's salt and cost go; `passphrase.header` in the service's folder if nothing is said.
    #[arg(long, value_name = "FILE", conflicts_with = "key")]
    pub(crate) passphrase_header: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct EscrowExportArgs {
    #[command(flatten)]
    pub(crate) of: ServiceArgs,
    /// Whose key opens the copies, `age1...`; as configured if nothing is said.
    #[arg(long, value_name = "AGE", requires = "folder")]
    pub(crate) recipient: Option<String>,
    /// Holds the copies; as configured if nothing is said.
    #[arg(long, value_name = "DIR", requires = "recipient")]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct EscrowImportArgs {
    #[command(flatten)]
    pub(crate) of: ServiceArgs,
    /// The file of the identity that opens the copies, as `age-keygen` writes it.
    #[arg(long, value_name = "FILE")]
    pub(crate) identity: PathBuf,
    /// Holds the copies; as configured if nothing is said.
    #[arg(long, value_name = "DIR")]
    pub(crate) folder: Option<PathBuf>,
}
