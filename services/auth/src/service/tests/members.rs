//! Who may do what to members, and what the wire shows of them.

use super::*;
use crate::members::Forbidden;

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

    names.sort();
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
    let roles = crate::service::members::list_roles().roles;

    let names: Vec<_> = roles.iter().map(|role| &*role.name).collect();
    assert_eq!(names, ["viewer", "editor", "admin", "owner"]);
    assert!(roles[0].permissions.iter().eq(Role::Viewer.permissions()));
    assert!(roles.iter().all(|role| role.permissions.is_sorted()));
}

#[tokio::test]
async fn authority_is_that_of_the_role_now_and_not_of_the_token() {
    let world = World::start().await;
    let acme = scope_of("acme");
    world.signs_in("acme", "olga").await;
    world.token_for("adam", "admin").await;
    let adam = "adam".parse().expect("a name");
    let create = pb::CreateMemberRequest {
        member_id: "mallory".to_owned(),
        member: Some(pb::Member { role: "owner".to_owned(), ..pb::Member::default() }),
    };

    let rights = Role::Admin.permission_set(&POLICIES);

    let admin = world.auth.authority(&acme, rights, &adam).await.expect("looked up");
    let above = world.auth.add_member(&acme, admin, &create).await.expect_err("above the admin");
    let update = pb::UpdateMemberRequest { member: Some(named("adam", "viewer")) };
    world.auth.change_member(&acme, holding(Role::Owner), &update).await.expect("demoted");
    let demoted = world.auth.authority(&acme, rights, &adam).await.expect("looked up");
    let delete = pb::DeleteMemberRequest { name: "members/adam".to_owned() };
    world.auth.remove_member(&acme, holding(Role::Owner), &delete).await.expect("removed");
    let removed = world.auth.authority(&acme, rights, &adam).await.expect("looked up");

    assert_eq!(verdict(&above), is(Code::PermissionDenied, "ROLE_ABOVE_CALLER"));
    assert_eq!(demoted.may_grant(Role::Editor), Err(Forbidden::AboveCaller(Role::Editor)));
    assert_eq!(removed.may_grant(Role::Viewer), Err(Forbidden::AboveCaller(Role::Viewer)));
}
