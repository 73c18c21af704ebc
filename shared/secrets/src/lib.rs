//! Where secrets are kept: one trait, and a sealed store on the local disk behind it.
//!
//! ```text
//! path.rs      the name of a secret, parsed once
//! secret.rs    bytes that wipe themselves and never print
//! secrets.rs   the trait that every keeper of secrets offers
//! wrapping.rs  the trait that every keeper of the tenants' wrapping keys offers
//! data_key.rs  a key that seals values, wrapped by such a keeper
//! hkdf.rs      bytes derived from a key
//! config.rs    which keeper a service has, as the operator writes it
//! open.rs      the one door through which a service comes to its secrets
//! error.rs     why a keeper could not serve
//! sealed/      a file a secret, sealed under a master key; for one machine
//! signing/     keys that sign tokens, by schedule
//! vault/       secrets and keys in OpenBao or HashiCorp Vault; for production
//! suite/       what every keeper must do, as tests that each runs
//! ```
//!
//! ```
//! # async fn example(secrets: &dyn mcp_secrets::Secrets) -> Result<(), Box<dyn std::error::Error>> {
//! use mcp_secrets::{Secret, SecretPath};
//! use mcp_types::SystemEntropy;
//!
//! let path: SecretPath = "auth/signing/2026-01".parse()?;
//! // Two processes may race to make a key: both go on with the one that won.
//! let key = secrets.put_if_absent(&path, Secret::draw(32, &SystemEntropy)).await?;
//! assert_eq!(secrets.get(&path).await?, Some(key));
//! # Ok(())
//! # }
//! ```

mod config;
mod data_key;
mod error;
mod hkdf;
mod open;
mod path;
mod sealed;
mod secret;
mod secrets;
pub mod signing;
#[cfg(test)]
mod suite;
pub mod vault;
mod wrapping;

pub use self::{
    config::{Config, Keeper, Sealed},
    data_key::{DATA_KEY_BYTES, DataKey, SEALED_OVERHEAD_BYTES, SealError},
    error::SecretsError,
    open::{Keepers, open},
    path::{BadPath, SecretPath},
    sealed::{Escrow, EscrowIdentity, Escrowed, Master, SealedStore, SealedWrapping},
    secret::Secret,
    secrets::{Secrets, SecretsFuture},
    wrapping::Wrapping,
};

/// The longest secret that a keeper takes.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;
