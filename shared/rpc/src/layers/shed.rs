//! Refuses what is beyond the calls that may run at once, instead of queueing callers past their deadlines.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::future::Either;
use http::Request;
use http_body::{Body as _, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;
use tower::{Layer, Service};

use super::{Answer, GoOnOr, answer};
use crate::status::exhausted;

/// Puts [`Shed`] before a service; all its services share one bound.
#[derive(Clone, Debug)]
pub(crate) struct ShedLayer {
    places: Arc<Semaphore>,
}

/// Lets a call pass while there is a place.
#[derive(Clone, Debug)]
pub(crate) struct Shed<S> {
    places: Arc<Semaphore>,
    inner: S,
}

pin_project! {
    /// Holds the call's place until its answer has begun, and hands it to a body that goes on.
    pub(crate) struct Held<F> {
        #[pin]
        inner: F,
        place: Option<OwnedSemaphorePermit>,
    }
}

struct HeldBody {
    inner: Body,
    _place: OwnedSemaphorePermit,
}

// === impl ShedLayer ===

impl ShedLayer {
    /// Lets `calls_in_flight_max` calls run at once.
    pub(crate) fn new(calls_in_flight_max: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(calls_in_flight_max)) }
    }
}

impl<S> Layer<S> for ShedLayer {
    type Service = Shed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Shed { places: Arc::clone(&self.places), inner }
    }
}

// === impl Shed ===

impl<S, B> Service<Request<B>> for Shed<S>
where
    S: Service<Request<B>, Response = http::Response<Body>, Error = std::convert::Infallible>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = GoOnOr<Held<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => Either::Left(Held { inner: self.inner.call(request), place: Some(place) }),
            Err(_) => {
                metrics::counter!("mcp_calls_shed_total").increment(1);
                answer(exhausted(
                    "OVERLOADED",
                    "too many calls at once; try again with exponential backoff and jitter",
                    Duration::from_millis(200),
                ))
            }
        }
    }
}

// === impl Held ===

impl<F: Future<Output = Answer>> Future for Held<F> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let this = self.project();
        let answered = ready!(this.inner.poll(cx));
        let place = this.place.take();
        Poll::Ready(answered.map(|response| match place {
            // An answer that ended with its headers holds nothing any more.
            Some(place) if !response.body().is_end_stream() => {
                response.map(|inner| Body::new(HeldBody { inner, _place: place }))
            }
            _ => response,
        }))
    }
}

// === impl HeldBody ===

impl http_body::Body for HeldBody {
    type Data = bytes::Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
