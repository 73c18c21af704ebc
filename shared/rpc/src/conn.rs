//! One connection, as its calls see it: the other end's identity and how it was secured.

use std::{net::SocketAddr, sync::Arc};

use mcp_tenancy::PeerIdentity;

/// A connection whose handshake is done. Made once a connection, shared by its calls.
#[derive(Debug)]
pub struct Connection {
    peer: PeerIdentity,
    peer_name: Arc<str>,
    remote: SocketAddr,
}

// === impl Connection ===

impl Connection {
    /// A connection from `remote` whose other end proved to be `peer`.
    pub fn new(peer: PeerIdentity, remote: SocketAddr) -> Self {
        Self { peer_name: peer.to_string().into(), peer, remote }
    }

    /// The other end.
    pub fn peer(&self) -> &PeerIdentity {
        &self.peer
    }

    /// The other end as text, made once.
    pub fn peer_name(&self) -> Arc<str> {
        Arc::clone(&self.peer_name)
    }

    /// Where it came from.
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }
}
