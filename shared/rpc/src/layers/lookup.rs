//! Finds the policy of the method, or answers that there is no such method.

use std::task::{Context, Poll};

use futures_util::future::Either;
use http::Request;
use mcp_tenancy::PolicyTable;
use tonic::body::Body;
use tower::{Layer, Service};

use super::{GoOnOr, answer};
use crate::{call::Call, status::refusal};

/// Puts [`Lookup`] before a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LookupLayer {
    pub(crate) policies: PolicyTable,
}

/// Lets methods pass that have a policy.
#[derive(Clone, Debug)]
pub(crate) struct Lookup<S> {
    policies: PolicyTable,
    inner: S,
}

// === impl LookupLayer ===

impl<S> Layer<S> for LookupLayer {
    type Service = Lookup<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Lookup { policies: self.policies, inner }
    }
}

// === impl Lookup ===

impl<S, B> Service<Request<B>> for Lookup<S>
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
        let policy = self.policies.of(request.uri().path());
        let call = Call::in_extensions(request.extensions());
        let (Some(policy), Some(call)) = (policy, call) else {
            return answer(refusal(tonic::Code::Unimplemented, "METHOD_UNKNOWN", "no such method"));
        };
        call.found(policy);
        Either::Left(self.inner.call(request))
    }
}
