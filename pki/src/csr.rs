//! What a certificate request may say: its key, and perhaps its own ID. Everything else is the authority's to say.

use mcp_svid::{BadSpiffeId, SpiffeId};
use rcgen::SubjectPublicKeyInfo;
use x509_parser::{
    certification_request::X509CertificationRequest,
    cri_attributes::ParsedCriAttribute,
    extensions::{GeneralName, ParsedExtension, X509Extension},
    oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_SIG_ED25519},
    prelude::FromDer as _,
    x509::{SubjectPublicKeyInfo as ParsedKey, X509Version},
};

/// A request for a P-384 key with every allowed extension has about 500 bytes.
const REQUEST_BYTES_MAX: usize = 8 * 1024;

/// What the authority knows of the asker, by other means than the request.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Who is asking: proved by a join token, or by the certificate that is being renewed.
    pub id: &'a SpiffeId,
}

/// A request that was found to be its asker's, and to ask for nothing that is not: the way to a certificate.
#[derive(Clone, Debug)]
pub struct CheckedCsr {
    id: SpiffeId,
    public_key: SubjectPublicKeyInfo,
}

/// Why a request was refused.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrRefused {
    /// Larger than any honest request.
    #[error("the request has more than {REQUEST_BYTES_MAX} bytes")]
    TooLarge,
    /// It is not DER of a PKCS#10 request (RFC 2986), or one of its extensions is broken.
    #[error("the request is malformed")]
    Malformed,
    /// The key is RSA, on another curve, or not written as TLS peers expect it.
    #[error("the request's key is neither on P-256 or P-384 nor Ed25519")]
    KeyNotAllowed,
    /// The asker does not hold the key, or the request was altered.
    #[error("the request is not signed by its own key")]
    BadSignature,
    /// It carries an attribute other than one list of extensions.
    #[error("the request carries the attribute {oid}")]
    UnexpectedAttribute {
        /// The attribute's object identifier, dotted.
        oid: String,
    },
    /// The same attribute or extension stands there twice, so that two readers may read two things.
    #[error("the request repeats {oid}")]
    Repeated {
        /// The object identifier, dotted.
        oid: String,
    },
    /// It asks for an extension that leaves here do not have.
    #[error("the request asks for the extension {oid}")]
    UnexpectedExtension {
        /// The extension's object identifier, dotted.
        oid: String,
    },
    /// It asks to be an authority.
    #[error("the request asks for an authority's certificate")]
    AsksToBeAuthority,
    /// It asks for a key usage or a purpose beyond digital signatures in TLS.
    #[error("the request asks for a key usage other than TLS")]
    UnexpectedUsage,
    /// It names more than one URI.
    #[error("the request names several URIs")]
    SeveralUris,
    /// It names a URI that is no SPIFFE ID.
    #[error("the request names a URI that is no SPIFFE ID")]
    NotSpiffe(#[source] BadSpiffeId),
    /// It names somebody else.
    #[error("the request names {asked} and not {expected}")]
    AnotherId {
        /// Who is asking.
        expected: SpiffeId,
        /// Whom it names.
        asked: SpiffeId,
    },
    /// It names a DNS name, an address or the like, which are the authority's to give.
    #[error("the request names something other than a URI")]
    UnexpectedName,
}

/// Checks a request against what is known of its asker.
///
/// The subject is not looked at: it is never copied, and tools insist on writing one.
///
/// # Errors
///
/// Where the request asks for anything that its asker may not have, or is not signed by its own key.
pub fn check_csr(der: &[u8], expected: Expected<'_>) -> Result<CheckedCsr, CsrRefused> {
    if der.len() > REQUEST_BYTES_MAX {
        return Err(CsrRefused::TooLarge);
    }
    let (rest, request) = X509CertificationRequest::from_der(der).map_err(|_| CsrRefused::Malformed)?;
    let info = &request.certification_request_info;
    if !rest.is_empty() || info.version != X509Version::V1 {
        return Err(CsrRefused::Malformed);
    }
    if !is_allowed(&info.subject_pki) {
        return Err(CsrRefused::KeyNotAllowed);
    }
    // Before the rest is interpreted: nothing unsigned is worth an answer.
    request.verify_signature().map_err(|_| CsrRefused::BadSignature)?;
    let public_key =
        SubjectPublicKeyInfo::from_der(info.subject_pki.raw).map_err(|_| CsrRefused::KeyNotAllowed)?;

    let attributes = info.attributes();
    for (at, attribute) in attributes.iter().enumerate() {
        let oid = || attribute.oid.to_id_string();
        if attributes.iter().take(at).any(|earlier| earlier.oid == attribute.oid) {
            return Err(CsrRefused::Repeated { oid: oid() });
        }
        match attribute.parsed_attribute() {
            ParsedCriAttribute::ExtensionRequest(asked) => check_extensions(&asked.extensions, expected)?,
            _ => return Err(CsrRefused::UnexpectedAttribute { oid: oid() }),
        }
    }
    Ok(CheckedCsr { id: expected.id.clone(), public_key })
}

