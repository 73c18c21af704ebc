//! What holds on a server alone: roles, policies, connections, logins.

use std::time::Duration;

use mcp_secrets::Secret;

use super::{
    house::{NOTES, insert},
    *,
};

async fn house() -> House {
    House::new(Engine::Postgres).await
}

fn unfit(refusal: Result<Db, StoreError>) -> String {
    match refusal {
        Err(StoreError::Unfit { what }) => what,
        other => panic!("not refused as unfit: {other:?}"),
    }
}

#[tokio::test]
async fn a_role_that_policies_do_not_hold_is_refused() {
    let house = house().await;
    drop(house.open().await);
    let server = house.server();
    let database = &server.database;
    let name = database.name();
    database.sql(&format!(
        "CREATE ROLE super_{name} LOGIN SUPERUSER PASSWORD 'x';
         CREATE ROLE bypass_{name} LOGIN BYPASSRLS PASSWORD 'x' IN ROLE mcp_context;
         CREATE ROLE member_{name} LOGIN PASSWORD 'x' IN ROLE owner_{name};
         CREATE ROLE reader_{name} LOGIN PASSWORD 'x' IN ROLE mcp_context;
         GRANT SELECT ON guard.signer TO reader_{name};
         CREATE ROLE lax_{name} LOGIN PASSWORD 'x' IN ROLE mcp_context;
         ALTER ROLE lax_{name} SET synchronous_commit = off;"
    ));
    for (user, why) in [
        ("super", "superuser"),
        ("bypass", "bypass row-level security"),
        ("member", "owns tables"),
        ("reader", "can read the key"),
        ("lax", "without waiting for the disk"),
    ] {
        let login = Login { user: format!("{user}_{name}"), password: Secret::new(b"x".to_vec()) };
        let what = unfit(Db::open(server.server(&login), &service("context"), options()).await);
        assert!(what.contains(why) && what.contains(user), "{what}");
    }
    let what = unfit(Db::open(server.server(&server.owner), &service("context"), options()).await);
    assert!(what.contains("owns tables"), "{what}");
}

#[tokio::test]
async fn tables_that_are_behind_or_open_are_refused() {
    let house = house().await;
    let server = house.server();
    let empty = Db::open(server.server(&server.owner), &service("context"), options()).await;
    assert!(unfit(empty).contains("no guard yet"));

    drop(house.open().await);
    let newer = Options { tenant: &[NOTES, house::TAGS], ..options() };
    let behind = Db::open(server.as_service("context"), &service("context"), newer).await;
    assert!(matches!(behind, Err(StoreError::Behind { has: 1, needs: 2, .. })), "{behind:?}");

    for weaker in [
        "ALTER TABLE context.note NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE context.note FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE context.note ENABLE ROW LEVEL SECURITY; CREATE POLICY open ON context.note USING (true)",
    ] {
        server.database.sql(weaker);
        let what = unfit(Db::open(server.as_service("context"), &service("context"), options()).await);
        assert!(what.contains("context.note"), "{what}");
    }
    server.database.sql("DROP POLICY open ON context.note");
    Db::open(server.as_service("context"), &service("context"), options()).await.expect("as it was");
}

#[tokio::test]
async fn a_table_that_could_not_be_kept_apart_is_not_made() {
    let house = house().await;
    for (what, postgres) in [
        ("lacks its column", "CREATE TABLE t (id BIGINT PRIMARY KEY);"),
        ("lacks its column", "CREATE TABLE t (tenant TEXT, id BIGINT, PRIMARY KEY (id));"),
        ("no primary key", "CREATE TABLE t (tenant TEXT NOT NULL DEFAULT guard.tenant(), id BIGINT);"),
        (
            "unique key that does not begin",
            "CREATE TABLE t (tenant TEXT NOT NULL DEFAULT guard.tenant(), id BIGINT, PRIMARY KEY (id, tenant));",
        ),
        (
            "unique key that does not begin",
            "CREATE TABLE t (tenant TEXT NOT NULL DEFAULT guard.tenant(), id BIGINT UNIQUE, PRIMARY KEY (tenant, id));",
        ),
        (
            "foreign key that does not begin",
            "CREATE TABLE t (tenant TEXT NOT NULL DEFAULT guard.tenant(), id TEXT, PRIMARY KEY (tenant, id),
                             FOREIGN KEY (id, tenant) REFERENCES note (text, tenant));
             ",
        ),
        ("is a view", "CREATE VIEW v AS SELECT * FROM note;"),
    ] {
        let bad = Migration { version: 2, name: "bad", sqlite: "", postgres };
        let bad: &'static [Migration] = Box::leak(Box::new([NOTES, bad]));
        let refusal = house.server().migrate("context", &Options { tenant: bad, ..options() }).await;
        let said = format!("{:?}", refusal.expect_err(what));
        let unique = "there is no unique constraint matching given keys";
        assert!(
            said.contains(what) || (what.starts_with("foreign") && said.contains(unique)),
            "{what} in {said}"
        );
    }
}

