//! The keys that tokens are signed with: a ring each for access and for transaction tokens, so that whoever got hold of
//! one key still could not make the other kind.
//!
//! Keys change by schedule (`mcp_secrets::signing`): made and published an hour before they sign, signing for a day,
//! published until the last token is over. Where they are kept in a vault they never leave it.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_secrets::{
    SecretPath, Secrets, SecretsError,
    signing::{Schedule, SigningKeys as KeyMaker, SigningRing, Urgency},
};
use mcp_tenancy::{TokenClaims, TokenKind};
use mcp_types::Clock;
use serde::Serialize;

use crate::config::Config;

/// How long a key signs.
const PERIOD: Duration = Duration::from_secs(24 * 3600);

/// How long it is published before that. The mesh hears of it at once; others keep what they fetched for minutes.
const LEAD: Duration = Duration::from_secs(3600);

/// What clocks may be off, and how long a token may take to where it is verified.
const LEEWAY: Duration = Duration::from_secs(60);

/// Where both rings are kept.
const FOLDER: &str = "signing";

/// Both rings.
#[derive(Debug)]
pub(crate) struct SigningKeys {
    access: SigningRing,
    transaction: SigningRing,
}

/// Why there is no key to sign with, or no signature.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// The keeper of keys could not serve.
    #[error("cannot use the signing keys of {} tokens", name(*kind))]
    Keeper {
        /// Of which tokens.
        kind: TokenKind,
        /// What the keeper said.
        #[source]
        source: SecretsError,
    },
    /// There is no key, or no place for one.
    #[error("there is no key to sign with")]
    Missing,
    /// What is to be signed is no JSON.
    #[error("cannot write a token")]
    Writing(#[source] serde_json::Error),
}

/// A token's first part (RFC 7515, section 4).
#[derive(Serialize)]
struct Header<'a> {
    typ: &'a str,
    alg: &'a str,
    kid: &'a str,
}

// === impl SigningKeys ===

impl SigningKeys {
    /// Opens both rings in `secrets`, making the first keys where there are none.
    pub(crate) async fn open(
        secrets: Arc<dyn Secrets>,
        keys: Arc<dyn KeyMaker>,
        config: &Config,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyError> {
        let folder: SecretPath = FOLDER.parse().map_err(|_| KeyError::Missing)?;
        let open = async |kind, life: Duration| {
            let schedule = Schedule { period: PERIOD, lead: LEAD, overlap: life + LEEWAY };
            let (secrets, keys, clock) = (Arc::clone(&secrets), Arc::clone(&keys), Arc::clone(&clock));
            SigningRing::open(secrets, keys, &folder, name(kind), schedule, clock)
                .await
                .map_err(|source| KeyError::Keeper { kind, source })
        };
        Ok(Self {
            access: open(TokenKind::Access, config.access_ttl()).await?,
            transaction: open(TokenKind::Transaction, config.transaction_ttl()).await?,
        })
    }

    /// What verifies tokens of `kind`: a JSON Web Key Set of all keys that may have signed one which still holds, and of
    /// the one that signs next.
    pub(crate) fn jwks(&self, kind: TokenKind) -> String {
        self.ring(kind).jwks()
    }

    /// Signs `claims` as a token of `kind`.
    pub(crate) async fn sign(&self, kind: TokenKind, claims: &TokenClaims) -> Result<String, KeyError> {
        let signer = self.ring(kind).signer().ok_or(KeyError::Missing)?;
        let header = Header { typ: kind.typ(), alg: "ES256", kid: signer.public().kid() };
        let mut token = part(&header)?;
        token.push('.');
        token.push_str(&part(claims)?);
        let signature =
            signer.sign(token.as_bytes()).await.map_err(|source| KeyError::Keeper { kind, source })?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(token)
    }

    /// Makes what is due, removes what is over, takes over what others made; says whether anything changed.
    pub(crate) async fn refresh(&self) -> Result<bool, KeyError> {
        let mut has_changed = false;
        for kind in [TokenKind::Access, TokenKind::Transaction] {
            let outcome = self.ring(kind).refresh().await;
            has_changed |= outcome.map_err(|source| KeyError::Keeper { kind, source })?;
        }
        Ok(has_changed)
    }

    /// Changes both keys now, whatever the schedule says.
    pub(crate) async fn rotate(&self, urgency: Urgency) -> Result<(), KeyError> {
        for kind in [TokenKind::Access, TokenKind::Transaction] {
            let outcome = self.ring(kind).rotate(urgency).await;
            outcome.map_err(|source| KeyError::Keeper { kind, source })?;
        }
        Ok(())
    }

    const fn ring(&self, kind: TokenKind) -> &SigningRing {
        match kind {
            TokenKind::Access => &self.access,
            TokenKind::Transaction => &self.transaction,
        }
    }
}

// === impl KeyError ===

impl KeyError {
    /// Whether asking again later may help without anybody's doing here.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(self, Self::Keeper { source, .. } if source.is_passing())
    }
}

