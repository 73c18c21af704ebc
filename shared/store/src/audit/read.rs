//! A log read back: for its owner with contents, for anybody who holds the file without.

use std::path::Path;

use mcp_audit::log::{Checkpoint, Entry, Leaf};
use mcp_tenancy::TenantScope;
use sqlx::{
    Connection as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteRow},
};

use super::rows::{self, SEALED};
use crate::{Db, StoreError, TenantTx, sql};

/// Rows that are read at once.
const PAGE_ROWS: i64 = 1000;

/// A row of a log.
#[derive(Debug)]
pub struct AuditEntry {
    /// Its place; none where no checkpoint covers it yet.
    pub place: Option<u64>,
    /// What the tree holds of it.
    pub leaf: Leaf,
    /// None where it was erased, or is sealed to whoever reads.
    pub entry: Option<Entry>,
}

/// What was signed of a log.
pub type AuditHead = Checkpoint;

/// A row as it lies in its table.
type Stored = (Vec<u8>, Option<i64>, Vec<u8>, Option<Vec<u8>>);

/// A tenant's log in a file of the embedded engine, read without keys, beside the service that writes it.
#[derive(Debug)]
pub struct FileLog {
    connection: SqliteConnection,
}

// === impl Db ===

impl Db {
    /// What was signed last of the log of the scope's tenant, where anything was.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn audit_head(&self, scope: &TenantScope) -> Result<Option<AuditHead>, StoreError> {
        let mut tx = self.read(scope).await?;
        head(&mut tx).await
    }

    /// Hands the rows of the log of the scope's tenant to `each`, with their contents, oldest first and as they stand
    /// at one moment; those without a place come last. Answers with what was signed of them.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn read_audit(
        &self,
        scope: &TenantScope,
        each: &mut (dyn FnMut(AuditEntry) + Send),
    ) -> Result<Option<AuditHead>, StoreError> {
        let mut tx = self.read(scope).await?;
        let head = head(&mut tx).await?;
        let mut from = 0;
        loop {
            let page: Vec<Stored> = sql(
                "SELECT id, place, leaf, sealed FROM mcp_audit_row WHERE place >= $1 ORDER BY place LIMIT $2",
            )
            .doing("read an audit log")
            .bind(from)
            .bind(PAGE_ROWS)
            .fetch_all(&mut tx)
            .await?;
            let Some(last) = page.last().and_then(|(_, place, ..)| *place) else { break };
            from = last + 1;
            for stored in page {
                each(opened(&tx, stored)?);
            }
        }
        let mut after = Vec::new();
        loop {
            let page: Vec<Stored> = sql(
                "SELECT id, place, leaf, sealed FROM mcp_audit_row WHERE place IS NULL AND id > $1 ORDER BY id LIMIT $2",
            )
            .doing("read an audit log")
            .bind(&after[..])
            .bind(PAGE_ROWS)
            .fetch_all(&mut tx)
            .await?;
            let Some((last, ..)) = page.last() else { break };
            after = last.clone();
            for stored in page {
                each(opened(&tx, stored)?);
            }
        }
        Ok(head)
    }
}

async fn head(tx: &mut TenantTx) -> Result<Option<AuditHead>, StoreError> {
    let head = rows::head(tx).await?;
    head.map(|(_, note)| note.parse().map_err(StoreError::unreadable("read what was signed"))).transpose()
}

fn opened(tx: &TenantTx, (id, place, leaf, sealed): Stored) -> Result<AuditEntry, StoreError> {
    let doing = "read an audit row";
    let entry = sealed.map(|sealed| {
        let bytes = tx.open(&SEALED, &id, &sealed)?;
        Entry::from_bytes(&bytes).map_err(StoreError::unreadable(doing))
    });
    Ok(AuditEntry { place: placed(place)?, leaf: read_leaf(&leaf)?, entry: entry.transpose()? })
}

fn placed(place: Option<i64>) -> Result<Option<u64>, StoreError> {
    place.map(u64::try_from).transpose().map_err(StoreError::unreadable("read an audit row"))
}

fn read_leaf(leaf: &[u8]) -> Result<Leaf, StoreError> {
    Leaf::try_from(leaf).map_err(StoreError::unreadable("read an audit row"))
}

// === impl FileLog ===

impl FileLog {
    /// Opens the log in a tenant's file.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also where the file has no log.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let options =
            SqliteConnectOptions::new().filename(file).read_only(true).pragma("trusted_schema", "OFF");
        let mut connection = SqliteConnection::connect_with(&options)
            .await
            .map_err(StoreError::doing("open a tenant's file"))?;
        // One moment for all that is read.
        sqlx::query("BEGIN").execute(&mut connection).await.map_err(StoreError::doing("begin to read"))?;
        Ok(Self { connection })
    }

    /// What was signed last, where anything was.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also where rows have places and what was signed of them is gone.
    pub async fn head(&mut self) -> Result<Option<AuditHead>, StoreError> {
        let doing = "read what was signed";
        // A file that no service of this version has opened yet has no log.
        if !self.asked("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'mcp_audit_head')").await? {
            return Ok(None);
        }
        let note: Option<String> = sqlx::query_scalar("SELECT checkpoint FROM mcp_audit_head")
            .fetch_optional(&mut self.connection)
            .await
            .map_err(StoreError::doing(doing))?;
        match note {
            Some(note) => note.parse().map(Some).map_err(StoreError::unreadable(doing)),
            None if self
                .asked("SELECT EXISTS (SELECT 1 FROM mcp_audit_row WHERE place IS NOT NULL)")
                .await? =>
            {
                Err(StoreError::unreadable(doing)("rows have places, and what was signed of them is gone"))
            }
            None => Ok(None),
        }
    }

    async fn asked(&mut self, question: &'static str) -> Result<bool, StoreError> {
        sqlx::query_scalar(question)
            .fetch_one(&mut self.connection)
            .await
            .map_err(StoreError::doing("read an audit log"))
    }

    /// Hands the rows to `each`, without contents, oldest first; those without a place come last.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn each(&mut self, each: &mut (dyn FnMut(AuditEntry) + Send)) -> Result<(), StoreError> {
        use futures_util::TryStreamExt as _;
        use sqlx::Row as _;
        let reading = StoreError::doing;
        let mut rows = sqlx::query("SELECT place, leaf FROM mcp_audit_row ORDER BY place IS NULL, place, id")
            .fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await.map_err(reading("read an audit log"))? {
            let row: SqliteRow = row;
            let place = row.try_get("place").map_err(reading("read an audit row"))?;
            let leaf: Vec<u8> = row.try_get("leaf").map_err(reading("read an audit row"))?;
            each(AuditEntry { place: placed(place)?, leaf: read_leaf(&leaf)?, entry: None });
        }
        Ok(())
    }
}
