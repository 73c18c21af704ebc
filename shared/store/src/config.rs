//! Where a service's rows are, as its configuration says it.

use std::{fmt, path::PathBuf};

use mcp_secrets::Secret;
use serde::{Deserialize, Serialize};

/// Where a service's rows are.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Which engine keeps them.
    pub engine: EngineName,
    /// The server, for the engine `postgres`.
    pub postgres: Option<PostgresConfig>,
}

/// An engine's name in the configuration.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// A file a tenant, in the service's data folder.
    #[default]
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

/// A PostgreSQL server. What is secret stands here by reference only: `file:/path`, or `vault:path` in the
/// service's own keeper of secrets.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PostgresConfig {
    /// Its name, as its certificate says it.
    pub host: String,
    /// Its port.
    #[serde(default = "port")]
    pub port: u16,
    /// The database.
    pub database: String,
    /// The authorities of its certificate, in PEM. Without, only a loopback address is reached, and only in development.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Who the service is there, where its login is not made by Vault: a role that owns nothing, member of `mcp_<service>`.
    #[serde(default)]
    pub user: Option<String>,
    /// Reference to that role's password.
    #[serde(default)]
    pub password: Option<String>,
    /// Role of Vault's database engine that makes the login instead.
    #[serde(default)]
    pub vault_role: Option<String>,
    /// Reference to the key that signs which tenant a transaction acts for.
    pub guard_key: String,
    /// Connections at once.
    #[serde(default = "connections_max")]
    pub connections_max: u32,
    /// How long a statement may take.
    #[serde(default = "statement_ms_max")]
    pub statement_ms_max: u32,
}

/// Who the service is to the server.
#[derive(Clone)]
pub struct Login {
    /// The role.
    pub user: String,
    /// Its password.
    pub password: Secret,
}

/// A server, and what it takes to be let in.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where it is.
    pub config: PostgresConfig,
    /// Who comes.
    pub login: Login,
    /// Signs which tenant a transaction acts for.
    pub guard_key: Secret,
    /// Whether the server may be reached without TLS.
    pub plaintext: Plaintext,
}

/// Whether a server may be reached without TLS.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plaintext {
    /// Never: production.
    Refused,
    /// On a loopback address: development.
    OnLoopback,
}

const fn port() -> u16 {
    5432
}

const fn connections_max() -> u32 {
    16
}

const fn statement_ms_max() -> u32 {
    10_000
}

// === impl Login ===

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}
