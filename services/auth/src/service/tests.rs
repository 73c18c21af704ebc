//! The methods over a real store, real keys and a clock that is set by hand; only the mesh is not there.

use std::{sync::Arc, time::Duration};

use mcp_proto::{POLICIES, auth::v1 as pb};
use mcp_rpc::reason_of;
use mcp_tenancy::{Credential, TokenKind, Verifier};
use mcp_types::{Clock as _, SystemEntropy};
use tokio::sync::watch;
use tonic::Code;

use super::*;
use crate::{
    access,
    config::Config,
    fixture::{Home, ManualClock, platform, scope_of},
    members::Authority,
    roles::Role,
    store::SqliteStore,
};

/// The service, and the folder that it lives in.
struct World {
    auth: Auth<SqliteStore>,
    clock: Arc<ManualClock>,
    _home: Home,
}

impl World {
    async fn start() -> Self {
        let home = Home::new();
        let clock = ManualClock::at(1_700_000_000);
        let tokens = home.tokens(Config::default(), &clock).await;
        let (access, _) = watch::channel(Arc::new(access::snapshot(&tokens, 1)));
        let auth = Auth {
            store: home.store().await,
            tokens,
            pages: PageTokens::load(&home.secrets(), &SystemEntropy).await.expect("a key"),
            access,
            local_sign_in: true,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            stop: Stop::default(),
        };
        Self { auth, clock, _home: home }
    }

    async fn signs_in(&self, tenant: &str, user: &str) -> pb::SignInLocallyResponse {
        self.auth.sign_in(&platform(), &sign_in(tenant, user)).await.expect("signed in")
    }

    async fn token_for(&self, user: &str, role: &str) -> String {
        let request = development(user, role);
        self.auth.issue(&platform(), &request).await.expect("issued").access_token
    }

    async fn exchanges(&self, access_token: &str) -> Result<Credential, Status> {
        let exchanged = self.auth.exchange(&exchange(access_token)).await?;
        let mesh =
            Verifier::new(self.auth.tokens.entry(TokenKind::Transaction), POLICIES).expect("a verifier");
        Ok(mesh.verify(&exchanged.transaction_token, self.clock.now()).expect("the mesh believes it"))
    }

    async fn role_of(&self, tenant: &str, user: &str) -> Option<String> {
        let request = pb::GetMemberRequest { name: format!("members/{user}") };
        self.auth.show_member(&scope_of(tenant), &request).await.ok().map(|member| member.role)
    }
}

fn sign_in(tenant: &str, user: &str) -> pb::SignInLocallyRequest {
    pb::SignInLocallyRequest { tenant: tenant.to_owned(), user: user.to_owned() }
}

fn development(user: &str, role: &str) -> pb::IssueDevelopmentTokenRequest {
    pb::IssueDevelopmentTokenRequest {
        tenant: "acme".to_owned(),
        user: user.to_owned(),
        role: role.to_owned(),
        ttl_seconds: 0,
        certificate_sha256: Vec::new(),
    }
}

fn exchange(access_token: &str) -> pb::ExchangeCredentialRequest {
    let credential = pb::exchange_credential_request::Credential::AccessToken(access_token.to_owned());
    pb::ExchangeCredentialRequest { credential: Some(credential) }
}

fn named(user: &str, role: &str) -> pb::Member {
    pb::Member { name: format!("members/{user}"), role: role.to_owned(), create_time: None }
}

fn new_tenant(owner: &str) -> pb::CreateTenantRequest {
    pb::CreateTenantRequest {
        tenant: "acme".to_owned(),
        display_name: String::new(),
        owner: owner.to_owned(),
    }
}

fn holding(role: Role) -> Authority {
    Authority::of(role.permission_set(&POLICIES))
}

fn verdict(status: &Status) -> (Code, Option<String>) {
    (status.code(), reason_of(status))
}

fn is(code: Code, reason: &str) -> (Code, Option<String>) {
    (code, Some(reason.to_owned()))
}

// === signing in ===

#[tokio::test]
async fn the_first_to_sign_in_owns_the_tenant_and_the_second_edits() {
    let world = World::start().await;

    let alice = world.signs_in("acme", "alice").await;
    let bob = world.signs_in("acme", "bob").await;
    let elsewhere = world.signs_in("globex", "bob").await;

    assert_eq!((&*alice.role, &*bob.role, &*elsewhere.role), ("owner", "editor", "owner"));
    assert_eq!(alice.expire_time.map(|time| time.seconds), Some(1_700_000_600));
    let tenant = world.auth.show_tenant(&scope_of("acme")).await.expect("made");
    assert_eq!((&*tenant.slug, &*tenant.display_name), ("acme", "acme"));
}

