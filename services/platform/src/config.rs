//! The whole configuration of a process, one TOML file.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use mcp_rpc::MeshConfig;
use mcp_runtime::{Failure, LogFormat, Profile};
use serde::{Deserialize, Serialize};

/// The configuration of `mcp up` and `mcp serve`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct PlatformConfig {
    /// Where the process runs.
    pub(crate) profile: Profile,
    pub(crate) listen: ListenConfig,
    pub(crate) log: LogConfig,
    pub(crate) mesh: MeshConfig,
    pub(crate) operator: OperatorConfig,
    pub(crate) ca: mcp_ca::Config,
    pub(crate) auth: mcp_auth::Config,
    pub(crate) context: mcp_context::Config,
    pub(crate) summarization: mcp_summarization::Config,
    pub(crate) gateway: mcp_gateway::Config,
}

/// Where the process listens. Port 0 picks a free one.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ListenConfig {
    /// The service's own port, for its peers.
    pub(crate) mesh: SocketAddr,
    /// The ca's port for newcomers.
    pub(crate) bootstrap: SocketAddr,
    /// The gateway's public port.
    pub(crate) edge: SocketAddr,
    /// Metrics, if anywhere.
    pub(crate) metrics: Option<SocketAddr>,
}

/// What is logged, and how.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogConfig {
    /// Levels by module: `info`, or `mcp_rpc=debug,info`.
    pub(crate) filter: String,
    /// How lines look; by default text on a terminal and JSON elsewhere.
    pub(crate) format: Option<LogShape>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogShape {
    Text,
    Json,
}

/// Where verbs find an operator's certificate.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OperatorConfig {
    /// Holds cert.pem, key.pem and ca.pem.
    pub(crate) folder: Option<PathBuf>,
}

// === impl PlatformConfig ===

impl PlatformConfig {
    /// Where `mcp up` starts from: a developer's machine.
    pub(crate) fn of_up() -> Self {
        let auth = mcp_auth::Config { local_sign_in: true, ..Default::default() };
        Self { profile: Profile::Development, auth, ..Self::default() }
    }

    /// What is configured for `mcp up`.
    pub(crate) fn load_for_up(file: Option<&Path>) -> Result<Self, Failure> {
        mcp_runtime::load(&Self::of_up(), file)
    }

    /// What is configured for one service.
    pub(crate) fn load_for_serve(file: Option<&Path>) -> Result<Self, Failure> {
        mcp_runtime::load(&Self::default(), file)
    }

    /// How log lines look.
    pub(crate) fn log_format(&self) -> LogFormat {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        match self.log.format {
            Some(LogShape::Json) => LogFormat::Json,
            Some(LogShape::Text) => LogFormat::Text { colours: terminal },
            None if terminal => LogFormat::Text { colours: true },
            None => LogFormat::Json,
        }
    }

    /// Refuses `address` where the profile keeps to this machine and the address does not.
    pub(crate) fn check_listen(&self, key: &str, address: SocketAddr) -> Result<(), Failure> {
        if self.profile.is_development() && !address.ip().to_canonical().is_loopback() {
            return Err(Failure::config(format!(
                "`{key}` is {address}, which others can reach; the development profile keeps to loopback"
            ))
            .advise("listen on 127.0.0.1 or [::1]; to be reached by others, run `mcp serve` under another profile"));
        }
        Ok(())
    }
}

// === impl ListenConfig ===

impl Default for ListenConfig {
    fn default() -> Self {
        let loopback = |port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
        Self { mesh: loopback(0), bootstrap: loopback(0), edge: loopback(8443), metrics: None }
    }
}

// === impl LogConfig ===

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: None }
    }
}
