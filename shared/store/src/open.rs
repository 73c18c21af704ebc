//! The one door through which a service comes to its rows, by what its operator has written.

use std::{fs, path::Path, sync::Arc};

use mcp_runtime::Shell;
use mcp_secrets::{Keepers, Secret, Secrets, vault::DatabaseCredentials};
use mcp_types::ServiceName;

use crate::{
    Config, Db, DbPlace, EngineName, Keys, Login, Options, Plaintext, PostgresConfig, Server, StoreError,
};

/// Opens the database of `service`, whose folder is `folder`: there, or on the server that `config` names. Tenants' keys
/// are wrapped by the keeper of wrapping keys, and a login that a vault makes is followed for as long as the database is open.
///
/// # Errors
///
/// [`StoreError::Unfit`] where the configuration does not hold, and as [`Db::open`].
pub async fn open(
    config: &Config,
    folder: &Path,
    service: &ServiceName,
    options: Options,
    keepers: &Keepers,
    shell: &Shell,
) -> Result<Db, StoreError> {
    let (clock, entropy) = (Arc::clone(&shell.clock), Arc::clone(&shell.entropy));
    let keys = Keys { clock, entropy, ..Keys::new(Arc::clone(&keepers.wrapping)) };
    let options = Options { keys: Some(keys), ..options };
    let postgres = match (config.engine, &config.postgres) {
        (EngineName::Sqlite, _) => return Db::open(folder, service, options).await,
        (EngineName::Postgres, Some(postgres)) => postgres,
        (EngineName::Postgres, None) => {
            return Err(unfit("postgres", "is missing, and `engine` is \"postgres\""));
        }
    };

    let followed = match &postgres.vault_role {
        Some(role) => Some(credentials(role, keepers).await?),
        None => None,
    };
    let login = match &followed {
        Some(credentials) => made(credentials),
        None => written(postgres, &*keepers.secrets).await?,
    };
    let plaintext = if shell.profile.is_development() { Plaintext::OnLoopback } else { Plaintext::Refused };
    let guard_key = resolve("postgres.guard_key", &postgres.guard_key, &*keepers.secrets).await?;
    let server = Server { config: postgres.clone(), login, guard_key, plaintext };
    let db = Db::open(DbPlace::Server(Box::new(server)), service, options).await?;
    if let Some(credentials) = followed {
        tokio::spawn(follow(db.clone(), credentials, shell.clone()));
    }
    Ok(db)
}

/// The secret that `reference` stands for: `file:/path`, without the line feed that editors leave, or `vault:path` in the
/// service's own keeper of secrets. `key` is where in the configuration it stands.
///
/// # Errors
///
/// [`StoreError::Unfit`], which names the key and never the secret.
pub async fn resolve(
    key: &'static str,
    reference: &str,
    secrets: &dyn Secrets,
) -> Result<Secret, StoreError> {
    match reference.split_once(':') {
        Some(("file", path)) if !path.is_empty() => {
            let text = fs::read(path)
                .map_err(|bad| unfit(key, &format!("names a file that cannot be read: {bad}")))?;
            let text = text.strip_suffix(b"\n").map(<[u8]>::to_vec).unwrap_or(text);
            Ok(Secret::new(text))
        }
        Some(("vault", path)) => {
            let path = path.parse().map_err(|_| unfit(key, "names no path of a secret"))?;
            let found = secrets.get(&path).await;
            let found =
                found.map_err(|source| StoreError::Keys { doing: "read a secret of the store", source })?;
            found.ok_or_else(|| {
                unfit(key, &format!("names {path}, which the keeper of secrets does not have"))
            })
        }
        // The text may be the secret itself, pasted by mistake: do not repeat it.
        _ => Err(unfit(key, "is given by reference, as `file:/path` or `vault:path`")),
    }
}

async fn credentials(role: &str, keepers: &Keepers) -> Result<DatabaseCredentials, StoreError> {
    let vault = keepers.vault.as_ref();
    let vault = vault.ok_or_else(|| unfit("postgres.vault_role", "needs the vault as keeper of secrets"))?;
    let taken = vault.database_credentials(role).await;
    taken.map_err(|source| StoreError::Keys { doing: "take a login for the database", source })
}

fn made(credentials: &DatabaseCredentials) -> Login {
    let current = credentials.watch().borrow().clone();
    Login { password: Secret::new(current.password().as_bytes().to_vec()), user: current.user }
}

