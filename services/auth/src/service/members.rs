//! The members of the caller's tenant, and the roles they may have.

use mcp_proto::auth::v1 as pb;
use mcp_rpc::{not_found, refusal};
use mcp_tenancy::{PermissionSet, TenantScope};
use mcp_types::UserName;
use tonic::{Code, Status};

use super::{Auth, parsed, store_failed, wire_time};
use crate::{
    members::{Authority, Forbidden, Member},
    roles::Role,
    store::{Members, Tenants, Unchanged},
};

/// The collection that a member's name begins with.
const COLLECTION: &str = "members/";

const PAGE_SIZE_DEFAULT: u32 = 50;
const PAGE_SIZE_MAX: u32 = 200;

/// What page tokens of this method are bound to.
const LIST_METHOD: &str = "/mcp.auth.v1.MemberService/ListMembers";

// === impl Auth ===

impl<S: Tenants + Members> Auth<S> {
    /// What `user`, who holds `permissions`, may do to members; asked for the role of this moment, since a token may be older
    /// than a demotion.
    pub(super) async fn authority(
        &self,
        scope: &TenantScope,
        permissions: PermissionSet,
        user: &UserName,
    ) -> Result<Authority, Status> {
        let member = self.store.member(scope, user).await.map_err(|error| store_failed(&error))?;
        Ok(Authority::of(permissions, member.map(|member| member.role)))
    }

    pub(super) async fn add_member(
        &self,
        scope: &TenantScope,
        authority: Authority,
        request: &pb::CreateMemberRequest,
    ) -> Result<pb::Member, Status> {
        let user: UserName = parsed(&request.member_id)?;
        let role: Role = parsed(&stated(request.member.as_ref())?.role)?;
        authority.may_grant(role).map_err(forbidden)?;

        let member = Member { user, role, created: self.clock.now() };
        if !self.store.add(scope, &member).await.map_err(|error| store_failed(&error))? {
            let words = format!("`{COLLECTION}{}` is a member already", member.user);
            return Err(refusal(Code::AlreadyExists, "MEMBER_EXISTS", words));
        }
        Ok(wire(&member))
    }

    pub(super) async fn show_member(
        &self,
        scope: &TenantScope,
        request: &pb::GetMemberRequest,
    ) -> Result<pb::Member, Status> {
        let user = user_in(&request.name)?;
        let member = self.store.member(scope, &user).await.map_err(|error| store_failed(&error))?;
        member.as_ref().map(wire).ok_or_else(not_found)
    }

    pub(super) async fn page_members(
        &self,
        scope: &TenantScope,
        request: &pb::ListMembersRequest,
    ) -> Result<pb::ListMembersResponse, Status> {
        let size = match u32::try_from(request.page_size) {
            Ok(0) => PAGE_SIZE_DEFAULT,
            Ok(size) => size.min(PAGE_SIZE_MAX),
            Err(_) => {
                let words = "`page_size` must not be negative";
                return Err(refusal(Code::InvalidArgument, "FIELD_INVALID", words));
            }
        };
        let after = match request.page_token.as_str() {
            "" => None,
            token => {
                let last = self.pages.read(scope, LIST_METHOD, token).map_err(|refused| {
                    refusal(Code::InvalidArgument, "PAGE_TOKEN_REFUSED", refused.to_string())
                })?;
                Some(last)
            }
        };

        // One more than fits tells whether there is a next page.
        let found = self.store.members(scope, after.as_deref(), size + 1).await;
        let mut members = found.map_err(|error| store_failed(&error))?;
        let more = members.len() > size as usize;
        members.truncate(size as usize);
        let next_page_token = match members.last() {
            Some(last) if more => self.pages.after(scope, LIST_METHOD, last.user.as_str()),
            _ => String::new(),
        };
        Ok(pb::ListMembersResponse { members: members.iter().map(wire).collect(), next_page_token })
    }

    pub(super) async fn change_member(
        &self,
        scope: &TenantScope,
        authority: Authority,
        request: &pb::UpdateMemberRequest,
    ) -> Result<pb::Member, Status> {
        let asked = stated(request.member.as_ref())?;
        let (user, role) = (user_in(&asked.name)?, parsed(&asked.role)?);
        let member =
            self.store.change(scope, &user, role, authority).await.map_err(|error| unchanged(&error))?;
        Ok(wire(&member))
    }

    pub(super) async fn remove_member(
        &self,
        scope: &TenantScope,
        authority: Authority,
        request: &pb::DeleteMemberRequest,
    ) -> Result<(), Status> {
        let user = user_in(&request.name)?;
        self.store.remove(scope, &user, authority).await.map_err(|error| unchanged(&error))
    }
}

/// All roles, weakest first.
pub(super) fn list_roles() -> pb::ListRolesResponse {
    let role = |role: Role| pb::Role {
        name: role.name().to_owned(),
        permissions: role.permissions().iter().map(|&name| name.to_owned()).collect(),
    };
    pb::ListRolesResponse { roles: Role::ALL.into_iter().map(role).collect() }
}

fn stated(member: Option<&pb::Member>) -> Result<&pb::Member, Status> {
    member.ok_or_else(|| refusal(Code::InvalidArgument, "FIELD_INVALID", "`member` must be set"))
}

fn user_in(name: &str) -> Result<UserName, Status> {
    let user = name.strip_prefix(COLLECTION).ok_or_else(|| {
        refusal(Code::InvalidArgument, "FIELD_INVALID", format!("a member's name is `{COLLECTION}<user>`"))
    })?;
    parsed(user)
}

fn unchanged(error: &Unchanged) -> Status {
    match error {
        Unchanged::Unknown => not_found(),
        Unchanged::Forbidden(rule) => forbidden(*rule),
        Unchanged::Store(error) => store_failed(error),
    }
}

fn forbidden(rule: Forbidden) -> Status {
    match rule {
        Forbidden::AboveCaller(role) => {
            refusal(Code::PermissionDenied, "ROLE_ABOVE_CALLER", format!("role `{role}` is above your own"))
        }
        Forbidden::LastOwner => refusal(
            Code::FailedPrecondition,
            "LAST_OWNER",
            "this is the tenant's last owner; make another one first",
        ),
    }
}

fn wire(member: &Member) -> pb::Member {
    pb::Member {
        name: format!("{COLLECTION}{}", member.user),
        role: member.role.name().to_owned(),
        create_time: Some(wire_time(member.created)),
    }
}
