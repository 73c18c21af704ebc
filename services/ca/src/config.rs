//! What the operator may turn.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use mcp_pki::Profile;
use mcp_runtime::Failure;
use mcp_types::ServiceName;
use serde::{Deserialize, Serialize};

const DAY_SECONDS: u64 = 86_400;

/// The ca's section of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long a service's certificate lives, in seconds: 1 to 604800. Services renew at two thirds of it.
    pub leaf_ttl_seconds: u64,
    /// How long an operator's certificate lives, in seconds: 1 to 86400.
    pub operator_ttl_seconds: u64,
    /// How long a join token may wait to be used where its maker does not say, in seconds: 1 to 86400.
    pub join_token_ttl_seconds: u64,
    /// How long certificates and join tokens stay on record after their end, in days: 1 to 3650.
    pub records_kept_days: u64,
    /// DNS names and addresses that services' certificates carry beside the service's own name, for clients that know
    /// no SPIFFE IDs.
    pub leaf_names: Vec<String>,
    /// Where the trust bundle is written as PEM, if anywhere.
    pub trust_bundle_file: Option<PathBuf>,
    /// Join tokens that are made at each start.
    pub initial_join_tokens: Option<InitialJoinTokens>,
    /// An operator's certificate that is made at each start, and renewed.
    pub operator: Option<OperatorFiles>,
    /// Who keeps the ca's secrets.
    pub secrets: mcp_secrets::Config,
    /// Where the ca's rows are.
    pub store: mcp_store::Config,
}

/// Join tokens that are made at each start, one file a service, for its owner alone.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InitialJoinTokens {
    /// Holds a file for each service, named as the service is.
    pub folder: PathBuf,
    /// Which services.
    pub services: Vec<String>,
}

/// An operator's certificate that is kept in files: `cert.pem`, `key.pem` and, to know the mesh by, `ca.pem`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorFiles {
    /// Holds the files, for its owner alone.
    pub folder: PathBuf,
    /// The operator's name, as in `spiffe://<trust domain>/operator/<name>`.
    pub name: String,
}

// === impl Config ===

impl Config {
    /// Whether these values can be used.
    ///
    /// # Errors
    ///
    /// A configuration failure that names the key and what it may be.
    pub fn check(&self) -> Result<(), Failure> {
        within("leaf_ttl_seconds", self.leaf_ttl_seconds, 7 * DAY_SECONDS)?;
        within("operator_ttl_seconds", self.operator_ttl_seconds, DAY_SECONDS)?;
        within("join_token_ttl_seconds", self.join_token_ttl_seconds, DAY_SECONDS)?;
        within("records_kept_days", self.records_kept_days, 3650)?;
        match self.leaf_names.iter().find(|name| name.parse::<IpAddr>().is_err() && !is_dns_name(name)) {
            Some(name) => Err(Failure::config(format!(
                "`ca.leaf_names` holds `{name}`, which is neither an address nor a lower-case DNS name"
            ))),
            None => Ok(()),
        }?;
        self.initial_services().map(drop)
    }

    /// The services that get a join token at each start.
    pub(crate) fn initial_services(&self) -> Result<Vec<ServiceName>, Failure> {
        let services = self.initial_join_tokens.iter().flat_map(|tokens| &tokens.services);
        services
            .map(|name| {
                name.parse().map_err(|source| {
                    Failure::config_because(
                        format!("`ca.initial_join_tokens.services` holds `{name}`"),
                        source,
                    )
                })
            })
            .collect()
    }

    /// What a service's certificate is like.
    pub(crate) fn service_profile(&self) -> Profile {
        let addresses: Vec<IpAddr> = self.leaf_names.iter().filter_map(|name| name.parse().ok()).collect();
        let dns_names = self.leaf_names.iter().filter(|name| name.parse::<IpAddr>().is_err());
        Profile {
            validity: Duration::from_secs(self.leaf_ttl_seconds),
            dns_names: dns_names.cloned().collect(),
            ip_addresses: addresses,
            ..Profile::default()
        }
    }

    /// How long an operator's certificate lives.
    pub(crate) const fn operator_ttl(&self) -> Duration {
        Duration::from_secs(self.operator_ttl_seconds)
    }

    /// How long a join token waits where its maker does not say.
    pub(crate) const fn join_token_ttl(&self) -> Duration {
        Duration::from_secs(self.join_token_ttl_seconds)
    }

    /// How long a record is kept after the end of what it tells of.
    pub(crate) const fn records_kept(&self) -> Duration {
        Duration::from_secs(self.records_kept_days * DAY_SECONDS)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            leaf_ttl_seconds: DAY_SECONDS,
            operator_ttl_seconds: 3600,
            join_token_ttl_seconds: 600,
            records_kept_days: 90,
            leaf_names: ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into(),
            trust_bundle_file: None,
            initial_join_tokens: None,
            operator: None,
            secrets: mcp_secrets::Config::default(),
            store: mcp_store::Config::default(),
        }
    }
}

fn within(key: &str, value: u64, most: u64) -> Result<(), Failure> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(Failure::config(format!("`ca.{key}` is {value}; it may be 1 to {most}")))
}

/// Letters, digits and hyphens between dots (RFC 1123, section 2.1).
fn is_dns_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    //! What may be configured.

    use super::*;

    #[test]
    fn the_defaults_hold() {
        assert!(Config::default().check().is_ok());
        let profile = Config::default().service_profile();
        assert_eq!(profile, Profile::default());
    }

    #[test]
    fn a_life_has_bounds() {
        for (seconds, holds) in [(0, false), (1, true), (604_800, true), (604_801, false)] {
            let config = Config { leaf_ttl_seconds: seconds, ..Config::default() };
            assert_eq!(config.check().is_ok(), holds, "{seconds}");
        }
    }

    #[test]
    fn a_name_that_no_certificate_can_carry_is_refused() {
        for (name, holds) in [
            ("auth.mesh.svc", true),
            ("10.0.0.7", true),
            ("::1", true),
            ("", false),
            ("Auth", false),
            ("-a", false),
            ("a..b", false),
            ("ä", false),
            ("*.mesh", false),
        ] {
            let config = Config { leaf_names: vec![name.to_owned()], ..Config::default() };
            assert_eq!(config.check().is_ok(), holds, "{name}");
        }
    }

    #[test]
    fn a_join_token_is_for_a_service() {
        let tokens = InitialJoinTokens { folder: "join".into(), services: vec!["../ca".into()] };
        let config = Config { initial_join_tokens: Some(tokens), ..Config::default() };

        let refused = config.check().expect_err("no service");

        assert_eq!(refused.to_string(), "`ca.initial_join_tokens.services` holds `../ca`");
    }
}
