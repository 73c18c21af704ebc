//! The change of signing keys by command.

use std::{path::Path, sync::Arc};

use mcp_runtime::{Failure, Shell};
use mcp_secrets::{SecretsError, signing::Urgency};
use mcp_types::ServiceName;

use crate::{config::Config, keys::SigningKeys};

/// Makes new signing keys now, whatever the schedule says; `folder` is auth's own.
///
/// Where the keys are in a vault, running instances take them over within half a minute. A sealed store is open to one
/// process only: there the service must stand still, and has the new keys when it starts.
///
/// # Errors
///
/// Where the keeper cannot be used: a temporary failure where auth runs on a sealed store.
pub async fn rotate_signing_keys(
    config: &Config,
    folder: &Path,
    urgency: Urgency,
    shell: &Shell,
) -> Result<(), Failure> {
    let service: ServiceName =
        "auth".parse().map_err(|bad| Failure::software("auth has no name of its own").because(bad))?;
    let keepers =
        mcp_secrets::open(&config.secrets, &service, folder, shell).await.map_err(|source| match source {
            SecretsError::Locked { .. } => Failure::temporary("auth's secrets are in use")
                .because(source)
                .advise("stop the platform, or auth, first; only keys in a vault change while it runs"),
            _ => Failure::config_because("cannot open auth's secrets", source),
        })?;
    let (secrets, makes) = (Arc::clone(&keepers.secrets), keepers.signing_keys());
    let unusable = |source| Failure::unavailable("the signing keys stay as they are").because(source);
    let keys = SigningKeys::open(secrets, makes, config, Arc::clone(&shell.clock)).await.map_err(unusable)?;
    let outcome = keys.rotate(urgency).await.map_err(unusable);
    if let Some(vault) = &keepers.vault {
        vault.close().await;
    }
    outcome
}

#[cfg(test)]
mod tests {
    //! Keys before and after the command.

    use mcp_runtime::{Cores, Profile, Stop};
    use mcp_tenancy::TokenKind;
    use serde_json::Value;

    use super::*;
    use crate::fixture::Home;

    fn shell() -> Shell {
        Shell::new(Cores::start(1).expect("a core"), Stop::default(), Profile::Development)
    }

    /// What a service publishes that starts now and ends at once: a sealed store is open to one only.
    async fn published(home: &Home, shell: &Shell) -> Vec<Value> {
        let (config, auth) = (Config::default(), "auth".parse().expect("a name"));
        let keepers = mcp_secrets::open(&config.secrets, &auth, home.path(), shell).await.expect("opens");
        let (makes, clock) = (keepers.signing_keys(), Arc::clone(&shell.clock));
        let keys = SigningKeys::open(keepers.secrets, makes, &config, clock).await.expect("keys");
        let set: Value = serde_json::from_str(&keys.jwks(TokenKind::Access)).expect("json");
        set["keys"].as_array().expect("keys").clone()
    }

    #[tokio::test]
    async fn planned_the_next_key_is_published_and_compromised_only_the_new_one() {
        let (home, shell) = (Home::new(), shell());
        let config = Config::default();
        let before = published(&home, &shell).await;

        rotate_signing_keys(&config, home.path(), Urgency::Planned, &shell).await.expect("rotated");
        let planned = published(&home, &shell).await;
        assert_eq!((planned.len(), &planned[0]), (2, &before[0]));

        rotate_signing_keys(&config, home.path(), Urgency::Compromised, &shell).await.expect("rotated");
        let after = published(&home, &shell).await;
        assert_eq!(after.len(), 1);
        assert!(!planned.contains(&after[0]), "{after:?}");
    }

    #[tokio::test]
    async fn keys_in_a_sealed_store_do_not_change_while_the_service_runs() {
        let (home, shell) = (Home::new(), shell());
        let held = home.secrets();

        let refused = rotate_signing_keys(&Config::default(), home.path(), Urgency::Planned, &shell).await;

        let failure = refused.expect_err("refused");
        assert_eq!(failure.exit_code(), 75, "{failure}");
        drop(held);
    }
}
