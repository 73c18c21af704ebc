//! The key that all of a store's secrets are sealed under, in a file that only its owner may read.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::error::Unspecified;
use mcp_types::Entropy;
use zeroize::Zeroizing;

use super::disk;
use crate::{SecretsError, hkdf};

const KEY_BYTES: usize = 32;
pub(super) const KEY_ID_BYTES: usize = 8;

/// The master key, and a name for it that tells nothing about it.
pub(super) struct MasterKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    id: [u8; KEY_ID_BYTES],
}

// === impl MasterKey ===

impl MasterKey {
    /// Reads the key in `file`, where there is one.
    pub(super) fn load(file: &Path) -> Result<Option<Self>, SecretsError> {
        let mut open = match File::open(file) {
            Ok(open) => open,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(disk::failed("open", file, source)),
        };
        let metadata = open.metadata().map_err(|source| disk::failed("inspect", file, source))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(SecretsError::Exposed { file: file.to_owned(), mode });
        }
        if metadata.len() != KEY_BYTES as u64 {
            return Err(SecretsError::MasterKeyMalformed { file: file.to_owned() });
        }
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        open.read_exact(&mut *bytes).map_err(|source| disk::failed("read", file, source))?;
        Self::new(bytes, file).map(Some)
    }

    /// Draws a key into `file`, or takes the one that another process put there first.
    pub(super) fn create(file: &Path, entropy: &dyn Entropy) -> Result<Self, SecretsError> {
        let folder = folder_of(file);
        disk::create_folders(&folder)?;
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        entropy.fill(&mut *bytes);

        // Written in full beside its place and then linked there: a link, unlike a rename, never takes
        // the place of a key that is there already.
        let tmp = disk::write_new(&folder, &*bytes, entropy)?;
        let linked = fs::hard_link(&tmp, file);
        fs::remove_file(&tmp).map_err(|source| disk::failed("remove", &tmp, source))?;
        match linked {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Self::load(file)?
                    .ok_or_else(|| SecretsError::MasterKeyMissing { file: file.to_owned() });
            }
            Err(source) => return Err(disk::failed("create", file, source)),
        }
        // Nothing may be sealed under a key that a power cut could still take away.
        disk::sync_folder(&folder)?;
        tracing::info!(file = %file.display(), "made a master key; keep a copy of it apart from the data");
        Self::new(bytes, file)
    }

    /// Names the key without telling it.
    pub(super) fn id(&self) -> [u8; KEY_ID_BYTES] {
        self.id
    }

    /// Derives the bytes that belong to `salt` and `purpose` (HKDF, RFC 5869).
    pub(super) fn derive(&self, salt: &[u8], purpose: &[u8], out: &mut [u8]) -> Result<(), Unspecified> {
        hkdf::extract_and_expand(&*self.bytes, salt, &[purpose], out)
    }

    fn new(bytes: Zeroizing<[u8; KEY_BYTES]>, file: &Path) -> Result<Self, SecretsError> {
        let mut key = Self { bytes, id: [0; KEY_ID_BYTES] };
        let mut id = [0; KEY_ID_BYTES];
        key.derive(b"", b"mcp-secrets key id", &mut id)
            .map_err(|Unspecified| SecretsError::MasterKeyMalformed { file: file.to_owned() })?;
        key.id = id;
        Ok(key)
    }
}

fn folder_of(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
