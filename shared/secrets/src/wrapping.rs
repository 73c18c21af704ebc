//! The trait that every keeper of wrapping keys offers: a key a tenant, which never leaves its keeper.

use std::fmt;

use mcp_types::TenantSlug;

use crate::{DataKey, SecretsFuture};

/// Wraps data keys under a wrapping key per tenant.
///
/// A tenant's data is lost for good, and in every backup, once its wrapping key is destroyed. So a wrapping key is
/// durable before [`create`](Self::create) answers, and lies in no backup of data.
pub trait Wrapping: fmt::Debug + Send + Sync + 'static {
    /// Makes `tenant`'s wrapping key, where there is none.
    fn create<'a>(&'a self, tenant: &'a TenantSlug) -> SecretsFuture<'a, ()>;

    /// Wraps `key` for `tenant` and the place that `aad` names.
    ///
    /// Where the tenant has no wrapping key the answer is [`KeyDestroyed`](crate::SecretsError::KeyDestroyed):
    /// never a new key.
    fn wrap<'a>(
        &'a self,
        tenant: &'a TenantSlug,
        key: &'a DataKey,
        aad: &'a [u8],
    ) -> SecretsFuture<'a, Vec<u8>>;

    /// Unwraps what [`wrap`](Self::wrap) made for the same tenant and `aad`.
    ///
    /// Where the wrapping key is gone the answer is [`KeyDestroyed`](crate::SecretsError::KeyDestroyed); where there
    /// is one and it does not fit, [`NotUnwrapped`](crate::SecretsError::NotUnwrapped).
    fn unwrap<'a>(
        &'a self,
        tenant: &'a TenantSlug,
        wrapped: &'a [u8],
        aad: &'a [u8],
    ) -> SecretsFuture<'a, DataKey>;

    /// Destroys `tenant`'s wrapping key for good, with every copy that this keeper has, and says whether there was one.
    fn destroy<'a>(&'a self, tenant: &'a TenantSlug) -> SecretsFuture<'a, bool>;
}
