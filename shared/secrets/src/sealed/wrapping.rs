//! Wrapping keys in the sealed store: a secret a tenant, at `wrapping/<tenant>`.

use std::{fmt, sync::Arc};

use mcp_types::{Entropy, TenantSlug};
use zeroize::Zeroizing;

use super::{Escrow, EscrowIdentity, Escrowed, SealedStore};
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
    escrow: Option<Escrow>,
}

// === impl SealedWrapping ===

impl SealedWrapping {
    /// Wraps under the keys in `store`, whose paths below `wrapping/` are for this alone.
    pub fn new(store: SealedStore, entropy: Arc<dyn Entropy>) -> Self {
        Self { store, entropy, escrow: None }
    }

    /// The same, with a copy of each wrapping key in `escrow` before it is used.
    #[must_use]
    pub fn with_escrow(self, escrow: Escrow) -> Self {
        Self { escrow: Some(escrow), ..self }
    }

    /// Writes every wrapping key's copy to `escrow` anew, and removes the copies of those that are destroyed: for the
    /// keys of before there was an escrow, and for another recipient.
    ///
    /// # Errors
    ///
    /// Where a key cannot be read or a copy cannot be written.
    pub async fn export(&self, escrow: &Escrow) -> Result<Escrowed, SecretsError> {
        let folder: SecretPath = FOLDER.parse().map_err(|_| SecretsError::CutOff)?;
        let mut escrowed = Escrowed::default();
        let mut kept = Vec::new();
        for path in self.store.list(&folder).await? {
            let name = path.as_str().rsplit('/').next().unwrap_or_default();
            let Ok(tenant) = name.parse::<TenantSlug>() else { continue };
            // One that was destroyed meanwhile has no copy to write.
            let Some(key) = self.store.get(&path).await? else { continue };
            self.escrowing(escrow, &tenant, Some(key)).await?;
            escrowed.written += 1;
            kept.push(tenant);
        }
        for tenant in escrow.tenants()? {
            if !kept.contains(&tenant) && self.store.get(&path(&tenant)?).await?.is_none() {
                self.escrowing(escrow, &tenant, None).await?;
                escrowed.removed += 1;
            }
        }
        Ok(escrowed)
    }

    /// Takes back from `escrow` the wrapping keys that are missing here, and says how many there were.
    ///
    /// # Errors
    ///
    /// Where `identity` does not open a copy, or a key is here already and is another: nothing is overwritten.
    pub async fn import(&self, escrow: &Escrow, identity: &EscrowIdentity) -> Result<usize, SecretsError> {
        let mut taken = 0;
        for tenant in escrow.tenants()? {
            let path = path(&tenant)?;
            let key = escrow.release(&tenant, identity)?;
            match self.store.get(&path).await? {
                None => {
                    self.store.put_if_absent(&path, key).await?;
                    taken += 1;
                }
                Some(held) if held == key => {}
                Some(_) => return Err(SecretsError::Conflicting { tenant }),
            }
        }
        Ok(taken)
    }

    /// Writes `tenant`'s copy, or removes it where there is no key, on a thread that may wait for the disk.
    async fn escrowing(
        &self,
        escrow: &Escrow,
        tenant: &TenantSlug,
        key: Option<Secret>,
    ) -> Result<(), SecretsError> {
        let (escrow, tenant) = (escrow.clone(), tenant.clone());
        let work = move || match key {
            Some(key) => escrow.keep(&tenant, &key),
            None => escrow.forget(&tenant),
        };
        tokio::task::spawn_blocking(work).await.unwrap_or(Err(SecretsError::CutOff))
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
            let kept = self.store.put_if_absent(&path(tenant)?, key).await?;
            match &self.escrow {
                // Killed after the key and before its copy: whoever asks again finds the key, and makes the copy.
                Some(escrow) if !escrow.has(tenant) => self.escrowing(escrow, tenant, Some(kept)).await,
                _ => Ok(()),
            }
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
        Box::pin(async move {
            // The copy first: killed in between, the key is here still, and whoever asks again destroys it.
            if let Some(escrow) = &self.escrow {
                self.escrowing(escrow, tenant, None).await?;
            }
            self.store.delete(&path(tenant)?).await
        })
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
