//! A new data key for a tenant; and all that was sealed under older ones, sealed anew while calls go on.

use mcp_tenancy::TenantScope;

use super::{Purpose, Sealer, keyring::failed};
use crate::{
    Db, SealedColumn, StoreError, Table, TenantTx, Value, row_id,
    schema::{Batch, Statements},
    sql,
};

/// Rows that are sealed anew in one transaction: few, so that calls get their turn in between.
const BATCH_ROWS: i64 = 100;

/// The store's own tables with sealed columns.
pub(crate) const SEALED_OF_STORE: &[Table] = crate::audit::TABLES;

/// How far it has come.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The table at hand.
    pub table: &'static str,
    /// Its rows that have been looked at.
    pub rows: u64,
}

/// What was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Resealed {
    /// The key under which all is sealed now.
    pub version: u32,
    /// Rows that were looked at, in all tables.
    pub rows: u64,
    /// Older keys that were taken away, since nothing is sealed under them any more.
    pub keys_removed: u64,
}

// === impl Db ===

impl Db {
    /// Gives the tenant of `scope` a new data key, under which all is sealed from now on; answers with its version.
    ///
    /// What is sealed under the older ones still opens. [`Db::reseal`] seals it anew.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the tenant goes on with the keys it has.
    pub async fn rotate_key(&self, scope: &TenantScope) -> Result<u32, StoreError> {
        let keyring = self.keyring()?;
        // A tenant without keys gets its first ones, as by any write.
        drop(self.within(scope).await?);
        // Once nobody writes under the old keys any more: from then on all who begin find the new one.
        let mut tx = self.change_keys(scope).await?;
        let (newest,): (u32,) = sql("SELECT MAX(version) FROM mcp_tenant_key WHERE purpose = 'data'")
            .doing("read a tenant's keys")
            .fetch_one(&mut tx)
            .await?;
        let version = newest + 1;
        keyring.add(scope.tenant(), &mut tx, Purpose::Data, version).await?;
        tx.commit().await?;
        keyring.forget(scope.tenant());
        Ok(version)
    }

