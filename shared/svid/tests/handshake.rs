//! Two ends and a wire of bytes: who gets through a handshake, and who does not.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may say plainly that a thing must be so")]

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use mcp_svid::{
    BadSvid, ClientAuth, Identity, Stranger, Svid, TrustBundle, bootstrap_client_config, client_config,
    client_config_by, peer_id, pin, provider, server_config, server_config_by,
};
use mcp_types::{Clock, Timestamp};
use rustls::{
    AlertDescription, CertificateError, CipherSuite, ClientConfig, Error, HandshakeKind, NamedGroup,
    PeerIncompatible, ProtocolVersion, SupportedProtocolVersion,
    sign::{CertifiedKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use rustls_pki_types::PrivateKeyDer;

use self::support::{Ca, NOT_AFTER_S, NOT_BEFORE_S, Stopped, handshake, svid};

const AUTH: &str = "spiffe://mcp.local/service/auth";
const CONTEXT: &str = "spiffe://mcp.local/service/context";

#[test]
fn both_ends_learn_who_the_other_is() {
    let ca = Ca::new("root");
    let server = server_config(&ca.identity(AUTH), &ca.bundle(), ClientAuth::Required).unwrap();
    let client = client_config(&ca.identity(CONTEXT), &ca.bundle(), &AUTH.parse().unwrap()).unwrap();

    let (client, server) = handshake(&client, &server).unwrap();

    assert_eq!(peer_id(&client.peer_certificates().unwrap()[0]), Ok(AUTH.parse().unwrap()));
    assert_eq!(peer_id(&server.peer_certificates().unwrap()[0]), Ok(CONTEXT.parse().unwrap()));
    assert_eq!(server.alpn_protocol(), Some(&b"h2"[..]));
}

#[test]
fn two_of_ours_agree_on_a_key_that_no_quantum_computer_finds() {
    let ca = Ca::new("root");
    let server = server_config(&ca.identity(AUTH), &ca.bundle(), ClientAuth::Required).unwrap();
    let client = client_config(&ca.identity(CONTEXT), &ca.bundle(), &AUTH.parse().unwrap()).unwrap();

    let (client, _) = handshake(&client, &server).unwrap();

    assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(client.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
    // In the first flight: a second one would cost each handshake a round trip.
    assert_eq!(client.handshake_kind(), Some(HandshakeKind::Full));
}

#[test]
fn every_suite_is_an_aead() {
    for suite in provider().cipher_suites.iter().map(|suite| suite.suite()) {
        let name = format!("{suite:?}");
        assert!(name.contains("_GCM_") || name.contains("_CHACHA20_POLY1305_"), "{name}");
        assert!(
            name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_"),
            "{name} has no forward secrecy"
        );
    }
}

#[test]
fn an_ordinary_client_of_tls_1_2_verifies_the_dns_name() {
    let ca = Ca::new("root");
    let server = server_config(&ca.identity(AUTH), &ca.bundle(), ClientAuth::Required).unwrap();

    let (client, _) = handshake(&ordinary(&ca, &ca, &TLS12), &server).unwrap();

    assert_eq!(client.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    assert_eq!(
        client.negotiated_cipher_suite().unwrap().suite(),
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
    );
}

#[test]
fn a_server_with_another_id_is_refused() {
    let ca = Ca::new("root");
    let server = server_config(&ca.identity(CONTEXT), &ca.bundle(), ClientAuth::Required).unwrap();
    let client = client_config(&ca.identity(CONTEXT), &ca.bundle(), &AUTH.parse().unwrap()).unwrap();

    let refusal = handshake(&client, &server).unwrap_err();

    assert_eq!(
        stranger(refusal.client),
        Stranger::AnotherId { expected: AUTH.parse().unwrap(), found: CONTEXT.parse().unwrap() }
    );
}

#[test]
fn a_server_under_another_root_is_refused() {
    let (ca, other) = (Ca::new("root"), Ca::new("root"));
    let server = server_config(&other.identity(AUTH), &other.bundle(), ClientAuth::None).unwrap();
    let client = client_config(&ca.identity(CONTEXT), &ca.bundle(), &AUTH.parse().unwrap()).unwrap();

    let refusal = handshake(&client, &server).unwrap_err();

    // The roots share a name, so that it is the signature which tells them apart.
    assert_eq!(refusal.client, Some(CertificateError::BadSignature.into()));
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let ca = Ca::new("root");
    let server = server_config(&ca.identity(AUTH), &ca.bundle(), ClientAuth::Required).unwrap();
    for version in [&TLS13, &TLS12] {
        let refusal = handshake(&anonymous(&ca, version), &server).unwrap_err();

        assert_eq!(refusal.server, Some(Error::NoCertificatesPresented), "{version:?}");
    }
}

#[test]
fn a_client_of_an_unknown_root_is_refused() {
    let (ca, other) = (Ca::new("root"), Ca::new("another"));
    let server = server_config(&ca.identity(AUTH), &ca.bundle(), ClientAuth::Required).unwrap();
    for version in [&TLS13, &TLS12] {
        let refusal = handshake(&ordinary(&ca, &other, version), &server).unwrap_err();

        assert_eq!(refusal.server, Some(CertificateError::UnknownIssuer.into()), "{version:?}");
        assert_eq!(refusal.client, Some(Error::AlertReceived(AlertDescription::UnknownCA)), "{version:?}");
    }
}

#[test]
fn a_client_of_another_trust_domain_is_refused_under_the_same_root() {
    let ca = Ca::new("root");
    let server = server_config(&ca.identity(AUTH), &ca.bundle(), ClientAuth::Required).unwrap();
    let other = ca.identity("spiffe://other.local/service/context");
    let client = client_config(&other, &ca.bundle(), &AUTH.parse().unwrap()).unwrap();

    let refusal = handshake(&client, &server).unwrap_err();

    assert!(matches!(stranger(refusal.server), Stranger::AnotherTrustDomain { .. }));
}

#[test]
fn a_client_whose_certificate_is_no_svid_is_refused() {
    let ca = Ca::new("root");
    let server = server_config(&ca.identity(AUTH), &ca.bundle(), ClientAuth::Required).unwrap();
    let mut params = svid(CONTEXT);
    params.subject_alt_names.remove(0);
    let (chain, key) = ca.issue(&params);

    let refusal = handshake(&showing(&ca, chain, key, &TLS13), &server).unwrap_err();

    assert_eq!(stranger(refusal.server), Stranger::NotAnSvid(BadSvid::NoUri));
}

#[test]
fn a_certificate_holds_only_in_its_time() {
    let ca = Ca::new("root");
    let expected = AUTH.parse().unwrap();
    let (auth, context) = (ca.identity(AUTH), ca.identity(CONTEXT));
    let within = || Arc::new(Stopped(Timestamp::from_unix_secs(NOT_AFTER_S)));
    let server = server_config_by(within(), &auth, &ca.bundle(), ClientAuth::Required).unwrap();
    let client = client_config_by(within(), &context, &ca.bundle(), &expected).unwrap();
    assert!(handshake(&client, &server).is_ok());

    for (outside, early) in [(NOT_AFTER_S + 1, false), (NOT_BEFORE_S - 1, true)] {
        let clock = || Arc::new(Stopped(Timestamp::from_unix_secs(outside)));
        let late_server = server_config_by(clock(), &auth, &ca.bundle(), ClientAuth::Required).unwrap();
        let late_client = client_config_by(clock(), &context, &ca.bundle(), &expected).unwrap();

        for error in [
            handshake(&client, &late_server).unwrap_err().server,
            handshake(&late_client, &server).unwrap_err().client,
        ] {
            let is_time = match error {
                Some(Error::InvalidCertificate(CertificateError::ExpiredContext { .. })) => !early,
                Some(Error::InvalidCertificate(CertificateError::NotValidYetContext { .. })) => early,
                _ => false,
            };
            assert!(is_time, "at {outside}: {error:?}");
        }
    }
}

#[test]
fn a_session_is_resumed_under_the_same_configs_and_never_under_a_new_one() {
    let (old, new) = (Ca::new("old"), Ca::new("new"));
    let both = TrustBundle { version: 1, roots: vec![old.certificate.clone(), new.certificate.clone()] };
    let auth = new.identity(AUTH);
    let before = server_config(&auth, &both, ClientAuth::Required).unwrap();
    let after = server_config(&auth, &new.bundle(), ClientAuth::Required).unwrap();
    for version in [&TLS13, &TLS12] {
        let client = ordinary(&new, &old, version);
        assert_eq!(handshake(&client, &before).unwrap().0.handshake_kind(), Some(HandshakeKind::Full));
        let (_, resumed) = handshake(&client, &before).unwrap();
        assert_eq!(resumed.handshake_kind(), Some(HandshakeKind::Resumed), "{version:?}");

        // The old root is retired while the client holds sessions.
        let refusal = handshake(&client, &after).unwrap_err();

        assert_eq!(refusal.server, Some(CertificateError::UnknownIssuer.into()), "{version:?}");
    }
}

#[test]
fn a_resumed_session_outlives_its_certificate_so_the_listener_asks_the_leaf() {
    let ca = Ca::new("root");
    let mut params = svid(CONTEXT);
    params.not_after = params.not_before + time::Duration::minutes(1);
    let (chain, key) = ca.issue(&params);
    let clock = Arc::new(Moving(AtomicI64::new(NOT_BEFORE_S)));
    let server =
        server_config_by(clock.clone(), &ca.identity(AUTH), &ca.bundle(), ClientAuth::Required).unwrap();
    let context = Identity::new(chain, key).unwrap();
    let client = client_config_by(clock.clone(), &context, &ca.bundle(), &AUTH.parse().unwrap()).unwrap();
    let peer =
        |server: &rustls::ServerConnection| Svid::read(&server.peer_certificates().unwrap()[0]).unwrap();
    let (_, first) = handshake(&client, &server).unwrap();
    assert!(peer(&first).is_current(clock.now()));

    clock.0.fetch_add(120, Ordering::Relaxed);
    let (_, second) = handshake(&client, &server).unwrap();

    // TLS lets it in: no verifier runs in a resumption.
    assert_eq!(second.handshake_kind(), Some(HandshakeKind::Resumed));
    assert!(!peer(&second).is_current(clock.now()));
}

#[test]
fn a_newcomer_believes_the_pinned_root_alone() {
    let (ca, other) = (Ca::new("root"), Ca::new("other"));
    let auth = ca.identity(AUTH).with_root_in_chain(ca.certificate.clone()).unwrap();
    let server = server_config(&auth, &ca.bundle(), ClientAuth::None).unwrap();
    let newcomer = |root, expected: &str| bootstrap_client_config(root, &expected.parse().unwrap()).unwrap();

    assert!(handshake(&newcomer(pin(&ca.certificate), AUTH), &server).is_ok());

    for (root, expected, why) in [
        (pin(&other.certificate), AUTH, Stranger::NoPinnedRoot),
        // A pin names an authority, so that of the leaf opens nothing.
        (pin(&auth.chain()[0]), AUTH, Stranger::NoPinnedRoot),
        (
            pin(&ca.certificate),
            CONTEXT,
            Stranger::AnotherId { expected: CONTEXT.parse().unwrap(), found: AUTH.parse().unwrap() },
        ),
    ] {
        let refusal = handshake(&newcomer(root, expected), &server).unwrap_err();
        assert_eq!(stranger(refusal.client), why);
    }
}

#[test]
fn a_pinned_root_vouches_only_for_what_it_signed() {
    let (ca, other) = (Ca::new("root"), Ca::new("root"));
    // An impostor shows the true root after a leaf of its own.
    let (mut chain, key) = other.issue(&svid(AUTH));
    chain.push(ca.certificate.clone());
    let server = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let newcomer = bootstrap_client_config(pin(&ca.certificate), &AUTH.parse().unwrap()).unwrap();

    let refusal = handshake(&newcomer, &Arc::new(server)).unwrap_err();

    assert_eq!(refusal.client, Some(CertificateError::BadSignature.into()));
}

#[test]
fn a_certificate_shown_without_its_key_is_refused() {
    let ca = Ca::new("root");
    let (auth, thief) = (ca.identity(AUTH), ca.identity(CONTEXT));
    let thiefs_key = rustls::crypto::aws_lc_rs::sign::any_supported_type(thief.key()).unwrap();
    let stolen = Arc::new(SingleCertAndKey::from(CertifiedKey::new(auth.chain().to_vec(), thiefs_key)));
    let known = client_config(&thief, &ca.bundle(), &AUTH.parse().unwrap()).unwrap();
    let auth = auth.with_root_in_chain(ca.certificate.clone()).unwrap();
    let honest = server_config(&auth, &ca.bundle(), ClientAuth::Required).unwrap();
    for version in [&TLS13, &TLS12] {
        let server = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(stolen.clone());
        let client = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(ca.bundle().root_store().unwrap())
            .with_client_cert_resolver(stolen.clone());

        let refused = [
            handshake(&known, &Arc::new(server)).unwrap_err().client,
            handshake(&Arc::new(client), &honest).unwrap_err().server,
        ];

        assert_eq!(
            refused,
            [Some(CertificateError::BadSignature.into()), Some(CertificateError::BadSignature.into())]
        );
    }
}

#[test]
fn a_client_of_another_protocol_is_refused() {
    let ca = Ca::new("root");
    let server = server_config(&ca.identity(AUTH), &ca.bundle(), ClientAuth::Required).unwrap();
    let mut client = (*ordinary(&ca, &ca, &TLS13)).clone();
    client.alpn_protocols = vec![b"http/1.1".to_vec()];

    let refusal = handshake(&Arc::new(client), &server).unwrap_err();

    assert_eq!(refusal.client, Some(Error::AlertReceived(AlertDescription::NoApplicationProtocol)));
}

#[test]
fn a_client_without_our_groups_is_refused() {
    let ca = Ca::new("root");
    let server = server_config(&ca.identity(AUTH), &ca.bundle(), ClientAuth::Required).unwrap();
    let mut weak = (*provider()).clone();
    weak.cipher_suites.retain(|suite| suite.suite() == CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256);
    let client = ClientConfig::builder_with_provider(Arc::new(weak))
        .with_protocol_versions(&[&TLS12])
        .unwrap()
        .with_root_certificates(ca.bundle().root_store().unwrap())
        .with_no_client_auth();

    let refusal = handshake(&Arc::new(client), &server).unwrap_err();

    assert!(matches!(
        refusal.server,
        Some(Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon))
    ));
}

/// Goes on when told.
#[derive(Debug)]
struct Moving(AtomicI64);

impl Clock for Moving {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_secs(self.0.load(Ordering::Relaxed))
    }
}

/// A client that knows nothing of SPIFFE: it verifies the DNS name, and shows a certificate of `own`.
fn ordinary(trusted: &Ca, own: &Ca, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let (chain, key) = own.issue(&svid(CONTEXT));
    showing(trusted, chain, key, version)
}

fn showing(
    trusted: &Ca,
    chain: Vec<rustls_pki_types::CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    version: &'static SupportedProtocolVersion,
) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(trusted.bundle().root_store().unwrap())
        .with_client_auth_cert(chain, key)
        .unwrap();
    Arc::new(config)
}

fn anonymous(trusted: &Ca, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(trusted.bundle().root_store().unwrap())
        .with_no_client_auth();
    Arc::new(config)
}

fn stranger(error: Option<Error>) -> Stranger {
    match error {
        Some(Error::InvalidCertificate(CertificateError::Other(other))) => {
            other.0.downcast_ref::<Stranger>().unwrap_or_else(|| panic!("{other:?}")).clone()
        }
        error => panic!("{error:?}"),
    }
}
