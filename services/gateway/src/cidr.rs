//! Blocks of addresses, and the client's own address behind proxies that are trusted.

use std::{fmt, net::IpAddr, str::FromStr};

use http::HeaderMap;
use serde::{Deserialize, Serialize};

/// The most hops of `x-forwarded-for` that are looked at.
const HOPS_MAX: usize = 16;

/// A block of addresses (RFC 4632, RFC 4291 section 2.3), like `10.0.0.0/8` or `2001:db8::/32`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    base: IpAddr,
    bits: u8,
}

/// Why a text is no block of addresses.
#[derive(Debug, thiserror::Error)]
#[error("a block of addresses must be an address, a slash and the number of leading bits, like `10.0.0.0/8`")]
pub struct BadCidr(());

// === impl Cidr ===

impl Cidr {
    /// Whether `address` lies in the block.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                (base.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                (base.to_bits() ^ address.to_bits()) & mask == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = BadCidr;

    fn from_str(text: &str) -> Result<Self, BadCidr> {
        let (base, bits) = text.split_once('/').ok_or(BadCidr(()))?;
        let base: IpAddr = base.parse().map_err(|_| BadCidr(()))?;
        if bits.is_empty() || !bits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BadCidr(()));
        }
        let bits: u8 = bits.parse().map_err(|_| BadCidr(()))?;
        let longest = if base.is_ipv4() { 32 } else { 128 };
        if bits > longest { Err(BadCidr(())) } else { Ok(Self { base, bits }) }
    }
}

impl TryFrom<String> for Cidr {
    type Error = BadCidr;

    fn try_from(text: String) -> Result<Self, BadCidr> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(block: Cidr) -> Self {
        block.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

/// The client's address: the connection's other end, or where that is a trusted proxy the last hop of
/// `x-forwarded-for` that is not.
///
/// A hop that is no address ends the walk: what stands left of it was written by somebody nobody vouches for.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Cidr]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|block| block.contains(address));
    let mut client = peer.to_canonical();
    // Asked first, since it is seldom so: without trusted proxies the header is not even looked up.
    if !is_trusted(client) {
        return client;
    }
    let values: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    let hops = values.iter().rev().flat_map(|value| value.to_str().unwrap_or("?").rsplit(','));
    for hop in hops.take(HOPS_MAX) {
        let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
        if !is_trusted(client) {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    //! What is in a block, and whom a header can make us believe.

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn block(text: &str) -> Cidr {
        text.parse().expect("a block")
    }

    fn forwarded(values: &[&'static str]) -> HeaderMap {
        values
            .iter()
            .map(|value| ("x-forwarded-for".parse().expect("a name"), value.parse().expect("a value")))
            .collect()
    }

    #[test]
    fn a_block_contains_what_shares_its_leading_bits() {
        assert!(block("10.0.0.0/8").contains(ip("10.255.0.1")));
        assert!(!block("10.0.0.0/8").contains(ip("11.0.0.1")));
        assert!(block("0.0.0.0/0").contains(ip("192.0.2.1")));
        assert!(!block("0.0.0.0/0").contains(ip("2001:db8::1")));
        assert!(block("2001:db8::/32").contains(ip("2001:db8:1::1")));
        assert!(
            block("192.0.2.1/32").contains(ip("::ffff:192.0.2.1")),
            "an IPv4 address in IPv6 form is itself"
        );
        assert!(!block("192.0.2.1/32").contains(ip("192.0.2.2")));
    }

    #[test]
    fn anything_else_is_no_block() {
        for bad in
            ["", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/+8", "x/8", "10.0.0.0/8/8"]
        {
            assert!(bad.parse::<Cidr>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_stranger_cannot_choose_its_address() {
        let headers = forwarded(&["198.51.100.7"]);

        assert_eq!(client(ip("192.0.2.1"), &headers, &[]), ip("192.0.2.1"));
        assert_eq!(client(ip("192.0.2.1"), &headers, &[block("10.0.0.0/8")]), ip("192.0.2.1"));
    }

    #[test]
    fn behind_trusted_proxies_the_last_hop_that_is_not_one_counts() {
        let trusted = [block("10.0.0.0/8")];

        let headers = forwarded(&["203.0.113.9, 198.51.100.7, 10.1.1.1"]);
        assert_eq!(client(ip("10.0.0.1"), &headers, &trusted), ip("198.51.100.7"));
        let headers = forwarded(&["203.0.113.9", "198.51.100.7"]);
        assert_eq!(client(ip("10.0.0.1"), &headers, &trusted), ip("198.51.100.7"));
        let headers = forwarded(&["203.0.113.9, junk, 10.1.1.1"]);
        assert_eq!(client(ip("10.0.0.1"), &headers, &trusted), ip("10.1.1.1"));
        assert_eq!(client(ip("10.0.0.1"), &HeaderMap::new(), &trusted), ip("10.0.0.1"));
    }
}
