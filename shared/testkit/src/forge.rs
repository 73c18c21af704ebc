//! Tokens that must be refused, made from one that is genuine and from the keys that everybody may read.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

/// The DER before the point in a P-256 `SubjectPublicKeyInfo` (RFC 5480, section 2).
const SPKI_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A token that must be refused.
#[derive(Clone, Debug)]
pub struct Forgery {
    /// What was tried, for the message of a test that fails.
    pub name: String,
    /// The token.
    pub token: String,
}

/// Joins header, claims and what `sign` makes of them to a JWS (RFC 7515, section 3.1).
pub fn jws(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let signature = sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The header and the claims of `token`.
///
/// # Panics
///
/// Where it is no JWS.
pub fn open(token: &str) -> (Value, Value) {
    let part = |index| {
        let text = token.split('.').nth(index).expect("a JWS has three parts");
        let json = URL_SAFE_NO_PAD.decode(text).expect("a part of a JWS is base64url");
        serde_json::from_slice(&json).expect("header and claims are JSON")
    };
    (part(0), part(1))
}

/// A token signed with HMAC-SHA-256 under `key`.
pub fn hs256(header: &Value, claims: &Value, key: &[u8]) -> String {
    let mut header = header.clone();
    header["alg"] = json!("HS256");
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    jws(&header, claims, |signed| hmac::sign(&key, signed).as_ref().to_vec())
}

/// A token signed by a key that nobody knows, under whatever `kid` the header names.
pub fn by_a_stranger(header: &Value, claims: &Value) -> String {
    signed_by(&stranger(), header, claims)
}

/// Every forgery that needs no more than the genuine `token` and the published `jwks`.
///
/// # Panics
///
/// Where `token` or `jwks` are not what they should be.
pub fn all(token: &str, jwks: &str) -> Vec<Forgery> {
    let (header, claims) = open(token);
    let (signed, signature) = token.rsplit_once('.').expect("a JWS has three parts");
    let mut forgeries = Vec::new();
    let mut add = |name: &str, token: String| forgeries.push(Forgery { name: name.into(), token });

    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let unsigned = jws(&with(&header, "alg", json!(alg)), &claims, |_| Vec::new());
        add(&format!("alg `{alg}` without a signature"), unsigned);
    }
    add("no signature", format!("{signed}."));
    add("no third part", signed.into());
    for (form, key) in public_key_forms(jwks) {
        add(&format!("HS256 under the public key as {form}"), hs256(&header, &claims, &key));
    }
    add("HS256 under no key", hs256(&header, &claims, b""));
    // CVE-2022-21449: both halves of the signature zero.
    add("a signature of zeros", format!("{signed}.{}", URL_SAFE_NO_PAD.encode([0; 64])));
    let body = URL_SAFE_NO_PAD.encode(with(&claims, "tenant", json!("victim")).to_string());
    add("another tenant under the old signature", {
        format!("{}.{body}.{signature}", signed.split('.').next().unwrap_or_default())
    });
    add("a stranger's signature under the true kid", by_a_stranger(&header, &claims));
    let unknown = with(&header, "kid", json!("../../../../dev/null"));
    add("a stranger's signature under an unknown kid", by_a_stranger(&unknown, &claims));

    let key = stranger();
    let jwk = jwk(key.public_key().as_ref());
    add("a key brought along in `jwk`", signed_by(&key, &with(&header, "jwk", jwk), &claims));
    for member in ["jku", "x5u"] {
        let header = with(&header, member, json!("https://stranger.test/keys"));
        add(&format!("a key named by `{member}`"), signed_by(&key, &header, &claims));
    }
    add("an extension named in `crit`", by_a_stranger(&with(&header, "crit", json!(["exp"])), &claims));
    for typ in ["JWT", "at+jwt", "txntoken+jwt"].map(|typ| json!(typ)) {
        if header["typ"] != typ {
            add(&format!("typ {typ}"), by_a_stranger(&with(&header, "typ", typ), &claims));
        }
    }
    forgeries
}

