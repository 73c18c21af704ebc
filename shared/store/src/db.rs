//! The door: a scope in, a transaction out.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use mcp_tenancy::{PlatformScope, TenantScope};
use mcp_types::{ServiceName, TenantSlug};

use crate::{
    Login, Options, PlatformTx, Sealer, Server, StoreError, Table, TenantTx, Tx, audit,
    keys::{Keyring, TenantKeys},
    migration::check_order,
    postgres::{self, Access, Pool, Session, Writes},
    schema, sql,
    sqlite::{Files, Lease},
};

/// A service's database, closed: a scope is the only way in. Clones share it.
///
/// Belongs to a Tokio runtime: a transaction must be dropped inside one.
#[derive(Clone, Debug)]
pub struct Db {
    inner: Arc<Inner>,
}

/// Where a database is.
#[derive(Clone, Debug)]
pub enum Place {
    /// In files in a folder: the engine is SQLite.
    Folder(PathBuf),
    /// On a server: the engine is PostgreSQL.
    Server(Box<Server>),
}

#[derive(Debug)]
struct Inner {
    house: House,
    keyring: Option<Arc<Keyring>>,
    tables: &'static [Table],
    /// Audit rows of tenants that are yet to be written, or to be given their places.
    audit: Arc<audit::Queue>,
}

#[derive(Debug)]
enum House {
    Files(Box<Files>),
    Server(Pool),
}

/// A transaction that has begun inside a tenant.
struct Begun {
    tx: Tx,
    lease: Option<Lease>,
    /// The tenant's newest data key, where beginning told it.
    newest: Option<u32>,
}

// === impl Db ===

impl Db {
    /// Opens the database of `service`.
    ///
    /// In a folder, this makes the folder if there is none and migrates the platform's file; a tenant's file is made and
    /// migrated when it is first needed. On a server the tables must have been migrated by their owner
    /// ([`crate::migrate_postgres`]), and the service's role must be one that policies hold.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the disk, the server, or tables that do not follow from the migrations.
    pub async fn open(
        place: impl Into<Place>,
        service: &ServiceName,
        options: Options,
    ) -> Result<Self, StoreError> {
        check_order(options.tenant)?;
        check_order(options.platform)?;
        let tables = options.tables;
        let keyring = options.keys.clone().map(|keys| Arc::new(Keyring::new(service, keys)));
        let house = match place.into() {
            Place::Folder(folder) => House::Files(Box::new(Files::open(&folder, service, options).await?)),
            Place::Server(server) => {
                let pool = Pool::new(*server, service, options.wait_max)?;
                postgres::check(&pool, &options).await?;
                House::Server(pool)
            }
        };
        Ok(Self { inner: Arc::new(Inner { house, keyring, tables, audit: Arc::default() }) })
    }

