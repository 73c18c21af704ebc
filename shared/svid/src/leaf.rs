//! What a leaf certificate must say to be believed: X509-SVID, sections 2 to 4, to the letter.
//!
//! Only the certificate's own words are judged here. Who signed it, and whether it is its time, the verifiers in
//! `tls/` find out before they ask.

use mcp_types::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer as _,
};

use crate::{BadSpiffeId, SpiffeId};

/// What a leaf says of its holder.
///
/// A resumed TLS session skips the verifiers: what serves long after the handshake that was verified looks at
/// [`Svid::is_current`] itself, once per connection.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Svid {
    /// The one SPIFFE ID.
    pub id: SpiffeId,
    /// The first moment at which it holds.
    pub not_before: Timestamp,
    /// The last second in which it holds.
    pub not_after: Timestamp,
    /// The issuer's number for it, big-endian, without leading zeros.
    pub serial: Box<[u8]>,
}

/// Which clause a leaf certificate breaks.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BadSvid {
    /// It is not DER of a certificate, or one of its extensions is broken.
    #[error("the certificate is malformed")]
    Malformed,
    /// The same extension stands there twice (RFC 5280, section 4.2), so that two readers may read two things.
    #[error("the certificate repeats an extension")]
    RepeatedExtension,
    /// It names nobody (X509-SVID, section 2).
    #[error("the certificate has no URI among its alternative names")]
    NoUri,
    /// It names more than one (X509-SVID, section 2).
    #[error("the certificate has {0} URIs among its alternative names instead of one")]
    SeveralUris(usize),
    /// It names something else.
    #[error("the certificate's URI is no SPIFFE ID")]
    NotSpiffe(#[source] BadSpiffeId),
    /// It names a trust domain instead of a workload (X509-SVID, section 3.1).
    #[error("the certificate's SPIFFE ID has no path")]
    NoPath,
    /// It may sign others (X509-SVID, section 4.1).
    #[error("the certificate is an authority's")]
    Authority,
    /// It does not say what its key is for (X509-SVID, section 4.3).
    #[error("the certificate has no key usage")]
    NoKeyUsage,
    /// Its key usage may be overlooked by a reader (X509-SVID, section 4.3).
    #[error("the certificate's key usage is not critical")]
    KeyUsageNotCritical,
    /// Its key may not sign a handshake (X509-SVID, section 4.3).
    #[error("the certificate's key is not for digital signatures")]
    NoDigitalSignature,
    /// Its key may sign certificates (X509-SVID, section 4.3).
    #[error("the certificate's key may sign certificates")]
    SignsCertificates,
    /// Its key may sign revocations (X509-SVID, section 4.3).
    #[error("the certificate's key may sign revocation lists")]
    SignsRevocations,
    /// It says for which purposes it is, and TLS on both sides is not among them (X509-SVID, section 4.4).
    #[error("the certificate is not for TLS servers and TLS clients both")]
    WrongPurpose,
}

/// Reads the SPIFFE ID of a leaf certificate.
///
/// # Errors
///
/// Where the certificate breaks a clause of X509-SVID.
pub fn peer_id(der: &CertificateDer<'_>) -> Result<SpiffeId, BadSvid> {
    Svid::read(der).map(|svid| svid.id)
}

/// When a certificate ends, whatever it is for.
pub fn not_after(der: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(Timestamp::from_unix_secs(certificate.validity().not_after.timestamp()))
}

