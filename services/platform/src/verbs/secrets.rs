//! `mcp secrets`: the ways back, and the change of a master key. Works on the disk of a service that stands still.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use mcp_runtime::{Failure, Profile};
use mcp_secrets::{
    Config, Escrow, EscrowIdentity, Keeper, Sealed, SealedStore, SealedWrapping, SecretsError,
};
use mcp_types::{Entropy, SystemEntropy};
use serde_json::json;

use super::block_on;
use crate::{
    cli::{
        Format,
        secrets::{
            ChangeMasterArgs, EscrowExportArgs, EscrowImportArgs, SealedService, SecretsVerb, ServiceArgs,
        },
    },
    config::PlatformConfig,
    output,
};

/// A service's sealed store, at rest.
struct Resting {
    folder: PathBuf,
    sealed: Sealed,
    profile: Profile,
    entropy: Arc<dyn Entropy>,
}

/// Does what `verb` says.
pub(crate) fn secrets(verb: &SecretsVerb, format: Format) -> Result<(), Failure> {
    let (text, value) = match verb {
        SecretsVerb::Accept(args) => accept(args)?,
        SecretsVerb::ChangeMaster(args) => change_master(args)?,
        SecretsVerb::RotateSigningKeys(args) => block_on(super::signing::rotate(args))?,
        SecretsVerb::EscrowIdentity { out } => escrow_identity(out)?,
        SecretsVerb::EscrowExport(args) => block_on(escrow_export(args))?,
        SecretsVerb::EscrowImport(args) => block_on(escrow_import(args))?,
    };
    match format {
        Format::Json => output::json(&value),
        Format::Text | Format::Markdown => output::line(text),
    }
    Ok(())
}

pub(super) type Said = (String, serde_json::Value);

fn accept(args: &ServiceArgs) -> Result<Said, Failure> {
    let resting = Resting::of(args)?;
    let master = resting.sealed.master(&resting.folder).map_err(failed)?;
    let count = SealedStore::accept(&resting.store(), &master, resting.profile, &*resting.entropy);
    let count = count.map_err(failed)?;
    Ok((format!("accepted {count} secrets as the newest there are"), json!({ "secrets": count })))
}

fn change_master(args: &ChangeMasterArgs) -> Result<Said, Failure> {
    let resting = Resting::of(&args.of)?;
    let old = resting.sealed.master(&resting.folder).map_err(failed)?;
    let new = Sealed {
        master_key: args.key.clone(),
        passphrase_file: args.passphrase_file.clone(),
        passphrase_header: args.passphrase_header.clone(),
        ..Sealed::default()
    };
    let new = new.master(&resting.folder).map_err(failed)?;
    let changed = SealedStore::change_master(&resting.store(), &old, &new, resting.profile, &resting.entropy);
    let count = changed.map_err(failed)?;
    let text = format!("sealed {count} secrets anew; the configuration must name the new key from now on");
    Ok((text, json!({ "secrets": count })))
}

fn escrow_identity(out: &Path) -> Result<Said, Failure> {
    let recipient = EscrowIdentity::draw(out).map_err(failed)?.recipient();
    Ok((recipient.clone(), json!({ "recipient": recipient })))
}

async fn escrow_export(args: &EscrowExportArgs) -> Result<Said, Failure> {
    let resting = Resting::of(&args.of)?;
    let escrow = resting.escrow(args.folder.as_deref(), args.recipient.as_deref())?;
    let escrowed = resting.wrapping()?.export(&escrow).await.map_err(failed)?;
    let text = format!("wrote {} keys, removed {}", escrowed.written, escrowed.removed);
    Ok((text, json!({ "written": escrowed.written, "removed": escrowed.removed })))
}

async fn escrow_import(args: &EscrowImportArgs) -> Result<Said, Failure> {
    let resting = Resting::of(&args.of)?;
    let identity = EscrowIdentity::load(&args.identity).map_err(failed)?;
    let escrow = resting.escrow(args.folder.as_deref(), Some(&identity.recipient()))?;
    let taken = resting.wrapping()?.import(&escrow, &identity).await.map_err(failed)?;
    Ok((format!("took back {taken} keys"), json!({ "taken": taken })))
}