const fn name(kind: TokenKind) -> &'static str {
    match kind {
        TokenKind::Access => "access",
        TokenKind::Transaction => "transaction",
    }
}

fn part(value: &impl Serialize) -> Result<String, KeyError> {
    Ok(URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).map_err(KeyError::Writing)?))
}

#[cfg(test)]
mod tests {
    //! Keys at rest and as others see them.

    use mcp_secrets::{Secret, signing::LocalKeys};
    use serde_json::Value;

    use super::*;
    use crate::fixture::{Home, ManualClock};

    const KINDS: [TokenKind; 2] = [TokenKind::Access, TokenKind::Transaction];

    async fn opened(home: &Home, clock: &Arc<ManualClock>) -> Result<SigningKeys, KeyError> {
        let clock = Arc::clone(clock) as Arc<dyn Clock>;
        SigningKeys::open(Arc::new(home.secrets()), Arc::new(LocalKeys), &Config::default(), clock).await
    }

    fn only_key(keys: &SigningKeys, kind: TokenKind) -> Value {
        let mut set: Value = serde_json::from_str(&keys.jwks(kind)).expect("json");
        assert_eq!(set["keys"].as_array().map(Vec::len), Some(1));
        set["keys"][0].take()
    }

    #[tokio::test]
    async fn the_same_keys_sign_after_a_restart() {
        let (home, clock) = (Home::new(), ManualClock::at(1_700_000_000));
        let jwks = |keys: &SigningKeys| KINDS.map(|kind| keys.jwks(kind));
        let before = opened(&home, &clock).await.map(|keys| jwks(&keys)).expect("made");
        let after = opened(&home, &clock).await.map(|keys| jwks(&keys)).expect("loaded");

        assert_eq!(before, after);
        assert_ne!(before[0], before[1]);
    }

    #[tokio::test]
    async fn the_key_set_shows_the_public_half_and_no_more() {
        let keys = opened(&Home::new(), &ManualClock::at(0)).await.expect("made");

        let key = only_key(&keys, TokenKind::Access);

        let mut members: Vec<_> = key.as_object().expect("object").keys().map(String::as_str).collect();
        members.sort_unstable();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
        assert_eq!(
            (&key["alg"], &key["use"], &key["crv"]),
            (&"ES256".into(), &"sig".into(), &"P-256".into())
        );
    }

    #[tokio::test]
    async fn a_key_is_named_by_its_thumbprint() {
        use aws_lc_rs::digest::{SHA256, digest};

        let keys = opened(&Home::new(), &ManualClock::at(0)).await.expect("made");

        let key = only_key(&keys, TokenKind::Transaction);

        // RFC 7638, section 3.2: the required members alone, in this order, without white space.
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, key["x"], key["y"]);
        assert_eq!(key["kid"], URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes())));
    }

    #[tokio::test]
    async fn after_a_day_another_key_signs_and_both_are_published_until_the_last_token_is_over() {
        let clock = ManualClock::at(1_700_000_000);
        let home = Home::new();
        let keys = opened(&home, &clock).await.expect("made");
        let published = |keys: &SigningKeys| {
            let set: Value = serde_json::from_str(&keys.jwks(TokenKind::Access)).expect("json");
            set["keys"].as_array().map(Vec::len)
        };

        clock.advance(PERIOD - LEAD);
        assert!(keys.refresh().await.expect("refreshed"));
        assert_eq!(published(&keys), Some(2));
        clock.advance(LEAD + Duration::from_secs(600));
        keys.refresh().await.expect("refreshed");
        assert_eq!(published(&keys), Some(2), "a token of the last moment still holds");
        clock.advance(LEEWAY);
        assert!(keys.refresh().await.expect("refreshed"));
        assert_eq!(published(&keys), Some(1));
    }

    #[tokio::test]
    async fn what_is_no_key_is_refused_at_start() {
        let home = Home::new();
        let place: SecretPath = "signing/access/0000000001".parse().expect("a path");
        home.secrets().put(&place, Secret::new(b"junk".to_vec())).await.expect("put");

        let error = opened(&home, &ManualClock::at(0)).await.expect_err("refused");

        let KeyError::Keeper { source, .. } = &error else { panic!("{error:?}") };
        assert!(matches!(source, SecretsError::KeyUnusable), "{error:?}");
    }

    #[tokio::test]
    async fn keys_print_nothing_of_themselves() {
        let home = Home::new();
        let text = format!("{:?}", opened(&home, &ManualClock::at(0)).await.expect("made"));

        let place: SecretPath = "signing/access/0000000001".parse().expect("a path");
        let record = home.secrets().get(&place).await.expect("get").expect("kept");
        let record: Value = serde_json::from_slice(record.expose()).expect("json");
        let material = record["material"].as_str().expect("text");
        assert!(!text.contains(material), "{text}");
        assert!(text.contains("kid"), "{text}");
    }
}
