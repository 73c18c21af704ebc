//! The service's life: opened, its own first newcomer, serving, drained.

use std::net::TcpListener;

use mcp_rpc::{LiveIdentity, LocalSources, Mesh, MeshConfig};
use mcp_runtime::{Failure, Shell};

use crate::{
    authority::Authority,
    config::Config,
    files::{private, private_folder, public},
    service::Ca,
    upkeep::{Charge, keep},
};

/// Where the ca listens.
#[derive(Debug)]
pub struct Listeners {
    /// For peers who show a certificate.
    pub mesh: TcpListener,
    /// For newcomers, who have none yet.
    pub bootstrap: TcpListener,
}

/// Runs the ca on `listeners` until the shell's stop, and drains.
///
/// # Errors
///
/// Where the configuration does not hold, a key or a file cannot be used, or a socket cannot.
pub async fn run(
    config: Config,
    mesh: MeshConfig,
    listeners: Listeners,
    shell: Shell,
) -> Result<(), Failure> {
    let authority = Authority::open(&config, &mesh, &shell).await?;
    run_with(authority, config, mesh, listeners, shell).await
}

/// As [`run`], over an authority that the process has opened already.
///
/// # Errors
///
/// As [`run`].
pub async fn run_with(
    authority: Authority,
    config: Config,
    mesh: MeshConfig,
    listeners: Listeners,
    shell: Shell,
) -> Result<(), Failure> {
    let identity = authority.own_identity().await?;
    let live = LiveIdentity::new(identity.clone(), authority.bundle())
        .map_err(|source| Failure::software("the ca cannot use its identity").because(source))?;

    if let Some(file) = &config.trust_bundle_file {
        public(file, &authority.trust_bundle_pem())?;
    }
    write_join_tokens(&authority, &config).await?;
    if let Some(files) = config.operator.clone() {
        let charge = Charge::Operator(files);
        let held = charge.renew(&authority).await?;
        tokio::spawn(keep(charge, held, authority.clone(), shell.clone()));
    }
    tokio::spawn(keep(Charge::Own(live.clone()), identity, authority.clone(), shell.clone()));

    // The ca asks nobody for anything: its methods admit by certificate, and its identity is its own.
    let mesh = MeshConfig { ca: None, auth: None, join_token: None, ..mesh };
    let sources = LocalSources { identity: Some(live), ..LocalSources::default() };
    let mesh = Mesh::join_with(authority.name(), &mesh, &shell, sources).await?;

    let ca = Ca::new(authority.clone());
    let (on_mesh, on_bootstrap) = (ca.clone(), ca);
    let (for_peers, for_newcomers) = (shell.clone(), shell.another());
    let served = tokio::try_join!(
        Box::pin(mesh.serve(listeners.mesh, &for_peers, move || on_mesh.routes())),
        Box::pin(mesh.serve_bootstrap(listeners.bootstrap, &for_newcomers, move || on_bootstrap.routes())),
    );
    authority.close().await;
    served.map(drop)
}

/// Leaves a join token for each service that is to get one, where only this machine's user finds it.
async fn write_join_tokens(authority: &Authority, config: &Config) -> Result<(), Failure> {
    let services = config.initial_services()?;
    let Some(tokens) = &config.initial_join_tokens else { return Ok(()) };
    private_folder(&tokens.folder)?;
    for service in services {
        let token = authority.create_join_token(&service, None).await?;
        private(&tokens.folder.join(service.as_str()), &token.expose())?;
    }
    Ok(())
}
