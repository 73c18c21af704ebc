//! Folders and files for the owner alone, made so that they last.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use crate::StoreError;

/// Makes `folder` and those above it that are missing.
pub(crate) fn create(folder: &Path) -> Result<(), StoreError> {
    let missing: Vec<_> =
        folder.ancestors().take_while(|it| !it.as_os_str().is_empty() && !it.is_dir()).collect();
    for folder in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed("create", folder)(error));
            }
            Ok(()) | Err(_) => sync(parent(folder))?,
        }
    }
    Ok(())
}

/// Makes an empty `file` where there is none: to SQLite that is a database without tables, and the log
/// files that it puts beside it take over the mode.
pub(crate) fn create_file(file: &Path) -> Result<(), StoreError> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(file) {
        Ok(_) => sync(parent(file)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(failed("create", file)(error)),
    }
}

/// Makes the names in `folder` last.
fn sync(folder: &Path) -> Result<(), StoreError> {
    File::open(folder).and_then(|open| open.sync_all()).map_err(failed("sync", folder))
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::Disk { doing, path: path.to_owned(), source }
}
