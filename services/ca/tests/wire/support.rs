//! A ca on true sockets, and services that join it as strangers do.

use std::{net::SocketAddr, path::Path, time::Duration};

use mcp_ca::{Authority, Config, Listeners};
use mcp_rpc::{CaEndpoints, LocalSources, Mesh, MeshConfig};
use mcp_runtime::{Failure, SecretRef, Shell};
use mcp_testkit::{TestIssuer, loopback, shell};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// A running ca.
pub(crate) struct RunningCa {
    pub(crate) authority: Authority,
    pub(crate) endpoints: CaEndpoints,
    pub(crate) shell: Shell,
    home: TempDir,
    serving: JoinHandle<Result<(), Failure>>,
}

/// A service that has joined and serves nothing but its health.
pub(crate) struct Member {
    pub(crate) mesh: Mesh,
    pub(crate) address: SocketAddr,
    serving: JoinHandle<Result<(), Failure>>,
}

// === impl RunningCa ===

impl RunningCa {
    pub(crate) async fn start(config: Config) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let mesh = mesh_config(&home.path().join("ca"));
        let shell = shell();
        let listeners = Listeners { mesh: loopback(), bootstrap: loopback() };
        let endpoints = CaEndpoints {
            mesh: listeners.mesh.local_addr().expect("bound"),
            bootstrap: listeners.bootstrap.local_addr().expect("bound"),
        };
        let authority = Authority::open(&config, &mesh, &shell).await.expect("the authority opens");
        let ready = shell.readiness();
        let serving =
            tokio::spawn(mcp_ca::run_with(authority.clone(), config, mesh, listeners, shell.clone()));
        in_time(ready.serving()).await;
        Self { authority, endpoints, shell, home, serving }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.home.path()
    }

    /// What a service must be told to join by `token`.
    pub(crate) fn config_of(&self, name: &str, token: &str) -> MeshConfig {
        let file = self.home.path().join(format!("{name}.token"));
        std::fs::write(&file, token).expect("written");
        MeshConfig {
            ca: Some(self.endpoints),
            join_token: Some(SecretRef::file(file)),
            ..mesh_config(&self.home.path().join(name))
        }
    }

    /// Joins as `name` with a fresh token.
    pub(crate) async fn joined(&self, name: &str) -> Mesh {
        let service = name.parse().expect("a service");
        let token = self.authority.create_join_token(&service, None).await.expect("a token");
        let config = self.config_of(name, &token.expose());
        std::fs::create_dir_all(&config.state_dir).expect("made");
        let sources =
            LocalSources { access: Some(TestIssuer::new().live_access()), ..LocalSources::default() };
        Mesh::join_with(&service, &config, &self.shell, sources).await.expect("taken in")
    }

    /// Joins as `name` and serves.
    pub(crate) async fn member(&self, name: &str) -> Member {
        let mesh = self.joined(name).await;
        let listener = loopback();
        let address = listener.local_addr().expect("bound");
        let (serves, shell) = (mesh.clone(), self.shell.another());
        let ready = shell.readiness();
        let serving =
            tokio::spawn(
                async move { serves.serve(listener, &shell, tonic::service::Routes::default).await },
            );
        in_time(ready.serving()).await;
        Member { mesh, address, serving }
    }

    /// Stops everything and waits until it has drained.
    pub(crate) async fn stop(self, members: Vec<Member>) {
        self.shell.stop.request();
        for serving in members.into_iter().map(|member| member.serving).chain([self.serving]) {
            in_time(serving).await.expect("no panic").expect("a clean end");
        }
    }
}

fn mesh_config(folder: &Path) -> MeshConfig {
    MeshConfig {
        trust_domain: "mcp.test".parse().expect("a trust domain"),
        state_dir: folder.to_owned(),
        ..MeshConfig::default()
    }
}

/// What hangs fails, and says where.
pub(crate) async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("in time")
}
