//! The text form of certificates and keys (RFC 7468).

use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{PemObject as _, SectionKind},
};
use zeroize::Zeroizing;

/// Why a text holds no certificates or no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadPem {
    /// A section is cut short or is not base64.
    #[error("the PEM text is broken")]
    Broken(#[source] rustls_pki_types::pem::Error),
    /// The text has no `CERTIFICATE` section.
    #[error("the PEM text holds no certificate")]
    NoCertificate,
    /// The text has no `PRIVATE KEY` section, or an encrypted one.
    #[error("the PEM text holds no private key in the clear")]
    NoKey(#[source] rustls_pki_types::pem::Error),
    /// A private key lies among the certificates, where it would be handed out with them.
    #[error("the PEM text of the certificates holds a private key")]
    KeyAmongCertificates,
}

/// Reads every certificate of `pem`, in order.
///
/// # Errors
///
/// Where there is none, one is broken, or a private key lies among them.
pub fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, BadPem> {
    let mut certificates = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem.as_bytes()) {
        match section.map_err(BadPem::Broken)? {
            (SectionKind::Certificate, der) => certificates.push(der.into()),
            (SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey, der) => {
                drop(Zeroizing::new(der));
                return Err(BadPem::KeyAmongCertificates);
            }
            _ => {}
        }
    }
    if certificates.is_empty() { Err(BadPem::NoCertificate) } else { Ok(certificates) }
}

/// Reads the first private key of `pem`.
///
/// # Errors
///
/// Where there is none in the clear.
pub fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, BadPem> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(BadPem::NoKey)
}

/// Writes certificates, in order.
pub fn from_certificates(certificates: &[CertificateDer<'_>]) -> String {
    let mut text = String::new();
    for certificate in certificates {
        section(&mut text, "CERTIFICATE", certificate);
    }
    text
}

/// Writes a private key.
pub fn from_private_key(key: &PrivateKeyDer<'_>) -> Zeroizing<String> {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        _ => "PRIVATE KEY",
    };
    let der = key.secret_der();
    // Room for all of it, so that growing leaves no copy of the key behind.
    let mut text = Zeroizing::new(String::with_capacity(der.len() * 3 / 2 + 128));
    section(&mut text, label, der);
    text
}

fn section(text: &mut String, label: &str, der: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    text.extend(["-----BEGIN ", label, "-----\n"]);
    // 48 bytes make a line of 64 characters.
    for line in der.chunks(48) {
        for group in line.chunks(3) {
            let bits =
                group.iter().enumerate().fold(0, |bits, (at, &byte)| bits | u32::from(byte) << (16 - 8 * at));
            for at in 0..4 {
                let digit = ALPHABET[(bits >> (18 - 6 * at)) as usize & 63];
                text.push(if at <= group.len() { char::from(digit) } else { '=' });
            }
        }
        text.push('\n');
    }
    text.extend(["-----END ", label, "-----\n"]);
}

#[cfg(test)]
mod tests {
    //! Text in, text out.

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(ders in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 1..4)) {
            let ders: Vec<CertificateDer<'static>> = ders.into_iter().map(Into::into).collect();

            prop_assert_eq!(certificates(&from_certificates(&ders)).unwrap(), ders);
        }
    }

    #[test]
    fn lines_are_of_64_characters() {
        let text = from_certificates(&[vec![7; 100].into()]);

        let lengths: Vec<_> = text.lines().map(str::len).collect();
        assert_eq!(lengths, [27, 64, 64, 8, 25]);
    }

    #[test]
    fn a_key_among_certificates_is_refused() {
        let pem = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

        assert!(matches!(certificates(pem), Err(BadPem::KeyAmongCertificates)));
    }

    #[test]
    fn nothing_is_no_certificate() {
        assert!(matches!(certificates("no PEM at all\n"), Err(BadPem::NoCertificate)));
        assert!(matches!(certificates("-----BEGIN CERTIFICATE-----\n"), Err(BadPem::Broken(_))));
        assert!(matches!(private_key(""), Err(BadPem::NoKey(_))));
    }
}
