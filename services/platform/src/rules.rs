//! What no profile but development may have: all of it found at once, so that nobody has to start again for each.

use mcp_runtime::Failure;
use mcp_secrets::Keeper;
use mcp_store::EngineName;

use crate::{cli::ServiceChoice, config::PlatformConfig};

/// Refuses what is relaxed in the configuration of `services`, naming every key, unless the profile is development.
///
/// # Errors
///
/// Where anything is relaxed.
pub(crate) fn check(config: &PlatformConfig, services: &[ServiceChoice]) -> Result<(), Failure> {
    if config.profile.is_development() {
        return Ok(());
    }
    let relaxed: Vec<_> = services.iter().flat_map(|service| relaxed(config, *service)).collect();
    if relaxed.is_empty() {
        return Ok(());
    }
    Err(Failure::config(format!("the profile is {}, and the configuration is relaxed: {}", config.profile, relaxed.join("; ")))
        .advise("set each of these keys, or let the profile be development; deploy/dev/production-like.toml is a whole example"))
}

fn relaxed(config: &PlatformConfig, service: ServiceChoice) -> Vec<String> {
    let mut found = Vec::new();
    let (name, of_service) = (
        service.name(),
        match service {
            ServiceChoice::Ca => Some((&config.ca.secrets, &config.ca.store)),
            ServiceChoice::Auth => Some((&config.auth.secrets, &config.auth.store)),
            ServiceChoice::Context => Some((&config.context.secrets, &config.context.store)),
            ServiceChoice::Summarization | ServiceChoice::Gateway => None,
        },
    );
    if let Some((secrets, store)) = of_service {
        if secrets.keeper == Keeper::Sealed {
            found.push(format!("`{name}.secrets.keeper` is \"sealed\", and must be \"vault\""));
        }
        if store.engine == EngineName::Sqlite {
            found.push(format!("`{name}.store.engine` is \"sqlite\", and must be \"postgres\""));
        }
        if store.postgres.as_ref().is_some_and(|postgres| postgres.ca.is_none()) {
            found.push(format!("`{name}.store.postgres.ca` is not set, so the server could be anybody"));
        }
    }
    if service == ServiceChoice::Auth && config.auth.local_sign_in {
        found.push("`auth.local_sign_in` is on, so anybody could sign in as anybody".to_owned());
    }
    if service == ServiceChoice::Gateway
        && config.gateway.certificate == mcp_gateway::CertificateFiles::default()
    {
        found.push(
            "`gateway.certificate` is not set, and a certificate of a local authority is for development"
                .to_owned(),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    //! What is found.

    use mcp_runtime::Profile;

    use super::*;

    #[test]
    fn production_hears_of_everything_at_once() {
        let config = PlatformConfig { profile: Profile::Production, ..PlatformConfig::of_up() };

        let words = check(&config, &ServiceChoice::ALL).expect_err("refused").to_string();

        for key in [
            "ca.secrets.keeper",
            "auth.store.engine",
            "context.secrets.keeper",
            "auth.local_sign_in",
            "gateway.certificate",
        ] {
            assert!(words.contains(key), "{key}: {words}");
        }
        assert!(check(&PlatformConfig::of_up(), &ServiceChoice::ALL).is_ok());
    }

    #[test]
    fn a_service_hears_of_its_own() {
        let config = PlatformConfig { profile: Profile::Production, ..PlatformConfig::default() };

        assert!(check(&config, &[ServiceChoice::Summarization]).is_ok());
        let words = check(&config, &[ServiceChoice::Auth]).expect_err("refused").to_string();
        assert!(!words.contains("context."), "{words}");
    }
}
