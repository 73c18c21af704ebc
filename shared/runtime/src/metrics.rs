//! The metrics recorder, and the listener that shows it.

use std::{convert::Infallible, fmt, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::{Failure, Shell};

/// What the recorder holds, to be rendered.
#[derive(Clone)]
pub struct MetricsHandle(PrometheusHandle);

/// Latency buckets in seconds: from a cached answer to the longest deadline.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// Installs the process's recorder.
///
/// # Errors
///
/// Where one is installed already.
pub fn install_metrics() -> Result<MetricsHandle, Failure> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|source| Failure::software("cannot install the metrics recorder").because(source))?;
    Ok(MetricsHandle(handle))
}

/// Shows the metrics at `/metrics`, over plain HTTP, until the shell's stop.
///
/// # Errors
///
/// Where the listener cannot be used.
pub async fn serve_metrics(
    listener: std::net::TcpListener,
    handle: MetricsHandle,
    shell: Shell,
) -> Result<(), Failure> {
    let cannot = |source| Failure::io("listen for metrics", source);
    listener.set_nonblocking(true).map_err(cannot)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(cannot)?;
    let handle = Arc::new(handle);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shell.stop.requested() => return Ok(()),
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let handle = Arc::clone(&handle);
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer(&request, &handle);
                async move { Ok::<_, Infallible>(answer) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(std::time::Duration::from_secs(5))
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a metrics connection ended early");
            }
        });
    }
}

fn answer(request: &Request<Incoming>, handle: &MetricsHandle) -> Response<Full<Bytes>> {
    let (status, text) = match request.uri().path() {
        "/metrics" => {
            handle.0.run_upkeep();
            (StatusCode::OK, handle.0.render())
        }
        _ => (StatusCode::NOT_FOUND, "only /metrics is here\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let plain = http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

impl fmt::Debug for MetricsHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MetricsHandle")
    }
}
