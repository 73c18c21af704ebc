//! Logins and wrapping keys of a real vault: a pool follows each new login under load, and a sealed vault shuts out
//! only those tenants whose keys are not in memory.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use mcp_runtime::{Cores, Profile, Shell, Stop};
use mcp_testkit::OpenBaoServer;

use super::{house::insert, *};

/// How long something that must come may take: machines that build take their time.
const PATIENCE: Duration = Duration::from_secs(90);

/// A house on a server whose logins and keys a vault makes.
struct World {
    house: House,
    vault: OpenBaoServer,
    db: Db,
    _shell: Shell,
}

// === impl World ===

impl World {
    async fn new() -> Self {
        let house = House::new(Engine::Postgres).await;
        drop(house.open().await);
        let server = house.server();
        let (database, name) = (&server.database, server.database.name());
        database.sql(
            "CREATE ROLE vault LOGIN CREATEROLE PASSWORD 'laid-down-once'; GRANT pg_signal_backend TO vault;",
        );
        let vault = OpenBaoServer::start();
        let (port, ca) = (database.server().port(), database.server().ca());
        let url = format!(
            "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{port}/{name}?sslmode=verify-full&sslrootcert={}",
            ca.display()
        );
        let password = vault.folder().join("password");
        std::fs::write(&password, "laid-down-once").expect("the folder is ours");
        vault.set_up(&[
            ("MCP_DATABASE_URL", &url),
            ("MCP_DATABASE_USER", "vault"),
            ("MCP_DATABASE_PASSWORD_FILE", password.to_str().expect("text")),
            ("MCP_DATABASE_TTL", "4s"),
            ("MCP_DATABASE_TTL_MAX", "8s"),
        ]);

        let secrets: mcp_secrets::Config = serde_json::from_value(serde_json::json!({
            "keeper": "vault",
            "vault": {
                "address": vault.address(), "ca": vault.ca(), "timeout_millis": 10_000,
                "login": {
                    "method": "approle",
                    "role_id": format!("file:{}", vault.role_id("context").display()),
                    "secret_id": format!("file:{}", vault.secret_id("context").display()),
                },
            },
        }))
        .expect("what an operator writes");
        let shell = Shell::new(Cores::start(1).expect("a core"), Stop::default(), Profile::Production);
        let context = service("context");
        let keepers =
            mcp_secrets::open(&secrets, &context, house.dir.path(), &shell).await.expect("logged in");
        let guard = "guard".parse().expect("a path");
        keepers.secrets.put(&guard, server.guard_key.clone()).await.expect("put");
        let mut postgres = server.as_service("context").config;
        postgres.vault_role = Some("context".to_owned());
        postgres.guard_key = "vault:guard".to_owned();
        let config = Config { engine: EngineName::Postgres, postgres: Some(postgres) };
        let db = open(&config, &house.folder(), &context, options(), &keepers, &shell).await.expect("opens");
        Self { house, vault, db, _shell: shell }
    }

    fn logins(&self) -> Vec<String> {
        let roles = "SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'";
        self.house.server().database.sql(roles).lines().map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_moves_over_to_each_new_login_under_load_without_a_failed_query() {
    let world = World::new().await;
    let (over, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (db, over, acknowledged) = (world.db.clone(), Arc::clone(&over), Arc::clone(&acknowledged));
            tokio::spawn(async move {
                let acme = tenant("acme");
                let mut n = 0;
                while !over.load(Ordering::SeqCst) {
                    let mut tx = db.within(&acme).await.expect("a connection");
                    insert(&mut tx, &format!("{writer}/{n}")).await;
                    tx.commit().await.expect("committed");
                    n += 1;
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();

    let mut seen: Vec<String> = Vec::new();
    let begun = tokio::time::Instant::now();
    // Three logins, and the first two of them ended: their sessions with them.
    while seen.len() < 3 || seen.iter().take(2).any(|login| world.logins().contains(login)) {
        assert!(begun.elapsed() < PATIENCE, "{seen:?}");
        for login in world.logins() {
            if !seen.contains(&login) {
                seen.push(login);
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    over.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("no query failed");
    }

    let kept = notes(&world.db, &tenant("acme")).await.len();
    assert_eq!(u32::try_from(kept).ok(), Some(acknowledged.load(Ordering::SeqCst)));
    assert!(kept > 100, "{kept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_vault_shuts_out_only_tenants_whose_keys_are_not_in_memory() {
    let world = World::new().await;
    put(&world.db, &tenant("acme"), "before").await;

    world.vault.seal();

    put(&world.db, &tenant("acme"), "meanwhile").await;
    assert_eq!(notes(&world.db, &tenant("acme")).await.len(), 2);
    let refused = world.db.within(&tenant("globex")).await.expect_err("its key cannot be made");
    assert!(matches!(refused, StoreError::Keys { .. }) && refused.is_passing(), "{refused:?}");

    world.vault.unseal();
    let begun = tokio::time::Instant::now();
    while let Err(error) = world.db.within(&tenant("globex")).await {
        assert!(begun.elapsed() < PATIENCE, "{error:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
