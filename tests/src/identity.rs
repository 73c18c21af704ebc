//! Certificates: those that the platform gives, and those of an impostor who has an authority of his own.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mcp_pki::{Expected, Profile, RootCa, check_csr};
use mcp_proto::{
    auth::v1::{IssueDevelopmentTokenRequest, auth_service_client::AuthServiceClient},
    ca::v1::{
        CreateJoinTokenRequest, certificate_authority_service_client::CertificateAuthorityServiceClient,
    },
};
use mcp_rpc::{JoinToken, LiveIdentity, mesh_channel};
use mcp_runtime::{Cores, Profile as RuntimeProfile, Shell, Stop};
use mcp_svid::{Identity, SpiffeId, TrustBundle, make_csr};
use mcp_types::{Clock as _, SystemClock, SystemEntropy, TrustDomain};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::world::{Layout, Service};

/// Identities of one platform, asked for when first needed.
#[derive(Debug)]
pub struct Identities {
    operator: PathBuf,
    ca: SocketAddr,
    auth: SocketAddr,
    bootstrap: SocketAddr,
    known: Mutex<HashMap<String, Identity>>,
}

/// An authority of the attacker's own, for the same trust domain.
#[derive(Debug)]
pub struct Authorities {
    root: RootCa,
}

// === impl Identities ===

impl Identities {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self {
            operator: layout.operator.clone(),
            ca: layout.mesh[&Service::Ca],
            auth: layout.mesh[&Service::Auth],
            bootstrap: layout.bootstrap,
            known: Mutex::default(),
        }
    }

    /// The operator's.
    pub fn operator(&self) -> Identity {
        Identity::from_pem(&self.read("cert.pem"), &self.read("key.pem")).expect("the operator's certificate")
    }

    /// The roots of the mesh.
    pub fn bundle(&self) -> TrustBundle {
        TrustBundle::from_pem(0, &self.read("ca.pem")).expect("the mesh's roots")
    }

    /// That of a service, got as a newcomer gets it: a join token, then the bootstrap.
    pub async fn service(&self, name: &str) -> Identity {
        if let Some(known) = self.lock().get(name) {
            return known.clone();
        }
        let token = self.join_token(name).await;
        let cores = Cores::start(1).expect("a thread");
        let shell = Shell::new(cores, Stop::default(), RuntimeProfile::Development);
        let (identity, _) =
            mcp_rpc::first_identity(&id(name), self.bootstrap, &token, &shell).await.expect("a certificate");
        self.lock().insert(name.to_owned(), identity.clone());
        identity
    }

    /// A join token for a service.
    pub async fn join_token(&self, name: &str) -> JoinToken {
        let channel = mesh_channel(self.ca, id("ca"), self.live(self.operator()));
        let request = CreateJoinTokenRequest { service: name.to_owned(), ttl_seconds: 60 };
        let answer = CertificateAuthorityServiceClient::new(channel).create_join_token(request).await;
        answer.expect("a join token").into_inner().join_token.parse().expect("a join token")
    }

    /// An access token, as `mcp token` asks for it.
    pub async fn access_token(
        &self,
        tenant: &str,
        user: &str,
        role: &str,
        bind: Option<&Identity>,
    ) -> String {
        let channel = mesh_channel(self.auth, id("auth"), self.live(self.operator()));
        let request = IssueDevelopmentTokenRequest {
            tenant: tenant.to_owned(),
            user: user.to_owned(),
            role: role.to_owned(),
            ttl_seconds: 0,
            certificate_sha256: bind.map(|identity| thumbprint(identity).to_vec()).unwrap_or_default(),
        };
        let answer = AuthServiceClient::new(channel).issue_development_token(request).await;
        answer.expect("a token").into_inner().access_token
    }

    /// How a client shows `identity` to `service`.
    pub fn tls(&self, identity: &Identity, service: Service) -> Arc<ClientConfig> {
        mcp_svid::client_config(identity, &self.bundle(), &id(service.name())).expect("a TLS config")
    }

    fn live(&self, identity: Identity) -> LiveIdentity {
        LiveIdentity::new(identity, self.bundle()).expect("an identity")
    }

    fn read(&self, name: &str) -> String {
        let path = self.operator.join(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Identity>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Authorities ===

impl Authorities {
    /// An authority that nobody trusts, though it says all the right names.
    pub fn impostor() -> Self {
        let year = Duration::from_secs(365 * 24 * 60 * 60);
        let root = RootCa::create(&trust_domain(), SystemClock.now(), year, &SystemEntropy).expect("a root");
        Self { root }
    }

    /// A certificate of `service`, by this authority's word.
    pub fn identity(&self, service: &str) -> Identity {
        let month = Duration::from_secs(30 * 24 * 60 * 60);
        let issuing = self
            .root
            .issue_issuing_ca(SystemClock.now(), month, &SystemEntropy)
            .expect("an issuing authority");
        let (csr, key) = make_csr(Some(&id(service))).expect("a request");
        let checked = check_csr(&csr, Expected { id: &id(service) }).expect("an honest request");
        let leaf = issuing
            .issue(&checked, &id(service), &Profile::default(), SystemClock.now(), &SystemEntropy)
            .expect("a certificate");
        Identity::new(leaf.chain, key).expect("an identity")
    }

    /// The text form of certificates or keys (RFC 7468).
    pub fn pem(label: &str, ders: &[&[u8]]) -> String {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let mut text = String::new();
        for der in ders {
            let body = STANDARD.encode(der);
            let lines: Vec<_> =
                (0..body.len()).step_by(64).map(|at| &body[at..body.len().min(at + 64)]).collect();
            text.push_str(&format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n")));
        }
        text
    }
}

/// The trust domain of every world.
pub fn trust_domain() -> TrustDomain {
    "mcp.local".parse().expect("a trust domain")
}

/// The SPIFFE ID of a service.
pub fn id(service: &str) -> SpiffeId {
    SpiffeId::service(&trust_domain(), &service.parse().expect("a service's name"))
}

/// SHA-256 of an identity's leaf.
pub fn thumbprint(identity: &Identity) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &identity.chain()[0]);
    digest.as_ref().try_into().expect("32 bytes")
}

/// A TLS config that believes any server and shows `identity`, or nothing: an attacker does not care whom he attacks.
pub fn blind(identity: Option<&Identity>, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let provider = mcp_svid::provider();
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Blind(provider)));
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain = identity.chain().to_vec();
            builder.with_client_auth_cert(chain, identity.key().clone_key()).expect("a certificate")
        }
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

/// A TLS config that believes servers under the roots of `pem`, and shows nothing.
pub fn ordinary(pem: &str, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    use rustls_pki_types::pem::PemObject as _;
    let mut roots = rustls::RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(root.expect("PEM")).expect("a root");
    }
    let mut config = ClientConfig::builder_with_provider(mcp_svid::provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

/// Believes everybody.
#[derive(Debug)]
struct Blind(Arc<rustls::crypto::CryptoProvider>);

// === impl Blind ===

impl ServerCertVerifier for Blind {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
