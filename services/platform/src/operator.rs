//! Talks to a running platform under an operator's certificate.

use std::{fs, path::Path};

use mcp_proto::{
    auth::v1::auth_service_client::AuthServiceClient,
    ca::v1::certificate_authority_service_client::CertificateAuthorityServiceClient,
};
use mcp_rpc::{LiveIdentity, mesh_channel};
use mcp_runtime::Failure;
use mcp_svid::{Identity, SpiffeId, TrustBundle};
use mcp_types::{ServiceName, TrustDomain};
use tonic::transport::Channel;

use crate::{cli::Target, config::PlatformConfig, ready::Platform};

/// A running platform and the right to operate it.
#[derive(Debug)]
pub(crate) struct Operator {
    platform: Platform,
    trust_domain: TrustDomain,
    identity: LiveIdentity,
}

// === impl Operator ===

impl Operator {
    /// Finds the platform that `target` means.
    pub(crate) fn of(target: &Target) -> Result<Self, Failure> {
        let platform = match &target.config {
            None => Platform::read(&target.data_dir)?,
            Some(file) => configured(file)?,
        };
        let trust_domain: TrustDomain = platform
            .trust_domain
            .parse()
            .map_err(|source| Failure::config_because("the platform's trust domain is none", source))?;
        let identity = identity(&platform.operator)?;
        Ok(Self { platform, trust_domain, identity })
    }

    /// Auth, on its own port.
    pub(crate) fn auth(&self) -> Result<AuthServiceClient<Channel>, Failure> {
        let id = self.id("auth")?;
        Ok(AuthServiceClient::new(mesh_channel(self.platform.auth, id, self.identity.clone())))
    }

    /// The ca, on its own port.
    pub(crate) fn ca(&self) -> Result<CertificateAuthorityServiceClient<Channel>, Failure> {
        let id = self.id("ca")?;
        Ok(CertificateAuthorityServiceClient::new(mesh_channel(self.platform.ca, id, self.identity.clone())))
    }

    /// The ca's port for newcomers.
    pub(crate) fn bootstrap(&self) -> std::net::SocketAddr {
        self.platform.bootstrap
    }

    /// The SPIFFE ID of a service.
    pub(crate) fn id(&self, service: &str) -> Result<SpiffeId, Failure> {
        let name: ServiceName = service
            .parse()
            .map_err(|source| Failure::usage(format!("`{service}` is no service")).because(source))?;
        Ok(SpiffeId::service(&self.trust_domain, &name))
    }
}

fn configured(file: &Path) -> Result<Platform, Failure> {
    let config = PlatformConfig::load_for_serve(Some(file))?;
    let missing = |key: &str| Failure::config(format!("`{key}` is not set in {}", file.display()));
    let ca = config.mesh.ca.ok_or_else(|| missing("mesh.ca"))?;
    Ok(Platform {
        pid: 0,
        trust_domain: config.mesh.trust_domain.to_string(),
        ca: ca.mesh,
        bootstrap: ca.bootstrap,
        auth: config.mesh.auth.ok_or_else(|| missing("mesh.auth"))?,
        operator: config.operator.folder.ok_or_else(|| missing("operator.folder"))?,
    })
}

fn identity(folder: &Path) -> Result<LiveIdentity, Failure> {
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read_to_string(&path).map_err(|source| {
            Failure::no_permission(format!("cannot read the operator's {}", path.display()))
                .because(source)
                .advise("operators' files are readable by the user who runs the platform")
        })
    };
    let bad = |source: Box<dyn std::error::Error + Send + Sync>| {
        Failure::input(format!("the operator's certificate in {} cannot be used", folder.display()))
            .because(source)
    };
    let identity =
        Identity::from_pem(&read("cert.pem")?, &read("key.pem")?).map_err(|source| bad(source.into()))?;
    let bundle = TrustBundle::from_pem(0, &read("ca.pem")?).map_err(|source| bad(source.into()))?;
    LiveIdentity::new(identity, bundle).map_err(|source| bad(source.into()))
}
