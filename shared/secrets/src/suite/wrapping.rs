//! What every keeper of wrapping keys must do.

use std::sync::Arc;

use mcp_types::{SystemEntropy, TenantSlug};

use crate::{DataKey, SecretsError, Wrapping};

fn tenant(name: &str) -> TenantSlug {
    name.parse().expect("a tenant")
}

/// A drawn key, and what it is once it is wrapped for `owner` and `aad`.
async fn wrapped(keeper: &dyn Wrapping, owner: &TenantSlug, aad: &[u8]) -> (DataKey, Vec<u8>) {
    keeper.create(owner).await.expect("made");
    let key = DataKey::draw(&SystemEntropy);
    let wrapped = keeper.wrap(owner, &key, aad).await.expect("wrapped");
    (key, wrapped)
}

pub(crate) async fn what_was_wrapped_is_unwrapped(keeper: Arc<dyn Wrapping>) {
    let acme = tenant("acme");
    for aad in [&b""[..], b"context/1", &[0, 0xff, 0x80]] {
        let (key, text) = wrapped(&*keeper, &acme, aad).await;
        assert!(!text.windows(8).any(|it| it == &key.expose()[..8]), "wrapped means hidden");
        let again = keeper.unwrap(&acme, &text, aad).await.expect("unwrapped");
        assert_eq!(again.expose(), key.expose());
    }
}

pub(crate) async fn a_key_is_made_once_however_often_it_is_asked_for(keeper: Arc<dyn Wrapping>) {
    let acme = tenant("acme");
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let (keeper, acme) = (Arc::clone(&keeper), acme.clone());
            tokio::spawn(async move { wrapped(&*keeper, &acme, b"place").await })
        })
        .collect();

    for racer in racers {
        let (key, text) = racer.await.expect("joined");
        keeper.create(&acme).await.expect("there already");
        let again = keeper.unwrap(&acme, &text, b"place").await.expect("one key opens them all");
        assert_eq!(again.expose(), key.expose());
    }
}

pub(crate) async fn without_a_key_nothing_is_wrapped_and_none_is_made(keeper: Arc<dyn Wrapping>) {
    let (_, text) = wrapped(&*keeper, &tenant("acme"), b"").await;
    let nobody = tenant("nobody");

    for _ in 0..2 {
        let refusal = keeper.wrap(&nobody, &DataKey::draw(&SystemEntropy), b"").await;
        assert!(matches!(refusal, Err(SecretsError::KeyDestroyed { .. })), "{refusal:?}");
        let refusal = keeper.unwrap(&nobody, &text, b"").await;
        assert!(matches!(refusal, Err(SecretsError::KeyDestroyed { .. })), "{refusal:?}");
    }
    assert!(!keeper.destroy(&nobody).await.expect("nothing to destroy"));
}

pub(crate) async fn another_tenant_or_place_unwraps_nothing(keeper: Arc<dyn Wrapping>) {
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    let (_, text) = wrapped(&*keeper, &acme, b"context/1").await;
    keeper.create(&globex).await.expect("made");

    let other_place = keeper.unwrap(&acme, &text, b"context/2").await;
    assert!(matches!(other_place, Err(SecretsError::NotUnwrapped { .. })), "{other_place:?}");
    let other_tenant = keeper.unwrap(&globex, &text, b"context/1").await;
    assert!(matches!(other_tenant, Err(SecretsError::NotUnwrapped { .. })), "{other_tenant:?}");
}

pub(crate) async fn every_changed_byte_is_noticed(keeper: Arc<dyn Wrapping>) {
    let acme = tenant("acme");
    let (_, text) = wrapped(&*keeper, &acme, b"").await;

    for at in 0..text.len() {
        let mut changed = text.clone();
        changed[at] ^= 0x01;
        let refusal = keeper.unwrap(&acme, &changed, b"").await;
        assert!(matches!(refusal, Err(SecretsError::NotUnwrapped { .. })), "byte {at}: {refusal:?}");
    }
    for junk in [&b""[..], &text[..text.len() / 2]] {
        let refusal = keeper.unwrap(&acme, junk, b"").await;
        assert!(matches!(refusal, Err(SecretsError::NotUnwrapped { .. })), "{refusal:?}");
    }
}

pub(crate) async fn a_destroyed_key_opens_nothing_ever_again(keeper: Arc<dyn Wrapping>) {
    let acme = tenant("acme");
    let (_, text) = wrapped(&*keeper, &acme, b"").await;

    assert!(keeper.destroy(&acme).await.expect("destroyed"));
    assert!(!keeper.destroy(&acme).await.expect("destroyed already"));
    let refusal = keeper.unwrap(&acme, &text, b"").await;
    assert!(matches!(refusal, Err(SecretsError::KeyDestroyed { .. })), "{refusal:?}");

    // A new key of the same name is another key.
    keeper.create(&acme).await.expect("made");
    let refusal = keeper.unwrap(&acme, &text, b"").await;
    assert!(matches!(refusal, Err(SecretsError::NotUnwrapped { .. })), "{refusal:?}");
}

pub(crate) async fn destroying_one_tenants_key_leaves_the_others(keeper: Arc<dyn Wrapping>) {
    let (acme, globex) = (tenant("acme"), tenant("globex"));
    wrapped(&*keeper, &acme, b"").await;
    let (key, text) = wrapped(&*keeper, &globex, b"").await;

    assert!(keeper.destroy(&acme).await.expect("destroyed"));
    assert_eq!(keeper.unwrap(&globex, &text, b"").await.expect("unwrapped").expose(), key.expose());
}

pub(crate) async fn no_debug_text_shows_a_key(keeper: Arc<dyn Wrapping>) {
    let acme = tenant("acme");
    let (key, text) = wrapped(&*keeper, &acme, b"").await;
    let refusal = keeper.unwrap(&acme, &text, b"elsewhere").await.expect_err("refused");

    for shown in [format!("{keeper:?}"), format!("{key:?}"), format!("{refusal:?}"), refusal.to_string()] {
        assert!(!shown.contains(&format!("{:?}", &key.expose()[..4]).replace(['[', ']'], "")), "{shown}");
        assert!(!shown.contains(&hex::encode(&key.expose()[..4])), "{shown}");
    }
}
