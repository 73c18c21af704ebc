//! A sealed store on the local disk: one file a secret, for one machine.
//!
//! Under the store's folder, which only its owner may enter:
//!
//! ```text
//! .lock                 held by the one process that may write
//! sealed/<path>.sealed  the secrets
//! tmp/                  files being written; what a killed process left here is swept at the next start
//! ```
//!
//! The master key is a file of its own, wherever the caller says, so that it can lie on another volume
//! and in another backup. What the store does not hold against: whoever reads the master key reads the
//! secrets, and whoever may write in the folder can put an *older* file of the same secret back.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use mcp_types::Entropy;

use self::{disk::WriteLock, master::MasterKey};
use crate::{SECRET_BYTES_MAX, Secret, SecretPath, Secrets, SecretsError, SecretsFuture};

mod disk;
mod envelope;
mod master;
#[cfg(test)]
mod tests;
mod wrapping;

pub use self::wrapping::SealedWrapping;

/// Secrets in sealed files on the local disk.
///
/// Clones share one store. Calls hand the disk to a thread where blocking harms nobody, so they need a
/// Tokio runtime; one that is dropped half-way still finishes what it began.
#[derive(Clone)]
pub struct SealedStore {
    inner: Arc<Inner>,
}

struct Inner {
    folder: PathBuf,
    master: MasterKey,
    entropy: Arc<dyn Entropy>,
    /// `None` where the store was opened for reading. The mutex makes read-then-write one step within
    /// this process; the lock on the file keeps other processes out.
    writing: Option<Mutex<WriteLock>>,
}

// === impl SealedStore ===

impl SealedStore {
    /// Opens the store in `folder` for reading and writing, making the folder and the key if there are none.
    ///
    /// Touches the disk: call it at start, not in a request.
    pub fn open(folder: &Path, master_key: &Path, entropy: Arc<dyn Entropy>) -> Result<Self, SecretsError> {
        disk::create_folders(folder)?;
        disk::refuse_foreign_writers(folder)?;
        let lock = WriteLock::take(folder)?;
        // Below the lock: a running writer's files must not be swept.
        disk::sweep(&folder.join(disk::TMP))?;
        disk::create_folders(&folder.join(disk::SEALED))?;

        let master = match MasterKey::load(master_key)? {
            Some(key) => key,
            None if disk::holds_secrets(&folder.join(disk::SEALED))? => {
                return Err(SecretsError::MasterKeyMissing { file: master_key.to_owned() });
            }
            None => MasterKey::create(master_key, &*entropy)?,
        };
        Ok(Self::over(folder, master, entropy, Some(Mutex::new(lock))))
    }

    /// Opens the store in `folder` for reading, while another process may be writing to it.
    pub fn open_read_only(
        folder: &Path,
        master_key: &Path,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, SecretsError> {
        let master = MasterKey::load(master_key)?
            .ok_or_else(|| SecretsError::MasterKeyMissing { file: master_key.to_owned() })?;
        Ok(Self::over(folder, master, entropy, None))
    }

    fn over(
        folder: &Path,
        master: MasterKey,
        entropy: Arc<dyn Entropy>,
        writing: Option<Mutex<WriteLock>>,
    ) -> Self {
        Self { inner: Arc::new(Inner { folder: folder.to_owned(), master, entropy, writing }) }
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
        self.on_disk(move |store| store.writing(|| store.put(&path, &value)))
    }

    fn put_if_absent<'a>(&'a self, path: &'a SecretPath, value: Secret) -> SecretsFuture<'a, Secret> {
        let path = path.clone();
        self.on_disk(move |store| {
            store.writing(|| match store.get(&path)? {
                Some(winner) => Ok(winner),
                None => store.put(&path, &value).map(|()| value),
            })
        })
    }

    fn delete<'a>(&'a self, path: &'a SecretPath) -> SecretsFuture<'a, bool> {
        let path = path.clone();
        self.on_disk(move |store| store.writing(|| disk::remove(&store.file(&path))))
    }

    fn list<'a>(&'a self, folder: &'a SecretPath) -> SecretsFuture<'a, Vec<SecretPath>> {
        let folder = folder.clone();
        self.on_disk(move |store| disk::list(&store.folder.join(disk::SEALED), &folder))
    }
}

impl fmt::Debug for SealedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedStore")
            .field("folder", &self.inner.folder)
            .field("read_only", &self.inner.writing.is_none())
            .finish_non_exhaustive()
    }
}

// === impl Inner ===

impl Inner {
    fn file(&self, path: &SecretPath) -> PathBuf {
        self.folder.join(disk::SEALED).join(format!("{path}{}", disk::SUFFIX))
    }

    fn get(&self, path: &SecretPath) -> Result<Option<Secret>, SecretsError> {
        let longest = SECRET_BYTES_MAX + envelope::OVERHEAD_BYTES;
        match disk::read(&self.file(path), longest)? {
            Some(sealed) => envelope::open(&self.master, path, &sealed).map(Some),
            None => Ok(None),
        }
    }

    fn put(&self, path: &SecretPath, value: &Secret) -> Result<(), SecretsError> {
        if value.expose().len() > SECRET_BYTES_MAX {
            return Err(SecretsError::TooLong { path: path.clone() });
        }
        let sealed = envelope::seal(&self.master, path, value, &*self.entropy)?;
        disk::replace(&self.file(path), &self.folder.join(disk::TMP), &sealed, &*self.entropy)
    }

    /// Does `work` as the only writer.
    fn writing<T>(&self, work: impl FnOnce() -> Result<T, SecretsError>) -> Result<T, SecretsError> {
        let writing = self.writing.as_ref().ok_or(SecretsError::ReadOnly)?;
        // A panic of an earlier writer left whole files behind, as a kill would have.
        let _alone = writing.lock().unwrap_or_else(PoisonError::into_inner);
        work()
    }
}
