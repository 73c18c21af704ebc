//! Files that are whole, and secret ones for their owner alone.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use mcp_runtime::Failure;

/// Makes `folder`, with what is missing above it, for its owner alone.
pub(crate) fn private_folder(folder: &Path) -> Result<(), Failure> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| Failure::io(format!("make the folder {}", folder.display()), source))
}

/// Writes a file that only its owner may read.
pub(crate) fn private(path: &Path, text: &str) -> Result<(), Failure> {
    write(path, text, 0o600)
}

/// Writes a file that everybody may read.
pub(crate) fn public(path: &Path, text: &str) -> Result<(), Failure> {
    write(path, text, 0o644)
}

/// Reads a file, where there is one.
pub(crate) fn read(path: &Path) -> Result<Option<String>, Failure> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Failure::io(format!("read {}", path.display()), source)),
    }
}

/// Whoever reads sees the old text or the new one, never a part; after a power cut too.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    replace(path, text, mode).map_err(|source| Failure::io(format!("write {}", path.display()), source))
}

fn replace(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    // Anew, so that what a killed writer left lends this one neither its mode nor its readers.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => fs::File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    //! Modes, and what a killed writer leaves.

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("exists").permissions().mode() & 0o777
    }

    #[test]
    fn a_secret_file_is_for_its_owner_whatever_lay_there() {
        let home = tempfile::tempdir().expect("a folder");
        let (folder, path) = (home.path().join("a/b"), home.path().join("a/b/key.pem"));
        private_folder(&folder).expect("made");
        fs::write(folder.join("key.pem.new"), "left behind, readable by all").expect("written");
        public(&path, "old").expect("written");

        private(&path, "new").expect("written");

        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o600));
        assert_eq!(read(&path).expect("readable").as_deref(), Some("new"));
        assert_eq!(read(&folder.join("none")).expect("readable"), None);
    }
}
