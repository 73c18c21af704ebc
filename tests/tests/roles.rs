//! What each role may do, and that a role is what it is now.

use mcp_proto::auth::v1::{
    CreateMemberRequest, DeleteMemberRequest, GetTenantRequest, ListMembersRequest, ListRolesRequest, Member,
    UpdateMemberRequest,
};
use mcp_tests::{User, World, reason};
use tonic::{Code, Status};

#[tokio::test]
async fn a_viewer_reads_and_summarises_and_may_not_write() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;
    let victor = world.user("acme", "victor", "viewer").await;
    let plan = alice.creates("The plan").await.expect("stored").name;

    victor.reads(&plan).await.expect("reads");
    victor
        .summarizes("One sentence. Another sentence, longer than the first.", 10)
        .await
        .expect("summarises");

    let refusals = [
        victor.creates("graffiti").await.expect_err("no permission"),
        victor.appends(&plan, &["graffiti"]).await.expect_err("no permission"),
        victor.retitles(&plan, "", "graffiti").await.expect_err("no permission"),
    ];
    for refusal in refusals {
        assert_eq!(refusal.code(), Code::PermissionDenied);
        assert_eq!(refusal.message(), "needs permission `context.write`");
        assert_eq!(reason(&refusal), "PERMISSION_MISSING");
    }
    let refusal = victor.deletes(&plan).await.expect_err("no permission");
    assert_eq!(refusal.message(), "needs permission `context.delete`");
    assert_eq!(alice.reads(&plan).await.expect("unchanged").message_count, 0);
}

#[tokio::test]
async fn an_editor_writes_and_decides_about_nobody() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "editor").await;

    let plan = alice.creates("The plan").await.expect("stored").name;
    alice.deletes(&plan).await.expect("deleted");

    let refusal = admits(&alice, "mallory", "owner").await.expect_err("no permission");
    assert_eq!(
        (refusal.code(), refusal.message()),
        (Code::PermissionDenied, "needs permission `member.write`")
    );
}

#[tokio::test]
async fn an_admin_decides_about_members_but_owners() {
    let world = World::start().await;
    let olga = world.user("acme", "olga", "owner").await;
    let adam = world.user("acme", "adam", "admin").await;

    assert_eq!(admits(&adam, "eve", "editor").await.expect("added").name, "members/eve");
    let refusal = admits(&adam, "eve", "viewer").await.expect_err("a member already");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::AlreadyExists, "MEMBER_EXISTS"));

    let refusals = [
        admits(&adam, "mallory", "owner").await.expect_err("above the admin"),
        becomes(&adam, "adam", "owner").await.expect_err("above the admin"),
        becomes(&adam, "olga", "viewer").await.expect_err("above the admin"),
        removes(&adam, "olga").await.expect_err("above the admin"),
    ];
    for refusal in refusals {
        assert_eq!(
            (refusal.code(), reason(&refusal).as_str()),
            (Code::PermissionDenied, "ROLE_ABOVE_CALLER")
        );
    }
    assert_eq!(members(&olga).await, ["members/adam", "members/eve", "members/olga"]);
    removes(&adam, "eve").await.expect("removed");
    assert_eq!(becomes(&olga, "adam", "owner").await.expect("an owner makes owners").role, "owner");
}

#[tokio::test]
async fn the_last_owner_stays() {
    let world = World::start().await;
    let olga = world.user("acme", "olga", "owner").await;

    let refusal = removes(&olga, "olga").await.expect_err("nobody would be left");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::FailedPrecondition, "LAST_OWNER"));
    let refusal = becomes(&olga, "olga", "viewer").await.expect_err("nobody would be left");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::FailedPrecondition, "LAST_OWNER"));
}

#[tokio::test]
async fn who_was_removed_is_let_in_nowhere_once_the_exchange_is_made_anew() {
    let world = World::start().await;
    let olga = world.user("acme", "olga", "owner").await;
    let eve = world.user("acme", "eve", "editor").await;

    removes(&olga, "eve").await.expect("removed");

    // Eve's token was never exchanged, so the edge asks for the first time now.
    let refusal = eve.creates("too late").await.expect_err("no member");
    assert_eq!((refusal.code(), reason(&refusal).as_str()), (Code::Unauthenticated, "MEMBER_UNKNOWN"));
}

#[tokio::test]
async fn each_member_sees_the_tenant_and_its_roles() {
    let world = World::start().await;
    let victor = world.user("acme", "victor", "viewer").await;

    let tenant = victor.client().tenants().get_tenant(GetTenantRequest {}).await.expect("read").into_inner();
    assert_eq!(tenant.slug, "acme");
    let roles =
        victor.client().roles().list_roles(ListRolesRequest {}).await.expect("read").into_inner().roles;
    let names: Vec<_> = roles.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(names, ["viewer", "editor", "admin", "owner"]);
    for pair in roles.windows(2) {
        assert!(pair[0].permissions.iter().all(|held| pair[1].permissions.contains(held)), "{pair:?}");
    }
}

async fn admits(user: &User, member_id: &str, role: &str) -> Result<Member, Status> {
    let member = Member { role: role.to_owned(), ..Member::default() };
    let request = CreateMemberRequest { member_id: member_id.to_owned(), member: Some(member) };
    Ok(user.client().members().create_member(request).await?.into_inner())
}

async fn becomes(user: &User, name: &str, role: &str) -> Result<Member, Status> {
    let member = Member { name: format!("members/{name}"), role: role.to_owned(), ..Member::default() };
    let request = UpdateMemberRequest { member: Some(member) };
    Ok(user.client().members().update_member(request).await?.into_inner())
}

async fn removes(user: &User, name: &str) -> Result<(), Status> {
    user.client().members().delete_member(DeleteMemberRequest { name: format!("members/{name}") }).await?;
    Ok(())
}

async fn members(user: &User) -> Vec<String> {
    let page = user.client().members().list_members(ListMembersRequest::default()).await.expect("listed");
    let mut names: Vec<_> = page.into_inner().members.into_iter().map(|member| member.name).collect();
    names.sort();
    names
}
