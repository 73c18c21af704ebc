//! rustls configs that demand a SPIFFE ID of the other side, and show ours.
//!
//! A config is made for one identity and one bundle and never changed. **Swap the whole config when either changes**:
//! a resumed session is not verified again, so trust that was withdrawn inside a living config lets old sessions
//! back in. Each call here builds a config with a session store of its own, and sessions of the config before find
//! nothing to resume.

mod verify;

use std::{fmt, sync::Arc};

use mcp_types::{Clock, SystemClock};
use rustls::{
    ClientConfig, ServerConfig,
    crypto::CryptoProvider,
    server::{ServerSessionMemoryCache, VerifierBuilderError, WebPkiClientVerifier},
    sign::SingleCertAndKey,
    time_provider::TimeProvider,
    version::{TLS12, TLS13},
};
use rustls_pki_types::UnixTime;

use self::verify::{MeshClients, PinnedServer, SpiffeServer};
use crate::{BadBundle, Identity, SpiffeId, TrustBundle};

pub use self::verify::Stranger;

const PROTOCOLS: [&rustls::SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
const SESSIONS_MAX: usize = 1024;

/// Whether a listener asks its clients who they are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientAuth {
    /// A client without a certificate of the mesh does not get past the handshake.
    Required,
    /// Anyone may connect: the ca's bootstrap port, where nobody has a certificate yet.
    None,
}

/// Why no config could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadTls {
    /// Nothing can be verified against the bundle.
    #[error("the trust bundle cannot be used")]
    Bundle(#[from] BadBundle),
    /// The verifier refused the roots.
    #[error("the client verifier cannot be built")]
    Verifier(#[from] VerifierBuilderError),
    /// The crypto provider lacks a protocol version.
    #[error("the TLS library refused the config")]
    Rustls(#[from] rustls::Error),
}

/// The one crypto provider: aws-lc-rs, hybrid post-quantum key exchange first.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A listener's config: it shows `identity`, speaks HTTP/2 over TLS 1.3 or 1.2, and where clients must prove who
/// they are believes certificates under `bundle` that are X509-SVIDs of the identity's own trust domain.
///
/// # Errors
///
/// Where the bundle has no usable root.
pub fn server_config(
    identity: &Identity,
    bundle: &TrustBundle,
    client_auth: ClientAuth,
) -> Result<Arc<ServerConfig>, BadTls> {
    server_config_by(Arc::new(SystemClock), identity, bundle, client_auth)
}

/// As [`server_config`], by a clock of the caller's.
///
/// # Errors
///
/// Where the bundle has no usable root.
pub fn server_config_by(
    clock: Arc<dyn Clock>,
    identity: &Identity,
    bundle: &TrustBundle,
    client_auth: ClientAuth,
) -> Result<Arc<ServerConfig>, BadTls> {
    let provider = provider();
    let builder = ServerConfig::builder_with_details(provider.clone(), Arc::new(ByClock(clock)))
        .with_protocol_versions(&PROTOCOLS)?;
    let builder = match client_auth {
        ClientAuth::None => builder.with_no_client_auth(),
        ClientAuth::Required => {
            let roots = Arc::new(bundle.root_store()?);
            let chain = WebPkiClientVerifier::builder_with_provider(roots, provider).build()?;
            let trust_domain = identity.id().trust_domain().clone();
            builder.with_client_cert_verifier(Arc::new(MeshClients::new(chain, trust_domain)))
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())));
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
    Ok(Arc::new(config))
}

/// A client's config: it shows `identity` and believes a server whose chain ends under `bundle` and whose SPIFFE ID is
/// `expected`. The server's DNS name and address say nothing.
///
/// # Errors
///
/// Where the bundle has no usable root.
pub fn client_config(
    identity: &Identity,
    bundle: &TrustBundle,
    expected: &SpiffeId,
) -> Result<Arc<ClientConfig>, BadTls> {
    client_config_by(Arc::new(SystemClock), identity, bundle, expected)
}

/// As [`client_config`], by a clock of the caller's.
///
/// # Errors
///
/// Where the bundle has no usable root.
pub fn client_config_by(
    clock: Arc<dyn Clock>,
    identity: &Identity,
    bundle: &TrustBundle,
    expected: &SpiffeId,
) -> Result<Arc<ClientConfig>, BadTls> {
    let provider = provider();
    let verifier = SpiffeServer::new(bundle.root_store()?, expected.clone(), &provider);
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(ByClock(clock)))
        .with_protocol_versions(&PROTOCOLS)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified())));
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// The config of a client that has no certificate yet: it believes the server `expected`, where the chain that the
/// server sends ends in the root whose SHA-256 is `root_pin`.
///
/// # Errors
///
/// Where the crypto provider lacks a protocol version.
pub fn bootstrap_client_config(root_pin: [u8; 32], expected: &SpiffeId) -> Result<Arc<ClientConfig>, BadTls> {
    bootstrap_client_config_by(Arc::new(SystemClock), root_pin, expected)
}

/// As [`bootstrap_client_config`], by a clock of the caller's.
///
/// # Errors
///
/// Where the crypto provider lacks a protocol version.
pub fn bootstrap_client_config_by(
    clock: Arc<dyn Clock>,
    root_pin: [u8; 32],
    expected: &SpiffeId,
) -> Result<Arc<ClientConfig>, BadTls> {
    let provider = provider();
    let verifier = PinnedServer::new(root_pin, expected.clone(), &provider);
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(ByClock(clock)))
        .with_protocol_versions(&PROTOCOLS)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// Lends our clock to rustls.
struct ByClock(Arc<dyn Clock>);

// === impl ByClock ===

impl TimeProvider for ByClock {
    fn current_time(&self) -> Option<UnixTime> {
        let secs = u64::try_from(self.0.now().unix_secs()).ok()?;
        Some(UnixTime::since_unix_epoch(std::time::Duration::from_secs(secs)))
    }
}

impl fmt::Debug for ByClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
