//! Admits a call or answers it: no handler runs without a [`Caller`](mcp_tenancy::Caller).
//!
//! The rules are [`Gate`]'s, pure and in `mcp-tenancy`; here they meet the headers, in the order of their cost:
//! the peer (known already), the token (a hash and a look-up), the tenant, the permission.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::Either;
use http::{HeaderMap, Request, header::AUTHORIZATION};
use mcp_tenancy::{Access, Admission, Caller, Denied, Gate};
use mcp_types::Clock;
use tonic::body::Body;
use tower::{Layer, Service};

use super::{GoOnOr, answer};
use crate::{
    access::LiveAccess,
    call::{Call, TENANT_ID},
    status,
};

/// Puts [`Admit`] before a service.
#[derive(Clone, Debug)]
pub(crate) struct AdmitLayer {
    pub(crate) access: LiveAccess,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Hands a call on with its caller, or answers why not.
#[derive(Clone, Debug)]
pub(crate) struct Admit<S> {
    layer: AdmitLayer,
    inner: S,
}

// === impl AdmitLayer ===

impl<S> Layer<S> for AdmitLayer {
    type Service = Admit<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Admit { layer: self.clone(), inner }
    }
}

impl AdmitLayer {
    fn admit<'a>(&self, call: &Call, headers: &'a HeaderMap) -> Result<(Caller, Option<&'a str>), Denied> {
        let Some(policy) = call.policy() else {
            return Err(Denied::NotReady);
        };
        if !matches!(policy.access, Access::Permission(_)) {
            return Ok((Gate::admit_without_user(policy, call.peer())?, None));
        }
        Gate::admit_peer(policy, call.peer())?;
        let token = bearer(headers)?;
        let credential = self.access.verify_on_mesh(token, self.clock.now())?;
        let admission = Admission { tenant_header: tenant_header(headers)? };
        Ok((Gate::admit_user(policy, call.peer(), &credential, admission)?, Some(token)))
    }
}

// === impl Admit ===

impl<S, B> Service<Request<B>> for Admit<S>
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
        let Some(call) = Call::in_extensions(request.extensions()) else {
            return answer(status::denied(&Denied::NotReady));
        };
        match self.layer.admit(call, request.headers()) {
            Ok((caller, token)) => {
                call.admitted(caller, token);
                Either::Left(self.inner.call(request))
            }
            Err(denied) => {
                let status = status::denied(&denied);
                call.refused(denied);
                answer(status)
            }
        }
    }
}

/// The bearer token (RFC 6750, section 2.1), from exactly one header.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, Denied> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(Denied::NoToken)?;
    if values.next().is_some() {
        return Err(Denied::Malformed("several authorization headers"));
    }
    let text = value.to_str().map_err(|_| Denied::Malformed("authorization header"))?;
    let (scheme, token) = text.split_once(' ').ok_or(Denied::NoToken)?;
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(Denied::NoToken);
    }
    Ok(token)
}

/// The tenant named beside the token, if one is.
pub(crate) fn tenant_header(headers: &HeaderMap) -> Result<Option<&str>, Denied> {
    let mut values = headers.get_all(TENANT_ID).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Denied::TenantHeader);
    }
    let text = value.to_str().map_err(|_| Denied::TenantHeader)?;
    text.parse::<mcp_types::TenantSlug>().map_err(|_| Denied::TenantHeader)?;
    Ok(Some(text))
}
