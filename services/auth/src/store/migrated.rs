//! Auth's tables on a PostgreSQL server, as their owner makes them, and the login that the service gets.

use std::{
    fs,
    path::{Path, PathBuf},
};

use mcp_secrets::Secret;
use mcp_store::{Config, EngineName, Login, Options, Plaintext, PostgresConfig, Server, migrate_postgres};
use mcp_testkit::{PostgresDatabase, PostgresLogin, PostgresServer};
use mcp_types::{Entropy as _, SystemEntropy};

use super::rows::options;

/// A database that is there for one test, with the tables of `auth`.
pub(crate) struct Migrated {
    pub(crate) database: PostgresDatabase<'static>,
    pub(crate) login: PostgresLogin,
    owner: PostgresLogin,
    folder: PathBuf,
}

// === impl Migrated ===

impl Migrated {
    /// Makes it; what the service is told in secret lies in `folder`.
    pub(crate) async fn new(folder: &Path) -> Self {
        let database = PostgresServer::shared().database();
        let owner = database.owner();
        let mut drawn = [0; 16];
        SystemEntropy.fill(&mut drawn);
        fs::write(folder.join("guard"), format!("{:032x}", u128::from_le_bytes(drawn))).expect("written");
        migrate(&database, &owner, folder, "auth", &options()).await;
        let login = database.member_of("mcp_auth");
        fs::write(folder.join("password"), &login.password).expect("written");
        Self { database, login, owner, folder: folder.to_owned() }
    }

    /// What the service's operator writes.
    pub(crate) fn config(&self) -> Config {
        let postgres = postgres(&self.database, &self.folder, &self.login);
        Config { engine: EngineName::Postgres, postgres: Some(postgres) }
    }

    /// Gives another service tables of its own in the same database; answers with its login.
    pub(crate) async fn neighbour(&self, service: &str, options: &Options) -> PostgresLogin {
        migrate(&self.database, &self.owner, &self.folder, service, options).await;
        self.database.member_of(&format!("mcp_{service}"))
    }

    /// What somebody is answered who holds the service's own login and not the key that signs tenants.
    pub(crate) fn as_thief(&self, statements: &str) -> Result<String, String> {
        self.as_user(&self.login, statements)
    }

    /// What `login` is answered.
    pub(crate) fn as_user(&self, login: &PostgresLogin, statements: &str) -> Result<String, String> {
        self.database.try_sql(&login.user, &login.password, statements)
    }
}

async fn migrate(
    database: &PostgresDatabase<'static>,
    owner: &PostgresLogin,
    folder: &Path,
    service: &str,
    options: &Options,
) {
    let key = fs::read(folder.join("guard")).expect("written before");
    let server = Server {
        config: postgres(database, folder, owner),
        login: Login { user: owner.user.clone(), password: Secret::new(owner.password.clone().into_bytes()) },
        guard_key: Secret::new(key),
        plaintext: Plaintext::Refused,
    };
    let service = service.parse().expect("a service");
    migrate_postgres(&server, &service, options).await.expect("the owner may migrate");
}

fn postgres(database: &PostgresDatabase<'static>, folder: &Path, login: &PostgresLogin) -> PostgresConfig {
    let server = database.server();
    PostgresConfig {
        host: server.host().to_owned(),
        port: server.port(),
        database: database.name().to_owned(),
        ca: Some(server.ca()),
        user: Some(login.user.clone()),
        password: Some(format!("file:{}", folder.join("password").display())),
        vault_role: None,
        guard_key: format!("file:{}", folder.join("guard").display()),
        connections_max: 8,
        statement_ms_max: 10_000,
    }
}
