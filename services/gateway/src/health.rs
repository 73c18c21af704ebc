//! How the services behind the edge are, as they say themselves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mcp_rpc::Mesh;
use mcp_runtime::{Failure, Shell};
use tonic::transport::Channel;
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_check_response, health_client::HealthClient},
    server::HealthReporter,
};

use crate::{config::Upstreams, routes::Upstream};

/// How long to wait before a service that was lost is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Which services say that they serve.
#[derive(Clone, Debug, Default)]
pub(crate) struct UpstreamHealth {
    serving: Arc<[AtomicBool; Upstream::SERVICES.len()]>,
}

// === impl UpstreamHealth ===

impl UpstreamHealth {
    /// Each service, and whether it says that it serves.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, bool)> {
        let serving = self.serving.iter().map(|serving| serving.load(Ordering::Relaxed));
        Upstream::SERVICES.map(Upstream::name).into_iter().zip(serving)
    }

    /// Asks every service, until the shell's stop, and tells `health` of it by the names in `routed`.
    pub(crate) fn watch(
        &self,
        mesh: &Mesh,
        upstreams: &Upstreams,
        health: &HealthReporter,
        routed: &[&'static str],
        shell: &Shell,
    ) -> Result<(), Failure> {
        for (place, upstream) in Upstream::SERVICES.into_iter().enumerate() {
            let channel = upstreams.channel(mesh, upstream)?;
            let names = routed.iter().copied().filter(|name| Upstream::of(name) == Some(upstream)).collect();
            let serving = Arc::clone(&self.serving);
            let watched = Watched { upstream, place, serving, names, health: health.clone() };
            let stop = shell.stop.clone();
            tokio::spawn(async move {
                tokio::select! {
                    () = watched.keep_asking(channel) => {}
                    () = stop.requested() => {}
                }
            });
        }
        Ok(())
    }
}

/// One service, and whom to tell how it is.
struct Watched {
    upstream: Upstream,
    place: usize,
    serving: Arc<[AtomicBool; Upstream::SERVICES.len()]>,
    names: Vec<&'static str>,
    health: HealthReporter,
}

// === impl Watched ===

impl Watched {
    async fn keep_asking(&self, channel: Channel) {
        let mut client = HealthClient::new(channel);
        loop {
            self.tell(false).await;
            if let Ok(answers) = client.watch(HealthCheckRequest::default()).await {
                let mut answers = answers.into_inner();
                while let Ok(Some(answer)) = answers.message().await {
                    self.tell(answer.status() == health_check_response::ServingStatus::Serving).await;
                }
            }
            self.tell(false).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn tell(&self, serves: bool) {
        self.serving[self.place].store(serves, Ordering::Relaxed);
        let gauge = metrics::gauge!("mcp_edge_upstream_serving", "upstream" => self.upstream.name());
        gauge.set(if serves { 1.0 } else { 0.0 });
        let status = if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
        for name in &self.names {
            self.health.set_service_status(*name, status).await;
        }
    }
}