    /// Seals under the tenant's newest data key what is sealed under older ones, and takes those away; `progress` is told
    /// after each batch. Cut off, it goes on where it was.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; what was done so far stays.
    pub async fn reseal(
        &self,
        scope: &TenantScope,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Resealed, StoreError> {
        let keyring = self.keyring()?;
        let mut rows = 0;
        let mut version = 0;
        for table in self.tables().iter().chain(SEALED_OF_STORE) {
            let Some(statements) = Statements::of(table) else { continue };
            loop {
                let mut tx = self.within(scope).await?;
                let sealer = tx.sealer();
                version = sealer.newest();
                let mut place = Place::of(table, version, &mut tx).await?;
                if !place.is_done {
                    place.batch(table, &statements, &sealer, &mut tx).await?;
                    place.keep(&mut tx).await?;
                }
                tx.commit().await?;
                progress(Progress { table: table.name, rows: place.rows });
                if place.is_done {
                    rows += place.rows;
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        if version == 0 {
            let tx = self.within(scope).await?;
            version = tx.sealer().newest();
        }

        let mut tx = self.change_keys(scope).await?;
        // Another rotation meanwhile: the keys before it are still in use, and its own re-sealing will take them away.
        let (newest,): (u32,) = sql("SELECT MAX(version) FROM mcp_tenant_key WHERE purpose = 'data'")
            .doing("read a tenant's keys")
            .fetch_one(&mut tx)
            .await?;
        let keys_removed = if newest == version {
            sql("DELETE FROM mcp_tenant_key WHERE purpose = 'data' AND version < $1")
                .doing("take away a tenant's old keys")
                .bind(version)
                .execute(&mut tx)
                .await?
        } else {
            0
        };
        tx.commit().await?;
        keyring.forget(scope.tenant());
        Ok(Resealed { version, rows, keys_removed })
    }

    /// Wraps the tenant's keys anew, under a wrapping key that its keeper has replaced.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the keys stay as they were.
    pub async fn rewrap_keys(&self, scope: &TenantScope) -> Result<u64, StoreError> {
        let keyring = self.keyring()?;
        let mut tx = self.change_keys(scope).await?;
        let changed = keyring.rewrap(scope.tenant(), &mut tx).await?;
        tx.commit().await?;
        Ok(changed)
    }
}

// === impl Keyring ===

impl super::Keyring {
    async fn rewrap(&self, tenant: &mcp_types::TenantSlug, tx: &mut crate::Tx) -> Result<u64, StoreError> {
        let wrapped: Vec<(String, u32, Vec<u8>)> =
            sql("SELECT purpose, version, wrapped FROM mcp_tenant_key")
                .doing("read a tenant's keys")
                .fetch_all(tx)
                .await?;
        let mut changed = 0;
        for (purpose, version, wrapped) in wrapped {
            let aad =
                format!("mcp tenant key 1/{}/{tenant}/{purpose}/{version}", self.service()).into_bytes();
            let wrapping = &self.source().wrapping;
            let key =
                wrapping.unwrap(tenant, &wrapped, &aad).await.map_err(failed("unwrap a tenant's key"))?;
            let anew = wrapping.wrap(tenant, &key, &aad).await.map_err(failed("wrap a tenant's key"))?;
            changed += sql("UPDATE mcp_tenant_key SET wrapped = $3 WHERE purpose = $1 AND version = $2")
                .doing("keep a tenant's key")
                .bind(&purpose)
                .bind(version)
                .bind(anew)
                .execute(tx)
                .await?;
        }
        Ok(changed)
    }
}

/// How far the re-sealing of a table has come.
struct Place {
    name: &'static str,
    version: u32,
    rows: u64,
    last: Option<Vec<u8>>,
    is_done: bool,
    is_known: bool,
}

// === impl Place ===

impl Place {
    /// Where it is with `table` under the key `version`; at the start, if it was at it for another key.
    async fn of(table: &Table, version: u32, tx: &mut TenantTx) -> Result<Self, StoreError> {
        tx.lock(&[b"reseal", table.name.as_bytes()]).await?;
        let known: Option<(u32, u64, Option<Vec<u8>>, bool)> =
            sql("SELECT version, rows, last, done FROM mcp_reseal WHERE name = $1")
                .doing("read how far re-sealing is")
                .bind(table.name)
                .fetch_optional(tx)
                .await?;
        let is_known = known.is_some();
        Ok(match known {
            Some((at, rows, last, is_done)) if at == version => {
                Self { name: table.name, version, rows, last, is_done, is_known }
            }
            _ => Self { name: table.name, version, rows: 0, last: None, is_done: false, is_known },
        })
    }

    /// Seals the next rows anew.
    async fn batch(
        &mut self,
        table: &Table,
        statements: &Statements,
        sealer: &Sealer,
        tx: &mut TenantTx,
    ) -> Result<(), StoreError> {
        let Batch { rows, last } = statements.next(self.last.as_deref(), BATCH_ROWS, tx).await?;
        self.rows += rows.len() as u64;
        self.is_done = rows.len() < usize::try_from(BATCH_ROWS).unwrap_or(usize::MAX);
        self.last = last.or(self.last.take());
        for row in rows {
            let id = row_id(&row.parts());
            for (name, sealed) in table.sealed_columns().zip(&row.sealed) {
                let Some(sealed) = sealed else { continue };
                let column = SealedColumn { table: table.name, column: name };
                if sealer.version(&column, sealed)? == self.version {
                    continue;
                }
                let plain = sealer.open(&column, &id, sealed)?;
                let anew = sealer.seal(&column, &id, &plain)?;
                drop(mcp_secrets::Secret::new(plain));
                // Only over what was read: whoever changed it since has sealed it under the new key.
                let values = [Value::from(anew), Value::from(sealed)].into_iter();
                statements.put(name, values.chain(row.keys.iter().cloned()), tx).await?;
            }
        }
        Ok(())
    }

    async fn keep(&self, tx: &mut TenantTx) -> Result<(), StoreError> {
        let statement = if self.is_known {
            sql("UPDATE mcp_reseal SET version = $2, rows = $3, last = $4, done = $5 WHERE name = $1")
        } else {
            sql("INSERT INTO mcp_reseal (name, version, rows, last, done) VALUES ($1, $2, $3, $4, $5)")
        };
        statement
            .doing("keep how far re-sealing is")
            .bind(self.name)
            .bind(self.version)
            .bind(i64::try_from(self.rows).unwrap_or(i64::MAX))
            .bind(self.last.clone())
            .bind(self.is_done)
            .execute(tx)
            .await?;
        Ok(())
    }
}
