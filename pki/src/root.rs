//! The root: signs issuing authorities, and nothing else.

use std::{sync::Arc, time::Duration};

use mcp_svid::TrustBundle;
use mcp_types::{Entropy, Timestamp, TrustDomain};
use rcgen::ExtendedKeyUsagePurpose;
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use crate::{
    BadAuthority, IssuingCa, KeyAlgorithm, LocalSigner, NotIssued, Signer,
    authority::{Authority, BACKDATE_MAX, Window},
    signer::Lent,
};

/// The root of one trust domain: what every peer is told to trust.
#[derive(Clone, Debug)]
pub struct RootCa {
    authority: Authority,
    trust_domain: TrustDomain,
}

/// The bundle in which these roots are trusted together: one of them, or two while one replaces the other.
pub fn trust_bundle(version: u64, roots: &[&RootCa]) -> TrustBundle {
    TrustBundle { version, roots: roots.iter().map(|root| root.certificate().clone()).collect() }
}

// === impl RootCa ===

impl RootCa {
    /// Makes a root with a P-256 key of its own; [`RootCa::export_key`] gives the key to be sealed.
    ///
    /// P-256, since a verifier checks the root's signature in every full handshake.
    ///
    /// # Errors
    ///
    /// Where the key cannot be made, or the dates cannot be written.
    pub fn create(
        trust_domain: &TrustDomain,
        now: Timestamp,
        validity: Duration,
        entropy: &dyn Entropy,
    ) -> Result<Self, NotIssued> {
        let signer = Arc::new(LocalSigner::generate(KeyAlgorithm::P256)?);
        Self::create_with(signer, trust_domain, now, validity, entropy)
    }

    /// Makes a root of a key held by `signer`.
    ///
    /// # Errors
    ///
    /// Where the signer fails, or the dates cannot be written.
    pub fn create_with(
        signer: Arc<dyn Signer>,
        trust_domain: &TrustDomain,
        now: Timestamp,
        validity: Duration,
        entropy: &dyn Entropy,
    ) -> Result<Self, NotIssued> {
        let window = Window::starting(now, validity, BACKDATE_MAX)?;
        let params = window.authority_params("root", Some(trust_domain), 1, entropy)?;
        let authority = Authority::self_signed(&params, signer, window)?;
        Ok(Self { authority, trust_domain: trust_domain.clone() })
    }

    /// Takes a root's certificate and its key.
    ///
    /// # Errors
    ///
    /// Where the certificate is no root's, or the key is not its own.
    pub fn load(certificate: CertificateDer<'static>, signer: Arc<dyn Signer>) -> Result<Self, BadAuthority> {
        let (authority, trust_domain) = Authority::load(certificate, signer)?;
        if !authority.is_self_signed() {
            return Err(BadAuthority::NotSelfSigned);
        }
        Ok(Self { authority, trust_domain: trust_domain.ok_or(BadAuthority::NoTrustDomain)? })
    }

    /// Issues an issuing authority with a P-256 key of its own; [`IssuingCa::export_key`] gives the key to be sealed.
    ///
    /// # Errors
    ///
    /// As [`RootCa::issue_issuing_ca_for`].
    pub fn issue_issuing_ca(
        &self,
        now: Timestamp,
        validity: Duration,
        entropy: &dyn Entropy,
    ) -> Result<IssuingCa, NotIssued> {
        let signer = Arc::new(LocalSigner::generate(KeyAlgorithm::P256)?);
        self.issue_issuing_ca_for(signer, now, validity, entropy)
    }

    /// Issues an issuing authority for the key held by `signer`. It lives no longer than the root, may stand above
    /// leaves alone, and those are for TLS alone.
    ///
    /// # Errors
    ///
    /// Where the root is not valid now, or its signer fails.
    pub fn issue_issuing_ca_for(
        &self,
        signer: Arc<dyn Signer>,
        now: Timestamp,
        validity: Duration,
        entropy: &dyn Entropy,
    ) -> Result<IssuingCa, NotIssued> {
        let window = self.authority.window_within(now, validity, BACKDATE_MAX)?;
        let mut params = window.authority_params("issuing", Some(&self.trust_domain), 0, entropy)?;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = self.authority.sign(&params, &Lent::new(&*signer))?;
        Ok(IssuingCa::new(Authority { certificate, signer, window }, self.trust_domain.clone()))
    }

    /// The certificate: what a trust bundle holds.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.authority.certificate
    }

    /// The realm that this root vouches for.
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The last second in which the root holds.
    pub const fn not_after(&self) -> Timestamp {
        self.authority.window.not_after
    }

    /// The key as PKCS#8, where it is here to be had.
    pub fn export_key(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.authority.signer.export_pkcs8()
    }
}
