//! What the operator may turn.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

/// The context service's section of the configuration.
///
/// Page sizes are not here: the API's contract states them.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the summarization service listens on the mesh.
    pub summarization: SocketAddr,
    /// Tenants whose file is held open at once. Each costs up to three threads, with three handles a thread.
    pub tenants_open_max: usize,
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self { summarization: (Ipv4Addr::LOCALHOST, 7404).into(), tenants_open_max: 128 }
    }
}
