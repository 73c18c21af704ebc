//! The tables of a service on its server, as their owner makes them: what an operator runs before the service.

use mcp_secrets::Secret;
use mcp_types::ServiceName;

use crate::{Config, EngineName, Login, Options, Plaintext, Server, StoreError, postgres::migrate_postgres};

/// Who owns the tables, which no service does.
#[derive(Clone, Debug)]
pub struct Owner {
    /// A role that may create schemas in the database and roles in the server, and need be no superuser.
    pub login: Login,
    /// Whether the server may be reached without TLS.
    pub plaintext: Plaintext,
}

/// Makes or brings up to date what `service` needs on the server that `config` names, as `owner`; answers with what was
/// applied. `guard_key` signs which tenant a transaction acts for: the service reads the same one by its reference.
///
/// # Errors
///
/// [`StoreError`]: `config` names no server, or as [`migrate_postgres`].
pub async fn migrate(
    config: &Config,
    service: &ServiceName,
    options: &Options,
    owner: &Owner,
    guard_key: Secret,
) -> Result<Vec<String>, StoreError> {
    let (EngineName::Postgres, Some(postgres)) = (config.engine, &config.postgres) else {
        return Err(StoreError::Unfit {
            what: format!("`{service}.store` names no PostgreSQL server; SQLite's files migrate themselves"),
        });
    };
    let (login, plaintext) = (owner.login.clone(), owner.plaintext);
    let server = Server { config: postgres.clone(), login, guard_key, plaintext };
    migrate_postgres(&server, service, options).await
}
