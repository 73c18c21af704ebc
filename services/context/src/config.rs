//! What the operator may turn.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::store::Quota;

/// The context service's section of the configuration.
///
/// Page sizes are not here: the API's contract states them.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the summarization service listens on the mesh.
    pub summarization: SocketAddr,
    /// Tenants whose file is held open at once. Each costs up to three threads, with three handles a thread.
    pub tenants_open_max: usize,
    /// Who keeps its secrets.
    pub secrets: mcp_secrets::Config,
    /// Where the rows are.
    pub store: mcp_store::Config,
    /// How much one tenant may hold.
    pub quota: Quota,
    /// Watches that one tenant may have open at once, in one process.
    pub watches_per_tenant_max: usize,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            summarization: (Ipv4Addr::LOCALHOST, 7404).into(),
            tenants_open_max: 128,
            secrets: mcp_secrets::Config::default(),
            store: mcp_store::Config::default(),
            quota: Quota::default(),
            watches_per_tenant_max: 100,
        }
    }
}
