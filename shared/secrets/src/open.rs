//! The one door through which a service comes to its secrets.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use mcp_runtime::Shell;
use mcp_types::ServiceName;

use crate::{
    Config, Escrow, Keeper, Master, SealedStore, SealedWrapping, Secret, Secrets, SecretsError, Wrapping,
    config::Sealed,
    sealed::read_passphrase,
    signing::{LocalKeys, SigningKeys},
    vault::Vault,
};

/// What keeps a service's secrets and its tenants' wrapping keys.
#[derive(Clone, Debug)]
pub struct Keepers {
    /// Keeps secrets.
    pub secrets: Arc<dyn Secrets>,
    /// Keeps wrapping keys.
    pub wrapping: Arc<dyn Wrapping>,
    /// The vault behind both, where there is one: for its health, its signing keys and its database users.
    pub vault: Option<Vault>,
}

// === impl Keepers ===

impl Keepers {
    /// Where signing keys are made and used: in the vault, which they never leave, where there is one.
    pub fn signing_keys(&self) -> Arc<dyn SigningKeys> {
        match &self.vault {
            Some(vault) => Arc::new(vault.signing_keys()),
            None => Arc::new(LocalKeys),
        }
    }
}

/// Opens the keepers of `service`, whose folder is `folder`.
///
/// # Errors
///
/// Where the configuration does not hold or does not fit the profile, or the keeper cannot be used.
pub async fn open(
    config: &Config,
    service: &ServiceName,
    folder: &Path,
    shell: &Shell,
) -> Result<Keepers, SecretsError> {
    match config.keeper {
        Keeper::Sealed => open_sealed(&config.sealed, folder, shell),
        Keeper::Vault => {
            let vault = config.vault.as_ref().ok_or_else(|| SecretsError::Config {
                key: "vault",
                what: "is missing, and `keeper` is \"vault\"".to_owned(),
            })?;
            let (clock, entropy) = (Arc::clone(&shell.clock), Arc::clone(&shell.entropy));
            let vault = Vault::open(vault, service, clock, entropy).await?;
            let (secrets, wrapping) = (Arc::new(vault.clone()), Arc::new(vault.clone()));
            Ok(Keepers { secrets, wrapping, vault: Some(vault) })
        }
    }
}

fn open_sealed(config: &Sealed, folder: &Path, shell: &Shell) -> Result<Keepers, SecretsError> {
    let (store_folder, entropy) = (folder.join("secrets"), &shell.entropy);
    let master = master(config, folder)?;
    let store = SealedStore::open(&store_folder, &master, shell.profile, Arc::clone(entropy))?;
    let mut wrapping = SealedWrapping::new(store.clone(), Arc::clone(entropy));
    if let Some(escrow) = &config.escrow {
        wrapping =
            wrapping.with_escrow(Escrow::open(&escrow.folder, &escrow.recipient, Arc::clone(entropy))?);
    }
    Ok(Keepers { secrets: Arc::new(store), wrapping: Arc::new(wrapping), vault: None })
}

impl Sealed {
    /// The master key of a service whose folder is `folder`.
    ///
    /// # Errors
    ///
    /// Where more than one key is named, or the one that is named cannot be found.
    pub fn master(&self, folder: &Path) -> Result<Master, SecretsError> {
        master(self, folder)
    }
}

fn master(config: &Sealed, folder: &Path) -> Result<Master, SecretsError> {
    let bad = |key, what: &str| Err(SecretsError::Config { key, what: what.to_owned() });
    let Sealed { master_key, master_key_env, passphrase_file, passphrase_header, mark, escrow: _ } = config;
    let master = match (master_key, master_key_env, passphrase_file) {
        (None, None, None) if passphrase_header.is_some() => {
            return bad("sealed.passphrase_header", "is set, and `sealed.passphrase_file` is not");
        }
        (None, None, None) => Master::file(&folder.join("master.key")),
        (Some(file), None, None) => Master::file(file),
        (None, Some(variable), None) => Master::file(&named_by(variable)?),
        (None, None, Some(file)) => {
            let default = folder.join("passphrase.header");
            Master::passphrase(passphrase(file)?, passphrase_header.as_ref().unwrap_or(&default))
        }
        _ => {
            return bad(
                "sealed",
                "names more than one of `master_key`, `master_key_env` and `passphrase_file`",
            );
        }
    };
    Ok(match mark {
        Some(mark) => master.marked_in(mark),
        None => master,
    })
}

