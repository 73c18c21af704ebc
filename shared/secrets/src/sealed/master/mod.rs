//! The key that all of a store's secrets are sealed under, and where it comes from.
//!
//! ```text
//! mod.rs         the key, and the file or passphrase it comes from
//! passphrase.rs  a key out of a passphrase, by Argon2id
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aws_lc_rs::error::Unspecified;
use mcp_types::Entropy;
use zeroize::Zeroizing;

use self::passphrase::Header;
use super::disk;
use crate::{Secret, SecretsError, hkdf};

mod passphrase;

const KEY_BYTES: usize = 32;
const PASSPHRASE_BYTES_MAX: usize = 4096;
pub(super) const KEY_ID_BYTES: usize = 8;

/// Where a store's master key comes from, and where the store's mark lies.
///
/// Each store has a master key of its own: the mark beside it tells how far that one store has come.
#[derive(Clone, Debug)]
pub struct Master {
    origin: Origin,
    mark: PathBuf,
}

#[derive(Clone, Debug)]
enum Origin {
    /// 32 bytes in a file that its owner alone may read.
    File(PathBuf),
    /// What Argon2id makes of a passphrase, with the parameters and the salt in `header`.
    Passphrase { passphrase: Secret, header: PathBuf },
}

/// The master key, and a name for it that tells nothing about it.
pub(super) struct MasterKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    id: [u8; KEY_ID_BYTES],
}

// === impl Master ===

impl Master {
    /// A key of 32 bytes in `file`, the mark beside it.
    pub fn file(file: &Path) -> Self {
        Self { mark: beside(file), origin: Origin::File(file.to_owned()) }
    }

    /// A key that is made of `passphrase` and what the file `header` says, the mark beside that.
    pub fn passphrase(passphrase: Secret, header: &Path) -> Self {
        let mark = beside(header);
        Self { mark, origin: Origin::Passphrase { passphrase, header: header.to_owned() } }
    }

    /// The same with its mark in `file`: for a key that lies where nothing can be written.
    #[must_use]
    pub fn marked_in(self, file: &Path) -> Self {
        Self { mark: file.to_owned(), ..self }
    }

    /// The file of the mark.
    pub(super) fn mark(&self) -> &Path {
        &self.mark
    }

    /// The file without which there is no key.
    pub(super) fn place(&self) -> &Path {
        match &self.origin {
            Origin::File(file) => file,
            Origin::Passphrase { header, .. } => header,
        }
    }

    /// Loads the key, where there is one.
    pub(super) fn load(&self) -> Result<Option<MasterKey>, SecretsError> {
        match &self.origin {
            Origin::File(file) => load(file),
            Origin::Passphrase { passphrase, header } => match Header::load(header)? {
                Some(found) => found.key(passphrase, header).map(Some),
                None => Ok(None),
            },
        }
    }

    /// Loads the key, or makes one that lasts before anything is sealed under it.
    pub(super) fn load_or_create(&self, entropy: &dyn Entropy) -> Result<MasterKey, SecretsError> {
        if let Some(key) = self.load()? {
            return Ok(key);
        }
        let missing = || SecretsError::MasterKeyMissing { file: self.place().to_owned() };
        match &self.origin {
            Origin::File(file) => {
                let mut bytes = Zeroizing::new([0; KEY_BYTES]);
                entropy.fill(&mut *bytes);
                create(file, &*bytes, entropy)?;
                tracing::info!(file = %file.display(), "made a master key; keep a copy of it apart from the data");
            }
            Origin::Passphrase { passphrase, header } => {
                passphrase::check(passphrase, header)?;
                create(header, &Header::draw(entropy).to_bytes(), entropy)?;
                tracing::info!(
                    file = %header.display(),
                    "made the header of a passphrase; without a copy of it the passphrase opens nothing"
                );
            }
        }
        // Read back: another process may have been first, and its key is the one that counts.
        self.load()?.ok_or_else(missing)
    }
}

// === impl MasterKey ===

impl MasterKey {
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

/// Reads the passphrase in `file`, which its owner alone may read, without the line feed that editors leave.
pub(crate) fn read_passphrase(file: &Path) -> Result<Option<Secret>, SecretsError> {
    let Some(mut text) = disk::read_private(file, PASSPHRASE_BYTES_MAX)?.map(Zeroizing::new) else {
        return Ok(None);
    };
    while text.last().is_some_and(|byte| b"\r\n".contains(byte)) {
        text.pop();
    }
    Ok(Some(Secret::from(text)))
}

fn load(file: &Path) -> Result<Option<MasterKey>, SecretsError> {
    let Some(read) = disk::read_private(file, KEY_BYTES)?.map(Zeroizing::new) else { return Ok(None) };
    let malformed = |_| SecretsError::MasterKeyMalformed { file: file.to_owned() };
    let bytes = Zeroizing::new(<[u8; KEY_BYTES]>::try_from(read.as_slice()).map_err(malformed)?);
    MasterKey::new(bytes, file).map(Some)
}

/// Puts `bytes` in `file` so that they last, unless there is a file already.
fn create(file: &Path, bytes: &[u8], entropy: &dyn Entropy) -> Result<(), SecretsError> {
    let folder = disk::folder_of(file);
    disk::create_folders(&folder)?;
    // Written in full beside its place and then linked there: a link, unlike a rename, never takes
    // the place of a key that is there already.
    let tmp = disk::write_new(&folder, bytes, entropy)?;
    let linked = super::fuse::step().and_then(|()| fs::hard_link(&tmp, file));
    disk::discard(&tmp);
    match linked {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(source) => return Err(disk::failed("create", file, source)),
    }
    // Nothing may be sealed under a key that a power cut could still take away.
    disk::sync_folder(&folder)
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".mark");
    PathBuf::from(name)
}
