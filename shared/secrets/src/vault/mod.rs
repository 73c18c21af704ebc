//! Secrets and wrapping keys in OpenBao or HashiCorp Vault, over its HTTP interface.
//!
//! ```text
//! config.rs    where the vault is, and who we are to it
//! fault.rs     why the vault could not serve, so that each cause is told from the others
//! wire.rs      one request: verified TLS, a time limit, bounded concurrency, our request ID
//! circuit.rs   when a failing vault is left alone for a moment
//! login.rs     AppRole (the secret ID wrapped or not), Kubernetes, the mesh's certificate
//! session.rs   the token in use, and the next one
//! keep.rs      the task that renews ahead and notices recovery
//! health.rs    whether all is well, for whoever watches
//! renewal.rs   when to renew, as arithmetic
//! kv.rs        secrets (KV version 2)
//! transit.rs   wrapping keys, one a tenant
//! signing.rs   keys that sign tokens and never leave
//! database.rs  short-lived users of PostgreSQL
//! ```
//!
//! The client is our own over `reqwest`, because each request carries our request ID to the vault's audit device, each
//! failure must be told from the others, and leases are needed with their envelope; `vaultrs` offers none of these, and
//! prints answers when it prints its errors.
//!
//! What holds when the vault does not answer: a secret that was read stays readable for [`Config::cached_secs`], a
//! token and a database user until they end; nothing is written, wrapped or signed. Nothing that the vault *refused* is
//! served from memory. `docs/secrets-failures.md` has the table.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
};

use mcp_types::{Clock, Entropy, ServiceName, Timestamp};
use tokio::{sync::watch, task::AbortHandle};

pub use self::{
    config::{Config, Login, Mounts},
    database::{Credentials, DatabaseCredentials},
    fault::Fault,
    health::Health,
    signing::TransitKeys,
};
use self::{session::Session, wire::Wire};
use crate::{Secret, SecretPath, SecretsError};

mod circuit;
mod config;
mod database;
mod fault;
mod health;
mod keep;
mod kv;
mod login;
mod renewal;
mod session;
mod signing;
#[cfg(test)]
mod tests;
mod transit;
mod wire;

/// A service's corner of a vault. Clones share one session.
#[derive(Clone)]
pub struct Vault {
    inner: Arc<Inner>,
    _keeper: Arc<Ends>,
}

struct Inner {
    service: ServiceName,
    mounts: Mounts,
    session: Arc<Session>,
    read: Mutex<HashMap<SecretPath, Read>>,
    cached: std::time::Duration,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// A secret as the vault last said it is, and when.
struct Read {
    value: Secret,
    at: Timestamp,
}

/// Ends a task when it is dropped.
#[derive(Debug)]
struct Ends(AbortHandle);

// === impl Vault ===

impl Vault {
    /// Logs `service` in at the vault of `config`, and keeps it logged in for as long as a clone lives.
    ///
    /// # Errors
    ///
    /// [`SecretsError::Vault`]: the configuration does not hold, the vault is not there, or it does not let the service in.
    pub async fn open(
        config: &Config,
        service: &ServiceName,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, SecretsError> {
        let failed = |source| SecretsError::Vault { doing: "open the vault", source };
        let wire = Wire::new(config, Arc::clone(&clock), Arc::clone(&entropy)).map_err(failed)?;
        let session = Session::open(Arc::new(wire), config, service).await.map_err(failed)?;
        let session = Arc::new(session);
        metrics::gauge!("mcp_vault_ready").set(1.0);
        let keeper = tokio::spawn(keep::keep(Arc::clone(&session))).abort_handle();
        let inner = Inner {
            service: service.clone(),
            mounts: config.mounts.clone(),
            session,
            read: Mutex::default(),
            cached: config.cached(),
            clock,
            entropy,
        };
        Ok(Self { inner: Arc::new(inner), _keeper: Arc::new(Ends(keeper)) })
    }

    /// Whether all is well, now and at each change.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.inner.session.wire().health().watch()
    }

    /// Gives the session back, so that nobody can use its token any more; what is leased under it ends too.
    pub async fn close(&self) {
        if let Err(error) = self.inner.session.close().await {
            tracing::warn!(%error, "the vault's token was not given back; it ends by itself");
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("service", &self.inner.service).finish_non_exhaustive()
    }
}

// === impl Ends ===

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.abort();
    }
}
