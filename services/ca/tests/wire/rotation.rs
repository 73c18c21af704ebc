//! No call fails while identities renew: one-second certificates, steady calls over old and new connections.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use mcp_ca::Config;
use mcp_rpc::Mesh;
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::support::{Member, RunningCa};

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
async fn call_steadily(from: Mesh, to: &Member, done: Arc<AtomicU32>) -> (Vec<tonic::Status>, usize) {
    let name = to.mesh.service().clone();
    let kept = from.channel(to.address, &name);
    let (mut failures, mut calls) = (Vec::new(), 0);
    while done.load(Ordering::Relaxed) == 0 {
        for channel in [kept.clone(), kept.clone(), from.channel(to.address, &name)] {
            failures.extend(ask(channel).await.err());
            calls += 1;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (failures, calls)
}

/// The serial numbers that `mesh` shows until `done`.
async fn serials(mesh: Mesh, done: Arc<AtomicU32>) -> BTreeSet<Box<[u8]>> {
    let mut seen = BTreeSet::new();
    while done.load(Ordering::Relaxed) == 0 {
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
    let done = Arc::new(AtomicU32::new(0));

    let alarm = Arc::clone(&done);
    let ((there, back), renewals, ()) = tokio::join!(
        async {
            tokio::join!(
                call_steadily(context.mesh.clone(), &auth, Arc::clone(&done)),
                call_steadily(auth.mesh.clone(), &context, Arc::clone(&done)),
            )
        },
        async {
            tokio::join!(
                serials(auth.mesh.clone(), Arc::clone(&done)),
                serials(context.mesh.clone(), Arc::clone(&done)),
            )
        },
        async move {
            tokio::time::sleep(LONG).await;
            alarm.store(1, Ordering::Relaxed);
        },
    );

    for (direction, (failures, calls)) in [("context to auth", there), ("auth to context", back)] {
        assert!(
            failures.is_empty(),
            "{direction}: {} of {calls} failed: {:?}",
            failures.len(),
            failures.first()
        );
        assert!(calls > 100, "{direction}: only {calls} calls");
    }
    for seen in [renewals.0, renewals.1] {
        assert!(seen.len() > RENEWALS_MIN, "only {} certificates were shown", seen.len());
    }
    let now = ca.shell.clock.now();
    assert!(first.iter().all(|end| *end < now), "the first certificates should have ended");
    ca.stop(vec![auth, context]).await;
}
