//! Every way in which a token can be wrong, and the reason that its bearer hears.

use mcp_tenancy::TokenKind;

use crate::signer::{Draft, Signer};

/// A way in which a token is wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flaw {
    /// There is none.
    Missing,
    /// It has ended.
    Expired,
    /// It does not count yet.
    NotYetValid,
    /// It is for somebody else.
    WrongAudience,
    /// It is somebody else's.
    WrongIssuer,
    /// Nobody signed it, and its header says so.
    AlgorithmNone,
    /// It is signed by HMAC, with the public key as the secret.
    HmacWithThePublicKey,
    /// It is signed with another key, under the name of ours.
    WrongSignature,
    /// It names a key that there is not.
    UnknownKey,
    /// It brings its own key along.
    BringsItsKey,
    /// It demands an extension that nobody knows (RFC 7515, section 4.1.11).
    DemandsAnExtension,
    /// Its claims are no claims.
    Malformed,
    /// It is no token at all.
    NoToken,
}

// === impl Flaw ===

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Missing,
        Self::Expired,
        Self::NotYetValid,
        Self::WrongAudience,
        Self::WrongIssuer,
        Self::AlgorithmNone,
        Self::HmacWithThePublicKey,
        Self::WrongSignature,
        Self::UnknownKey,
        Self::BringsItsKey,
        Self::DemandsAnExtension,
        Self::Malformed,
        Self::NoToken,
    ];

    /// What its bearer hears.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Missing => "TOKEN_MISSING",
            Self::Expired => "TOKEN_EXPIRED",
            Self::NotYetValid => "TOKEN_NOT_YET_VALID",
            Self::WrongAudience => "TOKEN_AUDIENCE",
            Self::WrongIssuer => "TOKEN_ISSUER",
            Self::AlgorithmNone | Self::HmacWithThePublicKey => "TOKEN_ALGORITHM",
            Self::WrongSignature => "TOKEN_SIGNATURE",
            Self::UnknownKey => "TOKEN_KEY_UNKNOWN",
            Self::BringsItsKey | Self::DemandsAnExtension => "TOKEN_HEADER",
            Self::Malformed | Self::NoToken => "TOKEN_MALFORMED",
        }
    }

    /// A token of `kind` that is right but for this flaw; `None` where the flaw is that there is none.
    pub fn token(self, signer: &Signer, kind: TokenKind) -> Option<String> {
        let draft = signer.draft(kind);
        let signed = |draft: Draft| Some(signer.sign(&draft));
        match self {
            Self::Missing => None,
            // Beyond the leeway for other clocks.
            Self::Expired => signed(draft.with(|claims| {
                claims.iat -= 3600;
                claims.nbf = Some(claims.iat);
                claims.exp = claims.iat + 60;
            })),
            Self::NotYetValid => signed(draft.with(|claims| {
                claims.iat += 3600;
                claims.nbf = Some(claims.iat);
                claims.exp = claims.iat + 60;
            })),
            Self::WrongAudience => signed(draft.with(|claims| claims.aud.push_str(".another"))),
            Self::WrongIssuer => signed(draft.with(|claims| claims.iss.push_str(".another"))),
            Self::AlgorithmNone => Some(signer.unsigned(&draft)),
            Self::HmacWithThePublicKey => Some(signer.signed_with_the_public_key(&draft)),
            Self::WrongSignature => Some(signer.sign_with_another_key(&draft)),
            Self::UnknownKey => signed(draft.headed(|header| header["kid"] = "another".into())),
            Self::BringsItsKey => {
                let jwk = signer.public_key(kind);
                signed(draft.headed(|header| header["jwk"] = jwk))
            }
            Self::DemandsAnExtension => {
                signed(draft.headed(|header| header["crit"] = serde_json::json!(["exp"])))
            }
            Self::Malformed => signed(draft.with(|claims| claims.tenant = "No Slug".to_owned())),
            Self::NoToken => Some("hunter2".to_owned()),
        }
    }
}
