//! What every authority is made of: a certificate, a signer for its key, and the time in which it may sign.

use std::{sync::Arc, time::Duration};

use mcp_svid::{BadSvid, SpiffeId, is_signed_by};
use mcp_types::{Entropy, Timestamp, TrustDomain};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _, x509::SubjectPublicKeyInfo,
};

use crate::{BadKey, SignFailed, Signer, signer::Lent};

/// The longest that a certificate begins before it is issued, for peers whose clocks are behind.
pub(crate) const BACKDATE_MAX: Duration = Duration::from_secs(60);

/// Why a certificate is no authority's, or not one that can be used here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadAuthority {
    /// It is not DER of a certificate.
    #[error("the authority's certificate is malformed")]
    Malformed,
    /// It may not sign certificates (RFC 5280, sections 4.2.1.3 and 4.2.1.9).
    #[error("the certificate is no authority's")]
    NotAnAuthority,
    /// It does not name its trust domain, as one URI without a path (X509-SVID, section 3.2).
    #[error("the authority's certificate names no trust domain")]
    NoTrustDomain,
    /// The key is another certificate's.
    #[error("the key is not the authority's")]
    KeyMismatch,
    /// A root that somebody else signed, or that was altered.
    #[error("the root's certificate is not signed by itself")]
    NotSelfSigned,
}

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotIssued {
    /// A key could not be made.
    #[error("there is no key to certify")]
    Key(#[from] BadKey),
    /// The signer failed; it may do better later.
    #[error("the certificate could not be signed")]
    Sign(#[from] SignFailed),
    /// A name, date or key that X.509 cannot say.
    #[error("the certificate could not be written")]
    Write(#[from] rcgen::Error),
    /// The dates are beyond the calendar.
    #[error("the certificate's dates cannot be written")]
    Date(#[source] time::error::ComponentRange),
    /// A life of no length was asked for.
    #[error("the certificate would be valid at no time")]
    NoTime,
    /// The authority's own certificate has not begun or has ended.
    #[error("the authority's own certificate is not valid now")]
    AuthorityNotCurrent,
    /// The request was checked for somebody else.
    #[error("the request was checked for {checked} and not for {asked}")]
    AnotherId {
        /// Whom the check was for.
        checked: SpiffeId,
        /// Who was to be certified.
        asked: SpiffeId,
    },
    /// The ID is of another trust domain than the authority.
    #[error("{id} is not of the authority's trust domain")]
    AnotherTrustDomain {
        /// Who was to be certified.
        id: SpiffeId,
    },
    /// What came out would be believed by no peer. It was not handed out.
    #[error("the certificate would be believed by no peer")]
    Misissued(#[source] BadSvid),
    /// The authority's name is written in a way that does not survive being copied into what it issues.
    #[error("the certificate does not chain to its authority")]
    NotChained,
}

/// An authority of any kind.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) window: Window,
}

/// From when until when a certificate holds, in whole seconds, both included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Window {
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

// === impl Authority ===

impl Authority {
    /// Signs itself: `params` of a root, complete.
    pub(crate) fn self_signed(
        params: &CertificateParams,
        signer: Arc<dyn Signer>,
        window: Window,
    ) -> Result<Self, NotIssued> {
        let lent = Lent::new(&*signer);
        let certificate = cause_of(params.self_signed(&lent), &lent)?;
        Ok(Self { certificate: certificate.into(), signer, window })
    }

    /// Takes an authority's certificate and its key.
    pub(crate) fn load(
        certificate: CertificateDer<'static>,
        signer: Arc<dyn Signer>,
    ) -> Result<(Self, Option<TrustDomain>), BadAuthority> {
        let (rest, parsed) = X509Certificate::from_der(&certificate).map_err(|_| BadAuthority::Malformed)?;
        if !rest.is_empty() {
            return Err(BadAuthority::Malformed);
        }
        let signs = parsed.key_usage().ok().flatten().is_some_and(|usage| usage.value.key_cert_sign());
        if !parsed.is_ca() || !signs {
            return Err(BadAuthority::NotAnAuthority);
        }
        if !same_key(parsed.public_key(), &*signer) {
            return Err(BadAuthority::KeyMismatch);
        }
        let window = Window {
            not_before: Timestamp::from_unix_secs(parsed.validity.not_before.timestamp()),
            not_after: Timestamp::from_unix_secs(parsed.validity.not_after.timestamp()),
        };
        let trust_domain = trust_domain_of(&parsed);
        Ok((Self { certificate, signer, window }, trust_domain))
    }

    /// Whether the authority signed itself.
    pub(crate) fn is_self_signed(&self) -> bool {
        is_signed_by(&self.certificate, &self.certificate)
    }

    /// The window of what is issued at `now`: as long as `validity`, but within the authority's own.
    pub(crate) fn window_within(
        &self,
        now: Timestamp,
        validity: Duration,
        backdate_max: Duration,
    ) -> Result<Window, NotIssued> {
        if !self.window.holds_at(now) {
            return Err(NotIssued::AuthorityNotCurrent);
        }
        let window = Window::starting(now, validity, backdate_max)?;
        Ok(Window {
            not_before: window.not_before.max(self.window.not_before),
            not_after: window.not_after.min(self.window.not_after),
        })
    }

    /// Signs `params` for the holder of `key`.
    pub(crate) fn sign(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
    ) -> Result<CertificateDer<'static>, NotIssued> {
        let issuer = Issuer::from_ca_cert_der(&self.certificate, Lent::new(&*self.signer))?;
        let certificate = cause_of(params.signed_by(key, &issuer), issuer.key())?;
        if is_issued_by_name(certificate.der(), &self.certificate) {
            Ok(certificate.into())
        } else {
            Err(NotIssued::NotChained)
        }
    }
}

// === impl Window ===

impl Window {
    /// Begins up to `backdate_max` before `now`, but no more than a tenth of its length, and lasts at least `validity`
    /// from now. X.509 counts whole seconds: the end is rounded up, so that a certificate of one second has one.
    pub(crate) fn starting(
        now: Timestamp,
        validity: Duration,
        backdate_max: Duration,
    ) -> Result<Self, NotIssued> {
        if validity.is_zero() {
            return Err(NotIssued::NoTime);
        }
        let not_before = now.minus(backdate_max.min(validity / 10));
        let not_after = now.plus(validity).plus(Duration::from_millis(999));
        Ok(Self {
            not_before: Timestamp::from_unix_secs(not_before.unix_secs()),
            not_after: Timestamp::from_unix_secs(not_after.unix_secs()),
        })
    }

    fn holds_at(self, now: Timestamp) -> bool {
        (self.not_before.unix_secs()..=self.not_after.unix_secs()).contains(&now.unix_secs())
    }

    /// Parameters with these dates and a fresh serial number; no name, no usage.
    pub(crate) fn params(self, serial: [u8; 16]) -> Result<CertificateParams, NotIssued> {
        let date =
            |at: Timestamp| OffsetDateTime::from_unix_timestamp(at.unix_secs()).map_err(NotIssued::Date);
        let mut params = CertificateParams::default();
        params.not_before = date(self.not_before)?;
        params.not_after = date(self.not_after)?;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.distinguished_name = DistinguishedName::new();
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }

    /// Parameters of an authority that may stand above `depth` further ones.
    pub(crate) fn authority_params(
        self,
        kind: &str,
        trust_domain: Option<&TrustDomain>,
        depth: u8,
        entropy: &dyn Entropy,
    ) -> Result<CertificateParams, NotIssued> {
        let serial = draw_serial(entropy);
        let mut params = self.params(serial)?;
        // Two authorities of a rotation share no name, so that a verifier which looks for an issuer by name finds one.
        let [a, b, c, d, ..] = serial;
        let name = format!("MCP Platform {kind} {a:02x}{b:02x}{c:02x}{d:02x}");
        params.distinguished_name.push(DnType::CommonName, name);
        if let Some(trust_domain) = trust_domain {
            let uri = SpiffeId::authority(trust_domain).as_str().try_into()?;
            params.subject_alt_names.push(SanType::URI(uri));
        }
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(depth));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(params)
    }
}

/// Draws a serial number: 126 random bits, positive, always of 16 bytes (RFC 5280, section 4.1.2.2).
pub(crate) fn draw_serial(entropy: &dyn Entropy) -> [u8; 16] {
    let mut serial = [0; 16];
    entropy.fill(&mut serial);
    serial[0] = serial[0] & 0x7f | 0x40;
    serial
}

fn is_issued_by_name(subject: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> bool {
    match (X509Certificate::from_der(subject), X509Certificate::from_der(issuer)) {
        (Ok((_, subject)), Ok((_, issuer))) => subject.issuer().as_raw() == issuer.subject().as_raw(),
        _ => false,
    }
}

fn same_key(key: &SubjectPublicKeyInfo<'_>, signer: &dyn Signer) -> bool {
    Lent::new(signer).subject_public_key_info() == key.raw
}

fn trust_domain_of(certificate: &X509Certificate<'_>) -> Option<TrustDomain> {
    let names = certificate.subject_alternative_name().ok()??;
    let mut uris = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let id: SpiffeId = uris.next()?.parse().ok()?;
    (uris.next().is_none() && id.path().is_empty()).then(|| id.trust_domain().clone())
}

fn cause_of(made: Result<Certificate, rcgen::Error>, lent: &Lent<'_>) -> Result<Certificate, NotIssued> {
    made.map_err(|error| lent.failure().map_or(NotIssued::Write(error), NotIssued::Sign))
}

#[cfg(test)]
mod tests {
    //! When a certificate begins and ends.

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_day_begins_a_minute_early() {
        let now = Timestamp::from_unix_millis(1_000_000_500);

        let window = Window::starting(now, Duration::from_secs(86_400), BACKDATE_MAX).unwrap();

        assert_eq!(window.not_before, Timestamp::from_unix_secs(1_000_000 - 60));
        assert_eq!(window.not_after, Timestamp::from_unix_secs(1_000_000 + 86_401));
    }

    #[test]
    fn no_length_is_no_window() {
        let now = Timestamp::from_unix_secs(1_000_000);

        assert!(matches!(Window::starting(now, Duration::ZERO, BACKDATE_MAX), Err(NotIssued::NoTime)));
    }

    proptest! {
        #[test]
        fn a_window_holds_at_once_and_as_long_as_asked(
            now_ms in 1_000_000_000_000_i64..2_000_000_000_000,
            validity_ms in 1_u64..400_000_000_000,
        ) {
            let (now, validity) = (Timestamp::from_unix_millis(now_ms), Duration::from_millis(validity_ms));

            let window = Window::starting(now, validity, BACKDATE_MAX).unwrap();

            prop_assert!(window.holds_at(now));
            prop_assert!(window.holds_at(now.plus(validity)));
            prop_assert!(window.not_after.since(now) < validity + Duration::from_secs(1));
            prop_assert!(now.since(window.not_before) < BACKDATE_MAX + Duration::from_secs(1));
        }
    }

    #[test]
    fn serial_numbers_are_positive_and_of_one_length() {
        #[derive(Debug)]
        struct Only(u8);
        impl Entropy for Only {
            fn fill(&self, out: &mut [u8]) {
                out.fill(self.0);
            }
        }

        assert_eq!(draw_serial(&Only(0))[0], 0x40);
        assert_eq!(draw_serial(&Only(0xff))[0], 0x7f);
    }
}
