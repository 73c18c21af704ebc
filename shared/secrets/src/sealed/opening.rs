//! Opens a store: what is there is whole, is ours, and is not older than what was acknowledged.

use std::{collections::BTreeMap, sync::Arc};

use aws_lc_rs::error::Unspecified;
use mcp_types::Entropy;

use super::{
    disk::{self, Fingerprint, WriteLock},
    envelope,
    index::{BadIndex, Entry, INDEX_BYTES_MAX, Index, StoreId, digest_of},
    mark::Mark,
    master::{Master, MasterKey},
    store::{Inner, Places},
};
use crate::{SECRET_BYTES_MAX, SecretPath, SecretsError};

/// Opens the store for writing, making it where there is none.
pub(super) fn open(
    places: Places,
    master: &Master,
    entropy: Arc<dyn Entropy>,
) -> Result<Inner, SecretsError> {
    let (lock, key) = enter(&places, master, &*entropy)?;
    let mark = Mark::load(&places.mark, &key)?;
    let index = if places.index().exists() {
        let index = load(&places, &key, mark.as_ref())?;
        if mark != Some(mark_of(&index)) {
            // Killed between record and mark: nobody was told, and what is there is whole.
            mark_of(&index).save(&places.mark, &key, &*entropy)?;
        }
        index
    } else {
        let is_begun = match mark {
            Some(mark) => mark.counter > 0,
            None => disk::secrets_below(&places.sealed())?.iter().any(|found| found.version.is_some()),
        };
        if is_begun {
            return Err(SecretsError::IndexMissing { folder: places.folder });
        }
        begin(&places, &key, &*entropy)?
    };
    sweep(&places, &index)?;
    Inner::writer(places, key, entropy, index, lock)
}

/// Opens the store for reading.
pub(super) fn open_read_only(
    places: Places,
    master: &Master,
    entropy: Arc<dyn Entropy>,
) -> Result<Inner, SecretsError> {
    let missing = || SecretsError::MasterKeyMissing { file: master.place().to_owned() };
    let key = master.load()?.ok_or_else(missing)?;
    // The mark before the index: a writer moves them on in the other order.
    let mark = Mark::load(&places.mark, &key)?;
    let seen = Fingerprint::of(&places.index())?;
    let (index, _) = load_index(&places, &key)?;
    refuse_older(&places, &index, mark.as_ref())?;
    Ok(Inner::reader(places, key, entropy, index, seen))
}

/// Takes the store as it stands for the true one, whatever its mark says, and marks it so.
pub(super) fn accept(places: &Places, master: &Master, entropy: &dyn Entropy) -> Result<usize, SecretsError> {
    let (_lock, key) = enter(places, master, entropy)?;
    let marked = Mark::load(&places.mark, &key)?;
    let (store, counter, entries) = match load_index(places, &key) {
        Ok((index, _)) => (index.store(), index.counter(), index.entries().clone()),
        Err(SecretsError::IndexMissing { .. } | SecretsError::IndexDamaged { .. }) => {
            let entries = from_files(places, &key)?;
            let newest = entries.values().map(|entry| entry.version).max().unwrap_or(0);
            (draw_store(entropy), newest, entries)
        }
        Err(other) => return Err(other),
    };
    // Beyond whatever was seen, so that the state that was given up cannot come back in its turn.
    let counter = counter.max(marked.map_or(0, |mark| mark.counter)).saturating_add(1);
    let index = begin_at(places, store, counter, entries, &key, entropy)?;
    sweep(places, &index)?;
    Ok(index.entries().len())
}

/// What the mark of a store with this index says.
pub(super) const fn mark_of(index: &Index) -> Mark {
    Mark { store: index.store(), counter: index.counter(), tag: index.tag() }
}

/// Reads the index as far as it holds, and says how many bytes that is.
pub(super) fn load_index(places: &Places, key: &MasterKey) -> Result<(Index, u64), SecretsError> {
    let file = places.index();
    let damaged = || SecretsError::IndexDamaged { file: file.clone() };
    let bytes = disk::read(&file, INDEX_BYTES_MAX)?
        .ok_or_else(|| SecretsError::IndexMissing { folder: places.folder.clone() })?;
    if bytes.len() > INDEX_BYTES_MAX {
        return Err(damaged());
    }
    match Index::read(&bytes, key) {
        Ok((index, length)) => Ok((index, length as u64)),
        Err(BadIndex::Foreign) => Err(SecretsError::WrongMasterKey { folder: places.folder.clone() }),
        Err(BadIndex::Damaged) => Err(damaged()),
    }
}

