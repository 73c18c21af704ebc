//! What a token says, strictly typed; both the issuer and the verifier use these types, so they cannot drift.

use serde::{Deserialize, Serialize};

/// The `typ` of an access token (RFC 9068, section 2.1).
pub const ACCESS_TOKEN_TYPE: &str = "at+jwt";

/// The `typ` of a transaction token (draft-ietf-oauth-transaction-tokens, section 7).
pub const TRANSACTION_TOKEN_TYPE: &str = "txntoken+jwt";

/// The kinds of token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenKind {
    /// Held by a client outside; the edge takes it.
    Access,
    /// Made by the exchange at the edge; the mesh takes it.
    Transaction,
}

/// The claims of an access or transaction token.
///
/// Times are integers: a token that states one as text, fraction or anything else does not parse.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct TokenClaims {
    /// Who signed it.
    pub iss: String,
    /// Whom it is for; one name, never a list.
    pub aud: String,
    /// The user's name within the tenant.
    pub sub: String,
    /// When it ends, in seconds since the epoch.
    pub exp: i64,
    /// When it was made, in seconds since the epoch.
    pub iat: i64,
    /// From when it counts, in seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// Its ID.
    pub jti: String,
    /// The tenant's slug.
    pub tenant: String,
    /// The user's permissions, separated by spaces.
    pub scope: String,
    /// For a transaction token: the ID of what it was exchanged for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// What the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnf: Option<Confirmation>,
}

/// What a token is bound to (RFC 7800).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// SHA-256 of a certificate's DER in base64url (RFC 8705, section 3.1).
    #[serde(rename = "x5t#S256")]
    pub certificate: String,
}

/// The header members that are looked at; those that would bring a key along are named to be refused.
#[derive(Debug, Deserialize)]
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) typ: Option<String>,
    pub(crate) kid: Option<String>,
    pub(crate) jwk: Option<serde::de::IgnoredAny>,
    pub(crate) jku: Option<serde::de::IgnoredAny>,
    pub(crate) x5u: Option<serde::de::IgnoredAny>,
    pub(crate) x5c: Option<serde::de::IgnoredAny>,
    pub(crate) crit: Option<serde::de::IgnoredAny>,
    pub(crate) b64: Option<serde::de::IgnoredAny>,
    pub(crate) zip: Option<serde::de::IgnoredAny>,
}

// === impl TokenKind ===

impl TokenKind {
    /// Its `typ`.
    pub const fn typ(self) -> &'static str {
        match self {
            Self::Access => ACCESS_TOKEN_TYPE,
            Self::Transaction => TRANSACTION_TOKEN_TYPE,
        }
    }
}

// === impl Header ===

impl Header {
    /// The first member that would bring a key or an extension along, by name.
    pub(crate) fn smuggles(&self) -> Option<&'static str> {
        [
            ("jwk", &self.jwk),
            ("jku", &self.jku),
            ("x5u", &self.x5u),
            ("x5c", &self.x5c),
            ("crit", &self.crit),
            ("b64", &self.b64),
            ("zip", &self.zip),
        ]
        .into_iter()
        .find_map(|(name, member)| member.is_some().then_some(name))
    }
}
