//! The folder of a service: the platform's file, and a file for each tenant that has ever written.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use mcp_types::{ServiceName, TenantSlug};
use sqlx::{Sqlite, Transaction};

use super::{
    cache::{Lease, OpenFiles},
    file::{Manner, SqliteFile},
    folder,
    migrate::Owner,
};
use crate::{Migration, Options, StoreError, migration};

/// A service's files.
#[derive(Debug)]
pub(crate) struct Files {
    tenants: PathBuf,
    service: ServiceName,
    options: Options,
    open: Arc<OpenFiles>,
    /// What a tenant reads that has never written.
    nothing: SqliteFile,
    platform: Option<SqliteFile>,
}

// === impl Files ===

impl Files {
    /// Opens the files of `service` in `folder`, making the folder if there is none and migrating the platform's file. A
    /// tenant's file is made and migrated when it is first needed.
    pub(crate) async fn open(
        folder: &Path,
        service: &ServiceName,
        options: Options,
    ) -> Result<Self, StoreError> {
        let tenants = folder.join("tenants");
        folder::create(&tenants)?;
        let platform = if options.platform.is_empty() {
            None
        } else {
            let owner = owner(service, "/platform");
            let manner = manner(&options, options.platform, migration::OF_EVERY_PLATFORM);
            Some(SqliteFile::open(&folder.join("platform.db"), &owner, manner).await?)
        };
        let of_tenants = manner(&options, options.tenant, migration::OF_EVERY_TENANT);
        let nothing = SqliteFile::nothing(&owner(service, "/nobody"), of_tenants);
        let open = OpenFiles::new(options.files_open_max);
        Ok(Self { tenants, service: service.clone(), options, open, nothing, platform })
    }

    /// Begins to write in the file of `tenant`, as the only one there.
    pub(crate) async fn within(
        &self,
        tenant: &TenantSlug,
    ) -> Result<(Transaction<'static, Sqlite>, Lease), StoreError> {
        let lease = self.open.lease(tenant, self.options.wait_max).await?;
        let tx = self.file(&lease, tenant).await?.write().await?;
        Ok((tx, lease))
    }

    /// Begins to read in the file of `tenant`; of one that has never written, in nothing.
    pub(crate) async fn read(
        &self,
        tenant: &TenantSlug,
    ) -> Result<(Transaction<'static, Sqlite>, Option<Lease>), StoreError> {
        if !self.open.holds(tenant) && !self.path(tenant).exists() {
            return Ok((self.nothing.read().await?, None));
        }
        let lease = self.open.lease(tenant, self.options.wait_max).await?;
        let tx = self.file(&lease, tenant).await?.read().await?;
        Ok((tx, Some(lease)))
    }

    /// Begins to write the tables without a tenant, as the only one there.
    pub(crate) async fn platform(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.platform_file()?.write().await
    }

    /// Begins to read the tables without a tenant.
    pub(crate) async fn read_platform(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.platform_file()?.read().await
    }

    /// Removes every row of `tenant` but those of its audit log; answers how many there were.
    pub(crate) async fn erase(&self, tenant: &TenantSlug) -> Result<u64, StoreError> {
        if !self.open.holds(tenant) && !self.path(tenant).exists() {
            return Ok(0);
        }
        let lease = self.open.lease(tenant, self.options.wait_max).await?;
        self.file(&lease, tenant).await?.erase().await
    }

    /// How many tenants' files are open.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// Closes the files, after the transactions that have begun.
    pub(crate) async fn close(&self) {
        self.open.close_all().await;
        self.nothing.close().await;
        if let Some(platform) = &self.platform {
            platform.close().await;
        }
    }

    async fn file<'a>(&self, lease: &'a Lease, tenant: &TenantSlug) -> Result<&'a SqliteFile, StoreError> {
        lease
            .file(|| async {
                let owner = owner(&self.service, tenant.as_str());
                let manner = manner(&self.options, self.options.tenant, migration::OF_EVERY_TENANT);
                SqliteFile::open(&self.path(tenant), &owner, manner).await
            })
            .await
    }

    fn platform_file(&self) -> Result<&SqliteFile, StoreError> {
        self.platform.as_ref().ok_or(StoreError::NoPlatform)
    }

    /// A slug has no dot and no slash, so no tenant's file lies elsewhere or beside another's log.
    fn path(&self, tenant: &TenantSlug) -> PathBuf {
        self.tenants.join(format!("{tenant}.db"))
    }
}

fn manner(options: &Options, migrations: &'static [Migration], own: &'static [Migration]) -> Manner {
    Manner { own, migrations, readers_max: options.readers_per_file_max.max(1), wait_max: options.wait_max }
}

fn owner(service: &ServiceName, of: &str) -> Owner {
    Owner { service: service.to_string(), of: of.to_owned() }
}
