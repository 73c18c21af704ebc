//! The right to open rows: of one tenant, or of the platform.

use std::{fmt, sync::Arc};

use mcp_types::TenantSlug;

use crate::Evidence;

/// Proof that a call may act inside one tenant; the store's door asks for it.
///
/// Made by [`crate::Caller::tenant_scope`] and [`crate::Credential::tenant_scope`].
#[derive(Clone)]
pub struct TenantScope {
    pub(crate) tenant: TenantSlug,
    /// What a write inside the scope takes along.
    pub(crate) evidence: Option<Arc<Evidence>>,
}

/// Proof of acting for the platform itself, on tables that have no tenant.
///
/// Only auth and ca hold one; the tree's own test fails where another crate asks for it.
#[derive(Clone)]
pub struct PlatformScope(pub(crate) ());

// === impl TenantScope ===

impl TenantScope {
    /// The tenant whose rows may be touched.
    pub fn tenant(&self) -> &TenantSlug {
        &self.tenant
    }

    /// The same right, with the audit row that a write takes along.
    #[must_use]
    pub fn with_evidence(mut self, evidence: Option<Arc<Evidence>>) -> Self {
        self.evidence = evidence;
        self
    }

    /// The audit row that a write takes along, where the call has one.
    pub fn evidence(&self) -> Option<&Arc<Evidence>> {
        self.evidence.as_ref()
    }
}

impl fmt::Debug for TenantScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantScope({})", self.tenant)
    }
}

// === impl PlatformScope ===

impl PlatformScope {
    /// For work that no call asked for: what auth and ca load when they start, and their upkeep.
    pub const fn of_the_platform_itself() -> Self {
        Self(())
    }

    /// Enters a tenant that no credential names yet: sign-in, and the creation of a tenant's first member.
    ///
    /// This is where tenancy begins, so it cannot follow from a credential; auth alone may use it.
    pub fn enter(&self, tenant: TenantSlug) -> TenantScope {
        TenantScope { tenant, evidence: None }
    }
}

impl fmt::Debug for PlatformScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlatformScope")
    }
}
