//! Files that verbs write: whole or not at all, secret ones for their owner alone.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use mcp_runtime::Failure;

/// Makes `folder` for its owner alone, with what is missing above it.
pub(crate) fn private_folder(folder: &Path) -> Result<(), Failure> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| Failure::io(format!("make the folder {}", folder.display()), source))
}

/// Writes a file that anybody may read.
pub(crate) fn public(path: &Path, text: &[u8]) -> Result<(), Failure> {
    replace(path, text, 0o644)
}

/// Writes a file for its owner alone.
pub(crate) fn private(path: &Path, text: &[u8]) -> Result<(), Failure> {
    replace(path, text, 0o600)
}

/// A reader sees the old file or the new one, never a half.
fn replace(path: &Path, text: &[u8], mode: u32) -> Result<(), Failure> {
    let write = || -> io::Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".new-{}", std::process::id()));
        let beside = path.with_file_name(name);
        // Anew, so that nobody who put a file or a link there first lends it their mode or gets to read it.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|source| Failure::io(format!("write {}", path.display()), source))
}

#[cfg(test)]
mod tests {
    //! What lies in the way of a file that is to be written.

    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_secret_is_not_written_to_what_others_put_in_its_way() {
        let folder = tempfile::tempdir().expect("a folder");
        let (key, elsewhere) = (folder.path().join("key.pem"), folder.path().join("elsewhere"));
        let beside = folder.path().join(format!("key.pem.new-{}", std::process::id()));
        fs::write(&elsewhere, "theirs").expect("written");
        symlink(&elsewhere, &beside).expect("linked");

        private(&key, b"secret").expect("written");

        assert_eq!(fs::read(&elsewhere).expect("read"), b"theirs");
        let written = fs::symlink_metadata(&key).expect("there");
        assert!(written.is_file());
        assert_eq!(written.permissions().mode() & 0o777, 0o600);
    }
}