/// Refuses an index that is older than `mark`, or another than the one marked.
pub(super) fn refuse_older(places: &Places, index: &Index, mark: Option<&Mark>) -> Result<(), SecretsError> {
    let Some(mark) = mark else {
        return Err(SecretsError::MarkMissing { file: places.mark.clone() });
    };
    let is_same_moment = index.counter() == mark.counter;
    if index.store() != mark.store
        || index.counter() < mark.counter
        || (is_same_moment && index.tag() != mark.tag)
    {
        return Err(SecretsError::RolledBack {
            folder: places.folder.clone(),
            found: index.counter(),
            marked: mark.counter,
        });
    }
    Ok(())
}

/// Begins an index at `counter` with `entries`: the mark's promise, the index, the mark.
pub(super) fn begin_at(
    places: &Places,
    store: StoreId,
    counter: u64,
    entries: BTreeMap<SecretPath, Entry>,
    key: &MasterKey,
    entropy: &dyn Entropy,
) -> Result<Index, SecretsError> {
    let unsealable = |Unspecified| SecretsError::IndexUnsealable { file: places.index() };
    let (index, bytes) = Index::begin(store, counter, entries, key).map_err(unsealable)?;
    disk::replace(&places.index(), &places.tmp(), &bytes, entropy)?;
    mark_of(&index).save(&places.mark, key, entropy)?;
    Ok(index)
}

fn enter(
    places: &Places,
    master: &Master,
    entropy: &dyn Entropy,
) -> Result<(WriteLock, MasterKey), SecretsError> {
    disk::create_folders(&places.folder)?;
    disk::refuse_foreign_writers(&places.folder)?;
    let lock = WriteLock::take(&places.folder)?;
    // Below the lock: a running writer's files must not be swept.
    disk::sweep(&places.tmp())?;
    disk::create_folders(&places.sealed())?;
    let key = match master.load()? {
        Some(key) => key,
        None if places.index().exists() || !disk::secrets_below(&places.sealed())?.is_empty() => {
            return Err(SecretsError::MasterKeyMissing { file: master.place().to_owned() });
        }
        None => master.load_or_create(entropy)?,
    };
    Ok((lock, key))
}

/// Reads the index, and cuts off what was half written when the process was killed.
fn load(places: &Places, key: &MasterKey, mark: Option<&Mark>) -> Result<Index, SecretsError> {
    let (index, whole) = load_index(places, key)?;
    // Before anything is cut: a record that was acknowledged and does not hold is damage, not a half-written one.
    refuse_older(places, &index, mark)?;
    if whole != Fingerprint::of(&places.index())?.bytes() {
        tracing::warn!(folder = %places.folder.display(), "dropped a change that was never acknowledged");
        disk::cut(&places.index(), whole)?;
    }
    Ok(index)
}

/// Makes the store, with the files of a time before there was an index.
fn begin(places: &Places, key: &MasterKey, entropy: &dyn Entropy) -> Result<Index, SecretsError> {
    let store = draw_store(entropy);
    // A mark at zero says: an index is about to be. Killed in between, the next start begins again.
    Mark { store, counter: 0, tag: [0; 32] }.save(&places.mark, key, entropy)?;
    let mut entries = BTreeMap::new();
    for found in disk::secrets_below(&places.sealed())?.into_iter().filter(|it| it.version.is_none()) {
        let longest = SECRET_BYTES_MAX + envelope::OVERHEAD_BYTES;
        let Some(sealed) = disk::read(&found.file, longest)? else { continue };
        envelope::open(key, &found.path, &sealed)?;
        disk::write_unnamed(&places.version(&found.path, 1), &sealed)?;
        entries.insert(found.path, Entry { version: 1, digest: digest_of(&sealed) });
    }
    begin_at(places, store, 1, entries, key, entropy)
}

/// The newest version of each secret that opens, by the files alone.
fn from_files(places: &Places, key: &MasterKey) -> Result<BTreeMap<SecretPath, Entry>, SecretsError> {
    let mut entries = BTreeMap::<SecretPath, Entry>::new();
    for found in disk::secrets_below(&places.sealed())? {
        let Some(version) = found.version else { continue };
        let longest = SECRET_BYTES_MAX + envelope::OVERHEAD_BYTES;
        let Some(sealed) = disk::read(&found.file, longest)? else { continue };
        let is_newest = entries.get(&found.path).is_none_or(|known| known.version < version);
        if is_newest && envelope::open(key, &found.path, &sealed).is_ok() {
            entries.insert(found.path, Entry { version, digest: digest_of(&sealed) });
        }
    }
    Ok(entries)
}

/// Erases the files that the index does not know: of writes that were cut off, and of versions that are past.
fn sweep(places: &Places, index: &Index) -> Result<(), SecretsError> {
    for found in disk::secrets_below(&places.sealed())? {
        let known = index.get(&found.path).map(|entry| entry.version);
        if found.version.is_none() || found.version != known {
            disk::erase(&found.file)?;
        }
    }
    Ok(())
}

fn draw_store(entropy: &dyn Entropy) -> StoreId {
    let mut store = StoreId::default();
    entropy.fill(&mut store);
    store
}