#[tokio::test]
async fn signing_in_again_changes_nothing() {
    let world = World::start().await;
    world.signs_in("acme", "alice").await;
    world
        .auth
        .store
        .force(&scope_of("acme"), &"alice".parse().expect("a name"), Role::Viewer, world.clock.now())
        .await
        .expect("forced");

    assert_eq!(world.signs_in("acme", "alice").await.role, "viewer");
}

#[tokio::test]
async fn nobody_signs_in_locally_where_it_is_off() {
    let mut world = World::start().await;
    world.auth.local_sign_in = false;

    let signed_in = world.auth.sign_in(&platform(), &sign_in("acme", "alice")).await.expect_err("off");
    let issued = world.auth.issue(&platform(), &development("alice", "owner")).await.expect_err("off");

    assert_eq!(verdict(&signed_in), is(Code::FailedPrecondition, "LOCAL_SIGN_IN_OFF"));
    assert_eq!(verdict(&issued), is(Code::FailedPrecondition, "LOCAL_SIGN_IN_OFF"));
    assert_eq!(world.auth.store.own(&scope_of("acme")).await.expect("read"), None);
}

#[tokio::test]
async fn a_token_for_development_carries_the_role_asked_for() {
    let world = World::start().await;
    world.signs_in("acme", "alice").await;

    for role in Role::ALL {
        let token = world.token_for("bob", role.name()).await;
        let credential = world.exchanges(&token).await.expect("exchanged");
        assert_eq!(credential.permissions(), role.permission_set(&POLICIES), "{role}");
    }
}

#[tokio::test]
async fn a_token_for_development_lives_as_long_as_asked() {
    let world = World::start().await;
    let request = pb::IssueDevelopmentTokenRequest { ttl_seconds: 3600, ..development("bob", "viewer") };

    let issued = world.auth.issue(&platform(), &request).await.expect("issued");

    assert_eq!(issued.expire_time.map(|time| time.seconds), Some(1_700_003_600));
}

// === exchange ===

#[tokio::test]
async fn an_exchange_gives_the_role_of_the_moment() {
    let world = World::start().await;
    world.signs_in("acme", "alice").await;
    let token = world.signs_in("acme", "bob").await.access_token;
    let request = pb::UpdateMemberRequest { member: Some(named("bob", "viewer")) };
    world.auth.change_member(&scope_of("acme"), holding(Role::Owner), &request).await.expect("changed");

    let credential = world.exchanges(&token).await.expect("exchanged");

    assert_eq!(credential.permissions(), Role::Viewer.permission_set(&POLICIES));
    assert_eq!(credential.expires().unix_secs(), 1_700_000_060);
}

#[tokio::test]
async fn a_removed_members_token_is_exchanged_no_more() {
    let world = World::start().await;
    world.signs_in("acme", "alice").await;
    let token = world.signs_in("acme", "bob").await.access_token;
    let request = pb::DeleteMemberRequest { name: "members/bob".to_owned() };
    world.auth.remove_member(&scope_of("acme"), holding(Role::Owner), &request).await.expect("removed");

    let refused = world.exchanges(&token).await.expect_err("no member");

    assert_eq!(verdict(&refused), is(Code::Unauthenticated, "MEMBER_UNKNOWN"));
}

#[tokio::test]
async fn what_is_no_access_token_of_ours_is_refused() {
    let world = World::start().await;
    let access = world.signs_in("acme", "alice").await.access_token;
    let transaction = world.auth.exchange(&exchange(&access)).await.expect("exchanged").transaction_token;
    let bound =
        pb::IssueDevelopmentTokenRequest { certificate_sha256: vec![7; 32], ..development("alice", "owner") };
    let bound = world.auth.issue(&platform(), &bound).await.expect("issued").access_token;
    let (signed, _) = access.rsplit_once('.').expect("three parts");
    let unsigned = format!("{signed}.");

    for token in [&transaction, &bound, &unsigned, "junk", "a.b.c"] {
        let refused = world.exchanges(token).await.expect_err("refused");
        assert_eq!(verdict(&refused), is(Code::Unauthenticated, "TOKEN_REFUSED"));
        assert!(!refused.message().contains(token));
    }

    world.clock.advance(Duration::from_secs(631));
    let expired = world.exchanges(&access).await.expect_err("expired");
    assert_eq!(verdict(&expired), is(Code::Unauthenticated, "TOKEN_REFUSED"));
}

