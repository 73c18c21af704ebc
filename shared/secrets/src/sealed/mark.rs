//! How far a store has come, kept apart from it: what an older store put back is known by.
//!
//! Two slots of 512 bytes, of which a write changes one, so that a torn write leaves the other:
//!
//! ```text
//! "mcpmark" 1 | store (16) | counter (8) | tag of the index (32) | HMAC-SHA256 (32) | zeros
//! ```
//!
//! The slot of counter n is n modulo 2, and the greatest counter whose slot holds is what the mark says.

use std::path::Path;

use aws_lc_rs::{
    error::Unspecified,
    hmac::{self, HMAC_SHA256},
};
use mcp_types::Entropy;
use zeroize::Zeroizing;

use super::{
    disk,
    index::{StoreId, Tag},
    master::MasterKey,
};
use crate::SecretsError;

const MAGIC: &[u8; 8] = b"mcpmark\x01";
const SLOT_BYTES: usize = 512;
const BODY_BYTES: usize = MAGIC.len() + size_of::<StoreId>() + size_of::<u64>() + size_of::<Tag>();

/// What a store had come to when it last acknowledged something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Mark {
    pub(super) store: StoreId,
    pub(super) counter: u64,
    pub(super) tag: Tag,
}

// === impl Mark ===

impl Mark {
    /// Reads the mark in `file`: `None` where there is no file, or nothing in it that `master` vouches for.
    pub(super) fn load(file: &Path, master: &MasterKey) -> Result<Option<Self>, SecretsError> {
        let Some(bytes) = disk::read(file, 2 * SLOT_BYTES)? else { return Ok(None) };
        // Who reads it learns a counter.
        disk::refuse_foreign_writers(file)?;
        let slots = bytes.chunks(SLOT_BYTES).filter_map(|slot| Self::open(slot, master));
        Ok(slots.max_by_key(|mark| mark.counter))
    }

    /// Puts the mark in `file`, so that it lasts.
    pub(super) fn save(
        &self,
        file: &Path,
        master: &MasterKey,
        entropy: &dyn Entropy,
    ) -> Result<(), SecretsError> {
        let unsealable = |Unspecified| SecretsError::IndexUnsealable { file: file.to_owned() };
        let slot = self.seal(master).map_err(unsealable)?;
        let offset = usize::from(self.counter % 2 == 1) * SLOT_BYTES;
        // One that is cut short was never acknowledged by: see `disk::replace`.
        if file.exists() {
            return disk::write_at(file, &slot, offset as u64);
        }
        let mut whole = vec![0; 2 * SLOT_BYTES];
        whole[offset..offset + SLOT_BYTES].copy_from_slice(&slot);
        let folder = disk::folder_of(file);
        disk::create_folders(&folder)?;
        disk::replace(file, &folder, &whole, entropy)
    }

    fn seal(&self, master: &MasterKey) -> Result<Vec<u8>, Unspecified> {
        let mut slot = [&MAGIC[..], &self.store, &self.counter.to_be_bytes(), &self.tag].concat();
        slot.extend_from_slice(hmac::sign(&key(&self.store, master)?, &slot).as_ref());
        slot.resize(SLOT_BYTES, 0);
        Ok(slot)
    }

    fn open(slot: &[u8], master: &MasterKey) -> Option<Self> {
        let (body, rest) = slot.split_at_checked(BODY_BYTES)?;
        let tag = rest.get(..size_of::<Tag>())?;
        let (store, fields) = body.strip_prefix(MAGIC)?.split_first_chunk::<{ size_of::<StoreId>() }>()?;
        let (counter, index_tag) = fields.split_first_chunk()?;
        hmac::verify(&key(store, master).ok()?, body, tag).ok()?;
        Some(Self { store: *store, counter: u64::from_be_bytes(*counter), tag: index_tag.try_into().ok()? })
    }
}

fn key(store: &StoreId, master: &MasterKey) -> Result<hmac::Key, Unspecified> {
    let mut bytes = Zeroizing::new([0; 32]);
    master.derive(store, b"mcp-secrets mark", &mut *bytes)?;
    Ok(hmac::Key::new(HMAC_SHA256, &*bytes))
}