#[tokio::test]
async fn a_failed_statement_is_not_taken_for_a_commit() {
    let house = house().await;
    let db = house.open().await;
    let mut tx = db.within(&tenant("acme")).await.expect("within");
    insert(&mut tx, "one").await;
    assert!(sql("INSERT INTO note (text) VALUES ('one')").execute(&mut tx).await.is_err());
    // The server answers COMMIT in a failed transaction as if nothing were wrong.
    assert!(tx.commit().await.is_err());
    assert!(notes(&db, &tenant("acme")).await.is_empty());
}

#[tokio::test]
async fn connections_are_bounded_and_a_call_waits_its_time_and_no_longer() {
    let house = house().await;
    drop(house.open().await);
    let mut server = house.server().as_service("context");
    server.config.connections_max = 2;
    let options = Options { wait_max: Duration::from_secs(3), ..options() };
    let db = Db::open(server, &service("context"), options).await.expect("opens");
    let first = db.within(&tenant("acme")).await.expect("within");
    let _second = db.within(&tenant("acme")).await.expect("within");
    assert_eq!(db.files_open(), 2);
    let refusal = db.within(&tenant("acme")).await.map(drop).expect_err("no room");
    assert!(matches!(refusal, StoreError::Crowded) && refusal.is_passing());
    let third = tokio::spawn({
        let db = db.clone();
        async move { db.within(&tenant("acme")).await.map(drop) }
    });
    tokio::task::yield_now().await;
    drop(first);
    third.await.expect("joined").expect("room again");
}

#[tokio::test]
async fn a_slow_statement_ends_in_time() {
    let house = house().await;
    drop(house.open().await);
    let mut server = house.server().as_service("context");
    server.config.statement_ms_max = 200;
    let db = Db::open(server, &service("context"), options()).await.expect("opens");
    let mut tx = db.within(&tenant("acme")).await.expect("within");
    let slow = sql("SELECT 1 FROM pg_sleep(20)").doing("dream").fetch_one::<(i64,)>(&mut tx).await;
    assert!(
        matches!(&slow, Err(it @ StoreError::Busy { doing: "dream", .. }) if it.is_passing()),
        "{slow:?}"
    );
    drop(tx);

    let mut first = db.within(&tenant("acme")).await.expect("within");
    first.lock(&[b"x"]).await.expect("locked");
    let mut second = db.within(&tenant("acme")).await.expect("within");
    assert!(matches!(second.lock(&[b"x"]).await, Err(StoreError::Busy { .. })));
    let mut third = db.within(&tenant("globex")).await.expect("within");
    third.lock(&[b"x"]).await.expect("another tenant's lock is another");
}

