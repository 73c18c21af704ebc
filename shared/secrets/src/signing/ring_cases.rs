//! What every ring must do, whoever keeps its keys.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_testkit::ManualClock;
use mcp_types::Clock;
use serde_json::Value;

use super::{Schedule, SigningKeys, SigningRing, Urgency};
use crate::Secrets;

const HOUR: Duration = Duration::from_secs(3600);
const SCHEDULE: Schedule =
    Schedule { period: Duration::from_secs(24 * 3600), lead: HOUR, overlap: Duration::from_secs(660) };

/// What a ring stands on.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) keys: Arc<dyn SigningKeys>,
}

async fn open(parts: &Parts, clock: &Arc<ManualClock>) -> SigningRing {
    let Parts { secrets, keys } = parts.clone();
    let folder = "signing".parse().expect("a path");
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    SigningRing::open(secrets, keys, &folder, "access", SCHEDULE, clock).await.expect("a ring")
}

fn kids(ring: &SigningRing) -> Vec<String> {
    let set: Value = serde_json::from_str(&ring.jwks()).expect("json");
    let keys = set["keys"].as_array().expect("keys");
    keys.iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
}

fn signing(ring: &SigningRing) -> String {
    ring.signer().expect("a key").public().kid().to_owned()
}

pub(crate) async fn what_is_signed_verifies_by_what_is_published(parts: Parts) {
    let ring = open(&parts, &ManualClock::at(1_700_000_000)).await;
    let signer = ring.signer().expect("a key");

    let signature = signer.sign(b"header.claims").await.expect("signed");

    let set: Value = serde_json::from_str(&ring.jwks()).expect("json");
    let key = &set["keys"][0];
    assert_eq!(key["kid"], signer.public().kid());
    let coordinate =
        |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().expect("text")).expect("base64url");
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point);
    assert!(public.verify(b"header.claims", &signature).is_ok());
    assert!(public.verify(b"header.clAims", &signature).is_err());
}

pub(crate) async fn keys_follow_each_other_by_schedule(parts: Parts) {
    let clock = ManualClock::at(1_700_000_000);
    let ring = open(&parts, &clock).await;
    let first = signing(&ring);
    assert_eq!(kids(&ring), [&*first]);
    assert!(!ring.refresh().await.expect("refreshed"), "nothing is due");

    clock.advance(23 * HOUR);
    assert!(ring.refresh().await.expect("refreshed"));
    let [_, second] = kids(&ring).try_into().expect("the next is published");
    assert_eq!(signing(&ring), first, "and does not sign yet");

    clock.advance(HOUR);
    // Nobody has refreshed: that the next one signs now is a matter of the time alone.
    assert_eq!(signing(&ring), second);
    assert!(!ring.refresh().await.expect("refreshed"));
    assert_eq!(kids(&ring), [&*first, &*second], "its last token holds for a while");

    clock.advance(Duration::from_secs(660));
    assert!(ring.refresh().await.expect("refreshed"));
    assert_eq!(kids(&ring), [&*second]);

    let restarted = open(&parts, &clock).await;
    assert_eq!((kids(&restarted), signing(&restarted)), (vec![second.clone()], second));
}

pub(crate) async fn all_who_race_to_rotate_have_the_same_ring(parts: Parts) {
    let clock = ManualClock::at(1_700_000_000);
    let rings: Vec<_> = [(); 3].map(|()| open(&parts, &clock)).into_iter().collect();
    let mut opened = Vec::new();
    for ring in rings {
        opened.push(Arc::new(ring.await));
    }
    clock.advance(23 * HOUR);

    let racers: Vec<_> = opened
        .iter()
        .map(|ring| {
            let ring = Arc::clone(ring);
            tokio::spawn(async move { ring.refresh().await })
        })
        .collect();
    for racer in racers {
        assert!(racer.await.expect("joined").expect("refreshed"));
    }

    let expected = kids(&opened[0]);
    assert_eq!(expected.len(), 2);
    for ring in &opened {
        assert_eq!(kids(ring), expected);
        assert_eq!(signing(ring), expected[0]);
    }
}

pub(crate) async fn after_an_alarm_only_the_new_key_is_published(parts: Parts) {
    let clock = ManualClock::at(1_700_000_000);
    let (ring, other) = (open(&parts, &clock).await, open(&parts, &clock).await);
    let first = signing(&ring);

    ring.rotate(Urgency::Planned).await.expect("rotated");
    assert_eq!(kids(&ring).len(), 2);
    assert_eq!(signing(&ring), first, "planned: nobody is surprised");

    ring.rotate(Urgency::Compromised).await.expect("rotated");
    let last = signing(&ring);
    assert_eq!(kids(&ring), [&*last]);
    assert_ne!(last, first);

    assert!(other.refresh().await.expect("refreshed"));
    assert_eq!((kids(&other), signing(&other)), (vec![last.clone()], last));
}
