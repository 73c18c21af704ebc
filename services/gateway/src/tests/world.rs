//! An edge with services behind it that note what reached them, and an issuer of tokens.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use mcp_audit::{AuditFuture, AuditLost, AuditRow, AuditSink};
use mcp_limit::{IpLimit, LimitClock};
use mcp_proto::{
    POLICIES,
    auth::v1::{self as auth, auth_service_server},
    summarization::v1::{self as summarization, summarization_service_server},
};
use mcp_rpc::RpcMetrics;
use mcp_runtime::Stop;
use mcp_testkit::TestIssuer;
use mcp_types::{Clock as _, SystemClock, SystemEntropy};
use tokio::sync::Semaphore;
use tonic::{
    Code, Status, Streaming,
    body::Body,
    transport::{Channel, Endpoint, Server},
};

use crate::{
    access_log::AccessLog,
    config::EdgeLimits,
    cors::Origins,
    edge::{Core, Edge},
    exchange::Exchange,
    health::UpstreamHealth,
    local,
    observe::Observer,
    pages::State,
    routes::Routes,
};

pub(super) const SUMMARIZE: &str = "/mcp.summarization.v1.SummarizationService/Summarize";
pub(super) const SUMMARIZE_STREAM: &str = "/mcp.summarization.v1.SummarizationService/SummarizeStream";
pub(super) const ALICE: &[&str] = &["summarization.use", "context.read"];
pub(super) const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// The edge and what is around it.
pub(super) struct World {
    pub(super) core: Arc<Core>,
    pub(super) services: Services,
    pub(super) audit: Arc<Rows>,
    pub(super) issuer: Arc<TestIssuer>,
}

/// The services behind the edge, and what reached them.
#[derive(Clone, Debug)]
pub(super) struct Services {
    pub(super) issuer: Arc<TestIssuer>,
    pub(super) exchanges: Arc<AtomicUsize>,
    pub(super) seen: Arc<Mutex<Vec<HeaderMap>>>,
}

#[derive(Debug, Default)]
pub(super) struct Rows(Mutex<Vec<AuditRow>>);

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

// === impl World ===

impl World {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(turn: impl FnOnce(&mut EdgeLimits)) -> Self {
        let issuer = Arc::new(TestIssuer::new());
        let services = Services::new(&issuer);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let behind = Server::builder()
            .add_service(auth_service_server::AuthServiceServer::new(services.clone()))
            .add_service(summarization_service_server::SummarizationServiceServer::new(services.clone()));
        tokio::spawn(behind.serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener)));
        // A port that nobody answers: bound once, so that it is free, and dropped.
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.and_then(|it| it.local_addr());

        let access = issuer.live_access();
        let audit = Arc::<Rows>::default();
        let mut limits = EdgeLimits::default();
        turn(&mut limits);
        let routes = Routes::of_policies().expect("routes");
        let local = local::services(&routes).expect("services");
        let edge = Edge {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            trusted_proxies: Vec::new(),
            origins: Origins::new(&["https://app.example".to_owned()]).expect("origins"),
            places: Arc::new(Semaphore::new(limits.concurrency)),
            watchers: Arc::new(Semaphore::new(limits.concurrency.div_ceil(crate::WATCHERS_SHARE))),
            ip: IpLimit::new(limits.ip, LimitClock::machine()),
            assets: IpLimit::new(limits.assets, LimitClock::machine()),
            routes,
            exchange: Exchange::new(access.clone(), Arc::new(SystemClock)),
            observer: Arc::new(Observer {
                log: AccessLog::none(),
                metrics: RpcMetrics::new(POLICIES, "edge"),
                audit: Arc::<Rows>::clone(&audit),
                clock: Arc::new(SystemClock),
            }),
            pages: State { access, upstreams: UpstreamHealth::default(), stop: Stop::default() },
        };
        let core = Core {
            edge: Arc::new(edge),
            auth: channel(address),
            context: channel(nobody.expect("an address")),
            summarization: channel(address),
            local: local.routes,
        };
        Self { core: Arc::new(core), services, audit, issuer }
    }

    /// An access token of alice of acme with `permissions`.
    pub(super) fn token_with(&self, permissions: &[&str]) -> String {
        self.issuer.access_token(|claims| claims.scope = permissions.join(" "))
    }

    pub(super) fn token(&self) -> String {
        self.token_with(ALICE)
    }

    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Heard {
        self.send_from(HOME, request).await
    }

    pub(super) async fn send_from(&self, ip: IpAddr, request: Request<Full<Bytes>>) -> Heard {
        Heard::read(self.core.serve(ip, request).await).await
    }

    /// The metadata of the last call that reached a service.
    pub(super) fn last_seen(&self) -> HeaderMap {
        self.services.seen.lock().expect("whole").last().expect("a call").clone()
    }

    pub(super) fn calls_seen(&self) -> usize {
        self.services.seen.lock().expect("whole").len()
    }
}

