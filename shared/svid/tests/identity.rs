//! What makes an identity, and what does not.

#![expect(clippy::unwrap_used, reason = "a test may say plainly that a thing must be so")]

mod support;

use mcp_svid::{BadIdentity, BadPem, BadSvid, Identity, TrustBundle, make_csr, pin};
use rcgen::{CertificateSigningRequestParams, SanType};
use rustls_pki_types::CertificateSigningRequestDer;
use time::OffsetDateTime;

use self::support::{Ca, svid};

const ID: &str = "spiffe://mcp.local/service/auth";

#[test]
fn an_identity_survives_its_text_form() {
    let identity = Ca::new("root").identity(ID);
    let (certificates, key) = identity.to_pem();

    let again = Identity::from_pem(&certificates, &key).unwrap();

    assert_eq!(again.id(), identity.id());
    assert_eq!(again.chain(), identity.chain());
    assert_eq!(again.key().secret_der(), identity.key().secret_der());
}

#[test]
fn the_debug_text_holds_no_key() {
    let identity = Ca::new("root").identity(ID);
    let text = format!("{identity:?}");

    assert!(text.contains("key: [redacted]"), "{text}");
    assert!(!text.contains("[48, "), "{text}");
}

#[test]
fn another_certificates_key_is_refused() {
    let ca = Ca::new("root");
    let ((chain, _), (_, key)) = (ca.issue(&svid(ID)), ca.issue(&svid(ID)));

    assert!(matches!(Identity::new(chain, key), Err(BadIdentity::KeyMismatch(_))));
}

#[test]
fn a_leaf_that_peers_would_refuse_is_refused_here() {
    let mut params = svid(ID);
    params.subject_alt_names.remove(0);
    let (chain, key) = Ca::new("root").issue(&params);

    assert!(matches!(Identity::new(chain, key), Err(BadIdentity::Leaf(BadSvid::NoUri))));
}

#[test]
fn a_chain_holds_together_or_is_refused() {
    let (ca, other) = (Ca::new("root"), Ca::new("root"));
    let (mut chain, key) = ca.issue(&svid(ID));
    chain.push(other.certificate.clone());

    assert!(matches!(Identity::new(chain, key), Err(BadIdentity::Chain(0))));
    assert!(matches!(ca.identity(ID).with_root_in_chain(other.certificate), Err(BadIdentity::Chain(0))));
    assert!(ca.identity(ID).with_root_in_chain(ca.certificate).is_ok());
}

#[test]
fn nothing_and_nonsense_are_refused() {
    let ca = Ca::new("root");
    let (chain, key) = ca.issue(&svid(ID));
    let (certificates, key_pem) = ca.identity(ID).to_pem();

    assert!(matches!(Identity::new(Vec::new(), key), Err(BadIdentity::NoCertificate)));
    assert!(matches!(Identity::new(chain, vec![48, 0].try_into_key()), Err(BadIdentity::Key(_))));
    assert!(matches!(Identity::from_pem(&certificates, ""), Err(BadIdentity::Pem(BadPem::NoKey(_)))));
    let mixed = format!("{certificates}{}", *key_pem);
    assert!(matches!(
        Identity::from_pem(&mixed, &key_pem),
        Err(BadIdentity::Pem(BadPem::KeyAmongCertificates))
    ));
}

#[test]
fn a_certificate_that_ends_before_it_begins_is_refused() {
    let mut params = svid(ID);
    params.not_after = params.not_before - time::Duration::SECOND;
    let (chain, key) = Ca::new("root").issue(&params);

    assert!(matches!(Identity::new(chain, key), Err(BadIdentity::NeverValid)));
}

#[test]
fn it_is_renewed_at_two_thirds_of_its_life_or_a_tenth_of_it_earlier() {
    let mut params = svid(ID);
    params.not_before = OffsetDateTime::from_unix_timestamp(1000).unwrap();
    params.not_after = OffsetDateTime::from_unix_timestamp(1300).unwrap();
    let (chain, key) = Ca::new("root").issue(&params);
    let identity = Identity::new(chain, key).unwrap();

    assert_eq!(identity.renew_at(0).unix_secs(), 1200);
    assert_eq!(identity.renew_at(30_000).unix_secs(), 1170);
    for jitter in [1, 30_001, 4_294_967_295, u64::MAX - 1, u64::MAX] {
        let at = identity.renew_at(jitter).unix_millis();
        assert!((1_170_000..=1_200_000).contains(&at), "{jitter} gives {at}");
    }
}

#[test]
fn a_bundle_survives_its_text_form() {
    let (ca, other) = (Ca::new("one"), Ca::new("two"));
    let bundle = TrustBundle { version: 7, roots: vec![ca.certificate.clone(), other.certificate.clone()] };

    assert_eq!(TrustBundle::from_pem(7, &bundle.to_pem()).unwrap(), bundle);
    assert_eq!(bundle.pins(), [pin(&ca.certificate), pin(&other.certificate)]);
    assert_eq!(bundle.root_store().unwrap().len(), 2);
}

#[test]
fn a_bundle_without_a_root_verifies_nothing() {
    assert!(TrustBundle { version: 1, roots: Vec::new() }.root_store().is_err());
    assert!(TrustBundle::from_pem(1, "").is_err());
    assert!(TrustBundle { version: 1, roots: vec![vec![1, 2, 3].into()] }.root_store().is_err());
}

#[test]
fn a_request_names_its_asker_and_nothing_else() {
    let id = ID.parse().unwrap();
    let (named, key) = make_csr(Some(&id)).unwrap();
    let (unnamed, other_key) = make_csr(None).unwrap();

    let named =
        CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(named)).unwrap();
    let unnamed =
        CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(unnamed)).unwrap();
    assert_eq!(named.params.subject_alt_names, [SanType::URI(ID.try_into().unwrap())]);
    assert!(named.params.key_usages.is_empty());
    assert!(unnamed.params.subject_alt_names.is_empty());
    assert_ne!(key.secret_der(), other_key.secret_der());
}

/// Bytes as a key, whatever they are.
trait TryIntoKey {
    fn try_into_key(self) -> rustls_pki_types::PrivateKeyDer<'static>;
}

impl TryIntoKey for Vec<u8> {
    fn try_into_key(self) -> rustls_pki_types::PrivateKeyDer<'static> {
        rustls_pki_types::PrivatePkcs8KeyDer::from(self).into()
    }
}
