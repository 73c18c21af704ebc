//! What is signed: access tokens for clients, transaction tokens for the mesh; and what is taken back in exchange.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use mcp_proto::POLICIES;
#[cfg(test)]
use mcp_secrets::signing::Urgency;
use mcp_tenancy::{
    BadIssuer, Confirmation, Credential, Denied, IssuerKeys, TokenClaims, TokenKind, Verifier,
};
use mcp_types::{Clock, Entropy, Redacted, TenantSlug, Timestamp, UserName, uuid_v7};

use crate::{
    config::Config,
    keys::{KeyError, SigningKeys},
    roles::Role,
};

/// Signs tokens, and verifies those it signed for the edge.
pub(crate) struct Tokens {
    config: Config,
    keys: SigningKeys,
    /// Knows all keys that are published.
    verifier: RwLock<Arc<Verifier>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// Whom a token is to speak for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// In which tenant.
    pub(crate) tenant: &'a TenantSlug,
    /// Which user.
    pub(crate) user: &'a UserName,
    /// With which rights.
    pub(crate) role: Role,
}

/// A signed token.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    /// The token itself.
    pub(crate) token: Redacted<String>,
    /// When it ends.
    pub(crate) expires: Timestamp,
}

/// Why the keys did not change as they should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokensError {
    /// The keys could not be used.
    #[error("the signing keys stay as they are")]
    Keys(#[source] KeyError),
    /// What is published cannot verify.
    #[error("auth's own keys cannot verify")]
    Issuer(#[source] BadIssuer),
}

/// Why a credential is not exchanged.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum NotExchanged {
    /// The token does not hold.
    #[error("access token does not hold")]
    Denied(#[source] Denied),
    /// The token is bound to a certificate, and the edge does not see its client's.
    #[error("access token is bound to a certificate, which the edge cannot prove")]
    Bound,
}

// === impl Tokens ===

impl Tokens {
    /// Signs with `keys`, as `config` says.
    pub(crate) fn new(
        config: Config,
        keys: SigningKeys,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, BadIssuer> {
        let verifier = Verifier::new(entry(&config, &keys, TokenKind::Access), POLICIES)?;
        let verifier = RwLock::new(Arc::new(verifier));
        Ok(Self { config, keys, verifier, clock, entropy })
    }

    /// What others need to verify tokens of `kind`.
    pub(crate) fn entry(&self, kind: TokenKind) -> IssuerKeys {
        entry(&self.config, &self.keys, kind)
    }

    /// Makes keys that are due, removes those that are over, takes over what other instances made.
    pub(crate) async fn refresh(&self) -> Result<(), TokensError> {
        // What was changed before an error counts too.
        let outcome = self.keys.refresh().await;
        self.verify_by_what_is_published()?;
        outcome.map(drop).map_err(TokensError::Keys)
    }

    /// Changes the keys now, whatever the schedule says; the command does it on the keys alone.
    #[cfg(test)]
    pub(crate) async fn rotate(&self, urgency: Urgency) -> Result<(), TokensError> {
        let outcome = self.keys.rotate(urgency).await;
        self.verify_by_what_is_published()?;
        outcome.map_err(TokensError::Keys)
    }

    fn verify_by_what_is_published(&self) -> Result<(), TokensError> {
        let verifier = Verifier::new(self.entry(TokenKind::Access), POLICIES).map_err(TokensError::Issuer)?;
        *self.verifier.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(verifier);
        Ok(())
    }

    /// Signs an access token that lives as long as is configured.
    pub(crate) async fn access(&self, subject: Subject<'_>) -> Result<Signed, KeyError> {
        self.access_for(subject, self.config.access_ttl(), None).await
    }

    /// Signs an access token that lives for `ttl`, bound to the certificate of this SHA-256 if there is one.
    pub(crate) async fn access_for(
        &self,
        subject: Subject<'_>,
        ttl: Duration,
        bound_to: Option<[u8; 32]>,
    ) -> Result<Signed, KeyError> {
        let now = self.clock.now();
        let claims = TokenClaims {
            // RFC 8705, section 3.1.
            cnf: bound_to.map(|sha256| Confirmation { certificate: URL_SAFE_NO_PAD.encode(sha256) }),
            ..self.claims(TokenKind::Access, subject, now, now.plus(ttl))
        };
        self.sign(TokenKind::Access, &claims).await
    }

    /// Verifies an access token presented for exchange.
    pub(crate) fn recognise(&self, token: &str) -> Result<Credential, NotExchanged> {
        let verifier = Arc::clone(&self.verifier.read().unwrap_or_else(PoisonError::into_inner));
        let credential = verifier.verify(token, self.clock.now()).map_err(NotExchanged::Denied)?;
        // The gateway can hand on a token, but not show that its client holds the certificate's key: whoever
        // found a bound token would get past its binding here.
        match credential.bound_to() {
            Some(_) => Err(NotExchanged::Bound),
            None => Ok(credential),
        }
    }

    /// Signs the transaction token that `credential` is exchanged for.
    ///
    /// Its rights are those of the role that the user has now, not those that the credential was signed with.
    pub(crate) async fn transaction(&self, credential: &Credential, role: Role) -> Result<Signed, KeyError> {
        let now = self.clock.now();
        let expires = now.plus(self.config.transaction_ttl()).min(credential.expires());
        let subject = Subject { tenant: credential.tenant(), user: credential.user(), role };
        let claims = TokenClaims {
            origin: Some(credential.token_id().to_owned()),
            ..self.claims(TokenKind::Transaction, subject, now, expires)
        };
        self.sign(TokenKind::Transaction, &claims).await
    }

    fn claims(
        &self,
        kind: TokenKind,
        subject: Subject<'_>,
        now: Timestamp,
        expires: Timestamp,
    ) -> TokenClaims {
        TokenClaims {
            iss: self.config.issuer.clone(),
            aud: audience(&self.config, kind).to_owned(),
            sub: subject.user.to_string(),
            exp: expires.unix_secs(),
            iat: now.unix_secs(),
            nbf: Some(now.unix_secs()),
            jti: uuid_v7(now, &*self.entropy).to_string(),
            tenant: subject.tenant.to_string(),
            scope: subject.role.scope(),
            origin: None,
            cnf: None,
        }
    }

    async fn sign(&self, kind: TokenKind, claims: &TokenClaims) -> Result<Signed, KeyError> {
        let token = Redacted::new(self.keys.sign(kind, claims).await?);
        Ok(Signed { token, expires: Timestamp::from_unix_secs(claims.exp) })
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("config", &self.config).finish_non_exhaustive()
    }
}

fn entry(config: &Config, keys: &SigningKeys, kind: TokenKind) -> IssuerKeys {
    IssuerKeys {
        kind,
        issuer: config.issuer.clone(),
        audience: audience(config, kind).to_owned(),
        jwks: keys.jwks(kind),
    }
}

fn audience(config: &Config, kind: TokenKind) -> &str {
    match kind {
        TokenKind::Access => &config.access_audience,
        TokenKind::Transaction => &config.transaction_audience,
    }
}

#[cfg(test)]
mod tests {
    //! Tokens as the edge and the mesh read them, on a clock that stands.

    use serde_json::Value;

    use super::*;
    use crate::fixture::{Home, ManualClock};

    async fn tokens(clock: &Arc<ManualClock>) -> Tokens {
        Home::new().tokens(Config::default(), clock).await
    }

    fn alice(role: Role) -> (TenantSlug, UserName, Role) {
        ("acme".parse().expect("a slug"), "alice".parse().expect("a name"), role)
    }

    fn subject((tenant, user, role): &(TenantSlug, UserName, Role)) -> Subject<'_> {
        Subject { tenant, user, role: *role }
    }

    fn part(signed: &Signed, index: usize) -> Value {
        let text = signed.token.expose().split('.').nth(index).expect("a part");
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).expect("base64url")).expect("json")
    }

    fn mesh(tokens: &Tokens) -> Verifier {
        Verifier::new(tokens.entry(TokenKind::Transaction), POLICIES).expect("a verifier")
    }

    #[tokio::test]
    async fn an_access_token_says_who_where_and_what() {
        let clock = ManualClock::at(1_700_000_000);
        let tokens = tokens(&clock).await;
        let alice = alice(Role::Viewer);

        let signed = tokens.access(subject(&alice)).await.expect("signed");

        let claims = part(&signed, 1);
        assert_eq!(part(&signed, 0)["typ"], "at+jwt");
        assert_eq!(part(&signed, 0)["alg"], "ES256");
        assert_eq!((&claims["tenant"], &claims["sub"]), (&"acme".into(), &"alice".into()));
        assert_eq!((&claims["iss"], &claims["aud"]), (&"https://mcp.local".into(), &"mcp".into()));
        assert_eq!(claims["scope"], "api.describe context.read member.read summarization.use tenant.read");
        assert_eq!((&claims["iat"], &claims["nbf"]), (&1_700_000_000.into(), &1_700_000_000.into()));
        assert_eq!(claims["exp"], 1_700_000_600);
        assert_eq!(signed.expires.unix_secs(), 1_700_000_600);
        assert_eq!((claims.get("cnf"), claims.get("origin")), (None, None));
        assert_eq!(claims["jti"].as_str().map(str::len), Some(36));
    }

    #[tokio::test]
    async fn a_transaction_token_names_what_it_came_from_and_ends_within_a_minute() {
        let clock = ManualClock::at(1_700_000_000);
        let tokens = tokens(&clock).await;
        let access = tokens.access(subject(&alice(Role::Viewer))).await.expect("signed");
        let credential = tokens.recognise(access.token.expose()).expect("holds");

        // The user was made an editor meanwhile.
        let signed = tokens.transaction(&credential, Role::Editor).await.expect("signed");

        let claims = part(&signed, 1);
        assert_eq!(part(&signed, 0)["typ"], "txntoken+jwt");
        assert_eq!(claims["aud"], "mcp.mesh");
        assert_eq!(claims["origin"], part(&access, 1)["jti"]);
        assert_ne!(claims["jti"], part(&access, 1)["jti"]);
        assert_eq!(claims["exp"], 1_700_000_060);
        assert_eq!(claims["scope"], Role::Editor.scope());

        let seen = mesh(&tokens).verify(signed.token.expose(), clock.now()).expect("the mesh believes it");
        assert_eq!((seen.tenant().as_str(), seen.user().as_str()), ("acme", "alice"));
        assert_eq!(seen.permissions(), Role::Editor.permission_set(&POLICIES));
        assert_eq!(seen.origin(), Some(credential.token_id()));
    }

    #[tokio::test]
    async fn a_transaction_token_never_outlives_its_credential() {
        let clock = ManualClock::at(1_700_000_000);
        let tokens = tokens(&clock).await;
        let alice = alice(Role::Viewer);
        let access = tokens.access_for(subject(&alice), Duration::from_secs(45), None).await.expect("signed");
        clock.advance(Duration::from_secs(20));
        let credential = tokens.recognise(access.token.expose()).expect("holds");

        let signed = tokens.transaction(&credential, Role::Viewer).await.expect("signed");

        assert_eq!(signed.expires, access.expires);
        assert_eq!(part(&signed, 1)["exp"], 1_700_000_045);
    }

    #[tokio::test]
    async fn neither_kind_of_token_passes_for_the_other() {
        let clock = ManualClock::at(1_700_000_000);
        let tokens = tokens(&clock).await;
        let access = tokens.access(subject(&alice(Role::Owner))).await.expect("signed");
        let credential = tokens.recognise(access.token.expose()).expect("holds");
        let transaction = tokens.transaction(&credential, Role::Owner).await.expect("signed");

        let refused = tokens.recognise(transaction.token.expose()).expect_err("no access token");

        assert_eq!(refused, NotExchanged::Denied(Denied::WrongType { expected: "at+jwt" }));
        assert!(mesh(&tokens).verify(access.token.expose(), clock.now()).is_err());
    }

    #[tokio::test]
    async fn an_expired_token_is_not_exchanged() {
        let clock = ManualClock::at(1_700_000_000);
        let tokens = tokens(&clock).await;
        let access = tokens.access(subject(&alice(Role::Owner))).await.expect("signed");

        // Past the end and the leeway for other clocks.
        clock.advance(Duration::from_secs(600 + 30));

        let refused = tokens.recognise(access.token.expose()).expect_err("expired");
        assert_eq!(refused, NotExchanged::Denied(Denied::Expired));
    }

    #[tokio::test]
    async fn a_bound_token_is_not_exchanged() {
        let clock = ManualClock::at(1_700_000_000);
        let tokens = tokens(&clock).await;
        let alice = alice(Role::Owner);
        let bound =
            tokens.access_for(subject(&alice), Duration::from_secs(60), Some([7; 32])).await.expect("signed");

        assert_eq!(part(&bound, 1)["cnf"]["x5t#S256"], URL_SAFE_NO_PAD.encode([7; 32]));
        assert_eq!(tokens.recognise(bound.token.expose()).expect_err("bound"), NotExchanged::Bound);
    }

    #[tokio::test]
    async fn a_token_of_another_installation_is_not_exchanged() {
        let clock = ManualClock::at(1_700_000_000);
        let (ours, theirs) = (tokens(&clock).await, tokens(&clock).await);
        let access = theirs.access(subject(&alice(Role::Owner))).await.expect("signed");

        let refused = ours.recognise(access.token.expose()).expect_err("not ours");

        assert_eq!(refused, NotExchanged::Denied(Denied::UnknownKey));
    }

    #[tokio::test]
    async fn a_token_outlives_the_change_of_keys_and_no_token_a_compromised_key() {
        let (home, clock) = (Home::new(), ManualClock::at(1_700_000_000));
        let tokens = home.tokens(Config::default(), &clock).await;
        clock.advance(Duration::from_secs(24 * 3600 - 60));
        let before = tokens.access(subject(&alice(Role::Owner))).await.expect("signed");
        tokens.refresh().await.expect("refreshed");
        clock.advance(Duration::from_secs(3600));
        let after = tokens.access(subject(&alice(Role::Owner))).await.expect("signed");
        assert_ne!(part(&before, 0)["kid"], part(&after, 0)["kid"]);
        clock.advance(Duration::from_secs(60));
        tokens.refresh().await.expect("refreshed");
        assert!(tokens.recognise(after.token.expose()).is_ok());

        tokens.rotate(Urgency::Compromised).await.expect("rotated");

        let refused = tokens.recognise(after.token.expose()).expect_err("withdrawn");
        assert_eq!(refused, NotExchanged::Denied(Denied::UnknownKey));
        let anew = tokens.access(subject(&alice(Role::Owner))).await.expect("signed");
        assert!(tokens.recognise(anew.token.expose()).is_ok());
    }

    #[tokio::test]
    async fn a_signed_token_does_not_print() {
        let clock = ManualClock::at(1_700_000_000);
        let tokens = tokens(&clock).await;
        let signed = tokens.access(subject(&alice(Role::Owner))).await.expect("signed");

        assert!(!format!("{signed:?} {tokens:?}").contains(signed.token.expose()));
    }
}
