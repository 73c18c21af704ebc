//! Real tokens, and the credentials and scopes that the real verifier makes of them.

use std::{fmt, sync::Arc, time::Duration};

use aws_lc_rs::{
    digest::{SHA256, digest},
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_proto::{POLICIES, auth::v1 as pb};
use mcp_rpc::LiveAccess;
use mcp_tenancy::{Credential, IssuerKeys, TenantScope, TokenClaims, TokenKind, Verifier};
use mcp_types::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::forge::jws;

const ACCESS_TOKEN_LIFE: Duration = Duration::from_secs(600);
const TRANSACTION_TOKEN_LIFE: Duration = Duration::from_secs(60);

/// Signs access and transaction tokens as auth would, each kind with an ES256 key of its own.
///
/// Two issuers share names and differ in keys: a second one is a stranger who claims to be the first.
#[derive(Debug)]
pub struct TestIssuer {
    clock: Arc<dyn Clock>,
    access: Signer,
    transaction: Signer,
}

struct Signer {
    kind: TokenKind,
    issuer: &'static str,
    audience: &'static str,
    kid: String,
    key: EcdsaKeyPair,
}

// === impl TestIssuer ===

impl Default for TestIssuer {
    fn default() -> Self {
        Self::new()
    }
}

impl TestIssuer {
    /// An issuer with fresh keys, on the machine's clock.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An issuer with fresh keys, on `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            access: Signer::new(TokenKind::Access, "https://issuer.test", "https://edge.test"),
            transaction: Signer::new(TokenKind::Transaction, "https://issuer.test/transaction", "mesh.test"),
        }
    }

    /// The state that says whom to believe: this issuer.
    pub fn snapshot(&self) -> pb::AccessSnapshot {
        pb::AccessSnapshot {
            version: 1,
            access_issuer: Some(self.access.entry()),
            transaction_issuer: Some(self.transaction.entry()),
        }
    }

    /// An access state that believes this issuer.
    pub fn live_access(&self) -> LiveAccess {
        let live = LiveAccess::default();
        live.replace(self.snapshot()).expect("the issuer's own keys can be used");
        live
    }

    /// The public keys of one kind of token: a JSON Web Key Set.
    pub fn jwks(&self, kind: TokenKind) -> String {
        self.signer(kind).jwks()
    }

    /// The claims that a token of `kind` has before a test edits them: alice of acme, no permission, made now.
    pub fn claims(&self, kind: TokenKind) -> TokenClaims {
        let signer = self.signer(kind);
        let life = match kind {
            TokenKind::Access => ACCESS_TOKEN_LIFE,
            TokenKind::Transaction => TRANSACTION_TOKEN_LIFE,
        };
        let now = self.clock.now();
        TokenClaims {
            iss: signer.issuer.into(),
            aud: signer.audience.into(),
            sub: "alice".into(),
            exp: now.plus(life).unix_secs(),
            iat: now.unix_secs(),
            nbf: None,
            jti: "token-1".into(),
            tenant: "acme".into(),
            scope: String::new(),
            origin: (kind == TokenKind::Transaction).then(|| "origin-1".into()),
            cnf: None,
        }
    }

    /// The header that a token of `kind` has.
    pub fn header(&self, kind: TokenKind) -> Value {
        json!({ "alg": "ES256", "typ": kind.typ(), "kid": self.signer(kind).kid })
    }

    /// An access token, after `edit` had its way with the claims.
    pub fn access_token(&self, edit: impl FnOnce(&mut TokenClaims)) -> String {
        self.token(TokenKind::Access, edit)
    }

    /// A transaction token, after `edit` had its way with the claims.
    pub fn transaction_token(&self, edit: impl FnOnce(&mut TokenClaims)) -> String {
        self.token(TokenKind::Transaction, edit)
    }

    /// Signs any header and claims at all with the key for `kind`.
    pub fn sign(&self, kind: TokenKind, header: &Value, claims: &Value) -> String {
        jws(header, claims, |signed| self.signer(kind).sign(signed))
    }

    /// What a transaction token of `user` of `tenant` with these permissions proves.
    ///
    /// # Panics
    ///
    /// Where a name is none, or no method asks for one of the permissions: the test would try less than it says.
    pub fn credential(&self, tenant: &str, user: &str, permissions: &[&str]) -> Arc<Credential> {
        for permission in permissions {
            assert!(
                POLICIES.permission(permission).is_some(),
                "no method asks for the permission {permission}"
            );
        }
        let token = self.transaction_token(|claims| {
            claims.tenant = tenant.into();
            claims.sub = user.into();
            claims.scope = permissions.join(" ");
        });
        let verified = self.transaction.verifier().verify(&token, self.clock.now());
        Arc::new(verified.expect("a token of the issuer's own is believed"))
    }

    /// The right to act inside `tenant`.
    pub fn scope(&self, tenant: &str) -> TenantScope {
        self.credential(tenant, "alice", &[]).tenant_scope()
    }

    fn token(&self, kind: TokenKind, edit: impl FnOnce(&mut TokenClaims)) -> String {
        let mut claims = self.claims(kind);
        edit(&mut claims);
        self.sign(kind, &self.header(kind), &serde_json::to_value(claims).expect("claims are JSON"))
    }

    fn signer(&self, kind: TokenKind) -> &Signer {
        match kind {
            TokenKind::Access => &self.access,
            TokenKind::Transaction => &self.transaction,
        }
    }
}

