//! The certificate of a development machine's edge, no part of the mesh: browsers and curl verify it by name.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mcp_pki::{EdgeCa, LocalSigner, Signer as _};
use mcp_runtime::{Failure, Shell};
use mcp_svid::{is_signed_by, not_after, pem};
use mcp_types::Timestamp;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use crate::files::{private, private_folder, public, read};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How long the authority holds, which people lay into their browsers.
const CA_LIFE: Duration = Duration::from_secs(5 * 365 * 24 * 3600);

/// How long a leaf holds. Browsers take less and less; this is within what they take for locally trusted roots.
const LEAF_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

/// Where the edge's certificate lies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EdgeFiles {
    /// PEM of the authority: for `curl --cacert`, or a browser's trust store.
    pub ca: PathBuf,
    /// PEM of the leaf and, after it, its authority.
    pub chain: PathBuf,
    /// PEM of the leaf's key, for its owner alone.
    pub key: PathBuf,
}

/// Sees to it that `folder` holds a certificate for localhost, 127.0.0.1 and ::1 and the local authority that signed it,
/// each with at least a third of its life left.
///
/// # Errors
///
/// Outside the development profile, and where a file cannot be read or written.
pub fn ensure(folder: &Path, shell: &Shell) -> Result<EdgeFiles, Failure> {
    if !shell.profile.is_development() {
        return Err(Failure::config("only the development profile makes its own edge certificate")
            .advise("name the files of a certificate that your clients trust: `gateway.certificate`"));
    }
    private_folder(folder)?;
    let files =
        EdgeFiles { ca: folder.join("ca.pem"), chain: folder.join("chain.pem"), key: folder.join("key.pem") };
    let ca = authority(&files.ca, &folder.join("ca-key.pem"), shell)?;
    if !holds(&files, &ca, shell.clock.now())? {
        let leaf = ca
            .issue(shell.clock.now(), LEAF_LIFE, &*shell.entropy)
            .map_err(|source| Failure::software("no certificate for the edge").because(source))?;
        private(&files.key, &pem::from_private_key(&leaf.key))?;
        public(&files.chain, &pem::from_certificates(&leaf.chain))?;
        tracing::info!(until = %leaf.not_after, "made a certificate for the edge");
    }
    Ok(files)
}

/// The authority in the two files, or a new one where there is none that can be used.
fn authority(certificate: &Path, key: &Path, shell: &Shell) -> Result<EdgeCa, Failure> {
    let now = shell.clock.now();
    if let (Some(certificate), Some(key)) = (read(certificate)?, read(key)?) {
        match loaded(&certificate, &key) {
            Ok(ca) if ca.not_after().since(now) >= CA_LIFE / 3 => return Ok(ca),
            Ok(_) => {
                tracing::warn!("the edge's local authority ends soon; its successor must be trusted anew");
            }
            Err(error) => tracing::warn!(%error, "the edge's local authority cannot be used; making another"),
        }
    }
    let cannot = |source: Box<dyn std::error::Error + Send + Sync>| {
        Failure::software("no local authority for the edge").because(source)
    };
    let ca = EdgeCa::create(now, CA_LIFE, &*shell.entropy).map_err(|source| cannot(source.into()))?;
    let exported = ca.export_key().ok_or_else(|| cannot("the key cannot be kept".into()))?;
    let exported = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(exported.as_slice()));
    private(key, &pem::from_private_key(&exported))?;
    public(certificate, &pem::from_certificates(std::slice::from_ref(ca.certificate())))?;
    Ok(ca)
}

fn loaded(certificate: &str, key: &str) -> Result<EdgeCa, Box<dyn std::error::Error + Send + Sync>> {
    let certificate = pem::certificates(certificate)?.swap_remove(0);
    let signer = LocalSigner::from_pkcs8(pem::private_key(key)?.secret_der())?;
    Ok(EdgeCa::load(certificate, Arc::new(signer))?)
}