/// Whether `issuer` is whom `subject` names as its issuer, and its key signed it. Nothing else is asked of either.
pub fn is_signed_by(subject: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> bool {
    match (X509Certificate::from_der(subject), X509Certificate::from_der(issuer)) {
        (Ok((_, subject)), Ok((_, issuer))) => {
            subject.issuer() == issuer.subject()
                && subject.verify_signature(Some(issuer.public_key())).is_ok()
        }
        _ => false,
    }
}

// === impl Svid ===

impl Svid {
    /// Reads a leaf certificate.
    ///
    /// # Errors
    ///
    /// Where it breaks a clause of X509-SVID.
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, BadSvid> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| BadSvid::Malformed)?;
        if !rest.is_empty() {
            return Err(BadSvid::Malformed);
        }
        let clauses = Clauses::gather(&certificate)?;
        Ok(Self {
            id: clauses.judge()?,
            not_before: Timestamp::from_unix_secs(certificate.validity.not_before.timestamp()),
            not_after: Timestamp::from_unix_secs(certificate.validity.not_after.timestamp()),
            serial: without_leading_zeros(certificate.raw_serial()).into(),
        })
    }

    /// Whether the certificate holds at `now`: the second of `not_after` is its last (RFC 5280, section 4.1.2.5).
    pub fn is_current(&self, now: Timestamp) -> bool {
        (self.not_before.unix_secs()..=self.not_after.unix_secs()).contains(&now.unix_secs())
    }
}

/// The extensions that the clauses speak of, read in one pass.
#[derive(Default)]
struct Clauses<'a> {
    uris: Vec<&'a str>,
    authority: bool,
    key_usage: Option<KeyUsage>,
    purposes: Option<Purposes>,
}

struct KeyUsage {
    critical: bool,
    digital_signature: bool,
    signs_certificates: bool,
    signs_revocations: bool,
}

struct Purposes {
    server: bool,
    client: bool,
}

// === impl Clauses ===

impl<'a> Clauses<'a> {
    fn gather(certificate: &'a X509Certificate<'_>) -> Result<Self, BadSvid> {
        let mut clauses = Self::default();
        let extensions = certificate.extensions();
        for (at, extension) in extensions.iter().enumerate() {
            if extensions.iter().take(at).any(|earlier| earlier.oid == extension.oid) {
                return Err(BadSvid::RepeatedExtension);
            }
            match extension.parsed_extension() {
                // An extension that cannot be read must not pass for one that is absent.
                ParsedExtension::ParseError { .. } => return Err(BadSvid::Malformed),
                ParsedExtension::SubjectAlternativeName(names) => {
                    for name in &names.general_names {
                        match name {
                            GeneralName::URI(uri) => clauses.uris.push(uri),
                            GeneralName::Invalid(..) => return Err(BadSvid::Malformed),
                            _ => {}
                        }
                    }
                }
                ParsedExtension::BasicConstraints(constraints) => clauses.authority = constraints.ca,
                ParsedExtension::KeyUsage(usage) => {
                    clauses.key_usage = Some(KeyUsage {
                        critical: extension.critical,
                        digital_signature: usage.digital_signature(),
                        signs_certificates: usage.key_cert_sign(),
                        signs_revocations: usage.crl_sign(),
                    });
                }
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    clauses.purposes =
                        Some(Purposes { server: usage.server_auth, client: usage.client_auth });
                }
                _ => {}
            }
        }
        Ok(clauses)
    }

    fn judge(&self) -> Result<SpiffeId, BadSvid> {
        let id: SpiffeId = match *self.uris {
            [] => return Err(BadSvid::NoUri),
            [uri] => uri.parse().map_err(BadSvid::NotSpiffe)?,
            ref several => return Err(BadSvid::SeveralUris(several.len())),
        };
        if id.path().is_empty() {
            return Err(BadSvid::NoPath);
        }
        if self.authority {
            return Err(BadSvid::Authority);
        }
        match &self.key_usage {
            None => return Err(BadSvid::NoKeyUsage),
            Some(usage) if usage.signs_certificates => return Err(BadSvid::SignsCertificates),
            Some(usage) if usage.signs_revocations => return Err(BadSvid::SignsRevocations),
            Some(usage) if !usage.digital_signature => return Err(BadSvid::NoDigitalSignature),
            Some(usage) if !usage.critical => return Err(BadSvid::KeyUsageNotCritical),
            Some(_) => {}
        }
        match &self.purposes {
            Some(Purposes { server: true, client: true }) | None => Ok(id),
            Some(_) => Err(BadSvid::WrongPurpose),
        }
    }
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|&&byte| byte == 0).count();
    &number[zeros..]
}
