//! One SQLite file: one writer, a few readers, each with a thread of its own.

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, Sqlite, SqlitePool, Transaction,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    folder,
    migrate::{Owner, migrate},
};
use crate::{Migration, StoreError, schema::erasing};

/// Page cache of a connection in KiB; SQLite's own two MiB, times all open files, would be felt.
const PAGE_CACHE_KIB: &str = "-512";

/// An open file.
///
/// Writers queue for the one connection that writes: they meet in order and in our own queue, instead of
/// finding the file locked. Readers see the last commit and wait for nobody (write-ahead log).
#[derive(Debug)]
pub(crate) struct SqliteFile {
    writer: SqlitePool,
    readers: SqlitePool,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// The store's own tables.
    pub(crate) own: &'static [Migration],
    /// The service's.
    pub(crate) migrations: &'static [Migration],
    pub(crate) readers_max: u32,
    pub(crate) wait_max: Duration,
}

// === impl SqliteFile ===

impl SqliteFile {
    /// Opens `file`, making and migrating it where it is not yet as it should be.
    pub(crate) async fn open(file: &Path, owner: &Owner, manner: Manner) -> Result<Self, StoreError> {
        folder::create_file(file)?;
        let options = connect_options(manner).filename(file);
        let writer = pool_options(manner, 1)
            .connect_with(
                options
                    .clone()
                    .journal_mode(SqliteJournalMode::Wal)
                    // What was acknowledged is on the disk, also after a power cut.
                    .synchronous(SqliteSynchronous::Full),
            )
            .await
            .map_err(StoreError::doing("open a file"))?;

        let mut connection = writer.acquire().await.map_err(StoreError::doing("open a file"))?;
        migrate(&mut connection, file, owner, manner.own, manner.migrations).await?;
        drop(connection);

        // Lazily: most tenants that are written to are not being read at the same moment.
        let readers = pool_options(manner, manner.readers_max).connect_lazy_with(options.read_only(true));
        Ok(Self { writer, readers })
    }

    /// Opens what stands for the file of a tenant that has never written: the tables, and no rows.
    pub(crate) fn nothing(owner: &Owner, manner: Manner) -> Self {
        let owner = owner.clone();
        let readers = pool_options(manner, 1)
            .after_connect(move |connection, _| {
                let owner = owner.clone();
                Box::pin(async move {
                    migrate(connection, Path::new(":memory:"), &owner, manner.own, manner.migrations)
                        .await
                        .map_err(|error| sqlx::Error::Configuration(error.into()))?;
                    // All who have nothing share it, so nobody may leave anything in it.
                    sqlx::query("PRAGMA query_only = ON").execute(connection).await?;
                    Ok(())
                })
            })
            .connect_lazy_with(connect_options(manner).in_memory(true));
        Self { writer: readers.clone(), readers }
    }

    /// Begins to write, as the only one.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        // IMMEDIATE: a transaction that reads first and then finds the file locked could only start over.
        let begun = self.writer.begin_with("BEGIN IMMEDIATE").await;
        let doing = "begin to write";
        if !matches!(begun, Err(sqlx::Error::InvalidSavePointStatement)) {
            return begun.map_err(StoreError::doing(doing));
        }
        // SQLite ends a transaction by itself when its disk is full; the connection then counts as one that is still in it,
        // and would for ever.
        let stuck = self.writer.acquire().await.map_err(StoreError::doing(doing))?;
        stuck.close().await.map_err(StoreError::doing(doing))?;
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::doing(doing))
    }

    /// Begins to read; what is seen stays the same until the transaction ends.
    pub(crate) async fn read(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.readers.begin().await.map_err(StoreError::doing("begin to read"))
    }

    /// Removes all rows but the audit log's and what says whose the file is, and gives their room back to the disk; answers
    /// how many there were.
    pub(crate) async fn erase(&self) -> Result<u64, StoreError> {
        let doing = || StoreError::doing("remove a tenant's rows");
        let mut connection = self.writer.acquire().await.map_err(doing())?;
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(doing())?;
        // All are gone in the end, so no row is left that refers to another.
        sqlx::raw_sql("PRAGMA defer_foreign_keys = ON").execute(&mut *tx).await.map_err(doing())?;
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'mcp_audit%'
             AND name NOT IN ('mcp_file', 'mcp_migration', 'mcp_store_migration')",
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(doing())?;
        let mut rows = 0;
        for statement in erasing(&tables) {
            rows += sqlx::query(statement).execute(&mut *tx).await.map_err(doing())?.rows_affected();
        }
        tx.commit().await.map_err(doing())?;
        sqlx::raw_sql("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);")
            .execute(&mut *connection)
            .await
            .map_err(doing())?;
        Ok(rows)
    }

    /// Closes the file once nobody uses it any more.
    pub(crate) async fn close(&self) {
        // The writer last, so that it is the one to fold the log into the file.
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn connect_options(manner: Manner) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .create_if_missing(false)
        .foreign_keys(true)
        // Other processes only: within this one, writers queue before they come here.
        .busy_timeout(manner.wait_max)
        .pragma("cache_size", PAGE_CACHE_KIB)
        // The schema of a file is not trusted to call functions with side effects.
        .pragma("trusted_schema", "OFF")
        .disable_statement_logging()
}

fn pool_options(manner: Manner, connections_max: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(manner.wait_max)
        // A connection lives as long as its file is open: there is no server to lose it to, and each of
        // these would cost a task or a round trip.
        .max_lifetime(None)
        .idle_timeout(None)
        .test_before_acquire(false)
}
