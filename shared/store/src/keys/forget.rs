//! The end of a tenant: its wrapping key first, so that from there on nothing opens, here or in any backup; then its rows. Of its
//! audit log the tree stays, without what it is about.

use aws_lc_rs::digest::{SHA256, digest};
use mcp_tenancy::TenantScope;
use mcp_types::TenantSlug;

use super::keyring::failed;
use crate::{Db, StoreError, sql};

/// What was there and is no more: facts for the audit log.
#[derive(Clone, Debug)]
pub struct Forgotten {
    /// Whose it was.
    pub tenant: TenantSlug,
    /// Whether there was a wrapping key to destroy; there is none now.
    pub wrapping_key_destroyed: bool,
    /// The keys that it wrapped, and nobody can unwrap any more.
    pub keys: Vec<ForgottenKey>,
    /// Rows removed.
    pub rows: u64,
    /// Rows of its audit log that have no content any more; the tree over them stays, and can still be proved.
    pub audit_rows: u64,
}

/// A key that nobody can unwrap any more.
#[derive(Clone, Debug)]
pub struct ForgottenKey {
    /// What it was for.
    pub purpose: String,
    /// Its version.
    pub version: u32,
    /// The digest of the wrapped key, by which it is found in a backup.
    pub wrapped_sha256: String,
}

// === impl Db ===

impl Db {
    /// Destroys the wrapping key of the tenant of `scope`, and removes its rows. Cut off, it can be called again.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; once the wrapping key is destroyed, what rows are left cannot be read.
    pub async fn forget_tenant(&self, scope: &TenantScope) -> Result<Forgotten, StoreError> {
        let keyring = self.keyring()?;
        let tenant = scope.tenant();
        let mut tx = self.read_without_keys(scope).await?;
        let keys: Vec<(String, u32, Vec<u8>)> =
            sql("SELECT purpose, version, wrapped FROM mcp_tenant_key ORDER BY purpose, version")
                .doing("read a tenant's keys")
                .fetch_all(&mut tx)
                .await?;
        drop(tx);
        let keys = keys.into_iter().map(|(purpose, version, wrapped)| ForgottenKey {
            purpose,
            version,
            wrapped_sha256: hex::encode(digest(&SHA256, &wrapped)),
        });
        let keys = keys.collect();

        let wrapping = &keyring.source().wrapping;
        let wrapping_key_destroyed =
            wrapping.destroy(tenant).await.map_err(failed("destroy a tenant's wrapping key"))?;
        keyring.forget(tenant);
        let rows = self.remove_rows(scope).await?;
        let mut tx = self.change_keys(scope).await?;
        let audit_rows = sql("UPDATE mcp_audit_row SET sealed = NULL WHERE sealed IS NOT NULL")
            .doing("empty a tenant's audit log")
            .execute(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(Forgotten { tenant: tenant.clone(), wrapping_key_destroyed, keys, rows, audit_rows })
    }
}
