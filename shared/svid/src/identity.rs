//! A service's own certificate and key, held to the same clauses as a stranger's.

use std::{fmt, sync::Arc, time::Duration};

use mcp_types::Timestamp;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{BadPem, BadSvid, SpiffeId, Svid, is_signed_by, pem};

/// What a process shows to prove who it is. A clone shares the key.
#[derive(Clone)]
pub struct Identity {
    svid: Svid,
    key: Arc<SecretKey>,
    certified: Arc<CertifiedKey>,
}

/// Why a certificate and a key make no identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadIdentity {
    /// The chain is empty.
    #[error("there is no certificate")]
    NoCertificate,
    /// The PEM text cannot be read.
    #[error("the certificate or its key cannot be read")]
    Pem(#[from] BadPem),
    /// The leaf is not what a peer would believe.
    #[error("the certificate would be believed by no peer")]
    Leaf(#[from] BadSvid),
    /// The leaf ends before it begins.
    #[error("the certificate is valid at no time")]
    NeverValid,
    /// A certificate after the leaf has not signed the one before it, or cannot be read.
    #[error("certificate {0} of the chain is not followed by its issuer")]
    Chain(usize),
    /// The key is of no kind that TLS can sign with, or broken.
    #[error("the private key cannot be used")]
    Key(#[source] rustls::Error),
    /// The key is another certificate's.
    #[error("the private key is not the certificate's")]
    KeyMismatch(#[source] rustls::Error),
}

struct SecretKey(PrivateKeyDer<'static>);

// === impl Identity ===

impl Identity {
    /// Joins a chain, leaf first, with the leaf's key.
    ///
    /// # Errors
    ///
    /// Where the leaf is no X509-SVID, the chain does not hold together, or the key is not the leaf's. Whether it is
    /// the certificate's time is not asked: the caller has the clock, and [`Identity::svid`] the answer.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, BadIdentity> {
        let key = SecretKey(key);
        let svid = Svid::read(chain.first().ok_or(BadIdentity::NoCertificate)?)?;
        if svid.not_after < svid.not_before {
            return Err(BadIdentity::NeverValid);
        }
        holds_together(&chain)?;
        // By reference: the key provider's own loader would keep a copy that nobody wipes.
        let signing =
            rustls::crypto::aws_lc_rs::sign::any_supported_type(&key.0).map_err(BadIdentity::Key)?;
        let certified = CertifiedKey::new(chain, signing);
        certified.keys_match().map_err(BadIdentity::KeyMismatch)?;
        Ok(Self { svid, key: Arc::new(key), certified: Arc::new(certified) })
    }

    /// Reads the chain and the key from PEM.
    ///
    /// # Errors
    ///
    /// As [`Identity::new`], and where the text is not PEM.
    pub fn from_pem(certificates: &str, key: &str) -> Result<Self, BadIdentity> {
        Self::new(pem::certificates(certificates)?, pem::private_key(key)?)
    }

    /// The chain and the key as PEM.
    pub fn to_pem(&self) -> (String, Zeroizing<String>) {
        (pem::from_certificates(self.chain()), pem::from_private_key(&self.key.0))
    }

    /// The same identity, sending `root` after its chain: what lets a client that knows only the root's pin verify it.
    ///
    /// # Errors
    ///
    /// Where `root` did not sign the chain's last certificate.
    pub fn with_root_in_chain(&self, root: CertificateDer<'static>) -> Result<Self, BadIdentity> {
        let mut chain = self.chain().to_vec();
        chain.push(root);
        holds_together(&chain)?;
        let certified = CertifiedKey::new(chain, self.certified.key.clone());
        Ok(Self { certified: Arc::new(certified), ..self.clone() })
    }

    /// Whose identity this is.
    pub const fn id(&self) -> &SpiffeId {
        &self.svid.id
    }

    /// What the leaf says.
    pub const fn svid(&self) -> &Svid {
        &self.svid
    }

    /// The certificates, leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// The private key, for whoever must store it.
    pub fn key(&self) -> &PrivateKeyDer<'static> {
        &self.key.0
    }

    /// The first moment at which the certificate holds.
    pub const fn not_before(&self) -> Timestamp {
        self.svid.not_before
    }

    /// The last second in which the certificate holds.
    pub const fn not_after(&self) -> Timestamp {
        self.svid.not_after
    }

    /// When to ask for the next certificate: at two thirds of this one's life, less up to a tenth of it by `jitter`,
    /// a random number, so that processes born together do not come back together.
    pub fn renew_at(&self, jitter: u64) -> Timestamp {
        let life_ms =
            u64::try_from(self.not_after().since(self.not_before()).as_millis()).unwrap_or(u64::MAX);
        let early_ms = jitter % (life_ms / 10 + 1);
        self.not_before().plus(Duration::from_millis(life_ms / 3 * 2 + life_ms % 3 * 2 / 3 - early_ms))
    }

    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        self.certified.clone()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("svid", &self.svid)
            .field("certificates", &self.chain().len())
            .field("key", &self.key)
            .finish()
    }
}

// === impl SecretKey ===

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Drop for SecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Each certificate is signed by the next: a chain out of order is believed by some peers and refused by others.
fn holds_together(chain: &[CertificateDer<'_>]) -> Result<(), BadIdentity> {
    for (at, pair) in chain.windows(2).enumerate() {
        if let [subject, issuer] = pair
            && !is_signed_by(subject, issuer)
        {
            return Err(BadIdentity::Chain(at));
        }
    }
    Ok(())
}
