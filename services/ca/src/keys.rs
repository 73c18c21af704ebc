//! Root and issuing authority at rest: key and certificate sealed as one, so that no crash can part them.

use std::{sync::Arc, time::Duration};

use mcp_pki::{IssuingCa, LocalSigner, RootCa};
use mcp_runtime::{Failure, Shell};
use mcp_secrets::{Secret, SecretPath, Secrets};
use mcp_types::{Timestamp, TrustDomain};
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long a root holds.
pub(crate) const ROOT_LIFE: Duration = Duration::from_secs(10 * YEAR.as_secs());

/// How long an issuing authority holds.
pub(crate) const ISSUING_LIFE: Duration = YEAR;

const ROOT: &str = "authority/root";
const ISSUING: &str = "authority/issuing";

/// The authorities' keeper.
#[derive(Debug)]
pub(crate) struct Keys {
    secrets: Arc<dyn Secrets>,
}

// === impl Keys ===

impl Keys {
    /// Keeps them in `secrets`.
    pub(crate) fn new(secrets: Arc<dyn Secrets>) -> Self {
        Self { secrets }
    }

    /// The root of `trust_domain`, made at the first call.
    pub(crate) async fn root(&self, trust_domain: &TrustDomain, shell: &Shell) -> Result<RootCa, Failure> {
        let kept = match self.get(ROOT).await? {
            Some(kept) => kept,
            None => {
                let made = RootCa::create(trust_domain, shell.clock.now(), ROOT_LIFE, &*shell.entropy);
                let made =
                    made.map_err(|source| Failure::software("the ca's root was not made").because(source))?;
                tracing::info!(%trust_domain, "made the root of the trust domain");
                let made = sealed(made.certificate(), made.export_key())?;
                let path = path(ROOT)?;
                self.secrets.put_if_absent(&path, made).await.map_err(|source| unusable(ROOT, source))?
            }
        };
        let (certificate, signer) = opened(ROOT, &kept)?;
        let root = RootCa::load(certificate, signer).map_err(|source| unusable(ROOT, source))?;
        if root.trust_domain() != trust_domain {
            return Err(Failure::config(format!(
                "the ca's root is of trust domain {}, and `mesh.trust_domain` is {trust_domain}",
                root.trust_domain()
            ))
            .advise("put the trust domain back, or begin a new mesh in another `mesh.state_dir`"));
        }
        Ok(root)
    }

    /// The issuing authority below `root`, made at the first call and again once less than a third of it is left.
    pub(crate) async fn issuing(&self, root: &RootCa, shell: &Shell) -> Result<IssuingCa, Failure> {
        if let Some(kept) = self.get(ISSUING).await? {
            let (certificate, signer) = opened(ISSUING, &kept)?;
            let issuing = IssuingCa::load(certificate, signer).map_err(|source| unusable(ISSUING, source))?;
            if !issuing.is_signed_by(root.certificate()) {
                return Err(
                    Failure::config("the ca's issuing authority is not signed by its root").advise(ADVICE)
                );
            }
            if !is_due(&issuing, shell.clock.now()) {
                return Ok(issuing);
            }
        }
        self.new_issuing(root, shell).await
    }

    async fn new_issuing(&self, root: &RootCa, shell: &Shell) -> Result<IssuingCa, Failure> {
        let now = shell.clock.now();
        let issuing = root
            .issue_issuing_ca(now, ISSUING_LIFE, &*shell.entropy)
            .map_err(|source| Failure::software("the ca's issuing authority was not made").because(source))?;
        let kept = sealed(issuing.certificate(), issuing.export_key())?;
        self.secrets.put(&path(ISSUING)?, kept).await.map_err(|source| unusable(ISSUING, source))?;
        tracing::info!(until = %issuing.not_after(), "made an issuing authority");
        Ok(issuing)
    }

    async fn get(&self, name: &'static str) -> Result<Option<Secret>, Failure> {
        self.secrets.get(&path(name)?).await.map_err(|source| unusable(name, source))
    }
}

/// Whether less than a third of the authority's life is left.
pub(crate) fn is_due(issuing: &IssuingCa, now: Timestamp) -> bool {
    issuing.not_after().since(now) < ISSUING_LIFE / 3
}

const ADVICE: &str = "put the folder `secrets` and the file `master.key` of the ca's `mesh.state_dir` back from a backup; \
                      a new root would be one that no service trusts";

fn path(name: &'static str) -> Result<SecretPath, Failure> {
    name.parse().map_err(|source| Failure::software("a secret of the ca has no path").because(source))
}

fn unusable(name: &str, source: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::config_because(format!("cannot use the ca's `{name}`"), source).advise(ADVICE)
}

/// The certificate's length in four bytes, the certificate, the key as PKCS#8.
fn sealed(certificate: &CertificateDer<'_>, key: Option<Zeroizing<Vec<u8>>>) -> Result<Secret, Failure> {
    let key = key.ok_or_else(|| Failure::software("a fresh key of the ca cannot be kept"))?;
    let length = u32::try_from(certificate.len())
        .map_err(|source| Failure::software("a certificate of the ca cannot be kept").because(source))?;
    let mut text = Vec::with_capacity(4 + certificate.len() + key.len());
    text.extend_from_slice(&length.to_be_bytes());
    text.extend_from_slice(certificate);
    text.extend_from_slice(&key);
    Ok(Secret::new(text))
}

fn opened(name: &'static str, kept: &Secret) -> Result<(CertificateDer<'static>, Arc<LocalSigner>), Failure> {
    let malformed = || Failure::config(format!("the ca's `{name}` is malformed")).advise(ADVICE);
    let (length, rest) = kept.expose().split_first_chunk::<4>().ok_or_else(malformed)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| malformed())?;
    let (certificate, key) = rest.split_at_checked(length).ok_or_else(malformed)?;
    let signer = LocalSigner::from_pkcs8(key).map_err(|source| unusable(name, source))?;
    Ok((certificate.to_vec().into(), Arc::new(signer)))
}
