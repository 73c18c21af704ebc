//! Brings a file's tables up to date when it is opened.

use std::path::Path;

use sqlx::{Connection as _, SqliteConnection};

use crate::{Engine, Migration, StoreError, migration::pending};

/// Whose file it is, written into the file itself: one that was moved to another's place is refused.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) service: String,
    /// The tenant, or `/platform` for the file of tables without one: no tenant's name has a slash.
    pub(crate) of: String,
}

/// Brings `file` to the newest of `own`, the store's tables, and of `migrations`, its service's; writes nothing where it
/// is there already.
pub(crate) async fn migrate(
    connection: &mut SqliteConnection,
    file: &Path,
    owner: &Owner,
    own: &'static [Migration],
    migrations: &'static [Migration],
) -> Result<(), StoreError> {
    let place = file.display().to_string();
    if is_begun(connection).await? {
        check_owner(connection, &place, owner).await?;
        let is_done = pending(Engine::Sqlite, &place, own, &own_applied(connection).await?)?.is_empty()
            && pending(Engine::Sqlite, &place, migrations, &applied(connection).await?)?.is_empty();
        if is_done {
            return Ok(());
        }
    }

    // From here on as the only writer, so that of two processes the second finds the work done.
    let doing = StoreError::doing;
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(doing("begin to migrate"))?;
    begin(&mut tx, owner).await?;
    check_owner(&mut tx, &place, owner).await?;
    for migration in pending(Engine::Sqlite, &place, own, &own_applied(&mut tx).await?)? {
        apply(
            &mut tx,
            migration,
            "INSERT INTO mcp_store_migration (version, name, sha256) VALUES ($1, $2, $3)",
        )
        .await?;
    }
    for migration in pending(Engine::Sqlite, &place, migrations, &applied(&mut tx).await?)? {
        apply(&mut tx, migration, "INSERT INTO mcp_migration (version, name, sha256) VALUES ($1, $2, $3)")
            .await?;
        tracing::debug!(version = migration.version, name = migration.name, owner = owner.of, "migrated");
    }
    tx.commit().await.map_err(doing("commit a migration"))
}

async fn apply(
    tx: &mut SqliteConnection,
    migration: &Migration,
    record: &'static str,
) -> Result<(), StoreError> {
    sqlx::raw_sql(migration.sqlite).execute(&mut *tx).await.map_err(StoreError::doing("migrate"))?;
    sqlx::query(record)
        .bind(migration.version)
        .bind(migration.name)
        .bind(migration.checksum(Engine::Sqlite))
        .execute(tx)
        .await
        .map_err(StoreError::doing("record a migration"))?;
    Ok(())
}

async fn is_begun(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    sqlx::query_scalar(
        "SELECT count(*) = 2 FROM sqlite_schema WHERE name IN ('mcp_migration', 'mcp_store_migration')",
    )
    .fetch_one(connection)
    .await
    .map_err(StoreError::doing("look for migrations"))
}

/// Makes what tells a file's owner and version, where it is not there; a file that has it keeps its owner.
async fn begin(tx: &mut SqliteConnection, owner: &Owner) -> Result<(), StoreError> {
    sqlx::raw_sql(
        "CREATE TABLE IF NOT EXISTS mcp_file (service TEXT NOT NULL, owner TEXT NOT NULL);
         CREATE TABLE IF NOT EXISTS mcp_migration
             (version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL);
         CREATE TABLE IF NOT EXISTS mcp_store_migration
             (version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL);",
    )
    .execute(&mut *tx)
    .await
    .map_err(StoreError::doing("begin a file"))?;
    sqlx::query(
        "INSERT INTO mcp_file (service, owner) SELECT $1, $2 WHERE NOT EXISTS (SELECT 1 FROM mcp_file)",
    )
    .bind(&owner.service)
    .bind(&owner.of)
    .execute(tx)
    .await
    .map_err(StoreError::doing("name a file's owner"))?;
    Ok(())
}

async fn check_owner(
    connection: &mut SqliteConnection,
    place: &str,
    owner: &Owner,
) -> Result<(), StoreError> {
    let named: Option<(String, String)> = sqlx::query_as("SELECT service, owner FROM mcp_file")
        .fetch_optional(connection)
        .await
        .map_err(StoreError::doing("read a file's owner"))?;
    match named {
        Some((service, of)) if service == owner.service && of == owner.of => Ok(()),
        _ => Err(StoreError::Misplaced {
            file: place.into(),
            owner: format!("{} of {}", owner.of, owner.service),
        }),
    }
}

async fn applied(connection: &mut SqliteConnection) -> Result<Vec<(u32, String)>, StoreError> {
    sqlx::query_as("SELECT version, sha256 FROM mcp_migration ORDER BY version")
        .fetch_all(connection)
        .await
        .map_err(StoreError::doing("read what was applied"))
}

async fn own_applied(connection: &mut SqliteConnection) -> Result<Vec<(u32, String)>, StoreError> {
    sqlx::query_as("SELECT version, sha256 FROM mcp_store_migration ORDER BY version")
        .fetch_all(connection)
        .await
        .map_err(StoreError::doing("read what was applied"))
}
