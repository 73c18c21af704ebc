//! A row on its way into the tree: salted, committed to, erasable.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use mcp_types::Entropy;

use super::Hash;
use crate::AuditRow;

/// How long a row's salt is.
pub const SALT_BYTES: usize = 32;
/// How long a leaf is: its kind, and the commitment.
pub const LEAF_BYTES: usize = 33;

/// The leaf of bytes that have no salt: a line that was cut short, or written before lines had salts.
const BARE: u8 = 0;
/// The leaf of a row with its salt.
const SALTED: u8 = 1;

/// A row's bytes with the salt that hides them: nobody who holds only the leaf can try contents until one fits.
#[derive(Clone, Eq, PartialEq)]
pub struct Entry {
    salt: Option<[u8; SALT_BYTES]>,
    content: Vec<u8>,
}

/// What the tree holds of an entry: its kind and SHA-256(salt || content).
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Leaf([u8; LEAF_BYTES]);

/// Bytes that are no entry, or no leaf.
#[derive(Debug, thiserror::Error)]
#[error("{0} bytes are no {1} of an audit log")]
pub struct BadEntry(usize, &'static str);

// === impl Entry ===

impl Entry {
    /// The entry of `row`, with a salt drawn from `entropy`.
    ///
    /// The content is the row as JSON without spaces, members in the order of [`AuditRow`]'s fields.
    ///
    /// # Errors
    ///
    /// Where a row cannot be written as JSON; none is known.
    pub fn of(row: &AuditRow, entropy: &dyn Entropy) -> Result<Self, serde_json::Error> {
        let mut salt = [0; SALT_BYTES];
        entropy.fill(&mut salt);
        Ok(Self { salt: Some(salt), content: serde_json::to_vec(row)? })
    }

    /// An entry of `content`, with its salt.
    pub fn salted(salt: [u8; SALT_BYTES], content: Vec<u8>) -> Self {
        Self { salt: Some(salt), content }
    }

    /// An entry of bytes that have no salt.
    pub fn bare(content: Vec<u8>) -> Self {
        Self { salt: None, content }
    }

    /// Its salt, where it has one.
    pub fn salt(&self) -> Option<&[u8; SALT_BYTES]> {
        self.salt.as_ref()
    }

    /// Its content.
    pub fn content(&self) -> &[u8] {
        &self.content
    }

    /// The row that its content is.
    ///
    /// # Errors
    ///
    /// Where it is none.
    pub fn row(&self) -> Result<AuditRow, serde_json::Error> {
        serde_json::from_slice(&self.content)
    }

    /// What the tree holds of it.
    pub fn leaf(&self) -> Leaf {
        let mut hash = Context::new(&SHA256);
        if let Some(salt) = &self.salt {
            hash.update(salt);
        }
        hash.update(&self.content);
        let mut leaf = [0; LEAF_BYTES];
        leaf[0] = if self.salt.is_some() { SALTED } else { BARE };
        leaf[1..].copy_from_slice(hash.finish().as_ref());
        Leaf(leaf)
    }

    /// Salt and content as one value, for a store that seals it; [`Entry::from_bytes`] takes it apart.
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.salt.as_ref().map_or(&[][..], |salt| &salt[..]), &self.content].concat()
    }

    /// Takes apart what [`Entry::to_bytes`] made of a salted entry.
    ///
    /// # Errors
    ///
    /// [`BadEntry`] where there is no salt in front.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadEntry> {
        let (salt, content) = bytes.split_first_chunk().ok_or(BadEntry(bytes.len(), "entry"))?;
        Ok(Self { salt: Some(*salt), content: content.to_vec() })
    }
}

impl fmt::Debug for Entry {
    /// The content stays out: where it is sealed, a log line must not undo that.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("leaf", &self.leaf()).finish_non_exhaustive()
    }
}

// === impl Leaf ===

impl Leaf {
    /// Its bytes, as the tree's record.
    pub fn as_bytes(&self) -> &[u8; LEAF_BYTES] {
        &self.0
    }

    /// SHA-256(0x00 || leaf): RFC 6962, section 2.1.
    pub fn hash(&self) -> Hash {
        tlog_tiles::record_hash(&self.0)
    }
}

impl TryFrom<&[u8]> for Leaf {
    type Error = BadEntry;

    fn try_from(bytes: &[u8]) -> Result<Self, BadEntry> {
        match <[u8; LEAF_BYTES]>::try_from(bytes) {
            Ok(leaf) if leaf[0] <= SALTED => Ok(Self(leaf)),
            _ => Err(BadEntry(bytes.len(), "leaf")),
        }
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leaf({})", hex::encode(self.0))
    }
}
