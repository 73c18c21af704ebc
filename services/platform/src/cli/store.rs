//! The command line of `mcp store`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

const MIGRATE_EXAMPLES: &str = "\
Examples:
  mcp store migrate --config mcp.toml --owner mcp_owner --password-file owner.password --guard-keys guard/

The owner is a role that may create schemas in the database and roles in the server; no service has it. The folder of guard
keys holds a file for each service (ca, auth, context): the very bytes that the service's `store.postgres.guard_key` refers
to. Run it before a new version of a service: the version before goes on with the newer tables.";

#[derive(Debug, Subcommand)]
pub(crate) enum StoreVerb {
    /// Make or bring up to date the tables of every service that is configured to be on PostgreSQL.
    #[command(after_help = MIGRATE_EXAMPLES)]
    Migrate(MigrateArgs),
}

#[derive(Args, Debug)]
pub(crate) struct MigrateArgs {
    /// The configuration that the services run with.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The role that owns the tables.
    #[arg(long, value_name = "ROLE")]
    pub(crate) owner: String,
    /// The file with that role's password.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: PathBuf,
    /// Holds a file for each service: the key that signs which tenant a transaction acts for.
    #[arg(long, value_name = "DIR")]
    pub(crate) guard_keys: PathBuf,
}
