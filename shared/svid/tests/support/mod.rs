//! Authorities and certificates made for one test, and a handshake without a socket.
#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]

mod wire;

use mcp_svid::{Identity, TrustBundle};
use mcp_types::{Clock, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;

pub(crate) use self::wire::handshake;

/// When every test certificate is valid, unless it says otherwise: from 2020 to 2100.
pub(crate) const NOT_BEFORE_S: i64 = 1_577_836_800;
/// See [`NOT_BEFORE_S`].
pub(crate) const NOT_AFTER_S: i64 = 4_102_444_800;

/// A root that signs leaves itself.
pub(crate) struct Ca {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) issuer: Issuer<'static, KeyPair>,
}

/// Stands at one moment.
#[derive(Debug)]
pub(crate) struct Stopped(pub(crate) Timestamp);

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        self.0
    }
}

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = dated(named(name));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn issue(
        &self,
        params: &CertificateParams,
    ) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
    }

    pub(crate) fn identity(&self, uri: &str) -> Identity {
        let (chain, key) = self.issue(&svid(uri));
        Identity::new(chain, key).unwrap()
    }

    pub(crate) fn bundle(&self) -> TrustBundle {
        TrustBundle { version: 1, roots: vec![self.certificate.clone()] }
    }
}

/// The parameters of a leaf in which every clause holds.
pub(crate) fn svid(uri: &str) -> CertificateParams {
    let mut params = dated(named("leaf"));
    params.is_ca = IsCa::ExplicitNoCa;
    params.subject_alt_names =
        vec![SanType::URI(uri.try_into().unwrap()), SanType::DnsName("localhost".try_into().unwrap())];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn dated(mut params: CertificateParams) -> CertificateParams {
    params.not_before = OffsetDateTime::from_unix_timestamp(NOT_BEFORE_S).unwrap();
    params.not_after = OffsetDateTime::from_unix_timestamp(NOT_AFTER_S).unwrap();
    params
}
