//! One certificate for each clause of X509-SVID, good and bad.

#![expect(clippy::unwrap_used, reason = "a test may say plainly that a thing must be so")]

mod support;

use mcp_svid::{BadSpiffeId, BadSvid, Svid, peer_id};
use mcp_types::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose as Purpose, IsCa, SanType,
};
use rcgen::{KeyUsagePurpose as Usage, string::Ia5String};
use rustls_pki_types::CertificateDer;

use self::support::{Ca, NOT_AFTER_S, NOT_BEFORE_S, svid};

const ID: &str = "spiffe://mcp.local/service/auth";

type Change = fn(&mut CertificateParams);

#[test]
fn a_leaf_that_keeps_every_clause_is_read() {
    let read = Svid::read(&certificate(|_| {})).unwrap();

    assert_eq!(read.id, ID.parse().unwrap());
    assert_eq!(read.not_before, Timestamp::from_unix_secs(NOT_BEFORE_S));
    assert_eq!(read.not_after, Timestamp::from_unix_secs(NOT_AFTER_S));
}

#[test]
fn these_are_believed() {
    let good: [(&str, Change); 6] = [
        ("no extended key usage", |leaf| leaf.extended_key_usages.clear()),
        ("a third purpose", |leaf| leaf.extended_key_usages.push(Purpose::EmailProtection)),
        ("no basic constraints", |leaf| leaf.is_ca = IsCa::NoCa),
        ("further usages", |leaf| leaf.key_usages.extend([Usage::KeyAgreement, Usage::KeyEncipherment])),
        ("no DNS name", |leaf| leaf.subject_alt_names.truncate(1)),
        ("an unknown extension", |leaf| {
            leaf.custom_extensions.push(extension(&[1, 3, 6, 1, 4, 1, 99999, 1], false));
        }),
    ];

    for (what, change) in good {
        assert_eq!(peer_id(&certificate(change)), Ok(ID.parse().unwrap()), "{what}");
    }
}

#[test]
fn each_broken_clause_is_named() {
    let bad: [(BadSvid, Change); 18] = [
        (BadSvid::NoUri, |leaf| leaf.subject_alt_names.clear()),
        (BadSvid::NoUri, |leaf| leaf.subject_alt_names.retain(|name| !matches!(name, SanType::URI(_)))),
        (BadSvid::SeveralUris(2), |leaf| leaf.subject_alt_names.push(uri("spiffe://mcp.local/service/ca"))),
        (BadSvid::SeveralUris(2), |leaf| leaf.subject_alt_names.push(uri("https://mcp.local/"))),
        (BadSvid::SeveralUris(2), |leaf| leaf.subject_alt_names.push(uri(ID))),
        (BadSvid::NotSpiffe(BadSpiffeId::Scheme), |leaf| renamed(leaf, "https://mcp.local/service/auth")),
        (BadSvid::NotSpiffe(BadSpiffeId::TrustDomain), |leaf| renamed(leaf, "spiffe:///service/auth")),
        (BadSvid::NotSpiffe(BadSpiffeId::Segment), |leaf| renamed(leaf, "spiffe://mcp.local/service/../ca")),
        (BadSvid::NoPath, |leaf| renamed(leaf, "spiffe://mcp.local")),
        (BadSvid::Authority, |leaf| leaf.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
        (BadSvid::NoKeyUsage, |leaf| leaf.key_usages.clear()),
        (BadSvid::NoDigitalSignature, |leaf| leaf.key_usages = vec![Usage::KeyAgreement]),
        (BadSvid::SignsCertificates, |leaf| leaf.key_usages.push(Usage::KeyCertSign)),
        (BadSvid::SignsRevocations, |leaf| leaf.key_usages.push(Usage::CrlSign)),
        (BadSvid::WrongPurpose, |leaf| leaf.extended_key_usages = vec![Purpose::ServerAuth]),
        (BadSvid::WrongPurpose, |leaf| leaf.extended_key_usages = vec![Purpose::ClientAuth]),
        (BadSvid::WrongPurpose, |leaf| leaf.extended_key_usages = vec![Purpose::Any]),
        (BadSvid::KeyUsageNotCritical, |leaf| {
            // The same bits, digitalSignature alone, in an extension that is not critical.
            leaf.key_usages.clear();
            leaf.custom_extensions.push(CustomExtension::from_oid_content(KEY_USAGE, vec![3, 2, 7, 0x80]));
        }),
    ];

    for (clause, change) in bad {
        assert_eq!(peer_id(&certificate(change)), Err(clause));
    }
}

#[test]
fn an_extension_that_stands_there_twice_is_refused() {
    let twice = certificate(|leaf| {
        leaf.custom_extensions.push(CustomExtension::from_oid_content(KEY_USAGE, vec![3, 2, 7, 0x80]));
    });

    assert_eq!(peer_id(&twice), Err(BadSvid::RepeatedExtension));
}

#[test]
fn an_extension_that_cannot_be_read_is_not_an_absent_one() {
    let broken = certificate(|leaf| {
        leaf.is_ca = IsCa::NoCa;
        leaf.custom_extensions.push(extension(&[2, 5, 29, 19], true));
    });

    assert_eq!(peer_id(&broken), Err(BadSvid::Malformed));
}

#[test]
fn bytes_that_are_no_certificate_are_refused() {
    let whole = certificate(|_| {});
    let mut longer = whole.to_vec();
    longer.push(0);

    assert_eq!(peer_id(&longer.into()), Err(BadSvid::Malformed));
    for length in 0..whole.len() {
        assert_eq!(peer_id(&whole[..length].into()), Err(BadSvid::Malformed), "cut at {length}");
    }
}

#[test]
fn no_flipped_bit_makes_the_reader_panic() {
    let whole = certificate(|_| {});
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let _ = peer_id(&flipped.into());
    }
}

#[test]
fn a_certificate_holds_through_its_last_second() {
    let read = Svid::read(&certificate(|_| {})).unwrap();

    for (at_ms, current) in [
        (NOT_BEFORE_S * 1000 - 1, false),
        (NOT_BEFORE_S * 1000, true),
        (NOT_AFTER_S * 1000 + 999, true),
        (NOT_AFTER_S * 1000 + 1000, false),
    ] {
        assert_eq!(read.is_current(Timestamp::from_unix_millis(at_ms)), current, "{at_ms}");
    }
}

const KEY_USAGE: &[u64] = &[2, 5, 29, 15];

fn certificate(change: Change) -> CertificateDer<'static> {
    let mut params = svid(ID);
    change(&mut params);
    let (chain, _) = Ca::new("clauses").issue(&params);
    chain[0].clone()
}

fn uri(text: &str) -> SanType {
    SanType::URI(Ia5String::try_from(text).unwrap())
}

fn renamed(leaf: &mut CertificateParams, text: &str) {
    leaf.subject_alt_names[0] = uri(text);
}

fn extension(oid: &[u64], critical: bool) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, vec![4, 1, 0]);
    extension.set_criticality(critical);
    extension
}
