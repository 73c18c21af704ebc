//! What an operator may turn about a service's place in the mesh.

use std::{net::SocketAddr, path::PathBuf};

use mcp_limit::Quotas;
use mcp_runtime::{LogFormat, SecretRef};
use mcp_types::TrustDomain;
use serde::{Deserialize, Serialize};

/// A service's place in the mesh.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeshConfig {
    /// The trust domain of every identity, as in `spiffe://<trust domain>/service/<name>`.
    #[serde(with = "text")]
    pub trust_domain: TrustDomain,
    /// Where this service keeps its files: identity, secrets, tenants. Readable by its own user alone.
    pub state_dir: PathBuf,
    /// Where the ca answers; the ca itself states none.
    pub ca: Option<CaEndpoints>,
    /// The join token for the first certificate; not needed once there is one.
    pub join_token: Option<SecretRef>,
    /// Where auth answers on the mesh; auth itself states none.
    pub auth: Option<SocketAddr>,
    /// The audit log, one JSON object a line. Relative to `state_dir`.
    pub audit_file: PathBuf,
    /// A file that gets every audit row again, tenants' too, for whoever ships logs. Relative to `state_dir`; none by
    /// default, since it holds in the clear what tenants' logs seal.
    pub audit_copy: Option<PathBuf>,
    /// The secret that signs the audit logs' checkpoints, 32 bytes in base64; drawn and kept beside the log by default.
    pub audit_key: Option<SecretRef>,
    /// Refusals of strangers that get an audit row each, per ten seconds; beyond, they are one row with a count.
    pub audit_stranger_rows_max: u32,
    /// Calls that run at once before further ones are refused. Bounds memory: times the largest request of a method.
    pub calls_in_flight_max: usize,
    /// Calls a minute, for each user or service and class of method.
    pub quotas: Quotas,
    /// How log lines look; chosen by the command, not by the file.
    #[serde(skip, default = "json")]
    pub log_format: LogFormat,
}

/// Where the ca answers.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CaEndpoints {
    /// Its mesh listener: renewal, trust.
    pub mesh: SocketAddr,
    /// Its bootstrap listener: first certificates.
    pub bootstrap: SocketAddr,
}

// === impl MeshConfig ===

impl Default for MeshConfig {
    #[expect(clippy::expect_used, reason = "a constant that a test parses")]
    fn default() -> Self {
        Self {
            trust_domain: "mcp.local".parse().expect("a trust domain"),
            state_dir: PathBuf::from(".mcp"),
            ca: None,
            join_token: None,
            auth: None,
            audit_file: PathBuf::from("audit.jsonl"),
            audit_copy: None,
            audit_key: None,
            audit_stranger_rows_max: 20,
            calls_in_flight_max: 1024,
            quotas: Quotas::default(),
            log_format: json(),
        }
    }
}

const fn json() -> LogFormat {
    LogFormat::Json
}

/// Names as text.
mod text {
    use mcp_types::TrustDomain;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(name: &TrustDomain, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(name.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<TrustDomain, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