#[tokio::test]
async fn the_holder_of_a_bound_token_hears_where_to_go() {
    let world = World::start().await;
    let request =
        pb::IssueDevelopmentTokenRequest { certificate_sha256: vec![7; 32], ..development("alice", "owner") };
    let bound = world.auth.issue(&platform(), &request).await.expect("issued").access_token;

    let refused = world.exchanges(&bound).await.expect_err("bound");

    assert!(refused.message().contains("the service's own port"), "{}", refused.message());
}

// === tenants ===

#[tokio::test]
async fn a_tenant_is_made_with_its_owner_and_only_once() {
    let world = World::start().await;

    let made = world.auth.make_tenant(&platform(), &new_tenant("alice")).await.expect("made");
    let again = world.auth.make_tenant(&platform(), &new_tenant("mallory")).await.expect_err("taken");

    assert_eq!((&*made.slug, &*made.display_name), ("acme", "acme"));
    assert_eq!(verdict(&again), is(Code::AlreadyExists, "TENANT_EXISTS"));
    assert_eq!(world.role_of("acme", "alice").await.as_deref(), Some("owner"));
    assert_eq!(world.role_of("acme", "mallory").await, None);
    assert_eq!(world.auth.store.unsettled(&platform()).await.expect("listed"), []);
}

#[tokio::test]
async fn a_tenant_that_was_cut_off_half_made_gets_its_owner_at_the_next_start() {
    let world = World::start().await;
    let half_made = crate::store::Tenant {
        slug: "acme".parse().expect("a slug"),
        display_name: "Acme".to_owned(),
        created: world.clock.now(),
        founder: Some("alice".parse().expect("a name")),
    };
    world.auth.store.found(&platform(), &half_made).await.expect("founded");

    world.auth.settle_all(&platform()).await.expect("settled");

    assert_eq!(world.role_of("acme", "alice").await.as_deref(), Some("owner"));
    assert_eq!(world.auth.store.unsettled(&platform()).await.expect("listed"), []);
}

#[tokio::test]
async fn nobody_gets_in_before_the_owner_of_a_half_made_tenant() {
    let world = World::start().await;
    let half_made = crate::store::Tenant {
        slug: "acme".parse().expect("a slug"),
        display_name: "Acme".to_owned(),
        created: world.clock.now(),
        founder: Some("alice".parse().expect("a name")),
    };
    world.auth.store.found(&platform(), &half_made).await.expect("founded");

    assert_eq!(world.signs_in("acme", "bob").await.role, "editor");
    assert_eq!(world.signs_in("acme", "alice").await.role, "owner");
}

// === members ===

#[tokio::test]
async fn a_member_is_added_changed_and_removed() {
    let world = World::start().await;
    let (acme, owner) = (scope_of("acme"), holding(Role::Owner));
    world.signs_in("acme", "alice").await;
    let create = pb::CreateMemberRequest {
        member_id: "bob".to_owned(),
        member: Some(pb::Member { role: "viewer".to_owned(), ..pb::Member::default() }),
    };

    let added = world.auth.add_member(&acme, owner, &create).await.expect("added");
    let twice = world.auth.add_member(&acme, owner, &create).await.expect_err("a member");
    let update = pb::UpdateMemberRequest { member: Some(named("bob", "admin")) };
    let changed = world.auth.change_member(&acme, owner, &update).await.expect("changed");
    let delete = pb::DeleteMemberRequest { name: "members/bob".to_owned() };
    world.auth.remove_member(&acme, owner, &delete).await.expect("removed");
    let gone = world.auth.remove_member(&acme, owner, &delete).await.expect_err("gone");

    assert_eq!((&*added.name, &*added.role), ("members/bob", "viewer"));
    assert_eq!(added.create_time.map(|time| time.seconds), Some(1_700_000_000));
    assert_eq!(verdict(&twice), is(Code::AlreadyExists, "MEMBER_EXISTS"));
    assert_eq!(changed.role, "admin");
    assert_eq!(verdict(&gone), is(Code::NotFound, "NOT_FOUND"));
}

