//! What auth remembers: tenants on the platform's own table, members in their tenant's.
//!
//! ```text
//! mod.rs        the traits, one per aggregate
//! rows/         both in tables, on either engine
//! suite.rs      what every implementation must do, on each engine
//! migrated.rs   a server with these tables, for the tests
//! ```

#[cfg(test)]
mod migrated;
mod rows;
#[cfg(test)]
mod suite;

use std::future::Future;

use mcp_store::StoreError;
use mcp_tenancy::{PlatformScope, TenantScope};
use mcp_types::{TenantSlug, Timestamp, UserName};

#[cfg(test)]
pub(crate) use self::migrated::Migrated;
pub(crate) use self::rows::Rows;
pub use self::rows::options;
use crate::{
    members::{Authority, Forbidden, Member},
    roles::Role,
};

/// A tenant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Tenant {
    /// Its name for ever.
    pub(crate) slug: TenantSlug,
    /// What people call it.
    pub(crate) display_name: String,
    /// Since when.
    pub(crate) created: Timestamp,
    /// Its first owner, as long as that one is not among its members yet.
    ///
    /// Tenants and members are in different places, so making a tenant takes two commits. What a kill between them
    /// leaves undone is on record here, and is done at the next start.
    pub(crate) founder: Option<UserName>,
}

/// Why a member was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unchanged {
    /// The tenant has no such member.
    #[error("no such member")]
    Unknown,
    /// The rules forbid it.
    #[error("the change is not allowed")]
    Forbidden(#[source] Forbidden),
    /// The store could not serve.
    #[error("cannot change a member")]
    Store(#[from] StoreError),
}

/// Keeps the tenants, and what else belongs to none.
pub(crate) trait Tenants: Send + Sync + 'static {
    /// Adds `tenant`; says `false` where its slug is or was taken.
    fn found(
        &self,
        scope: &PlatformScope,
        tenant: &Tenant,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The tenant of this slug.
    fn tenant(
        &self,
        scope: &PlatformScope,
        slug: &TenantSlug,
    ) -> impl Future<Output = Result<Option<Tenant>, StoreError>> + Send;

    /// The tenant of the scope: the one row that somebody inside a tenant may see.
    fn own(&self, scope: &TenantScope) -> impl Future<Output = Result<Option<Tenant>, StoreError>> + Send;

    /// Notes that the founder of the tenant `slug` is among its members.
    fn settle(
        &self,
        scope: &PlatformScope,
        slug: &TenantSlug,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The tenants whose founder is not noted to be a member yet.
    fn unsettled(
        &self,
        scope: &PlatformScope,
    ) -> impl Future<Output = Result<Vec<Tenant>, StoreError>> + Send;

    /// The version of the access state with this digest: the last one's if that has the same digest, else a greater
    /// one, from `least` on.
    fn access_version(
        &self,
        scope: &PlatformScope,
        digest: &[u8; 32],
        least: u64,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// Keeps the members of each tenant. What one call does happens whole or not at all, whoever else calls.
pub(crate) trait Members: Send + Sync + 'static {
    /// The member of this name.
    fn member(
        &self,
        scope: &TenantScope,
        user: &UserName,
    ) -> impl Future<Output = Result<Option<Member>, StoreError>> + Send;

    /// Up to `count_max` members, from the one after `after` on, in an order that stays the same.
    fn members(
        &self,
        scope: &TenantScope,
        after: Option<&str>,
        count_max: u32,
    ) -> impl Future<Output = Result<Vec<Member>, StoreError>> + Send;

    /// Adds `member`; says `false` where the user is one already.
    fn add(
        &self,
        scope: &TenantScope,
        member: &Member,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Adds `user` as owner, if the tenant has no member at all.
    fn add_founder(
        &self,
        scope: &TenantScope,
        user: &UserName,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The member `user`, made one where missing with the role of a first sign-in.
    fn join(
        &self,
        scope: &TenantScope,
        user: &UserName,
        now: Timestamp,
    ) -> impl Future<Output = Result<Member, StoreError>> + Send;

    /// Gives `user` this role whatever it was, made a member where missing; asks nobody, so only development may.
    fn force(
        &self,
        scope: &TenantScope,
        user: &UserName,
        role: Role,
        now: Timestamp,
    ) -> impl Future<Output = Result<Member, StoreError>> + Send;

    /// Gives `user` another role, if `authority` allows.
    fn change(
        &self,
        scope: &TenantScope,
        user: &UserName,
        role: Role,
        authority: Authority,
    ) -> impl Future<Output = Result<Member, Unchanged>> + Send;

    /// Removes `user`, if `authority` allows.
    fn remove(
        &self,
        scope: &TenantScope,
        user: &UserName,
        authority: Authority,
    ) -> impl Future<Output = Result<(), Unchanged>> + Send;
}
