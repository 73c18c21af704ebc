//! The door: a scope in, a transaction out.

use std::{path::Path, sync::Arc};

use mcp_tenancy::{PlatformScope, TenantScope};
use mcp_types::ServiceName;

use crate::{Options, PlatformTx, StoreError, TenantTx, Tx, migration::check_order, sqlite::Files};

/// A service's database, closed: a scope is the only way in. Clones share it.
///
/// Belongs to a Tokio runtime: a transaction must be dropped inside one.
#[derive(Clone, Debug)]
pub struct Db {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: Files,
}

// === impl Db ===

impl Db {
    /// Opens the database of `service` in `folder`, making the folder if there is none and migrating the
    /// platform's file. A tenant's file is made and migrated when it is first needed.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the disk, or migrations that do not follow on what was applied.
    pub async fn open(folder: &Path, service: &ServiceName, options: Options) -> Result<Self, StoreError> {
        check_order(options.tenant)?;
        check_order(options.platform)?;
        let files = Files::open(folder, service, options).await?;
        Ok(Self { inner: Arc::new(Inner { files }) })
    }

    /// Begins to write inside the tenant of `scope`.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn within(&self, scope: &TenantScope) -> Result<TenantTx, StoreError> {
        let (tx, lease) = self.inner.files.within(scope.tenant()).await?;
        Ok(TenantTx::new(Tx::sqlite(tx), Some(lease)))
    }

    /// Begins to read inside the tenant of `scope`: what is seen stays the same until the transaction ends. A tenant that has
    /// never written has no rows.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn read(&self, scope: &TenantScope) -> Result<TenantTx, StoreError> {
        let (tx, lease) = self.inner.files.read(scope.tenant()).await?;
        Ok(TenantTx::new(Tx::sqlite(tx), lease))
    }

    /// Begins to write the tables without a tenant.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn platform(&self, _scope: &PlatformScope) -> Result<PlatformTx, StoreError> {
        self.inner.files.platform().await.map(|it| PlatformTx::new(Tx::sqlite(it)))
    }

    /// Begins to read the tables without a tenant.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn read_platform(&self, _scope: &PlatformScope) -> Result<PlatformTx, StoreError> {
        self.inner.files.read_platform().await.map(|it| PlatformTx::new(Tx::sqlite(it)))
    }

    /// How many tenants' files are open, for a gauge.
    pub fn files_open(&self) -> usize {
        self.inner.files.len()
    }

    /// Closes the database, after the transactions that have begun.
    ///
    /// Nothing is lost without it; with it, SQLite's logs are folded into the files.
    pub async fn close(&self) {
        self.inner.files.close().await;
    }
}
