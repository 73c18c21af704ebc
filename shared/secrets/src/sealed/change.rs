//! Seals a whole store under another master key, so that whoever held the old one holds nothing.

use std::{collections::BTreeMap, sync::Arc};

use aws_lc_rs::error::Unspecified;
use mcp_types::Entropy;

use super::{
    disk, envelope,
    index::{Entry, Index, digest_of},
    master::Master,
    opening,
    store::Places,
};
use crate::SecretsError;

/// Seals every secret anew under `new`, and says how many there are.
///
/// Until the new index takes the place of the old one the store is the old key's, and from then on the new one's:
/// a process that is killed leaves one of the two, whole.
pub(super) fn change_master(
    places: &Places,
    old: &Master,
    new: &Master,
    entropy: &Arc<dyn Entropy>,
) -> Result<usize, SecretsError> {
    let store = opening::open(places.clone(), old, Arc::clone(entropy))?;
    let entropy = &**entropy;
    let master = new.load_or_create(entropy)?;
    if master.id() == store.master().id() {
        return Err(SecretsError::SameMasterKey { file: new.place().to_owned() });
    }

    let before = store.mark_now();
    let mut counter = before.counter;
    let mut entries = BTreeMap::new();
    let known = store.entries();
    for (path, entry) in &known {
        counter += 1;
        let secret = places.read(path, *entry, store.master())?;
        let secret = secret.ok_or_else(|| SecretsError::FileMissing { path: path.clone() })?;
        let sealed = envelope::seal(&master, path, &secret, entropy)?;
        disk::write_unnamed(&places.version(path, counter), &sealed)?;
        entries.insert(path.clone(), Entry { version: counter, digest: digest_of(&sealed) });
    }

    // Of the other parity than the old mark: where both marks share a file, each has a slot until this is through.
    counter += if (counter + 1) % 2 == before.counter % 2 { 2 } else { 1 };
    let unsealable = |Unspecified| SecretsError::IndexUnsealable { file: places.index() };
    let (index, bytes) = Index::begin(before.store, counter, entries, &master).map_err(unsealable)?;
    // What an earlier attempt left at the new place may tell of more changes than this one.
    if new.mark() != places.mark {
        disk::erase(new.mark())?;
    }
    // The new key's mark comes first: nothing reads it while the index is the old key's.
    opening::mark_of(&index).save(new.mark(), &master, entropy)?;
    disk::replace(&places.index(), &places.tmp(), &bytes, entropy)?;

    for (path, entry) in &known {
        disk::erase(&places.version(path, entry.version))?;
    }
    if new.mark() != places.mark {
        disk::erase(&places.mark)?;
    }
    Ok(known.len())
}