/// The configuration that a service runs with, and its folder.
pub(super) fn place(
    service: &str,
    config: Option<&Path>,
    data_dir: Option<&Path>,
) -> Result<(PlatformConfig, PathBuf), Failure> {
    match (config, data_dir) {
        (Some(file), None) => {
            let config = PlatformConfig::load_for_serve(Some(file))?;
            let folder = config.mesh.state_dir.clone();
            Ok((config, folder))
        }
        (file, data_dir) => {
            let data_dir = data_dir.unwrap_or(Path::new(".mcp"));
            Ok((PlatformConfig::load_for_up(file)?, data_dir.join(service)))
        }
    }
}

// === impl Resting ===

impl Resting {
    fn of(args: &ServiceArgs) -> Result<Self, Failure> {
        let ServiceArgs { service, data_dir, config } = args;
        let (config, folder) = place(service.name(), config.as_deref(), data_dir.as_deref())?;
        let Config { keeper, sealed, .. } = match args.service {
            SealedService::Ca => config.ca.secrets,
            SealedService::Auth => config.auth.secrets,
            SealedService::Context => config.context.secrets,
        };
        if keeper == Keeper::Vault {
            return Err(Failure::config("the service's secrets are in a vault, not in a sealed store")
                .advise("see deploy/vault/README.md for its ways back"));
        }
        if !folder.is_dir() {
            return Err(Failure::input(format!("there is no folder {}", folder.display())).advise(
                "`--data-dir` names the folder of a platform, `--config` the configuration of a service",
            ));
        }
        Ok(Self { folder, sealed, profile: config.profile, entropy: Arc::new(SystemEntropy) })
    }

    fn store(&self) -> PathBuf {
        self.folder.join("secrets")
    }

    fn wrapping(&self) -> Result<SealedWrapping, Failure> {
        let master = self.sealed.master(&self.folder).map_err(failed)?;
        let entropy = Arc::clone(&self.entropy);
        let store = SealedStore::open(&self.store(), &master, self.profile, Arc::clone(&entropy));
        store.map(|store| SealedWrapping::new(store, entropy)).map_err(failed)
    }

    /// The escrow that is named, or else the one that is configured.
    fn escrow(&self, folder: Option<&Path>, recipient: Option<&str>) -> Result<Escrow, Failure> {
        let configured = self.sealed.escrow.as_ref();
        let folder = folder.or(configured.map(|it| it.folder.as_path()));
        let recipient = recipient.or(configured.map(|it| it.recipient.as_str()));
        let (Some(folder), Some(recipient)) = (folder, recipient) else {
            return Err(Failure::usage("no escrow is configured, and none is named").advise(
                "name it with `--folder` and `--recipient`, or in `[<service>.secrets.sealed.escrow]`",
            ));
        };
        Escrow::open(folder, recipient, Arc::clone(&self.entropy)).map_err(failed)
    }
}

// === impl SealedService ===

impl SealedService {
    const fn name(self) -> &'static str {
        match self {
            Self::Ca => "ca",
            Self::Auth => "auth",
            Self::Context => "context",
        }
    }
}

fn failed(source: SecretsError) -> Failure {
    match source {
        SecretsError::Locked { .. } => Failure::temporary("the secrets are in use")
            .because(source)
            .advise("stop the platform, or the service, first"),
        _ => Failure::config_because("cannot use the secrets", source),
    }
}

#[cfg(test)]
mod tests {
    //! The ways back, as an operator goes them.

    use std::fs;

    use clap::Parser as _;
    use mcp_secrets::{Master, Secret, SecretPath, Secrets as _, Wrapping as _};
    use mcp_types::TenantSlug;

    use super::*;
    use crate::cli::{Cli, Verb};

    /// The folder of a platform whose context service has a secret and a tenant.
    struct Platform {
        home: tempfile::TempDir,
    }

    impl Platform {
        async fn new() -> Self {
            let platform = Self { home: tempfile::tempdir().expect("a folder") };
            let store = platform.open("master.key").expect("opens");
            store.put(&path(), Secret::new(b"kept".to_vec())).await.expect("put");
            let wrapping = SealedWrapping::new(store, Arc::new(SystemEntropy));
            wrapping.create(&acme()).await.expect("made");
            platform
        }

