//! A key that seals values: AES-256-GCM, each value under a key and a nonce of its own.
//!
//! ```text
//! version (1) | salt (24, drawn for the value) | ciphertext | tag (16)
//! ```
//!
//! Key and nonce of a value come out of the data key and the value's salt together (HKDF-SHA256, RFC 5869): 44 bytes
//! for 24. Two values of one data key share a nonce *and* its key only where their salts are equal, or where 352
//! derived bits are. Salts are 192 drawn bits, so the chance that any two of n values share one is below n² / 2^193:
//! 2^-64 after 2^64 values, one in two only near 2^96. No counter is kept, so a restored backup, a fork of a disk or
//! two processes that write at once bring no repetition either; the 2^32 values that random nonces under one key
//! allow (NIST SP 800-38D, section 8.3) bind each derived key, and each sees one.
//!
//! What a value is for is its associated data, which the caller gives and does not store.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
};
use mcp_types::Entropy;
use zeroize::{Zeroize as _, Zeroizing};

use crate::hkdf;

/// A data key's length in bytes.
pub const DATA_KEY_BYTES: usize = 32;

/// What sealing adds to a value's length.
pub const SEALED_OVERHEAD_BYTES: usize = HEADER_BYTES + MAX_TAG_LEN;

const VERSION: u8 = 1;
const SALT_BYTES: usize = 24;
const HEADER_BYTES: usize = 1 + SALT_BYTES;

// What is derived for one purpose is of no use for another: a salt has a fixed length, and the labels differ.
const VALUE: &[u8] = b"mcp data key: value 1";
const PURPOSE: &[u8] = b"mcp data key: purpose 1";

/// A key that seals values, wiped when it is dropped.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; DATA_KEY_BYTES]>);

/// Why a value was not sealed or not opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The value is cut short, or of a form that this program does not know.
    #[error("the sealed value is cut short or of another kind")]
    Malformed,
    /// The value was changed, was sealed for another place, or under another key.
    #[error("the sealed value was changed, belongs elsewhere, or is sealed under another key")]
    Refused,
    /// The value could not be sealed.
    #[error("the value cannot be sealed")]
    Unsealable,
}

// === impl DataKey ===

impl DataKey {
    /// Draws a fresh key.
    pub fn draw(entropy: &dyn Entropy) -> Self {
        let mut key = Zeroizing::new([0; DATA_KEY_BYTES]);
        entropy.fill(&mut *key);
        Self(key)
    }

