//! Tokens without a password, for development alone.

use std::time::Duration;

use mcp_proto::auth::v1 as pb;
use mcp_rpc::refusal;
use mcp_tenancy::PlatformScope;
use mcp_types::{TenantSlug, UserName};
use tonic::{Code, Status};

use super::{Auth, not_signed, parsed, store_failed, wire_time};
use crate::{
    roles::Role,
    store::{Members, Tenants},
    tokens::Subject,
};

/// How long a token for development lives if nobody says, in seconds.
const DEVELOPMENT_TTL_SECS: u32 = 600;

// === impl Auth ===

impl<S: Tenants + Members> Auth<S> {
    pub(super) async fn sign_in(
        &self,
        scope: &PlatformScope,
        request: &pb::SignInLocallyRequest,
    ) -> Result<pb::SignInLocallyResponse, Status> {
        self.refuse_unless_local()?;
        let (tenant, user): (TenantSlug, UserName) = (parsed(&request.tenant)?, parsed(&request.user)?);

        self.ensure_tenant(scope, &tenant).await?;
        let inside = scope.enter(tenant);
        let member =
            self.store.join(&inside, &user, self.clock.now()).await.map_err(|error| store_failed(&error))?;

        let subject = Subject { tenant: inside.tenant(), user: &member.user, role: member.role };
        let signed = self.tokens.access(subject).await.map_err(|error| not_signed(&error))?;
        Ok(pb::SignInLocallyResponse {
            access_token: signed.token.into_exposed(),
            expire_time: Some(wire_time(signed.expires)),
            role: member.role.name().to_owned(),
        })
    }

    pub(super) async fn issue(
        &self,
        scope: &PlatformScope,
        request: &pb::IssueDevelopmentTokenRequest,
    ) -> Result<pb::IssueDevelopmentTokenResponse, Status> {
        self.refuse_unless_local()?;
        let (tenant, user): (TenantSlug, UserName) = (parsed(&request.tenant)?, parsed(&request.user)?);
        let role: Role = parsed(&request.role)?;
        let ttl_secs = if request.ttl_seconds == 0 { DEVELOPMENT_TTL_SECS } else { request.ttl_seconds };
        let bound_to = binding(&request.certificate_sha256)?;

        self.ensure_tenant(scope, &tenant).await?;
        let inside = scope.enter(tenant);
        let now = self.clock.now();
        let member =
            self.store.force(&inside, &user, role, now).await.map_err(|error| store_failed(&error))?;

        let subject = Subject { tenant: inside.tenant(), user: &member.user, role: member.role };
        let ttl = Duration::from_secs(ttl_secs.into());
        let signed =
            self.tokens.access_for(subject, ttl, bound_to).await.map_err(|error| not_signed(&error))?;
        Ok(pb::IssueDevelopmentTokenResponse {
            access_token: signed.token.into_exposed(),
            expire_time: Some(wire_time(signed.expires)),
        })
    }

    fn refuse_unless_local(&self) -> Result<(), Status> {
        if self.local_sign_in {
            return Ok(());
        }
        Err(refusal(
            Code::FailedPrecondition,
            "LOCAL_SIGN_IN_OFF",
            "this platform signs nobody in without proof; only the development profile does",
        ))
    }
}

fn binding(sha256: &[u8]) -> Result<Option<[u8; 32]>, Status> {
    if sha256.is_empty() {
        return Ok(None);
    }
    let words = "`certificate_sha256` must be 32 bytes, or none";
    sha256.try_into().map(Some).map_err(|_| refusal(Code::InvalidArgument, "FIELD_INVALID", words))
}
