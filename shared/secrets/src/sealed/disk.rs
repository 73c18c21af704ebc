//! Files that are there whole or not at all, whenever the process is killed.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use mcp_types::Entropy;

use crate::{SecretPath, SecretsError};

/// The folder of the secrets, within the store's.
pub(super) const SEALED: &str = "sealed";
/// The folder of files being written, within the store's: on the same file system, so that a rename is one step.
pub(super) const TMP: &str = "tmp";
/// How a secret's file name ends. A path has no dots, so no folder of one is ever called so.
pub(super) const SUFFIX: &str = ".sealed";

const LOCK: &str = ".lock";

/// The right to write to a store; given back when it is dropped, or when the process dies.
pub(super) struct WriteLock {
    _file: File,
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

/// Makes `folder` and those above it that are missing, for the owner alone, so that they last.
pub(super) fn create_folders(folder: &Path) -> Result<(), SecretsError> {
    let missing: Vec<_> =
        folder.ancestors().take_while(|it| !it.as_os_str().is_empty() && !it.is_dir()).collect();
    for folder in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(failed("create", folder, source)),
        }
        match folder.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => sync_folder(parent)?,
            _ => sync_folder(Path::new("."))?,
        }
    }
    Ok(())
}

/// Refuses a folder in which others may exchange files.
pub(super) fn refuse_foreign_writers(folder: &Path) -> Result<(), SecretsError> {
    let metadata = fs::metadata(folder).map_err(|source| failed("inspect", folder, source))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o022 != 0 {
        return Err(SecretsError::Exposed { file: folder.to_owned(), mode });
    }
    Ok(())
}

/// Empties `folder` of what a killed process left in it.
pub(super) fn sweep(folder: &Path) -> Result<(), SecretsError> {
    create_folders(folder)?;
    for file in entries(folder)? {
        fs::remove_file(&file).map_err(|source| failed("remove", &file, source))?;
    }
    Ok(())
}

/// Whether any secret lies in `folder` or below.
pub(super) fn holds_secrets(folder: &Path) -> Result<bool, SecretsError> {
    for entry in entries(folder)? {
        let found = if entry.is_dir() { holds_secrets(&entry)? } else { has_suffix(&entry) };
        if found {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads `file`, where there is one. Of one that is longer than `bytes_max`, only one byte more.
pub(super) fn read(file: &Path, bytes_max: usize) -> Result<Option<Vec<u8>>, SecretsError> {
    let open = match File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("open", file, source)),
    };
    let mut bytes = Vec::new();
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
    let folder = file.parent().unwrap_or(Path::new("."));
    create_folders(folder)?;
    let written = write_new(tmp, bytes, entropy)?;
    if let Err(source) = fs::rename(&written, file) {
        discard(&written);
        return Err(failed("replace", file, source));
    }
    sync_folder(folder)
}

/// Writes `bytes` to a new file in `folder`, for the owner alone, down to the disk.
pub(super) fn write_new(folder: &Path, bytes: &[u8], entropy: &dyn Entropy) -> Result<PathBuf, SecretsError> {
    let mut name = [0; 16];
    entropy.fill(&mut name);
    let path = folder.join(format!(".{}", hex::encode(name)));
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|source| failed("create", &path, source))?;
    if let Err(source) = file.write_all(bytes).and_then(|()| file.sync_all()) {
        discard(&path);
        return Err(failed("write", &path, source));
    }
    Ok(path)
}

/// Removes `file` so that it stays removed, and says whether it was there.
pub(super) fn remove(file: &Path) -> Result<bool, SecretsError> {
    match fs::remove_file(file) {
        Ok(()) => sync_folder(file.parent().unwrap_or(Path::new("."))).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(failed("remove", file, source)),
    }
}

/// The paths of the secrets below `folder`, in order; `sealed` is where all paths begin.
pub(super) fn list(sealed: &Path, folder: &SecretPath) -> Result<Vec<SecretPath>, SecretsError> {
    let mut found = Vec::new();
    let mut open = vec![sealed.join(folder.as_str())];
    while let Some(folder) = open.pop() {
        for entry in entries(&folder)? {
            if entry.is_dir() {
                open.push(entry);
                continue;
            }
            let name = entry.strip_prefix(sealed).ok().and_then(Path::to_str);
            // What has no secret's name was not put here by us.
            found.extend(name.and_then(|it| it.strip_suffix(SUFFIX)).and_then(|it| it.parse().ok()));
        }
    }
    found.sort();
    Ok(found)
}

/// Makes the names in `folder` last: a file's own fsync says nothing of its name.
pub(super) fn sync_folder(folder: &Path) -> Result<(), SecretsError> {
    File::open(folder).and_then(|open| open.sync_all()).map_err(|source| failed("sync", folder, source))
}

pub(super) fn failed(doing: &'static str, file: &Path, source: io::Error) -> SecretsError {
    SecretsError::Disk { doing, file: file.to_owned(), source }
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

fn has_suffix(file: &Path) -> bool {
    file.to_str().is_some_and(|it| it.ends_with(SUFFIX))
}

/// Tidies up after a failure that is being reported already.
fn discard(file: &Path) {
    if let Err(error) = fs::remove_file(file) {
        tracing::warn!(file = %file.display(), %error, "cannot remove a half-written file");
    }
}
