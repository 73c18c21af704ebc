//! The roots that are trusted, as one versioned value.

use aws_lc_rs::digest::{SHA256, digest};
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;

use crate::{BadPem, pem};

/// The roots of a trust domain: what it takes to believe a certificate of the mesh.
///
/// A bundle is replaced whole, by one with a higher version. More than one root stands in it while a root is rotated.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrustBundle {
    /// Grows by each change.
    pub version: u64,
    /// The roots' certificates.
    pub roots: Vec<CertificateDer<'static>>,
}

/// Why nothing can be verified against a bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadBundle {
    /// The bundle trusts nobody.
    #[error("the trust bundle holds no root")]
    Empty,
    /// The text is not the PEM of certificates.
    #[error("the trust bundle cannot be read")]
    Pem(#[from] BadPem),
    /// One of the roots is no certificate.
    #[error("a root of the trust bundle is no certificate")]
    Root(#[source] rustls::Error),
}

/// The pin of a certificate: the SHA-256 of its DER.
pub fn pin(certificate: &CertificateDer<'_>) -> [u8; 32] {
    let mut pin = [0; 32];
    pin.copy_from_slice(digest(&SHA256, certificate).as_ref());
    pin
}

// === impl TrustBundle ===

impl TrustBundle {
    /// The roots in rustls's form.
    ///
    /// # Errors
    ///
    /// Where there is no root, or one that is no certificate.
    pub fn root_store(&self) -> Result<RootCertStore, BadBundle> {
        if self.roots.is_empty() {
            return Err(BadBundle::Empty);
        }
        let mut store = RootCertStore::empty();
        for root in &self.roots {
            store.add(root.clone()).map_err(BadBundle::Root)?;
        }
        Ok(store)
    }

    /// The pins of the roots, in their order.
    pub fn pins(&self) -> Vec<[u8; 32]> {
        self.roots.iter().map(pin).collect()
    }

    /// The roots as PEM; the version is not in it.
    pub fn to_pem(&self) -> String {
        pem::from_certificates(&self.roots)
    }

    /// Reads a bundle's roots from PEM.
    ///
    /// # Errors
    ///
    /// Where the text holds no certificate, or a key, or one of the certificates cannot be read.
    pub fn from_pem(version: u64, pem: &str) -> Result<Self, BadBundle> {
        let bundle = Self { version, roots: pem::certificates(pem)? };
        bundle.root_store()?;
        Ok(bundle)
    }
}
