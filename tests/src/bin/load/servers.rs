//! The echo, on bare tonic and behind the layers, over the same mutual TLS, each in a process of its own.

use std::{
    convert::Infallible,
    error::Error,
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command},
    task::{Context, Poll},
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use mcp_proto::{
    auth::v1::AccessSnapshot,
    summarization::v1::{
        ListEnginesRequest, ListEnginesResponse, SummarizeRequest, SummarizeResponse, SummarizeStreamRequest,
        SummarizeStreamResponse,
        summarization_service_server::{SummarizationService, SummarizationServiceServer},
    },
};
use mcp_rpc::{LiveAccess, LiveIdentity, LocalSources, Mesh, MeshConfig};
use mcp_runtime::{Cores, Profile, Shell, Stop, install_metrics};
use mcp_svid::{ClientAuth, Identity, TrustBundle};
use mcp_testkit::{TestIssuer, TestMesh};
use mcp_tests::{
    user::summarizing,
    wire::{Wire, framed},
};
use prost::Message as _;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;
use tonic::{Request, Response, Status, body::Body, service::Routes};

use crate::generator::{CONNECTIONS, Call};

const PATH: &str = "/mcp.summarization.v1.SummarizationService/Summarize";
const NAME: &str = "summarization";

/// What the echo stands on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Tonic, and nothing else: the least that it can cost.
    Bare,
    /// The mesh listener with every layer, its log and its audit.
    Stack,
}

/// A running server and everything a client of it needs.
pub(crate) struct Fixture {
    kind: Kind,
    folder: TempDir,
    server: Child,
    address: SocketAddr,
    mesh: TestMesh,
    issuer: TestIssuer,
}

// === impl Kind ===

impl Kind {
    /// Its name in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare tonic, mTLS",
            Self::Stack => "every layer, mTLS",
        }
    }

    const fn argument(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Stack => "stack",
        }
    }
}

// === impl Fixture ===

impl Fixture {
    /// Starts a server of `kind`.
    pub(crate) async fn start(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (mesh, issuer) = (TestMesh::new(), TestIssuer::new());
        let (chain, key) = mesh.identity(NAME).to_pem();
        let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).expect("written");
        write("cert.pem", chain.as_bytes());
        write("key.pem", key.as_bytes());
        write("ca.pem", mesh.bundle().to_pem().as_bytes());
        write("access", &issuer.snapshot().encode_to_vec());
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        let server = Command::new(std::env::current_exe().expect("this binary"))
            .arg(kind.argument())
            .arg(folder.path())
            .stderr(log)
            .spawn()
            .expect("the server starts");
        let ready = folder.path().join("ready");
        let address = mcp_tests::world::until("the server", async || {
            let text = fs::read_to_string(&ready).map_err(|error| error.to_string())?;
            text.parse::<SocketAddr>().map_err(|error| error.to_string())
        })
        .await;
        Self { kind, folder, server, address, mesh, issuer }
    }

    /// The server's process.
    pub(crate) fn process(&self) -> u32 {
        self.server.id()
    }

    /// Connections, as the gateway makes them.
    pub(crate) async fn connections(&self) -> Vec<Wire> {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            let (identity, expected) = (self.mesh.identity("gateway"), self.mesh.id(NAME));
            let tls =
                mcp_svid::client_config(&identity, &self.mesh.bundle(), &expected).expect("a TLS config");
            connections.push(Wire::connect(self.address, tls).await.expect("connects"));
        }
        connections
    }

    /// The call that is echoed.
    pub(crate) fn call(&self, bytes: usize) -> Call {
        let token = self.issuer.transaction_token(|claims| claims.scope = "summarization.use".to_owned());
        let mut headers = vec![
            ("content-type".to_owned(), "application/grpc".to_owned()),
            ("te".to_owned(), "trailers".to_owned()),
        ];
        if self.kind == Kind::Stack {
            headers.push(("authorization".to_owned(), format!("Bearer {token}")));
            headers.push(("x-tenant-id".to_owned(), "acme".to_owned()));
        }
        let body = framed(&summarizing(&mcp_tests::document(bytes), 20).encode_to_vec());
        Call { path: PATH, headers, body }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = fs::remove_file(self.folder.path().join("ready"));
    }
}

