//! Makes long texts short: the summarization service and its engines.
//!
//! ```text
//! service/     the wire: messages in, summaries and statuses out
//! catalog.rs   the engines there are, by name
//! engine/      what an engine is, and the engines: pure, no I/O
//! pool.rs      threads for work that takes long, with a bounded queue before them
//! config.rs    what the operator may turn
//! ```
//!
//! The service keeps nothing: no text outlives its call.

mod catalog;
mod config;
pub mod engine;
mod pool;
mod service;

use std::net::TcpListener;

use mcp_proto::summarization::v1::summarization_service_server::SummarizationServiceServer;
use mcp_rpc::{Mesh, MeshConfig};
use mcp_runtime::{Failure, Shell};
use mcp_types::ServiceName;
use tonic::service::Routes;

pub use self::config::Config;
use self::{catalog::Catalog, engine::Engine, pool::Pool, service::Summarization};

/// The service's name on the mesh.
const NAME: &str = "summarization";

/// Serves on `listener` until the shell says stop and the calls begun have ended.
///
/// # Errors
///
/// Where the configuration does not hold, the machine gives no threads, or the mesh cannot be joined or served.
pub async fn run(
    config: Config,
    mesh: MeshConfig,
    listener: TcpListener,
    shell: Shell,
) -> Result<(), Failure> {
    let catalog = Catalog::built_in(&config.default_engine);
    config.check(catalog.all().map(Engine::name))?;
    let pool = Pool::start(config.thread_count(), config.waiting_max)
        .map_err(|source| Failure::io("start the threads that summarise", source))?;
    let service = Summarization::new(catalog, pool);

    let name: ServiceName =
        NAME.parse().map_err(|source| Failure::software("the service's name is none").because(source))?;
    let mesh = Mesh::join(&name, &mesh, &shell).await?;
    mesh.serve(listener, &shell, move || Routes::new(SummarizationServiceServer::new(service.clone()))).await
}
