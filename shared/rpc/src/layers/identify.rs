//! Gives a call its request ID and its place in a trace, and sends the ID back.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::future::Either;
use http::{HeaderValue, Request};
use mcp_types::{Clock, Entropy, RequestId};
use pin_project_lite::pin_project;
use tonic::body::Body;
use tower::{Layer, Service};

use super::{Answer, GoOnOr, answer};
use crate::{
    call::{Call, REQUEST_ID, TRACEPARENT},
    conn::Connection,
    status::refusal,
    trace::TraceContext,
};

/// Puts [`Identify`] before a service.
#[derive(Clone, Debug)]
pub(crate) struct IdentifyLayer {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

/// Makes the [`Call`] that everything below adds to.
#[derive(Clone, Debug)]
pub(crate) struct Identify<S> {
    layer: IdentifyLayer,
    inner: S,
}

pin_project! {
    /// Puts the request ID on the answer.
    pub(crate) struct Identified<F> {
        #[pin]
        inner: F,
        id: HeaderValue,
    }
}

// === impl IdentifyLayer ===

impl<S> Layer<S> for IdentifyLayer {
    type Service = Identify<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Identify { layer: self.clone(), inner }
    }
}

// === impl Identify ===

impl<S, B> Service<Request<B>> for Identify<S>
where
    S: Service<Request<B>, Response = http::Response<Body>, Error = std::convert::Infallible>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = GoOnOr<Identified<S::Future>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(connection) = request.extensions().get::<Arc<Connection>>().cloned() else {
            return answer(refusal(tonic::Code::Internal, "INTERNAL", "internal error"));
        };
        let entropy = &*self.layer.entropy;
        let (request_id, id) = match request.headers().get(REQUEST_ID) {
            None => {
                let drawn = RequestId::draw(self.layer.clock.now(), entropy);
                let value = HeaderValue::try_from(drawn.as_str());
                (drawn, value.unwrap_or(HeaderValue::from_static("-")))
            }
            Some(value) => match value.to_str().ok().and_then(|text| text.parse::<RequestId>().ok()) {
                Some(sent) => (sent, value.clone()),
                // Not repeated: it may be made to break whoever reads it next.
                None => {
                    return answer(refusal(
                        tonic::Code::InvalidArgument,
                        "REQUEST_ID_MALFORMED",
                        "x-request-id must be 1 to 64 letters, digits, dots, hyphens and underscores",
                    ));
                }
            },
        };
        let parent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let trace = match parent.and_then(TraceContext::parse) {
            Some(parent) => parent.child(entropy),
            None => TraceContext::begin(entropy),
        };
        request.extensions_mut().insert(Arc::new(Call::new(request_id, trace, connection)));
        Either::Left(Identified { inner: self.inner.call(request), id })
    }
}

// === impl Identified ===

impl<F: Future<Output = Answer>> Future for Identified<F> {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        let this = self.project();
        let mut answered = ready!(this.inner.poll(cx));
        if let Ok(response) = &mut answered {
            response.headers_mut().insert(REQUEST_ID, this.id.clone());
        }
        Poll::Ready(answered)
    }
}
