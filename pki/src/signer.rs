//! Who holds an authority's key: this process, or something that signs on request.

use std::{cell::RefCell, fmt};

use rcgen::{KeyPair, PublicKeyData, SignatureAlgorithm, SigningKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use zeroize::{Zeroize as _, Zeroizing};

/// The kinds of key that sign here, each with its one hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    P256,
    /// ECDSA on P-384 with SHA-384.
    P384,
    /// Ed25519.
    Ed25519,
}

/// Signs for an authority.
///
/// A call may take as long as a network round trip where the key is held elsewhere: issue from a thread that may wait.
pub trait Signer: fmt::Debug + Send + Sync + 'static {
    /// What kind of key it is.
    fn algorithm(&self) -> KeyAlgorithm;

    /// The public key: the bits of `subjectPublicKey` (RFC 5280, section 4.1.2.7).
    fn public_key(&self) -> &[u8];

    /// Signs `message`, which is not hashed yet. An ECDSA signature is answered in DER (RFC 3279, section 2.2.3).
    ///
    /// # Errors
    ///
    /// Where the key cannot be used now.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignFailed>;

    /// The key as PKCS#8, for sealed storage, where it is here to be had.
    fn export_pkcs8(&self) -> Option<Zeroizing<Vec<u8>>> {
        None
    }
}

/// The holder of the key did not sign.
#[derive(Debug, thiserror::Error)]
#[error("the authority's key did not sign")]
pub struct SignFailed(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// A key in this process's memory, wiped when dropped.
pub struct LocalSigner {
    key: KeyPair,
    algorithm: KeyAlgorithm,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadKey {
    /// The machine had no randomness.
    #[error("no key could be made")]
    NotMade(#[source] rcgen::Error),
    /// The bytes are no PKCS#8 key.
    #[error("the key cannot be read")]
    Unreadable(#[source] rcgen::Error),
    /// The key is RSA, or on a curve that no authority here uses.
    #[error("an authority's key is on P-256 or P-384, or Ed25519")]
    Kind,
}

/// Lends a signer to rcgen, whose errors have no room for a cause, and keeps the cause.
pub(crate) struct Lent<'a> {
    signer: &'a dyn Signer,
    failure: RefCell<Option<SignFailed>>,
}

// === impl KeyAlgorithm ===

impl KeyAlgorithm {
    fn rcgen(self) -> &'static SignatureAlgorithm {
        match self {
            Self::P256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::Ed25519 => &rcgen::PKCS_ED25519,
        }
    }
}

// === impl LocalSigner ===

impl LocalSigner {
    /// Makes a new key.
    ///
    /// # Errors
    ///
    /// Where the machine has no randomness.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, BadKey> {
        let key = KeyPair::generate_for(algorithm.rcgen()).map_err(BadKey::NotMade)?;
        Ok(Self { key, algorithm })
    }

    /// Takes a key from PKCS#8.
    ///
    /// # Errors
    ///
    /// Where the bytes are no key, or one of another kind.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, BadKey> {
        let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from(der)).map_err(BadKey::Unreadable)?;
        let algorithm = [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Ed25519]
            .into_iter()
            .find(|algorithm| key.algorithm() == algorithm.rcgen());
        match algorithm {
            Some(algorithm) => Ok(Self { key, algorithm }),
            None => {
                drop(Wiped(key));
                Err(BadKey::Kind)
            }
        }
    }
}

impl Signer for LocalSigner {
    fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    fn public_key(&self) -> &[u8] {
        self.key.public_key_raw()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignFailed> {
        self.key.sign(message).map_err(|error| SignFailed(error.into()))
    }

    fn export_pkcs8(&self) -> Option<Zeroizing<Vec<u8>>> {
        Some(Zeroizing::new(self.key.serialized_der().to_vec()))
    }
}

impl Drop for LocalSigner {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl fmt::Debug for LocalSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSigner").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

struct Wiped(KeyPair);

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

// === impl Lent ===

impl<'a> Lent<'a> {
    pub(crate) fn new(signer: &'a dyn Signer) -> Self {
        Self { signer, failure: RefCell::new(None) }
    }

    /// Why the last signature failed.
    pub(crate) fn failure(&self) -> Option<SignFailed> {
        self.failure.take()
    }
}

impl PublicKeyData for Lent<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.signer.public_key()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.signer.algorithm().rcgen()
    }
}

impl SigningKey for Lent<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.signer.sign(message).map_err(|failure| {
            self.failure.replace(Some(failure));
            rcgen::Error::RemoteKeyError
        })
    }
}

#[cfg(test)]
mod tests {
    //! Keys in, keys out.

    use super::*;

    const ALGORITHMS: [KeyAlgorithm; 3] = [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Ed25519];

    #[test]
    fn a_key_survives_its_export() {
        for algorithm in ALGORITHMS {
            let signer = LocalSigner::generate(algorithm).unwrap();

            let again = LocalSigner::from_pkcs8(&signer.export_pkcs8().unwrap()).unwrap();

            assert_eq!(again.algorithm(), algorithm);
            assert_eq!(again.public_key(), signer.public_key());
        }
    }

    #[test]
    fn a_key_of_another_kind_is_refused() {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap();

        assert!(matches!(LocalSigner::from_pkcs8(key.serialized_der()), Err(BadKey::Kind)));
        assert!(matches!(LocalSigner::from_pkcs8(b"key"), Err(BadKey::Unreadable(_))));
    }

    #[test]
    fn the_debug_text_holds_no_key() {
        let signer = LocalSigner::generate(KeyAlgorithm::P256).unwrap();

        assert_eq!(format!("{signer:?}"), "LocalSigner { algorithm: P256, .. }");
    }
}
