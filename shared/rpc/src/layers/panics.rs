//! Turns a panic below into INTERNAL: one call fails, the process lives.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::future::{CatchUnwind, Either, FutureExt as _};
use http::Request;
use pin_project_lite::pin_project;
use tonic::body::Body;
use tower::{Layer, Service};

use super::{Answer, GoOnOr, answer};
use crate::status::refusal;

/// Puts [`Panics`] before a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PanicLayer;

/// Catches what unwinds.
#[derive(Clone, Debug)]
pub(crate) struct Panics<S> {
    inner: S,
}

pin_project! {
    /// A future that does not unwind past here.
    pub(crate) struct Caught<F> {
        #[pin]
        inner: CatchUnwind<AssertUnwindSafe<F>>,
    }
}

// === impl PanicLayer ===

impl<S> Layer<S> for PanicLayer {
    type Service = Panics<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Panics { inner }
    }
}

// === impl Panics ===

impl<S, B> Service<Request<B>> for Panics<S>
where
    S: Service<Request<B>, Response = http::Response<Body>, Error = std::convert::Infallible>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = GoOnOr<Caught<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // What a panicking call leaves behind is dropped with it; shared state below is held by locks that
        // forgive poison, or is swapped whole.
        match std::panic::catch_unwind(AssertUnwindSafe(|| self.inner.call(request))) {
            Ok(future) => Either::Left(Caught { inner: AssertUnwindSafe(future).catch_unwind() }),
            Err(_) => answer(panicked()),
        }
    }
}

// === impl Caught ===

impl<F: Future<Output = Answer>> Future for Caught<F> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        self.project().inner.poll(cx).map(|caught| caught.unwrap_or_else(|_| Ok(panicked().into_http())))
    }
}

fn panicked() -> tonic::Status {
    metrics::counter!("mcp_panics_total").increment(1);
    tracing::error!("a handler panicked; the call was answered INTERNAL");
    refusal(tonic::Code::Internal, "INTERNAL", "internal error")
}
