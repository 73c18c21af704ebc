//! Issued certificates in real handshakes: joining, calling, rotating, and the edge.
#![expect(clippy::unwrap_used, reason = "a test may say plainly that a thing must be so")]

#[path = "../../shared/svid/tests/support/wire.rs"]
mod wire;

use std::{sync::Arc, time::Duration};

use mcp_pki::{EdgeCa, Expected, IssuingCa, Profile, RootCa, check_csr, trust_bundle};
use mcp_svid::{
    ClientAuth, Identity, SpiffeId, bootstrap_client_config_by, client_config_by, make_csr, pin, provider,
    server_config_by,
};
use mcp_types::{Clock, SystemClock, SystemEntropy, Timestamp, TrustDomain};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Error, HandshakeKind, NamedGroup, RootCertStore,
    ServerConfig,
};
use rustls_pki_types::{CertificateDer, ServerName};

use self::wire::{carry, handshake};

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[test]
fn two_services_meet_over_a_whole_chain() {
    let mesh = Mesh::new();
    let server = mesh.server(&mesh.identity("auth"), ClientAuth::Required);

    let (client, _) = handshake(&mesh.client(&mesh.identity("context"), "auth"), &server).unwrap();

    assert_eq!(client.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
}

#[test]
fn a_newcomer_joins_knowing_only_the_pin() {
    let mesh = Mesh::new();
    let ca = mesh.identity("ca");
    let whole = ca.with_root_in_chain(mesh.root.certificate().clone()).unwrap();
    let newcomer = |pinned| bootstrap_client_config_by(mesh.clock(), pinned, &service("ca")).unwrap();
    let root = pin(mesh.root.certificate());

    assert!(handshake(&newcomer(root), &mesh.server(&whole, ClientAuth::None)).is_ok());
    // A listener that does not send its root cannot be verified by a pin.
    assert!(handshake(&newcomer(root), &mesh.server(&ca, ClientAuth::None)).is_err());
    assert!(
        handshake(&newcomer(pin(Mesh::new().root.certificate())), &mesh.server(&whole, ClientAuth::None))
            .is_err()
    );
}

#[test]
fn a_retired_roots_certificates_open_nothing() {
    let (old, new) = (Mesh::new(), Mesh::new());
    let both = trust_bundle(2, &[&old.root, &new.root]);
    let auth = new.identity("auth");
    let client = client_config_by(new.clock(), &old.identity("context"), &both, &service("auth")).unwrap();
    let during = server_config_by(new.clock(), &auth, &both, ClientAuth::Required).unwrap();
    let after = new.server(&auth, ClientAuth::Required);

    assert!(handshake(&client, &during).is_ok());
    assert_eq!(handshake(&client, &during).unwrap().0.handshake_kind(), Some(HandshakeKind::Resumed));
    let refusal = handshake(&client, &after).unwrap_err();

    assert_eq!(refusal.server, Some(CertificateError::UnknownIssuer.into()));
}

#[test]
fn an_expired_certificate_opens_nothing() {
    let mesh = Mesh::new();
    let profile = Profile { validity: Duration::from_secs(1), ..Profile::default() };
    let context = mesh.identity_of("context", &profile);
    let later: Arc<dyn Clock> = Arc::new(Stopped(mesh.now.plus(Duration::from_secs(60))));
    let server =
        server_config_by(later, &mesh.identity("auth"), &mesh.bundle(), ClientAuth::Required).unwrap();

    let refusal = handshake(&mesh.client(&context, "auth"), &server).unwrap_err();

    assert!(matches!(
        refusal.server,
        Some(Error::InvalidCertificate(CertificateError::ExpiredContext { .. }))
    ));
}

#[test]
fn ordinary_clients_verify_a_service_by_its_dns_names_and_addresses() {
    let mesh = Mesh::new();
    let server = mesh.server(&mesh.identity("auth"), ClientAuth::None);
    let client = by_name(mesh.root.certificate());

    for (name, known) in [
        ("auth", true),
        ("localhost", true),
        ("127.0.0.1", true),
        ("::1", true),
        ("context", false),
        ("example.org", false),
        ("10.0.0.1", false),
    ] {
        assert_eq!(meets(&client, name, &server), known, "{name}");
    }
}

#[test]
fn the_edge_is_verified_by_loopback_names_and_is_no_peer_of_the_mesh() {
    let mesh = Mesh::new();
    let edge = EdgeCa::create(SystemClock.now(), YEAR, &SystemEntropy).unwrap();
    let leaf = edge.issue(SystemClock.now(), MONTH, &SystemEntropy).unwrap();
    assert!(Identity::new(leaf.chain.clone(), leaf.key.clone_key()).is_err(), "no SPIFFE ID, no identity");
    let server = ordinary_server(leaf.chain, leaf.key);
    let client = by_name(edge.certificate());

    for (name, known) in [("localhost", true), ("127.0.0.1", true), ("::1", true), ("example.org", false)] {
        assert_eq!(meets(&client, name, &server), known, "{name}");
    }
    assert!(handshake(&mesh.client(&mesh.identity("context"), "auth"), &server).is_err());
}

#[test]
fn a_stolen_edge_key_impersonates_no_other_host_by_name() {
    let edge = EdgeCa::create(SystemClock.now(), YEAR, &SystemEntropy).unwrap();
    let stolen = rcgen::KeyPair::try_from(&edge.export_key().unwrap()[..]).unwrap();
    let thief = rcgen::Issuer::from_ca_cert_der(edge.certificate(), stolen).unwrap();
    let client = by_name(edge.certificate());
    for (name, within) in [("localhost", true), ("bank.example", false), ("localhost.bank.example", false)] {
        let key = rcgen::KeyPair::generate().unwrap();
        let forged =
            rcgen::CertificateParams::new([name.to_owned()]).unwrap().signed_by(&key, &thief).unwrap();
        let key = rustls_pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
        let server = ordinary_server(vec![forged.into()], key.into());

        assert_eq!(meets(&client, name, &server), within, "{name}");
    }
}

struct Mesh {
    root: RootCa,
    issuing: IssuingCa,
    now: Timestamp,
}

impl Mesh {
    fn new() -> Self {
        let now = SystemClock.now();
        let root = RootCa::create(&trust_domain(), now, 10 * YEAR, &SystemEntropy).unwrap();
        let issuing = root.issue_issuing_ca(now, MONTH, &SystemEntropy).unwrap();
        Self { root, issuing, now }
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(Stopped(self.now))
    }

    fn bundle(&self) -> mcp_svid::TrustBundle {
        trust_bundle(1, &[&self.root])
    }

    fn identity(&self, name: &str) -> Identity {
        self.identity_of(name, &Profile::default())
    }

    fn identity_of(&self, name: &str, profile: &Profile) -> Identity {
        let id = service(name);
        let (request, key) = make_csr(Some(&id)).unwrap();
        let checked = check_csr(&request, Expected { id: &id }).unwrap();
        let issued = self.issuing.issue(&checked, &id, profile, self.now, &SystemEntropy).unwrap();
        Identity::new(issued.chain, key).unwrap()
    }

    fn server(&self, identity: &Identity, client_auth: ClientAuth) -> Arc<ServerConfig> {
        server_config_by(self.clock(), identity, &self.bundle(), client_auth).unwrap()
    }

    fn client(&self, identity: &Identity, expected: &str) -> Arc<ClientConfig> {
        client_config_by(self.clock(), identity, &self.bundle(), &service(expected)).unwrap()
    }
}

#[derive(Debug)]
struct Stopped(Timestamp);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn trust_domain() -> TrustDomain {
    "mcp.local".parse().unwrap()
}

fn service(name: &str) -> SpiffeId {
    SpiffeId::service(&trust_domain(), &name.parse().unwrap())
}

/// A client as any language has one: it trusts a root and verifies names.
fn by_name(root: &CertificateDer<'static>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

fn ordinary_server(
    chain: Vec<CertificateDer<'static>>,
    key: rustls_pki_types::PrivateKeyDer<'static>,
) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    Arc::new(config)
}

fn meets(client: &Arc<ClientConfig>, name: &str, server: &Arc<ServerConfig>) -> bool {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    carry(ClientConnection::new(client.clone(), name).unwrap(), server).is_ok()
}
