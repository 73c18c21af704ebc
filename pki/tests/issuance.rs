//! What the authorities issue, and what they do not.
#![expect(clippy::unwrap_used, reason = "a test may say plainly that a thing must be so")]

use std::{sync::Arc, time::Duration};

use mcp_pki::{
    BadAuthority, CheckedCsr, EdgeCa, Expected, IssuedLeaf, IssuingCa, KeyAlgorithm, LocalSigner, NotIssued,
    Profile, RootCa, SignFailed, Signer, check_csr, trust_bundle,
};
use mcp_svid::{Identity, SpiffeId, Svid, make_csr};
use mcp_types::{SystemEntropy, Timestamp, TrustDomain};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer as _,
};

const NOW: Timestamp = Timestamp::from_unix_millis(1_800_000_000_500);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test]
fn a_leaf_has_exactly_what_its_profile_says() {
    let (issued, _) = Mesh::new().issue(&auth(), &Profile::default()).unwrap();
    let leaf = parse(&issued.chain[0]);

    let names: Vec<_> = leaf.subject_alternative_name().unwrap().unwrap().value.general_names.clone();
    assert_eq!(
        names,
        [
            GeneralName::URI("spiffe://mcp.local/service/auth"),
            GeneralName::DNSName("auth"),
            GeneralName::DNSName("localhost"),
            GeneralName::IPAddress(&[127, 0, 0, 1]),
            GeneralName::IPAddress(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ]
    );
    assert!(!leaf.is_ca());
    let usage = leaf.key_usage().unwrap().unwrap();
    assert!(usage.critical);
    assert_eq!(usage.value.flags, 1, "digitalSignature alone");
    let purposes = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.server_auth && purposes.client_auth && !purposes.any && purposes.other.is_empty());
    assert_eq!(leaf.subject().to_string(), "CN=auth");
}

#[test]
fn a_leaf_lives_a_day_and_begins_a_minute_early() {
    let (issued, _) = Mesh::new().issue(&auth(), &Profile::default()).unwrap();
    let svid = Svid::read(&issued.chain[0]).unwrap();

    assert_eq!((svid.not_before, svid.not_after), (issued.not_before, issued.not_after));
    assert_eq!(issued.not_before, Timestamp::from_unix_secs(1_800_000_000 - 60));
    assert_eq!(issued.not_after, Timestamp::from_unix_secs(1_800_000_001 + 86_400));
    assert_eq!(*svid.serial, issued.serial);
}

#[test]
fn an_identity_is_made_of_what_was_issued() {
    let (issued, key) = Mesh::new().issue(&auth(), &Profile::default()).unwrap();

    let identity = Identity::new(issued.chain, key).unwrap();

    assert_eq!(identity.id(), &auth());
}

#[test]
fn an_operators_leaf_has_no_name_but_its_own() {
    let ada = SpiffeId::operator(&trust_domain(), "ada").unwrap();

    let (issued, _) = Mesh::new().issue(&ada, &Profile::operator(DAY)).unwrap();

    let leaf = parse(&issued.chain[0]);
    let names = &leaf.subject_alternative_name().unwrap().unwrap().value.general_names;
    assert_eq!(*names, [GeneralName::URI("spiffe://mcp.local/operator/ada")]);
}

#[test]
fn a_certificate_of_one_second_can_be_lived_with() {
    let mesh = Mesh::new();
    let profile = Profile { validity: Duration::from_secs(1), ..Profile::default() };
    let (request, key) = make_csr(None).unwrap();
    let checked = check_csr(&request, Expected { id: &auth() }).unwrap();
    for offset_ms in (0..1000).step_by(50) {
        let now = Timestamp::from_unix_millis(1_800_000_000_000 + offset_ms);

        let issued = mesh.issuing.issue(&checked, &auth(), &profile, now, &SystemEntropy).unwrap();

        let identity = Identity::new(issued.chain, key.clone_key()).unwrap();
        assert!(identity.svid().is_current(now));
        assert!(identity.svid().is_current(now.plus(profile.validity)));
        for jitter in [0, 50, 100, 150, 199, u64::MAX] {
            let renew_at = identity.renew_at(jitter);
            assert!(renew_at > now, "at {offset_ms} ms: renewed before it began");
            assert!(renew_at < identity.not_after(), "at {offset_ms} ms: renewed after it ended");
        }
    }
}

#[test]
fn a_leaf_does_not_outlive_its_authority() {
    let mesh = Mesh::new();
    let late = mesh.issuing.not_after().minus(Duration::from_secs(5));

    let issued =
        mesh.issuing.issue(&checked(&auth()), &auth(), &Profile::default(), late, &SystemEntropy).unwrap();

    assert_eq!(issued.not_after, mesh.issuing.not_after());
}