        fn place(&self, name: &str) -> PathBuf {
            self.home.path().join("context").join(name)
        }

        fn open(&self, key: &str) -> Result<SealedStore, SecretsError> {
            let (master, entropy) = (Master::file(&self.place(key)), Arc::new(SystemEntropy));
            SealedStore::open(&self.place("secrets"), &master, Profile::Development, entropy)
        }

        fn run(&self, words: &[&str]) -> Result<(), Failure> {
            let folder = self.home.path().display().to_string();
            let line = ["mcp", "secrets", words[0], "--service", "context", "--data-dir", &folder];
            let cli = Cli::try_parse_from(line.iter().chain(&words[1..])).expect("a command");
            let Verb::Secrets(verb) = cli.verb else { panic!("another verb") };
            // The verbs have a runtime of their own, and a test has one already.
            std::thread::scope(|scope| scope.spawn(|| secrets(&verb, Format::Json)).join()).expect("no panic")
        }
    }

    fn path() -> SecretPath {
        "a".parse().expect("a path")
    }

    fn acme() -> TenantSlug {
        "acme".parse().expect("a tenant")
    }

    #[tokio::test]
    async fn a_lost_mark_is_accepted() {
        let platform = Platform::new().await;
        fs::remove_file(platform.place("master.key.mark")).expect("removed");
        assert!(matches!(platform.open("master.key"), Err(SecretsError::MarkMissing { .. })));

        platform.run(&["accept"]).expect("accepted");

        let store = platform.open("master.key").expect("opens");
        assert_eq!(store.get(&path()).await.expect("get"), Some(Secret::new(b"kept".to_vec())));
    }

    #[tokio::test]
    async fn a_master_key_is_changed_while_nobody_uses_it() {
        let platform = Platform::new().await;
        let key = platform.place("master-2.key").display().to_string();
        let change = ["change-master", "--key", &key];
        let running = platform.open("master.key").expect("opens");
        assert_eq!(platform.run(&change).expect_err("in use").exit_code(), 75);
        drop(running);

        platform.run(&change).expect("changed");

        assert!(matches!(platform.open("master.key"), Err(SecretsError::WrongMasterKey { .. })));
        let store = platform.open("master-2.key").expect("opens");
        assert_eq!(store.get(&path()).await.expect("get"), Some(Secret::new(b"kept".to_vec())));
    }

    #[tokio::test]
    async fn wrapping_keys_come_back_from_escrow() {
        let platform = Platform::new().await;
        let escrow = platform.home.path().join("escrow").display().to_string();
        let identity = platform.home.path().join("identity").display().to_string();
        let holder = EscrowIdentity::draw(Path::new(&identity)).expect("an identity");
        let export = ["escrow-export", "--folder", &escrow, "--recipient", &holder.recipient()];
        platform.run(&export).expect("written");

        fs::remove_dir_all(platform.home.path().join("context")).expect("lost");
        fs::create_dir(platform.home.path().join("context")).expect("made");
        platform.run(&["escrow-import", "--folder", &escrow, "--identity", &identity]).expect("taken back");

        let wrapping =
            SealedWrapping::new(platform.open("master.key").expect("opens"), Arc::new(SystemEntropy));
        assert!(wrapping.destroy(&acme()).await.expect("it was there"));
    }

    #[test]
    fn an_identity_is_not_written_over() {
        let home = tempfile::tempdir().expect("a folder");
        let file = home.path().join("identity");
        let verb = SecretsVerb::EscrowIdentity { out: file.clone() };
        secrets(&verb, Format::Text).expect("made");
        let first = fs::read(&file).expect("readable");
        secrets(&verb, Format::Text).expect_err("there already");
        assert_eq!(fs::read(&file).expect("readable"), first);
    }

    #[tokio::test]
    async fn what_is_not_there_is_told() {
        let platform = Platform::new().await;
        assert_eq!(platform.run(&["escrow-export"]).expect_err("no escrow").exit_code(), 64);
        fs::remove_dir_all(platform.home.path().join("context")).expect("removed");
        assert_eq!(platform.run(&["accept"]).expect_err("no folder").exit_code(), 65);
        assert!(!platform.home.path().join("context").exists());
    }
}
