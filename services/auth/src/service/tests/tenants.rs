//! How a tenant comes to be, also after a kill.

use super::*;

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
