//! A master key out of a passphrase: Argon2id (RFC 9106), its parameters and salt in a header file.
//!
//! ```text
//! "mcppass" 1 | memory in KiB (4) | passes (4) | lanes (4) | salt (32)
//! ```
//!
//! The header is not secret. Who changes it makes another key, which opens nothing: so it needs no seal, and a copy.

use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use mcp_types::Entropy;
use zeroize::Zeroizing;

use super::{KEY_BYTES, MasterKey};
use crate::{Secret, SecretsError, sealed::disk};

/// The format's name and, last, its version.
const MAGIC: &[u8; 8] = b"mcppass\x01";
const SALT_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + 3 * size_of::<u32>() + SALT_BYTES;

/// The shortest passphrase that a store is made with, in bytes.
const PASSPHRASE_BYTES_MIN: usize = 12;

/// What a new header asks for: the second recommended option of RFC 9106, section 4. A fraction of a second.
const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 4 };

/// What a header may ask for: not so little that guessing is cheap, not so much that opening hangs the machine.
const COST_MIN: Cost = Cost { memory_kib: 8 * 1024, passes: 1, lanes: 1 };
const COST_MAX: Cost = Cost { memory_kib: 1024 * 1024, passes: 16, lanes: 16 };

/// What a guess costs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// What must be known beside the passphrase to come to its key.
#[derive(Debug)]
pub(super) struct Header {
    cost: Cost,
    salt: [u8; SALT_BYTES],
}

/// Refuses a passphrase that can be guessed.
pub(super) fn check(passphrase: &Secret, header: &Path) -> Result<(), SecretsError> {
    if passphrase.expose().len() < PASSPHRASE_BYTES_MIN {
        return Err(SecretsError::PassphraseShort {
            header: header.to_owned(),
            bytes_min: PASSPHRASE_BYTES_MIN,
        });
    }
    Ok(())
}

// === impl Header ===

impl Header {
    /// Draws the header of a new passphrase.
    pub(super) fn draw(entropy: &dyn Entropy) -> Self {
        let mut salt = [0; SALT_BYTES];
        entropy.fill(&mut salt);
        // In tests the least that is taken: they show that it works, not that it is slow.
        let cost = if cfg!(test) { COST_MIN } else { COST };
        Self { cost, salt }
    }

    /// Reads the header in `file`, where there is one.
    pub(super) fn load(file: &Path) -> Result<Option<Self>, SecretsError> {
        let Some(bytes) = disk::read_private(file, HEADER_BYTES)? else { return Ok(None) };
        Self::from_bytes(&bytes)
            .filter(|header| header.cost.is_sane())
            .map(Some)
            .ok_or_else(|| SecretsError::MasterKeyMalformed { file: file.to_owned() })
    }

    /// The key that `passphrase` makes.
    pub(super) fn key(&self, passphrase: &Secret, file: &Path) -> Result<MasterKey, SecretsError> {
        let Cost { memory_kib, passes, lanes } = self.cost;
        let malformed = |_| SecretsError::MasterKeyMalformed { file: file.to_owned() };
        let params = Params::new(memory_kib, passes, lanes, Some(KEY_BYTES)).map_err(malformed)?;
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(passphrase.expose(), &self.salt, &mut *key)
            .map_err(malformed)?;
        MasterKey::new(key, file)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let Cost { memory_kib, passes, lanes } = self.cost;
        let mut bytes = MAGIC.to_vec();
        [memory_kib, passes, lanes].iter().for_each(|it| bytes.extend_from_slice(&it.to_be_bytes()));
        bytes.extend_from_slice(&self.salt);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (memory_kib, rest) = rest.split_first_chunk()?;
        let (passes, rest) = rest.split_first_chunk()?;
        let (lanes, salt) = rest.split_first_chunk()?;
        let cost = Cost {
            memory_kib: u32::from_be_bytes(*memory_kib),
            passes: u32::from_be_bytes(*passes),
            lanes: u32::from_be_bytes(*lanes),
        };
        Some(Self { cost, salt: salt.try_into().ok()? })
    }
}

// === impl Cost ===

impl Cost {
    fn is_sane(&self) -> bool {
        let within = |value, min, max| (min..=max).contains(&value);
        within(self.memory_kib, COST_MIN.memory_kib, COST_MAX.memory_kib)
            && within(self.passes, COST_MIN.passes, COST_MAX.passes)
            && within(self.lanes, COST_MIN.lanes, COST_MAX.lanes)
    }
}

#[cfg(test)]
mod tests {
    //! Headers that are taken, and headers that are not.

    use mcp_types::SystemEntropy;

    use super::*;

    #[test]
    fn a_header_says_again_what_it_said() {
        let header = Header::draw(&SystemEntropy);
        let again = Header::from_bytes(&header.to_bytes()).expect("a header");
        assert_eq!((again.cost, again.salt), (header.cost, header.salt));
        assert!(COST.is_sane() && COST_MIN.is_sane() && COST_MAX.is_sane());
    }

    #[test]
    fn a_header_that_makes_guessing_cheap_or_opening_endless_is_refused() {
        let home = tempfile::tempdir().expect("a folder");
        let file = home.path().join("header");
        let costs = [
            Cost { memory_kib: 8, ..COST },
            Cost { memory_kib: u32::MAX, ..COST },
            Cost { passes: 0, ..COST },
            Cost { passes: u32::MAX, ..COST },
            Cost { lanes: 0, ..COST },
            Cost { lanes: 17, ..COST },
        ];
        for cost in costs {
            let header = Header { cost, salt: [1; SALT_BYTES] };
            disk::write_unnamed(&file, &header.to_bytes()).expect("written");
            let refusal = Header::load(&file).expect_err("refused");
            assert!(matches!(refusal, SecretsError::MasterKeyMalformed { .. }), "{cost:?}: {refusal:?}");
        }
        for junk in [&b""[..], MAGIC, &[0; HEADER_BYTES]] {
            assert!(Header::from_bytes(junk).is_none());
        }
    }
}
