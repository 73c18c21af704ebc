//! The identity that a process holds now, swapped while calls flow.
//!
//! Whole TLS configurations are swapped, never parts of one: a session resumed under a part-swapped configuration
//! would get past the new trust roots.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use arc_swap::ArcSwap;
use mcp_svid::{ClientAuth, Identity, SpiffeId, TrustBundle};
use rustls::{ClientConfig, ServerConfig};
use tokio::sync::watch;

/// The identity and trust of this process, as of now.
#[derive(Clone)]
pub struct LiveIdentity {
    state: Arc<ArcSwap<State>>,
    changed: Arc<watch::Sender<u64>>,
}

/// One generation.
struct State {
    identity: Identity,
    bundle: TrustBundle,
    server: Arc<ServerConfig>,
    bootstrap: OnceLock<Arc<ServerConfig>>,
    clients: Mutex<HashMap<SpiffeId, Arc<ClientConfig>>>,
}

/// Why an identity cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot make TLS configurations of the identity")]
pub struct Unusable(#[source] mcp_svid::BadTls);

// === impl LiveIdentity ===

impl LiveIdentity {
    /// Holds `identity`, trusting `bundle`.
    ///
    /// # Errors
    ///
    /// [`Unusable`] where no TLS configuration can be made of them.
    pub fn new(identity: Identity, bundle: TrustBundle) -> Result<Self, Unusable> {
        let state = State::new(identity, bundle)?;
        Ok(Self { state: Arc::new(ArcSwap::from_pointee(state)), changed: Arc::new(watch::channel(0).0) })
    }

    /// Replaces identity and trust; handshakes from now on use them, open connections go on.
    ///
    /// # Errors
    ///
    /// [`Unusable`]; what was held stays.
    pub fn replace(&self, identity: Identity, bundle: TrustBundle) -> Result<(), Unusable> {
        self.state.store(Arc::new(State::new(identity, bundle)?));
        self.changed.send_modify(|generation| *generation += 1);
        Ok(())
    }

    /// Replaces the trust alone.
    ///
    /// # Errors
    ///
    /// As [`LiveIdentity::replace`].
    pub fn trust(&self, bundle: TrustBundle) -> Result<(), Unusable> {
        self.replace(self.identity(), bundle)
    }

    /// The identity.
    pub fn identity(&self) -> Identity {
        self.state.load().identity.clone()
    }

    /// The trust bundle.
    pub fn bundle(&self) -> TrustBundle {
        self.state.load().bundle.clone()
    }

    /// Grows with every replacement.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// For the next handshake of a mesh listener.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.state.load().server)
    }

    /// For the next handshake of a listener whose clients have no certificate yet: the chain goes up to the root, so
    /// that a client that knows the root's hash alone can verify it.
    pub fn bootstrap_config(&self) -> Arc<ServerConfig> {
        let state = self.state.load_full();
        Arc::clone(state.bootstrap.get_or_init(|| {
            let rooted = state
                .bundle
                .roots
                .iter()
                .find_map(|root| state.identity.with_root_in_chain(root.clone()).ok());
            let identity = rooted.unwrap_or_else(|| state.identity.clone());
            match mcp_svid::server_config(&identity, &state.bundle, ClientAuth::None) {
                Ok(config) => config,
                // Never laxer than asked for: the stricter configuration refuses everybody without a certificate.
                Err(error) => {
                    tracing::error!(%error, "cannot make the bootstrap's TLS configuration");
                    Arc::clone(&state.server)
                }
            }
        }))
    }

    /// For the next handshake with the service `expected`.
    ///
    /// # Errors
    ///
    /// [`Unusable`].
    pub fn client_config(&self, expected: &SpiffeId) -> Result<Arc<ClientConfig>, Unusable> {
        let state = self.state.load_full();
        let mut clients = state.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = clients.get(expected) {
            return Ok(Arc::clone(config));
        }
        let config = mcp_svid::client_config(&state.identity, &state.bundle, expected).map_err(Unusable)?;
        clients.insert(expected.clone(), Arc::clone(&config));
        Ok(config)
    }
}

impl fmt::Debug for LiveIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LiveIdentity").field(&self.state.load().identity.id()).finish()
    }
}

// === impl State ===

impl State {
    fn new(identity: Identity, bundle: TrustBundle) -> Result<Self, Unusable> {
        let server = mcp_svid::server_config(&identity, &bundle, ClientAuth::Required).map_err(Unusable)?;
        Ok(Self { identity, bundle, server, bootstrap: OnceLock::new(), clients: Mutex::default() })
    }
}