/// Whether chain and key belong together and to `ca`, and will hold for a while.
fn holds(files: &EdgeFiles, ca: &EdgeCa, now: Timestamp) -> Result<bool, Failure> {
    let (Some(chain), Some(key)) = (read(&files.chain)?, read(&files.key)?) else { return Ok(false) };
    let (Ok(chain), Ok(key)) = (pem::certificates(&chain), pem::private_key(&key)) else { return Ok(false) };
    let [leaf, issuer] = &*chain else { return Ok(false) };
    let left = not_after(leaf).map_or(Duration::ZERO, |end| end.since(now));
    Ok(left >= LEAF_LIFE / 3
        && left <= LEAF_LIFE + DAY
        && issuer == ca.certificate()
        && is_signed_by(leaf, issuer)
        && is_key_of(&key, leaf))
}

fn is_key_of(key: &PrivateKeyDer<'_>, certificate: &CertificateDer<'_>) -> bool {
    match (LocalSigner::from_pkcs8(key.secret_der()), X509Certificate::from_der(certificate)) {
        (Ok(signer), Ok((_, parsed))) => *signer.public_key() == *parsed.public_key().subject_public_key.data,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    //! When the files stay and when they are made anew.

    use std::{fs, os::unix::fs::PermissionsExt as _};

    use mcp_runtime::Profile;
    use mcp_testkit::ManualClock;

    use super::*;

    struct Edge {
        home: tempfile::TempDir,
        clock: Arc<ManualClock>,
        shell: Shell,
    }

    impl Edge {
        fn new() -> Self {
            let clock = ManualClock::at(1_700_000_000);
            let mut shell = mcp_testkit::shell();
            shell.clock = Arc::clone(&clock) as _;
            Self { home: tempfile::tempdir().expect("a folder"), clock, shell }
        }

        /// The texts of ca, chain and key.
        fn ensured(&self) -> [String; 3] {
            let files = ensure(&self.home.path().join("edge"), &self.shell).expect("ensured");
            [files.ca, files.chain, files.key].map(|file| fs::read_to_string(file).expect("readable"))
        }
    }

    #[test]
    fn the_files_stay_over_restarts() {
        let edge = Edge::new();
        let first = edge.ensured();

        edge.clock.advance(DAY * 59);

        assert_eq!(edge.ensured(), first);
        for secret in ["edge/key.pem", "edge/ca-key.pem"] {
            let mode = fs::metadata(edge.home.path().join(secret)).expect("exists").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{secret}");
        }
    }

    #[test]
    fn the_leaf_is_renewed_in_time_under_the_same_authority() {
        let edge = Edge::new();
        let first = edge.ensured();

        edge.clock.advance(DAY * 61);
        let second = edge.ensured();

        assert_eq!(second[0], first[0]);
        assert_ne!(second[1], first[1]);
    }

    #[test]
    fn an_authority_that_ends_soon_is_replaced_and_its_leaf_with_it() {
        let edge = Edge::new();
        let first = edge.ensured();

        edge.clock.advance(CA_LIFE - CA_LIFE / 3 + DAY);
        let second = edge.ensured();

        assert_ne!(second[0], first[0]);
        assert!(second[1].ends_with(&second[0]));
    }

    #[test]
    fn files_that_do_not_fit_each_other_are_made_anew() {
        let edge = Edge::new();
        let first = edge.ensured();
        let key = Edge::new().ensured()[2].clone();
        fs::write(edge.home.path().join("edge/key.pem"), key).expect("written");

        let second = edge.ensured();

        assert_eq!(second[0], first[0]);
        assert_ne!(second[1], first[1]);
        fs::write(edge.home.path().join("edge/ca-key.pem"), "junk").expect("written");
        assert_ne!(edge.ensured()[0], first[0]);
    }

    #[test]
    fn other_profiles_make_no_certificate() {
        let edge = Edge::new();
        let mut shell = edge.shell.clone();
        shell.profile = Profile::Production;

        assert_eq!(ensure(edge.home.path(), &shell).expect_err("refused").exit_code(), 78);
    }
}
