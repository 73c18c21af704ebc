//! The generated traits: each method takes its scope out of the call, and nothing else gives it one.

use mcp_proto::auth::v1::{
    self as pb, auth_service_server::AuthService, member_service_server::MemberService,
    role_service_server::RoleService, tenant_service_server::TenantService,
};
use mcp_rpc::Call;
use mcp_tenancy::{PermissionSet, TenantScope};
use tokio::sync::mpsc;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use super::{Auth, members::list_roles};
use crate::{
    access,
    members::Authority,
    store::{Members, Tenants},
};

/// How many answers wait for a watcher that does not read; see [`access::feed`] for what is lost beyond.
const WATCH_QUEUE_MAX: usize = 2;

/// The tenant of `call`, and what its user may do to members there.
async fn scope_and_authority<S: Tenants + Members>(
    auth: &Auth<S>,
    call: &Call,
) -> Result<(TenantScope, Authority), Status> {
    let scope = call.tenant_scope()?;
    let authority = match call.caller()?.credential() {
        Some(credential) => auth.authority(&scope, credential.permissions(), credential.user()).await?,
        None => Authority::of(PermissionSet::default(), None),
    };
    Ok((scope, authority))
}

#[tonic::async_trait]
impl<S: Tenants + Members> AuthService for Auth<S> {
    type WatchAccessStream = ReceiverStream<Result<pb::WatchAccessResponse, Status>>;

    async fn sign_in_locally(
        &self,
        request: Request<pb::SignInLocallyRequest>,
    ) -> Result<Response<pb::SignInLocallyResponse>, Status> {
        let scope = Call::of(&request)?.platform_scope()?;
        self.sign_in(&scope, request.get_ref()).await.map(Response::new)
    }

    async fn issue_development_token(
        &self,
        request: Request<pb::IssueDevelopmentTokenRequest>,
    ) -> Result<Response<pb::IssueDevelopmentTokenResponse>, Status> {
        let scope = Call::of(&request)?.platform_scope()?;
        self.issue(&scope, request.get_ref()).await.map(Response::new)
    }

    async fn exchange_credential(
        &self,
        request: Request<pb::ExchangeCredentialRequest>,
    ) -> Result<Response<pb::ExchangeCredentialResponse>, Status> {
        self.exchange(request.get_ref()).await.map(Response::new)
    }

    async fn watch_access(
        &self,
        request: Request<Streaming<pb::WatchAccessRequest>>,
    ) -> Result<Response<Self::WatchAccessStream>, Status> {
        let (out, answers) = mpsc::channel(WATCH_QUEUE_MAX);
        let mut heard = request.into_inner();
        // Before the answer begins, so that a first message that breaks a rule is refused like any other call's.
        let first = tokio_stream::iter(heard.message().await?.map(Ok));
        let (heard, state) = (first.chain(heard), self.access.subscribe());
        tokio::spawn(access::feed(heard, state, out, access::HEARTBEAT, self.stop.requested()));
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

#[tonic::async_trait]
impl<S: Tenants + Members> TenantService for Auth<S> {
    async fn create_tenant(
        &self,
        request: Request<pb::CreateTenantRequest>,
    ) -> Result<Response<pb::Tenant>, Status> {
        let scope = Call::of(&request)?.platform_scope()?;
        self.make_tenant(&scope, request.get_ref()).await.map(Response::new)
    }

    async fn get_tenant(
        &self,
        request: Request<pb::GetTenantRequest>,
    ) -> Result<Response<pb::Tenant>, Status> {
        let scope = Call::of(&request)?.tenant_scope()?;
        self.show_tenant(&scope).await.map(Response::new)
    }
}

#[tonic::async_trait]
impl<S: Tenants + Members> MemberService for Auth<S> {
    async fn create_member(
        &self,
        request: Request<pb::CreateMemberRequest>,
    ) -> Result<Response<pb::Member>, Status> {
        let call = Call::of(&request)?;
        let (scope, authority) = scope_and_authority(self, &call).await?;
        self.add_member(&scope, authority, request.get_ref()).await.map(Response::new)
    }

    async fn get_member(
        &self,
        request: Request<pb::GetMemberRequest>,
    ) -> Result<Response<pb::Member>, Status> {
        let scope = Call::of(&request)?.tenant_scope()?;
        self.show_member(&scope, request.get_ref()).await.map(Response::new)
    }

    async fn list_members(
        &self,
        request: Request<pb::ListMembersRequest>,
    ) -> Result<Response<pb::ListMembersResponse>, Status> {
        let scope = Call::of(&request)?.tenant_scope()?;
        self.page_members(&scope, request.get_ref()).await.map(Response::new)
    }

    async fn update_member(
        &self,
        request: Request<pb::UpdateMemberRequest>,
    ) -> Result<Response<pb::Member>, Status> {
        let call = Call::of(&request)?;
        let (scope, authority) = scope_and_authority(self, &call).await?;
        self.change_member(&scope, authority, request.get_ref()).await.map(Response::new)
    }

    async fn delete_member(&self, request: Request<pb::DeleteMemberRequest>) -> Result<Response<()>, Status> {
        let call = Call::of(&request)?;
        let (scope, authority) = scope_and_authority(self, &call).await?;
        self.remove_member(&scope, authority, request.get_ref()).await.map(Response::new)
    }
}

#[tonic::async_trait]
impl<S: Tenants + Members> RoleService for Auth<S> {
    async fn list_roles(
        &self,
        request: Request<pb::ListRolesRequest>,
    ) -> Result<Response<pb::ListRolesResponse>, Status> {
        // The roles are the same in every tenant, and yet only somebody inside one may ask.
        Call::of(&request)?.tenant_scope()?;
        Ok(Response::new(list_roles()))
    }
}
