//! The keys that tokens are signed with: made once, sealed at rest, shown to others as a JSON Web Key Set.
//!
//! Access tokens and transaction tokens have a key each, so that whoever got hold of one still could not make
//! the other kind.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};
use mcp_secrets::{Secret, SecretPath, Secrets, SecretsError};
use mcp_tenancy::{TokenClaims, TokenKind};

/// Where the key of access tokens is kept: its PKCS#8 (RFC 5958) in DER.
const ACCESS_PATH: &str = "signing/access";

/// Where the key of transaction tokens is kept, likewise.
const TRANSACTION_PATH: &str = "signing/transaction";

/// An ES256 key with its name, which is its thumbprint (RFC 7638).
#[derive(Debug)]
pub(crate) struct SigningKey {
    header: Header,
    key: EncodingKey,
    jwks: String,
}

/// Both keys.
#[derive(Debug)]
pub(crate) struct SigningKeys {
    access: SigningKey,
    transaction: SigningKey,
}

/// Why there is no key to sign with, or no signature.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// The keeper of secrets could not serve.
    #[error("cannot load the signing key `{path}`")]
    Keeper {
        /// Which key.
        path: &'static str,
        /// What the keeper said.
        #[source]
        source: SecretsError,
    },
    /// No key could be made.
    #[error("cannot make a signing key")]
    Making,
    /// What is kept is no P-256 key in PKCS#8.
    #[error("the signing key is not a P-256 key in PKCS#8")]
    Unusable,
    /// The key does not sign, or what is to be signed is no JSON.
    #[error("cannot sign a token")]
    Signing(#[source] jsonwebtoken::errors::Error),
}

// === impl SigningKeys ===

impl SigningKeys {
    /// Loads both keys from `secrets`, making those that are missing.
    pub(crate) async fn load(secrets: &dyn Secrets) -> Result<Self, KeyError> {
        Ok(Self {
            access: SigningKey::load(secrets, ACCESS_PATH).await?,
            transaction: SigningKey::load(secrets, TRANSACTION_PATH).await?,
        })
    }

    /// The key that signs tokens of this kind.
    pub(crate) const fn of(&self, kind: TokenKind) -> &SigningKey {
        match kind {
            TokenKind::Access => &self.access,
            TokenKind::Transaction => &self.transaction,
        }
    }

    /// Signs `claims` as a token of `kind`.
    pub(crate) fn sign(&self, kind: TokenKind, claims: &TokenClaims) -> Result<String, KeyError> {
        let SigningKey { header, key, .. } = self.of(kind);
        let header = Header { typ: Some(kind.typ().to_owned()), ..header.clone() };
        jsonwebtoken::encode(&header, claims, key).map_err(KeyError::Signing)
    }
}

// === impl SigningKey ===

impl SigningKey {
    async fn load(secrets: &dyn Secrets, path: &'static str) -> Result<Self, KeyError> {
        let keeper = |source| KeyError::Keeper { path, source };
        let place: SecretPath = path.parse().map_err(|_| KeyError::Unusable)?;
        let pkcs8 = match secrets.get(&place).await.map_err(keeper)? {
            Some(kept) => kept,
            None => secrets.put_if_absent(&place, make()?).await.map_err(keeper)?,
        };
        Self::from_pkcs8(pkcs8.expose())
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let key = EncodingKey::from_ec_der(der);
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).map_err(|_| KeyError::Unusable)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| KeyError::Unusable)?;
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        jwk.common.key_id = Some(kid.clone());
        let jwks = serde_json::to_string(&JwkSet { keys: vec![jwk] }).map_err(|_| KeyError::Unusable)?;
        Ok(Self { header: Header { kid: Some(kid), ..Header::new(Algorithm::ES256) }, key, jwks })
    }

    /// The public half, as a JSON Web Key Set (RFC 7517, section 5) of one.
    pub(crate) fn jwks(&self) -> &str {
        &self.jwks
    }
}

/// Makes a P-256 key. The library draws its own randomness here: it offers no way to hand it in.
fn make() -> Result<Secret, KeyError> {
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
        .map_err(|_| KeyError::Making)?;
    Ok(Secret::new(pkcs8.as_ref().to_vec()))
}

#[cfg(test)]
mod tests {
    //! Keys at rest and as others see them.

    use std::{path::Path, sync::Arc};

    use mcp_secrets::SealedStore;
    use mcp_types::SystemEntropy;
    use serde_json::Value;

    use super::*;

    fn sealed(home: &Path) -> SealedStore {
        SealedStore::open(&home.join("secrets"), &home.join("master.key"), Arc::new(SystemEntropy))
            .expect("opens")
    }

    fn only_key(keys: &SigningKeys, kind: TokenKind) -> Value {
        let mut set: Value = serde_json::from_str(keys.of(kind).jwks()).expect("json");
        assert_eq!(set["keys"].as_array().map(Vec::len), Some(1));
        set["keys"][0].take()
    }

    #[tokio::test]
    async fn the_same_keys_sign_after_a_restart() {
        let home = tempfile::tempdir().expect("a folder");
        let before = SigningKeys::load(&sealed(home.path())).await.expect("made");
        let after = SigningKeys::load(&sealed(home.path())).await.expect("loaded");

        for kind in [TokenKind::Access, TokenKind::Transaction] {
            assert_eq!(before.of(kind).jwks(), after.of(kind).jwks());
        }
        assert_ne!(before.access.jwks(), before.transaction.jwks());
    }

    #[tokio::test]
    async fn the_key_set_shows_the_public_half_and_no_more() {
        let home = tempfile::tempdir().expect("a folder");
        let keys = SigningKeys::load(&sealed(home.path())).await.expect("made");

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
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

        let home = tempfile::tempdir().expect("a folder");
        let keys = SigningKeys::load(&sealed(home.path())).await.expect("made");

        let key = only_key(&keys, TokenKind::Transaction);

        // RFC 7638, section 3.2: the required members alone, in this order, without white space.
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, key["x"], key["y"]);
        assert_eq!(key["kid"], URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes())));
    }

    #[tokio::test]
    async fn what_is_no_p256_key_is_refused_at_start() {
        let home = tempfile::tempdir().expect("a folder");
        let secrets = sealed(home.path());
        let place: SecretPath = ACCESS_PATH.parse().expect("a path");
        secrets.put(&place, Secret::new(b"junk".to_vec())).await.expect("put");

        let error = SigningKeys::load(&secrets).await.expect_err("refused");

        assert!(matches!(error, KeyError::Unusable), "{error:?}");
    }

    #[tokio::test]
    async fn keys_print_nothing_of_themselves() {
        let home = tempfile::tempdir().expect("a folder");
        let secrets = sealed(home.path());
        let keys = SigningKeys::load(&secrets).await.expect("made");
        let pkcs8 = secrets.get(&ACCESS_PATH.parse().expect("a path")).await.expect("get").expect("kept");

        let text = format!("{keys:?}");

        assert!(!text.contains(&format!("{:?}", pkcs8.expose())), "{text}");
        assert!(text.contains("[redacted]"), "{text}");
    }
}
