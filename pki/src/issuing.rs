//! The issuing authority: signs leaves for checked requests.

use std::{net::IpAddr, sync::Arc, time::Duration};

use mcp_svid::{SpiffeId, Svid, is_signed_by};
use mcp_types::{Entropy, Timestamp, TrustDomain};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use crate::{
    BadAuthority, CheckedCsr, NotIssued, Signer,
    authority::{Authority, BACKDATE_MAX, draw_serial},
};

/// The longest common name that X.509 allows (RFC 5280, appendix A.1, `ub-common-name`).
const COMMON_NAME_MAX: usize = 64;

/// An authority that signs the leaves of one trust domain.
#[derive(Clone, Debug)]
pub struct IssuingCa {
    authority: Authority,
    trust_domain: TrustDomain,
}

/// What a leaf is like, whoever it is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Profile {
    /// How long it holds from now on. It never outlives its authority.
    pub validity: Duration,
    /// How far before now it begins, at most, for peers whose clocks are behind; a tenth of `validity` where that is less.
    pub backdate_max: Duration,
    /// The DNS names that ordinary clients may verify, beside the service's own.
    pub dns_names: Vec<String>,
    /// The addresses that ordinary clients may verify.
    pub ip_addresses: Vec<IpAddr>,
}

/// A certificate, fresh from the authority.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct IssuedLeaf {
    /// The leaf and, after it, the authority that signed it.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's number, big-endian.
    pub serial: [u8; 16],
    /// The first moment at which it holds.
    pub not_before: Timestamp,
    /// The last second in which it holds.
    pub not_after: Timestamp,
}

// === impl IssuingCa ===

impl IssuingCa {
    pub(crate) const fn new(authority: Authority, trust_domain: TrustDomain) -> Self {
        Self { authority, trust_domain }
    }

    /// Takes an issuing authority's certificate and its key.
    ///
    /// # Errors
    ///
    /// Where the certificate is no authority's, or the key is not its own.
    pub fn load(certificate: CertificateDer<'static>, signer: Arc<dyn Signer>) -> Result<Self, BadAuthority> {
        let (authority, trust_domain) = Authority::load(certificate, signer)?;
        Ok(Self { authority, trust_domain: trust_domain.ok_or(BadAuthority::NoTrustDomain)? })
    }

    /// Certifies the key of `csr` as that of `id`.
    ///
    /// Everything in the certificate but the key is the authority's own word: the one URI is `id`, the names are those
    /// of `profile` and, for a service, its name.
    ///
    /// # Errors
    ///
    /// Where `csr` was checked for another ID, `id` is of another trust domain, the authority is not valid now, or its
    /// signer fails.
    pub fn issue(
        &self,
        csr: &CheckedCsr,
        id: &SpiffeId,
        profile: &Profile,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<IssuedLeaf, NotIssued> {
        if csr.id() != id {
            return Err(NotIssued::AnotherId { checked: csr.id().clone(), asked: id.clone() });
        }
        if *id.trust_domain() != self.trust_domain {
            return Err(NotIssued::AnotherTrustDomain { id: id.clone() });
        }
        let window = self.authority.window_within(now, profile.validity, profile.backdate_max)?;
        let serial = draw_serial(entropy);
        let mut params = window.params(serial)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        name(&mut params, id, profile)?;
        let leaf = self.authority.sign(&params, csr.public_key())?;

        // Held to what a peer will hold it to, before it leaves.
        let svid = Svid::read(&leaf).map_err(NotIssued::Misissued)?;
        if svid.id != *id {
            return Err(NotIssued::AnotherId { checked: svid.id, asked: id.clone() });
        }
        Ok(IssuedLeaf {
            chain: vec![leaf, self.authority.certificate.clone()],
            serial,
            not_before: window.not_before,
            not_after: window.not_after,
        })
    }

    /// Whether `root` signed this authority.
    pub fn is_signed_by(&self, root: &CertificateDer<'_>) -> bool {
        is_signed_by(&self.authority.certificate, root)
    }

    /// The certificate: what follows each leaf in its chain.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.authority.certificate
    }

    /// The realm whose leaves this authority signs.
    pub const fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The last second in which the authority may sign.
    pub const fn not_after(&self) -> Timestamp {
        self.authority.window.not_after
    }

    /// The key as PKCS#8, where it is here to be had.
    pub fn export_key(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.authority.signer.export_pkcs8()
    }
}

// === impl Profile ===

impl Profile {
    /// An operator's certificate: it calls and never listens, so that it needs no DNS name and no address.
    pub const fn operator(validity: Duration) -> Self {
        Self { validity, backdate_max: BACKDATE_MAX, dns_names: Vec::new(), ip_addresses: Vec::new() }
    }
}

impl Default for Profile {
    /// A service's certificate of a day, also by the names under which it is reached on its own machine.
    fn default() -> Self {
        Self {
            validity: Duration::from_secs(24 * 60 * 60),
            backdate_max: BACKDATE_MAX,
            dns_names: vec!["localhost".into()],
            ip_addresses: vec![std::net::Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()],
        }
    }
}

fn name(params: &mut CertificateParams, id: &SpiffeId, profile: &Profile) -> Result<(), NotIssued> {
    params.subject_alt_names.push(SanType::URI(id.as_str().try_into()?));
    let mut dns_names: Vec<&str> = id.service_name().into_iter().collect();
    for dns_name in &profile.dns_names {
        if !dns_names.contains(&&**dns_name) {
            dns_names.push(dns_name);
        }
    }
    for dns_name in dns_names {
        params.subject_alt_names.push(SanType::DnsName(dns_name.try_into()?));
    }
    params.subject_alt_names.extend(profile.ip_addresses.iter().copied().map(SanType::IpAddress));
    // For people who read certificates; nothing compares it.
    if let Some(segment) = id.path().rsplit('/').next().filter(|segment| segment.len() <= COMMON_NAME_MAX) {
        params.distinguished_name.push(DnType::CommonName, segment);
    }
    Ok(())
}
