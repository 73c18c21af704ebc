//! The edge's pages over plain HTTP: health, readiness, published keys, the console.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use mcp_rpc::LiveAccess;
use serde_json::json;
use tonic::Code;

use crate::{
    assets::{self, Asset},
    framing::answer::EdgeBody,
    health::UpstreamHealth,
    refusal::Refusal,
};

/// A page.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Page {
    /// Whether the process lives.
    Healthz,
    /// Whether it should get traffic.
    Readyz,
    /// The public keys of access tokens (RFC 7517), for whoever verifies them too.
    Jwks,
    /// A file of the console.
    Asset(&'static Asset),
}

/// What pages tell of.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) access: LiveAccess,
    pub(crate) upstreams: UpstreamHealth,
    pub(crate) stop: mcp_runtime::Stop,
}

// === impl Page ===

impl Page {
    /// The page at `path`.
    pub(crate) fn at(path: &str) -> Option<Self> {
        match path {
            "/healthz" => Some(Self::Healthz),
            "/readyz" => Some(Self::Readyz),
            "/.well-known/jwks.json" => Some(Self::Jwks),
            _ => assets::at(path).map(Self::Asset),
        }
    }

    /// Its name in metrics and the log.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Healthz => "healthz",
            Self::Readyz => "readyz",
            Self::Jwks => "jwks",
            Self::Asset(_) => "asset",
        }
    }

    /// Answers a request for it.
    pub(crate) fn answer(
        self,
        method: &Method,
        request: &HeaderMap,
        state: &State,
    ) -> Result<Response<EdgeBody>, Refusal> {
        if *method != Method::GET && *method != Method::HEAD {
            return Err(method_not_allowed("GET, HEAD"));
        }
        let response = match self {
            Self::Healthz => plain(StatusCode::OK, "text/plain; charset=utf-8", "ok\n".into(), "no-store"),
            Self::Readyz => readyz(state),
            Self::Jwks => jwks(state)?,
            Self::Asset(asset) => file(asset, request),
        };
        Ok(if *method == Method::HEAD { head_only(response) } else { response })
    }
}

/// The answer to a path that leads nowhere.
pub(crate) fn not_found() -> Refusal {
    Refusal::new(Code::NotFound, "NOT_FOUND", "no such page")
}

/// The answer to a method of HTTP that is not `allowed`.
pub(crate) fn method_not_allowed(allowed: &'static str) -> Refusal {
    Refusal::new(Code::Unimplemented, "METHOD_NOT_ALLOWED", format!("only {allowed} here"))
        .http_alone(StatusCode::METHOD_NOT_ALLOWED)
        .with(header::ALLOW, allowed)
}

fn readyz(state: &State) -> Response<EdgeBody> {
    let access = state.access.version() > 0;
    let stopping = state.stop.is_requested();
    let ready = access && !stopping;
    let upstreams: serde_json::Map<_, _> =
        state.upstreams.each().map(|(name, serving)| (name.to_owned(), serving.into())).collect();
    // The services are told of and do not count: one that is down shall not take the others off the air.
    let body = json!({ "ready": ready, "access": access, "stopping": stopping, "upstreams": upstreams });
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    plain(status, "application/json", format!("{body}\n").into(), "no-store")
}

fn jwks(state: &State) -> Result<Response<EdgeBody>, Refusal> {
    let snapshot = state.access.snapshot();
    let issuer = snapshot.and_then(|snapshot| snapshot.access_issuer);
    let issuer = issuer.ok_or_else(|| Refusal::from(mcp_tenancy::Denied::NotReady))?;
    Ok(plain(StatusCode::OK, "application/jwk-set+json", issuer.jwks.into(), "public, max-age=60"))
}

fn file(asset: &'static Asset, request: &HeaderMap) -> Response<EdgeBody> {
    let known = request.get(header::IF_NONE_MATCH).is_some_and(|known| matches(known, &asset.etag));
    let mut response = Response::new(if known {
        EdgeBody::empty()
    } else {
        EdgeBody::full(Bytes::from_static(asset.bytes))
    });
    let headers = response.headers_mut();
    headers.insert(header::ETAG, asset.etag.clone());
    headers.insert(header::CACHE_CONTROL, asset.cache_control.clone());
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        headers.insert(header::CONTENT_TYPE, asset.content_type.clone());
    }
    response
}

/// `If-None-Match` compares weakly (RFC 9110, section 13.1.2).
fn matches(known: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(known), Ok(etag)) = (known.to_str(), etag.to_str()) else { return false };
    known.split(',').map(str::trim).any(|entry| entry == "*" || entry.trim_start_matches("W/") == etag)
}

fn plain(
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
    cache: &'static str,
) -> Response<EdgeBody> {
    let mut response = Response::new(EdgeBody::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

/// The same answer without its body, which says how long that would be (RFC 9110, section 9.3.2).
fn head_only(response: Response<EdgeBody>) -> Response<EdgeBody> {
    let bytes = http_body::Body::size_hint(response.body()).exact();
    let mut response = response.map(|_| EdgeBody::empty());
    if let Some(bytes) = bytes.filter(|_| response.status() == StatusCode::OK) {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    }
    response
}

#[cfg(test)]
mod tests {
    //! Pages as a browser and a load balancer see them.

    use http_body_util::BodyExt as _;

    use super::*;

    fn state() -> State {
        let stop = mcp_runtime::Stop::default();
        State { access: LiveAccess::default(), upstreams: UpstreamHealth::default(), stop }
    }

    fn get(path: &str, headers: &HeaderMap) -> Response<EdgeBody> {
        Page::at(path).expect("a page").answer(&Method::GET, headers, &state()).expect("an answer")
    }

    #[tokio::test]
    async fn a_process_without_keys_lives_but_is_not_ready() {
        assert_eq!(get("/healthz", &HeaderMap::new()).status(), 200);

        let response = get("/readyz", &HeaderMap::new());
        assert_eq!(response.status(), 503);
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["access"], false);
        assert_eq!(body["upstreams"]["context"], false);
        let jwks = Page::at("/.well-known/jwks.json").expect("a page");
        let refusal = jwks.answer(&Method::GET, &HeaderMap::new(), &state()).expect_err("not yet");
        assert_eq!(refusal.reason(), "NOT_READY");
    }

    #[test]
    fn a_file_that_the_browser_has_is_not_sent_again() {
        let first = get("/", &HeaderMap::new());
        let etag = first.headers()[header::ETAG].clone();

        let again = get("/", &HeaderMap::from_iter([(header::IF_NONE_MATCH, etag)]));
        assert_eq!(again.status(), 304);
        assert!(http_body::Body::is_end_stream(again.body()));
        let other = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static("\"other\""))]);
        assert_eq!(get("/", &other).status(), 200);
    }

    #[test]
    fn pages_are_read_and_not_written() {
        let page = Page::at("/").expect("a page");

        let refusal = page.answer(&Method::POST, &HeaderMap::new(), &state()).expect_err("refused");
        let response = refusal.answer(crate::protocol::Spoken::Http);
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()[header::ALLOW], "GET, HEAD");
        let head = page.answer(&Method::HEAD, &HeaderMap::new(), &state()).expect("an answer");
        assert!(
            http_body::Body::is_end_stream(head.body())
                && head.headers().contains_key(header::CONTENT_LENGTH)
        );
    }
}
