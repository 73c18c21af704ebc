//! The door: a scope in, a transaction out.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mcp_tenancy::{PlatformScope, TenantScope};
use mcp_types::{ServiceName, TenantSlug};

use crate::{
    Migration, PlatformTx, StoreError, TenantTx,
    cache::{Lease, OpenFiles},
    file::{Manner, SqliteFile},
    folder,
    migration::{Owner, check_order},
};

/// A service's database, closed: a scope is the only way in. Clones share it.
///
/// Belongs to a Tokio runtime: a transaction must be dropped inside one.
#[derive(Clone, Debug)]
pub struct Db {
    inner: Arc<Inner>,
}

/// What a service tells its database.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The tables of each tenant.
    pub tenant: &'static [Migration],
    /// The tables without a tenant; with none, there is no file for them.
    pub platform: &'static [Migration],
    /// Tenants' files that are open at once. Each takes a writer's thread and, while it is read, readers'
    /// threads, with three handles a thread.
    pub files_open_max: usize,
    /// Readers of one file at once.
    pub readers_per_file_max: u32,
    /// How long a call waits for its turn.
    pub wait_max: Duration,
}

#[derive(Debug)]
struct Inner {
    tenants: PathBuf,
    service: ServiceName,
    options: Options,
    open: Arc<OpenFiles>,
    /// What a tenant reads that has never written.
    nothing: SqliteFile,
    platform: Option<SqliteFile>,
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self {
            tenant: &[],
            platform: &[],
            files_open_max: 256,
            readers_per_file_max: 2,
            wait_max: Duration::from_secs(5),
        }
    }
}

impl Options {
    fn manner(&self, migrations: &'static [Migration]) -> Manner {
        Manner { migrations, readers_max: self.readers_per_file_max.max(1), wait_max: self.wait_max }
    }
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
        let tenants = folder.join("tenants");
        folder::create(&tenants)?;

        let platform = if options.platform.is_empty() {
            None
        } else {
            let owner = owner(service, "/platform");
            let manner = options.manner(options.platform);
            Some(SqliteFile::open(&folder.join("platform.db"), &owner, manner).await?)
        };
        let nothing = SqliteFile::nothing(&owner(service, "/nobody"), options.manner(options.tenant));
        let open = OpenFiles::new(options.files_open_max);
        let service = service.clone();
        Ok(Self { inner: Arc::new(Inner { tenants, service, options, open, nothing, platform }) })
    }

    /// Begins to write inside the tenant of `scope`, as the only one there.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn within(&self, scope: &TenantScope) -> Result<TenantTx, StoreError> {
        let lease = self.lease(scope.tenant()).await?;
        let tx = self.file(&lease, scope.tenant()).await?.write().await?;
        Ok(TenantTx::new(tx, Some(lease)))
    }

    /// Begins to read inside the tenant of `scope`. A tenant that has never written has no rows.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn read(&self, scope: &TenantScope) -> Result<TenantTx, StoreError> {
        let tenant = scope.tenant();
        if !self.inner.open.holds(tenant) && !self.inner.path(tenant).exists() {
            return Ok(TenantTx::new(self.inner.nothing.read().await?, None));
        }
        let lease = self.lease(tenant).await?;
        let tx = self.file(&lease, tenant).await?.read().await?;
        Ok(TenantTx::new(tx, Some(lease)))
    }

    /// Begins to write the tables without a tenant, as the only one there.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn platform(&self, _scope: &PlatformScope) -> Result<PlatformTx, StoreError> {
        self.platform_file()?.write().await.map(PlatformTx::new)
    }

    /// Begins to read the tables without a tenant.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn read_platform(&self, _scope: &PlatformScope) -> Result<PlatformTx, StoreError> {
        self.platform_file()?.read().await.map(PlatformTx::new)
    }

    /// How many tenants' files are open, for a gauge.
    pub fn files_open(&self) -> usize {
        self.inner.open.len()
    }

    /// Closes the files, after the transactions that have begun.
    ///
    /// Nothing is lost without it; with it, the logs are folded into the files.
    pub async fn close(&self) {
        self.inner.open.close_all().await;
        self.inner.nothing.close().await;
        if let Some(platform) = &self.inner.platform {
            platform.close().await;
        }
    }

    async fn lease(&self, tenant: &TenantSlug) -> Result<Lease, StoreError> {
        self.inner.open.lease(tenant, self.inner.options.wait_max).await
    }

    async fn file<'a>(&self, lease: &'a Lease, tenant: &TenantSlug) -> Result<&'a SqliteFile, StoreError> {
        let inner = &self.inner;
        lease
            .file(|| async {
                let owner = owner(&inner.service, tenant.as_str());
                SqliteFile::open(&inner.path(tenant), &owner, inner.options.manner(inner.options.tenant))
                    .await
            })
            .await
    }

    fn platform_file(&self) -> Result<&SqliteFile, StoreError> {
        self.inner.platform.as_ref().ok_or_else(|| StoreError::Refused {
            doing: "open tables without a tenant, of which the service has none",
            source: sqlx::Error::RowNotFound,
        })
    }
}

// === impl Inner ===

impl Inner {
    /// A slug has no dot and no slash, so no tenant's file lies elsewhere or beside another's log.
    fn path(&self, tenant: &TenantSlug) -> PathBuf {
        self.tenants.join(format!("{tenant}.db"))
    }
}

fn owner(service: &ServiceName, of: &str) -> Owner {
    Owner { service: service.to_string(), of: of.to_owned() }
}
