//! Files that are there whole or not at all, whenever the process is killed.
//!
//! Whatever changes the disk takes one [`step`](fuse::step) first, so that a test can kill the process at each.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _},
    os::unix::fs::{
        DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
};

use mcp_types::Entropy;

use super::fuse;
use crate::{SecretPath, SecretsError};

/// The folder of the secrets, within the store's.
pub(super) const SEALED: &str = "sealed";
/// The folder of files being written, within the store's: on the same file system, so that a rename is one step.
pub(super) const TMP: &str = "tmp";
/// The index of all secrets, within the store's folder.
pub(super) const INDEX: &str = "index";

/// How a secret's file name ends. A path has no dots, so no folder of one is ever called so.
const SUFFIX: &str = ".sealed";
const LOCK: &str = ".lock";

/// The right to write to a store; given back when it is dropped, or when the process dies.
pub(super) struct WriteLock {
    _file: File,
}

/// A secret's file, by its name.
pub(super) struct Found {
    pub(super) path: SecretPath,
    /// `None` for files of a time before versions.
    pub(super) version: Option<u64>,
    pub(super) file: PathBuf,
}

/// What tells whether a file is still the one that was read.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Fingerprint {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

// === impl WriteLock ===

impl WriteLock {
    /// Takes the lock of the store in `folder`, or says that another holds it.
    pub(super) fn take(folder: &Path) -> Result<Self, SecretsError> {
        let path = folder.join(LOCK);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| failed("open", &path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(SecretsError::Locked { folder: folder.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed("lock", &path, source)),
        }
    }
}

// === impl Fingerprint ===

impl Fingerprint {
    /// Looks at `file`; the default where there is none.
    pub(super) fn of(file: &Path) -> Result<Self, SecretsError> {
        match fs::metadata(file) {
            Ok(it) => Ok(Self { inode: it.ino(), bytes: it.len(), modified: (it.mtime(), it.mtime_nsec()) }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(failed("inspect", file, source)),
        }
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// The file of one version of the secret at `path`; `sealed` is where all paths begin.
pub(super) fn version_file(sealed: &Path, path: &SecretPath, version: u64) -> PathBuf {
    sealed.join(format!("{path}.{version}{SUFFIX}"))
}

/// Makes `folder` and those above it that are missing, for the owner alone, so that they last.
pub(super) fn create_folders(folder: &Path) -> Result<(), SecretsError> {
    let missing: Vec<_> =
        folder.ancestors().take_while(|it| !it.as_os_str().is_empty() && !it.is_dir()).collect();
    for folder in missing.into_iter().rev() {
        match fuse::step().and_then(|()| DirBuilder::new().mode(0o700).create(folder)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(failed("create", folder, source)),
        }
        sync_folder(&folder_of(folder))?;
    }
    Ok(())
}

/// Refuses a folder or file that others may write to.
pub(super) fn refuse_foreign_writers(place: &Path) -> Result<(), SecretsError> {
    let metadata = fs::metadata(place).map_err(|source| failed("inspect", place, source))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o022 != 0 {
        return Err(SecretsError::Exposed { file: place.to_owned(), mode });
    }
    Ok(())
}

/// Reads a file that its owner alone may read, where there is one. Of one that is longer than `bytes_max`, one byte more.
pub(super) fn read_private(file: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>, SecretsError> {
    match fs::metadata(file) {
        Ok(metadata) => match metadata.permissions().mode() & 0o777 {
            mode if mode & 0o077 != 0 => Err(SecretsError::Exposed { file: file.to_owned(), mode }),
            _ => read(file, bytes_max),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(failed("inspect", file, source)),
    }
}

/// Reads `file`, where there is one. Of one that is longer than `bytes_max`, only one byte more.
pub(super) fn read(file: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>, SecretsError> {
    let open = match File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("open", file, source)),
    };
    let known = open.metadata().map_or(0, |it| usize::try_from(it.len()).unwrap_or(bytes_max));
    // Room for all from the start: what a growing vector leaves behind is not wiped.
    let mut bytes = Vec::with_capacity(known.min(bytes_max) + 1);
    open.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(|source| failed("read", file, source))?;
    Ok(Some(bytes))
}

/// Puts `bytes` in `file` in one step that lasts: first whole in `tmp`, then renamed.
pub(super) fn replace(
    file: &Path,
    tmp: &Path,
    bytes: &[u8],
    entropy: &dyn Entropy,
) -> Result<(), SecretsError> {
    let folder = folder_of(file);
    create_folders(&folder)?;
    let written = write_new(tmp, bytes, entropy)?;
    if let Err(source) = fuse::step().and_then(|()| fs::rename(&written, file)) {
        discard(&written);
        return Err(failed("replace", file, source));
    }
    sync_folder(&folder)
}

/// Writes `bytes` to a new file in `folder`, for the owner alone, down to the disk.
pub(super) fn write_new(folder: &Path, bytes: &[u8], entropy: &dyn Entropy) -> Result<PathBuf, SecretsError> {
    let mut name = [0; 16];
    entropy.fill(&mut name);
    let path = folder.join(format!(".{}", hex::encode(name)));
    write_through(&path, bytes).map(|()| path)
}

/// Writes `bytes` to `file`, whose name nothing depends on yet, down to the disk, name and all.
pub(super) fn write_unnamed(file: &Path, bytes: &[u8]) -> Result<(), SecretsError> {
    let folder = folder_of(file);
    create_folders(&folder)?;
    write_through(file, bytes)?;
    sync_folder(&folder)
}

fn write_through(file: &Path, bytes: &[u8]) -> Result<(), SecretsError> {
    let open = fuse::step()
        .and_then(|()| OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(file))
        .map_err(|source| failed("create", file, source))?;
    let written =
        fuse::write_all_at(&open, bytes, 0).and_then(|()| fuse::step()).and_then(|()| open.sync_all());
    if let Err(source) = written {
        discard(file);
        return Err(failed("write", file, source));
    }
    Ok(())
}

/// Writes `bytes` into `file`, which is there, at `offset`, down to the disk.
pub(super) fn write_at(file: &Path, bytes: &[u8], offset: u64) -> Result<(), SecretsError> {
    let open = OpenOptions::new().write(true).open(file).map_err(|source| failed("open", file, source))?;
    fuse::write_all_at(&open, bytes, offset)
        .and_then(|()| fuse::step())
        .and_then(|()| open.sync_data())
        .map_err(|source| failed("write", file, source))
}

/// Cuts `file` to `bytes`, down to the disk.
pub(super) fn cut(file: &Path, bytes: u64) -> Result<(), SecretsError> {
    let cut = || {
        fuse::step()?;
        let open = OpenOptions::new().write(true).open(file)?;
        open.set_len(bytes)?;
        open.sync_all()
    };
    cut().map_err(|source| failed("cut", file, source))
}

/// Removes `file` so that it stays removed, its bytes overwritten first.
///
/// Overwriting is the best that a file system allows, and no promise: flash moves blocks, and some file systems copy.
pub(super) fn erase(file: &Path) -> Result<(), SecretsError> {
    let overwrite = || {
        let bytes = fs::metadata(file)?.len();
        let open = OpenOptions::new().write(true).open(file)?;
        let zeros = vec![0; usize::try_from(bytes).unwrap_or(0).min(1 << 20)];
        fuse::step()?;
        open.write_all_at(&zeros, 0)?;
        open.sync_data()
    };
    match overwrite().and_then(|()| fuse::step()).and_then(|()| fs::remove_file(file)) {
        Ok(()) => sync_folder(&folder_of(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(failed("remove", file, source)),
    }
}

/// Empties `folder` of what a killed process left in it.
pub(super) fn sweep(folder: &Path) -> Result<(), SecretsError> {
    create_folders(folder)?;
    entries(folder)?.iter().try_for_each(|file| erase(file))
}

/// The secrets' files below `sealed`. What has no secret's name was not put there by us.
pub(super) fn secrets_below(sealed: &Path) -> Result<Vec<Found>, SecretsError> {
    let mut found = Vec::new();
    let mut open = vec![sealed.to_owned()];
    while let Some(folder) = open.pop() {
        for file in entries(&folder)? {
            if file.is_dir() {
                open.push(file);
                continue;
            }
            let name = file.strip_prefix(sealed).ok().and_then(Path::to_str);
            let Some(name) = name.and_then(|it| it.strip_suffix(SUFFIX)) else { continue };
            let (path, version) = match name.split_once('.') {
                Some((path, version)) => match version.parse() {
                    Ok(version) => (path, Some(version)),
                    Err(_) => continue,
                },
                None => (name, None),
            };
            found.extend(path.parse().ok().map(|path| Found { path, version, file: file.clone() }));
        }
    }
    Ok(found)
}

/// Makes the names in `folder` last: a file's own fsync says nothing of its name.
pub(super) fn sync_folder(folder: &Path) -> Result<(), SecretsError> {
    fuse::step()
        .and_then(|()| File::open(folder))
        .and_then(|open| open.sync_all())
        .map_err(|source| failed("sync", folder, source))
}

/// The folder that `file` lies in.
pub(super) fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

pub(super) fn failed(doing: &'static str, file: &Path, source: io::Error) -> SecretsError {
    SecretsError::Disk { doing, file: file.to_owned(), source }
}

/// Tidies up after a failure that is being reported already.
pub(super) fn discard(file: &Path) {
    if let Err(error) = fuse::step().and_then(|()| fs::remove_file(file)) {
        tracing::warn!(file = %file.display(), %error, "cannot remove a file that is of no use; the next start will");
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, SecretsError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed("list", folder, source)),
    };
    entries
        .map(|entry| entry.map(|it| it.path()))
        .collect::<io::Result<_>>()
        .map_err(|source| failed("list", folder, source))
}
