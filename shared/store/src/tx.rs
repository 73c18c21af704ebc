//! The transactions: dropped without a commit, they leave no trace.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use sqlx::{Sqlite, SqliteConnection, Transaction};

use crate::{StoreError, cache::Lease};

/// A transaction that sees one tenant's rows.
///
/// Dropped without [`TenantTx::commit`], it leaves no trace.
pub struct TenantTx {
    // Declared before the lease: ended before the file may be closed.
    tx: Transaction<'static, Sqlite>,
    _lease: Option<Lease>,
}

/// A transaction on the tables that have no tenant.
///
/// Dropped without [`PlatformTx::commit`], it leaves no trace.
pub struct PlatformTx {
    tx: Transaction<'static, Sqlite>,
}

// === impl TenantTx ===

impl TenantTx {
    pub(crate) fn new(tx: Transaction<'static, Sqlite>, lease: Option<Lease>) -> Self {
        Self { tx, _lease: lease }
    }

    /// Makes the transaction's writes last: when this answers, they are on the disk.
    ///
    /// # Errors
    ///
    /// Where that is not certain.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await.map_err(StoreError::doing("commit"))
    }
}

impl Deref for TenantTx {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.tx
    }
}

impl DerefMut for TenantTx {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
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
    pub(crate) fn new(tx: Transaction<'static, Sqlite>) -> Self {
        Self { tx }
    }

    /// Makes the transaction's writes last: when this answers, they are on the disk.
    ///
    /// # Errors
    ///
    /// Where that is not certain.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.tx.commit().await.map_err(StoreError::doing("commit"))
    }
}

impl Deref for PlatformTx {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.tx
    }
}

impl DerefMut for PlatformTx {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.tx
    }
}

impl fmt::Debug for PlatformTx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlatformTx").finish_non_exhaustive()
    }
}
