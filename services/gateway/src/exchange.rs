//! What a client presents is verified here, and exchanged for a transaction token: only that goes on into the mesh.

use std::{fmt, sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use http::{HeaderMap, HeaderValue, header};
use mcp_proto::auth::v1::{
    ExchangeCredentialRequest, auth_service_client::AuthServiceClient, exchange_credential_request,
};
use mcp_rpc::LiveAccess;
use mcp_tenancy::{Credential, Denied};
use mcp_types::{Clock, TenantSlug, Timestamp};
use moka::future::Cache;
use tonic::{Code, Request, Status, transport::Channel};

use crate::{headers, refusal::Refusal};

/// How many transaction tokens are kept; the least used make room.
const TOKENS_MAX: u64 = 20_000;

/// How long before its end a transaction token is given out for the last time: a call that begins with it must be
/// let in at each hop.
const MARGIN: Duration = Duration::from_secs(10);

/// The longest life of a transaction token.
const LIFE_MAX: Duration = Duration::from_secs(60);

/// How long an exchange may take.
const EXCHANGE_MAX: Duration = Duration::from_secs(2);

/// Exchanges credentials, once for each and its transaction token's life.
pub(crate) struct Exchange {
    access: LiveAccess,
    clock: Arc<dyn Clock>,
    /// By the credential's SHA-256, so that none is kept in clear.
    known: Cache<[u8; 32], Exchanged>,
}

/// Who calls, proved by what the client presented.
pub(crate) struct Presented<'a> {
    /// Who signed in.
    pub(crate) credential: Arc<Credential>,
    token: &'a str,
}

#[derive(Clone)]
struct Exchanged {
    authorization: HeaderValue,
    usable_until: Timestamp,
}

// === impl Exchange ===

impl Exchange {
    pub(crate) fn new(access: LiveAccess, clock: Arc<dyn Clock>) -> Self {
        let known = Cache::builder().max_capacity(TOKENS_MAX).time_to_live(LIFE_MAX).build();
        Self { access, clock, known }
    }

    /// Verifies what a request presents.
    pub(crate) fn verify<'a>(&self, headers: &'a HeaderMap) -> Result<Presented<'a>, Denied> {
        let token = bearer(headers)?;
        let now = self.clock.now();
        let credential = self.access.verify_access(token, now).map_err(|denied| match denied {
            // Told apart for whoever reads the log: somebody may be replaying what leaked from the mesh.
            Denied::WrongType { expected } => match self.access.verify_transaction(token, now) {
                Err(Denied::WrongType { .. }) => Denied::WrongType { expected },
                _ => Denied::TransactionTokenAtEdge,
            },
            other => other,
        })?;
        // The edge asks clients for no certificate, so nobody can show here that a bound token is theirs.
        if credential.bound_to().is_some() {
            return Err(Denied::BoundToAnother);
        }
        Ok(Presented { credential, token })
    }

    /// The transaction token for what was presented, as the value of `authorization`.
    ///
    /// Callers with the same credential wait for one exchange.
    pub(crate) async fn authorization(
        &self,
        presented: &Presented<'_>,
        auth: &Channel,
        request_id: &HeaderValue,
        traceparent: &HeaderValue,
    ) -> Result<HeaderValue, Refusal> {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, presented.token.as_bytes()).as_ref());
        if let Some(known) = self.known.get(&key).await {
            if self.clock.now() < known.usable_until {
                return Ok(known.authorization);
            }
            self.known.invalidate(&key).await;
        }
        let exchanged = self.known.try_get_with(key, async {
            let answer = exchange(presented.token, auth.clone(), request_id, traceparent).await;
            metrics::counter!("mcp_edge_exchanges_total", "outcome" => if answer.is_ok() { "ok" } else { "failed" })
                .increment(1);
            answer
        });
        match exchanged.await {
            Ok(exchanged) => Ok(exchanged.authorization),
            Err(status) => Err(refused(&status)),
        }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("known", &self.known.entry_count()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presented").field("credential", &self.credential).finish_non_exhaustive()
    }
}

/// The tenant that a request names, where it names one.
pub(crate) fn tenant_named(headers: &HeaderMap) -> Result<Option<TenantSlug>, Denied> {
    let mut named = headers.get_all(headers::TENANT_ID).iter();
    match (named.next(), named.next()) {
        (None, _) => Ok(None),
        (Some(name), None) => {
            let slug = name.to_str().ok().and_then(|name| name.parse().ok());
            slug.map(Some).ok_or(Denied::TenantHeader)
        }
        (Some(_), Some(_)) => Err(Denied::TenantHeader),
    }
}