    /// Begins to write inside the tenant of `scope`; what is committed takes the scope's audit row along.
    ///
    /// On SQLite as the only one there. On PostgreSQL others may write too: what is written because of what was read needs
    /// [`Tx::lock`] before the read.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn within(&self, scope: &TenantScope) -> Result<TenantTx, StoreError> {
        let tenant = scope.tenant();
        loop {
            let mut begun = self.begin(tenant, Writes::Rows).await?;
            let keys = self.keys(tenant, &mut begun).await?;
            let Some(keyring) = self.inner.keyring.as_ref().filter(|_| keys.is_none()) else {
                let along = audit::Along::new(scope, &self.inner.audit);
                return Ok(self.tenant_tx(tenant, begun, keys).taking(along));
            };
            // The first keys are committed before a row can be sealed under them, which a rollback would take back.
            keyring.make(tenant, &mut begun.tx).await?;
            TenantTx::new(begun.tx, Sealer::new(None, tenant.clone(), None), begun.lease).commit().await?;
        }
    }

    /// Begins to read inside the tenant of `scope`: what is seen stays the same until the transaction ends. A tenant that has
    /// never written has no rows.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn read(&self, scope: &TenantScope) -> Result<TenantTx, StoreError> {
        let tenant = scope.tenant();
        let mut begun = self.begin(tenant, Writes::Nothing).await?;
        let keys = self.keys(tenant, &mut begun).await?;
        Ok(self.tenant_tx(tenant, begun, keys))
    }

    /// Begins to write the tables without a tenant.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn platform(&self, _scope: &PlatformScope) -> Result<PlatformTx, StoreError> {
        self.begin_platform(Writes::Rows).await
    }

    /// Begins to read the tables without a tenant.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn read_platform(&self, _scope: &PlatformScope) -> Result<PlatformTx, StoreError> {
        self.begin_platform(Writes::Nothing).await
    }

    /// Has new connections made as `login`; those in use end with their transactions. Nothing to do on SQLite.
    ///
    /// # Errors
    ///
    /// Where no connection could be made so; then nothing changes.
    pub fn set_login(&self, login: &Login) -> Result<(), StoreError> {
        match &self.inner.house {
            House::Files(_) => Ok(()),
            House::Server(pool) => pool.set_login(login),
        }
    }

    /// Names what differs between [`Options::tables`] and the tables that the tenant of `scope` has, one sentence each.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub async fn check_tables(&self, scope: &TenantScope) -> Result<Vec<String>, StoreError> {
        let mut tx = self.read(scope).await?;
        schema::differences(self.inner.tables, &mut tx).await
    }

    /// How many tenants' files, or connections, are open, for a gauge.
    pub fn files_open(&self) -> usize {
        match &self.inner.house {
            House::Files(files) => files.len(),
            House::Server(pool) => pool.in_use(),
        }
    }

    /// How many tenants' keys are unwrapped at the moment, for a gauge.
    pub fn keys_kept(&self) -> usize {
        self.inner.keyring.as_ref().map_or(0, |keyring| keyring.len())
    }

    /// Closes the database, after the transactions that have begun.
    ///
    /// Nothing is lost without it; with it, SQLite's logs are folded into the files.
    pub async fn close(&self) {
        match &self.inner.house {
            House::Files(files) => files.close().await,
            House::Server(pool) => pool.close().await,
        }
    }

    /// Begins to change the tenant's keys, once all who write under the old ones are done.
    pub(crate) async fn change_keys(&self, scope: &TenantScope) -> Result<TenantTx, StoreError> {
        let begun = self.begin(scope.tenant(), Writes::Keys).await?;
        Ok(self.tenant_tx(scope.tenant(), begun, None))
    }

    /// Begins to read what needs no key, where there may be none any more.
    pub(crate) async fn read_without_keys(&self, scope: &TenantScope) -> Result<TenantTx, StoreError> {
        let begun = self.begin(scope.tenant(), Writes::Nothing).await?;
        Ok(self.tenant_tx(scope.tenant(), begun, None))
    }

    /// Removes all rows of the tenant of `scope` but those of its audit log; answers how many there were.
    pub(crate) async fn remove_rows(&self, scope: &TenantScope) -> Result<u64, StoreError> {
        match &self.inner.house {
            House::Files(files) => files.erase(scope.tenant()).await,
            House::Server(_) => {
                let mut tx = self.change_keys(scope).await?;
                sql("SELECT set_config('statement_timeout', '0', true)")
                    .doing("take the time to remove a tenant")
                    .fetch_one::<(String,)>(&mut tx)
                    .await?;
                let (rows,): (u64,) =
                    sql("SELECT guard.erase()").doing("remove a tenant's rows").fetch_one(&mut tx).await?;
                tx.commit().await?;
                Ok(rows)
            }
        }
    }

    pub(crate) fn audit_queue(&self) -> &Arc<audit::Queue> {
        &self.inner.audit
    }

    pub(crate) fn keyring(&self) -> Result<&Arc<Keyring>, StoreError> {
        self.inner.keyring.as_ref().ok_or(StoreError::NoKey { table: "mcp_tenant_key", column: "wrapped" })
    }

    pub(crate) fn tables(&self) -> &'static [Table] {
        self.inner.tables
    }

    async fn begin(&self, tenant: &TenantSlug, writes: Writes) -> Result<Begun, StoreError> {
        match &self.inner.house {
            House::Files(files) if writes == Writes::Nothing => {
                let (tx, lease) = files.read(tenant).await?;
                Ok(Begun { tx: Tx::sqlite(tx), lease, newest: None })
            }
            House::Files(files) => {
                let (tx, lease) = files.within(tenant).await?;
                Ok(Begun { tx: Tx::sqlite(tx), lease: Some(lease), newest: None })
            }
            House::Server(pool) => {
                let (session, newest) = Session::begin(pool, Access { tenant: Some(tenant), writes }).await?;
                Ok(Begun { tx: Tx::postgres(session), lease: None, newest: Some(newest) })
            }
        }
    }

    async fn begin_platform(&self, writes: Writes) -> Result<PlatformTx, StoreError> {
        let tx = match &self.inner.house {
            House::Files(files) if writes == Writes::Nothing => Tx::sqlite(files.read_platform().await?),
            House::Files(files) => Tx::sqlite(files.platform().await?),
            House::Server(pool) => {
                Tx::postgres(Session::begin(pool, Access { tenant: None, writes }).await?.0)
            }
        };
        Ok(PlatformTx::new(tx))
    }

    /// The keys of `tenant`, unwrapped: as kept, or as `begun` finds them.
    async fn keys(
        &self,
        tenant: &TenantSlug,
        begun: &mut Begun,
    ) -> Result<Option<Arc<TenantKeys>>, StoreError> {
        let Some(keyring) = &self.inner.keyring else { return Ok(None) };
        match keyring.kept(tenant, begun.newest) {
            Some(keys) => Ok(Some(keys)),
            None => keyring.load(tenant, &mut begun.tx).await,
        }
    }

    fn tenant_tx(&self, tenant: &TenantSlug, begun: Begun, keys: Option<Arc<TenantKeys>>) -> TenantTx {
        let sealer = Sealer::new(self.inner.keyring.clone(), tenant.clone(), keys);
        TenantTx::new(begun.tx, sealer, begun.lease)
    }
}

// === impl Place ===

impl From<&Path> for Place {
    fn from(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }
}

impl From<&PathBuf> for Place {
    fn from(folder: &PathBuf) -> Self {
        Self::Folder(folder.clone())
    }
}

impl From<Server> for Place {
    fn from(server: Server) -> Self {
        Self::Server(Box::new(server))
    }
}