#[test]
fn an_authority_signs_only_in_its_time() {
    let mesh = Mesh::new();
    for at in [mesh.issuing.not_after().plus(Duration::from_secs(1)), NOW.minus(Duration::from_secs(62))] {
        let outcome = mesh.issuing.issue(&checked(&auth()), &auth(), &Profile::default(), at, &SystemEntropy);
        assert!(matches!(outcome, Err(NotIssued::AuthorityNotCurrent)), "{at:?}");
    }
    let after = mesh.root.not_after().plus(Duration::from_secs(1));
    assert!(matches!(
        mesh.root.issue_issuing_ca(after, MONTH, &SystemEntropy),
        Err(NotIssued::AuthorityNotCurrent)
    ));
}

#[test]
fn a_request_checked_for_one_certifies_no_other() {
    let mesh = Mesh::new();
    let context = SpiffeId::service(&trust_domain(), &"context".parse().unwrap());

    let outcome = mesh.issuing.issue(&checked(&auth()), &context, &Profile::default(), NOW, &SystemEntropy);

    assert!(matches!(outcome, Err(NotIssued::AnotherId { .. })));
}

#[test]
fn another_trust_domains_id_is_not_certified() {
    let other: SpiffeId = "spiffe://other.local/service/auth".parse().unwrap();

    let outcome = Mesh::new().issue(&other, &Profile::default());

    assert!(matches!(outcome, Err(NotIssued::AnotherTrustDomain { .. })));
}

#[test]
fn the_trust_domain_itself_is_not_certified() {
    let outcome = Mesh::new().issue(&SpiffeId::authority(&trust_domain()), &Profile::default());

    assert!(matches!(outcome, Err(NotIssued::Misissued(_))));
}

#[test]
fn authorities_have_their_usages_and_depths() {
    let mesh = Mesh::new();
    for (certificate, depth) in [(mesh.root.certificate(), 1), (mesh.issuing.certificate(), 0)] {
        let parsed = parse(certificate);
        let constraints = parsed.basic_constraints().unwrap().unwrap();
        let usage = parsed.key_usage().unwrap().unwrap();
        assert!(constraints.critical && usage.critical);
        assert_eq!((constraints.value.ca, constraints.value.path_len_constraint), (true, Some(depth)));
        assert!(usage.value.key_cert_sign() && usage.value.crl_sign() && !usage.value.digital_signature());
        let names = &parsed.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert_eq!(*names, [GeneralName::URI("spiffe://mcp.local")]);
    }
    assert!(mesh.issuing.is_signed_by(mesh.root.certificate()));
    assert!(!mesh.issuing.is_signed_by(mesh.issuing.certificate()));
}

#[test]
fn each_certificate_points_at_its_issuers_key() {
    let mesh = Mesh::new();
    let (issued, _) = mesh.issue(&auth(), &Profile::default()).unwrap();
    let chain = [&issued.chain[0], mesh.issuing.certificate(), mesh.root.certificate()];

    for pair in chain.windows(2) {
        let (subject, issuer) = (parse(pair[0]), parse(pair[1]));
        assert_eq!(authority_key(&subject).unwrap(), own_key(&issuer).unwrap());
        assert_eq!(subject.issuer(), issuer.subject());
        assert!(subject.verify_signature(Some(issuer.public_key())).is_ok());
    }
}

#[test]
fn no_two_serial_numbers_are_alike() {
    let mesh = Mesh::new();
    let mut serials: Vec<_> =
        (0..50).map(|_| mesh.issue(&auth(), &Profile::default()).unwrap().0.serial).collect();
    serials.sort_unstable();
    serials.dedup();

    assert_eq!(serials.len(), 50);
    assert!(serials.iter().all(|serial| serial[0] & 0x80 == 0));
}

#[test]
fn authorities_are_loaded_from_what_they_were_stored_as() {
    let mesh = Mesh::new();
    let root =
        RootCa::load(mesh.root.certificate().clone(), signer(&mesh.root.export_key().unwrap())).unwrap();
    let issuing =
        IssuingCa::load(mesh.issuing.certificate().clone(), signer(&mesh.issuing.export_key().unwrap()))
            .unwrap();

    let issued = issuing.issue(&checked(&auth()), &auth(), &Profile::default(), NOW, &SystemEntropy).unwrap();

    assert!(Svid::read(&issued.chain[0]).is_ok());
    assert_eq!(issuing.not_after(), mesh.issuing.not_after());
    assert_eq!(root.trust_domain(), &trust_domain());
    assert!(root.issue_issuing_ca(NOW, MONTH, &SystemEntropy).unwrap().is_signed_by(mesh.root.certificate()));
    let edge = EdgeCa::create(NOW, YEAR, &SystemEntropy).unwrap();
    let again = EdgeCa::load(edge.certificate().clone(), signer(&edge.export_key().unwrap())).unwrap();
    assert_eq!(again.not_after(), edge.not_after());
}

