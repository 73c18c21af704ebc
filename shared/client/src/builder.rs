//! Where to, trusting whom, as whom.

use std::{fmt, io, sync::Arc, time::Duration};

use http::{HeaderValue, Uri};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};

use crate::{
    Client, Retries, TokenSource,
    calls::{Calls, Common},
};

/// How long a connection may take to be made, handshake included.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// Makes a [`Client`].
pub struct Builder {
    url: String,
    roots: Option<String>,
    certificate: Option<(String, String)>,
    tenant: Option<String>,
    common: Common,
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadClient {
    /// The URL is not `https://host` or `https://host:port`.
    #[error("`{0}` is not of the form https://host:port")]
    Url(String),
    /// No root was given: without one nobody's word could be taken for the platform's.
    #[error("no root certificate was given")]
    NoRoot,
    /// The roots, or the client's own certificate or key, are no PEM.
    #[error("the {0} cannot be read as PEM")]
    Pem(&'static str, #[source] rustls_pki_types::pem::Error),
    /// The TLS library refused a certificate or the key.
    #[error("the TLS library refused the {0}")]
    Tls(&'static str, #[source] rustls::Error),
    /// The tenant is no slug.
    #[error("the tenant cannot be sent")]
    Tenant(#[source] mcp_types::BadName),
}

// === impl Builder ===

impl Builder {
    pub(crate) fn new(url: String) -> Self {
        Self { url, roots: None, certificate: None, tenant: None, common: Common::default() }
    }

    /// Trusts servers whose certificates end in one of the roots of this PEM text.
    #[must_use]
    pub fn root_ca(self, pem: impl Into<String>) -> Self {
        Self { roots: Some(pem.into()), ..self }
    }

    /// Shows this certificate (chain, leaf first) and proves it by this key, both in PEM: what a service's own port asks for.
    #[must_use]
    pub fn client_certificate(self, chain_pem: impl Into<String>, key_pem: impl Into<String>) -> Self {
        Self { certificate: Some((chain_pem.into(), key_pem.into())), ..self }
    }

    /// Says with each call which tenant it is meant for; the platform refuses it where the token says otherwise.
    #[must_use]
    pub fn tenant(self, slug: impl Into<String>) -> Self {
        Self { tenant: Some(slug.into()), ..self }
    }

    /// Signs calls with the tokens of `source`.
    #[must_use]
    pub fn token(mut self, source: impl TokenSource) -> Self {
        self.common.tokens = Some(Box::new(source));
        self
    }

    /// Repeats calls as `retries` says.
    #[must_use]
    pub fn retries(mut self, retries: Retries) -> Self {
        self.common.retries = retries;
        self
    }

    /// The client. It connects at the first call, and again after each loss; make it inside the runtime that uses it.
    ///
    /// # Errors
    ///
    /// [`BadClient`], by what does not hold.
    pub fn build(mut self) -> Result<Client, BadClient> {
        let (host, port) = host_and_port(&self.url).ok_or_else(|| BadClient::Url(self.url.clone()))?;
        if let Some(tenant) = &self.tenant {
            let slug: mcp_types::TenantSlug = tenant.parse().map_err(BadClient::Tenant)?;
            self.common.tenant = HeaderValue::try_from(slug.as_str()).ok();
        }
        let tls = Arc::new(self.tls()?);
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned())
            .map_err(|_| BadClient::Url(self.url.clone()))?;
        let origin: Uri = self.url.parse().map_err(|_| BadClient::Url(self.url.clone()))?;
        Ok(Client { calls: Calls::new(channel(host, port, name, origin, tls), self.common) })
    }

    fn tls(&self) -> Result<ClientConfig, BadClient> {
        let pem = self.roots.as_ref().ok_or(BadClient::NoRoot)?;
        let mut roots = RootCertStore::empty();
        for root in certificates(pem, "roots")? {
            roots.add(root).map_err(|refused| BadClient::Tls("roots", refused))?;
        }
        if roots.is_empty() {
            return Err(BadClient::NoRoot);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|refused| BadClient::Tls("protocol versions", refused))?
            .with_root_certificates(roots);
        let mut config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
                    .map_err(|broken| BadClient::Pem("client's key", broken))?;
                builder
                    .with_client_auth_cert(certificates(chain, "client's certificate")?, key)
                    .map_err(|refused| BadClient::Tls("client's certificate", refused))?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("url", &self.url)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

fn certificates(pem: &str, what: &'static str) -> Result<Vec<CertificateDer<'static>>, BadClient> {
    let read: Result<_, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    read.map_err(|broken| BadClient::Pem(what, broken))
}

fn host_and_port(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let is_bare =
        uri.scheme_str() == Some("https") && matches!(uri.path(), "" | "/") && uri.query().is_none();
    let host = uri.host().filter(|host| is_bare && !host.is_empty())?;
    Some((host.to_owned(), uri.port_u16().unwrap_or(443)))
}

fn channel(
    host: String,
    port: u16,
    name: ServerName<'static>,
    origin: Uri,
    tls: Arc<ClientConfig>,
) -> Channel {
    let connector = tower::service_fn(move |_: Uri| {
        let (host, name, tls) = (host.clone(), name.clone(), Arc::clone(&tls));
        async move {
            let stream = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
            stream.set_nodelay(true)?;
            let stream = TlsConnector::from(tls).connect(name, stream).await?;
            if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                return Err(io::Error::other("the server does not speak HTTP/2"));
            }
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    // `http`, since the connector brings the TLS; what the server sees is the origin.
    Endpoint::from_static("http://mcp.invalid")
        .origin(origin)
        .connect_timeout(CONNECT_MAX)
        .http2_adaptive_window(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .connect_with_connector_lazy(connector)
}

#[cfg(test)]
mod tests {
    //! What makes no client.

    use super::*;

    #[test]
    fn only_https_without_a_path_is_a_platform() {
        assert_eq!(host_and_port("https://127.0.0.1:8443"), Some(("127.0.0.1".to_owned(), 8443)));
        assert_eq!(host_and_port("https://[::1]:8443/"), Some(("[::1]".to_owned(), 8443)));
        assert_eq!(host_and_port("https://mcp.example"), Some(("mcp.example".to_owned(), 443)));
        for bad in ["http://127.0.0.1:8443", "127.0.0.1:8443", "https://", "https://mcp.example/api", ""] {
            assert_eq!(host_and_port(bad), None, "{bad}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let built = |builder: Builder| builder.build().expect_err("no client").to_string();

        assert_eq!(built(Client::builder("https://127.0.0.1:1")), "no root certificate was given");
        assert_eq!(
            built(Client::builder("https://127.0.0.1:1").root_ca("")),
            "no root certificate was given"
        );
        assert!(built(Client::builder("ftp://x")).contains("ftp://x"));
        assert!(built(Client::builder("https://x").tenant("No Slug")).contains("tenant"));
    }

    #[test]
    fn a_token_does_not_print() {
        let builder = Client::builder("https://x").token("secret");
        assert!(!format!("{builder:?}").contains("secret"));
    }
}
