//! The edge: a reverse proxy that understands gRPC framing, not messages, and the one listener that strangers reach.
//!
//! Browsers (gRPC-Web), scripts (Connect, JSON) and native gRPC clients come in on one TLS port. Each request passes
//! the same checks in the same order, and what they present is exchanged for a transaction token before it goes on.
//!
//! ```text
//! config.rs      what the operator may turn
//! edge.rs        one request, in order: ID, trace, log, headers, CORS, shedding, limits, page or call
//! call.rs        one call, in order: route, protocol, deadline, credential, tenant, permission, size, service
//! routes.rs      the methods that policies let in, and who answers them
//! exchange.rs    credentials, verified and exchanged
//! forward.rs     to the service and back
//! framing/       messages in each protocol
//! protocol.rs    which protocol a request speaks
//! refusal.rs     why a request gets no further, in each protocol
//! headers.rs     what every answer carries, what does not cross the edge
//! cors.rs        which pages of other origins may call
//! cidr.rs        whose address counts
//! pages.rs       health, readiness, keys, console
//! assets.rs      the console's files
//! local.rs       health and reflection over gRPC
//! health.rs      how the services are
//! observe.rs     what is kept of each request
//! access_log.rs  one line each
//! tls.rs         the certificate, and its successors
//! ```

mod access_log;
mod assets;
mod call;
mod cidr;
mod config;
mod cors;
mod edge;
mod exchange;
mod forward;
mod framing;
mod headers;
mod health;
mod local;
mod observe;
mod pages;
mod protocol;
mod refusal;
mod routes;
mod tls;

#[cfg(test)]
mod tests;

use std::{net::TcpListener, sync::Arc};

use mcp_limit::{IpLimit, LimitClock};
use mcp_proto::POLICIES;
use mcp_rpc::{ListenLimits, Mesh, MeshConfig, RpcMetrics, listen};
use mcp_runtime::{Failure, Shell};
use mcp_types::{BadName, ServiceName};
use tokio::sync::Semaphore;
use tonic::transport::Channel;
use tonic_health::ServingStatus;

use self::{
    access_log::AccessLog,
    cors::Origins,
    edge::{Connections, Core, Edge},
    exchange::Exchange,
    health::UpstreamHealth,
    observe::Observer,
    routes::{Routes, Upstream},
    tls::EdgeTls,
};
pub use self::{
    cidr::{BadCidr, Cidr},
    config::{CertificateFiles, Config, EdgeLimits, Upstreams},
};

/// Which part of the places those may have who only watch.
const WATCHERS_SHARE: usize = 16;

/// Our name in the mesh.
const NAME: &str = "gateway";

/// Serves the edge on `listener` until the shell's stop, then drains.
///
/// # Errors
///
/// Where the configuration does not hold, the mesh cannot be joined, or the socket cannot be used.
pub async fn run(
    config: Config,
    mesh: MeshConfig,
    listener: TcpListener,
    shell: Shell,
) -> Result<(), Failure> {
    config.validate()?;
    // Before the mesh is joined, so that a bad file is told of at once.
    let tls = EdgeTls::load(&config.certificate, shell.clock.now())?;
    let log = AccessLog::start(mesh.log_format);
    let mesh = Mesh::join(&service(NAME)?, &mesh, &shell).await?;
    serve(config, tls, log, mesh, listener, shell).await
}

/// Serves the edge as a member of `mesh`.
async fn serve(
    config: Config,
    tls: EdgeTls,
    log: AccessLog,
    mesh: Mesh,
    listener: TcpListener,
    shell: Shell,
) -> Result<(), Failure> {
    let routes = Routes::of_policies()?;
    let local = local::services(&routes)?;
    let upstreams = UpstreamHealth::default();
    let routed: Vec<_> = routes.services().collect();
    upstreams.watch(&mesh, &config.upstreams, &local.health, &routed, &shell)?;
    tokio::spawn(tls.clone().watch(shell.clone()));

    let limits = ListenLimits {
        connections_max: config.limits.connections,
        // Behind a proxy all connections come from its address.
        connections_per_address_max: match config.trusted_proxies.is_empty() {
            true => config.limits.connections.div_ceil(8),
            false => config.limits.connections,
        },
        streams_max: config.limits.streams_per_connection,
        ..ListenLimits::default()
    };
    let edge = Arc::new(Edge {
        clock: Arc::clone(&shell.clock),
        entropy: Arc::clone(&shell.entropy),
        trusted_proxies: config.trusted_proxies,
        origins: Origins::new(&config.origins)
            .map_err(|bad| Failure::config_because("gateway.origins does not hold", bad))?,
        places: Arc::new(Semaphore::new(config.limits.concurrency)),
        watchers: Arc::new(Semaphore::new(config.limits.concurrency.div_ceil(WATCHERS_SHARE))),
        ip: IpLimit::new(config.limits.ip, LimitClock::machine()),
        assets: IpLimit::new(config.limits.assets, LimitClock::machine()),
        routes,
        exchange: Exchange::new(mesh.access().clone(), Arc::clone(&shell.clock)),
        observer: Arc::new(Observer {
            log,
            metrics: RpcMetrics::new(POLICIES, "edge"),
            audit: mesh.audit(),
            clock: Arc::clone(&shell.clock),
        }),
        pages: pages::State { access: mesh.access().clone(), upstreams, stop: shell.stop.clone() },
    });

    let names = [service("auth")?, service("context")?, service("summarization")?];
    let (to, per_mesh, per_local) = (config.upstreams, mesh.clone(), local.routes);
    let per_core = move || {
        let [auth, context, summarization] = &names;
        Connections(Arc::new(Core {
            edge: Arc::clone(&edge),
            auth: per_mesh.channel(to.auth, auth),
            context: per_mesh.channel(to.context, context),
            summarization: per_mesh.channel(to.summarization, summarization),
            local: per_local.clone(),
        }))
    };
    let health = local.health;
    health.set_service_status("", ServingStatus::NotServing).await;
    let tell = async {
        tokio::select! {
            // Without keys nobody could be recognised, so nobody is let in before they are here.
            () = mesh.access().first() => {
                health.set_service_status("", ServingStatus::Serving).await;
                shell.ready();
            }
            () = shell.stop.requested() => {}
        }
        shell.stop.requested().await;
        health.set_service_status("", ServingStatus::NotServing).await;
    };
    let current = move || tls.config();
    let (served, ()) = tokio::join!(listen(listener, &shell, limits, "edge", current, per_core), tell);
    served
}

fn service(name: &str) -> Result<ServiceName, Failure> {
    name.parse().map_err(|bad: BadName| Failure::software("a service's name is none").because(bad))
}

// === impl Upstreams ===

impl Upstreams {
    /// A channel to a service, for the runtime that this is called in.
    fn channel(&self, mesh: &Mesh, upstream: Upstream) -> Result<Channel, Failure> {
        let address = match upstream {
            Upstream::Auth => self.auth,
            Upstream::Context => self.context,
            Upstream::Summarization => self.summarization,
            Upstream::Edge => return Err(Failure::software("the edge is no service of its own")),
        };
        Ok(mesh.channel(address, &service(upstream.name())?))
    }
}