// === impl Signer ===

impl Signer {
    fn new(kind: TokenKind, issuer: &'static str, audience: &'static str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("the machine makes keys");
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, key.public_key().as_ref()));
        Self { kind, issuer, audience, kid, key }
    }

    fn sign(&self, signed: &[u8]) -> Vec<u8> {
        self.key.sign(&SystemRandom::new(), signed).expect("the machine signs").as_ref().to_vec()
    }

    fn jwks(&self) -> String {
        // An uncompressed point (SEC 1, section 2.3.3): 4, then the two coordinates.
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        let jwk = json!({
            "kty": "EC",
            "crv": "P-256",
            "alg": "ES256",
            "use": "sig",
            "kid": self.kid,
            "x": URL_SAFE_NO_PAD.encode(x),
            "y": URL_SAFE_NO_PAD.encode(y),
        });
        json!({ "keys": [jwk] }).to_string()
    }

    fn entry(&self) -> pb::Issuer {
        pb::Issuer { issuer: self.issuer.into(), audience: self.audience.into(), jwks: self.jwks() }
    }

    fn verifier(&self) -> Verifier {
        let pb::Issuer { issuer, audience, jwks } = self.entry();
        let keys = IssuerKeys { kind: self.kind, issuer, audience, jwks };
        Verifier::new(keys, POLICIES).expect("the issuer's own keys can be used")
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("kind", &self.kind).field("kid", &self.kid).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    //! What the issuer signs is believed; what a stranger signs is not.

    use mcp_tenancy::Denied;

    use super::*;
    use crate::ManualClock;

    #[test]
    fn a_credential_says_what_was_asked_for() {
        let issuer = TestIssuer::new();

        let credential = issuer.credential("acme", "bob", &["context.read"]);

        assert_eq!((credential.tenant().as_str(), credential.user().as_str()), ("acme", "bob"));
        assert!(credential.permissions().holds(POLICIES.permission("context.read").unwrap()));
        assert!(!credential.permissions().holds(POLICIES.permission("context.write").unwrap()));
    }

    #[test]
    #[should_panic(expected = "no method asks for the permission context.dream")]
    fn a_permission_that_does_not_exist_is_no_test() {
        TestIssuer::new().credential("acme", "bob", &["context.dream"]);
    }

    #[test]
    fn each_kind_of_token_is_believed_in_its_place_alone() {
        let clock = ManualClock::at(1_700_000_000);
        let issuer = TestIssuer::with_clock(Arc::clone(&clock) as _);
        let live = issuer.live_access();
        let (access, transaction) = (issuer.access_token(|_| {}), issuer.transaction_token(|_| {}));

        assert!(live.verify_access(&access, clock.now()).is_ok());
        assert!(live.verify_transaction(&transaction, clock.now()).is_ok());
        assert!(live.verify_access(&transaction, clock.now()).is_err());
        assert!(live.verify_transaction(&access, clock.now()).is_err());
        // The token's life and the leeway for other clocks.
        clock.advance(TRANSACTION_TOKEN_LIFE + Duration::from_secs(30));
        assert_eq!(live.verify_transaction(&transaction, clock.now()).unwrap_err(), Denied::Expired);
    }

    #[test]
    fn another_issuer_of_the_same_name_is_a_stranger() {
        let (ours, theirs) = (TestIssuer::new(), TestIssuer::new());

        let refused = ours.live_access().verify_access(&theirs.access_token(|_| {}), SystemClock.now());

        assert_eq!(refused.unwrap_err(), Denied::UnknownKey);
    }
}