/// A POST in `content_type`, over HTTP/2.
pub(super) fn post(
    path: &str,
    content_type: &str,
    token: Option<&str>,
    body: impl Into<Bytes>,
) -> Request<Full<Bytes>> {
    let mut request = Request::post(path).version(Version::HTTP_2).header("content-type", content_type);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(Full::new(body.into())).expect("a request")
}

pub(super) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).expect("a request")
}

fn channel(address: SocketAddr) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).expect("an address").connect_lazy()
}

// === impl Heard ===

impl Heard {
    async fn read(response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let gathered = body.collect().await.expect("a body of the edge never fails");
        let trailers = gathered.trailers().cloned();
        Self { status: head.status.as_u16(), headers: head.headers, body: gathered.to_bytes(), trailers }
    }

    /// The gRPC status, wherever the protocol put it.
    pub(super) fn grpc(&self) -> Status {
        let from_body = || {
            let at = self.body.windows(12).position(|part| part == b"grpc-status:")?;
            let lines = std::str::from_utf8(&self.body[at..]).ok()?;
            let pairs = lines.lines().filter_map(|line| line.split_once(':'));
            let headers = pairs.filter_map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)));
            Status::from_header_map(&HeaderMap::from_iter(headers))
        };
        Status::from_header_map(&self.headers)
            .or_else(|| Status::from_header_map(self.trailers.as_ref()?))
            .or_else(from_body)
            .expect("a status")
    }

    pub(super) fn reason(&self) -> String {
        match self.headers.get("content-type").map(http::HeaderValue::as_bytes) {
            Some(b"application/json") => {
                let details = self.json()["details"].as_array().cloned().unwrap_or_default();
                let reasons = details.iter().filter_map(|detail| detail["debug"]["reason"].as_str());
                reasons.map(str::to_owned).next().unwrap_or_default()
            }
            _ => mcp_rpc::reason_of(&self.grpc()).unwrap_or_default(),
        }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(super) fn code(&self) -> Code {
        self.grpc().code()
    }
}

// === impl Services ===

impl Services {
    pub(super) fn new(issuer: &Arc<TestIssuer>) -> Self {
        Self { issuer: Arc::clone(issuer), exchanges: Arc::default(), seen: Arc::default() }
    }
}

#[tonic::async_trait]
impl summarization_service_server::SummarizationService for Services {
    type SummarizeStreamStream =
        stream::Iter<std::vec::IntoIter<Result<summarization::SummarizeStreamResponse, Status>>>;

