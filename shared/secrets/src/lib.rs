//! Where secrets are kept: one trait, and a sealed store on the local disk behind it.
//!
//! ```text
//! path.rs      the name of a secret, parsed once
//! secret.rs    bytes that wipe themselves and never print
//! secrets.rs   the trait that every keeper of secrets offers
//! error.rs     why a keeper could not serve
//! sealed/      a file a secret, sealed under a master key; for one machine
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

mod error;
mod path;
mod sealed;
mod secret;
mod secrets;

pub use self::{
    error::SecretsError,
    path::{BadPath, SecretPath},
    sealed::SealedStore,
    secret::Secret,
    secrets::{Secrets, SecretsFuture},
};

/// The longest secret that a keeper takes.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;
