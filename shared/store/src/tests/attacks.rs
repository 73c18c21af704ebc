//! The walls, each attacked with the others switched off.

use std::time::Duration;

use super::{house::insert, *};

async fn house() -> (House, Db) {
    let house = House::new(Engine::Postgres).await;
    let db = house.open().await;
    put(&db, &tenant("acme"), "acme's plan").await;
    put(&db, &tenant("globex"), "globex' plan").await;
    (house, db)
}

#[tokio::test]
async fn sql_injected_into_a_tenants_transaction_sees_that_tenant_and_no_other() {
    let (_house, db) = house().await;
    let mut tx = db.within(&tenant("acme")).await.expect("within");
    let all = |statement: &'static str| sql(statement);
    for injected in [
        "SELECT text FROM note",
        "SELECT text FROM context.note WHERE tenant = tenant OR true",
        "SELECT n.text FROM context.note n, context.note m",
        "SELECT text FROM note UNION ALL SELECT text FROM note WHERE tenant = 'globex'",
    ] {
        let rows = all(injected).fetch_all::<(String,)>(&mut tx).await.expect("answered");
        assert!(!rows.is_empty() && rows.iter().all(|(text,)| text == "acme's plan"), "{injected}: {rows:?}");
    }
    let touched = all("DELETE FROM note WHERE tenant = 'globex'").execute(&mut tx).await.expect("answered");
    assert_eq!(touched, 0);
    let touched =
        all("UPDATE note SET text = 'x' WHERE tenant <> 'acme'").execute(&mut tx).await.expect("answered");
    assert_eq!(touched, 0);
    drop(tx);

    for (injected, why) in [
        ("INSERT INTO note (tenant, text) VALUES ('globex', 'planted')", "row-level security"),
        ("UPDATE note SET tenant = 'globex'", "row-level security"),
        ("ALTER TABLE note DISABLE ROW LEVEL SECURITY", "must be owner"),
        ("DROP POLICY mcp_tenant ON note", "must be owner"),
        ("TRUNCATE note", "permission denied"),
        ("SELECT encode(inner_pad, 'hex') FROM guard.signer", "permission denied"),
        ("SELECT guard.protect('context')::TEXT", "permission denied"),
        ("SELECT guard.admit('context')::TEXT", "permission denied"),
        ("CREATE TABLE stash AS SELECT * FROM note", "permission denied"),
        ("CREATE FUNCTION f() RETURNS INT LANGUAGE sql AS 'SELECT 1'", "permission denied"),
        ("SET LOCAL ROLE mcp_auth", "permission denied|does not exist"),
        ("SELECT pg_read_file('/etc/passwd')", "permission denied"),
        ("COPY note TO PROGRAM 'cat'", "permission denied|must be superuser"),
    ] {
        let mut tx = db.within(&tenant("acme")).await.expect("within");
        let refusal = format!("{:?}", all(injected).execute(&mut tx).await.expect_err(injected));
        assert!(why.split('|').any(|it| refusal.contains(it)), "{injected}: {refusal}");
    }
    // With the policies switched off for oneself, a statement fails rather than see more.
    let mut tx = db.within(&tenant("acme")).await.expect("within");
    all("SET LOCAL row_security = off").execute(&mut tx).await.expect("set");
    assert!(all("SELECT text FROM note").fetch_all::<(String,)>(&mut tx).await.is_err());
    assert_eq!(notes(&db, &tenant("globex")).await, ["globex' plan"]);
}

#[tokio::test]
async fn a_setting_that_is_unset_empty_or_forged_shows_no_row() {
    let (house, db) = house().await;
    let server = house.server();
    let count = "SELECT count(*) FROM context.note";
    assert_eq!(server.as_intruder(count), Ok("0".to_owned()), "unset");
    assert_eq!(server.as_intruder(&format!("SET mcp.tenant = ''; {count}")), Ok("0".to_owned()), "empty");
    assert_eq!(
        server.as_intruder(&format!("BEGIN; SET LOCAL mcp.tenant = 'x'; COMMIT; {count}")),
        Ok("0".to_owned()),
        "set once, then no more"
    );
    let owner = |statements: &str| {
        server.database.try_sql(&server.owner.user, "owner's", statements).expect("the owner may look")
    };
    assert_eq!(owner(count), "0", "the policies are forced: they hold the tables' owner too");
    assert_eq!(server.database.sql(count), "2", "the rows are there");
    let mut forged = vec![
        "acme".to_owned(),
        "acme.".to_owned(),
        "acme.context".to_owned(),
        "acme.context.".to_owned(),
        format!("acme.context.{}", "0".repeat(64)),
        format!("acme.context.{}.x", "0".repeat(64)),
        format!("acme.auth.{}", "0".repeat(64)),
        "..".to_owned(),
        " ".to_owned(),
    ];
    // One that was good, on another connection: it is bound to that one.
    let mut tx = db.read(&tenant("acme")).await.expect("read");
    let (good,): (String,) =
        sql("SELECT current_setting('mcp.tenant')").fetch_one(&mut tx).await.expect("answered");
    assert!(good.starts_with("acme.context."));
    forged.push(good.clone());
    for setting in &forged {
        let refusal = server.as_intruder(&format!("SET mcp.tenant = '{setting}'; {count}"));
        assert!(refusal.as_ref().is_err_and(|it| it.contains("not signed")), "{setting}: {refusal:?}");
        let refusal = server.as_intruder(&format!(
            "SET mcp.tenant = '{setting}'; INSERT INTO context.note VALUES ('acme', 'x')"
        ));
        assert!(refusal.is_err(), "{setting}");
    }
    // Nor on its own one for another tenant.
    drop(tx);
    let mut tx = db.within(&tenant("acme")).await.expect("within");
    let other = sql(
        "SELECT set_config('mcp.tenant', replace(current_setting('mcp.tenant'), 'acme', 'globex'), true)",
    );
    other.fetch_one::<(String,)>(&mut tx).await.expect("set");
    let refusal = sql("SELECT text FROM note").fetch_all::<(String,)>(&mut tx).await;
    assert!(format!("{refusal:?}").contains("not signed"), "{refusal:?}");
}

