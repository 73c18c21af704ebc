//! Tenants: how one is made, and what its people see of it.

use mcp_proto::auth::v1 as pb;
use mcp_rpc::{not_found, refusal};
use mcp_store::StoreError;
use mcp_tenancy::{PlatformScope, TenantScope};
use mcp_types::{TenantSlug, UserName};
use tonic::{Code, Status};

use super::{Auth, parsed, store_failed, wire_time};
use crate::store::{Members, Tenant, Tenants};

// === impl Auth ===

impl<S: Tenants + Members> Auth<S> {
    pub(super) async fn make_tenant(
        &self,
        scope: &PlatformScope,
        request: &pb::CreateTenantRequest,
    ) -> Result<pb::Tenant, Status> {
        let (slug, owner): (TenantSlug, UserName) = (parsed(&request.tenant)?, parsed(&request.owner)?);
        let named = if request.display_name.is_empty() { slug.as_str() } else { &request.display_name };
        let tenant =
            Tenant { display_name: named.to_owned(), created: self.clock.now(), founder: Some(owner), slug };
        let made = self.store.found(scope, &tenant).await.map_err(|error| store_failed(&error))?;
        if !made {
            let words = format!("`{}` is or was a tenant, and no name is given twice", tenant.slug);
            return Err(refusal(Code::AlreadyExists, "TENANT_EXISTS", words));
        }
        self.settle(scope, &tenant).await.map_err(|error| store_failed(&error))?;
        Ok(wire(&tenant))
    }

    pub(super) async fn show_tenant(&self, scope: &TenantScope) -> Result<pb::Tenant, Status> {
        let tenant = self.store.own(scope).await.map_err(|error| store_failed(&error))?;
        tenant.as_ref().map(wire).ok_or_else(not_found)
    }

    /// Makes the tenant `slug` where there is none, without an owner: its first member becomes one.
    pub(super) async fn ensure_tenant(&self, scope: &PlatformScope, slug: &TenantSlug) -> Result<(), Status> {
        let found = self.store.tenant(scope, slug).await.map_err(|error| store_failed(&error))?;
        let outcome = match found {
            // An operator is making it just now, or was cut off: its owner comes first.
            Some(tenant) => self.settle(scope, &tenant).await,
            None => {
                let tenant = Tenant {
                    slug: slug.clone(),
                    display_name: slug.to_string(),
                    created: self.clock.now(),
                    founder: None,
                };
                // Whoever lost a race finds the tenant there, which is all that was wanted.
                self.store.found(scope, &tenant).await.map(|_| ())
            }
        };
        outcome.map_err(|error| store_failed(&error))
    }

    /// Finishes what a kill left half made.
    pub(crate) async fn settle_all(&self, scope: &PlatformScope) -> Result<(), StoreError> {
        for tenant in self.store.unsettled(scope).await? {
            tracing::info!(tenant = %tenant.slug, "finishing a tenant that was left half made");
            self.settle(scope, &tenant).await?;
        }
        Ok(())
    }

    async fn settle(&self, scope: &PlatformScope, tenant: &Tenant) -> Result<(), StoreError> {
        let Some(founder) = &tenant.founder else { return Ok(()) };
        // In this order: noted only once it is so.
        let inside = scope.enter(tenant.slug.clone());
        self.store.add_founder(&inside, founder, tenant.created).await?;
        self.store.settle(scope, &tenant.slug).await
    }
}

fn wire(tenant: &Tenant) -> pb::Tenant {
    pb::Tenant {
        slug: tenant.slug.to_string(),
        display_name: tenant.display_name.clone(),
        create_time: Some(wire_time(tenant.created)),
    }
}
