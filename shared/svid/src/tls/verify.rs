//! The verifiers inside the configs: who signed it, is it time, is it an X509-SVID, is it the right one.
//!
//! rustls-webpki answers the first two and is asked first, so that nothing unsigned is interpreted further.

use std::sync::Arc;

use mcp_types::TrustDomain;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature},
    server::{
        ParsedCertificate,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::{BadSvid, SpiffeId, peer_id, pin};

/// Why a peer with a good chain was refused. Found as the cause of [`rustls::CertificateError::Other`].
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Stranger {
    /// Its leaf is no X509-SVID.
    #[error("the peer's certificate is no X509-SVID")]
    NotAnSvid(#[source] BadSvid),
    /// It is somebody else.
    #[error("the peer is {found} and not {expected}")]
    AnotherId {
        /// Whom the client wanted.
        expected: SpiffeId,
        /// Who answered.
        found: SpiffeId,
    },
    /// It is of another trust domain.
    #[error("the peer {found} is not of the trust domain {expected}")]
    AnotherTrustDomain {
        /// The listener's own.
        expected: TrustDomain,
        /// Who knocked.
        found: SpiffeId,
    },
    /// None of the certificates that it sent is the pinned root.
    #[error("the peer sent no root with the pinned hash")]
    NoPinnedRoot,
}

/// Believes any workload of one trust domain.
#[derive(Debug)]
pub(super) struct MeshClients {
    chain: Arc<dyn ClientCertVerifier>,
    trust_domain: TrustDomain,
}

/// Believes one server, under known roots.
#[derive(Debug)]
pub(super) struct SpiffeServer {
    roots: RootCertStore,
    expected: SpiffeId,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Believes one server, under a root of which only the hash is known.
#[derive(Debug)]
pub(super) struct PinnedServer {
    root_pin: [u8; 32],
    expected: SpiffeId,
    algorithms: WebPkiSupportedAlgorithms,
}

// === impl Stranger ===

impl From<Stranger> for Error {
    fn from(stranger: Stranger) -> Self {
        CertificateError::Other(OtherError(Arc::new(stranger))).into()
    }
}

// === impl MeshClients ===

impl MeshClients {
    pub(super) const fn new(chain: Arc<dyn ClientCertVerifier>, trust_domain: TrustDomain) -> Self {
        Self { chain, trust_domain }
    }
}

impl ClientCertVerifier for MeshClients {
    /// No hints: a peer has one identity to show, and need not learn whom we trust.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.chain.verify_client_cert(end_entity, intermediates, now)?;
        let found = peer_id(end_entity).map_err(Stranger::NotAnSvid)?;
        if *found.trust_domain() != self.trust_domain {
            return Err(Stranger::AnotherTrustDomain { expected: self.trust_domain.clone(), found }.into());
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

// === impl SpiffeServer ===

impl SpiffeServer {
    pub(super) fn new(roots: RootCertStore, expected: SpiffeId, provider: &CryptoProvider) -> Self {
        Self { roots, expected, algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for SpiffeServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        verify_chain(end_entity, &self.roots, intermediates, now, &self.algorithms)?;
        verify_id(end_entity, &self.expected)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

// === impl PinnedServer ===

impl PinnedServer {
    pub(super) fn new(root_pin: [u8; 32], expected: SpiffeId, provider: &CryptoProvider) -> Self {
        Self { root_pin, expected, algorithms: provider.signature_verification_algorithms }
    }
}

impl ServerCertVerifier for PinnedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Never the leaf itself: a pin names an authority.
        let root = intermediates
            .iter()
            .find(|certificate| pin(certificate) == self.root_pin)
            .ok_or(Stranger::NoPinnedRoot)?;
        let mut roots = RootCertStore::empty();
        roots.add(root.clone().into_owned())?;
        verify_chain(end_entity, &roots, intermediates, now, &self.algorithms)?;
        verify_id(end_entity, &self.expected)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn verify_chain(
    end_entity: &CertificateDer<'_>,
    roots: &RootCertStore,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), Error> {
    let parsed = ParsedCertificate::try_from(end_entity)?;
    verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms.all)
}

fn verify_id(end_entity: &CertificateDer<'_>, expected: &SpiffeId) -> Result<ServerCertVerified, Error> {
    let found = peer_id(end_entity).map_err(Stranger::NotAnSvid)?;
    if found == *expected {
        Ok(ServerCertVerified::assertion())
    } else {
        Err(Stranger::AnotherId { expected: expected.clone(), found }.into())
    }
}
