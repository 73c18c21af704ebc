//! Whether the tables are what this program needs: checked when it starts, since it cannot change them.

use sqlx::PgConnection;

use super::pool::Pool;
use crate::{
    Engine, Migration, Options, StoreError,
    migration::{OF_EVERY_PLATFORM, OF_EVERY_TENANT, pending},
};

/// Refuses tables that are older than `options` needs, were made by other migrations, or that no policy holds.
pub(crate) async fn check(pool: &Pool, options: &Options) -> Result<(), StoreError> {
    let mut pooled = pool.take(pool.deadline()).await?;
    let service = pool.signer().service().to_string();
    let connection = pooled.connection();
    let doing = StoreError::doing;
    sqlx::raw_sql("BEGIN READ ONLY").execute(&mut *connection).await.map_err(doing("look at the tables"))?;
    let platform = format!("{service}_platform");
    for (place, own, migrations) in
        [(&service, OF_EVERY_TENANT, options.tenant), (&platform, OF_EVERY_PLATFORM, options.platform)]
    {
        enter(connection, place).await?;
        let has = own_applied(connection, place).await?;
        up_to_date(place, own, &has)?;
        up_to_date(place, migrations, &applied(connection).await?)?;
    }
    unprotected(connection, &service).await?;
    sqlx::raw_sql("COMMIT").execute(connection).await.map_err(doing("look at the tables"))?;
    pooled.give_back();
    Ok(())
}

/// Names the schema that statements are about from here on, in this transaction.
pub(crate) async fn enter(connection: &mut PgConnection, place: &str) -> Result<(), StoreError> {
    sqlx::query("SELECT set_config('search_path', quote_ident($1) || ', pg_temp', true)")
        .bind(place)
        .execute(connection)
        .await
        .map_err(StoreError::doing("enter a schema"))?;
    Ok(())
}

/// The service's migrations that were applied to the schema that was entered.
pub(crate) async fn applied(connection: &mut PgConnection) -> Result<Vec<(u32, String)>, StoreError> {
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT version, sha256 FROM mcp_migration ORDER BY version")
            .persistent(false)
            .fetch_all(connection)
            .await
            .map_err(StoreError::doing("read what was applied"))?;
    numbered(rows)
}

/// The store's own.
pub(crate) async fn own_applied(
    connection: &mut PgConnection,
    place: &str,
) -> Result<Vec<(u32, String)>, StoreError> {
    let is_there: bool = sqlx::query_scalar("SELECT to_regclass('mcp_store_migration') IS NOT NULL")
        .persistent(false)
        .fetch_one(&mut *connection)
        .await
        .map_err(StoreError::doing("look for migrations"))?;
    if !is_there {
        return Err(StoreError::Behind { place: place.to_owned(), has: 0, needs: 1 });
    }
    let rows: Vec<(i64, String)> =
        sqlx::query_as("SELECT version, sha256 FROM mcp_store_migration ORDER BY version")
            .persistent(false)
            .fetch_all(connection)
            .await
            .map_err(StoreError::doing("read what was applied"))?;
    numbered(rows)
}

fn numbered(rows: Vec<(i64, String)>) -> Result<Vec<(u32, String)>, StoreError> {
    let numbered = rows.into_iter().map(|(version, sha256)| Ok((u32::try_from(version)?, sha256)));
    numbered
        .collect::<Result<_, std::num::TryFromIntError>>()
        .map_err(StoreError::unreadable("read what was applied"))
}

fn up_to_date(
    place: &str,
    migrations: &'static [Migration],
    applied: &[(u32, String)],
) -> Result<(), StoreError> {
    match pending(Engine::Postgres, place, migrations, applied)?.last() {
        None => Ok(()),
        Some(newest) => Err(StoreError::Behind {
            place: place.to_owned(),
            has: applied.last().map_or(0, |(version, _)| *version),
            needs: newest.version,
        }),
    }
}

/// Refuses tables of tenants' rows that the policy does not hold: somebody changed them since.
async fn unprotected(connection: &mut PgConnection, service: &str) -> Result<(), StoreError> {
    let open: Option<String> = sqlx::query_scalar(
        "SELECT c.relname::TEXT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
           AND c.relname NOT IN ('mcp_migration', 'mcp_store_migration')
           AND NOT (c.relrowsecurity AND c.relforcerowsecurity
                    AND (SELECT count(*) = 1 AND bool_and(polname = 'mcp_tenant' AND polcmd = '*')
                         FROM pg_policy WHERE polrelid = c.oid))
         LIMIT 1",
    )
    .bind(service)
    .fetch_optional(connection)
    .await
    .map_err(StoreError::doing("look at the policies"))?;
    match open {
        None => Ok(()),
        Some(table) => Err(StoreError::Unfit {
            what: format!(
                "no policy keeps tenants apart in {service}.{table}; let the owner of the database migrate it"
            ),
        }),
    }
}
