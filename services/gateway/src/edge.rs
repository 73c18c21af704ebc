//! One request at the edge: what happens to it, in order, and why in this order.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
};

use futures_util::FutureExt as _;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, request::Parts};
use hyper::body::Incoming;
use mcp_limit::IpLimit;
use mcp_rpc::{Drained, ServeConnection, TraceContext};
use mcp_types::{Clock, Entropy, RequestId};
use tokio::{net::TcpStream, sync::Semaphore, time::Instant};
use tokio_rustls::server::TlsStream;
use tonic::{Code, body::Body, service::Routes as LocalRoutes, transport::Channel};

use crate::{
    Cidr, cidr,
    cors::{self, Origins},
    exchange::Exchange,
    forward::ClientBody,
    framing::answer::EdgeBody,
    headers,
    observe::{Asked, Entry, Observer, Record},
    pages::{self, Page, State},
    protocol::{Protocol, Spoken},
    refusal::Refusal,
    routes::{self, Routes, Upstream},
};

/// What all cores share.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) trusted_proxies: Vec<Cidr>,
    pub(crate) origins: Origins,
    /// Places for requests that are answered at once.
    pub(crate) places: Arc<Semaphore>,
    /// Places for calls that never end by themselves, a few: anybody may watch health, and shall keep out nobody else.
    pub(crate) watchers: Arc<Semaphore>,
    pub(crate) ip: IpLimit,
    /// The same for pages and preflights.
    pub(crate) assets: IpLimit,
    pub(crate) routes: Routes,
    pub(crate) exchange: Exchange,
    pub(crate) observer: Arc<Observer>,
    pub(crate) pages: State,
}

/// What one core has for itself: its channels live in its runtime.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) edge: Arc<Edge>,
    pub(crate) auth: Channel,
    pub(crate) context: Channel,
    pub(crate) summarization: Channel,
    pub(crate) local: LocalRoutes,
}

/// Serves the connections of one core.
#[derive(Clone, Debug)]
pub(crate) struct Connections(pub(crate) Arc<Core>);

/// Serves the requests of one connection.
#[derive(Debug)]
pub(crate) struct Connection {
    core: Arc<Core>,
    remote: IpAddr,
}

/// What the path leads to, told before anything is paid for.
enum Target {
    Preflight,
    Page(Page),
    Nowhere,
    Method,
}

// === impl Connections ===

impl ServeConnection for Connections {
    type Service = Connection;

    fn connected(&self, _: &TlsStream<TcpStream>, remote: SocketAddr) -> Option<Connection> {
        Some(Connection { core: Arc::clone(&self.0), remote: remote.ip() })
    }
}

// === impl Connection ===

impl hyper::service::Service<Request<Incoming>> for Connection {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (core, remote) = (Arc::clone(&self.core), self.remote);
        // A refusal is answered before the body has come; the rest is read all the same.
        Box::pin(async move { Ok(core.serve(remote, request.map(Drained::new)).await) })
    }
}

// === impl Core ===

impl Core {
    pub(crate) async fn serve<B: ClientBody>(&self, remote: IpAddr, request: Request<B>) -> Response<Body> {
        let began = Instant::now();
        let edge = &*self.edge;
        let (parts, body) = request.into_parts();
        let mut body = Some(body);

        // First of all, so that whatever happens below can be spoken of.
        let (request_id, id_holds) = edge.request_id(&parts);
        let id_value = HeaderValue::try_from(request_id.as_str()).unwrap_or(HeaderValue::from_static("-"));
        let trace = edge.trace(&parts);
        let target = Target::of(&parts);
        let spoken = match target {
            Target::Method => Protocol::of(&parts.headers).map_or(Spoken::Http, Spoken::Rpc),
            Target::Preflight | Target::Page(_) | Target::Nowhere => Spoken::Http,
        };
        let is_call = matches!(target, Target::Method);
        let client = cidr::client(remote, &parts.headers, &edge.trusted_proxies);

        // Above everything that may refuse, so that refusals and panics are logged and counted like answers.
        let entry = Entry {
            request_id,
            trace,
            client,
            spoken: spoken.name(),
            asked: target.asked(),
            credential: None,
            status: StatusCode::OK,
            code: None,
            reason: "",
            took: began.elapsed(),
            upstream: None,
            request_bytes: 0,
            answer_bytes: 0,
        };
        let mut record = Box::new(Record::begin(Arc::clone(&edge.observer), entry, began));
        let origin = edge.origins.listed(&parts.headers);
        let call = Call { core: self, client, spoken, id: &id_value, trace, listed: origin.is_some() };

        let answered = if id_holds {
            AssertUnwindSafe(call.answer(&mut record, target, parts, &mut body)).catch_unwind().await
        } else {
            let words = "x-request-id must be 1 to 64 letters, digits, dots, hyphens and underscores";
            Ok(Err(Refusal::new(Code::InvalidArgument, "REQUEST_ID_MALFORMED", words)))
        };
        let answered = answered.unwrap_or_else(|_| Err(Refusal::internal("a panic, whose message is above")));
        // What is whole already costs nothing more to send: whoever does not read it shall not keep others out.
        if answered.is_err() || !is_call {
            record.leaves();
        }
        let mut response = answered.unwrap_or_else(|refusal| {
            record.refused(&refusal);
            refusal.answer(spoken)
        });

        // Every answer passes here, whatever it is.
        let headers = response.headers_mut();
        headers::secure(headers);
        edge.origins.dress(origin, headers);
        headers.insert(headers::REQUEST_ID, id_value);
        if record.is_rpc() {
            headers::time(headers, record.took(), record.upstream());
        }
        let status = response.status();
        record.with(|entry| entry.status = status);
        response.map(|body| Body::new(body.recorded(record)))
    }

