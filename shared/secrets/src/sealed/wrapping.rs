//! Wrapping keys in the sealed store: a secret a tenant, at `wrapping/<tenant>`.

use std::{fmt, sync::Arc};

use mcp_types::{Entropy, TenantSlug};
use zeroize::Zeroizing;

use super::SealedStore;
use crate::{
    DATA_KEY_BYTES, DataKey, SealError, Secret, SecretPath, Secrets as _, SecretsError, SecretsFuture,
    Wrapping,
};

/// Where the tenants' wrapping keys are.
const FOLDER: &str = "wrapping";

/// Wraps data keys under keys that lie in a sealed store.
#[derive(Clone)]
pub struct SealedWrapping {
    store: SealedStore,
    entropy: Arc<dyn Entropy>,
}

// === impl SealedWrapping ===

impl SealedWrapping {
    /// Wraps under the keys in `store`, whose paths below `wrapping/` are for this alone.
    pub fn new(store: SealedStore, entropy: Arc<dyn Entropy>) -> Self {
        Self { store, entropy }
    }

    /// The wrapping key of `tenant`, as a key that seals data keys.
    async fn key(&self, tenant: &TenantSlug) -> Result<DataKey, SecretsError> {
        let path = path(tenant)?;
        let secret = self.store.get(&path).await?;
        let secret = secret.ok_or_else(|| SecretsError::KeyDestroyed { tenant: tenant.clone() })?;
        DataKey::from_bytes(secret.expose()).ok_or(SecretsError::Malformed { path })
    }
}

impl Wrapping for SealedWrapping {
    fn create<'a>(&'a self, tenant: &'a TenantSlug) -> SecretsFuture<'a, ()> {
        Box::pin(async move {
            let key = Secret::draw(DATA_KEY_BYTES, &*self.entropy);
            self.store.put_if_absent(&path(tenant)?, key).await.map(drop)
        })
    }

    fn wrap<'a>(
        &'a self,
        tenant: &'a TenantSlug,
        key: &'a DataKey,
        aad: &'a [u8],
    ) -> SecretsFuture<'a, Vec<u8>> {
        Box::pin(async move {
            let wrapping = self.key(tenant).await?;
            wrapping
                .seal(&associated(tenant, aad), key.expose(), &*self.entropy)
                .map_err(|_| SecretsError::NotWrapped { tenant: tenant.clone() })
        })
    }

    fn unwrap<'a>(
        &'a self,
        tenant: &'a TenantSlug,
        wrapped: &'a [u8],
        aad: &'a [u8],
    ) -> SecretsFuture<'a, DataKey> {
        Box::pin(async move {
            let wrapping = self.key(tenant).await?;
            let refused = |source: SealError| SecretsError::NotUnwrapped { tenant: tenant.clone(), source };
            let bytes = Zeroizing::new(wrapping.open(&associated(tenant, aad), wrapped).map_err(refused)?);
            DataKey::from_bytes(&bytes).ok_or_else(|| refused(SealError::Malformed))
        })
    }

    fn destroy<'a>(&'a self, tenant: &'a TenantSlug) -> SecretsFuture<'a, bool> {
        Box::pin(async move { self.store.delete(&path(tenant)?).await })
    }
}

impl fmt::Debug for SealedWrapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedWrapping").field("store", &self.store).finish_non_exhaustive()
    }
}

/// A tenant's slug always is a segment of a path; asked again, since the two rules are written apart.
fn path(tenant: &TenantSlug) -> Result<SecretPath, SecretsError> {
    format!("{FOLDER}/{tenant}").parse().map_err(|_| SecretsError::NotWrapped { tenant: tenant.clone() })
}

fn associated(tenant: &TenantSlug, aad: &[u8]) -> Vec<u8> {
    // A slug holds no NUL, so where it ends needs no other mark.
    [b"mcp wrapped key 1\0", tenant.as_str().as_bytes(), b"\0", aad].concat()
}
