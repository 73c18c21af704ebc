//! Signing keys that never leave the vault, in rings.

use super::*;
use crate::signing::ring_cases;

async fn parts(server: &OpenBaoServer) -> ring_cases::Parts {
    let vault = logged_in(server, "auth").await;
    ring_cases::Parts { keys: Arc::new(vault.signing_keys()), secrets: Arc::new(vault) }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_verifies_by_what_is_published() {
    let server = OpenBaoServer::start();
    ring_cases::what_is_signed_verifies_by_what_is_published(parts(&server).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_follow_each_other_by_schedule() {
    let server = OpenBaoServer::start();
    ring_cases::keys_follow_each_other_by_schedule(parts(&server).await).await;
    // What was retired is gone from the vault too.
    let root = server.root_token();
    let keys = server.bao(&root, &["list", "-format=json", "mcp-signing/keys"]).expect("listed");
    let keys: Vec<String> = serde_json::from_str(&keys).expect("json");
    assert_eq!(keys.len(), 1, "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_race_to_rotate_have_the_same_ring() {
    let server = OpenBaoServer::start();
    ring_cases::all_who_race_to_rotate_have_the_same_ring(parts(&server).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_alarm_only_the_new_key_is_published() {
    let server = OpenBaoServer::start();
    ring_cases::after_an_alarm_only_the_new_key_is_published(parts(&server).await).await;
}
