//! What is exchanged, for how much, and what is not.

use super::*;

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
