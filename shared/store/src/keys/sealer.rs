//! Seals a value for its place, and opens it there.

use std::{fmt, sync::Arc};

use mcp_secrets::DataKey;
use mcp_types::TenantSlug;

use super::{Keyring, TenantKeys};
use crate::{SealedColumn, StoreError};

/// What a sealed value begins with: the version of its key.
const VERSION_BYTES: usize = 4;

/// Seals and opens for one tenant. A clone is cheap, and may open rows while they are still being fetched.
#[derive(Clone)]
pub struct Sealer {
    keyring: Option<Arc<Keyring>>,
    tenant: TenantSlug,
    /// `None`: the tenant has none, having never written.
    keys: Option<Arc<TenantKeys>>,
}

// === impl Sealer ===

impl Sealer {
    pub(crate) fn new(
        keyring: Option<Arc<Keyring>>,
        tenant: TenantSlug,
        keys: Option<Arc<TenantKeys>>,
    ) -> Self {
        Self { keyring, tenant, keys }
    }

    /// Seals `plain` for `column` of the row that [`crate::row_id`] names.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoKey`] in a read of a tenant that has never written.
    pub fn seal(&self, column: &SealedColumn, row: &[u8], plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (keyring, keys) = self.keys(column)?;
        let version = keys.newest();
        let key = keys.data.get(&version).ok_or_else(|| no_key(column))?;
        let aad = self.aad(keyring, column, row, version);
        let sealed = key.seal(&aad, plain, &*keyring.source().entropy).map_err(unopenable(column))?;
        Ok([&version.to_be_bytes()[..], &sealed].concat())
    }

    /// Opens what was sealed for `column` of the row that [`crate::row_id`] names.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unopenable`] where it was changed, or belongs elsewhere.
    pub fn open(&self, column: &SealedColumn, row: &[u8], sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let (keyring, keys) = self.keys(column)?;
        let (version, value) = split(column, sealed)?;
        let Some(key) = keys.data.get(&version) else {
            if version > keys.newest() {
                keyring.forget(&self.tenant);
                return Err(StoreError::NewKey { table: column.table, column: column.column, version });
            }
            return Err(unopenable(column)(mcp_secrets::SealError::Refused));
        };
        key.open(&self.aad(keyring, column, row, version), value).map_err(unopenable(column))
    }

    /// The key of the tenant's blind index; none while the tenant has never written.
    ///
    /// It stays the same when data keys are rotated, or every posting would have to be made anew with them.
    pub fn index_key(&self) -> Option<DataKey> {
        self.keys.as_ref().map(|keys| keys.index.derive("blind index 1"))
    }

    /// The version that a sealed value says its key has.
    pub(crate) fn version(&self, column: &SealedColumn, sealed: &[u8]) -> Result<u32, StoreError> {
        split(column, sealed).map(|(version, _)| version)
    }

    /// The version under which it seals.
    pub(crate) fn newest(&self) -> u32 {
        self.keys.as_ref().map_or(0, |keys| keys.newest())
    }

    fn keys(&self, column: &SealedColumn) -> Result<(&Keyring, &TenantKeys), StoreError> {
        match (&self.keyring, &self.keys) {
            (Some(keyring), Some(keys)) => Ok((keyring, keys)),
            _ => Err(no_key(column)),
        }
    }

    /// Each part after its length, so that no two places share their bytes.
    fn aad(&self, keyring: &Keyring, column: &SealedColumn, row: &[u8], version: u32) -> Vec<u8> {
        let parts = [
            b"mcp sealed column 1",
            keyring.service().as_str().as_bytes(),
            self.tenant.as_str().as_bytes(),
            column.table.as_bytes(),
            column.column.as_bytes(),
            row,
            &version.to_be_bytes(),
        ];
        let bytes = parts.iter().map(|part| part.len() + 8).sum();
        let mut aad = Vec::with_capacity(bytes);
        for part in parts {
            aad.extend_from_slice(&(part.len() as u64).to_be_bytes());
            aad.extend_from_slice(part);
        }
        aad
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("tenant", &self.tenant).finish_non_exhaustive()
    }
}

fn split<'a>(column: &SealedColumn, sealed: &'a [u8]) -> Result<(u32, &'a [u8]), StoreError> {
    let (version, value) = sealed
        .split_first_chunk::<VERSION_BYTES>()
        .ok_or_else(|| unopenable(column)(mcp_secrets::SealError::Malformed))?;
    Ok((u32::from_be_bytes(*version), value))
}

fn no_key(column: &SealedColumn) -> StoreError {
    StoreError::NoKey { table: column.table, column: column.column }
}

fn unopenable(column: &SealedColumn) -> impl FnOnce(mcp_secrets::SealError) -> StoreError {
    let SealedColumn { table, column } = *column;
    move |source| StoreError::Unopenable { table, column, source }
}