#[tokio::test]
async fn what_one_tenant_leaves_on_a_connection_is_nothing_to_the_next() {
    let (house, _db) = house().await;
    let mut server = house.server().as_service("context");
    server.config.connections_max = 1;
    let db = Db::open(server, &service("context"), options()).await.expect("opens");

    // Left behind on purpose: the tenant's own setting for the whole session, and a table that stands in for the real one.
    let mut tx = db.within(&tenant("acme")).await.expect("within");
    sql("SELECT set_config('mcp.tenant', current_setting('mcp.tenant'), false)")
        .fetch_one::<(String,)>(&mut tx)
        .await
        .expect("set");
    let planted = sql("CREATE TEMPORARY TABLE note (text TEXT)").execute(&mut tx).await.is_ok();
    if planted {
        sql("SET search_path = pg_temp, context").execute(&mut tx).await.expect("set");
        tx.commit().await.expect("committed");
    } else {
        drop(tx);
    }
    assert_eq!(notes(&db, &tenant("globex")).await, ["globex' plan"]);
    put(&db, &tenant("globex"), "globex' second").await;
    let real = house.server().database.sql("SELECT count(*) FROM context.note WHERE tenant = 'globex'");
    assert_eq!(real, "2", "written to the real table");
    let mut tx = db.read_platform(&platform()).await.expect("read");
    let seen = sql("SELECT text FROM context.note").fetch_all::<(String,)>(&mut tx).await.expect("answered");
    assert!(seen.is_empty(), "the platform is no tenant: {seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_clean_after_errors_and_calls_that_were_cut_off() {
    let (house, _db) = house().await;
    let mut server = house.server().as_service("context");
    server.config.connections_max = 1;
    server.config.statement_ms_max = 1000;
    let db = Db::open(server, &service("context"), options()).await.expect("opens");
    for round in 0..20 {
        // Cut off at whatever point it has come to.
        let call = tokio::spawn({
            let db = db.clone();
            async move {
                let mut tx = db.within(&tenant("acme")).await.expect("within");
                insert(&mut tx, "cut off").await;
                let _ = sql("SELECT text FROM note, pg_sleep(0.02)").fetch_all::<(String,)>(&mut tx).await;
                let _ = sql("SELECT nonsense").execute(&mut tx).await;
                std::future::pending::<()>().await;
                drop(tx);
            }
        });
        tokio::time::sleep(Duration::from_millis(round * 2)).await;
        call.abort();
        let _ = call.await;
        assert_eq!(notes(&db, &tenant("globex")).await, ["globex' plan"], "round {round}");
        let mut tx = db.read_platform(&platform()).await.expect("read");
        let seen =
            sql("SELECT text FROM context.note").fetch_all::<(String,)>(&mut tx).await.expect("answered");
        assert!(seen.is_empty(), "{seen:?}");
        let rows = select(&mut tx).await;
        assert!(rows.is_empty());
    }
    assert_eq!(notes(&db, &tenant("acme")).await, ["acme's plan"], "nothing of what was cut off");
}

#[tokio::test]
async fn one_services_role_cannot_look_into_anothers_schema_nor_sign_with_its_key() {
    let (house, _db) = house().await;
    let server = house.server();
    server.migrate("auth", &options()).await.expect("migrated");
    let refusal = server.as_intruder("SELECT count(*) FROM auth.note").expect_err("another's");
    assert!(refusal.contains("permission denied for schema auth"), "{refusal}");
    let refusal = server.as_intruder("SELECT count(*) FROM auth_platform.note").expect_err("another's");
    assert!(refusal.contains("permission denied for schema auth_platform"), "{refusal}");
    // Who holds the key of another service has no role that it is good for.
    let key = server.guard_key.clone();
    let mut stolen = server.as_service("context");
    stolen.guard_key = key;
    let wrong = Db::open(stolen, &service("auth"), options()).await;
    assert!(wrong.is_err(), "{wrong:?}");
}
