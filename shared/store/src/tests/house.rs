//! A place for a database of either engine, with tables to try things on.

use std::{fs, path::PathBuf, sync::Arc};

use mcp_secrets::{Master, SealedStore, SealedWrapping, Secret};
use mcp_tenancy::{PlatformScope, TenantScope};
use mcp_testkit::{ManualClock, PostgresDatabase, PostgresServer};
use mcp_types::{ServiceName, SystemEntropy};
use tempfile::TempDir;

use super::*;

pub(super) const NOTES: Migration = Migration {
    version: 1,
    name: "notes",
    sqlite: "CREATE TABLE note (text TEXT NOT NULL PRIMARY KEY) STRICT;",
    postgres: "CREATE TABLE note (
                   tenant TEXT NOT NULL DEFAULT guard.tenant(), text TEXT NOT NULL, PRIMARY KEY (tenant, text)
               );",
};
pub(super) const TAGS: Migration = Migration {
    version: 2,
    name: "tags",
    sqlite: "CREATE TABLE tag (note TEXT NOT NULL REFERENCES note (text), word TEXT NOT NULL, PRIMARY KEY (note, word))
                 STRICT;",
    postgres: "CREATE TABLE tag (
                   tenant TEXT NOT NULL DEFAULT guard.tenant(), note TEXT NOT NULL, word TEXT NOT NULL,
                   PRIMARY KEY (tenant, note, word), FOREIGN KEY (tenant, note) REFERENCES note (tenant, text)
               );",
};
pub(super) const PLATFORM: Migration = Migration {
    version: 1,
    name: "tenants",
    sqlite: "CREATE TABLE note (text TEXT NOT NULL) STRICT;",
    postgres: "CREATE TABLE note (text TEXT NOT NULL);",
};

/// A place for a database.
pub(super) struct House {
    pub(super) dir: TempDir,
    pub(super) clock: Arc<ManualClock>,
    pub(super) server: Option<Box<Database>>,
    secrets: SealedStore,
}

/// A database on a server, and its owner.
pub(super) struct Database {
    pub(super) database: PostgresDatabase<'static>,
    pub(super) owner: Login,
    pub(super) guard_key: Secret,
}

// === impl House ===

impl House {
    pub(super) async fn new(engine: Engine) -> Self {
        let server = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => {
                let database = tokio::task::spawn_blocking(|| PostgresServer::shared().database());
                Some(Box::new(Database::new(database.await.expect("joined"))))
            }
        };
        Self::with(server)
    }

    pub(super) fn on(database: PostgresDatabase<'static>) -> Self {
        Self::with(Some(Box::new(Database::new(database))))
    }

    fn with(server: Option<Box<Database>>) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (folder, master) = (dir.path().join("secrets"), Master::file(&dir.path().join("master.key")));
        let profile = mcp_runtime::Profile::Development;
        let secrets = SealedStore::open(&folder, &master, profile, Arc::new(SystemEntropy))
            .expect("a keeper of secrets");
        let clock = ManualClock::at(1_700_000_000);
        Self { dir, clock, server, secrets }
    }

    /// The same where a sync costs nothing, if the machine has such a place: for tests about numbers, not about disks.
    pub(super) fn in_memory(self) -> Self {
        match tempfile::tempdir_in("/dev/shm") {
            Ok(dir) => Self { dir, ..self },
            Err(_) => self,
        }
    }

    pub(super) fn engine(&self) -> Engine {
        if self.server.is_some() { Engine::Postgres } else { Engine::Sqlite }
    }

    pub(super) fn server(&self) -> &Database {
        self.server.as_ref().expect("the house is on a server")
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.dir.path().join("data/context")
    }

    pub(super) fn file(&self, tenant: &str) -> PathBuf {
        self.folder().join(format!("tenants/{tenant}.db"))
    }

    /// Keys wrapped by this house's own keeper.
    pub(super) fn keys(&self) -> Keys {
        Keys {
            clock: Arc::<ManualClock>::clone(&self.clock),
            ..Keys::new(Arc::new(SealedWrapping::new(self.secrets.clone(), Arc::new(SystemEntropy))))
        }
    }

    pub(super) async fn open(&self) -> Db {
        self.open_with(options()).await.expect("opens")
    }

    /// Migrates, as an operator would, and opens.
    pub(super) async fn open_with(&self, options: Options) -> Result<Db, StoreError> {
        let Some(server) = &self.server else {
            return Db::open(&self.folder(), &service("context"), options).await;
        };
        server.migrate("context", &options).await?;
        Db::open(server.as_service("context"), &service("context"), options).await
    }
}

