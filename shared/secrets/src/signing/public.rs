//! The half of a signing key that everybody may see.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// An uncompressed point: its form, and two coordinates of 32 bytes (SEC 1, section 2.3.3).
const POINT_BYTES: usize = 65;

/// A public key on P-256, named by its thumbprint (RFC 7638).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PublicKey {
    x: String,
    y: String,
    kid: String,
}

// === impl PublicKey ===

impl PublicKey {
    /// The key of an uncompressed point; `None` where it is none.
    pub fn from_point(point: &[u8]) -> Option<Self> {
        let (&4, coordinates) = point.split_first()? else { return None };
        if point.len() != POINT_BYTES {
            return None;
        }
        let (x, y) = coordinates.split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        // The required members alone, in this order, without white space (RFC 7638, section 3.2).
        let text = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()));
        Some(Self { x, y, kid })
    }

    /// The key of a `SubjectPublicKeyInfo` in PEM; `None` where it is of another kind.
    pub fn from_pem(pem: &str) -> Option<Self> {
        use base64::engine::general_purpose::STANDARD;

        let body = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?;
        let body: String = body.strip_suffix("-----END PUBLIC KEY-----")?.split_whitespace().collect();
        let der = STANDARD.decode(body).ok()?;
        let point = der.strip_prefix(SPKI_PREFIX)?;
        Self::from_point(point)
    }

    /// Its name, as a token's header has it.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key as a JSON Web Key (RFC 7517).
    pub fn jwk(&self) -> String {
        let Self { x, y, kid } = self;
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}","use":"sig","alg":"ES256","kid":"{kid}"}}"#)
    }
}

/// The DER before the point in a P-256 `SubjectPublicKeyInfo` (RFC 5480, section 2).
const SPKI_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

#[cfg(test)]
mod tests {
    //! Points in their forms.

    use super::*;

    /// As OpenBao printed it.
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEp/xW6P8Q0hEM+4mWpTDbhf1mULPI\n\
        hylHlWBKCeAVHtI2EkWCoA7lkhWwjQBs0mulHJ3a2NsQwOXRwt/Mtu/Tcw==\n\
        -----END PUBLIC KEY-----\n";

    #[test]
    fn pem_and_point_are_the_same_key() {
        let from_pem = PublicKey::from_pem(PEM).expect("a key");
        let jwk: serde_json::Value = serde_json::from_str(&from_pem.jwk()).expect("json");
        let coordinate =
            |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().expect("text")).expect("base64url");
        let point = [vec![4], coordinate("x"), coordinate("y")].concat();
        assert_eq!(PublicKey::from_point(&point), Some(from_pem.clone()));
        assert_eq!(jwk["kid"], from_pem.kid());
    }

    #[test]
    fn what_is_no_point_on_p256_is_no_key() {
        assert_eq!(PublicKey::from_point(&[]), None);
        assert_eq!(PublicKey::from_point(&[4; 64]), None);
        assert_eq!(PublicKey::from_point(&[2; 65]), None);
        assert_eq!(PublicKey::from_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"), None);
        assert_eq!(PublicKey::from_pem("junk"), None);
    }
}
