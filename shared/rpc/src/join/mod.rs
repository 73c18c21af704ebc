//! How a service comes by its identity, and how identity, trust and access stay alive.
//!
//! ```text
//! bootstrap.rs  the first certificate, for a join token
//! disk.rs       the identity over restarts
//! keep.rs       renewal, the trust stream, the access stream
//! ```

mod bootstrap;
mod disk;
mod keep;

pub use self::bootstrap::first_identity;
pub(crate) use self::{
    disk::{load, store},
    keep::{keep_access, keep_identity, keep_trust},
};

use std::time::Duration;

use mcp_proto::ca::v1 as pb;
use mcp_svid::{Identity, TrustBundle};
use mcp_types::{Entropy, ServiceName, TrustDomain};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What came from the ca cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("the ca sent no {0}")]
    Lacks(&'static str),
    #[error("the ca sent a certificate that cannot be used")]
    Identity(#[from] mcp_svid::BadIdentity),
    #[error("the ca sent a certificate for {0}")]
    Stranger(String),
    #[error("no root in the ca's bundle is the one that the join token names")]
    Root,
}

/// The identity that an answer of the ca and `key` make.
pub(crate) fn issued(
    certificate: Option<pb::IssuedCertificate>,
    key: PrivateKeyDer<'static>,
    expected: &mcp_svid::SpiffeId,
) -> Result<(Identity, TrustBundle), Unfit> {
    let certificate = certificate.ok_or(Unfit::Lacks("certificate"))?;
    let bundle = bundle(certificate.bundle.ok_or(Unfit::Lacks("bundle"))?);
    let chain = certificate.chain.into_iter().map(CertificateDer::from).collect();
    let identity = Identity::new(chain, key)?;
    if identity.id() != expected {
        return Err(Unfit::Stranger(identity.id().to_string()));
    }
    Ok((identity, bundle))
}

pub(crate) fn bundle(bundle: pb::TrustBundle) -> TrustBundle {
    TrustBundle {
        version: bundle.version,
        roots: bundle.roots.into_iter().map(CertificateDer::from).collect(),
    }
}

pub(crate) fn ca_id(trust_domain: &TrustDomain) -> mcp_svid::SpiffeId {
    service_id(trust_domain, "ca")
}

pub(crate) fn auth_id(trust_domain: &TrustDomain) -> mcp_svid::SpiffeId {
    service_id(trust_domain, "auth")
}

#[expect(clippy::expect_used, reason = "constants that are service names")]
fn service_id(trust_domain: &TrustDomain, name: &str) -> mcp_svid::SpiffeId {
    let name: ServiceName = name.parse().expect("a service name");
    mcp_svid::SpiffeId::service(trust_domain, &name)
}

/// Waits longer after each failure, with jitter, so that processes that lost the same peer do not return together.
#[derive(Debug)]
pub(crate) struct Backoff {
    failures: u32,
    first: Duration,
    longest: Duration,
}

impl Backoff {
    pub(crate) const fn new(first: Duration, longest: Duration) -> Self {
        Self { failures: 0, first, longest }
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Between half and the whole of first * 2^failures, at most the longest.
    pub(crate) fn next(&mut self, entropy: &dyn Entropy) -> Duration {
        let whole = self.first.saturating_mul(1 << self.failures.min(16)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        let mut random = [0; 4];
        entropy.fill(&mut random);
        whole / 2 + (whole / 2).mul_f64(f64::from(u32::from_le_bytes(random)) / f64::from(u32::MAX))
    }
}
