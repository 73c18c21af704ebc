//! A mesh without its ca: root, issuing authority and identities in memory.

use std::{
    fmt,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    sync::Arc,
    time::Duration,
};

use mcp_pki::{Expected, IssuingCa, Profile, RootCa, check_csr, trust_bundle};
use mcp_rpc::{LiveIdentity, LocalSources, Mesh, MeshConfig};
use mcp_runtime::{Cores, Profile as Allowed, Shell, Stop};
use mcp_svid::{Identity, SpiffeId, TrustBundle, make_csr};
use mcp_types::{Clock, ServiceName, SystemClock, SystemEntropy, TrustDomain};

use crate::TestIssuer;

const ROOT_LIFE: Duration = Duration::from_secs(86_400);
const LEAF_LIFE: Duration = Duration::from_secs(3_600);

/// Root and issuing authority of a trust domain that exists in one test.
pub struct TestMesh {
    trust_domain: TrustDomain,
    root: RootCa,
    issuing: IssuingCa,
    clock: Arc<dyn Clock>,
}

/// A listener on a free port of the loopback interface.
pub fn loopback() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the machine has a free port")
}

/// A shell with one core on the machine's time and chance, in the development profile.
pub fn shell() -> Shell {
    Shell::new(Cores::start(1).expect("the machine gives a thread"), Stop::default(), Allowed::Development)
}

// === impl TestMesh ===

impl Default for TestMesh {
    fn default() -> Self {
        Self::new()
    }
}

impl TestMesh {
    /// A mesh of trust domain `mcp.test`, on the machine's clock.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// A mesh of trust domain `mcp.test`, on `clock`.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let trust_domain: TrustDomain = "mcp.test".parse().expect("a trust domain");
        let now = clock.now();
        let root = RootCa::create(&trust_domain, now, ROOT_LIFE, &SystemEntropy).expect("a root");
        let issuing = root.issue_issuing_ca(now, ROOT_LIFE, &SystemEntropy).expect("an issuing authority");
        Self { trust_domain, root, issuing, clock }
    }

    /// Its trust domain.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Whom its members trust.
    pub fn bundle(&self) -> TrustBundle {
        trust_bundle(1, &[&self.root])
    }

    /// The ID of a service.
    pub fn id(&self, service: &str) -> SpiffeId {
        SpiffeId::service(&self.trust_domain, &name(service))
    }

    /// An identity of a service, for an hour.
    pub fn identity(&self, service: &str) -> Identity {
        self.issue(&self.id(service), LEAF_LIFE)
    }

    /// An identity of an operator, for an hour.
    pub fn operator(&self, name: &str) -> Identity {
        self.issue(&SpiffeId::operator(&self.trust_domain, name).expect("an operator's name"), LEAF_LIFE)
    }

    /// An identity of `id` that holds for `validity` from now.
    pub fn issue(&self, id: &SpiffeId, validity: Duration) -> Identity {
        let (csr, key) = make_csr(Some(id)).expect("a request");
        let csr = check_csr(&csr, Expected { id }).expect("an honest request");
        let profile = Profile { validity, ..Profile::default() };
        let leaf = self.issuing.issue(&csr, id, &profile, self.clock.now(), &SystemEntropy).expect("a leaf");
        Identity::new(leaf.chain, key).expect("an identity")
    }

    /// A live identity of a service, which the test renews itself.
    pub fn live(&self, service: &str) -> LiveIdentity {
        LiveIdentity::new(self.identity(service), self.bundle()).expect("an identity that TLS can use")
    }

    /// Puts a service into the mesh without a ca and without auth: it believes the tokens of `issuer` and keeps its
    /// files in `folder`.
    pub async fn join(&self, service: &str, folder: &Path, issuer: &TestIssuer, shell: &Shell) -> Mesh {
        let config = MeshConfig {
            trust_domain: self.trust_domain.clone(),
            state_dir: folder.to_owned(),
            ..MeshConfig::default()
        };
        let sources = LocalSources { identity: Some(self.live(service)), access: Some(issuer.live_access()) };
        Mesh::join_with(&name(service), &config, shell, sources).await.expect("nothing has to be asked for")
    }
}

impl fmt::Debug for TestMesh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestMesh").field("trust_domain", &self.trust_domain).finish_non_exhaustive()
    }
}

fn name(service: &str) -> ServiceName {
    service.parse().expect("a service's name")
}

#[cfg(test)]
mod tests {
    //! Identities are what they say.

    use super::*;
    use crate::ManualClock;

    #[test]
    fn identities_belong_to_the_mesh_that_issued_them() {
        let clock = ManualClock::at(1_700_000_000);
        let mesh = TestMesh::with_clock(Arc::clone(&clock) as _);

        let identity = mesh.identity("context");

        assert_eq!(identity.id().as_str(), "spiffe://mcp.test/service/context");
        assert_eq!(mesh.operator("ada").id().operator_name(), Some("ada"));
        assert!(identity.with_root_in_chain(mesh.bundle().roots[0].clone()).is_ok());
        assert!(identity.with_root_in_chain(TestMesh::new().bundle().roots[0].clone()).is_err());
        clock.advance(LEAF_LIFE + Duration::from_secs(1));
        assert!(!identity.svid().is_current(clock.now()));
    }

    #[tokio::test]
    async fn a_service_joins_without_a_ca_and_believes_the_issuer() {
        let folder = tempfile::tempdir().expect("a folder");
        let (issuer, shell) = (TestIssuer::new(), shell());

        let mesh = TestMesh::new().join("context", folder.path(), &issuer, &shell).await;

        assert_eq!(mesh.identity().identity().id().as_str(), "spiffe://mcp.test/service/context");
        let token = issuer.transaction_token(|_| {});
        assert!(mesh.access().verify_transaction(&token, shell.clock.now()).is_ok());
    }
}
