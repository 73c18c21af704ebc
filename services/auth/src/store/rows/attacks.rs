//! What somebody finds who runs statements of their own: injected into a tenant's transaction, with the service's
//! login, with another service's, or with the whole database in hand.

use std::{fs, path::Path};

use mcp_store::{StoreError, TenantTx, sql};
use mcp_types::Timestamp;

use super::*;
use crate::{
    fixture::{Home, platform, scope_of},
    members::Member,
    roles::Role,
    store::{Members as _, Tenant, Tenants as _, migrated::Migrated},
};

const NOW: Timestamp = Timestamp::from_unix_secs(1_700_000_000);

/// Words that only somebody with the tenant's key may read.
const CANARIES: [&str; 4] = ["alice.canary", "gina.canary", "canary & sons", "founder.canary"];

/// Two tenants, each with a member, and one whose founder is not settled yet.
async fn fill(store: &Rows) {
    for (slug, user) in [("acme", CANARIES[0]), ("globex", CANARIES[1])] {
        let founder = Some(CANARIES[3].parse().expect("a name"));
        let slug_of = |slug: &str| slug.parse().expect("a slug");
        let tenant =
            Tenant { slug: slug_of(slug), display_name: CANARIES[2].to_owned(), created: NOW, founder };
        assert!(store.found(&platform(), &tenant).await.expect("founded"));
        let member = Member { user: user.parse().expect("a name"), role: Role::Owner, created: NOW };
        assert!(store.add(&scope_of(slug), &member).await.expect("added"));
    }
}

async fn on_postgres(home: &Home) -> (Migrated, Rows) {
    let server = Migrated::new(home.path()).await;
    let store = home.store_at(&server.config()).await;
    fill(&store).await;
    (server, store)
}

/// Begins a transaction of acme's, as an injected statement finds it.
async fn within_acme(store: &Rows) -> TenantTx {
    store.db.within(&scope_of("acme")).await.expect("begun")
}

async fn counted(tx: &mut TenantTx, statement: &'static str) -> Result<u64, StoreError> {
    sql(statement).fetch_one::<(u64,)>(tx).await.map(|(count,)| count)
}

#[tokio::test]
async fn sql_injected_into_a_tenants_transaction_sees_that_tenant_alone() {
    let home = Home::new();
    let (server, store) = on_postgres(&home).await;

    let mut tx = within_acme(&store).await;
    for (statement, seen) in [
        ("SELECT count(*) FROM members", 1),
        ("SELECT count(*) FROM members WHERE tenant = 'globex' OR true", 1),
        ("SELECT count(*) FROM auth.members WHERE tenant <> 'acme'", 0),
        ("SELECT count(*) FROM profiles", 1),
        ("SELECT count(*) FROM mcp_tenant_key WHERE tenant = 'globex'", 0),
    ] {
        assert_eq!(counted(&mut tx, statement).await.expect("answers"), seen, "{statement}");
    }
    let changed = sql("UPDATE members SET role = 'viewer'").execute(&mut tx).await.expect("its own");
    let removed = sql("DELETE FROM members WHERE tenant = 'globex'").execute(&mut tx).await.expect("nothing");
    assert_eq!((changed, removed), (1, 0));
    tx.commit().await.expect("committed");
    assert_eq!(
        server.database.sql("SELECT tenant, role FROM auth.members ORDER BY 1"),
        "acme|viewer\nglobex|owner"
    );
}

#[tokio::test]
async fn sql_injected_into_a_tenants_transaction_gets_nowhere_else() {
    let home = Home::new();
    let (server, store) = on_postgres(&home).await;
    let before = server.database.sql("SELECT * FROM auth.members ORDER BY tenant");

    for statement in [
        "INSERT INTO members (tenant, name_hash, name, role, created)
         SELECT 'globex', name_hash, name, role, created FROM members",
        "UPDATE members SET tenant = 'globex'",
        "SELECT inner_pad FROM guard.signer",
        "UPDATE guard.signer SET role = 'mcp_auth'",
        "ALTER TABLE members DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE members NO FORCE ROW LEVEL SECURITY",
        "DROP POLICY mcp_tenant ON members",
        "CREATE FUNCTION auth.tenant() RETURNS text LANGUAGE sql AS $$ SELECT 'globex' $$",
        "SET SESSION AUTHORIZATION postgres",
        "SET ROLE postgres",
        "COPY members TO PROGRAM 'cat'",
    ] {
        let mut tx = within_acme(&store).await;
        assert!(sql(statement).execute(&mut tx).await.is_err(), "{statement}");
    }
    for forged in [
        "SELECT set_config('row_security', 'off', true)",
        "SELECT set_config('mcp.tenant', 'globex', true)",
        "SELECT set_config('mcp.tenant', 'globex.auth.00', true)",
        "SELECT set_config('mcp.tenant', replace(current_setting('mcp.tenant'), 'acme', 'globex'), true)",
        "SELECT set_config('mcp.tenant', replace(current_setting('mcp.tenant'), '.auth.', '.ca.'), true)",
    ] {
        let mut tx = within_acme(&store).await;
        sql(forged).fetch_one::<(String,)>(&mut tx).await.expect("anybody may set it");
        let seen = counted(&mut tx, "SELECT count(*) FROM members").await;
        assert!(seen.is_err(), "{forged}: {seen:?}");
    }
    let mut tx = within_acme(&store).await;
    sql("SELECT set_config('mcp.tenant', '', true)").fetch_one::<(String,)>(&mut tx).await.expect("set");
    assert_eq!(counted(&mut tx, "SELECT count(*) FROM members").await.expect("answers"), 0);
    drop(tx);
    assert_eq!(server.database.sql("SELECT * FROM auth.members ORDER BY tenant"), before);
}

