//! Token in, [`Credential`] out: signature, issuer, audience, type and times, by one issuer's entry.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, jwk::JwkSet};
use mcp_types::Timestamp;

use crate::{
    Credential, Denied, PolicyTable, TokenKind,
    claims::{Header, TokenClaims},
};

/// The longest token looked at, in bytes: longer ones are refused unread.
const TOKEN_BYTES_MAX: usize = 8192;

/// How far another machine's clock may be off, in seconds.
const LEEWAY_SECS: i64 = 30;

/// An issuer's entry: what it signs, for whom, and with which keys.
#[derive(Clone, Debug)]
pub struct IssuerKeys {
    /// The kind of token that it issues.
    pub kind: TokenKind,
    /// The `iss` claim.
    pub issuer: String,
    /// The `aud` claim.
    pub audience: String,
    /// Its public keys: a JSON Web Key Set (RFC 7517).
    pub jwks: String,
}

/// Verifies the tokens of one issuer.
pub struct Verifier {
    kind: TokenKind,
    issuer: String,
    audience: String,
    keys: HashMap<String, DecodingKey>,
    policies: PolicyTable,
}

/// Why an issuer's entry cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadIssuer {
    /// The key set is no JSON Web Key Set.
    #[error("cannot read the key set of issuer {issuer}")]
    KeySet {
        /// Whose.
        issuer: String,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// A key lacks a `kid`, is not for ES256 signatures, or has no usable point.
    #[error("key {index} of issuer {issuer} is not an ES256 signature key with a kid")]
    Key {
        /// Whose.
        issuer: String,
        /// The key's place in the set.
        index: usize,
    },
}

// === impl Verifier ===

impl Verifier {
    /// Verifies by `entry`, reading permissions by the names in `policies`.
    ///
    /// # Errors
    ///
    /// [`BadIssuer`] where a key cannot be used: an entry is taken whole or not at all.
    pub fn new(entry: IssuerKeys, policies: PolicyTable) -> Result<Self, BadIssuer> {
        let IssuerKeys { kind, issuer, audience, jwks } = entry;
        let set: JwkSet = serde_json::from_str(&jwks)
            .map_err(|source| BadIssuer::KeySet { issuer: issuer.clone(), source })?;
        let mut keys = HashMap::new();
        for (index, jwk) in set.keys.iter().enumerate() {
            let bad = || BadIssuer::Key { issuer: issuer.clone(), index };
            let algorithm = jwk.common.key_algorithm.ok_or_else(bad)?;
            if algorithm != jsonwebtoken::jwk::KeyAlgorithm::ES256 {
                return Err(bad());
            }
            let kid = jwk.common.key_id.clone().ok_or_else(bad)?;
            keys.insert(kid, DecodingKey::from_jwk(jwk).map_err(|_| bad())?);
        }
        Ok(Self { kind, issuer, audience, keys, policies })
    }

    /// The kind of token that this verifier takes.
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// Verifies `token` as of `now`.
    ///
    /// # Errors
    ///
    /// The [`Denied`] that names the first rule it breaks.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Credential, Denied> {
        let (signed, signature) = split(token)?;
        let header = header(token)?;
        if let Some(member) = header.smuggles() {
            return Err(Denied::Smuggled(member));
        }
        // Before the key is looked up: the token never chooses how it is verified (RFC 8725, section 3.1).
        if header.alg != "ES256" {
            return Err(Denied::Algorithm);
        }
        if !header.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case(self.kind.typ())) {
            return Err(Denied::WrongType { expected: self.kind.typ() });
        }
        let key = header.kid.and_then(|kid| self.keys.get(&kid)).ok_or(Denied::UnknownKey)?;
        match jsonwebtoken::crypto::verify(signature, signed.as_bytes(), key, Algorithm::ES256) {
            Ok(true) => {}
            Ok(false) | Err(_) => return Err(Denied::Signature),
        }
        self.credential(payload(token)?, now)
    }

    /// Whether a credential verified before still counts at `now`.
    ///
    /// # Errors
    ///
    /// [`Denied::Expired`], [`Denied::NotYetValid`].
    pub fn still_valid(credential: &Credential, now: Timestamp) -> Result<(), Denied> {
        let now = now.unix_secs();
        if credential.expires.unix_secs().saturating_add(LEEWAY_SECS) <= now {
            return Err(Denied::Expired);
        }
        if credential.not_before.is_some_and(|from| from.unix_secs().saturating_sub(LEEWAY_SECS) > now) {
            return Err(Denied::NotYetValid);
        }
        Ok(())
    }

    fn credential(&self, claims: TokenClaims, now: Timestamp) -> Result<Credential, Denied> {
        if claims.iss != self.issuer {
            return Err(Denied::WrongIssuer);
        }
        if claims.aud != self.audience {
            return Err(Denied::WrongAudience);
        }
        let bound_to = claims.cnf.map(|cnf| thumbprint(&cnf.certificate)).transpose()?;
        let not_before = claims.nbf.unwrap_or(claims.iat).max(claims.iat);
        let credential = Credential {
            kind: self.kind,
            tenant: claims.tenant.parse().map_err(|_| Denied::Malformed("tenant"))?,
            user: claims.sub.parse().map_err(|_| Denied::Malformed("sub"))?,
            permissions: self.policies.permissions_in(&claims.scope),
            token_id: claims.jti.into(),
            origin: claims.origin.map(Into::into),
            expires: Timestamp::from_unix_secs(claims.exp),
            not_before: Some(Timestamp::from_unix_secs(not_before)),
            bound_to,
        };
        Self::still_valid(&credential, now)?;
        Ok(credential)
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier")
            .field("kind", &self.kind)
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

/// What is signed, and the signature, of a JWS in compact form (RFC 7515, section 3.1).
fn split(token: &str) -> Result<(&str, &str), Denied> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Denied::Malformed("too long"));
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Denied::Malformed("not three parts"))?;
    if signed.split('.').count() != 2 {
        return Err(Denied::Malformed("not three parts"));
    }
    Ok((signed, signature))
}

fn part<T: serde::de::DeserializeOwned>(token: &str, index: usize, name: &'static str) -> Result<T, Denied> {
    let text = token.split('.').nth(index).ok_or(Denied::Malformed(name))?;
    let json = URL_SAFE_NO_PAD.decode(text).map_err(|_| Denied::Malformed(name))?;
    serde_json::from_slice(&json).map_err(|_| Denied::Malformed(name))
}

fn header(token: &str) -> Result<Header, Denied> {
    part(token, 0, "header")
}

fn payload(token: &str) -> Result<TokenClaims, Denied> {
    part(token, 1, "claims")
}

fn thumbprint(text: &str) -> Result<[u8; 32], Denied> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Denied::Malformed("cnf"))?;
    bytes.try_into().map_err(|_| Denied::Malformed("cnf"))
}
