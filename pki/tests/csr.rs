//! What requests may not say: one attack a line.
#![expect(clippy::unwrap_used, reason = "a test may say plainly that a thing must be so")]

use mcp_pki::{CsrRefused, Expected, check_csr};
use mcp_svid::{BadSpiffeId, SpiffeId, make_csr};
use rcgen::{
    Attribute, BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose as Purpose,
    IsCa, KeyPair, KeyUsagePurpose as Usage, RsaKeySize, SanType, SignatureAlgorithm,
};
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer as _};

const ID: &str = "spiffe://mcp.local/service/auth";

type Change = fn(&mut CertificateParams);

#[test]
fn a_request_for_a_key_and_nothing_else_is_granted() {
    for id in [None, Some(&id())] {
        let (request, _) = make_csr(id).unwrap();

        assert_eq!(check(&request).unwrap().id(), &self::id());
    }
}

#[test]
fn these_keys_are_taken() {
    let algorithms: [&SignatureAlgorithm; 3] =
        [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519];

    for algorithm in algorithms {
        let key = KeyPair::generate_for(algorithm).unwrap();
        assert!(check(&request_by(&key, |_| {})).is_ok(), "{algorithm:?}");
    }
}

#[test]
fn these_keys_are_refused() {
    let keys = [
        KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap(),
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P521_SHA512).unwrap(),
    ];

    for key in keys {
        assert_eq!(refusal(&request_by(&key, |_| {})), CsrRefused::KeyNotAllowed, "{:?}", key.algorithm());
    }
}

#[test]
fn a_request_may_repeat_what_it_will_get() {
    let harmless: [Change; 5] = [
        |asked| asked.subject_alt_names = vec![uri(ID)],
        |asked| asked.key_usages = vec![Usage::DigitalSignature],
        |asked| asked.extended_key_usages = vec![Purpose::ServerAuth, Purpose::ClientAuth],
        |asked| asked.is_ca = IsCa::ExplicitNoCa,
        |asked| asked.distinguished_name.push(rcgen::DnType::CommonName, "ignored"),
    ];

    for (at, change) in harmless.into_iter().enumerate() {
        assert!(check(&request(change)).is_ok(), "{at}");
    }
}

