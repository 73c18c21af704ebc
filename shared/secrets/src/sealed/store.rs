//! The open store: reads against the index, writes in steps that each leave a whole store behind.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use aws_lc_rs::error::Unspecified;
use mcp_types::Entropy;

use super::{
    disk::{self, Fingerprint, WriteLock},
    envelope,
    index::{Change, Entry, INDEX_BYTES_MAX, Index, Record, digest_of},
    mark::Mark,
    master::MasterKey,
    opening,
};
use crate::{SECRET_BYTES_MAX, Secret, SecretPath, SecretsError};

/// How often a reader looks again at what a writer changes meanwhile.
const LOOKS_MAX: usize = 16;

/// What lies where.
#[derive(Clone, Debug)]
pub(super) struct Places {
    pub(super) folder: PathBuf,
    pub(super) mark: PathBuf,
}

/// An open store.
pub(super) struct Inner {
    places: Places,
    master: MasterKey,
    entropy: Arc<dyn Entropy>,
    index: RwLock<Index>,
    side: Side,
}

enum Side {
    /// The only process that writes. The mutex makes read-then-write one step within it.
    Writer(Mutex<Writing>),
    /// One of those that read, and what the index's file looked like when it was read last.
    Reader(Mutex<Fingerprint>),
}

/// The right to write, and where the index's file ends.
struct Writing {
    _lock: WriteLock,
    index_bytes: u64,
    /// The end of the index's file is unknown: only a new start can tell.
    is_broken: bool,
}

// === impl Places ===

impl Places {
    pub(super) fn sealed(&self) -> PathBuf {
        self.folder.join(disk::SEALED)
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.folder.join(disk::TMP)
    }

    pub(super) fn index(&self) -> PathBuf {
        self.folder.join(disk::INDEX)
    }

    pub(super) fn version(&self, path: &SecretPath, version: u64) -> PathBuf {
        disk::version_file(&self.sealed(), path, version)
    }

    /// Reads the file of a secret and holds it to the index: `None` where there is no file.
    pub(super) fn read(
        &self,
        path: &SecretPath,
        entry: Entry,
        master: &MasterKey,
    ) -> Result<Option<Secret>, SecretsError> {
        let longest = SECRET_BYTES_MAX + envelope::OVERHEAD_BYTES;
        let Some(sealed) = disk::read(&self.version(path, entry.version), longest)? else { return Ok(None) };
        if digest_of(&sealed) != entry.digest {
            return Err(SecretsError::Tampered { path: path.clone() });
        }
        envelope::open(master, path, &sealed).map(Some)
    }
}

// === impl Inner ===

impl Inner {
    pub(super) fn writer(
        places: Places,
        master: MasterKey,
        entropy: Arc<dyn Entropy>,
        index: Index,
        lock: WriteLock,
    ) -> Result<Self, SecretsError> {
        let index_bytes = Fingerprint::of(&places.index())?.bytes();
        let writing = Writing { _lock: lock, index_bytes, is_broken: false };
        let side = Side::Writer(Mutex::new(writing));
        Ok(Self { places, master, entropy, index: RwLock::new(index), side })
    }

    pub(super) fn reader(
        places: Places,
        master: MasterKey,
        entropy: Arc<dyn Entropy>,
        index: Index,
        seen: Fingerprint,
    ) -> Self {
        let side = Side::Reader(Mutex::new(seen));
        Self { places, master, entropy, index: RwLock::new(index), side }
    }

    pub(super) const fn is_read_only(&self) -> bool {
        matches!(self.side, Side::Reader(_))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.places.folder
    }

    pub(super) const fn master(&self) -> &MasterKey {
        &self.master
    }

    pub(super) fn get(&self, path: &SecretPath) -> Result<Option<Secret>, SecretsError> {
        let mut before = None;
        // A writer may exchange the file between the look at the index and the look at the file. What the index
        // says twice in a row is no exchange.
        for _ in 0..LOOKS_MAX {
            self.refresh()?;
            let Some(entry) = self.index().get(path) else { return Ok(None) };
            match self.places.read(path, entry, &self.master) {
                Ok(Some(secret)) => return Ok(Some(secret)),
                outcome if before == Some(entry) => {
                    outcome?;
                    break;
                }
                _ => before = Some(entry),
            }
        }
        Err(SecretsError::FileMissing { path: path.clone() })
    }

    pub(super) fn list(&self, folder: &SecretPath) -> Result<Vec<SecretPath>, SecretsError> {
        self.refresh()?;
        Ok(self.index().entries().keys().filter(|path| path.is_below(folder)).cloned().collect())
    }

    pub(super) fn put(&self, path: &SecretPath, value: &Secret) -> Result<(), SecretsError> {
        self.put_while(&mut *self.writing()?, path, value)
    }

    pub(super) fn put_if_absent(&self, path: &SecretPath, value: &Secret) -> Result<Secret, SecretsError> {
        let mut writing = self.writing()?;
        match self.get(path)? {
            Some(winner) => Ok(winner),
            None => self.put_while(&mut writing, path, value).map(|()| value.clone()),
        }
    }

