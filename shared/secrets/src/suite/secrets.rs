//! What every keeper of secrets must do.

use std::sync::Arc;

use mcp_types::SystemEntropy;

use crate::{SECRET_BYTES_MAX, Secret, SecretPath, Secrets, SecretsError};

fn path(text: &str) -> SecretPath {
    text.parse().expect("a path")
}

fn secret(bytes: &[u8]) -> Secret {
    Secret::new(bytes.to_vec())
}

pub(crate) async fn what_was_put_is_found_and_replaced(keeper: Arc<dyn Secrets>) {
    assert_eq!(keeper.get(&path("a/b")).await.expect("get"), None);
    keeper.put(&path("a/b"), secret(b"one")).await.expect("put");
    keeper.put(&path("a/b"), secret(b"two")).await.expect("put");
    // Any bytes are a secret, not text alone.
    keeper.put(&path("a/c"), secret(&[0, 0xff, 0x80])).await.expect("put");

    assert_eq!(keeper.get(&path("a/b")).await.expect("get"), Some(secret(b"two")));
    assert_eq!(keeper.get(&path("a/c")).await.expect("get"), Some(secret(&[0, 0xff, 0x80])));
    assert_eq!(keeper.get(&path("a/b/c")).await.expect("get"), None);
    assert_eq!(keeper.get(&path("a")).await.expect("get"), None);
}

pub(crate) async fn all_who_race_to_make_a_key_go_on_with_the_same_one(keeper: Arc<dyn Secrets>) {
    let racers: Vec<_> = (0..16_u8)
        .map(|n| {
            let keeper = Arc::clone(&keeper);
            tokio::spawn(async move { keeper.put_if_absent(&path("key"), secret(&[n])).await.expect("put") })
        })
        .collect();

    let winner = keeper.put_if_absent(&path("key"), secret(b"late")).await.expect("put");
    for racer in racers {
        assert_eq!(racer.await.expect("joined"), winner);
    }
    assert_eq!(keeper.get(&path("key")).await.expect("get"), Some(winner));
}

pub(crate) async fn a_deleted_secret_is_gone_and_the_rest_is_listed(keeper: Arc<dyn Secrets>) {
    for name in ["t/b/key", "t/a", "t/a/key", "tt/x"] {
        keeper.put(&path(name), secret(b"x")).await.expect("put");
    }

    assert!(keeper.delete(&path("t/a")).await.expect("delete"));
    assert!(!keeper.delete(&path("t/a")).await.expect("delete"));
    assert_eq!(keeper.get(&path("t/a")).await.expect("get"), None);
    assert_eq!(keeper.list(&path("t")).await.expect("list"), [path("t/a/key"), path("t/b/key")]);
    assert_eq!(keeper.list(&path("nothing")).await.expect("list"), []);
}

pub(crate) async fn a_deleted_secret_can_be_put_again(keeper: Arc<dyn Secrets>) {
    keeper.put(&path("a"), secret(b"one")).await.expect("put");
    assert!(keeper.delete(&path("a")).await.expect("delete"));

    let kept = keeper.put_if_absent(&path("a"), secret(b"two")).await.expect("put");

    assert_eq!(kept, secret(b"two"));
    assert_eq!(keeper.get(&path("a")).await.expect("get"), Some(secret(b"two")));
    assert_eq!(keeper.list(&path("a")).await.expect("list"), []);
}

pub(crate) async fn the_longest_secret_passes_and_one_byte_more_does_not(keeper: Arc<dyn Secrets>) {
    let longest = Secret::draw(SECRET_BYTES_MAX, &SystemEntropy);
    keeper.put(&path("a"), longest.clone()).await.expect("put");
    assert_eq!(keeper.get(&path("a")).await.expect("get"), Some(longest.clone()));

    let refusal = keeper.put(&path("a"), Secret::draw(SECRET_BYTES_MAX + 1, &SystemEntropy)).await;
    assert!(matches!(refusal, Err(SecretsError::TooLong { .. })), "{refusal:?}");
    assert_eq!(keeper.get(&path("a")).await.expect("get"), Some(longest));
}

pub(crate) async fn no_error_and_no_debug_text_shows_a_secret(keeper: Arc<dyn Secrets>) {
    let canary = "canary-7f3a-do-not-leak";
    keeper.put(&path("a"), secret(canary.as_bytes())).await.expect("put");
    let kept = keeper.get(&path("a")).await.expect("get");
    let long = Secret::new(canary.repeat(SECRET_BYTES_MAX / canary.len() + 1).into_bytes());
    let refusal = keeper.put(&path("a"), long).await.expect_err("too long");

    for text in [format!("{keeper:?}"), format!("{kept:?}"), format!("{refusal:?}"), refusal.to_string()] {
        assert!(!text.contains("canary"), "{text}");
    }
}
