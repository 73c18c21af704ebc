//! Asking for a certificate: a fresh key, and a request that it signs (RFC 2986).

use rcgen::{CertificateParams, DistinguishedName, KeyPair, SanType};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroize as _;

use crate::SpiffeId;

/// The request could not be made: the machine had no randomness, or no memory.
#[derive(Debug, thiserror::Error)]
#[error("the certificate request was not made")]
pub struct CsrNotMade(#[source] rcgen::Error);

/// Makes a P-256 key and the DER of a request for it, which names `id` where the asker knows its own.
///
/// The names and the validity are the authority's to decide; the request carries nothing else.
///
/// # Errors
///
/// Where the key cannot be made.
pub fn make_csr(id: Option<&SpiffeId>) -> Result<(Vec<u8>, PrivateKeyDer<'static>), CsrNotMade> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if let Some(id) = id {
        let uri = id.as_str().try_into().map_err(CsrNotMade)?;
        params.subject_alt_names.push(SanType::URI(uri));
    }
    let mut key = KeyPair::generate().map_err(CsrNotMade)?;
    let request = params.serialize_request(&key).map_err(CsrNotMade);
    let der = PrivatePkcs8KeyDer::from(key.serialize_der());
    key.zeroize();
    Ok((request?.der().to_vec(), der.into()))
}
