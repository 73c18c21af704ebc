//! Why a keeper of secrets could not serve.

use std::{io, path::PathBuf};

use mcp_types::TenantSlug;

use crate::{SECRET_BYTES_MAX, SealError, SecretPath};

/// Why a keeper of secrets could not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretsError {
    /// Another process has the store open for writing; only one may.
    #[error("another process writes to the secrets in {}", .folder.display())]
    Locked {
        /// The store's folder.
        folder: PathBuf,
    },
    /// The store was opened for reading only.
    #[error("the secrets are open for reading only")]
    ReadOnly,
    /// Somebody other than the owner can read the key file, or write to the folder: what it protects
    /// must be taken as known. `chmod` it, and rotate what it protected.
    #[error("{} is open to others (mode {mode:03o})", .file.display())]
    Exposed {
        /// The file or folder.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There are sealed files but no master key. A new key would not open them: put the old one back.
    #[error("the master key {} is missing, and there are secrets sealed under it", .file.display())]
    MasterKeyMissing {
        /// Where the key was looked for.
        file: PathBuf,
    },
    /// The master key's file does not hold 32 bytes.
    #[error("the master key {} is not 32 bytes long", .file.display())]
    MasterKeyMalformed {
        /// The key's file.
        file: PathBuf,
    },
    /// The secret was sealed under a master key other than the one at hand.
    #[error("secret `{path}` is sealed under another master key")]
    WrongMasterKey {
        /// Which secret.
        path: SecretPath,
    },
    /// The file is cut short, or is no sealed secret at all.
    #[error("the file of secret `{path}` is cut short or of another kind")]
    Malformed {
        /// Which secret.
        path: SecretPath,
    },
    /// The file was changed after it was sealed, or is another secret's file.
    #[error("the file of secret `{path}` was changed or exchanged")]
    Tampered {
        /// Which secret.
        path: SecretPath,
    },
    /// The secret is longer than [`SECRET_BYTES_MAX`].
    #[error("secret `{path}` is longer than {SECRET_BYTES_MAX} bytes")]
    TooLong {
        /// Which secret.
        path: SecretPath,
    },
    /// The secret could not be sealed; nothing was written.
    #[error("cannot seal secret `{path}`")]
    Unsealable {
        /// Which secret.
        path: SecretPath,
    },
    /// The disk refused; the source says why.
    #[error("cannot {doing} {}", .file.display())]
    Disk {
        /// What was being done, as a verb phrase.
        doing: &'static str,
        /// To which file or folder.
        file: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The tenant has no wrapping key: it was destroyed, or never made. What was wrapped under it stays shut.
    #[error(
        "tenant `{tenant}` has no wrapping key: it was destroyed, or the secrets of another platform are at hand"
    )]
    KeyDestroyed {
        /// Whose key.
        tenant: TenantSlug,
    },
    /// The data key could not be wrapped.
    #[error("cannot wrap a data key of tenant `{tenant}`")]
    NotWrapped {
        /// Whose key.
        tenant: TenantSlug,
    },
    /// The wrapped data key was changed, belongs elsewhere, or was wrapped under a key before this one.
    #[error("a data key of tenant `{tenant}` cannot be unwrapped")]
    NotUnwrapped {
        /// Whose key.
        tenant: TenantSlug,
        /// What the seal said.
        #[source]
        source: SealError,
    },
    /// The runtime is shutting down.
    #[error("the work was cut off")]
    CutOff,
}