    pub(crate) fn channel(&self, upstream: Upstream) -> Option<&Channel> {
        match upstream {
            Upstream::Auth => Some(&self.auth),
            Upstream::Context => Some(&self.context),
            Upstream::Summarization => Some(&self.summarization),
            Upstream::Edge => None,
        }
    }
}

/// What is known of a request while it is answered.
pub(crate) struct Call<'a> {
    pub(crate) core: &'a Core,
    pub(crate) client: IpAddr,
    pub(crate) spoken: Spoken,
    pub(crate) id: &'a HeaderValue,
    pub(crate) trace: TraceContext,
    /// Whether it comes from a page of a listed origin.
    pub(crate) listed: bool,
}

// === impl Call ===

impl Call<'_> {
    async fn answer<B: ClientBody>(
        &self,
        record: &mut Record,
        target: Target,
        parts: Parts,
        body: &mut Option<B>,
    ) -> Result<Response<EdgeBody>, Refusal> {
        let edge = &*self.core.edge;

        // The cheapest refusal: under overload nothing below is paid for.
        let place = Arc::clone(&edge.places).try_acquire_owned().map_err(|_| Refusal::overloaded())?;
        record.holds(place);

        // Before anything that costs a signature or a look at a body. What serves a browser before its first call,
        // and a load balancer all day, is a class of its own.
        let limit = match target {
            Target::Preflight | Target::Page(_) => &edge.assets,
            Target::Nowhere | Target::Method => &edge.ip,
        };
        limit.check(self.client).map_err(|exceeded| Refusal::limited(limit.rate(), exceeded))?;

        match target {
            Target::Preflight => {
                let mut response = Response::new(EdgeBody::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                cors::answer_preflight(self.listed, &parts.headers, response.headers_mut());
                Ok(response)
            }
            Target::Page(page) => page.answer(&parts.method, &parts.headers, &edge.pages),
            Target::Nowhere => Err(pages::not_found()),
            Target::Method => self.call(record, parts, body).await,
        }
    }
}

// === impl Edge ===

impl Edge {
    /// The request's ID, and whether the one it came with holds. One that does not is not repeated: it may be made to
    /// break whoever reads it next.
    fn request_id(&self, parts: &Parts) -> (RequestId, bool) {
        let draw = || RequestId::draw(self.clock.now(), &*self.entropy);
        let mut sent = parts.headers.get_all(headers::REQUEST_ID).iter();
        match (sent.next(), sent.next()) {
            (None, _) => (draw(), true),
            (Some(sent), None) => {
                let sent = sent.to_str().ok().and_then(|text| text.parse().ok());
                sent.map_or_else(|| (draw(), false), |sent| (sent, true))
            }
            (Some(_), Some(_)) => (draw(), false),
        }
    }

    fn trace(&self, parts: &Parts) -> TraceContext {
        let parent = parts.headers.get(headers::TRACEPARENT).and_then(|value| value.to_str().ok());
        match parent.and_then(TraceContext::parse) {
            Some(parent) => parent.child(&*self.entropy),
            None => TraceContext::begin(&*self.entropy),
        }
    }
}

// === impl Target ===

impl Target {
    fn of(parts: &Parts) -> Self {
        if cors::is_preflight(&parts.method, &parts.headers) {
            return Self::Preflight;
        }
        if parts.method == Method::CONNECT || !is_plain(&parts.uri) {
            return Self::Nowhere;
        }
        let path = parts.uri.path();
        if routes::is_method_path(path) {
            return Self::Method;
        }
        Page::at(path).map_or(Self::Nowhere, Self::Page)
    }

    fn asked(&self) -> Asked {
        match self {
            Self::Preflight => Asked::Page("preflight"),
            Self::Page(page) => Asked::Page(page.name()),
            Self::Nowhere => Asked::Page("nowhere"),
            Self::Method => Asked::NoMethod,
        }
    }
}

/// Paths are compared byte by byte: one with escapes is never what it seems.
fn is_plain(uri: &Uri) -> bool {
    !uri.path().contains('%')
}
