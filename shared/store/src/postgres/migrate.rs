//! The tables, made and brought up to date by their owner: a role that no service has.

use mcp_types::ServiceName;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

use super::{
    connect,
    signer::Pads,
    version::{applied, enter, own_applied},
};
use crate::{
    Engine, Migration, Options, StoreError,
    config::Server,
    migration::{OF_EVERY_PLATFORM, OF_EVERY_TENANT, check_order, pending},
};

/// The guard's own tables and functions.
const GUARD: &[Migration] = &[Migration {
    version: 1,
    name: "guard",
    sqlite: "",
    postgres: include_str!("../../migrations/postgres/guard/0001_guard.sql"),
}];

/// Makes or brings up to date what `service` needs in the database, as the owner whose login `owner` holds; answers with
/// what was applied. All of it is one transaction.
///
/// The owner may create schemas in the database and roles in the server, and need be no superuser. Run again with another
/// guard key, the one before stays good too: services take up the new one as they restart.
///
/// # Errors
///
/// [`StoreError`]; nothing was changed then.
pub async fn migrate_postgres(
    owner: &Server,
    service: &ServiceName,
    options: &Options,
) -> Result<Vec<String>, StoreError> {
    check_order(options.tenant)?;
    check_order(options.platform)?;
    let doing = StoreError::doing;
    let login = connect::options(&owner.config, &owner.login, owner.plaintext)?;
    let mut connection = login.connect().await.map_err(doing("connect as the owner"))?;
    let mut tx = connection.begin().await.map_err(doing("begin to migrate"))?;
    // Of two that migrate at once the second finds the work done.
    sqlx::raw_sql("SELECT pg_advisory_xact_lock(hashtextextended('mcp migrate', 0))")
        .execute(&mut *tx)
        .await
        .map_err(doing("wait for another migration"))?;

    let mut done = guard(&mut tx).await?;
    sqlx::query("SELECT guard.admit($1)")
        .bind(service.as_str())
        .execute(&mut *tx)
        .await
        .map_err(doing("admit a service"))?;
    signer(&mut tx, owner, service).await?;
    for (place, own, migrations) in [
        (service.to_string(), OF_EVERY_TENANT, options.tenant),
        (format!("{service}_platform"), OF_EVERY_PLATFORM, options.platform),
    ] {
        enter(&mut tx, &place).await?;
        for migration in pending(Engine::Postgres, &place, own, &own_applied(&mut tx, &place).await?)? {
            let record = "INSERT INTO mcp_store_migration (version, name, sha256) VALUES ($1, $2, $3)";
            apply(&mut tx, migration, record).await?;
        }
        for migration in pending(Engine::Postgres, &place, migrations, &applied(&mut tx).await?)? {
            let record = "INSERT INTO mcp_migration (version, name, sha256) VALUES ($1, $2, $3)";
            apply(&mut tx, migration, record).await?;
            done.push(format!("{place} {} {}", migration.version, migration.name));
        }
    }
    sqlx::query("SELECT guard.protect($1)")
        .bind(service.as_str())
        .execute(&mut *tx)
        .await
        .map_err(doing("put tables under their policy"))?;
    tx.commit().await.map_err(doing("commit a migration"))?;
    Ok(done)
}

async fn guard(tx: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    sqlx::raw_sql(
        "CREATE SCHEMA IF NOT EXISTS guard;
         CREATE TABLE IF NOT EXISTS guard.mcp_migration (version BIGINT PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL);",
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::doing("begin a guard"))?;
    enter(tx, "guard").await?;
    let mut done = Vec::new();
    for migration in pending(Engine::Postgres, "guard", GUARD, &applied(tx).await?)? {
        let record = "INSERT INTO guard.mcp_migration (version, name, sha256) VALUES ($1, $2, $3)";
        apply(tx, migration, record).await?;
        done.push(format!("guard {} {}", migration.version, migration.name));
    }
    Ok(done)
}

/// Lets the database know what the service signs with; it keeps the key before that one too, and none older.
async fn signer(tx: &mut PgConnection, owner: &Server, service: &ServiceName) -> Result<(), StoreError> {
    let doing = StoreError::doing;
    let pads = Pads::of(&owner.guard_key);
    sqlx::query(
        "INSERT INTO guard.signer (service, generation, role, inner_pad, outer_pad)
         SELECT $1, (SELECT COALESCE(max(generation), 0) + 1 FROM guard.signer WHERE service = $1), 'mcp_' || $1, $2, $3
         WHERE NOT EXISTS (SELECT 1 FROM guard.signer WHERE service = $1 AND inner_pad = $2)",
    )
    .bind(service.as_str())
    .bind(&pads.inner[..])
    .bind(&pads.outer[..])
    .execute(&mut *tx)
    .await
    .map_err(doing("let the guard know a key"))?;
    sqlx::query(
        "DELETE FROM guard.signer WHERE service = $1
         AND generation < (SELECT max(generation) - 1 FROM guard.signer WHERE service = $1)",
    )
    .bind(service.as_str())
    .execute(tx)
    .await
    .map_err(doing("take a key from the guard"))?;
    Ok(())
}

async fn apply(tx: &mut PgConnection, migration: &Migration, record: &'static str) -> Result<(), StoreError> {
    sqlx::raw_sql(migration.postgres).execute(&mut *tx).await.map_err(StoreError::doing("migrate"))?;
    sqlx::query(record)
        .bind(i64::from(migration.version))
        .bind(migration.name)
        .bind(migration.checksum(Engine::Postgres))
        .persistent(false)
        .execute(tx)
        .await
        .map_err(StoreError::doing("record a migration"))?;
    Ok(())
}
