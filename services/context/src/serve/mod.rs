//! Opens the store, joins the mesh, serves.

use std::{net::TcpListener, path::Path, sync::Arc};

use mcp_proto::context::v1::context_service_server::ContextServiceServer;
use mcp_rpc::{Mesh, MeshConfig};
use mcp_runtime::{Failure, Shell};
use mcp_secrets::SealedStore;
use mcp_types::ServiceName;
use tonic::service::Routes;

use crate::{config::Config, page::PageTokens, service::Service, store::SqliteContexts};

/// What the service keeps in its folder.
struct Kept {
    store: Arc<SqliteContexts>,
    pages: PageTokens,
}

/// Serves contexts on `listener` until the shell is told to stop.
///
/// # Errors
///
/// Where the service's folder cannot be used, the mesh cannot be joined, or the socket cannot be used.
pub async fn run(
    config: Config,
    mesh: MeshConfig,
    listener: TcpListener,
    shell: Shell,
) -> Result<(), Failure> {
    let kept = open(&config, &mesh.state_dir, &shell).await?;
    let mesh = Mesh::join(&name("context")?, &mesh, &shell).await?;
    serve(&config, &mesh, kept, listener, &shell).await
}

async fn open(config: &Config, folder: &Path, shell: &Shell) -> Result<Kept, Failure> {
    let entropy = Arc::clone(&shell.entropy);
    let secrets = SealedStore::open(&folder.join("secrets"), &folder.join("master.key"), entropy)
        .map_err(|source| Failure::config_because("cannot open the context service's secrets", source))?;
    let pages = PageTokens::load(&secrets, &*shell.entropy)
        .await
        .map_err(|source| Failure::config_because("cannot use the key of page tokens", source))?;
    let store = SqliteContexts::open(folder, &name("context")?, config.tenants_open_max)
        .await
        .map_err(|source| Failure::unavailable("cannot use the context service's store").because(source))?;
    Ok(Kept { store: Arc::new(store), pages })
}

async fn serve(
    config: &Config,
    mesh: &Mesh,
    kept: Kept,
    listener: TcpListener,
    shell: &Shell,
) -> Result<(), Failure> {
    let Kept { store, pages } = kept;
    let (address, summarization) = (config.summarization, name("summarization")?);
    let (shared, own) = (Arc::clone(&store), mesh.clone());
    let (clock, entropy) = (Arc::clone(&shell.clock), Arc::clone(&shell.entropy));
    let routes = move || {
        Routes::new(ContextServiceServer::new(Service {
            store: Arc::clone(&shared),
            pages: pages.clone(),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            // Made here, so that its connection lives on the core that uses it.
            summarization: own.channel(address, &summarization),
        }))
    };
    let served = mesh.serve(listener, shell, routes).await;
    // The calls have drained: fold the logs into the files.
    store.close().await;
    served
}

fn name(service: &str) -> Result<ServiceName, Failure> {
    service.parse().map_err(|source| Failure::software("a service has no proper name").because(source))
}

#[cfg(test)]
mod tests;