    pub(super) fn delete(&self, path: &SecretPath) -> Result<bool, SecretsError> {
        let mut writing = self.writing()?;
        let Some(entry) = self.index().get(path) else { return Ok(false) };
        self.commit(&mut writing, Change::Delete(path.clone()))?;
        disk::erase(&self.places.version(path, entry.version))?;
        self.shorten(&mut writing);
        Ok(true)
    }

    fn put_while(
        &self,
        writing: &mut Writing,
        path: &SecretPath,
        value: &Secret,
    ) -> Result<(), SecretsError> {
        if value.expose().len() > SECRET_BYTES_MAX {
            return Err(SecretsError::TooLong { path: path.clone() });
        }
        let sealed = envelope::seal(&self.master, path, value, &*self.entropy)?;
        let (before, version) = {
            let index = self.index();
            (index.get(path), index.next_counter())
        };
        let file = self.places.version(path, version);
        // Nothing knows of this file yet: cut short, it is swept at the next start.
        disk::write_unnamed(&file, &sealed)?;
        let committed = self.commit(writing, Change::Put(path.clone(), digest_of(&sealed)));
        if committed.is_err() && self.index().get(path) == before {
            disk::discard(&file);
        }
        committed?;
        if let Some(before) = before
            && let Err(error) = disk::erase(&self.places.version(path, before.version))
        {
            tracing::warn!(%path, %error, "an old version of a secret stays until the next start");
        }
        self.shorten(writing);
        Ok(())
    }

    /// Makes `change` true: once its record is on the disk, and acknowledged once the mark has followed.
    fn commit(&self, writing: &mut Writing, change: Change) -> Result<(), SecretsError> {
        let file = self.places.index();
        let unsealable = |Unspecified| SecretsError::IndexUnsealable { file: file.clone() };
        let record: Record = self.index().record(change).map_err(unsealable)?;
        let bytes = record.bytes.len() as u64;
        if writing.index_bytes + bytes > INDEX_BYTES_MAX as u64 {
            return Err(SecretsError::Full { folder: self.places.folder.clone() });
        }
        if let Err(failed) = disk::write_at(&file, &record.bytes, writing.index_bytes) {
            // What was half written must be gone before anything is written after it.
            writing.is_broken = disk::cut(&file, writing.index_bytes).is_err();
            return Err(failed);
        }
        writing.index_bytes += bytes;
        self.index_mut().apply(record);
        self.mark()
    }

    fn mark(&self) -> Result<(), SecretsError> {
        let mark = opening::mark_of(&self.index());
        mark.save(&self.places.mark, &self.master, &*self.entropy)
    }

    /// Begins the index's file anew where it has grown long. That it cannot is no failure of the call.
    fn shorten(&self, writing: &mut Writing) {
        if !self.index().is_long() {
            return;
        }
        if let Err(error) = self.begin_anew(writing) {
            tracing::warn!(folder = %self.places.folder.display(), %error, "cannot shorten the index of the secrets");
        }
    }

    fn begin_anew(&self, writing: &mut Writing) -> Result<(), SecretsError> {
        let (store, counter, entries) = {
            let index = self.index();
            (index.store(), index.next_counter(), index.entries().clone())
        };
        let unsealable = |Unspecified| SecretsError::IndexUnsealable { file: self.places.index() };
        let (index, bytes) = Index::begin(store, counter, entries, &self.master).map_err(unsealable)?;
        let file = self.places.index();
        let before = Fingerprint::of(&file)?;
        if let Err(failed) = disk::replace(&file, &self.places.tmp(), &bytes, &*self.entropy) {
            // Renamed and not synced: which of the two is there after a power cut is open.
            writing.is_broken = Fingerprint::of(&file)? != before;
            return Err(failed);
        }
        writing.index_bytes = bytes.len() as u64;
        *self.index_mut() = index;
        self.mark()
    }

    /// Takes in what another process wrote, where this one only reads.
    fn refresh(&self) -> Result<(), SecretsError> {
        let Side::Reader(seen) = &self.side else { return Ok(()) };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Fingerprint::of(&self.places.index())?;
        if now == *seen {
            return Ok(());
        }
        // The mark before the index: the writer moves them on in the other order.
        let mark = Mark::load(&self.places.mark, &self.master)?;
        let (index, _) = opening::load_index(&self.places, &self.master)?;
        opening::refuse_older(&self.places, &index, mark.as_ref())?;
        // This process has seen its index; it needs no mark to know that one is older.
        let held = opening::mark_of(&self.index());
        opening::refuse_older(&self.places, &index, Some(&held))?;
        *self.index_mut() = index;
        *seen = now;
        Ok(())
    }

    fn writing(&self) -> Result<MutexGuard<'_, Writing>, SecretsError> {
        let Side::Writer(writing) = &self.side else { return Err(SecretsError::ReadOnly) };
        // A panic of an earlier writer left a whole store behind, as a kill would have.
        let writing = writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Before anything is said: a change that failed may be true on the disk, so not even "there is none" is sure.
        if writing.is_broken {
            return Err(SecretsError::Broken { folder: self.places.folder.clone() });
        }
        Ok(writing)
    }

    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// All secrets' paths with their files.
    pub(super) fn entries(&self) -> Vec<(SecretPath, Entry)> {
        self.index().entries().iter().map(|(path, entry)| (path.clone(), *entry)).collect()
    }

    pub(super) fn mark_now(&self) -> Mark {
        opening::mark_of(&self.index())
    }
}
