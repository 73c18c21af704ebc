//! Rings whose keys lie in the sealed store.

use std::sync::Arc;

use mcp_types::SystemEntropy;

use super::*;
use crate::{
    Master, SealedStore,
    signing::{
        LocalKeys,
        ring_cases::{self, Parts},
    },
};

fn parts(home: &tempfile::TempDir) -> Parts {
    let (folder, key) = (home.path().join("secrets"), home.path().join("master.key"));
    let store = SealedStore::open(
        &folder,
        &Master::file(&key),
        mcp_runtime::Profile::Development,
        Arc::new(SystemEntropy),
    )
    .expect("opens");
    Parts { secrets: Arc::new(store), keys: Arc::new(LocalKeys) }
}

#[tokio::test]
async fn what_is_signed_verifies_by_what_is_published() {
    let home = tempfile::tempdir().expect("a folder");
    ring_cases::what_is_signed_verifies_by_what_is_published(parts(&home)).await;
}

#[tokio::test]
async fn keys_follow_each_other_by_schedule() {
    let home = tempfile::tempdir().expect("a folder");
    let parts = parts(&home);
    ring_cases::keys_follow_each_other_by_schedule(parts.clone()).await;
    let records = parts.secrets.list(&"signing".parse().expect("a path")).await.expect("listed");
    assert_eq!(records.len(), 1, "what is over is removed: {records:?}");
}

#[tokio::test]
async fn all_who_race_to_rotate_have_the_same_ring() {
    let home = tempfile::tempdir().expect("a folder");
    ring_cases::all_who_race_to_rotate_have_the_same_ring(parts(&home)).await;
}

#[tokio::test]
async fn after_an_alarm_only_the_new_key_is_published() {
    let home = tempfile::tempdir().expect("a folder");
    ring_cases::after_an_alarm_only_the_new_key_is_published(parts(&home)).await;
}

#[tokio::test]
async fn a_record_that_is_none_is_an_error_and_no_new_key() {
    let home = tempfile::tempdir().expect("a folder");
    let Parts { secrets, keys } = parts(&home);
    let place = "signing/access/0000000001".parse().expect("a path");
    secrets.put(&place, Secret::new(b"junk".to_vec())).await.expect("put");
    let schedule = Schedule {
        period: std::time::Duration::from_secs(3600),
        lead: std::time::Duration::from_secs(60),
        overlap: std::time::Duration::from_secs(60),
    };

    let clock = Arc::new(mcp_types::SystemClock);
    let folder = "signing".parse().expect("a path");
    let opened = SigningRing::open(secrets, keys, &folder, "access", schedule, clock).await;

    assert!(matches!(opened, Err(SecretsError::KeyUnusable)), "{opened:?}");
}

#[tokio::test]
async fn rings_and_keys_print_nothing_of_themselves() {
    let home = tempfile::tempdir().expect("a folder");
    let material = LocalKeys.make("access").await.expect("made");
    let key = LocalKeys.load(&material).await.expect("loaded");

    let text = format!("{key:?} {material:?}");

    assert!(!text.contains(&format!("{:?}", &material.expose()[60..64]).replace(['[', ']'], "")), "{text}");
    drop(home);
}