/// The public keys in `jwks` in every form that a confused verifier may take for a shared secret.
fn public_key_forms(jwks: &str) -> Vec<(&'static str, Vec<u8>)> {
    let set: Value = serde_json::from_str(jwks).expect("a key set is JSON");
    let mut forms = vec![("the key set", jwks.as_bytes().to_vec())];
    for jwk in set["keys"].as_array().expect("a key set has keys") {
        let coordinate = |name| {
            let text = jwk[name].as_str().expect("a P-256 key has two coordinates");
            URL_SAFE_NO_PAD.decode(text).expect("a coordinate is base64url")
        };
        let point = [vec![4], coordinate("x"), coordinate("y")].concat();
        let spki = [SPKI_PREFIX, &point].concat();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            lines(&STANDARD.encode(&spki))
        );
        forms.extend([
            ("a JWK", jwk.to_string().into_bytes()),
            ("a point", point),
            ("PEM without its last line break", pem.trim_end().as_bytes().to_vec()),
            ("PEM", pem.into_bytes()),
            ("SPKI", spki),
        ]);
    }
    forms
}

fn lines(base64: &str) -> String {
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    lines.join("\n")
}

fn stranger() -> EcdsaKeyPair {
    EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("the machine makes keys")
}

fn signed_by(key: &EcdsaKeyPair, header: &Value, claims: &Value) -> String {
    jws(header, claims, |signed| {
        key.sign(&SystemRandom::new(), signed).expect("the machine signs").as_ref().to_vec()
    })
}

fn jwk(point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(32);
    json!({ "kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) })
}

fn with(object: &Value, member: &str, value: Value) -> Value {
    let mut object = object.clone();
    object[member] = value;
    object
}

#[cfg(test)]
mod tests {
    //! Each forgery is refused, and for the reason that it tries.

    use mcp_tenancy::{Denied, TokenKind};
    use mcp_types::{Clock as _, SystemClock};

    use super::*;
    use crate::TestIssuer;

    #[test]
    fn the_platforms_verifier_believes_no_forgery() {
        let issuer = TestIssuer::new();
        let live = issuer.live_access();
        let now = SystemClock.now();
        for (kind, token) in [
            (TokenKind::Access, issuer.access_token(|_| {})),
            (TokenKind::Transaction, issuer.transaction_token(|_| {})),
        ] {
            let forgeries = all(&token, &issuer.jwks(kind));
            assert!(forgeries.len() > 20);
            for Forgery { name, token } in forgeries {
                assert!(live.verify_access(&token, now).is_err(), "{name}");
                assert!(live.verify_transaction(&token, now).is_err(), "{name}");
            }
        }
    }

    #[test]
    fn a_forgery_fails_by_what_it_forges_and_by_nothing_else() {
        let issuer = TestIssuer::new();
        let token = issuer.access_token(|_| {});
        let (header, claims) = open(&token);
        let verify = |token: &str| issuer.live_access().verify_access(token, SystemClock.now()).map(|_| ());

        assert_eq!(verify(&issuer.sign(TokenKind::Access, &header, &claims)), Ok(()));
        assert_eq!(verify(&hs256(&header, &claims, b"")), Err(Denied::Algorithm));
        assert_eq!(verify(&by_a_stranger(&header, &claims)), Err(Denied::Signature));
    }

    #[test]
    fn the_pem_form_is_what_tools_print() {
        let issuer = TestIssuer::new();
        let forms = public_key_forms(&issuer.jwks(TokenKind::Access));
        let spki = &forms.iter().find(|(form, _)| *form == "SPKI").unwrap().1;

        assert_eq!(spki.len(), 91);
        let key = aws_lc_rs::signature::UnparsedPublicKey::new(
            &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED,
            &spki[SPKI_PREFIX.len()..],
        );
        let token = issuer.access_token(|_| {});
        let (signed, signature) = token.rsplit_once('.').unwrap();
        assert!(key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap()).is_ok());
    }
}