#[test]
fn what_is_no_authority_is_not_loaded() {
    let mesh = Mesh::new();
    let key = || signer(&mesh.root.export_key().unwrap());
    let (issued, leaf_key) = mesh.issue(&auth(), &Profile::default()).unwrap();
    let edge = EdgeCa::create(NOW, YEAR, &SystemEntropy).unwrap();
    let leaf_key = Arc::new(LocalSigner::from_pkcs8(leaf_key.secret_der()).unwrap());
    let issuing_key = signer(&mesh.issuing.export_key().unwrap());

    for (outcome, expected) in [
        (RootCa::load(vec![0x30, 0].into(), key()).err(), BadAuthority::Malformed),
        (IssuingCa::load(issued.chain[0].clone(), leaf_key).err(), BadAuthority::NotAnAuthority),
        (IssuingCa::load(mesh.issuing.certificate().clone(), key()).err(), BadAuthority::KeyMismatch),
        (RootCa::load(mesh.issuing.certificate().clone(), issuing_key).err(), BadAuthority::NotSelfSigned),
        (
            RootCa::load(edge.certificate().clone(), signer(&edge.export_key().unwrap())).err(),
            BadAuthority::NoTrustDomain,
        ),
    ] {
        assert_eq!(outcome.unwrap().to_string(), expected.to_string());
    }
}

#[test]
fn a_root_may_hold_any_of_the_keys() {
    for algorithm in [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::Ed25519] {
        let signer = Arc::new(LocalSigner::generate(algorithm).unwrap());
        let root = RootCa::create_with(signer, &trust_domain(), NOW, YEAR, &SystemEntropy).unwrap();

        let issuing = root.issue_issuing_ca(NOW, MONTH, &SystemEntropy).unwrap();

        assert!(issuing.is_signed_by(root.certificate()), "{algorithm:?}");
    }
}

#[test]
fn a_signer_that_fails_is_the_cause_of_the_failure() {
    #[derive(Debug)]
    struct Sealed(LocalSigner);
    impl Signer for Sealed {
        fn algorithm(&self) -> KeyAlgorithm {
            self.0.algorithm()
        }
        fn public_key(&self) -> &[u8] {
            self.0.public_key()
        }
        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, SignFailed> {
            Err(SignFailed("the vault is sealed".into()))
        }
    }
    let mesh = Mesh::new();
    let key = LocalSigner::from_pkcs8(&mesh.issuing.export_key().unwrap()).unwrap();
    let issuing = IssuingCa::load(mesh.issuing.certificate().clone(), Arc::new(Sealed(key))).unwrap();

    let failure =
        issuing.issue(&checked(&auth()), &auth(), &Profile::default(), NOW, &SystemEntropy).unwrap_err();

    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(&failure);
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    assert_eq!(failure.to_string(), "the certificate could not be signed");
    assert_eq!(causes, ["the authority's key did not sign", "the vault is sealed"]);
    assert!(issuing.export_key().is_none());
}

#[test]
fn the_bundle_holds_each_root_of_a_rotation() {
    let (old, new) = (Mesh::new(), Mesh::new());

    let bundle = trust_bundle(7, &[&old.root, &new.root]);

    assert_eq!(bundle.version, 7);
    assert_eq!(bundle.roots, [old.root.certificate().clone(), new.root.certificate().clone()]);
    assert_ne!(parse(&bundle.roots[0]).subject(), parse(&bundle.roots[1]).subject());
}

struct Mesh {
    root: RootCa,
    issuing: IssuingCa,
}

impl Mesh {
    fn new() -> Self {
        let root = RootCa::create(&trust_domain(), NOW, 10 * YEAR, &SystemEntropy).unwrap();
        let issuing = root.issue_issuing_ca(NOW, MONTH, &SystemEntropy).unwrap();
        Self { root, issuing }
    }

    fn issue(
        &self,
        id: &SpiffeId,
        profile: &Profile,
    ) -> Result<(IssuedLeaf, PrivateKeyDer<'static>), NotIssued> {
        let (request, key) = make_csr(Some(id)).unwrap();
        let checked = check_csr(&request, Expected { id }).unwrap();
        Ok((self.issuing.issue(&checked, id, profile, NOW, &SystemEntropy)?, key))
    }
}

fn trust_domain() -> TrustDomain {
    "mcp.local".parse().unwrap()
}

fn auth() -> SpiffeId {
    SpiffeId::service(&trust_domain(), &"auth".parse().unwrap())
}

fn checked(id: &SpiffeId) -> CheckedCsr {
    check_csr(&make_csr(Some(id)).unwrap().0, Expected { id }).unwrap()
}

fn signer(pkcs8: &[u8]) -> Arc<dyn Signer> {
    Arc::new(LocalSigner::from_pkcs8(pkcs8).unwrap())
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> X509Certificate<'a> {
    X509Certificate::from_der(certificate).unwrap().1
}

fn own_key<'a>(certificate: &X509Certificate<'a>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(key) => Some(key.0),
        _ => None,
    })
}

fn authority_key<'a>(certificate: &X509Certificate<'a>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(key) => key.key_identifier.as_ref().map(|key| key.0),
        _ => None,
    })
}
