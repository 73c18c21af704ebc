//! A token's signature is verified once; afterwards a hash and a look-up find its credential.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use mcp_types::Timestamp;
use moka::sync::Cache;

use crate::{Credential, Denied, Verifier};

/// How many verified tokens are kept. Each is some hundred bytes; the least used make room.
const TOKENS_MAX: u64 = 20_000;

/// Verified tokens by their SHA-256, so that none is kept in clear.
///
/// It belongs to one set of keys: when keys change, verifier and cache are replaced together, so that
/// nothing outlives the key that vouched for it.
#[derive(Debug)]
pub struct VerifiedTokens {
    verifier: Verifier,
    known: Cache<[u8; 32], Arc<Credential>>,
}

// === impl VerifiedTokens ===

impl VerifiedTokens {
    /// Remembers what `verifier` verified.
    pub fn new(verifier: Verifier) -> Self {
        Self { verifier, known: Cache::new(TOKENS_MAX) }
    }

    /// Verifies `token` as of `now`, or remembers that it was; times are checked anew at every call.
    ///
    /// # Errors
    ///
    /// As [`Verifier::verify`]. Refusals are not remembered, so that junk takes no room.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<Credential>, Denied> {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        if let Some(credential) = self.known.get(&hash) {
            if let Err(denied) = Verifier::still_valid(&credential, now) {
                self.known.invalidate(&hash);
                return Err(denied);
            }
            return Ok(credential);
        }
        let credential = Arc::new(self.verifier.verify(token, now)?);
        self.known.insert(hash, Arc::clone(&credential));
        Ok(credential)
    }

    /// The verifier behind it.
    pub fn verifier(&self) -> &Verifier {
        &self.verifier
    }
}