/// Runs as the server, until killed.
pub(crate) fn serve(kind: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let read = |name: &str| fs::read_to_string(folder.join(name));
    let identity = Identity::from_pem(&read("cert.pem")?, &read("key.pem")?)?;
    let bundle = TrustBundle::from_pem(1, &read("ca.pem")?)?;
    // Bound already: whoever connects now waits for the first accept.
    fs::write(folder.join("ready.new"), address.to_string())?;
    fs::rename(folder.join("ready.new"), folder.join("ready"))?;
    match kind {
        "bare" => bare(listener, &identity, &bundle),
        "stack" => stack(listener, identity, bundle, folder),
        other => Err(format!("there is no server `{other}`").into()),
    }
}

/// One current-thread runtime, as a core of ours is one.
fn bare(listener: TcpListener, identity: &Identity, bundle: &TrustBundle) -> Result<(), Box<dyn Error>> {
    let tls = TlsAcceptor::from(mcp_svid::server_config(identity, bundle, ClientAuth::Required)?);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let tls = tls.clone();
            tokio::spawn(async move {
                let Ok(stream) = tls.accept(stream).await else { return };
                let service = TowerToHyperService::new(BareEcho);
                let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                builder.initial_stream_window_size(1 << 20).initial_connection_window_size(4 << 20);
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

fn stack(
    listener: TcpListener,
    identity: Identity,
    bundle: TrustBundle,
    folder: &Path,
) -> Result<(), Box<dyn Error>> {
    let access = LiveAccess::default();
    access.replace(AccessSnapshot::decode(&*fs::read(folder.join("access"))?)?)?;
    let unlimited = std::num::NonZeroU32::MAX;
    let config = MeshConfig {
        trust_domain: identity.id().trust_domain().clone(),
        state_dir: folder.to_owned(),
        quotas: mcp_limit::Quotas {
            read: unlimited,
            write: unlimited,
            heavy: unlimited,
            sensitive: unlimited,
            upkeep: unlimited,
        },
        ..MeshConfig::default()
    };
    let live = LiveIdentity::new(identity, bundle)?;
    let sources = LocalSources { identity: Some(live), access: Some(access) };
    let shell = Shell::new(Cores::start(1)?, Stop::default(), Profile::Development);
    let _metrics = install_metrics().map_err(|failure| failure.to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let name = NAME.parse()?;
        let mesh =
            Mesh::join_with(&name, &config, &shell, sources).await.map_err(|failure| failure.to_string())?;
        let routes = || Routes::new(SummarizationServiceServer::new(Echo));
        mesh.serve(listener, &shell, routes).await.map_err(|failure| failure.to_string())?;
        Ok(())
    })
}

/// Answers with the text that it was sent.
#[derive(Clone, Copy, Debug)]
struct Echo;

// === impl Echo ===

fn echo(request: SummarizeRequest) -> SummarizeResponse {
    SummarizeResponse { summary: request.text, ..SummarizeResponse::default() }
}

#[tonic::async_trait]
impl SummarizationService for Echo {
    async fn summarize(
        &self,
        request: Request<SummarizeRequest>,
    ) -> Result<Response<SummarizeResponse>, Status> {
        Ok(Response::new(echo(request.into_inner())))
    }

    type SummarizeStreamStream = tonic::codegen::BoxStream<SummarizeStreamResponse>;

    async fn summarize_stream(
        &self,
        _: Request<SummarizeStreamRequest>,
    ) -> Result<Response<Self::SummarizeStreamStream>, Status> {
        Err(Status::unimplemented("an echo answers once"))
    }

    async fn list_engines(
        &self,
        _: Request<ListEnginesRequest>,
    ) -> Result<Response<ListEnginesResponse>, Status> {
        Err(Status::unimplemented("an echo has no engine"))
    }
}

/// The same on prost's own codec, since ours holds messages to their rules.
#[derive(Clone, Copy, Debug)]
struct BareEcho;

// === impl BareEcho ===

impl tower::Service<http::Request<hyper::body::Incoming>> for BareEcho {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<hyper::body::Incoming>) -> Self::Future {
        Box::pin(async move {
            let codec = tonic_prost::ProstCodec::<SummarizeResponse, SummarizeRequest>::default();
            let unary = tower::service_fn(|request: Request<SummarizeRequest>| async move {
                Ok::<_, Status>(Response::new(echo(request.into_inner())))
            });
            Ok(tonic::server::Grpc::new(codec).unary(unary, request).await)
        })
    }
}
