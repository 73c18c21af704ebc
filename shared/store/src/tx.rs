//! The transactions: dropped without a commit, they leave no trace.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use mcp_secrets::DataKey;
use mcp_tenancy::TenantScope;
use sqlx::{PgConnection, Sqlite, SqliteConnection, Transaction};

use crate::{SealedColumn, Sealer, StoreError, audit::Along, postgres::Session, sqlite::Lease};

/// Which engine a transaction is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Engine {
    /// Embedded: a file a tenant.
    Sqlite,
    /// A server that all processes of a service share.
    Postgres,
}

/// A transaction of either engine: what statements run in.
pub struct Tx {
    begun: Begun,
}

enum Begun {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Session),
}

/// What a statement is sent through.
pub(crate) enum Connection<'t> {
    Sqlite(&'t mut SqliteConnection),
    /// With the mark that says whether the server may have given the transaction up.
    Postgres(&'t mut PgConnection, &'t mut bool),
}

/// A transaction that sees one tenant's rows.
///
/// Dropped without [`TenantTx::commit`], it leaves no trace.
pub struct TenantTx {
    // Declared before the lease: ended before the file may be closed.
    tx: Tx,
    sealer: Sealer,
    along: Option<Along>,
    _lease: Option<Lease>,
}

/// A transaction on the tables that have no tenant.
///
/// Dropped without [`PlatformTx::commit`], it leaves no trace.
pub struct PlatformTx {
    tx: Tx,
}

// === impl Tx ===

impl Tx {
    pub(crate) fn sqlite(tx: Transaction<'static, Sqlite>) -> Self {
        Self { begun: Begun::Sqlite(tx) }
    }

    pub(crate) fn postgres(session: Session) -> Self {
        Self { begun: Begun::Postgres(session) }
    }

    /// Which engine it is of.
    pub fn engine(&self) -> Engine {
        match self.begun {
            Begun::Sqlite(_) => Engine::Sqlite,
            Begun::Postgres(_) => Engine::Postgres,
        }
    }

    /// Keeps others who name the same `parts` out until the transaction ends.
    ///
    /// For what is read first and written after: on PostgreSQL two writers of one tenant run at once. Whoever takes several
    /// takes them in one order everywhere. On SQLite there is nothing to do: a writer is alone in its file.
    ///
    /// # Errors
    ///
    /// [`StoreError::Busy`] where the others take too long.
    pub async fn lock(&mut self, parts: &[&[u8]]) -> Result<(), StoreError> {
        match &mut self.begun {
            Begun::Sqlite(_) => Ok(()),
            Begun::Postgres(session) => session.lock(parts).await,
        }
    }

    pub(crate) fn connection(&mut self) -> Result<Connection<'_>, StoreError> {
        match &mut self.begun {
            Begun::Sqlite(tx) => Ok(Connection::Sqlite(tx)),
            Begun::Postgres(session) => session
                .marked()
                .map(|(connection, is_doubtful)| Connection::Postgres(connection, is_doubtful)),
        }
    }

    async fn commit(self) -> Result<(), StoreError> {
        match self.begun {
            Begun::Sqlite(tx) => tx.commit().await.map_err(StoreError::doing("commit")),
            Begun::Postgres(session) => session.commit().await,
        }
    }
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("engine", &self.engine()).finish_non_exhaustive()
    }
}

// === impl TenantTx ===

impl TenantTx {
    pub(crate) fn new(tx: Tx, sealer: Sealer, lease: Option<Lease>) -> Self {
        Self { tx, sealer, along: None, _lease: lease }
    }

    pub(crate) fn taking(mut self, along: Along) -> Self {
        self.along = Some(along);
        self
    }

    /// Takes the audit row of another call along, too: where one transaction writes what several calls asked for.
    pub fn take_along(&mut self, scope: &TenantScope) {
        if let Some(along) = &mut self.along {
            along.add(scope);
        }
    }

    /// Seals `plain` for `column` of the row that [`crate::row_id`] names.
    ///
    /// # Errors
    ///
    /// As [`Sealer::seal`].
    pub fn seal(&self, column: &SealedColumn, row: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.sealer.seal(column, row, plain)
    }

    /// Opens what was sealed for `column` of the row that [`crate::row_id`] names.
    ///
    /// # Errors
    ///
    /// As [`Sealer::open`].
    pub fn open(&self, column: &SealedColumn, row: &[u8], sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.sealer.open(column, row, sealed)
    }

    /// The key of the tenant's blind index; none while the tenant has never written, and there is nothing to find.
    pub fn index_key(&self) -> Option<DataKey> {
        self.sealer.index_key()
    }

    /// What seals and opens, apart from the transaction: to open rows while others are still being fetched.
    pub fn sealer(&self) -> Sealer {
        self.sealer.clone()
    }

    /// Makes the transaction's writes last: when this answers, they are on the disk.
    ///
    /// # Errors
    ///
    /// Where that is not certain.
    pub async fn commit(mut self) -> Result<(), StoreError> {
        let along = self.along.take();
        if let Some(along) = &along {
            along.write(&mut self).await?;
        }
        self.tx.commit().await?;
        if let Some(along) = along {
            along.committed();
        }
        Ok(())
    }
}

impl Deref for TenantTx {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for TenantTx {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}

impl fmt::Debug for TenantTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantTx").finish_non_exhaustive()
    }
}

// === impl PlatformTx ===

impl PlatformTx {
    pub(crate) fn new(tx: Tx) -> Self {
        Self { tx }
    }

    /// Makes the transaction's writes last: when this answers, they are on the disk.
    ///
    /// # Errors
    ///
    /// Where that is not certain.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await
    }
}

impl Deref for PlatformTx {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for PlatformTx {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}

impl fmt::Debug for PlatformTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatformTx").finish_non_exhaustive()
    }
}
