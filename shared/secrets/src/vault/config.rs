//! Where the vault is, and who we are to it; secrets by reference alone.

use std::{path::PathBuf, time::Duration};

use mcp_runtime::SecretRef;
use serde::{Deserialize, Serialize};

use super::Fault;

/// The longest that a secret may be served from memory while the vault is silent, in seconds.
const CACHED_SECS_MAX: u64 = 3600;

/// The vault's section of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its URL: `https://` alone, host and port.
    pub address: String,
    /// PEM of the authorities that its certificate may be from; no others are believed, not even the system's.
    pub ca: PathBuf,
    /// How the service proves who it is.
    pub login: Login,
    /// Where the engines are mounted; as `deploy/vault/setup.sh` mounts them if nothing is said.
    #[serde(default)]
    pub mounts: Mounts,
    /// How long one request may take, in milliseconds: 10 to 60,000.
    #[serde(default = "Config::timeout_millis")]
    pub timeout_millis: u64,
    /// How many requests may be in flight; more wait for as long as a request may take.
    #[serde(default = "Config::in_flight_max")]
    pub in_flight_max: u16,
    /// How long a secret that was read stays readable while the vault does not answer, in seconds: 0 to 3600.
    #[serde(default = "Config::cached_secs")]
    pub cached_secs: u64,
}

/// How a service proves who it is.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "method", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Login {
    /// A role ID and a secret ID, handed over by a deployer.
    Approle {
        /// The role's ID.
        role_id: SecretRef,
        /// The secret ID, or the token that wraps it.
        secret_id: SecretRef,
        /// Whether the file holds a wrapping token: unwrapped once, so that a thief is noticed.
        #[serde(default)]
        wrapped: bool,
    },
    /// The service account's token that Kubernetes projects into the pod.
    Kubernetes {
        /// The projected token; read at each login, since Kubernetes exchanges it.
        token: SecretRef,
    },
    /// The certificate that the service has in the mesh.
    Certificate {
        /// Its chain in PEM; read at each login, since it is renewed.
        certificate: PathBuf,
        /// Its key in PEM.
        key: SecretRef,
    },
}

/// Where the engines are mounted.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mounts {
    /// Secrets, KV version 2.
    pub kv: String,
    /// Wrapping keys.
    pub transit: String,
    /// Signing keys.
    pub signing: String,
    /// Users of the database.
    pub database: String,
}

// === impl Config ===

impl Config {
    const fn timeout_millis() -> u64 {
        2_000
    }

    const fn in_flight_max() -> u16 {
        64
    }

    const fn cached_secs() -> u64 {
        300
    }

    pub(super) const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_millis)
    }

    pub(super) const fn cached(&self) -> Duration {
        Duration::from_secs(self.cached_secs)
    }

    /// Whether these values may be used.
    pub(super) fn check(&self) -> Result<(), Fault> {
        let bad = |key, what: &str| Err(Fault::Config { key, what: what.to_owned() });
        let host = self.address.strip_prefix("https://").map(|rest| rest.trim_end_matches('/'));
        if host.is_none_or(|host| host.is_empty() || host.contains(['/', '?', '#', '@'])) {
            return bad("address", "must be https://HOST:PORT and no more");
        }
        if !(10..=60_000).contains(&self.timeout_millis) {
            return bad("timeout_millis", "may be 10 to 60000");
        }
        if self.in_flight_max == 0 {
            return bad("in_flight_max", "must be at least 1");
        }
        if self.cached_secs > CACHED_SECS_MAX {
            return bad("cached_secs", "may be 0 to 3600");
        }
        let Mounts { kv, transit, signing, database } = &self.mounts;
        let word = |text: &str| {
            !text.is_empty() && text.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_/".contains(&it))
        };
        if ![kv, transit, signing, database].into_iter().all(|mount| word(mount)) {
            return bad("mounts", "must be paths of letters, digits, `-`, `_` and `/`");
        }
        Ok(())
    }
}

// === impl Mounts ===

impl Default for Mounts {
    fn default() -> Self {
        Self {
            kv: "mcp-kv".to_owned(),
            transit: "mcp-transit".to_owned(),
            signing: "mcp-signing".to_owned(),
            database: "mcp-database".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    //! What may be configured.

    use super::*;

    fn config(change: impl FnOnce(&mut Config)) -> Result<(), Fault> {
        let mut config: Config = serde_json::from_value(serde_json::json!({
            "address": "https://vault.test:8200",
            "ca": "/etc/vault.pem",
            "login": { "method": "approle", "role_id": "file:/r", "secret_id": "file:/s" },
        }))
        .expect("what a user writes");
        change(&mut config);
        config.check()
    }

    #[test]
    fn only_an_address_over_tls_will_do() {
        assert!(config(|_| {}).is_ok());
        for bad in
            ["http://vault.test:8200", "vault.test:8200", "https://", "https://u:p@vault.test", "https://v/x"]
        {
            assert!(config(|config| config.address = bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn bounds_are_held() {
        assert!(config(|config| config.timeout_millis = 9).is_err());
        assert!(config(|config| config.in_flight_max = 0).is_err());
        assert!(config(|config| config.cached_secs = CACHED_SECS_MAX + 1).is_err());
        assert!(config(|config| config.mounts.kv = "a?b".to_owned()).is_err());
    }

    #[test]
    fn a_secret_cannot_be_written_where_a_reference_belongs() {
        let pasted = serde_json::json!({ "method": "approle", "role_id": "file:/r", "secret_id": "s3cr3t" });
        let error = serde_json::from_value::<Login>(pasted).expect_err("refused").to_string();
        assert!(!error.contains("s3cr3t"), "{error}");
    }
}
