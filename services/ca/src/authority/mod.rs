//! What may be issued to whom: a join token's service its first certificate, a certificate's holder the next one.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use aws_lc_rs::digest::{SHA256, digest};
use mcp_pki::{
    CsrRefused, Expected, IssuedLeaf, IssuingCa, NotIssued, Profile, RootCa, check_csr, trust_bundle,
};
use mcp_rpc::{JoinToken, MeshConfig};
use mcp_runtime::{Failure, Shell};
use mcp_store::StoreError;
use mcp_svid::{Identity, SpiffeId, TrustBundle, make_csr, pin};
use mcp_tenancy::{PeerIdentity, PlatformScope};
use mcp_types::{ServiceName, Timestamp, TrustDomain};
use tokio::sync::watch;
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};
use zeroize::Zeroizing;

use crate::{
    config::Config,
    keys::{self, Keys},
    store::{Attestation, CertificateRow, Registry as _, Rows, Sha256, Spent, TokenRow},
};

/// The version of the only bundle there is: this ca has one root for its whole life.
const BUNDLE_VERSION: u64 = 1;

/// The certificate authority of one trust domain, open. Clones share it.
///
/// The process that embeds it is its operator: what it hands out here needs no call.
#[derive(Clone)]
pub struct Authority {
    inner: Arc<Inner>,
}

