//! A connection: TLS, limits, and no role that could get around the policies.

use std::net::IpAddr;

use sqlx::{
    ConnectOptions as _, PgConnection,
    postgres::{PgConnectOptions, PgSslMode},
};

use crate::{
    StoreError,
    config::{Login, Plaintext, PostgresConfig},
};

/// Connections' names in the server's own views.
const APPLICATION: &str = "mcp";

/// How a connection is made as `login`.
///
/// # Errors
///
/// Where it would be in plain text and may not.
pub(crate) fn options(
    config: &PostgresConfig,
    login: &Login,
    plaintext: Plaintext,
) -> Result<PgConnectOptions, StoreError> {
    let password = String::from_utf8_lossy(login.password.expose());
    let statement_ms = config.statement_ms_max.to_string();
    let options = PgConnectOptions::new_without_pgpass()
        .host(&config.host)
        .port(config.port)
        .database(&config.database)
        .username(&login.user)
        .password(&password)
        .application_name(APPLICATION)
        .options([
            // No statement runs on for long after its caller has gone, and none waits for ever for a lock.
            ("statement_timeout", statement_ms.as_str()),
            ("lock_timeout", statement_ms.as_str()),
            ("idle_in_transaction_session_timeout", "60000"),
            ("client_connection_check_interval", "1000"),
            ("timezone", "UTC"),
        ])
        .disable_statement_logging();
    match &config.ca {
        Some(ca) => Ok(options.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert(ca)),
        None if plaintext == Plaintext::OnLoopback && is_loopback(&config.host) => {
            Ok(options.ssl_mode(PgSslMode::Disable))
        }
        None => Err(StoreError::Unfit {
            what: format!(
                "the server {} would be reached without TLS; name the authority of its certificate (postgres.ca)",
                config.host
            ),
        }),
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|it| it.is_loopback())
}

/// Connects, and refuses a role that policies would not hold; answers with the backend's number.
pub(crate) async fn connect(options: &PgConnectOptions) -> Result<(PgConnection, i32), StoreError> {
    let doing = StoreError::doing;
    let mut connection = options.connect().await.map_err(doing("connect"))?;
    let guarded: bool = sqlx::query_scalar("SELECT to_regclass('guard.signer') IS NOT NULL")
        .fetch_one(&mut connection)
        .await
        .map_err(doing("look for the guard"))?;
    if !guarded {
        return Err(StoreError::Unfit {
            what: "the database has no guard yet; let its owner migrate it first".to_owned(),
        });
    }
    let (pid, powers, owned, key, synchronous): (i32, i64, i64, bool, String) = sqlx::query_as(
        "SELECT pg_backend_pid(),
                (SELECT count(*) FROM pg_roles
                 WHERE (rolsuper OR rolbypassrls) AND pg_has_role(session_user, oid, 'MEMBER')),
                (SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
                 WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname !~ '^pg_'
                   AND pg_has_role(session_user, relowner, 'MEMBER')),
                has_table_privilege('guard.signer', 'SELECT'),
                current_setting('synchronous_commit')",
    )
    .fetch_one(&mut connection)
    .await
    .map_err(doing("look who the service is to the server"))?;
    let user = options.get_username();
    let fault = if powers > 0 {
        "is a superuser or may bypass row-level security"
    } else if owned > 0 {
        "owns tables, or is a member of a role that does"
    } else if key {
        "can read the key that signs tenants"
    } else if synchronous == "off" {
        "commits without waiting for the disk (synchronous_commit is off)"
    } else {
        return Ok((connection, pid));
    };
    Err(StoreError::Unfit {
        what: format!("role {user} {fault}; give the service a role of its own that does not"),
    })
}
