//! What decides about access, as of now: the keys that tokens are verified with.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use mcp_proto::{POLICIES, auth::v1 as pb};
use mcp_tenancy::{BadIssuer, Credential, Denied, IssuerKeys, TokenKind, VerifiedTokens, Verifier};
use mcp_types::Timestamp;
use tokio::sync::watch;

/// The access state that a process holds; nothing is verified before the first snapshot.
#[derive(Clone, Debug)]
pub struct LiveAccess {
    state: Arc<ArcSwapOption<State>>,
    version: Arc<watch::Sender<u64>>,
}

#[derive(Debug)]
struct State {
    access: VerifiedTokens,
    transaction: VerifiedTokens,
    snapshot: pb::AccessSnapshot,
}

/// Why a snapshot was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadSnapshot {
    /// An issuer is missing.
    #[error("the snapshot lacks the issuer of {0} tokens")]
    Lacks(&'static str),
    /// An issuer's keys cannot be used.
    #[error("the snapshot holds an issuer that cannot be used")]
    Issuer(#[source] BadIssuer),
}

// === impl LiveAccess ===

impl Default for LiveAccess {
    fn default() -> Self {
        Self { state: Arc::default(), version: Arc::new(watch::channel(0).0) }
    }
}

impl LiveAccess {
    /// Takes a snapshot over, with a cache of its own: nothing outlives the keys that vouched for it.
    ///
    /// # Errors
    ///
    /// [`BadSnapshot`]; what was held stays.
    pub fn replace(&self, snapshot: pb::AccessSnapshot) -> Result<(), BadSnapshot> {
        let tokens = |issuer: &Option<pb::Issuer>, kind, name| {
            let issuer = issuer.clone().ok_or(BadSnapshot::Lacks(name))?;
            let pb::Issuer { issuer, audience, jwks } = issuer;
            let keys = IssuerKeys { kind, issuer, audience, jwks };
            Verifier::new(keys, POLICIES).map(VerifiedTokens::new).map_err(BadSnapshot::Issuer)
        };
        let access = tokens(&snapshot.access_issuer, TokenKind::Access, "access")?;
        let transaction = tokens(&snapshot.transaction_issuer, TokenKind::Transaction, "transaction")?;
        let version = snapshot.version;
        self.state.store(Some(Arc::new(State { access, transaction, snapshot })));
        self.version.send_replace(version);
        Ok(())
    }

    /// Verifies an outside token.
    ///
    /// # Errors
    ///
    /// As [`Verifier::verify`]; [`Denied::NotReady`] before the first snapshot.
    pub fn verify_access(&self, token: &str, now: Timestamp) -> Result<Arc<Credential>, Denied> {
        self.state.load().as_ref().ok_or(Denied::NotReady)?.access.verify(token, now)
    }

    /// Verifies a transaction token.
    ///
    /// # Errors
    ///
    /// As [`Verifier::verify`]; [`Denied::NotReady`] before the first snapshot.
    pub fn verify_transaction(&self, token: &str, now: Timestamp) -> Result<Arc<Credential>, Denied> {
        self.state.load().as_ref().ok_or(Denied::NotReady)?.transaction.verify(token, now)
    }

    /// Verifies a token on the mesh: a transaction token or, by its type, an outside one, which the gate then lets
    /// pass only where it is bound to the certificate that presents it.
    ///
    /// # Errors
    ///
    /// As [`Verifier::verify`].
    pub fn verify_on_mesh(&self, token: &str, now: Timestamp) -> Result<Arc<Credential>, Denied> {
        match self.verify_transaction(token, now) {
            Err(Denied::WrongType { expected }) => match self.verify_access(token, now) {
                Err(Denied::WrongType { .. }) => Err(Denied::WrongType { expected }),
                verified => verified,
            },
            verified => verified,
        }
    }

    /// The snapshot held.
    pub fn snapshot(&self) -> Option<pb::AccessSnapshot> {
        self.state.load().as_ref().map(|state| state.snapshot.clone())
    }

    /// The version held; 0 before the first.
    pub fn version(&self) -> u64 {
        *self.version.borrow()
    }

    /// Waits for the first snapshot.
    pub async fn first(&self) {
        // An error cannot come: this value holds the sender.
        let _ = self.version.subscribe().wait_for(|version| *version > 0).await;
    }
}