// === impl Database ===

impl Database {
    fn new(database: PostgresDatabase<'static>) -> Self {
        let name = database.name();
        let owner = Login { user: format!("owner_{name}"), password: Secret::new(b"owner's".to_vec()) };
        database.sql(&format!(
            "CREATE ROLE owner_{name} LOGIN CREATEROLE PASSWORD 'owner''s';
             ALTER DATABASE {name} OWNER TO owner_{name};"
        ));
        Self { database, owner, guard_key: Secret::draw(32, &SystemEntropy) }
    }

    pub(super) async fn migrate(&self, name: &str, options: &Options) -> Result<Vec<String>, StoreError> {
        let done = migrate_postgres(&self.server(&self.owner), &service(name), options).await?;
        let (user, database) = (self.user(name), &self.database);
        database.sql(&format!(
            "DO $$ BEGIN
                 IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{user}') THEN
                     CREATE ROLE {user} LOGIN PASSWORD 'service''s' IN ROLE mcp_{name};
                 END IF;
             END $$"
        ));
        Ok(done)
    }

    pub(super) fn user(&self, name: &str) -> String {
        format!("{name}_{}", self.database.name())
    }

    pub(super) fn as_service(&self, name: &str) -> Server {
        self.server(&Login { user: self.user(name), password: Secret::new(b"service's".to_vec()) })
    }

    pub(super) fn server(&self, login: &Login) -> Server {
        let server = self.database.server();
        Server {
            config: PostgresConfig {
                host: server.host().to_owned(),
                port: server.port(),
                database: self.database.name().to_owned(),
                ca: Some(server.ca()),
                user: None,
                password: None,
                vault_role: None,
                guard_key: "file:/nowhere".to_owned(),
                connections_max: 8,
                statement_ms_max: 10_000,
            },
            login: login.clone(),
            guard_key: self.guard_key.clone(),
            plaintext: Plaintext::Refused,
        }
    }

    /// What the service's own role, outside of the program, is answered.
    pub(super) fn as_intruder(&self, statements: &str) -> Result<String, String> {
        self.database.try_sql(&self.user("context"), "service's", statements)
    }
}

pub(super) fn options() -> Options {
    Options { tenant: &[NOTES], platform: &[PLATFORM], ..Options::default() }
}

pub(super) fn service(name: &str) -> ServiceName {
    name.parse().expect("a name")
}

pub(super) fn tenant(slug: &str) -> TenantScope {
    platform().enter(slug.parse().expect("a slug"))
}

pub(super) fn platform() -> PlatformScope {
    PlatformScope::of_the_platform_itself()
}

pub(super) async fn insert(tx: &mut Tx, text: &str) {
    let statement = sql("INSERT INTO note (text) VALUES ($1)").bind(text);
    assert_eq!(statement.execute(tx).await.expect("inserted"), 1);
}

pub(super) async fn put(db: &Db, scope: &TenantScope, text: &str) {
    let mut tx = db.within(scope).await.expect("within");
    insert(&mut tx, text).await;
    tx.commit().await.expect("committed");
}

pub(super) async fn select(tx: &mut Tx) -> Vec<String> {
    let rows = sql("SELECT text FROM note ORDER BY text").fetch_all::<(String,)>(tx).await.expect("selected");
    rows.into_iter().map(|(text,)| text).collect()
}

pub(super) async fn notes(db: &Db, scope: &TenantScope) -> Vec<String> {
    select(&mut db.read(scope).await.expect("read")).await
}

pub(super) fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("readable") {
        let path = entry.expect("entry").path();
        let to = to.join(path.file_name().expect("named"));
        if path.is_dir() { copy(&path, &to) } else { assert!(fs::copy(&path, &to).is_ok()) }
    }
}