fn named_by(variable: &str) -> Result<PathBuf, SecretsError> {
    match std::env::var_os(variable) {
        Some(path) if !path.is_empty() => Ok(path.into()),
        _ => Err(SecretsError::Config {
            key: "sealed.master_key_env",
            what: format!("names the environment variable `{variable}`, which is not set"),
        }),
    }
}

fn passphrase(file: &Path) -> Result<Secret, SecretsError> {
    read_passphrase(file)?.ok_or_else(|| SecretsError::Config {
        key: "sealed.passphrase_file",
        what: format!("names {}, which is not there", file.display()),
    })
}

#[cfg(test)]
mod tests {
    //! What is opened, by what is written.

    use std::{fs, os::unix::fs::PermissionsExt as _};

    use mcp_runtime::{Cores, Profile, Stop};

    use super::*;

    fn shell(profile: Profile) -> Shell {
        Shell::new(Cores::start(1).expect("a core"), Stop::default(), profile)
    }

    async fn opened(config: &str, folder: &Path, profile: Profile) -> Result<Keepers, SecretsError> {
        let config: Config = toml::from_str(config).expect("what an operator writes");
        open(&config, &"context".parse().expect("a name"), folder, &shell(profile)).await
    }

    async fn works(keepers: &Keepers) {
        let (path, acme) = ("a".parse().expect("a path"), "acme".parse().expect("a tenant"));
        keepers.secrets.put(&path, Secret::new(b"x".to_vec())).await.expect("put");
        keepers.wrapping.create(&acme).await.expect("made");
    }

    #[tokio::test]
    async fn nothing_written_is_a_sealed_store_in_the_services_folder() {
        let home = tempfile::tempdir().expect("a folder");
        works(&opened("", home.path(), Profile::Development).await.expect("opens")).await;
        for name in ["master.key", "master.key.mark", "secrets/index"] {
            assert!(home.path().join(name).exists(), "{name}");
        }
    }

    #[tokio::test]
    async fn other_profiles_need_a_vault() {
        for profile in [Profile::Staging, Profile::Production] {
            let home = tempfile::tempdir().expect("a folder");
            let refusal = opened("", home.path(), profile).await.expect_err("refused");
            assert!(matches!(refusal, SecretsError::NotForProfile { .. }), "{refusal:?}");
            let refusal = opened("keeper = \"vault\"", home.path(), profile).await.expect_err("no section");
            assert!(refusal.to_string().contains("`vault` is missing"), "{refusal}");
            assert_eq!(fs::read_dir(home.path()).expect("readable").count(), 0);
        }
    }

    #[tokio::test]
    async fn a_passphrase_will_do_and_others_must_not_read_it() {
        let home = tempfile::tempdir().expect("a folder");
        let file = home.path().join("words");
        let config = format!("sealed.passphrase_file = {:?}", file.display().to_string());
        let refusal = opened(&config, home.path(), Profile::Development).await.expect_err("no file");
        assert!(refusal.to_string().contains("is not there"), "{refusal}");
        fs::write(&file, "correct horse battery\n").expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("set");
        let refusal = opened(&config, home.path(), Profile::Development).await.expect_err("exposed");
        assert!(matches!(refusal, SecretsError::Exposed { .. }), "{refusal:?}");

        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
        works(&opened(&config, home.path(), Profile::Development).await.expect("opens")).await;
        // The line feed that an editor leaves is no part of it.
        fs::write(&file, "correct horse battery").expect("written");
        works(&opened(&config, home.path(), Profile::Development).await.expect("opens")).await;
        assert!(home.path().join("passphrase.header").exists() && !home.path().join("master.key").exists());
    }

    #[tokio::test]
    async fn a_variable_can_name_the_keys_file_and_only_one_key_counts() {
        let home = tempfile::tempdir().expect("a folder");
        // Whatever the variable says, the file is looked for there: one that is set in every test run.
        let named = named_by("CARGO_MANIFEST_DIR").expect("set");
        assert_eq!(named.as_os_str(), env!("CARGO_MANIFEST_DIR"));
        let unset = "sealed.master_key_env = \"MCP_TEST_NOT_SET\"";
        let refusal = opened(unset, home.path(), Profile::Development).await.expect_err("unset");
        assert!(refusal.to_string().contains("MCP_TEST_NOT_SET"), "{refusal}");
        for both in [
            "sealed.master_key = \"/k\"\nsealed.passphrase_file = \"/p\"",
            "sealed.master_key = \"/k\"\nsealed.master_key_env = \"K\"",
            "sealed.passphrase_header = \"/h\"",
        ] {
            let refusal = opened(both, home.path(), Profile::Development).await.expect_err("two");
            assert!(matches!(refusal, SecretsError::Config { .. }), "{refusal:?}");
        }
    }
}
