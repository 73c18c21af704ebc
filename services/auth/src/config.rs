//! What the operator may turn.

use std::time::Duration;

use mcp_runtime::{Failure, Profile};
use serde::{Deserialize, Serialize};

/// The longest life of an access token that may be configured, in seconds.
const ACCESS_TTL_SECS_MAX: u64 = 600;

/// The longest life of a transaction token that may be configured, in seconds.
///
/// A removed member acts on for this long at most, so it is a promise and no taste.
const TRANSACTION_TTL_SECS_MAX: u64 = 60;

/// The auth service's section of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The `iss` claim of every token; never changed while tokens live.
    pub issuer: String,
    /// The `aud` claim of access tokens, which the edge takes.
    pub access_audience: String,
    /// The `aud` claim of transaction tokens, which the mesh takes; must differ from `access_audience`.
    pub transaction_audience: String,
    /// How long an access token lives, in seconds: 1 to 600.
    pub access_ttl_secs: u64,
    /// How long a transaction token lives, in seconds: 1 to 60.
    pub transaction_ttl_secs: u64,
    /// Whether anybody may sign in by naming a tenant and a user. Only the development profile may turn it on.
    pub local_sign_in: bool,
    /// Who keeps auth's secrets and its tenants' wrapping keys.
    pub secrets: mcp_secrets::Config,
    /// Where auth's rows are.
    pub store: mcp_store::Config,
}

// === impl Config ===

impl Config {
    /// Whether these values may be used under `profile`.
    ///
    /// # Errors
    ///
    /// A configuration failure that names the key and what it may be.
    pub fn check(&self, profile: Profile) -> Result<(), Failure> {
        if self.local_sign_in && !profile.is_development() {
            return Err(Failure::config(format!(
                "`auth.local_sign_in` is on, and the profile is {profile}: anybody could sign in as anybody"
            ))
            .advise("turn it off; only the development profile may have it"));
        }
        for (key, value) in [
            ("issuer", &self.issuer),
            ("access_audience", &self.access_audience),
            ("transaction_audience", &self.transaction_audience),
        ] {
            if value.is_empty() {
                return Err(Failure::config(format!("`auth.{key}` is empty")));
            }
        }
        if self.access_audience == self.transaction_audience {
            return Err(Failure::config(
                "`auth.access_audience` and `auth.transaction_audience` are the same: a token for one side \
                 would be for the other too",
            ));
        }
        within("access_ttl_secs", self.access_ttl_secs, ACCESS_TTL_SECS_MAX)?;
        within("transaction_ttl_secs", self.transaction_ttl_secs, TRANSACTION_TTL_SECS_MAX)
    }

    /// How long an access token lives.
    pub(crate) const fn access_ttl(&self) -> Duration {
        Duration::from_secs(self.access_ttl_secs)
    }

    /// How long a transaction token lives.
    pub(crate) const fn transaction_ttl(&self) -> Duration {
        Duration::from_secs(self.transaction_ttl_secs)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            issuer: "https://mcp.local".to_owned(),
            access_audience: "mcp".to_owned(),
            transaction_audience: "mcp.mesh".to_owned(),
            access_ttl_secs: ACCESS_TTL_SECS_MAX,
            transaction_ttl_secs: TRANSACTION_TTL_SECS_MAX,
            local_sign_in: false,
            secrets: mcp_secrets::Config::default(),
            store: mcp_store::Config::default(),
        }
    }
}

fn within(key: &str, value: u64, max: u64) -> Result<(), Failure> {
    if (1..=max).contains(&value) {
        return Ok(());
    }
    Err(Failure::config(format!("`auth.{key}` is {value}, and may be 1 to {max}")))
}

#[cfg(test)]
mod tests {
    //! What may be configured.

    use super::*;

    fn refused(change: impl FnOnce(&mut Config), profile: Profile) -> String {
        let mut config = Config::default();
        change(&mut config);
        config.check(profile).expect_err("refused").to_string()
    }

    #[test]
    fn who_configures_nothing_gets_what_production_takes() {
        Config::default().check(Profile::Production).expect("holds");
    }

    #[test]
    fn only_the_development_profile_may_sign_anybody_in() {
        let local = Config { local_sign_in: true, ..Config::default() };

        local.check(Profile::Development).expect("holds");
        for profile in [Profile::Staging, Profile::Production] {
            let words = refused(|config| config.local_sign_in = true, profile);
            assert!(words.contains("auth.local_sign_in"), "{words}");
        }
    }

    #[test]
    fn a_transaction_token_lives_a_minute_at_most() {
        for secs in [0, 61, u64::MAX] {
            let words = refused(|config| config.transaction_ttl_secs = secs, Profile::Development);
            assert!(words.contains("auth.transaction_ttl_secs"), "{words}");
        }
    }

    #[test]
    fn an_access_token_lives_ten_minutes_at_most() {
        for secs in [0, 601] {
            let words = refused(|config| config.access_ttl_secs = secs, Profile::Development);
            assert!(words.contains("auth.access_ttl_secs"), "{words}");
        }
    }

    #[test]
    fn the_two_audiences_differ() {
        let same = |config: &mut Config| config.access_audience = config.transaction_audience.clone();

        assert!(refused(same, Profile::Development).contains("are the same"));
        assert!(refused(|config| config.issuer.clear(), Profile::Development).contains("auth.issuer"));
    }
}