#[tokio::test]
async fn a_login_is_replaced_and_no_call_fails() {
    let house = house().await;
    let db = house.open().await;
    let server = house.server();
    let database = &server.database;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|caller| {
            let (db, stop) = (db.clone(), std::sync::Arc::clone(&stop));
            tokio::spawn(async move {
                let mut calls = 0;
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    put(&db, &tenant("acme"), &format!("{caller}/{calls}")).await;
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    for n in 0..5 {
        let user = format!("login_{n}_{}", database.name());
        database.sql(&format!("CREATE ROLE {user} LOGIN PASSWORD 'x' IN ROLE mcp_context"));
        db.set_login(&Login { user: user.clone(), password: Secret::new(b"x".to_vec()) }).expect("replaced");
        // A new connection shows that it is taken up; the old ones end with their transactions.
        loop {
            let mut tx = db.read(&tenant("acme")).await.expect("read");
            let (who,): (String,) =
                sql("SELECT session_user::TEXT").fetch_one(&mut tx).await.expect("answered");
            if who == user {
                break;
            }
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut calls = 0;
    for caller in callers {
        calls += caller.await.expect("no call failed");
    }
    assert_eq!(notes(&db, &tenant("acme")).await.len(), calls);
    let before = database
        .sql(&format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{}'", server.user("context")));
    assert_eq!(before, "0", "nobody uses the first login any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_is_found_again_with_all_it_acknowledged() {
    // Its own server: the others' tests go on meanwhile.
    let server = Box::leak(Box::new(mcp_testkit::PostgresServer::start()));
    let house = House::on(server.database());
    let db = house.open().await;
    put(&db, &tenant("acme"), "kept").await;
    let mut open = db.within(&tenant("acme")).await.expect("within");
    insert(&mut open, "not committed").await;
    let server: &'static mcp_testkit::PostgresServer = server;
    server.kill();
    assert!(open.commit().await.is_err());
    let refusal =
        tokio::time::timeout(Duration::from_secs(20), db.read(&tenant("acme"))).await.expect("in time");
    assert!(refusal.is_err_and(|it| it.is_passing()));

    let again = tokio::task::spawn_blocking(|| server.start_again());
    again.await.expect("started");
    // Idle connections are dead; nothing has run on them, so nobody notices.
    assert_eq!(notes(&db, &tenant("acme")).await, ["kept"]);
    put(&db, &tenant("acme"), "later").await;
    assert_eq!(notes(&db, &tenant("acme")).await, ["kept", "later"]);
}

#[tokio::test]
async fn without_tls_only_loopback_is_reached_and_only_in_development() {
    let house = house().await;
    drop(house.open().await);
    for (host, plaintext) in [
        ("127.0.0.1", Plaintext::Refused),
        ("db.example.com", Plaintext::OnLoopback),
        ("localhost", Plaintext::Refused),
    ] {
        let mut server = house.server().as_service("context");
        server.config.ca = None;
        server.config.host = host.to_owned();
        server.plaintext = plaintext;
        assert!(unfit(Db::open(server, &service("context"), options()).await).contains("without TLS"));
    }
    // A certificate of somebody else's is no certificate.
    let mut server = house.server().as_service("context");
    let other = mcp_testkit::TestMesh::new().bundle().to_pem();
    let ca = house.dir.path().join("other.pem");
    std::fs::write(&ca, other).expect("written");
    server.config.ca = Some(ca);
    let wait_max = Duration::from_secs(1);
    let refusal = Db::open(server, &service("context"), Options { wait_max, ..options() }).await;
    assert!(matches!(refusal, Err(StoreError::Unreachable(_))), "{refusal:?}");
}

#[tokio::test]
async fn a_migration_is_done_once_by_whoever_comes_first() {
    let house = house().await;
    let server = house.server();
    let (owner, service, options) = (server.server(&server.owner), service("context"), options());
    let (one, two) = tokio::join!(
        migrate_postgres(&owner, &service, &options),
        migrate_postgres(&owner, &service, &options),
    );
    let mut done = [one, two].map(|it| it.map(|it| it.len()).expect("migrated"));
    done.sort_unstable();
    assert_eq!(done, [0, 3], "guard, tenants' and platform's");
}

#[tokio::test]
async fn the_guards_key_is_replaced_and_the_one_before_is_still_good() {
    let house = house().await;
    let db = house.open().await;
    let server = house.server();
    for (at, key) in ["second", "third"].iter().enumerate() {
        let mut owner = server.server(&server.owner);
        owner.guard_key = Secret::new(key.repeat(32).into_bytes());
        migrate_postgres(&owner, &service("context"), &options()).await.expect("replaced");
        let mut newer = server.as_service("context");
        newer.guard_key = owner.guard_key.clone();
        let newer = Db::open(newer, &service("context"), options()).await.expect("opens");
        put(&newer, &tenant("acme"), key).await;
        let old = db.within(&tenant("acme")).await;
        assert_eq!(old.is_ok(), at == 0, "one before is good, two before is not: {old:?}");
    }
}

#[tokio::test]
async fn errors_of_either_engine_say_what_to_do() {
    let house = house().await;
    let db = house.open().await;
    for (code, is_passing, is_full) in
        [("53100", true, true), ("40001", true, false), ("57P01", true, false), ("23505", false, false)]
    {
        let mut tx = db.within(&tenant("acme")).await.expect("within");
        // What a full disk or a server that is stopped says cannot be had from a healthy one; its codes can.
        let raised: &'static str =
            Box::leak(format!("DO $$ BEGIN RAISE SQLSTATE '{code}'; END $$").into_boxed_str());
        let refusal = sql(raised).doing("fail").execute(&mut tx).await.expect_err(code);
        assert_eq!(refusal.is_passing(), is_passing, "{refusal:?}");
        assert_eq!(matches!(refusal, StoreError::Full { doing: "fail", .. }), is_full, "{refusal:?}");
    }
}