#[tokio::test]
async fn a_signature_is_of_no_use_on_another_connection() {
    let home = Home::new();
    let (server, store) = on_postgres(&home).await;
    let mut tx = within_acme(&store).await;
    let (signed,): (String,) =
        sql("SELECT current_setting('mcp.tenant')").fetch_one(&mut tx).await.expect("it is set");

    let replay = format!("SET mcp.tenant = '{signed}'; SELECT count(*) FROM auth.members");
    let replayed = server.as_thief(&replay).expect_err("bound to its connection");

    assert!(replayed.contains("not signed for this connection"), "{replayed}");
}

#[tokio::test]
async fn the_services_login_alone_shows_no_row_of_any_tenant() {
    let home = Home::new();
    let (server, _store) = on_postgres(&home).await;

    for table in ["members", "profiles", "mcp_tenant_key"] {
        let seen = server.as_thief(&format!("SELECT count(*) FROM auth.{table}"));
        assert_eq!(seen, Ok("0".to_owned()), "{table}");
    }
    let slugs = server.as_thief("SELECT slug FROM auth_platform.tenants ORDER BY 1");
    assert_eq!(slugs, Ok("acme\nglobex".to_owned()), "names of tenants are in the clear, and nothing else");
    let added = "INSERT INTO auth.members (name_hash, name, role, created) SELECT sha256(''), '', 'owner', 0";
    assert!(server.as_thief(added).is_err());
    assert!(server.as_thief("SELECT * FROM guard.signer").is_err());
}

#[tokio::test]
async fn services_cannot_read_each_others_schemas() {
    let home = Home::new();
    let (server, _store) = on_postgres(&home).await;
    let ca = server.neighbour("ca", &options()).await;

    for (login, schema) in [(&ca, "auth"), (&server.login, "ca")] {
        for table in ["members", "profiles", "mcp_tenant_key"] {
            let refused =
                server.as_user(login, &format!("SELECT * FROM {schema}.{table}")).expect_err("not its own");
            assert!(refused.contains("permission denied for schema"), "{refused}");
        }
        let refused = server.as_user(login, &format!("SELECT * FROM {schema}_platform.tenants"));
        assert!(refused.expect_err("not its own").contains("permission denied for schema"));
    }
    assert_eq!(server.as_user(&ca, "SELECT count(*) FROM ca_platform.tenants"), Ok("0".to_owned()));
}

#[tokio::test]
async fn a_row_that_is_moved_to_another_tenant_does_not_open() {
    let home = Home::new();
    let (server, store) = on_postgres(&home).await;
    assert_eq!(store.members(&scope_of("acme"), None, 10).await.expect("listed").len(), 1);

    // As whoever holds the server may do: no policy holds a superuser.
    server.database.sql(
        "INSERT INTO auth.members SELECT 'acme', name_hash, name, role, created FROM auth.members
         WHERE tenant = 'globex'",
    );

    let listed = store.members(&scope_of("acme"), None, 10).await;
    assert!(matches!(listed, Err(StoreError::Unopenable { .. })), "{listed:?}");
}

#[tokio::test]
async fn no_dump_of_the_database_holds_what_anybody_is_called() {
    let home = Home::new();
    let (server, _store) = on_postgres(&home).await;

    let dump = server.database.server().client("pg_dump").arg(server.database.name()).output();
    let dump = dump.expect("pg_dump runs");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));

    // PostgreSQL writes bytes as hexadecimal digits: nothing can be hidden by that here.
    let text = String::from_utf8_lossy(&dump.stdout);
    assert!(text.contains("globex"));
    for canary in CANARIES {
        assert!(!text.contains(canary) && !text.contains(&hex(canary)), "{canary} is in the dump");
    }
}

#[tokio::test]
async fn no_file_of_the_embedded_store_holds_what_anybody_is_called() {
    let home = Home::new();
    let store = home.store().await;
    fill(&store).await;

    // While it is open, so that the logs beside the files are looked at too.
    let mut files = Vec::new();
    read_all(home.path(), &mut files);
    assert!(files.iter().any(|(name, _)| name.ends_with("acme.db-wal")), "the logs are there");
    let holds = |bytes: &[u8], word: &str| bytes.windows(word.len()).any(|part| part == word.as_bytes());
    assert!(files.iter().any(|(_, bytes)| holds(bytes, "globex")));
    for canary in CANARIES {
        let holder = files.iter().find(|(_, bytes)| holds(bytes, canary));
        assert_eq!(holder.map(|(name, _)| name), None, "{canary}");
    }
}

#[tokio::test]
async fn the_tables_are_as_they_are_declared_on_both_engines() {
    let (files, home) = (Home::new(), Home::new());
    let embedded = files.store().await;
    fill(&embedded).await;
    let (_server, store) = on_postgres(&home).await;

    for db in [&embedded.db, &store.db] {
        assert_eq!(db.check_tables(&scope_of("acme")).await.expect("answers"), Vec::<String>::new());
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn read_all(folder: &Path, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("readable").map(|entry| entry.expect("readable").path()) {
        if entry.is_dir() {
            read_all(&entry, files);
        } else {
            files.push((entry.display().to_string(), fs::read(&entry).expect("readable")));
        }
    }
}
