//! So many calls in flight, counted and timed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::Method;
use mcp_tests::wire::Wire;
use tokio::{task::JoinSet, time::Instant};
use tonic::Code;

/// Connections that the calls are spread over.
pub(crate) const CONNECTIONS: usize = 4;

/// A call, to be made again and again.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) path: &'static str,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

/// How much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Calls altogether.
    pub(crate) requests: u64,
    /// Calls at once.
    pub(crate) in_flight: usize,
    /// When to stop in any case.
    pub(crate) longest: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) answered: u64,
    pub(crate) failed: u64,
    pub(crate) took: Duration,
    /// Sorted.
    pub(crate) latencies: Vec<Duration>,
}

// === impl Load ===

impl Default for Load {
    fn default() -> Self {
        Self { requests: 10_000, in_flight: 100, longest: Duration::from_secs(30) }
    }
}

// === impl Outcome ===

impl Outcome {
    /// The latency that `share` of the calls stayed within.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a list")]
        let at = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(at.min(last)).copied().unwrap_or_default()
    }
}

/// Makes the calls.
pub(crate) async fn run(connections: &[Wire], call: &Call, load: Load) -> Outcome {
    let left = Arc::new(AtomicU64::new(load.requests));
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for at in 0..load.in_flight {
        let (wire, call, left) =
            (connections[at % connections.len()].clone(), call.clone(), Arc::clone(&left));
        callers.spawn(async move {
            let headers: Vec<_> =
                call.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let (mut latencies, mut failed) = (Vec::new(), 0);
            while begun.elapsed() < load.longest
                && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
            {
                let asked = Instant::now();
                let answer = wire.request(Method::POST, call.path, &headers, call.body.clone()).await;
                if answer.is_ok_and(|answer| is_answered(&answer)) {
                    latencies.push(asked.elapsed());
                } else {
                    failed += 1;
                }
            }
            (latencies, failed)
        });
    }
    let (mut latencies, mut failed) = (Vec::new(), 0);
    while let Some(ended) = callers.join_next().await {
        let (of_caller, failed_there) = ended.expect("a caller ends");
        latencies.extend(of_caller);
        failed += failed_there;
    }
    latencies.sort_unstable();
    Outcome { answered: latencies.len() as u64, failed, took: begun.elapsed(), latencies }
}

/// gRPC says how it went in trailers; gRPC-Web in the body's last frame, or in headers where that is all.
fn is_answered(answer: &mcp_tests::wire::Answer) -> bool {
    if answer.headers.contains_key("grpc-status") || answer.trailers.contains_key("grpc-status") {
        return answer.code() == Code::Ok;
    }
    let last = answer
        .body
        .windows(13)
        .any(|bytes| bytes.eq_ignore_ascii_case(b"grpc-status:0") || bytes == b"grpc-status: ");
    answer.http == 200 && last
}
