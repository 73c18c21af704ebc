//! Takes each call from its tenant's and its user's budget, or a peer's where no user takes part.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::Either;
use http::Request;
use mcp_limit::{Exceeded, Limits};
use tonic::body::Body;
use tower::{Layer, Service};

use super::{GoOnOr, answer};
use crate::{call::Call, conn::network, status::exhausted};

/// Puts [`Quota`] before a service.
#[derive(Clone, Debug)]
pub(crate) struct QuotaLayer {
    pub(crate) limits: Arc<Limits>,
}

/// Refuses what is beyond a budget.
#[derive(Clone, Debug)]
pub(crate) struct Quota<S> {
    limits: Arc<Limits>,
    inner: S,
}

// === impl QuotaLayer ===

impl<S> Layer<S> for QuotaLayer {
    type Service = Quota<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Quota { limits: Arc::clone(&self.limits), inner }
    }
}

// === impl Quota ===

impl<S> Quota<S> {
    fn take(&self, call: &Call) -> Result<(), Exceeded> {
        let Some(policy) = call.policy() else { return Ok(()) };
        let credential = call.admitted_caller().and_then(|caller| caller.credential());
        let key = match credential {
            Some(credential) => self.limits.key(&[credential.tenant().as_str(), credential.user().as_str()]),
            None => match call.peer().service_name() {
                Some(name) => self.limits.key(&["service", name]),
                // Who shows no certificate is told apart by address, so that one cannot spend all others' budget.
                None => self.limits.key(&["address", &network(call.connection().remote().ip()).to_string()]),
            },
        };
        self.limits.check(key, policy.rate).map(drop)
    }
}

impl<S, B> Service<Request<B>> for Quota<S>
where
    S: Service<Request<B>, Response = http::Response<Body>, Error = std::convert::Infallible>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = GoOnOr<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let taken = Call::in_extensions(request.extensions()).map_or(Ok(()), |call| self.take(call));
        match taken {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(exceeded) => {
                metrics::counter!("mcp_rate_limited_total", "limit" => "quota").increment(1);
                answer(exhausted(
                    "QUOTA",
                    "the budget for calls of this kind is spent; try again with exponential backoff and jitter",
                    exceeded.retry_after,
                ))
            }
        }
    }
}
