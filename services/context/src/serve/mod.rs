//! Opens the store, joins the mesh, serves.

use std::{net::TcpListener, path::Path, sync::Arc};

use mcp_proto::context::v1::context_service_server::ContextServiceServer;
use mcp_rpc::{Mesh, MeshConfig};
use mcp_runtime::{Failure, Shell};
use mcp_store::{Engine, EngineName, Options, TenantAudit};
use mcp_types::ServiceName;
use tonic::service::Routes;

use crate::{
    config::Config,
    page::PageTokens,
    service::{Service, Tenants, Watches, sweep},
    store::StoredContexts,
};

/// What the service keeps in its folder.
struct Kept {
    store: Arc<StoredContexts>,
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
    mesh.keep_tenant_logs(|seat| TenantAudit::start(kept.store.db(), seat));
    serve(&config, &mesh, kept, listener, &shell).await
}

async fn open(config: &Config, folder: &Path, shell: &Shell) -> Result<Kept, Failure> {
    let service = name("context")?;
    let keepers = mcp_secrets::open(&config.secrets, &service, folder, shell)
        .await
        .map_err(|source| Failure::config_because("cannot open the context service's secrets", source))?;
    let pages = PageTokens::load(&*keepers.secrets, Arc::clone(&shell.entropy))
        .await
        .map_err(|source| Failure::config_because("cannot use the key of page tokens", source))?;
    let options = Options { files_open_max: config.tenants_open_max, ..crate::store_options() };
    let db = mcp_store::open(&config.store, folder, &service, options, &keepers, shell)
        .await
        .map_err(|source| Failure::unavailable("cannot use the context service's store").because(source))?;
    let engine = match config.store.engine {
        EngineName::Sqlite => Engine::Sqlite,
        EngineName::Postgres => Engine::Postgres,
    };
    let store = StoredContexts::new(db, engine, Arc::clone(&shell.clock), config.quota);
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
    let (clock, entropy, stop) = (Arc::clone(&shell.clock), Arc::clone(&shell.entropy), shell.stop.clone());
    let watches = Arc::new(Watches::new(config.watches_per_tenant_max));
    let tenants = Arc::new(Tenants::default());
    let sweeping = tokio::spawn(sweep(Arc::clone(&store), Arc::clone(&tenants), shell.stop.clone()));
    let routes = move || {
        Routes::new(ContextServiceServer::new(Service {
            store: Arc::clone(&shared),
            pages: pages.clone(),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            // Made here, so that its connection lives on the core that uses it.
            summarization: own.channel(address, &summarization),
            watches: Arc::clone(&watches),
            tenants: Arc::clone(&tenants),
            stop: stop.clone(),
        }))
    };
    let served = mesh.serve(listener, shell, routes).await;
    // It has heard the word to stop too, unless serving failed.
    sweeping.abort();
    // The calls have drained: fold the logs into the files.
    store.db().close().await;
    served
}

fn name(service: &str) -> Result<ServiceName, Failure> {
    service.parse().map_err(|source| Failure::software("a service has no proper name").because(source))
}

#[cfg(test)]
mod tests;
