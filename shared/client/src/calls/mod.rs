//! One call: its headers put on, sent, and perhaps sent again.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header::AUTHORIZATION, request::Parts};
use http_body_util::{BodyExt as _, Full};
use mcp_types::{Clock, Entropy, RequestId, SystemClock, SystemEntropy};
use tokio::time::Instant;
use tonic::{Status, body::Body, transport::Channel};
use tower::{Service, ServiceExt as _};

use crate::{
    TokenSource,
    retry::{self, Budget, Retries, Verdict},
};

const TENANT_ID: &str = "x-tenant-id";
const REQUEST_ID: &str = "x-request-id";

/// Sends calls with everything that the platform asks for; what the generated clients are made on.
#[derive(Clone)]
pub struct Calls<S = Channel> {
    inner: S,
    common: Arc<Common>,
}

pub(crate) struct Common {
    pub(crate) tenant: Option<HeaderValue>,
    pub(crate) tokens: Option<Box<dyn TokenSource>>,
    pub(crate) retries: Retries,
    pub(crate) budget: Budget,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

// === impl Common ===

impl Default for Common {
    fn default() -> Self {
        Self {
            tenant: None,
            tokens: None,
            retries: Retries::default(),
            budget: Budget::default(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        }
    }
}

// === impl Calls ===

impl<S> Calls<S> {
    pub(crate) fn new(inner: S, common: Common) -> Self {
        Self { inner, common: Arc::new(common) }
    }
}

impl<S> Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    async fn send(self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let (mut parts, body) = request.into_parts();
        self.dress(&mut parts.headers);
        let path = parts.uri.path().to_owned();
        if !retry::is_one_message(&path) {
            let token = self.authorize(&mut parts.headers).await?;
            drop(token);
            return self.once(Request::from_parts(parts, body)).await;
        }
        let body = body.collect().await?.to_bytes();
        let deadline = timeout(&parts.headers).map(|timeout| Instant::now() + timeout);
        let mut renewed = false;
        let mut tries = 1;
        loop {
            let token = self.authorize(&mut parts.headers).await?;
            let answer = self.once(again(&parts, &body)).await;
            let Some(status) = refused(&answer) else {
                self.common.budget.succeeded();
                return answer;
            };
            let after = match Verdict::of(&status) {
                Verdict::Final => return answer,
                Verdict::Renew => {
                    let (Some(tokens), Some(token), false) = (&self.common.tokens, &token, renewed) else {
                        return answer;
                    };
                    tokens.expired(token);
                    renewed = true;
                    continue;
                }
                Verdict::Again { after, unsure } => {
                    if unsure && !retry::is_repeatable(&path, &body) {
                        return answer;
                    }
                    after
                }
            };
            // Counted also where it is the last try: the budget is everybody's.
            if !self.common.budget.failed() || tries >= self.common.retries.tries_max {
                return answer;
            }
            tries += 1;
            let Some(wait) = self.common.retries.wait(tries, after, self.chance()) else { return answer };
            if deadline.is_some_and(|deadline| Instant::now() + wait >= deadline) {
                return answer;
            }
            tracing::debug!(path, tries, ?wait, code = ?status.code(), "a call is repeated");
            tokio::time::sleep(wait).await;
            if let Some(deadline) = deadline {
                set_timeout(&mut parts.headers, deadline.saturating_duration_since(Instant::now()));
            }
        }
    }

    async fn once(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let mut inner = self.inner.clone();
        let ready = inner.ready().await.map_err(|error| Status::from_error(error.into()))?;
        ready.call(request).await.map_err(|error| Status::from_error(error.into()))
    }

    fn dress(&self, headers: &mut HeaderMap) {
        if let Some(tenant) = &self.common.tenant {
            headers.entry(TENANT_ID).or_insert_with(|| tenant.clone());
        }
        if !headers.contains_key(REQUEST_ID) {
            // The same for every try: they are one request to whoever reads the logs.
            let id = RequestId::draw(self.common.clock.now(), &*self.common.entropy);
            if let Ok(id) = HeaderValue::try_from(id.as_str()) {
                headers.insert(REQUEST_ID, id);
            }
        }
    }

    /// Puts the token of now on the request, unless the caller put one on, and returns it.
    async fn authorize(&self, headers: &mut HeaderMap) -> Result<Option<String>, Status> {
        let Some(tokens) = &self.common.tokens else { return Ok(None) };
        let token = tokens.token().await.map_err(|error| {
            let mut status = Status::unauthenticated(error.to_string());
            status.set_source(Arc::new(error));
            status
        })?;
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| Status::unauthenticated("the access token is no header value"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        Ok(Some(token))
    }

    fn chance(&self) -> u32 {
        let mut bytes = [0; 4];
        self.common.entropy.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }
}

impl<S> Service<Request<Body>> for Calls<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + Sync + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

impl<S> fmt::Debug for Calls<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls")
            .field("tenant", &self.common.tenant)
            .field("retries", &self.common.retries)
            .finish_non_exhaustive()
    }
}

/// The request once more.
fn again(parts: &Parts, body: &Bytes) -> Request<Body> {
    let mut request = Request::new(Body::new(Full::new(body.clone())));
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.version_mut() = parts.version;
    *request.headers_mut() = parts.headers.clone();
    *request.extensions_mut() = parts.extensions.clone();
    request
}

/// The status of an answer that is nothing but one.
fn refused(answer: &Result<Response<Body>, Status>) -> Option<Status> {
    match answer {
        Ok(response) => {
            Status::from_header_map(response.headers()).filter(|status| status.code() != tonic::Code::Ok)
        }
        Err(status) => Some(status.clone()),
    }
}

/// What `grpc-timeout` says (gRPC over HTTP/2, "Requests").
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount.saturating_mul(3600)),
        "M" => Duration::from_secs(amount.saturating_mul(60)),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

fn set_timeout(headers: &mut HeaderMap, left: Duration) {
    // Eight digits at most.
    let text = format!("{}m", left.as_millis().clamp(1, 99_999_999));
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert("grpc-timeout", value);
    }
}

#[cfg(test)]
mod tests;