// === impl CheckedCsr ===

impl CheckedCsr {
    /// For whom the request was checked.
    pub const fn id(&self) -> &SpiffeId {
        &self.id
    }

    pub(crate) const fn public_key(&self) -> &SubjectPublicKeyInfo {
        &self.public_key
    }
}

fn is_allowed(key: &ParsedKey<'_>) -> bool {
    let bits = &*key.subject_public_key.data;
    let is_point = |length: usize| bits.len() == length && bits.first() == Some(&4);
    if key.algorithm.algorithm == OID_SIG_ED25519 {
        return key.algorithm.parameters.is_none() && bits.len() == 32;
    }
    if key.algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY {
        return false;
    }
    // A named curve and an uncompressed point: parameters of the asker's own could hide a weak curve.
    match key.algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok()) {
        Some(curve) if curve == OID_EC_P256 => is_point(65),
        Some(curve) if curve == OID_NIST_EC_P384 => is_point(97),
        _ => false,
    }
}

fn check_extensions(extensions: &[X509Extension<'_>], expected: Expected<'_>) -> Result<(), CsrRefused> {
    for (at, extension) in extensions.iter().enumerate() {
        let oid = || extension.oid.to_id_string();
        if extensions.iter().take(at).any(|earlier| earlier.oid == extension.oid) {
            return Err(CsrRefused::Repeated { oid: oid() });
        }
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => check_names(&names.general_names, expected)?,
            ParsedExtension::BasicConstraints(constraints) if constraints.ca => {
                return Err(CsrRefused::AsksToBeAuthority);
            }
            ParsedExtension::BasicConstraints(_) => {}
            ParsedExtension::KeyUsage(usage) if usage.key_cert_sign() || usage.crl_sign() => {
                return Err(CsrRefused::AsksToBeAuthority);
            }
            // Bit 0 is digitalSignature (RFC 5280, section 4.2.1.3).
            ParsedExtension::KeyUsage(usage) if usage.flags & !1 != 0 => {
                return Err(CsrRefused::UnexpectedUsage);
            }
            ParsedExtension::KeyUsage(_) => {}
            ParsedExtension::ExtendedKeyUsage(usage)
                if usage.any
                    || usage.code_signing
                    || usage.email_protection
                    || usage.time_stamping
                    || usage.ocsp_signing
                    || !usage.other.is_empty() =>
            {
                return Err(CsrRefused::UnexpectedUsage);
            }
            ParsedExtension::ExtendedKeyUsage(_) => {}
            ParsedExtension::ParseError { .. } => return Err(CsrRefused::Malformed),
            _ => return Err(CsrRefused::UnexpectedExtension { oid: oid() }),
        }
    }
    Ok(())
}

fn check_names(names: &[GeneralName<'_>], expected: Expected<'_>) -> Result<(), CsrRefused> {
    match *names {
        [] => Ok(()),
        [GeneralName::URI(uri)] => {
            let asked: SpiffeId = uri.parse().map_err(CsrRefused::NotSpiffe)?;
            if asked == *expected.id {
                Ok(())
            } else {
                Err(CsrRefused::AnotherId { expected: expected.id.clone(), asked })
            }
        }
        _ if names.iter().all(|name| matches!(name, GeneralName::URI(_))) => Err(CsrRefused::SeveralUris),
        _ => Err(CsrRefused::UnexpectedName),
    }
}