#[test]
fn each_attack_is_refused_by_its_name() {
    let another = |asked: &str| CsrRefused::AnotherId { expected: id(), asked: asked.parse().unwrap() };
    let attacks: [(CsrRefused, Change); 22] = [
        (another("spiffe://mcp.local/service/ca"), |asked| {
            names(asked, [uri("spiffe://mcp.local/service/ca")]);
        }),
        (another("spiffe://mcp.local/operator/auth"), |asked| {
            names(asked, [uri("spiffe://mcp.local/operator/auth")]);
        }),
        (another("spiffe://other.local/service/auth"), |asked| {
            names(asked, [uri("spiffe://other.local/service/auth")]);
        }),
        (another("spiffe://mcp.local/service/Auth"), |asked| {
            names(asked, [uri("spiffe://mcp.local/service/Auth")]);
        }),
        (another("spiffe://mcp.local"), |asked| names(asked, [uri("spiffe://mcp.local")])),
        (CsrRefused::NotSpiffe(BadSpiffeId::Segment), |asked| {
            names(asked, [uri("spiffe://mcp.local/service/auth/../ca")]);
        }),
        (CsrRefused::NotSpiffe(BadSpiffeId::Scheme), |asked| {
            names(asked, [uri("https://mcp.local/service/auth")]);
        }),
        (CsrRefused::SeveralUris, |asked| names(asked, [uri(ID), uri("spiffe://mcp.local/service/ca")])),
        (CsrRefused::SeveralUris, |asked| names(asked, [uri(ID), uri(ID)])),
        (CsrRefused::UnexpectedName, |asked| {
            names(asked, [uri(ID), SanType::DnsName("bank.example".try_into().unwrap())]);
        }),
        (CsrRefused::UnexpectedName, |asked| {
            names(asked, [SanType::DnsName("localhost".try_into().unwrap())]);
        }),
        (CsrRefused::UnexpectedName, |asked| names(asked, [SanType::IpAddress([10, 0, 0, 1].into())])),
        (CsrRefused::UnexpectedName, |asked| {
            names(asked, [SanType::Rfc822Name("a@b.example".try_into().unwrap())]);
        }),
        (CsrRefused::AsksToBeAuthority, |asked| asked.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        (CsrRefused::AsksToBeAuthority, |asked| asked.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
        (CsrRefused::AsksToBeAuthority, |asked| {
            asked.key_usages = vec![Usage::DigitalSignature, Usage::KeyCertSign];
        }),
        (CsrRefused::AsksToBeAuthority, |asked| asked.key_usages = vec![Usage::CrlSign]),
        (CsrRefused::UnexpectedUsage, |asked| asked.key_usages = vec![Usage::KeyAgreement]),
        (CsrRefused::UnexpectedUsage, |asked| asked.extended_key_usages = vec![Purpose::Any]),
        (CsrRefused::UnexpectedUsage, |asked| asked.extended_key_usages = vec![Purpose::CodeSigning]),
        // Name constraints, and an extension that nobody knows.
        (unexpected("2.5.29.30"), |asked| {
            asked.custom_extensions = vec![extension(&[2, 5, 29, 30], &[0x30, 0])];
        }),
        (unexpected("1.3.6.1.4.1.99999.1"), |asked| {
            asked.custom_extensions = vec![extension(&[1, 3, 6, 1, 4, 1, 99999, 1], &[5, 0])];
        }),
    ];

    for (why, change) in attacks {
        assert_eq!(refusal(&request(change)), why);
    }
}

#[test]
fn an_extension_asked_for_twice_is_refused() {
    let request = request(|asked| {
        names(asked, [uri(ID)]);
        // A second subjectAltName, with the ca's name.
        let other = b"spiffe://mcp.local/service/ca";
        let length = u8::try_from(other.len()).unwrap();
        let content = [&[0x30, length + 2, 0x86, length], &other[..]].concat();
        asked.custom_extensions = vec![extension(&[2, 5, 29, 17], &content)];
    });

    assert_eq!(refusal(&request), CsrRefused::Repeated { oid: "2.5.29.17".into() });
}

#[test]
fn an_extension_that_cannot_be_read_is_refused() {
    let request = request(|asked| asked.custom_extensions = vec![extension(&[2, 5, 29, 19], &[4, 1, 0])]);

    assert_eq!(refusal(&request), CsrRefused::Malformed);
}

#[test]
fn a_second_list_of_extensions_is_refused() {
    let second = Attribute {
        oid: &[1, 2, 840, 113549, 1, 9, 14],
        // SET { SEQUENCE { basicConstraints of no authority } }: harmless, were it not the second list.
        values: vec![
            0x31, 0x0d, 0x30, 0x0b, 0x30, 0x09, 0x06, 0x03, 0x55, 0x1d, 0x13, 0x04, 0x02, 0x30, 0x00,
        ],
    };

    assert_eq!(
        refusal(&with_attribute(second, |asked| names(asked, [uri(ID)]))),
        CsrRefused::Repeated { oid: "1.2.840.113549.1.9.14".into() }
    );
}

#[test]
fn another_attribute_is_refused() {
    // challengePassword and unstructuredName, each a SET of one UTF8String.
    for (oid, text) in [
        (&[1_u64, 2, 840, 113549, 1, 9, 7], "1.2.840.113549.1.9.7"),
        (&[1, 2, 840, 113549, 1, 9, 2], "1.2.840.113549.1.9.2"),
    ] {
        let attribute = Attribute { oid, values: vec![0x31, 0x04, 0x0c, 0x02, b'h', b'i'] };

        assert_eq!(
            refusal(&with_attribute(attribute, |_| {})),
            CsrRefused::UnexpectedAttribute { oid: text.into() }
        );
    }
}

#[test]
fn a_request_that_its_key_did_not_sign_is_refused() {
    // The signature stands last; the public key's point is where the request says it is.
    let (mut forged, _) = make_csr(Some(&id())).unwrap();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(refusal(&forged), CsrRefused::BadSignature);

    // Somebody else's key in a request that the asker signed.
    let (mine, theirs) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let request = request_by(&mine, |_| {});
    let at = request.windows(65).position(|bytes| bytes == mine.public_key_raw()).unwrap();
    let mut stolen = request;
    stolen[at..at + 65].copy_from_slice(theirs.public_key_raw());
    assert_eq!(refusal(&stolen), CsrRefused::BadSignature);

    // Another name after signing.
    let (mut renamed, _) = make_csr(Some(&id())).unwrap();
    let at = renamed.windows(4).position(|bytes| bytes == b"auth").unwrap();
    renamed[at..at + 4].copy_from_slice(b"evil");
    assert_eq!(refusal(&renamed), CsrRefused::BadSignature);
}

#[test]
fn bytes_that_are_no_request_are_refused() {
    let (request, _) = make_csr(None).unwrap();
    let longer = [&request[..], &[0]].concat();

    assert_eq!(refusal(&longer), CsrRefused::Malformed);
    assert_eq!(refusal(&vec![0x30; 8193]), CsrRefused::TooLarge);
    for length in 0..request.len() {
        assert_eq!(refusal(&request[..length]), CsrRefused::Malformed, "cut at {length}");
    }
}

#[test]
fn no_flipped_bit_of_what_is_signed_or_of_the_signature_is_granted() {
    let (request, _) = make_csr(Some(&id())).unwrap();
    let (_, parsed) = X509CertificationRequest::from_der(&request).unwrap();
    for part in [parsed.certification_request_info.raw, &parsed.signature_value.data] {
        let start = request.windows(part.len()).position(|bytes| bytes == part).unwrap();
        for bit in start * 8..(start + part.len()) * 8 {
            let mut flipped = request.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&flipped).is_err(), "bit {bit}");
        }
    }
}

fn id() -> SpiffeId {
    ID.parse().unwrap()
}

fn check(request: &[u8]) -> Result<mcp_pki::CheckedCsr, CsrRefused> {
    check_csr(request, Expected { id: &id() })
}

fn refusal(request: &[u8]) -> CsrRefused {
    check(request).unwrap_err()
}

fn request(change: Change) -> Vec<u8> {
    request_by(&KeyPair::generate().unwrap(), change)
}

fn request_by(key: &KeyPair, change: Change) -> Vec<u8> {
    let mut params = CertificateParams::default();
    change(&mut params);
    params.serialize_request(key).unwrap().der().to_vec()
}

fn with_attribute(attribute: Attribute, change: Change) -> Vec<u8> {
    let mut params = CertificateParams::default();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    params.serialize_request_with_attributes(&key, vec![attribute]).unwrap().der().to_vec()
}

fn names<const N: usize>(asked: &mut CertificateParams, names: [SanType; N]) {
    asked.subject_alt_names = names.into();
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn extension(oid: &[u64], content: &[u8]) -> CustomExtension {
    CustomExtension::from_oid_content(oid, content.to_vec())
}

fn unexpected(oid: &str) -> CsrRefused {
    CsrRefused::UnexpectedExtension { oid: oid.into() }
}
