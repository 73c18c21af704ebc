//! The form of a sealed file: AES-256-GCM under a key that seals nothing else.
//!
//! ```text
//! "mcpseal" 1 | master key's ID (8) | salt (32) | nonce (12) | ciphertext | tag (16)
//! ```
//!
//! Every write draws a new salt and derives its own key from the master key with HKDF-SHA256 (RFC 5869),
//! so a pair of key and nonce comes twice only if 256 random bits of salt *and* 96 of nonce do. The
//! 2^32 messages at which random nonces under one key grow risky (NIST SP 800-38D, section 8.3) are
//! never neared: each key sees one.
//!
//! The associated data is the first sixteen bytes and the secret's path: a file that is moved to
//! another path, or whose version or key ID is edited, does not open.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
};
use mcp_types::Entropy;
use zeroize::Zeroizing;

use super::master::{KEY_ID_BYTES, MasterKey};
use crate::{Secret, SecretPath, SecretsError};

/// The format's name and, last, its version.
const MAGIC: &[u8; 8] = b"mcpseal\x01";
const PREFIX_BYTES: usize = MAGIC.len() + KEY_ID_BYTES;
const SALT_BYTES: usize = 32;
const HEADER_BYTES: usize = PREFIX_BYTES + SALT_BYTES + NONCE_LEN;

/// What sealing adds to a secret's length.
pub(super) const OVERHEAD_BYTES: usize = HEADER_BYTES + MAX_TAG_LEN;

/// Seals `value` as the secret at `path`.
pub(super) fn seal(
    master: &MasterKey,
    path: &SecretPath,
    value: &Secret,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, SecretsError> {
    let mut salt = [0; SALT_BYTES];
    let mut nonce = [0; NONCE_LEN];
    entropy.fill(&mut salt);
    entropy.fill(&mut nonce);

    let mut sealed = Vec::with_capacity(value.expose().len() + OVERHEAD_BYTES);
    sealed.extend_from_slice(MAGIC);
    sealed.extend_from_slice(&master.id());
    let aad = associated(&sealed, path);
    sealed.extend_from_slice(&salt);
    sealed.extend_from_slice(&nonce);

    // Room for the tag from the start: a vector that grows leaves its old, unwiped bytes behind.
    let mut body = Zeroizing::new(Vec::with_capacity(value.expose().len() + MAX_TAG_LEN));
    body.extend_from_slice(value.expose());
    key(master, &salt)
        .and_then(|key| {
            key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), &mut *body)
        })
        .map_err(|Unspecified| SecretsError::Unsealable { path: path.clone() })?;
    sealed.extend_from_slice(&body);
    Ok(sealed)
}

/// Opens what [`seal`] made for the same `path` under the same key.
pub(super) fn open(master: &MasterKey, path: &SecretPath, sealed: &[u8]) -> Result<Secret, SecretsError> {
    let malformed = || SecretsError::Malformed { path: path.clone() };
    let tampered = || SecretsError::Tampered { path: path.clone() };

    let (prefix, rest) = sealed.split_at_checked(PREFIX_BYTES).ok_or_else(malformed)?;
    let (magic, key_id) = prefix.split_at(MAGIC.len());
    if magic != MAGIC {
        return Err(malformed());
    }
    if key_id != master.id() {
        return Err(tampered());
    }
    let (salt, rest) = rest.split_first_chunk::<SALT_BYTES>().ok_or_else(malformed)?;
    let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(malformed)?;
    if body.len() < MAX_TAG_LEN {
        return Err(malformed());
    }

    let mut body = Zeroizing::new(body.to_vec());
    let key = key(master, salt).map_err(|Unspecified| tampered())?;
    let aad = Aad::from(associated(prefix, path));
    let opened = key.open_in_place(Nonce::assume_unique_for_key(*nonce), aad, &mut body);
    let length = opened.map_err(|Unspecified| tampered())?.len();
    body.truncate(length);
    Ok(Secret::from(body))
}

fn key(master: &MasterKey, salt: &[u8; SALT_BYTES]) -> Result<LessSafeKey, Unspecified> {
    let mut bytes = Zeroizing::new([0; 32]);
    master.derive(salt, b"mcp-secrets file", &mut *bytes)?;
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*bytes)?))
}

fn associated(prefix: &[u8], path: &SecretPath) -> Vec<u8> {
    // The prefix has a fixed length, so where the path begins needs no mark.
    [prefix, path.as_str().as_bytes()].concat()
}
