//! What every implementation of [`Registry`] must do.

use std::{path::Path, sync::Arc, time::Duration};

use mcp_store::Config;
use mcp_tenancy::PlatformScope;
use mcp_types::Timestamp;

use super::{Attestation, CertificateRow, Registry, Rows, Sha256, Spent, TokenRow, migrated::Migrated};

macro_rules! suite {
    ([$($spec:ident),+ $(,)?]) => {
        suite!(sqlite, open_sqlite, [$($spec),+]);
        suite!(postgres, open_postgres, [$($spec),+]);
    };
    ($engine:ident, $open:expr, [$($spec:ident),+]) => {
        mod $engine {
            use super::*;

            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $spec() {
                    let home = tempfile::tempdir().expect("a folder");
                    super::$spec($open(home.path()).await).await;
                }
            )+
        }
    };
}

suite!([
    a_token_is_read_back_by_its_hash_alone,
    a_token_is_made_once,
    of_all_who_use_a_token_at_once_one_succeeds,
    an_expired_token_is_not_used,
    a_certificate_that_cannot_be_recorded_uses_no_token_up,
    a_certificate_is_recorded_once,
    tokens_are_forgotten_after_their_end,
    certificates_are_forgotten_after_their_end_however_many,
]);

async fn open_sqlite(folder: &Path) -> Rows {
    open(folder, &Config::default()).await
}

async fn open_postgres(folder: &Path) -> Rows {
    open(folder, &Migrated::new(folder).await.config()).await
}

pub(super) async fn open(folder: &Path, config: &Config) -> Rows {
    let (service, shell) = ("ca".parse().expect("a service"), mcp_testkit::shell());
    let keepers = mcp_secrets::open(&mcp_secrets::Config::default(), &service, folder, &shell).await;
    let keepers = keepers.expect("the secrets open");
    Rows::open(config, folder, &service, &keepers, &shell).await.expect("the registry opens")
}

const SCOPE: PlatformScope = PlatformScope::of_the_platform_itself();
const NOW: Timestamp = Timestamp::from_unix_secs(1_700_000_000);
const MINUTE: Duration = Duration::from_secs(60);

fn token(hash: u8) -> TokenRow {
    TokenRow {
        secret_sha256: [hash; 32],
        service: "context".parse().expect("a service"),
        created: NOW,
        expires: NOW.plus(MINUTE),
        used: None,
    }
}

fn certificate(serial: u8, token: Sha256, issued: Timestamp) -> CertificateRow {
    CertificateRow {
        serial: [serial; 16],
        id: "spiffe://td/service/context".parse().expect("an ID"),
        attestation: Attestation::JoinToken(token),
        issued,
        not_before: issued,
        not_after: issued.plus(MINUTE),
        public_key_sha256: [2; 32],
        certificate_sha256: [3; 32],
    }
}

async fn a_token_is_read_back_by_its_hash_alone(registry: impl Registry) {
    registry.add_token(&SCOPE, &token(1)).await.expect("added");

    assert_eq!(registry.token(&SCOPE, &[1; 32]).await.expect("answers"), Some(token(1)));
    assert_eq!(registry.token(&SCOPE, &[2; 32]).await.expect("answers"), None);
}

async fn a_token_is_made_once(registry: impl Registry) {
    registry.add_token(&SCOPE, &token(1)).await.expect("added");

    assert!(registry.add_token(&SCOPE, &token(1)).await.is_err());
}

async fn of_all_who_use_a_token_at_once_one_succeeds(registry: impl Registry) {
    registry.add_token(&SCOPE, &token(1)).await.expect("added");
    let registry = Arc::new(registry);

    let tries: Vec<_> = (0..32)
        .map(|serial| {
            let registry = Arc::clone(&registry);
            tokio::spawn(async move {
                registry.redeem(&SCOPE, &[1; 32], &certificate(serial, [1; 32], NOW)).await.expect("answers")
            })
        })
        .collect();
    let mut successes = 0;
    for attempt in tries {
        successes += u32::from(attempt.await.expect("no panic"));
    }

    assert_eq!(successes, 1);
    let row = registry.token(&SCOPE, &[1; 32]).await.expect("answers").expect("still there");
    assert_eq!(row.check(NOW), Err(Spent::Used));
}

async fn an_expired_token_is_not_used(registry: impl Registry) {
    registry.add_token(&SCOPE, &token(1)).await.expect("added");
    let row = registry.token(&SCOPE, &[1; 32]).await.expect("answers").expect("there");
    let end = NOW.plus(MINUTE);

    let late = registry.redeem(&SCOPE, &[1; 32], &certificate(1, [1; 32], end)).await;
    assert!(!late.expect("answers"));
    assert_eq!(row.check(end), Err(Spent::Expired));
    let last_moment = end.minus(Duration::from_millis(1));
    assert_eq!(row.check(last_moment), Ok(()));
    let timely = registry.redeem(&SCOPE, &[1; 32], &certificate(1, [1; 32], last_moment)).await;
    assert!(timely.expect("answers"));
}

async fn a_certificate_that_cannot_be_recorded_uses_no_token_up(registry: impl Registry) {
    registry.add_token(&SCOPE, &token(1)).await.expect("added");
    registry.record(&SCOPE, &certificate(7, [9; 32], NOW)).await.expect("recorded");

    assert!(registry.redeem(&SCOPE, &[1; 32], &certificate(7, [1; 32], NOW)).await.is_err());

    let row = registry.token(&SCOPE, &[1; 32]).await.expect("answers").expect("there");
    assert_eq!(row.check(NOW), Ok(()));
}

async fn a_certificate_is_recorded_once(registry: impl Registry) {
    registry.record(&SCOPE, &certificate(1, [1; 32], NOW)).await.expect("recorded");

    assert!(registry.record(&SCOPE, &certificate(1, [1; 32], NOW)).await.is_err());
}

async fn tokens_are_forgotten_after_their_end(registry: impl Registry) {
    registry.add_token(&SCOPE, &token(1)).await.expect("added");

    assert_eq!(registry.forget(&SCOPE, NOW.plus(MINUTE)).await.expect("answers"), 0);
    assert!(registry.token(&SCOPE, &[1; 32]).await.expect("answers").is_some());
    assert_eq!(registry.forget(&SCOPE, NOW.plus(MINUTE * 2)).await.expect("answers"), 1);
    assert!(registry.token(&SCOPE, &[1; 32]).await.expect("answers").is_none());
}

async fn certificates_are_forgotten_after_their_end_however_many(registry: impl Registry) {
    for number in 0..600_u16 {
        let serial = u128::from(number).to_be_bytes();
        let issued = NOW.plus(Duration::from_millis(number.into()));
        let row = CertificateRow { serial, ..certificate(0, [1; 32], issued) };
        registry.record(&SCOPE, &row).await.expect("recorded");
    }

    let in_the_middle = NOW.plus(MINUTE + Duration::from_millis(550));
    assert_eq!(registry.forget(&SCOPE, in_the_middle).await.expect("answers"), 550);
    assert_eq!(registry.forget(&SCOPE, in_the_middle).await.expect("answers"), 0);
    assert_eq!(registry.forget(&SCOPE, NOW.plus(MINUTE * 2)).await.expect("answers"), 50);
}
