//! The digest that negative tests compare sees what a call changes, and nothing where it changes nothing.

use mcp_tests::{World, digest};

/// Else a negative test could pass because nothing is seen.
#[tokio::test]
async fn what_a_call_changes_and_leaves_behind_is_seen() {
    let world = World::start().await;
    let alice = world.user("acme", "alice", "owner").await;
    let plan = alice.creates("The plan").await.expect("stored").name;

    let before = digest::of(&world).await;
    alice.reads(&plan).await.expect("read");
    assert!(digest::changes(&before, &digest::of(&world).await).is_empty(), "a read changes nothing");
    alice.appends(&plan, &["one"]).await.expect("appended");
    let appended = digest::of(&world).await;
    assert!(digest::changes(&before, &appended).iter().any(|change| change.contains("context/tenants/acme")));
    world.identities().join_token("reports").await;
    let joined = digest::changes(&appended, &digest::of(&world).await);
    assert!(joined.iter().any(|change| change.contains("ca/platform.db")), "{joined:?}");
}
