//! One connection, as its calls see it: the other end's identity and how it was secured.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

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

/// What one stranger is told apart by: an IPv4 address, or the /64 of an IPv6 one, since a customer is given that much
/// at least and may speak from any address in it.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    //! Who counts as one.

    use super::*;

    #[test]
    fn an_ipv6_address_counts_with_its_64_and_a_mapped_one_as_ipv4() {
        let of = |text: &str| network(text.parse().expect("an address"));

        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
