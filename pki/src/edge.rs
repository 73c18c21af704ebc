//! The development edge's own authority: certificates that browsers and curl verify by name, no part of the mesh.
//!
//! People lay its root into their browsers. It is constrained to `localhost`, so that whoever steals its key can
//! impersonate no host by name (RFC 5280, section 4.2.1.10).

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use mcp_types::{Entropy, Timestamp};
use rcgen::{
    DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    BadAuthority, BadKey, KeyAlgorithm, LocalSigner, NotIssued, Signer,
    authority::{Authority, BACKDATE_MAX, Window, draw_serial},
};

const LOCALHOST: &str = "localhost";

/// The authority of a development machine's edge.
#[derive(Clone, Debug)]
pub struct EdgeCa {
    authority: Authority,
}

/// A server certificate for loopback, and its key.
#[derive(Debug)]
#[non_exhaustive]
pub struct EdgeLeaf {
    /// The leaf and, after it, the edge's authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's key.
    pub key: PrivateKeyDer<'static>,
    /// The last second in which the leaf holds.
    pub not_after: Timestamp,
}

// === impl EdgeCa ===

impl EdgeCa {
    /// Makes an authority with a P-256 key of its own; [`EdgeCa::export_key`] gives the key to be sealed.
    ///
    /// # Errors
    ///
    /// Where the key cannot be made, or the dates cannot be written.
    pub fn create(now: Timestamp, validity: Duration, entropy: &dyn Entropy) -> Result<Self, NotIssued> {
        let signer = Arc::new(LocalSigner::generate(KeyAlgorithm::P256)?);
        let window = Window::starting(now, validity, BACKDATE_MAX)?;
        let mut params = window.authority_params("development edge", None, 0, entropy)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.name_constraints = Some(NameConstraints {
            // Names alone: BoringSSL, and so gRPC in Python, C++ and Ruby, refuses every chain below a constraint
            // on addresses.
            permitted_subtrees: vec![GeneralSubtree::DnsName(LOCALHOST.into())],
            excluded_subtrees: Vec::new(),
        });
        Ok(Self { authority: Authority::self_signed(&params, signer, window)? })
    }

    /// Takes an authority's certificate and its key.
    ///
    /// # Errors
    ///
    /// Where the certificate is no root's, or the key is not its own.
    pub fn load(certificate: CertificateDer<'static>, signer: Arc<dyn Signer>) -> Result<Self, BadAuthority> {
        let (authority, _) = Authority::load(certificate, signer)?;
        if authority.is_self_signed() { Ok(Self { authority }) } else { Err(BadAuthority::NotSelfSigned) }
    }

    /// Issues a certificate for `localhost`, 127.0.0.1 and ::1, and its P-256 key.
    ///
    /// # Errors
    ///
    /// Where the authority is not valid now, its signer fails, or the key cannot be made.
    pub fn issue(
        &self,
        now: Timestamp,
        validity: Duration,
        entropy: &dyn Entropy,
    ) -> Result<EdgeLeaf, NotIssued> {
        let window = self.authority.window_within(now, validity, BACKDATE_MAX)?;
        let mut params = window.params(draw_serial(entropy))?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.distinguished_name.push(DnType::CommonName, LOCALHOST);
        params.subject_alt_names = vec![
            SanType::DnsName(LOCALHOST.try_into()?),
            SanType::IpAddress(Ipv4Addr::LOCALHOST.into()),
            SanType::IpAddress(Ipv6Addr::LOCALHOST.into()),
        ];
        let mut key = KeyPair::generate().map_err(BadKey::NotMade)?;
        let leaf = self.authority.sign(&params, &key);
        let der = PrivatePkcs8KeyDer::from(key.serialize_der());
        key.zeroize();
        Ok(EdgeLeaf {
            chain: vec![leaf?, self.authority.certificate.clone()],
            key: der.into(),
            not_after: window.not_after,
        })
    }

    /// The certificate: what a developer's browser or `curl --cacert` trusts.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.authority.certificate
    }

    /// The last second in which the authority may sign.
    pub const fn not_after(&self) -> Timestamp {
        self.authority.window.not_after
    }

    /// The key as PKCS#8, where it is here to be had.
    pub fn export_key(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.authority.signer.export_pkcs8()
    }
}
