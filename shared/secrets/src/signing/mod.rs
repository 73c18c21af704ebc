//! Keys that sign tokens: made, published, put to use, kept until the last token is over, and destroyed; by schedule.
//!
//! ```text
//! public.rs    the half that everybody may see
//! schedule.rs  which key signs, which are published, when the next is made: arithmetic
//! ring.rs      the keys of one purpose, in a keeper of secrets, the same for all who share it
//! local.rs     keys whose bytes lie in the keeper of secrets
//! ```
//!
//! Keys that never leave their vault are in `vault::TransitKeys`. Both are ECDSA on P-256 with SHA-256, ES256 in JOSE.

use std::{fmt, sync::Arc};

use crate::{Secret, SecretsFuture};

mod local;
mod public;
mod ring;
#[cfg(test)]
pub(crate) mod ring_cases;
mod schedule;

pub use self::{
    local::LocalKeys,
    public::PublicKey,
    ring::{SigningRing, Urgency},
    schedule::{Generation, Plan, Schedule},
};

/// A key that signs.
pub trait Signer: fmt::Debug + Send + Sync + 'static {
    /// The half that verifies.
    fn public(&self) -> &PublicKey;

    /// Signs `message` by ES256: 64 bytes, both numbers in full (RFC 7518, section 3.4).
    fn sign<'a>(&'a self, message: &'a [u8]) -> SecretsFuture<'a, Vec<u8>>;
}

/// Makes, finds and destroys signing keys.
pub trait SigningKeys: fmt::Debug + Send + Sync + 'static {
    /// Makes a key for `purpose`, and returns what [`load`](Self::load) finds it by: the key itself, or its name.
    fn make<'a>(&'a self, purpose: &'a str) -> SecretsFuture<'a, Secret>;

    /// Finds the key that `material` is or names.
    fn load<'a>(&'a self, material: &'a Secret) -> SecretsFuture<'a, Arc<dyn Signer>>;

    /// Destroys the key that `material` is or names; there is nothing to do where it is gone.
    fn destroy<'a>(&'a self, material: &'a Secret) -> SecretsFuture<'a, ()>;
}