    async fn summarize(
        &self,
        request: tonic::Request<summarization::SummarizeRequest>,
    ) -> Result<tonic::Response<summarization::SummarizeResponse>, Status> {
        self.seen.lock().expect("whole").push(request.metadata().clone().into_headers());
        let text = request.into_inner().text;
        if text == "stall" {
            tokio::time::sleep(Duration::from_secs(600)).await;
        }
        if text == "slow" {
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
        if text == "refuse" {
            return Err(mcp_rpc::refusal(Code::FailedPrecondition, "ENGINE_BUSY", "no engine"));
        }
        let mut response = tonic::Response::new(summarization::SummarizeResponse {
            summary: text,
            engine: "echo".to_owned(),
            ..Default::default()
        });
        response.metadata_mut().insert("x-mcp-inner", "secret".parse().expect("a value"));
        response.metadata_mut().insert("set-cookie", "a=b".parse().expect("a value"));
        response.metadata_mut().insert("x-note", "seen".parse().expect("a value"));
        Ok(response)
    }

    async fn summarize_stream(
        &self,
        request: tonic::Request<summarization::SummarizeStreamRequest>,
    ) -> Result<tonic::Response<Self::SummarizeStreamStream>, Status> {
        self.seen.lock().expect("whole").push(request.metadata().clone().into_headers());
        let part = |summary: &str| {
            Ok(summarization::SummarizeStreamResponse { summary: summary.to_owned(), ..Default::default() })
        };
        let text = request.into_inner().text;
        let parts: Vec<_> = text.split(' ').map(part).collect();
        Ok(tonic::Response::new(stream::iter(parts)))
    }

    async fn list_engines(
        &self,
        _: tonic::Request<summarization::ListEnginesRequest>,
    ) -> Result<tonic::Response<summarization::ListEnginesResponse>, Status> {
        Ok(tonic::Response::new(summarization::ListEnginesResponse::default()))
    }
}

#[tonic::async_trait]
impl auth_service_server::AuthService for Services {
    type WatchAccessStream = stream::Pending<Result<auth::WatchAccessResponse, Status>>;

    async fn sign_in_locally(
        &self,
        request: tonic::Request<auth::SignInLocallyRequest>,
    ) -> Result<tonic::Response<auth::SignInLocallyResponse>, Status> {
        self.seen.lock().expect("whole").push(request.metadata().clone().into_headers());
        let role = "owner".to_owned();
        Ok(tonic::Response::new(auth::SignInLocallyResponse { role, ..Default::default() }))
    }

    async fn issue_development_token(
        &self,
        _: tonic::Request<auth::IssueDevelopmentTokenRequest>,
    ) -> Result<tonic::Response<auth::IssueDevelopmentTokenResponse>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn exchange_credential(
        &self,
        request: tonic::Request<auth::ExchangeCredentialRequest>,
    ) -> Result<tonic::Response<auth::ExchangeCredentialResponse>, Status> {
        self.exchanges.fetch_add(1, Ordering::SeqCst);
        // Long enough that callers meet here, were they let.
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(request.metadata().contains_key("x-request-id"));
        let seconds = SystemClock.now().unix_secs() + 60;
        Ok(tonic::Response::new(auth::ExchangeCredentialResponse {
            transaction_token: self.issuer.transaction_token(|claims| claims.scope = ALICE.join(" ")),
            expire_time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
        }))
    }

    async fn watch_access(
        &self,
        _: tonic::Request<Streaming<auth::WatchAccessRequest>>,
    ) -> Result<tonic::Response<Self::WatchAccessStream>, Status> {
        Ok(tonic::Response::new(stream::pending()))
    }
}

// === impl Rows ===

impl Rows {
    /// The reasons of all rows so far.
    pub(super) fn reasons(&self) -> Vec<String> {
        let rows = self.0.lock().expect("whole");
        rows.iter().filter_map(|row| row.reason.as_ref()).map(ToString::to_string).collect()
    }

    pub(super) fn last(&self) -> AuditRow {
        self.0.lock().expect("whole").last().expect("a row").clone()
    }
}

impl AuditSink for Rows {
    fn record(&self, row: AuditRow) -> Result<(), AuditLost> {
        self.0.lock().expect("whole").push(row);
        Ok(())
    }

    fn record_durably(&self, row: AuditRow) -> AuditFuture<'_> {
        Box::pin(async move { self.record(row) })
    }

    fn flush(&self) -> AuditFuture<'_> {
        Box::pin(async { Ok(()) })
    }
}
