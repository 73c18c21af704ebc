//! Logs each call once and counts it, when its answer has ended.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{HeaderMap, Request};
use http_body::{Frame, SizeHint};
use mcp_runtime::for_request;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tonic::{Code, body::Body};
use tower::{Layer, Service};

use super::Answer;
use crate::{access_log::AccessLog, call::Call, rpc_metrics::RpcMetrics};

/// Puts [`Observe`] before a service.
#[derive(Clone, Debug)]
pub(crate) struct ObserveLayer(Arc<Shared>);

/// Where calls are told and counted.
#[derive(Debug)]
struct Shared {
    log: AccessLog,
    metrics: RpcMetrics,
}

/// Watches calls from their beginning to the end of their answer.
#[derive(Clone, Debug)]
pub(crate) struct Observe<S> {
    layer: ObserveLayer,
    inner: S,
}

/// One finished call, as the access log tells it.
#[derive(Debug)]
pub struct AccessLine {
    /// The call.
    pub call: Arc<Call>,
    /// How it ended.
    pub code: Code,
    /// From the request's head to the answer's end.
    pub took: Duration,
    /// Bytes of answer, frames included.
    pub answer_bytes: u64,
}

pin_project! {
    /// A call whose answer is on its way.
    pub(crate) struct Observed<F> {
        #[pin]
        inner: F,
        watch: Option<Watch>,
    }
}

/// Tells of the call when dropped: also where the caller went away first.
struct Watch {
    shared: Arc<Shared>,
    call: Arc<Call>,
    begun: Instant,
    code: Option<Code>,
    answer_bytes: u64,
}

struct ObservedBody {
    inner: Body,
    watch: Watch,
}

// === impl ObserveLayer ===

impl ObserveLayer {
    /// Tells calls to `log` and counts them in `metrics`.
    pub(crate) fn new(log: AccessLog, metrics: RpcMetrics) -> Self {
        Self(Arc::new(Shared { log, metrics }))
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Observe { layer: self.clone(), inner }
    }
}

// === impl Observe ===

impl<S, B> Service<Request<B>> for Observe<S>
where
    S: Service<Request<B>, Response = http::Response<Body>, Error = std::convert::Infallible>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Observed<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let watch = Call::in_extensions(request.extensions()).map(|call| Watch {
            shared: Arc::clone(&self.layer.0),
            call: Arc::clone(call),
            begun: Instant::now(),
            code: None,
            answer_bytes: 0,
        });
        Observed { inner: self.inner.call(request), watch }
    }
}

// === impl Observed ===

impl<F: Future<Output = Answer>> Future for Observed<F> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let this = self.project();
        // What the handler calls (a vault, a database) writes the request's ID into its own log.
        let polled = match this.watch.as_ref() {
            Some(watch) => for_request(watch.call.request_id(), || this.inner.poll(cx)),
            None => this.inner.poll(cx),
        };
        let answered = ready!(polled);
        let watch = this.watch.take();
        Poll::Ready(answered.map(|response| {
            let Some(mut watch) = watch else { return response };
            // An error's status stands in its headers, and nothing follows.
            watch.code = code_in(response.headers());
            if watch.code.is_some() {
                return response;
            }
            response.map(|inner| Body::new(ObservedBody { inner, watch }))
        }))
    }
}

// === impl ObservedBody ===

impl http_body::Body for ObservedBody {
    type Data = bytes::Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = &mut *self;
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.watch.answer_bytes += data.len() as u64;
                } else if let Some(trailers) = frame.trailers_ref() {
                    this.watch.code = code_in(trailers);
                }
            }
            Some(Err(status)) => this.watch.code = Some(status.code()),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

// === impl Watch ===

impl Drop for Watch {
    fn drop(&mut self) {
        // No status was sent: the caller went away before the end.
        let code = self.code.unwrap_or(Code::Cancelled);
        let took = self.begun.elapsed();
        self.shared.metrics.handled(self.call.policy(), code, took);
        if let Some(denied) = self.call.denied() {
            self.shared.metrics.denied(denied.reason());
        }
        let call = Arc::clone(&self.call);
        self.shared.log.write(AccessLine { call, code, took, answer_bytes: self.answer_bytes });
    }
}

/// The code of `grpc-status`, where it is among `headers`.
pub(crate) fn code_in(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|value| Code::from_bytes(value.as_bytes()))
}