#[tokio::test]
async fn nobody_hands_out_or_takes_away_more_than_they_hold() {
    let world = World::start().await;
    let (acme, editor) = (scope_of("acme"), holding(Role::Editor));
    world.signs_in("acme", "alice").await;
    world.signs_in("acme", "bob").await;
    let create = pb::CreateMemberRequest {
        member_id: "mallory".to_owned(),
        member: Some(pb::Member { role: "admin".to_owned(), ..pb::Member::default() }),
    };
    let update = pb::UpdateMemberRequest { member: Some(named("bob", "owner")) };
    let delete = pb::DeleteMemberRequest { name: "members/alice".to_owned() };

    for refused in [
        world.auth.add_member(&acme, editor, &create).await.map(|_| ()),
        world.auth.change_member(&acme, editor, &update).await.map(|_| ()),
        world.auth.remove_member(&acme, editor, &delete).await,
    ] {
        let refused = refused.expect_err("above the caller");
        assert_eq!(verdict(&refused), is(Code::PermissionDenied, "ROLE_ABOVE_CALLER"));
    }
    assert_eq!(world.role_of("acme", "mallory").await, None);
    assert_eq!(world.role_of("acme", "bob").await.as_deref(), Some("editor"));
    assert_eq!(world.role_of("acme", "alice").await.as_deref(), Some("owner"));
}

#[tokio::test]
async fn the_last_owner_stays() {
    let world = World::start().await;
    let (acme, owner) = (scope_of("acme"), holding(Role::Owner));
    world.signs_in("acme", "alice").await;
    let update = pb::UpdateMemberRequest { member: Some(named("alice", "admin")) };
    let delete = pb::DeleteMemberRequest { name: "members/alice".to_owned() };

    let demoted = world.auth.change_member(&acme, owner, &update).await.expect_err("the last");
    let removed = world.auth.remove_member(&acme, owner, &delete).await.expect_err("the last");

    assert_eq!(verdict(&demoted), is(Code::FailedPrecondition, "LAST_OWNER"));
    assert_eq!(verdict(&removed), is(Code::FailedPrecondition, "LAST_OWNER"));
}

#[tokio::test]
async fn another_tenants_member_looks_like_no_member() {
    let world = World::start().await;
    world.signs_in("acme", "alice").await;
    let request = pb::GetMemberRequest { name: "members/alice".to_owned() };

    let foreign = world.auth.show_member(&scope_of("globex"), &request).await.expect_err("another's");
    let request = pb::GetMemberRequest { name: "members/nobody".to_owned() };
    let absent = world.auth.show_member(&scope_of("acme"), &request).await.expect_err("nobody's");

    assert_eq!(verdict(&foreign), is(Code::NotFound, "NOT_FOUND"));
    assert_eq!((foreign.message(), foreign.details()), (absent.message(), absent.details()));
}

#[tokio::test]
async fn a_list_is_walked_page_by_page() {
    let world = World::start().await;
    let acme = scope_of("acme");
    for user in ["dora", "alice", "carol", "bob", "eve"] {
        world.signs_in("acme", user).await;
    }

    let mut names = Vec::new();
    let mut request = pb::ListMembersRequest { page_size: 2, page_token: String::new() };
    loop {
        let page = world.auth.page_members(&acme, &request).await.expect("a page");
        assert!(page.members.len() <= 2);
        names.extend(page.members.into_iter().map(|member| member.name));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }

    assert_eq!(names, ["alice", "bob", "carol", "dora", "eve"].map(|user| format!("members/{user}")));
}

#[tokio::test]
async fn a_full_last_page_has_no_next() {
    let world = World::start().await;
    for user in ["alice", "bob"] {
        world.signs_in("acme", user).await;
    }
    let request = pb::ListMembersRequest { page_size: 2, page_token: String::new() };

    let page = world.auth.page_members(&scope_of("acme"), &request).await.expect("a page");

    assert_eq!((page.members.len(), &*page.next_page_token), (2, ""));
}

#[tokio::test]
async fn a_page_token_of_another_tenant_is_refused() {
    let world = World::start().await;
    for (tenant, user) in [("acme", "alice"), ("acme", "bob"), ("globex", "carol"), ("globex", "dora")] {
        world.signs_in(tenant, user).await;
    }
    let mut request = pb::ListMembersRequest { page_size: 1, page_token: String::new() };
    let page = world.auth.page_members(&scope_of("acme"), &request).await.expect("a page");

    for token in [page.next_page_token.as_str(), "Ym9i"] {
        request.page_token = token.to_owned();
        let refused = world.auth.page_members(&scope_of("globex"), &request).await.expect_err("not ours");
        assert_eq!(verdict(&refused), is(Code::InvalidArgument, "PAGE_TOKEN_REFUSED"));
    }
}

#[tokio::test]
async fn a_role_is_listed_with_what_it_may_do() {
    let roles = members::list_roles().roles;

    let names: Vec<_> = roles.iter().map(|role| &*role.name).collect();
    assert_eq!(names, ["viewer", "editor", "admin", "owner"]);
    assert!(roles[0].permissions.iter().eq(Role::Viewer.permissions()));
    assert!(roles.iter().all(|role| role.permissions.is_sorted()));
}
