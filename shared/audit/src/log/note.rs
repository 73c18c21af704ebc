//! Checkpoints: a log's size and root, signed in the C2SP formats `tlog-checkpoint` and `signed-note`.
//!
//! ```text
//! mcp/mcp.local/context/acme                              the origin: which log
//! 1804                                                    how many rows
//! nND/nri/U0xuHUrYSy0HtMeal2vzD9V4k/BO79C+QeI=            the root over them
//!
//! — mcp/mcp.local/context/acme x08go/ZJkuBS9UG/...        Ed25519 over the lines above
//! ```

use std::{fmt, str::FromStr, sync::Arc};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use mcp_types::{Entropy, ServiceName, TenantSlug, TrustDomain};
use signed_note::{Note, NoteError, Signature, Verifier, VerifierList, is_key_name_valid, key_id};
use zeroize::Zeroizing;

use super::{Hash, TREE_SIZE_MAX, Tree};

/// How long the secret of a signing key is.
pub const SEED_BYTES: usize = 32;

/// The type of key, as a signed note names it.
const TYPE_ED25519: u8 = 1;

/// Which log: `mcp/<trust domain>/<service>/<tenant>`, or without the last for the service's own.
///
/// The service's own log has no fourth part rather than a reserved one, since a tenant may be called anything.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Origin(Arc<str>);

/// A service's key for signing checkpoints.
pub struct LogSigner(Ed25519KeyPair);

/// What verifies a log's checkpoints, printed and read as a note's verifier key: `<origin>+<id>+<base64>`.
#[derive(Clone, Eq, PartialEq)]
pub struct LogKey {
    origin: Arc<str>,
    public: [u8; 32],
}

/// A log's size and root with at least one signature.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    origin: Arc<str>,
    size: u64,
    root: Hash,
    note: Arc<str>,
}

/// Why a text is no checkpoint, or not one to believe.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadCheckpoint {
    /// It is not written as one.
    #[error("text is no signed checkpoint")]
    Malformed,
    /// It is no verifier key.
    #[error("text is no verifier key of the form <origin>+<id>+<base64>")]
    Key,
    /// It speaks of another log.
    #[error("checkpoint is of {found}, not of {expected}")]
    OtherLog {
        /// The log that it speaks of.
        found: String,
        /// The log in question.
        expected: String,
    },
    /// No signature of the key is on it, or a wrong one.
    #[error("checkpoint is not signed by {key}")]
    Signature {
        /// The key in question.
        key: String,
        /// What the note's verification said.
        #[source]
        source: NoteError,
    },
}

// === impl Origin ===

impl Origin {
    /// The log of `tenant` in `service`, or the service's own.
    pub fn of(trust_domain: &TrustDomain, service: &ServiceName, tenant: Option<&TenantSlug>) -> Self {
        let log = format!("mcp/{trust_domain}/{service}");
        Self(tenant.map_or(log.clone(), |tenant| format!("{log}/{tenant}")).into())
    }

    /// The origin as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl LogSigner ===

impl LogSigner {
    /// Draws the secret of a new key.
    pub fn draw_seed(entropy: &dyn Entropy) -> Zeroizing<[u8; SEED_BYTES]> {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        entropy.fill(&mut *seed);
        seed
    }

    /// The key of this secret.
    ///
    /// # Errors
    ///
    /// [`BadCheckpoint::Key`] where it is not [`SEED_BYTES`] long.
    pub fn from_seed(seed: &[u8]) -> Result<Self, BadCheckpoint> {
        Ed25519KeyPair::from_seed_unchecked(seed).map(Self).map_err(|_| BadCheckpoint::Key)
    }

    /// What verifies the checkpoints that it signs for `origin`.
    pub fn key(&self, origin: &Origin) -> LogKey {
        let mut public = [0; 32];
        public.copy_from_slice(self.0.public_key().as_ref());
        LogKey { origin: Arc::clone(&origin.0), public }
    }

