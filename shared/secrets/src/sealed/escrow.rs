//! Copies of the tenants' wrapping keys, apart from the data, that somebody else's key opens.
//!
//! A file a tenant, `<tenant>.age`, encrypted to one age recipient (X25519) whose other half is kept offline. The copy
//! is there before the wrapping key is used, and goes with the key: one generation is kept, so that a destroyed key is
//! in no older one. Losing the master key, or the whole sealed store, then loses no tenant's data: see
//! `docs/sealed-store.md`.
//!
//! The tenant's name is inside the encryption too: a file that was renamed brings back nobody's key.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use age::{
    secrecy::ExposeSecret as _,
    x25519::{Identity, Recipient},
};
use mcp_types::{Entropy, TenantSlug};
use zeroize::Zeroizing;

use super::disk;
use crate::{DATA_KEY_BYTES, Secret, SecretsError};

const SUFFIX: &str = ".age";
const MAGIC: &[u8] = b"mcp escrowed wrapping key 1\0";

/// The longest escrowed file: a header of age, a tenant's name and a key.
const FILE_BYTES_MAX: usize = 4096;

/// A folder of escrowed wrapping keys. Clones share it.
#[derive(Clone)]
pub struct Escrow {
    folder: PathBuf,
    recipient: Recipient,
    entropy: Arc<dyn Entropy>,
}

/// The key that opens an escrow; kept offline, and needed for a restore alone.
pub struct EscrowIdentity(Identity);

/// What became of an escrow's copies.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Escrowed {
    /// Tenants whose copy was written.
    pub written: usize,
    /// Copies that were removed, because their keys are destroyed.
    pub removed: usize,
}

// === impl Escrow ===

impl Escrow {
    /// Opens the escrow in `folder`, making that where it is missing, for the age recipient `recipient`.
    ///
    /// # Errors
    ///
    /// Where `recipient` is none, or the folder cannot be used.
    pub fn open(folder: &Path, recipient: &str, entropy: Arc<dyn Entropy>) -> Result<Self, SecretsError> {
        let recipient = recipient.parse().map_err(|_| SecretsError::Config {
            key: "sealed.escrow.recipient",
            what: "is no age recipient, as `age1...`; `age-keygen` makes one".to_owned(),
        })?;
        disk::create_folders(folder)?;
        disk::refuse_foreign_writers(folder)?;
        Ok(Self { folder: folder.to_owned(), recipient, entropy })
    }

    /// Keeps a copy of `tenant`'s wrapping key that lasts, in place of the one before.
    pub(super) fn keep(&self, tenant: &TenantSlug, key: &Secret) -> Result<(), SecretsError> {
        let file = self.file(tenant);
        let plain = Zeroizing::new([MAGIC, tenant.as_str().as_bytes(), b"\0", key.expose()].concat());
        let sealed = age::encrypt(&self.recipient, &plain)
            .map_err(|_| SecretsError::NotWrapped { tenant: tenant.clone() })?;
        disk::replace(&file, &self.folder, &sealed, &*self.entropy)
    }

    /// Whether there is a copy of `tenant`'s key.
    pub(super) fn has(&self, tenant: &TenantSlug) -> bool {
        self.file(tenant).exists()
    }

    /// Removes the copy of `tenant`'s key for good.
    pub(super) fn forget(&self, tenant: &TenantSlug) -> Result<(), SecretsError> {
        disk::erase(&self.file(tenant))
    }

    /// The tenants of whom there is a copy, in order.
    ///
    /// # Errors
    ///
    /// Where the folder cannot be read.
    pub fn tenants(&self) -> Result<Vec<TenantSlug>, SecretsError> {
        let failed = |source: io::Error| disk::failed("list", &self.folder, source);
        let mut tenants = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let tenant = name.to_str().and_then(|it| it.strip_suffix(SUFFIX)).and_then(|it| it.parse().ok());
            tenants.extend(tenant);
        }
        tenants.sort();
        Ok(tenants)
    }

    /// Opens the copy of `tenant`'s key.
    pub(super) fn release(
        &self,
        tenant: &TenantSlug,
        identity: &EscrowIdentity,
    ) -> Result<Secret, SecretsError> {
        let file = self.file(tenant);
        let refused = || SecretsError::NotEscrowed { file: file.clone() };
        let sealed = disk::read(&file, FILE_BYTES_MAX)?.ok_or_else(refused)?;
        let plain = age::decrypt(&identity.0, &sealed).map_err(|_| refused())?;
        let plain = Zeroizing::new(plain);
        let key = plain
            .strip_prefix(MAGIC)
            .and_then(|rest| rest.strip_prefix(tenant.as_str().as_bytes()))
            .and_then(|rest| rest.strip_prefix(b"\0"))
            .filter(|key| key.len() == DATA_KEY_BYTES)
            .ok_or_else(refused)?;
        Ok(Secret::new(key.to_vec()))
    }

    fn file(&self, tenant: &TenantSlug) -> PathBuf {
        self.folder.join(format!("{tenant}{SUFFIX}"))
    }
}

impl fmt::Debug for Escrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Escrow").field("folder", &self.folder).finish_non_exhaustive()
    }
}

// === impl EscrowIdentity ===

impl EscrowIdentity {
    /// Draws an identity into `file`, which must not be there, as `age-keygen` writes it.
    ///
    /// # Errors
    ///
    /// Where the file cannot be written.
    pub fn draw(file: &Path) -> Result<Self, SecretsError> {
        if file.exists() {
            let source = io::Error::from(io::ErrorKind::AlreadyExists);
            return Err(disk::failed("create", file, source));
        }
        let identity = Identity::generate();
        let text = Zeroizing::new(format!("{}\n", identity.to_string().expose_secret()));
        disk::write_unnamed(file, text.as_bytes())?;
        Ok(Self(identity))
    }

    /// Whom to encrypt to, so that this identity opens it: `age1...`.
    pub fn recipient(&self) -> String {
        self.0.to_public().to_string()
    }

    /// Reads the identity in `file`, which its owner alone may read: as `age-keygen` writes it.
    ///
    /// # Errors
    ///
    /// Where there is no file, others may read it, or it holds no identity.
    pub fn load(file: &Path) -> Result<Self, SecretsError> {
        let refused = || SecretsError::NotEscrowed { file: file.to_owned() };
        let bytes = Zeroizing::new(disk::read_private(file, FILE_BYTES_MAX)?.ok_or_else(refused)?);
        let text = std::str::from_utf8(&bytes).map_err(|_| refused())?;
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        line.and_then(|line| line.parse().ok()).map(Self).ok_or_else(refused)
    }
}

impl fmt::Debug for EscrowIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EscrowIdentity([redacted])")
    }
}