    /// Takes the 32 bytes of a key that was kept; `None` where they are not 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut key = Zeroizing::new([0; DATA_KEY_BYTES]);
        if bytes.len() != DATA_KEY_BYTES {
            return None;
        }
        key.copy_from_slice(bytes);
        Some(Self(key))
    }

    /// Shows the key to code that wraps it or computes with it; never for logs or errors.
    pub fn expose(&self) -> &[u8; DATA_KEY_BYTES] {
        &self.0
    }

    /// Seals `plain` for the place that `aad` names.
    ///
    /// # Errors
    ///
    /// [`SealError::Unsealable`], which needs a value near 64 GiB.
    pub fn seal(&self, aad: &[u8], plain: &[u8], entropy: &dyn Entropy) -> Result<Vec<u8>, SealError> {
        // Room for all from the start: a vector that grows leaves its old, unwiped bytes behind.
        let mut sealed = Vec::with_capacity(plain.len() + SEALED_OVERHEAD_BYTES);
        sealed.push(VERSION);
        sealed.resize(HEADER_BYTES, 0);
        entropy.fill(&mut sealed[1..]);
        let (key, nonce) = self.of_value(&sealed[1..]).map_err(|Unspecified| SealError::Unsealable)?;

        sealed.extend_from_slice(plain);
        match key.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut sealed[HEADER_BYTES..]) {
            Ok(tag) => {
                sealed.extend_from_slice(tag.as_ref());
                Ok(sealed)
            }
            Err(Unspecified) => {
                sealed.zeroize();
                Err(SealError::Unsealable)
            }
        }
    }

    /// Opens what [`seal`](Self::seal) made with the same `aad`.
    ///
    /// # Errors
    ///
    /// [`SealError::Malformed`] or [`SealError::Refused`].
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (&version, rest) = sealed.split_first().ok_or(SealError::Malformed)?;
        let (salt, body) = rest.split_at_checked(SALT_BYTES).ok_or(SealError::Malformed)?;
        if version != VERSION || body.len() < MAX_TAG_LEN {
            return Err(SealError::Malformed);
        }
        let (key, nonce) = self.of_value(salt).map_err(|Unspecified| SealError::Refused)?;
        let mut plain = body.to_vec();
        let opened = key.open_in_place(nonce, Aad::from(aad), &mut plain).map(|text| text.len());
        if let Ok(length) = opened {
            plain.truncate(length);
            return Ok(plain);
        }
        // Nothing of an unauthentic text may be looked at, here or in freed memory.
        plain.zeroize();
        Err(SealError::Refused)
    }

    /// The key that belongs to `purpose` and tells nothing about this one, or about another purpose's.
    pub fn derive(&self, purpose: &'static str) -> Self {
        let mut key = Zeroizing::new([0; DATA_KEY_BYTES]);
        let derived = hkdf::expand(&self.0, &[PURPOSE, purpose.as_bytes()], &mut *key);
        debug_assert!(derived.is_ok(), "32 bytes are within what HKDF gives");
        Self(key)
    }

    fn of_value(&self, salt: &[u8]) -> Result<(LessSafeKey, Nonce), Unspecified> {
        let mut derived = Zeroizing::new([0; DATA_KEY_BYTES + NONCE_LEN]);
        hkdf::expand(&self.0, &[VALUE, salt], &mut *derived)?;
        let (key, nonce) = derived.split_at(DATA_KEY_BYTES);
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key)?);
        Ok((key, Nonce::try_assume_unique_for_key(nonce)?))
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    //! What a data key seals, and what it does not open.

    use std::collections::HashSet;

    use mcp_types::SystemEntropy;
    use proptest::prelude::*;

    use super::*;

    /// The worst source there is.
    #[derive(Debug)]
    struct Stuck;

    impl Entropy for Stuck {
        fn fill(&self, out: &mut [u8]) {
            out.fill(7);
        }
    }

    fn key() -> DataKey {
        DataKey::draw(&SystemEntropy)
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_for_its_place_and_no_other(
            aad in proptest::collection::vec(any::<u8>(), 0..40),
            other in proptest::collection::vec(any::<u8>(), 0..40),
            plain in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let key = key();
            let sealed = key.seal(&aad, &plain, &SystemEntropy).expect("sealed");
            prop_assert_eq!(sealed.len(), plain.len() + SEALED_OVERHEAD_BYTES);
            prop_assert_eq!(key.open(&aad, &sealed), Ok(plain));
            if other != aad {
                prop_assert_eq!(key.open(&other, &sealed), Err(SealError::Refused));
            }
        }
    }

    #[test]
    fn every_changed_or_missing_byte_is_noticed() {
        let key = key();
        let sealed = key.seal(b"place", b"some text", &SystemEntropy).expect("sealed");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 0x10;
            let refusal = if at == 0 { SealError::Malformed } else { SealError::Refused };
            assert_eq!(key.open(b"place", &changed), Err(refusal), "byte {at}");
            assert!(key.open(b"place", &sealed[..at]).is_err(), "cut at {at}");
        }
        assert!(key.open(b"place", &[&*sealed, b"x"].concat()).is_err());
    }

    #[test]
    fn another_key_opens_nothing() {
        let sealed = key().seal(b"", b"text", &SystemEntropy).expect("sealed");
        assert_eq!(key().open(b"", &sealed), Err(SealError::Refused));
    }

    #[test]
    fn each_value_has_a_salt_of_its_own() {
        let key = key();
        let salts: HashSet<_> = (0..1000)
            .map(|_| key.seal(b"", b"same", &SystemEntropy).expect("sealed")[1..HEADER_BYTES].to_vec())
            .collect();
        assert_eq!(salts.len(), 1000);
    }

    #[test]
    fn the_same_salt_under_two_keys_gives_unlike_ciphertexts() {
        let (one, two) = (key(), key());
        let [first, second] = [&one, &two].map(|key| key.seal(b"", &[0; 64], &Stuck).expect("sealed"));
        assert_eq!(first[..HEADER_BYTES], second[..HEADER_BYTES]);
        assert_ne!(first[HEADER_BYTES..], second[HEADER_BYTES..]);
    }

    #[test]
    fn a_derived_key_differs_by_purpose_and_from_its_origin() {
        let key = key();
        let keys = [key.clone(), key.derive("index"), key.derive("index 2"), key.derive("")];
        let unlike: HashSet<_> = keys.iter().map(DataKey::expose).collect();
        assert_eq!(unlike.len(), keys.len());
        assert_eq!(key.derive("index").expose(), key.derive("index").expose());
    }

    #[test]
    fn a_key_prints_nothing_and_comes_back_from_its_bytes() {
        let key = key();
        assert_eq!(format!("{key:?}"), "DataKey([redacted])");
        assert_eq!(DataKey::from_bytes(key.expose()).expect("32 bytes").expose(), key.expose());
        assert!(DataKey::from_bytes(&[0; 31]).is_none() && DataKey::from_bytes(&[0; 33]).is_none());
    }

    #[test]
    fn the_form_does_not_change_unseen() {
        // Worked out with another library, Python's `cryptography`: HKDFExpand over label and salt, then AESGCM.
        let key = DataKey::from_bytes(&[1; 32]).expect("32 bytes");
        let sealed = key.seal(b"place", b"text", &Stuck).expect("sealed");
        assert_eq!(hex::encode(&sealed), KNOWN);
        assert_eq!(key.open(b"place", &sealed), Ok(b"text".to_vec()));
    }

    const KNOWN: &str =
        "010707070707070707070707070707070707070707070707074a9bda96759540c140dcfc921748b272d3a96853";
}
