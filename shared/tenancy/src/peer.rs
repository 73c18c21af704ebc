//! Who is at the other end of a connection.

use std::{fmt, sync::Arc};

use crate::Peer;

/// The verified identity of a connection's other end; the mTLS listener makes it from the certificate, once a connection.
///
/// The listener is trusted to have verified what it states here; [`crate::Gate`] decides by it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerIdentity {
    kind: Kind,
    /// SHA-256 of the certificate's DER, for tokens bound to it (RFC 8705, section 3.1).
    certificate_sha256: Option<[u8; 32]>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Kind {
    Service(Arc<str>),
    Operator(Arc<str>),
    Unidentified,
}

// === impl PeerIdentity ===

impl PeerIdentity {
    /// A service, by the name in its verified certificate.
    pub fn service(name: &str, certificate_sha256: [u8; 32]) -> Self {
        Self { kind: Kind::Service(name.into()), certificate_sha256: Some(certificate_sha256) }
    }

    /// An operator, by the name in its verified certificate.
    pub fn operator(name: &str, certificate_sha256: [u8; 32]) -> Self {
        Self { kind: Kind::Operator(name.into()), certificate_sha256: Some(certificate_sha256) }
    }

    /// Somebody who showed no certificate.
    pub const fn unidentified() -> Self {
        Self { kind: Kind::Unidentified, certificate_sha256: None }
    }

    /// SHA-256 of the certificate, where one was shown.
    pub fn certificate_sha256(&self) -> Option<&[u8; 32]> {
        self.certificate_sha256.as_ref()
    }

    /// The service's name, if it is one.
    pub fn service_name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Service(name) => Some(name),
            Kind::Operator(_) | Kind::Unidentified => None,
        }
    }

    /// The operator's name, if it is one.
    pub fn operator_name(&self) -> Option<&str> {
        match &self.kind {
            Kind::Operator(name) => Some(name),
            Kind::Service(_) | Kind::Unidentified => None,
        }
    }

    /// Whether `allowed` admits this identity.
    pub fn is(&self, allowed: Peer) -> bool {
        match (&self.kind, allowed) {
            (Kind::Service(name), Peer::Service(allowed)) => &**name == allowed,
            (Kind::Service(_), Peer::AnyService)
            | (Kind::Operator(_), Peer::Operator)
            | (Kind::Unidentified, Peer::Unidentified) => true,
            _ => false,
        }
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Service(name) => write!(f, "service/{name}"),
            Kind::Operator(name) => write!(f, "operator/{name}"),
            Kind::Unidentified => f.write_str("unidentified"),
        }
    }
}
