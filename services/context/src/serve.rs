//! Opens the store, joins the mesh, serves.

use std::{net::TcpListener, sync::Arc};

use mcp_proto::context::v1::context_service_server::ContextServiceServer;
use mcp_rpc::{Mesh, MeshConfig};
use mcp_runtime::{Failure, Shell};
use mcp_secrets::SealedStore;
use mcp_types::ServiceName;
use tonic::service::Routes;

use crate::{config::Config, page::PageTokens, service::Service, store::SqliteContexts};

/// Serves contexts on `listener` until the shell is told to stop.
///
/// # Errors
///
/// Where the store does not open or the mesh cannot be joined.
pub async fn run(
    config: Config,
    mesh: MeshConfig,
    listener: TcpListener,
    shell: Shell,
) -> Result<(), Failure> {
    let [service, summarization] = ["context", "summarization"].map(name);
    let (service, summarization) = (service?, summarization?);
    let folder = &mesh.state_dir;
    let entropy = Arc::clone(&shell.entropy);
    let secrets = SealedStore::open(&folder.join("secrets"), &folder.join("master.key"), entropy)
        .map_err(|source| Failure::config_because("cannot open the context service's secrets", source))?;
    let pages = PageTokens::load(&secrets, &*shell.entropy)
        .await
        .map_err(|source| Failure::config_because("cannot use the key of page tokens", source))?;
    let store = SqliteContexts::open(folder, &service, config.tenants_open_max)
        .await
        .map_err(|source| Failure::unavailable("cannot use the context service's store").because(source))?;
    let store = Arc::new(store);

    let mesh = Mesh::join(&service, &mesh, &shell).await?;
    let (shared, own) = (Arc::clone(&store), mesh.clone());
    let (clock, entropy) = (Arc::clone(&shell.clock), Arc::clone(&shell.entropy));
    let routes = move || {
        Routes::new(ContextServiceServer::new(Service {
            store: Arc::clone(&shared),
            pages: pages.clone(),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            // Made here, so that its connection lives on the core that uses it.
            summarization: own.channel(config.summarization, &summarization),
        }))
    };
    let served = mesh.serve(listener, &shell, routes).await;
    // The calls have drained: fold the logs into the files.
    store.close().await;
    served
}

fn name(service: &str) -> Result<ServiceName, Failure> {
    service.parse().map_err(|source| Failure::software("a service has no proper name").because(source))
}