async fn written(postgres: &PostgresConfig, secrets: &dyn Secrets) -> Result<Login, StoreError> {
    let (Some(user), Some(password)) = (&postgres.user, &postgres.password) else {
        return Err(unfit("postgres", "needs `user` and `password`, or `vault_role`"));
    };
    let password = resolve("postgres.password", password, secrets).await?;
    Ok(Login { user: user.clone(), password })
}

/// Has new connections made as whoever the service is now.
async fn follow(db: Db, credentials: DatabaseCredentials, shell: Shell) {
    let mut current = credentials.watch();
    loop {
        tokio::select! {
            changed = current.changed() => if changed.is_err() { return },
            () = shell.stop.requested() => return,
        }
        // Marked as seen before it is used, so that none is missed.
        let _seen = current.borrow_and_update().user.clone();
        if let Err(error) = db.set_login(&made(&credentials)) {
            tracing::warn!(error = %error, "the database's new login cannot be used; the old one still is");
        }
    }
}

fn unfit(key: &str, what: &str) -> StoreError {
    StoreError::Unfit { what: format!("`store.{key}` {what}") }
}

#[cfg(test)]
mod tests {
    //! What an operator may write.

    use mcp_runtime::{Cores, Profile, Stop};
    use mcp_types::SystemEntropy;

    use super::*;

    async fn keepers(folder: &Path, shell: &Shell) -> Keepers {
        let service = "context".parse().expect("a name");
        mcp_secrets::open(&mcp_secrets::Config::default(), &service, folder, shell).await.expect("keepers")
    }

    fn shell() -> Shell {
        Shell::new(Cores::start(1).expect("a core"), Stop::default(), Profile::Development)
    }

    async fn refused(config: &str) -> String {
        let home = tempfile::tempdir().expect("a folder");
        let (shell, service) = (shell(), "context".parse().expect("a name"));
        let keepers = keepers(home.path(), &shell).await;
        let config: Config = serde_json::from_str(config).expect("what an operator writes");
        let opened = open(&config, home.path(), &service, Options::default(), &keepers, &shell).await;
        opened.expect_err("refused").to_string()
    }

    #[tokio::test]
    async fn nothing_written_is_files_in_the_services_folder() {
        let home = tempfile::tempdir().expect("a folder");
        let (shell, service) = (shell(), "context".parse().expect("a name"));
        let keepers = keepers(home.path(), &shell).await;

        open(&Config::default(), home.path(), &service, Options::default(), &keepers, &shell)
            .await
            .expect("opens");

        assert!(home.path().join("tenants").exists());
    }

    #[tokio::test]
    async fn a_server_takes_a_section_and_a_login() {
        let words = refused(r#"{"engine": "postgres"}"#).await;
        assert!(words.contains("`store.postgres` is missing"), "{words}");
        let words = refused(
            r#"{"engine": "postgres", "postgres": {"host": "h", "database": "d", "guard_key": "file:/k"}}"#,
        )
        .await;
        assert!(words.contains("`user` and `password`, or `vault_role`"), "{words}");
        let words = refused(
            r#"{"engine": "postgres",
                "postgres": {"host": "h", "database": "d", "guard_key": "file:/k", "vault_role": "r"}}"#,
        )
        .await;
        assert!(words.contains("needs the vault"), "{words}");
    }

    #[tokio::test]
    async fn a_secret_is_found_by_its_reference_and_never_repeated() {
        let home = tempfile::tempdir().expect("a folder");
        let keepers = keepers(home.path(), &shell()).await;
        let path = "store/guard".parse().expect("a path");
        let drawn =
            keepers.secrets.put_if_absent(&path, Secret::draw(32, &SystemEntropy)).await.expect("put");
        let file = home.path().join("key");
        fs::write(&file, "words\n").expect("written");
        let secrets = &*keepers.secrets;

        assert_eq!(resolve("k", "vault:store/guard", secrets).await.expect("found"), drawn);
        let named = format!("file:{}", file.display());
        assert_eq!(resolve("k", &named, secrets).await.expect("found").expose(), b"words");
        for wrong in ["vault:store/none", "hunter2hunter2", "file:/not/there"] {
            let words = resolve("postgres.password", wrong, secrets).await.expect_err("refused").to_string();
            assert!(words.contains("`store.postgres.password`") && !words.contains("hunter2"), "{words}");
        }
    }
}
