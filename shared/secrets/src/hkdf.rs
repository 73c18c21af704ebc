//! Derives bytes from a key: HKDF (RFC 5869) over SHA-256.

use aws_lc_rs::{
    error::Unspecified,
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
};

struct Length(usize);

/// Fills `out` from a key that is 32 bytes of even chance already, so that it needs no extraction (section 3.3).
pub(crate) fn expand(key: &[u8; 32], info: &[&[u8]], out: &mut [u8]) -> Result<(), Unspecified> {
    Prk::new_less_safe(HKDF_SHA256, key).expand(info, Length(out.len()))?.fill(out)
}

/// Fills `out` from `secret` by way of `salt`.
pub(crate) fn extract_and_expand(
    secret: &[u8],
    salt: &[u8],
    info: &[&[u8]],
    out: &mut [u8],
) -> Result<(), Unspecified> {
    Salt::new(HKDF_SHA256, salt).extract(secret).expand(info, Length(out.len()))?.fill(out)
}

// === impl Length ===

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    //! Against the numbers of the RFC.

    use super::*;

    #[test]
    fn the_first_case_of_rfc_5869_comes_out() {
        let salt = hex::decode("000102030405060708090a0b0c").expect("hex");
        let info = hex::decode("f0f1f2f3f4f5f6f7f8f9").expect("hex");
        let mut out = [0; 42];
        extract_and_expand(&[0x0b; 22], &salt, &[&info], &mut out).expect("derived");
        assert_eq!(
            hex::encode(out),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );

        let prk =
            hex::decode("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5").expect("hex");
        let mut again = [0; 42];
        expand(&prk.try_into().expect("32 bytes"), &[&info], &mut again).expect("derived");
        assert_eq!(again, out);
    }
}
