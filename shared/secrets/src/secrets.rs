//! The trait that every keeper of secrets offers.

use std::{fmt, future::Future, pin::Pin};

use crate::{Secret, SecretPath, SecretsError};

/// An answer that is on its way. Boxed, so that a service can hold any keeper as `Arc<dyn Secrets>`.
pub type SecretsFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, SecretsError>> + Send + 'a>>;

/// Keeps secrets by path.
///
/// What is acknowledged stays: a `put` that answered is there after the process is killed.
pub trait Secrets: fmt::Debug + Send + Sync + 'static {
    /// Returns the secret at `path`, where there is one.
    fn get<'a>(&'a self, path: &'a SecretPath) -> SecretsFuture<'a, Option<Secret>>;

    /// Keeps `value` at `path`, in place of what was there.
    fn put<'a>(&'a self, path: &'a SecretPath, value: Secret) -> SecretsFuture<'a, ()>;

    /// Keeps `value` at `path` unless there is a secret already, and returns the one that is there now.
    ///
    /// Whoever makes a key on first use calls this: all who race go on with the same key.
    fn put_if_absent<'a>(&'a self, path: &'a SecretPath, value: Secret) -> SecretsFuture<'a, Secret>;

    /// Removes the secret at `path`, and says whether there was one.
    fn delete<'a>(&'a self, path: &'a SecretPath) -> SecretsFuture<'a, bool>;

    /// Returns the paths of all secrets below `folder`, at any depth, in order.
    fn list<'a>(&'a self, folder: &'a SecretPath) -> SecretsFuture<'a, Vec<SecretPath>>;
}
