//! Why a keeper of secrets could not serve.

use std::{io, path::PathBuf};

use mcp_runtime::Profile;
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
    #[error(
        "{} is open to others (mode {mode:03o}): `chmod go= {}`, and change what others may have read",
        .file.display(),
        .file.display()
    )]
    Exposed {
        /// The file or folder.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// There are sealed files but no master key. A new key would not open them: put the old one back.
    #[error(
        "the master key {} is missing, and there are secrets sealed under it: put its copy back, or see \
         docs/sealed-store.md",
        .file.display()
    )]
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
    /// The store was sealed under a master key other than the one at hand, or the passphrase is another.
    #[error("the secrets in {} are sealed under another master key, or the passphrase is wrong", .folder.display())]
    WrongMasterKey {
        /// The store's folder.
        folder: PathBuf,
    },
    /// The master key to change to is the one that the store has.
    #[error("the secrets are sealed under the key {} already", .file.display())]
    SameMasterKey {
        /// The key's file.
        file: PathBuf,
    },
    /// The passphrase is too short to make a store with.
    #[error("the passphrase of {} is shorter than {bytes_min} bytes; six words drawn by dice are a good one", .header.display())]
    PassphraseShort {
        /// The passphrase's header.
        header: PathBuf,
        /// The least number of bytes.
        bytes_min: usize,
    },
    /// A sealed store is for one machine and no operators; production keeps its secrets in a vault.
    #[error(
        "the sealed store in {} is not for the profile `{profile}`: set `keeper = \"vault\"` and a `[vault]` section, \
         see deploy/vault/README.md",
        .folder.display()
    )]
    NotForProfile {
        /// The store's folder.
        folder: PathBuf,
        /// The profile.
        profile: Profile,
    },
    /// The store is older than what was acknowledged: somebody put an older folder or index in its place.
    #[error(
        "the secrets in {} are older than what was last acknowledged (state {found}, marked {marked}): put the newer \
         ones back, or, if they are lost, accept what is there with `mcp secrets accept`",
        .folder.display()
    )]
    RolledBack {
        /// The store's folder.
        folder: PathBuf,
        /// How many changes what is there has seen.
        found: u64,
        /// How many changes were acknowledged.
        marked: u64,
    },
    /// There is an index, but no mark that tells whether it is the newest.
    #[error(
        "the mark {} is missing or not this key's, so nothing tells whether the secrets are the newest: put it back, \
         or accept what is there with `mcp secrets accept`",
        .file.display()
    )]
    MarkMissing {
        /// Where the mark was looked for.
        file: PathBuf,
    },
    /// There is a mark, but the index that it speaks of is gone.
    #[error(
        "the index of the secrets in {} is missing: put the folder back from its copy, or accept what is there with \
         `mcp secrets accept`",
        .folder.display()
    )]
    IndexMissing {
        /// The store's folder.
        folder: PathBuf,
    },
    /// The index does not hold.
    #[error(
        "the index {} is damaged: put it back from its copy, or accept what the files hold with `mcp secrets accept`",
        .file.display()
    )]
    IndexDamaged {
        /// The index.
        file: PathBuf,
    },
    /// The index or the mark could not be written; nothing was acknowledged.
    #[error("cannot vouch for {}", .file.display())]
    IndexUnsealable {
        /// The file.
        file: PathBuf,
    },
    /// A write failed in a way that leaves open where the index ends. Only a new start can tell.
    #[error("the secrets in {} take no more writes until the process starts again", .folder.display())]
    Broken {
        /// The store's folder.
        folder: PathBuf,
    },
    /// The store holds as much as it can.
    #[error("the secrets in {} are as many as a sealed store holds", .folder.display())]
    Full {
        /// The store's folder.
        folder: PathBuf,
    },
    /// The index knows the secret, and its file is gone.
    #[error("the file of secret `{path}` is missing: put the store's folder back from its copy")]
    FileMissing {
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
    /// The vault could not serve; the source says why.
    #[error("cannot {doing}")]
    Vault {
        /// What was being done, as a verb phrase.
        doing: &'static str,
        /// Why not.
        #[source]
        source: crate::vault::Fault,
    },
    /// No signing key could be made.
    #[error("cannot make a signing key")]
    KeyNotMade,
    /// What is kept is no P-256 signing key.
    #[error("what is kept as a signing key is none")]
    KeyUnusable,
    /// The key does not sign.
    #[error("the signing key does not sign")]
    NotSigned,
    /// The file is no escrowed key that the identity opens, or the identity's file holds none.
    #[error("{} is no escrowed wrapping key of its tenant, or the identity does not open it", .file.display())]
    NotEscrowed {
        /// The file.
        file: PathBuf,
    },
    /// The escrow has another wrapping key for the tenant than the one in use. Nothing was overwritten.
    #[error("tenant `{tenant}` has another wrapping key than its copy in escrow: move one of the two away")]
    Conflicting {
        /// Whose key.
        tenant: TenantSlug,
    },
    /// The configuration of the secrets does not hold.
    #[error("`{key}` {what}")]
    Config {
        /// The key, below the service's `secrets` section.
        key: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The runtime is shutting down.
    #[error("the work was cut off")]
    CutOff,
}

// === impl SecretsError ===

impl SecretsError {
    /// Whether asking again later may help without anybody's doing here.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Vault { source, .. } if source.is_passing())
    }
}
