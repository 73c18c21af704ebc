//! The tables: versioned, forward only, never edited once applied.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use sqlx::{Connection as _, SqliteConnection};

use crate::StoreError;

/// A step from one shape of the tables to the next.
///
/// Version N of a service may meet files that N+1 has migrated already, so a step must leave what N does
/// working: add, do not take away.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its place, counted from 1 without gaps.
    pub version: u32,
    /// What it is for, in a word or two.
    pub name: &'static str,
    /// What it does. No `BEGIN` or `COMMIT`: all steps that a file lacks are one transaction.
    pub sql: &'static str,
}

/// Whose file it is, written into the file itself: one that was moved to another's place is refused.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub(crate) service: String,
    /// The tenant, or `platform` for the file of tables without one. (A tenant of that name has its file
    /// in another folder; the slash keeps the two apart.)
    pub(crate) of: String,
}

/// Refuses migrations that are not numbered upwards from 1.
pub(crate) fn check_order(migrations: &[Migration]) -> Result<(), StoreError> {
    match migrations.iter().zip(1_u32..).find(|(migration, place)| migration.version != *place) {
        Some((migration, _)) => Err(StoreError::MigrationOutOfOrder { version: migration.version }),
        None => Ok(()),
    }
}

/// Brings `file` to the newest of `migrations`; writes nothing where it is there already.
pub(crate) async fn migrate(
    connection: &mut SqliteConnection,
    file: &Path,
    owner: &Owner,
    migrations: &'static [Migration],
) -> Result<(), StoreError> {
    if is_begun(connection).await? {
        check_owner(connection, file, owner).await?;
        if pending(connection, file, migrations).await?.is_empty() {
            return Ok(());
        }
    }

    // From here on as the only writer, so that of two processes the second finds the work done.
    let doing = StoreError::doing;
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(doing("begin to migrate"))?;
    if !is_begun(&mut tx).await? {
        sqlx::raw_sql(
            "CREATE TABLE mcp_file (service TEXT NOT NULL, owner TEXT NOT NULL);
             CREATE TABLE mcp_migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL);",
        )
        .execute(&mut *tx)
        .await
        .map_err(doing("begin a file"))?;
        sqlx::query("INSERT INTO mcp_file (service, owner) VALUES ($1, $2)")
            .bind(&owner.service)
            .bind(&owner.of)
            .execute(&mut *tx)
            .await
            .map_err(doing("name a file's owner"))?;
    }
    check_owner(&mut tx, file, owner).await?;
    for migration in pending(&mut tx, file, migrations).await? {
        sqlx::raw_sql(migration.sql).execute(&mut *tx).await.map_err(doing("migrate"))?;
        sqlx::query("INSERT INTO mcp_migration (version, name, sha256) VALUES ($1, $2, $3)")
            .bind(migration.version)
            .bind(migration.name)
            .bind(checksum(migration))
            .execute(&mut *tx)
            .await
            .map_err(doing("record a migration"))?;
        tracing::debug!(version = migration.version, name = migration.name, owner = owner.of, "migrated");
    }
    tx.commit().await.map_err(doing("commit a migration"))
}

async fn is_begun(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'mcp_migration')")
        .fetch_one(connection)
        .await
        .map_err(StoreError::doing("look for migrations"))
}

async fn check_owner(
    connection: &mut SqliteConnection,
    file: &Path,
    owner: &Owner,
) -> Result<(), StoreError> {
    let named: Option<(String, String)> = sqlx::query_as("SELECT service, owner FROM mcp_file")
        .fetch_optional(connection)
        .await
        .map_err(StoreError::doing("read a file's owner"))?;
    match named {
        Some((service, of)) if service == owner.service && of == owner.of => Ok(()),
        _ => Err(StoreError::Misplaced {
            file: file.to_owned(),
            owner: format!("{} of {}", owner.of, owner.service),
        }),
    }
}

/// What the file lacks; refuses a file to which something else was applied under the same number.
async fn pending(
    connection: &mut SqliteConnection,
    file: &Path,
    migrations: &'static [Migration],
) -> Result<&'static [Migration], StoreError> {
    let applied: Vec<(u32, String)> =
        sqlx::query_as("SELECT version, sha256 FROM mcp_migration ORDER BY version")
            .fetch_all(connection)
            .await
            .map_err(StoreError::doing("read what was applied"))?;
    // Beyond our own, a newer version of the service has been here.
    for (migration, (version, sha256)) in migrations.iter().zip(&applied) {
        if migration.version != *version || checksum(migration) != *sha256 {
            return Err(StoreError::MigrationChanged { version: migration.version, file: file.to_owned() });
        }
    }
    Ok(migrations.get(applied.len()..).unwrap_or_default())
}

fn checksum(migration: &Migration) -> String {
    hex::encode(digest(&SHA256, migration.sql.as_bytes()))
}
