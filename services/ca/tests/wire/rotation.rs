//! No call fails while identities renew: one-second certificates, steady calls over old and new connections.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use mcp_ca::Config;
use mcp_rpc::Mesh;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::support::{RunningCa, in_time};

/// Several lives of a certificate of one second, which X.509 rounds up to at most two.
const LONG: Duration = Duration::from_secs(8);

/// How many lives must have gone by for the test to have shown anything.
const RENEWALS_MIN: usize = 4;

async fn ask(channel: Channel) -> Result<(), tonic::Status> {
    let mut request = tonic::Request::new(HealthCheckRequest { service: String::new() });
    request.set_timeout(Duration::from_secs(10));
    HealthClient::new(channel).check(request).await.map(drop)
}

/// Calls `to` over one connection kept open and over a new one for each call, until `done`; returns each failure.
async fn call_steadily(
    from: &Mesh,
    to: (&str, SocketAddr),
    done: Arc<AtomicBool>,
) -> (Vec<tonic::Status>, usize) {
    let (name, address) = (to.0.parse().expect("a service"), to.1);
    let kept = from.channel(address, &name);
    let (mut failures, mut calls) = (Vec::new(), 0);
    while !done.load(Ordering::Relaxed) {
        for channel in [kept.clone(), kept.clone(), from.channel(address, &name)] {
            failures.extend(ask(channel).await.err());
            calls += 1;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (failures, calls)
}

/// The serial numbers that `mesh` shows until `done`.
async fn serials(mesh: &Mesh, done: Arc<AtomicBool>) -> BTreeSet<Box<[u8]>> {
    let mut seen = BTreeSet::new();
    while !done.load(Ordering::Relaxed) {
        seen.insert(mesh.identity().identity().svid().serial.clone());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_while_certificates_of_one_second_renew() {
    let ca = RunningCa::start(Config { leaf_ttl_seconds: 1, ..Config::default() }).await;
    let (auth, context) = (ca.member("auth").await, ca.member("context").await);
    let first = [&auth, &context].map(|member| member.mesh.identity().identity().not_after());
    let done = Arc::new(AtomicBool::new(false));
    let done = || Arc::clone(&done);

    let alarm = done();
    let (there, back, to_ca, of_auth, of_context, ()) = tokio::join!(
        call_steadily(&context.mesh, ("auth", auth.address), done()),
        call_steadily(&auth.mesh, ("context", context.address), done()),
        call_steadily(&auth.mesh, ("ca", ca.endpoints.mesh), done()),
        serials(&auth.mesh, done()),
        serials(&context.mesh, done()),
        async move {
            tokio::time::sleep(LONG).await;
            alarm.store(true, Ordering::Relaxed);
        },
    );

    for (direction, (failures, calls)) in [("to auth", there), ("to context", back), ("to the ca", to_ca)] {
        assert!(
            failures.is_empty(),
            "{direction}: {} of {calls} failed: {:?}",
            failures.len(),
            failures.first()
        );
        assert!(calls > 100, "{direction}: only {calls} calls");
    }
    for seen in [of_auth, of_context] {
        assert!(seen.len() > RENEWALS_MIN, "only {} certificates were shown", seen.len());
    }
    let now = ca.shell.clock.now();
    assert!(first.iter().all(|end| *end < now), "the first certificates should have ended");
    // The ca's first certificate has ended too: whoever joins now meets a later one.
    in_time(ca.joined("gateway")).await;
    ca.stop(vec![auth, context]).await;
}
