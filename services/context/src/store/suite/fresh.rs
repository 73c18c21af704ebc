//! Empty stores on either engine, and what must hold of their tables.

use std::sync::Arc;

use mcp_secrets::{Master, SealedStore, SealedWrapping, Secret};
use mcp_store::{
    Db, DbPlace, Engine, Keys, Login, Options, Plaintext, PostgresConfig, Server, migrate_postgres, sql,
};
use mcp_testkit::{ManualClock, PostgresDatabase, PostgresServer};
use tempfile::TempDir;

use super::*;

/// What every tenant holds at most in these specifications.
const QUOTA: Quota = Quota { contexts_max: 2_000, messages_max: 20_000, bytes_max: 64 << 20 };

/// An empty store, its clock, and what it lives in.
pub(crate) struct Fresh {
    /// The store.
    pub(crate) contexts: StoredContexts,
    /// What it goes by.
    pub(crate) clock: Arc<ManualClock>,
    engine: Engine,
    folder: TempDir,
}

// === impl Fresh ===

impl Fresh {
    /// In files.
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let place = DbPlace::Folder(folder.path().to_owned());
        Self::open(Engine::Sqlite, place, folder).await
    }

    /// In a database of its own on a server.
    pub(crate) async fn postgres() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server = tokio::task::spawn_blocking(|| {
            let database = PostgresServer::shared().database();
            let owner = database.owner();
            (database, owner)
        });
        let (database, owner) = server.await.expect("a server");
        let guard_key = Secret::draw(32, &SystemEntropy);
        let owner = server_for(&database, &owner.user, &owner.password, &guard_key);
        let service = "context".parse().expect("a name");
        migrate_postgres(&owner, &service, &crate::store_options()).await.expect("migrated");
        let login = database.member_of("mcp_context");
        let server = server_for(&database, &login.user, &login.password, &guard_key);
        Self::open(Engine::Postgres, server.into(), folder).await
    }

    async fn open(engine: Engine, place: DbPlace, folder: TempDir) -> Self {
        let clock = ManualClock::standing(time(10));
        let entropy = Arc::new(SystemEntropy);
        let secrets = SealedStore::open(
            &folder.path().join("secrets"),
            &Master::file(&folder.path().join("master.key")),
            mcp_runtime::Profile::Development,
            entropy.clone(),
        )
        .expect("opens");
        let wrapping = Arc::new(SealedWrapping::new(secrets, entropy));
        let keys = Keys { clock: clock.clone(), ..Keys::new(wrapping) };
        let options = Options { keys: Some(keys), files_open_max: 4, ..crate::store_options() };
        let db = Db::open(place, &"context".parse().expect("a name"), options).await.expect("opens");
        Self { contexts: StoredContexts::new(db, engine, clock.clone(), QUOTA), clock, engine, folder }
    }

    /// The same with another quota.
    pub(super) fn with_quota(&self, quota: Quota) -> StoredContexts {
        StoredContexts::new(self.contexts.db().clone(), self.engine, self.clock.clone(), quota)
    }

    /// Closes it.
    pub(super) async fn end(self) {
        self.contexts.db().close().await;
        drop(self.folder);
    }
}

/// An empty store in files, and the folder that it is in.
pub(crate) async fn sqlite_contexts() -> (StoredContexts, TempDir) {
    let Fresh { contexts, folder, .. } = Fresh::sqlite().await;
    (contexts, folder)
}

fn server_for(database: &PostgresDatabase<'_>, user: &str, password: &str, guard_key: &Secret) -> Server {
    let server = database.server();
    Server {
        config: PostgresConfig {
            host: server.host().to_owned(),
            port: server.port(),
            database: database.name().to_owned(),
            ca: Some(server.ca()),
            user: None,
            password: None,
            vault_role: None,
            guard_key: "file:/nowhere".to_owned(),
            connections_max: 8,
            statement_ms_max: 10_000,
        },
        login: Login { user: user.to_owned(), password: Secret::new(password.as_bytes().to_vec()) },
        guard_key: guard_key.clone(),
        plaintext: Plaintext::Refused,
    }
}

pub(super) async fn the_tables_are_as_they_are_declared(fresh: &Fresh) {
    let acme = scope("acme");
    create(&fresh.contexts, &acme, "t").await;

    let differences = fresh.contexts.db().check_tables(&acme).await.expect("compared");

    assert_eq!(differences, Vec::<String>::new());
}

pub(super) async fn no_word_of_a_user_is_in_the_tables(fresh: &Fresh) {
    let (contexts, acme) = (&fresh.contexts, scope("acme"));
    let words = "canary-in-the-mine";
    let fields = Fields { description: words.to_owned(), tags: vec![words.to_owned()], ..titled(words) };
    let write = once(1, words, "CreateContext", 1);
    let id = contexts.create(&acme, &write, id(), fields.clone()).await.expect("stored").id;
    contexts.update(&acme, &at(6), target(id), fields, mask("title")).await.expect("changed");
    append(contexts, &acme, id, &[words]).await;

    let mut tx = contexts.db().read(&acme).await.expect("reads");
    let sealed: Vec<(Vec<u8>,)> = sql("SELECT fields FROM contexts UNION ALL SELECT text FROM messages
         UNION ALL SELECT fields FROM revisions UNION ALL SELECT answer FROM replies
         UNION ALL SELECT asker FROM replies UNION ALL SELECT tag FROM context_tags")
    .fetch_all(&mut tx)
    .await
    .expect("read");

    assert_eq!(sealed.len(), 7);
    for (bytes,) in sealed {
        assert!(!bytes.windows(6).any(|part| words.as_bytes().windows(6).any(|word| word == part)));
    }
}
