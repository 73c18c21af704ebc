//! A sealed store on the local disk: one file a secret, for one machine.
//!
//! Under the store's folder, which only its owner may enter:
//!
//! ```text
//! .lock                           held by the one process that may write
//! index                           which secrets there are, in which version; each record vouches for all before it
//! sealed/<path>.<version>.sealed  the secrets
//! tmp/                            files being written; what a killed process left here is swept at the next start
//! ```
//!
//! The [master key](Master) and the mark are files of their own, wherever the caller says, so that they can lie on
//! another volume and in another copy. The mark says how far the store has come.
//!
//! # How a secret is written
//!
//! 1. Its file, under a name that nothing knows yet, is written and synced, and the folder.
//! 2. A record is appended to the index and synced. From here on the change is true.
//! 3. The mark is set to the index's counter and tag, and synced. Only now is the change acknowledged.
//! 4. The file of the version before is overwritten and removed.
//!
//! A process killed before 2 leaves a file that nobody knows: swept at the next start. Killed in 2, a record that does
//! not hold, or, killed before 3, one that is ahead of the mark: the first is cut off, the second stays, and the mark
//! follows; nobody was told of either. So no kill locks the owner out. An index that grew long is begun anew in one
//! rename, as a change of its own.
//!
//! # What is found
//!
//! A changed, exchanged or older file of a secret: the index knows its digest. A changed index, or one of another
//! store: its tags. An older index, or the whole folder of an earlier day, or none: the mark is ahead of it. A missing
//! mark, where there is an index. Whoever may write beside the master key too can put store *and* mark of an earlier
//! day back, and is not found; whoever reads the master key reads the secrets.

use std::{fmt, path::Path, sync::Arc};

use mcp_runtime::Profile;
use mcp_types::Entropy;

pub(crate) use self::master::read_passphrase;
use self::store::{Inner, Places};
pub use self::{
    escrow::{Escrow, EscrowIdentity, Escrowed},
    master::Master,
    wrapping::SealedWrapping,
};
use crate::{Secret, SecretPath, Secrets, SecretsError, SecretsFuture};

mod change;
mod disk;
mod envelope;
mod escrow;
mod fuse;
mod index;
mod mark;
mod master;
mod opening;
mod store;
#[cfg(test)]
mod tests;
mod wrapping;

/// Secrets in sealed files on the local disk.
///
/// Clones share one store. Calls hand the disk to a thread where blocking harms nobody, so they need a
/// Tokio runtime; one that is dropped half-way still finishes what it began.
#[derive(Clone)]
pub struct SealedStore {
    inner: Arc<Inner>,
}

// === impl SealedStore ===

impl SealedStore {
    /// Opens the store in `folder` for reading and writing, making the folder and the key if there are none.
    ///
    /// Touches the disk: call it at start, not in a request.
    ///
    /// # Errors
    ///
    /// [`NotForProfile`](SecretsError::NotForProfile) outside development; where another process has the store open,
    /// the key is another or exposed, or the store is damaged, incomplete or older than it was.
    pub fn open(
        folder: &Path,
        master: &Master,
        profile: Profile,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, SecretsError> {
        let places = places(folder, master, profile)?;
        opening::open(places, master, entropy).map(|inner| Self { inner: Arc::new(inner) })
    }

    /// Opens the store in `folder` for reading, while another process may be writing to it.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); and where there is no store yet.
    pub fn open_read_only(
        folder: &Path,
        master: &Master,
        profile: Profile,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, SecretsError> {
        let places = places(folder, master, profile)?;
        opening::open_read_only(places, master, entropy).map(|inner| Self { inner: Arc::new(inner) })
    }

    /// Seals all of the store in `folder`, which no process has open, anew under the master key `new`, making that
    /// where it is missing. Returns how many secrets there are.
    ///
    /// The old key's file stays where it is: it opens copies of the store of before, and nothing else.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open). Where it fails or is killed, the store is the old key's or the new one's, whole.
    pub fn change_master(
        folder: &Path,
        old: &Master,
        new: &Master,
        profile: Profile,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<usize, SecretsError> {
        change::change_master(&places(folder, old, profile)?, old, new, entropy)
    }

    /// Takes the store in `folder`, which no process has open, for the newest there is, and says how many secrets it
    /// holds: the way back where a mark was lost, or an older copy is all that is left.
    ///
    /// Secrets that were deleted or changed since that copy are what they were then.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), but for a store that is older than it was.
    pub fn accept(
        folder: &Path,
        master: &Master,
        profile: Profile,
        entropy: &dyn Entropy,
    ) -> Result<usize, SecretsError> {
        opening::accept(&places(folder, master, profile)?, master, entropy)
    }

    fn on_disk<'a, T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, SecretsError> + Send + 'static,
    ) -> SecretsFuture<'a, T> {
        let inner = Arc::clone(&self.inner);
        Box::pin(async move {
            tokio::task::spawn_blocking(move || work(&inner)).await.unwrap_or(Err(SecretsError::CutOff))
        })
    }
}

impl Secrets for SealedStore {
    fn get<'a>(&'a self, path: &'a SecretPath) -> SecretsFuture<'a, Option<Secret>> {
        let path = path.clone();
        self.on_disk(move |store| store.get(&path))
    }

    fn put<'a>(&'a self, path: &'a SecretPath, value: Secret) -> SecretsFuture<'a, ()> {
        let path = path.clone();
        self.on_disk(move |store| store.put(&path, &value))
    }

    fn put_if_absent<'a>(&'a self, path: &'a SecretPath, value: Secret) -> SecretsFuture<'a, Secret> {
        let path = path.clone();
        self.on_disk(move |store| store.put_if_absent(&path, &value))
    }

    fn delete<'a>(&'a self, path: &'a SecretPath) -> SecretsFuture<'a, bool> {
        let path = path.clone();
        self.on_disk(move |store| store.delete(&path))
    }

    fn list<'a>(&'a self, folder: &'a SecretPath) -> SecretsFuture<'a, Vec<SecretPath>> {
        let folder = folder.clone();
        self.on_disk(move |store| store.list(&folder))
    }
}

impl fmt::Debug for SealedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedStore")
            .field("folder", &self.inner.folder())
            .field("read_only", &self.inner.is_read_only())
            .finish_non_exhaustive()
    }
}

fn places(folder: &Path, master: &Master, profile: Profile) -> Result<Places, SecretsError> {
    if !profile.is_development() {
        return Err(SecretsError::NotForProfile { folder: folder.to_owned(), profile });
    }
    Ok(Places { folder: folder.to_owned(), mark: master.mark().to_owned() })
}