/// The token of `authorization: Bearer` (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, Denied> {
    let mut presented = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (presented.next(), presented.next()) {
        (None, _) => return Err(Denied::NoToken),
        (Some(value), None) => value.to_str().map_err(|_| Denied::Malformed("authorization"))?,
        (Some(_), Some(_)) => return Err(Denied::Malformed("several authorization headers")),
    };
    let (scheme, token) = value.split_once(' ').ok_or(Denied::Malformed("authorization"))?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Denied::Malformed("authorization scheme"));
    }
    Ok(token.trim())
}

async fn exchange(
    token: &str,
    auth: Channel,
    request_id: &HeaderValue,
    traceparent: &HeaderValue,
) -> Result<Exchanged, Status> {
    let credential = exchange_credential_request::Credential::AccessToken(token.to_owned());
    let mut request = Request::new(ExchangeCredentialRequest { credential: Some(credential) });
    request.set_timeout(EXCHANGE_MAX);
    let headers = request.metadata_mut().as_mut();
    headers.insert(headers::REQUEST_ID, request_id.clone());
    headers.insert(headers::TRACEPARENT, traceparent.clone());
    let answer =
        tokio::time::timeout(EXCHANGE_MAX, AuthServiceClient::new(auth).exchange_credential(request))
            .await
            .map_err(|_| Status::deadline_exceeded("the exchange took too long"))??
            .into_inner();
    let mut authorization = HeaderValue::try_from(format!("Bearer {}", answer.transaction_token))
        .map_err(|_| Status::internal("the transaction token is no header value"))?;
    authorization.set_sensitive(true);
    let ends = answer.expire_time.map_or(0, |time| time.seconds);
    Ok(Exchanged { authorization, usable_until: Timestamp::from_unix_secs(ends).minus(MARGIN) })
}

fn refused(status: &Status) -> Refusal {
    match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => Refusal::of_exchange(status),
        _ => Refusal::unreachable(format!("the exchange of a credential failed: {}", mcp_rpc::chain(status))),
    }
}

#[cfg(test)]
mod tests {
    //! What a request presents.

    use super::*;

    fn headers(values: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn one_bearer_token_is_presented_or_none() {
        assert_eq!(bearer(&headers(&[("authorization", "Bearer a.b.c")])), Ok("a.b.c"));
        assert_eq!(bearer(&headers(&[("authorization", "bearer a.b.c")])), Ok("a.b.c"));
        assert_eq!(bearer(&headers(&[])), Err(Denied::NoToken));
        for bad in ["Basic eDp5", "Bearer", "a.b.c", "DPoP a.b.c"] {
            assert!(
                matches!(bearer(&headers(&[("authorization", bad)])), Err(Denied::Malformed(_))),
                "{bad}"
            );
        }
        let twice = headers(&[("authorization", "Bearer a"), ("authorization", "Bearer b")]);
        assert!(matches!(bearer(&twice), Err(Denied::Malformed(_))));
    }

    #[test]
    fn a_tenant_is_named_once_and_by_its_slug() {
        assert_eq!(tenant_named(&headers(&[])), Ok(None));
        assert_eq!(tenant_named(&headers(&[("x-tenant-id", "acme")])).expect("a slug"), "acme".parse().ok());
        for bad in ["Acme", "", "acme, globex", "a/b"] {
            assert_eq!(tenant_named(&headers(&[("x-tenant-id", bad)])), Err(Denied::TenantHeader), "{bad}");
        }
        let twice = headers(&[("x-tenant-id", "acme"), ("x-tenant-id", "acme")]);
        assert_eq!(tenant_named(&twice), Err(Denied::TenantHeader));
    }

    #[test]
    fn only_what_auth_refuses_is_the_callers_fault() {
        let refusal = mcp_rpc::refusal(Code::Unauthenticated, "MEMBER_UNKNOWN", "no member");
        assert_eq!(
            (refused(&refusal).code(), refused(&refusal).reason()),
            (Code::Unauthenticated, "MEMBER_UNKNOWN")
        );
        for code in
            [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::DeadlineExceeded, Code::Internal]
        {
            assert_eq!(refused(&Status::new(code, "x")).code(), Code::Unavailable, "{code:?}");
        }
    }
}
