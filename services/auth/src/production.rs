//! Auth as production has it: secrets and keys in OpenBao, rows in PostgreSQL, and there a user that lives for seconds.

use std::{collections::BTreeSet, fs, sync::Arc, time::Duration};

use mcp_runtime::{Cores, Profile, SecretRef, Shell, Stop};
use mcp_secrets::{Keeper, vault};
use mcp_testkit::OpenBaoServer;
use mcp_types::{Timestamp, UserName};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    config::Config,
    fixture::{Home, platform, scope_of},
    run::open,
    service::Auth,
    store::{Members as _, Migrated, Rows, Tenant, Tenants as _},
};

const NOW: Timestamp = Timestamp::from_unix_secs(1_700_000_000);

/// How long a test waits for what takes the vault seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many sign in at once.
const WORKERS: usize = 4;

/// Whose work is seen in the database.
const USERS: &str = "SELECT DISTINCT usename FROM pg_stat_activity WHERE usename LIKE 'v-%'";

fn secrets(vault: &OpenBaoServer) -> mcp_secrets::Config {
    let (role_id, secret_id) = (vault.role_id("auth"), vault.secret_id("auth"));
    let login = vault::Login::Approle {
        role_id: SecretRef::file(role_id),
        secret_id: SecretRef::file(secret_id),
        wrapped: false,
    };
    let vault = vault::Config {
        address: vault.address(),
        ca: vault.ca(),
        login,
        mounts: Default::default(),
        timeout_millis: 5_000,
        in_flight_max: 64,
        cached_secs: 300,
    };
    mcp_secrets::Config { keeper: Keeper::Vault, vault: Some(vault), ..mcp_secrets::Config::default() }
}

async fn opened(config: Config, home: &Home) -> Auth<Rows> {
    let shell = Shell::new(Cores::start(1).expect("a core"), Stop::default(), Profile::Production);
    let service = "auth".parse().expect("a name");
    open(config, &service, home.path(), &shell).await.expect("auth opens in production")
}

fn user(name: &str) -> UserName {
    name.parse().expect("a name")
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_turned_away_while_the_users_of_the_database_come_and_go() {
    let (home, vault) = (Home::new(), OpenBaoServer::start());
    let server = Migrated::new(home.path()).await;
    let mut store = server.config();
    let postgres = store.postgres.as_mut().expect("a server");
    (postgres.user, postgres.password, postgres.vault_role) = (None, None, Some("auth".to_owned()));
    server.database.sql(
        "CREATE ROLE makes_users LOGIN CREATEROLE PASSWORD 'laid-down-once'; GRANT pg_signal_backend TO makes_users",
    );
    let password = home.path().join("makes_users");
    fs::write(&password, "laid-down-once").expect("written");
    let url = format!(
        "postgresql://{{{{username}}}}:{{{{password}}}}@{}:{}/{}?sslmode=verify-full&sslrootcert={}",
        postgres.host,
        postgres.port,
        postgres.database,
        server.database.server().ca().display(),
    );
    vault.set_up(&[
        ("MCP_DATABASE_URL", &url),
        ("MCP_DATABASE_USER", "makes_users"),
        ("MCP_DATABASE_PASSWORD_FILE", password.to_str().expect("text")),
        ("MCP_DATABASE_ROTATE", "1"),
        ("MCP_DATABASE_TTL", "3s"),
        ("MCP_DATABASE_TTL_MAX", "6s"),
    ]);

    let auth = Arc::new(opened(Config { secrets: secrets(&vault), store, ..Config::default() }, &home).await);
    let done = Stop::default();
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let (auth, done) = (Arc::clone(&auth), done.clone());
        workers.spawn(async move {
            let (acme, mut joined) = (scope_of("acme"), 0_usize);
            while !done.is_requested() {
                let user = user(&format!("u{worker}-{joined}"));
                auth.store.join(&acme, &user, NOW).await.expect("nobody is turned away");
                assert!(auth.store.member(&acme, &user).await.expect("read").is_some());
                joined += 1;
            }
            joined
        });
    }
    let (mut seen, begun) = (BTreeSet::new(), Instant::now());
    while seen.len() < 3 {
        assert!(begun.elapsed() < PATIENCE, "only {seen:?}");
        assert!(workers.try_join_next().is_none(), "a worker has ended");
        seen.extend(server.database.sql(USERS).lines().map(str::to_owned));
    }
    done.request();

    let joined: usize = workers.join_all().await.into_iter().sum();
    let rows = server.database.sql("SELECT count(*) FROM auth.members WHERE tenant = 'acme'");
    assert_eq!(rows, joined.to_string(), "each who was let in is there");
    for file in ["secrets", "master.key", "platform.db", "tenants"] {
        assert!(!home.path().join(file).exists(), "{file} belongs to the embedded platform");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_vault_leaves_what_is_cached_and_lets_nobody_new_in() {
    let (home, vault) = (Home::new(), OpenBaoServer::start());
    let server = Migrated::new(home.path()).await;
    let config = Config { secrets: secrets(&vault), store: server.config(), ..Config::default() };
    let auth = opened(config, &home).await;
    let (acme, globex) = (scope_of("acme"), scope_of("globex"));
    auth.store.join(&acme, &user("alice"), NOW).await.expect("joined");

    vault.seal();

    assert!(auth.store.member(&acme, &user("alice")).await.expect("its keys are here").is_some());
    auth.store.join(&acme, &user("bob"), NOW).await.expect("its keys are here");
    let refused =
        auth.store.join(&globex, &user("gina"), NOW).await.expect_err("there is nobody to wrap its keys");
    assert!(refused.is_passing(), "a caller may try again: {refused}");
    let founded = Tenant {
        slug: globex.tenant().clone(),
        display_name: "Globex".to_owned(),
        created: NOW,
        founder: None,
    };
    assert!(auth.store.found(&platform(), &founded).await.is_err());
    assert_eq!(server.database.sql("SELECT count(*) FROM auth.members WHERE tenant <> 'acme'"), "0");
    assert_eq!(server.database.sql("SELECT count(*) FROM auth_platform.tenants"), "0");

    vault.unseal();

    let begun = Instant::now();
    while let Err(error) = auth.store.join(&globex, &user("gina"), NOW).await {
        assert!(begun.elapsed() < PATIENCE, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(auth.store.found(&platform(), &founded).await.expect("founded"));
}