struct Inner {
    trust_domain: TrustDomain,
    name: ServiceName,
    service_profile: Profile,
    operator_ttl: Duration,
    join_token_ttl: Duration,
    records_kept: Duration,
    keys: Keys,
    root: RootCa,
    issuing: RwLock<Arc<IssuingCa>>,
    registry: Rows,
    bundle: watch::Sender<Arc<TrustBundle>>,
    shell: Shell,
}

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The join token is no longer good.
    #[error("the join token is {0}")]
    Token(Spent),
    /// The request asks for what its asker may not have.
    #[error("the certificate request is refused")]
    Csr(#[source] CsrRefused),
    /// The ca's own name was asked for: nobody else may be it.
    #[error("the ca gives its own name to nobody")]
    OwnName,
    /// Whoever asks to renew showed no certificate.
    #[error("nobody asks")]
    Nobody,
    /// The registry could not serve; nothing was handed out.
    #[error("cannot keep the registry")]
    Store(#[from] StoreError),
    /// The issuing authority failed.
    #[error("no certificate was issued")]
    NotIssued(#[source] NotIssued),
    /// What was issued cannot be read.
    #[error("the issued certificate is malformed")]
    Malformed,
}

// === impl Authority ===

impl Authority {
    /// Opens the authority in `mesh.state_dir`, making root and issuing authority at the first start.
    ///
    /// # Errors
    ///
    /// Where the configuration does not hold, another process has the authority open, or a key cannot be used.
    pub async fn open(config: &Config, mesh: &MeshConfig, shell: &Shell) -> Result<Self, Failure> {
        config.check()?;
        let folder = &mesh.state_dir;
        let name: ServiceName =
            "ca".parse().map_err(|bad| Failure::software("the ca has no name of its own").because(bad))?;
        let keepers = mcp_secrets::open(&config.secrets, &name, folder, shell)
            .await
            .map_err(|source| Failure::config_because("cannot open the ca's secrets", source))?;
        let keys = Keys::new(Arc::clone(&keepers.secrets));
        let root = keys.root(&mesh.trust_domain, shell).await?;
        let issuing = keys.issuing(&root, shell).await?;
        let registry = Rows::open(&config.store, folder, &name, &keepers, shell)
            .await
            .map_err(|source| Failure::unavailable("cannot use the ca's registry").because(source))?;
        let bundle = trust_bundle(BUNDLE_VERSION, &[&root]);
        Ok(Self {
            inner: Arc::new(Inner {
                trust_domain: mesh.trust_domain.clone(),
                name,
                service_profile: config.service_profile(),
                operator_ttl: config.operator_ttl(),
                join_token_ttl: config.join_token_ttl(),
                records_kept: config.records_kept(),
                keys,
                root,
                issuing: RwLock::new(Arc::new(issuing)),
                registry,
                bundle: watch::channel(Arc::new(bundle)).0,
                shell: shell.clone(),
            }),
        })
    }

    /// Makes a join token for `service`, good once and for `ttl`, or for as long as is configured.
    ///
    /// # Errors
    ///
    /// Where the registry cannot be written, or `service` is the ca itself.
    pub async fn create_join_token(
        &self,
        service: &ServiceName,
        ttl: Option<Duration>,
    ) -> Result<JoinToken, Failure> {
        let made = self.new_join_token(&PlatformScope::of_the_platform_itself(), service, ttl).await;
        let cannot = |source| Failure::unavailable(format!("no join token for {service}")).because(source);
        made.map(|(token, _)| token).map_err(cannot)
    }

    /// Issues a certificate for the operator `name`, for `ttl` or for as long as is configured: chain and key as PEM.
    ///
    /// # Errors
    ///
    /// Where `name` is no segment of a SPIFFE ID, or the registry cannot be written.
    pub async fn issue_operator(
        &self,
        name: &str,
        ttl: Option<Duration>,
    ) -> Result<(String, Zeroizing<String>), Failure> {
        self.operator_identity(name, ttl).await.map(|identity| identity.to_pem())
    }

    /// Whom to trust, as PEM.
    pub fn trust_bundle_pem(&self) -> String {
        self.bundle().to_pem()
    }

    /// Whom to trust.
    pub(crate) fn bundle(&self) -> TrustBundle {
        TrustBundle::clone(&self.inner.bundle.borrow())
    }

    /// Hears of each change of whom to trust.
    pub(crate) fn bundles(&self) -> watch::Receiver<Arc<TrustBundle>> {
        self.inner.bundle.subscribe()
    }

    /// The shell that the authority lives in.
    pub(crate) fn shell(&self) -> &Shell {
        &self.inner.shell
    }

    /// The ca's own name as a service.
    pub(crate) fn name(&self) -> &ServiceName {
        &self.inner.name
    }

    /// A join token, and when it ends.
    pub(crate) async fn new_join_token(
        &self,
        scope: &PlatformScope,
        service: &ServiceName,
        ttl: Option<Duration>,
    ) -> Result<(JoinToken, Timestamp), Refused> {
        let inner = &self.inner;
        if *service == inner.name {
            return Err(Refused::OwnName);
        }
        let mut secret = Zeroizing::new([0; 32]);
        inner.shell.entropy.fill(&mut *secret);
        let token = JoinToken::new(pin(inner.root.certificate()), *secret);
        let created = inner.shell.clock.now();
        let expires = created.plus(ttl.unwrap_or(inner.join_token_ttl));
        let row = TokenRow {
            secret_sha256: sha256(&*secret),
            service: service.clone(),
            created,
            expires,
            used: None,
        };
        inner.registry.add_token(scope, &row).await?;
        Ok((token, expires))
    }

    /// Issues the first certificate of the service that `token` is for, and uses the token up.
    ///
    /// A request that is refused leaves the token good: its holder may ask again, and nobody else has it.
    pub(crate) async fn issue_for_token(
        &self,
        scope: &PlatformScope,
        token: &str,
        csr: &[u8],
    ) -> Result<IssuedLeaf, Refused> {
        let inner = &self.inner;
        let token: JoinToken = token.parse().map_err(|_| Refused::Token(Spent::Unknown))?;
        if !self.bundle().pins().contains(&token.root_pin()) {
            return Err(Refused::Token(Spent::Unknown));
        }
        let hash = sha256(token.secret());
        // Looked at without a lock first, so that guessing costs a read. Whether it is used up is decided below.
        let row = inner.registry.token(scope, &hash).await?.ok_or(Refused::Token(Spent::Unknown))?;
        row.check(inner.shell.clock.now()).map_err(Refused::Token)?;
        let id = SpiffeId::service(&inner.trust_domain, &row.service);
        let (leaf, certificate) =
            self.sign(csr, &id, &inner.service_profile, Attestation::JoinToken(hash))?;
        if inner.registry.redeem(scope, &hash, &certificate).await? {
            Ok(leaf)
        } else {
            Err(Refused::Token(Spent::Used))
        }
    }

    /// Issues the next certificate of `peer`: for the identity that its certificate proved, and for no other.
    pub(crate) async fn renew(
        &self,
        scope: &PlatformScope,
        peer: &PeerIdentity,
        csr: &[u8],
    ) -> Result<IssuedLeaf, Refused> {
        let inner = &self.inner;
        let shown = peer.certificate_sha256().ok_or(Refused::Nobody)?;
        let (id, profile) = match (peer.service_name(), peer.operator_name()) {
            (Some(name), _) => {
                let name = name.parse().map_err(|_| Refused::Nobody)?;
                (SpiffeId::service(&inner.trust_domain, &name), inner.service_profile.clone())
            }
            (None, Some(name)) => {
                let id = SpiffeId::operator(&inner.trust_domain, name).map_err(|_| Refused::Nobody)?;
                (id, Profile::operator(inner.operator_ttl))
            }
            (None, None) => return Err(Refused::Nobody),
        };
        self.sign_and_record(scope, csr, &id, &profile, Attestation::Certificate(*shown)).await
    }

    /// Issues the ca's own certificate.
    pub(crate) async fn own_identity(&self) -> Result<Identity, Failure> {
        let id = SpiffeId::service(&self.inner.trust_domain, &self.inner.name);
        self.identity(&id, &self.inner.service_profile).await
    }

    /// Issues an operator's certificate.
    pub(crate) async fn operator_identity(
        &self,
        name: &str,
        ttl: Option<Duration>,
    ) -> Result<Identity, Failure> {
        let id = SpiffeId::operator(&self.inner.trust_domain, name)
            .map_err(|source| Failure::config_because(format!("`{name}` is no operator's name"), source))?;
        self.identity(&id, &Profile::operator(ttl.unwrap_or(self.inner.operator_ttl))).await
    }

    /// Makes a new issuing authority where less than a third of the old one's life is left, and forgets old records.
    pub(crate) async fn tidy_up(&self) -> Result<(), Failure> {
        let (inner, now) = (&self.inner, self.inner.shell.clock.now());
        if keys::is_due(&self.issuing(), now) {
            let issuing = Arc::new(inner.keys.issuing(&inner.root, &inner.shell).await?);
            *inner.issuing.write().unwrap_or_else(PoisonError::into_inner) = issuing;
        }
        let scope = PlatformScope::of_the_platform_itself();
        let forgotten = inner
            .registry
            .forget(&scope, now.minus(inner.records_kept))
            .await
            .map_err(|source| Failure::unavailable("cannot tidy the ca's registry").because(source))?;
        if forgotten > 0 {
            tracing::info!(rows = forgotten, kept = ?inner.records_kept, "the ca forgot old records");
        }
        Ok(())
    }

    /// Closes the registry.
    pub(crate) async fn close(&self) {
        self.inner.registry.close().await;
    }

    async fn identity(&self, id: &SpiffeId, profile: &Profile) -> Result<Identity, Failure> {
        let cannot = |source: Box<dyn std::error::Error + Send + Sync>| {
            Failure::unavailable(format!("no certificate for {id}")).because(source)
        };
        let (csr, key) = make_csr(Some(id)).map_err(|source| cannot(source.into()))?;
        let scope = PlatformScope::of_the_platform_itself();
        let leaf = self
            .sign_and_record(&scope, &csr, id, profile, Attestation::Ca)
            .await
            .map_err(|source| cannot(source.into()))?;
        Identity::new(leaf.chain, key).map_err(|source| cannot(source.into()))
    }

    async fn sign_and_record(
        &self,
        scope: &PlatformScope,
        csr: &[u8],
        id: &SpiffeId,
        profile: &Profile,
        attestation: Attestation,
    ) -> Result<IssuedLeaf, Refused> {
        let (leaf, certificate) = self.sign(csr, id, profile, attestation)?;
        self.inner.registry.record(scope, &certificate).await?;
        Ok(leaf)
    }

    /// Signs a certificate that must not leave before its row is written.
    fn sign(
        &self,
        csr: &[u8],
        id: &SpiffeId,
        profile: &Profile,
        attestation: Attestation,
    ) -> Result<(IssuedLeaf, CertificateRow), Refused> {
        let shell = &self.inner.shell;
        let issued = shell.clock.now();
        let checked = check_csr(csr, Expected { id }).map_err(Refused::Csr)?;
        let leaf = self
            .issuing()
            .issue(&checked, id, profile, issued, &*shell.entropy)
            .map_err(Refused::NotIssued)?;
        let der = leaf.chain.first().ok_or(Refused::Malformed)?;
        let (_, parsed) = X509Certificate::from_der(der).map_err(|_| Refused::Malformed)?;
        let row = CertificateRow {
            serial: leaf.serial,
            id: id.clone(),
            attestation,
            issued,
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            public_key_sha256: sha256(parsed.public_key().raw),
            certificate_sha256: pin(der),
        };
        metrics::counter!("mcp_certificates_issued_total", "attestation" => attestation.name()).increment(1);
        Ok((leaf, row))
    }

    fn issuing(&self) -> Arc<IssuingCa> {
        Arc::clone(&self.inner.issuing.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The certificates on record, oldest first: whose, by what, and the hash of what was shown.
    #[cfg(test)]
    pub(crate) async fn record(&self) -> Vec<(String, String, Option<Vec<u8>>)> {
        self.inner.registry.certificates(&PlatformScope::of_the_platform_itself()).await
    }

    /// When the issuing authority ends.
    #[cfg(test)]
    pub(crate) fn issuing_ends(&self) -> Timestamp {
        self.issuing().not_after()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("trust_domain", &self.inner.trust_domain).finish_non_exhaustive()
    }
}

fn sha256(bytes: &[u8]) -> Sha256 {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

#[cfg(test)]
mod tests;
