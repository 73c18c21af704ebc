//! Who gets in without a password, and as what.

use super::*;

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
