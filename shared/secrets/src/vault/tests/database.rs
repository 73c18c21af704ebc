//! Users of a real PostgreSQL that live for seconds, followed by whoever connects.

use mcp_testkit::PostgresServer;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn users_are_renewed_and_replaced_ahead_so_that_no_connection_is_refused() {
    let postgres = PostgresServer::start();
    let database = postgres.database();
    let name = database.name().to_owned();
    postgres.sql(
        &name,
        "CREATE ROLE vault LOGIN CREATEROLE PASSWORD 'laid-down-once'; GRANT pg_signal_backend TO vault;
         CREATE ROLE mcp_ca; CREATE ROLE mcp_auth; CREATE ROLE mcp_context;
         CREATE TABLE rows (id bigint); GRANT SELECT ON rows TO mcp_context",
    );
    let server = OpenBaoServer::start();
    let (port, ca) = (postgres.port(), postgres.ca());
    let url = format!(
        "postgresql://{{{{username}}}}:{{{{password}}}}@127.0.0.1:{port}/{name}?sslmode=verify-full&sslrootcert={}",
        ca.display()
    );
    let password = written(server.folder(), "password", "laid-down-once");
    server.set_up(&[
        ("MCP_DATABASE_URL", &url),
        ("MCP_DATABASE_USER", "vault"),
        ("MCP_DATABASE_PASSWORD_FILE", password.to_str().expect("text")),
        ("MCP_DATABASE_ROTATE", "1"),
        ("MCP_DATABASE_TTL", "3s"),
        ("MCP_DATABASE_TTL_MAX", "8s"),
    ]);
    let refused = postgres.try_sql("vault", "laid-down-once", &name, "SELECT 1");
    assert!(refused.is_err(), "the vault has changed its own password");

    let vault = logged_in(&server, "context").await;
    let credentials = vault.database_credentials("context").await.expect("a user");
    let current = credentials.watch();
    let (mut users, mut asked) = (Vec::new(), 0);
    let begun = tokio::time::Instant::now();
    while users.len() < 3 {
        assert!(begun.elapsed() < PATIENCE, "only {users:?} after {asked} connections");
        let now = current.borrow().clone();
        if users.last() != Some(&now.user) {
            users.push(now.user.clone());
        }
        let rows = postgres.try_sql(&now.user, now.password(), &name, "SELECT count(*) FROM rows");
        assert_eq!(rows.as_deref(), Ok("0"), "no connection is refused");
        asked += 1;
    }

    // Each lived past its first term, so it was renewed, and what is over is gone from the database.
    assert!(begun.elapsed() > Duration::from_secs(7), "{:?}", begun.elapsed());
    let first = users.first().expect("a user");
    let gone = format!("SELECT count(*) FROM pg_roles WHERE rolname = '{first}'");
    while postgres.sql(&name, &gone) != "0" {
        assert!(begun.elapsed() < PATIENCE * 2, "{first} is still there");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!format!("{current:?}").contains(current.borrow().password()));
}