    /// Signs what `tree` is now, as the log `origin`.
    ///
    /// # Errors
    ///
    /// [`BadCheckpoint::Malformed`] where the origin cannot stand in a note; one made by [`Origin::of`] can.
    pub fn sign(&self, origin: &Origin, tree: &Tree) -> Result<Checkpoint, BadCheckpoint> {
        let malformed = |_| BadCheckpoint::Malformed;
        let (size, root) = (tree.size(), tree.root());
        let body = tlog_tiles::Checkpoint::new(origin.as_str(), size, root, "")
            .map_err(|_| BadCheckpoint::Malformed)?
            .to_bytes();
        let key = self.key(origin);
        let signature = self.0.sign(&body).as_ref().to_vec();
        let signature =
            Signature::new(origin.as_str().to_owned(), key.key_id(), signature).map_err(malformed)?;
        let note = Note::new(&body, &[signature]).map_err(malformed)?.to_bytes();
        let note = String::from_utf8(note).map_err(|_| BadCheckpoint::Malformed)?;
        Ok(Checkpoint { origin: Arc::clone(&origin.0), size, root, note: note.into() })
    }
}

impl fmt::Debug for LogSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogSigner([redacted])")
    }
}

// === impl LogKey ===

impl LogKey {
    /// The log whose checkpoints it verifies.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The same key for the log of `tenant`, where this is the key of a service's own log: one key signs both.
    #[must_use]
    pub fn of_tenant(&self, tenant: &str) -> Self {
        Self { origin: format!("{}/{tenant}", self.origin).into(), public: self.public }
    }

    fn typed(&self) -> [u8; 33] {
        let mut typed = [TYPE_ED25519; 33];
        typed[1..].copy_from_slice(&self.public);
        typed
    }
}

impl Verifier for LogKey {
    fn name(&self) -> &str {
        &self.origin
    }

    fn key_id(&self) -> u32 {
        key_id(&self.origin, &self.typed())
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.public).verify(message, signature).is_ok()
    }
}

impl fmt::Display for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}+{}", self.origin, self.key_id(), BASE64_STANDARD.encode(self.typed()))
    }
}

impl fmt::Debug for LogKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for LogKey {
    type Err = BadCheckpoint;

    fn from_str(text: &str) -> Result<Self, BadCheckpoint> {
        let read = || {
            let (origin, rest) = text.trim_end().split_once('+')?;
            let typed = BASE64_STANDARD.decode(rest.split_once('+')?.1).ok()?;
            let (&TYPE_ED25519, public) = typed.split_first()? else { return None };
            Some(Self { origin: origin.into(), public: public.try_into().ok()? })
        };
        // The ID is part of the text; what prints alike has the right one.
        read()
            .filter(|key| is_key_name_valid(&key.origin) && key.to_string() == text.trim_end())
            .ok_or(BadCheckpoint::Key)
    }
}

// === impl Checkpoint ===

impl Checkpoint {
    /// The log that it speaks of.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// How many rows it covers.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root over them.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The signed note.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// Whether `key` signed it, for its own log.
    ///
    /// # Errors
    ///
    /// [`BadCheckpoint::OtherLog`], [`BadCheckpoint::Signature`].
    pub fn verify(&self, key: &LogKey) -> Result<(), BadCheckpoint> {
        if self.origin != key.origin {
            return Err(BadCheckpoint::OtherLog {
                found: self.origin.to_string(),
                expected: key.origin.to_string(),
            });
        }
        let known = VerifierList::new(vec![Box::new(key.clone())]);
        let verified = Note::from_bytes(self.note.as_bytes()).and_then(|note| note.verify(&known));
        verified.map(drop).map_err(|source| BadCheckpoint::Signature { key: key.to_string(), source })
    }
}

/// Reads a checkpoint without believing it yet; [`Checkpoint::verify`] says whether to.
impl FromStr for Checkpoint {
    type Err = BadCheckpoint;

    fn from_str(note: &str) -> Result<Self, BadCheckpoint> {
        let parsed = Note::from_bytes(note.as_bytes()).map_err(|_| BadCheckpoint::Malformed)?;
        let body = tlog_tiles::Checkpoint::from_bytes(parsed.text()).map_err(|_| BadCheckpoint::Malformed)?;
        if body.size() > TREE_SIZE_MAX {
            return Err(BadCheckpoint::Malformed);
        }
        Ok(Self { origin: body.origin().into(), size: body.size(), root: *body.hash(), note: note.into() })
    }
}
