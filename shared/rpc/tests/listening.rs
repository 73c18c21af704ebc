//! What a listener bears from connections that want nothing, or take nothing, over true sockets.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::{body::Incoming, service::Service};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mcp_rpc::{ListenLimits, ServeConnection, listen};
use mcp_runtime::Shell;
use mcp_testkit::{TestMesh, loopback, shell};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream, server};
use tonic::body::Body;

/// Long enough for any machine; a test that waits for it in vain fails.
const PATIENCE: Duration = Duration::from_secs(20);

const H1: &[u8] = b"http/1.1";
const H2: &[u8] = b"h2";

/// Answers everything with a few bytes.
struct Brief;

impl ServeConnection for Brief {
    type Service = Self;

    fn connected(&self, _: &server::TlsStream<TcpStream>, _: SocketAddr) -> Option<Self> {
        Some(Self)
    }
}

impl Service<Request<Incoming>> for Brief {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn call(&self, _: Request<Incoming>) -> Self::Future {
        ready(Ok(Response::new(Body::new(Full::new(Bytes::from_static(b"brief"))))))
    }
}

struct World {
    mesh: TestMesh,
    address: SocketAddr,
    _shell: Shell,
}

impl World {
    fn start(limits: ListenLimits) -> Self {
        let (mesh, shell, listener) = (TestMesh::new(), shell(), loopback());
        let address = listener.local_addr().expect("bound");
        let mut config = Arc::unwrap_or_clone(mesh.live("context").server_config());
        config.alpn_protocols = vec![H2.to_vec(), H1.to_vec()];
        let config = Arc::new(config);
        let of_listener = shell.clone();
        tokio::spawn(async move {
            listen(listener, &of_listener, limits, "test", move || Arc::clone(&config), || Brief).await
        });
        Self { mesh, address, _shell: shell }
    }

    async fn tries(&self, protocol: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
        let config = self.mesh.live("gateway").client_config(&self.mesh.id("context")).expect("usable");
        let mut config = Arc::unwrap_or_clone(config);
        config.alpn_protocols = vec![protocol.to_vec()];
        let tcp = TcpStream::connect(self.address).await?;
        let name = rustls::pki_types::ServerName::try_from("mesh.internal").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, tcp).await
    }

    async fn connects(&self, protocol: &[u8]) -> TlsStream<TcpStream> {
        self.tries(protocol).await.expect("shaken hands")
    }
}

/// Waits until the other end has closed the connection.
async fn closed(mut stream: TlsStream<TcpStream>) {
    let mut bytes = [0; 1024];
    let ending = async { while matches!(stream.read(&mut bytes).await, Ok(read) if read > 0) {} };
    timeout(PATIENCE, ending).await.expect("closed in time");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_not_waited_for_without_end() {
    let world =
        World::start(ListenLimits { head_max: Duration::from_millis(100), ..ListenLimits::default() });

    closed(world.connects(H1).await).await;
    let mut begun = world.connects(H1).await;
    // As HTTP/2 begins too: nothing may wait for the rest to tell which it is.
    begun.write_all(b"PRI * HT").await.expect("sent");
    closed(begun).await;
}

#[tokio::test]
async fn a_connection_without_calls_is_closed_after_a_while() {
    let world =
        World::start(ListenLimits { idle_max: Duration::from_millis(100), ..ListenLimits::default() });

    closed(world.connects(H2).await).await;
}

#[tokio::test]
async fn a_client_that_takes_no_answers_is_cut_and_others_are_served() {
    let limits = ListenLimits { stall_max: Duration::from_millis(100), ..ListenLimits::default() };
    let world = World::start(limits);
    let stream = TokioIo::new(world.connects(H2).await);
    let (mut send, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(0)
        .handshake(stream)
        .await
        .expect("a connection");
    let connection = tokio::spawn(connection);

    let head = send.send_request(Request::new(Empty::<Bytes>::new())).await.expect("answered");
    let body = timeout(PATIENCE, head.into_body().collect()).await.expect("cut in time");

    assert!(body.is_err(), "{body:?}");
    assert!(connection.await.expect("no panic").is_err());
    let stream = TokioIo::new(world.connects(H2).await);
    let (mut send, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .handshake(stream)
        .await
        .expect("a connection");
    tokio::spawn(connection);
    let head = send.send_request(Request::new(Empty::<Bytes>::new())).await.expect("answered");
    assert_eq!(head.into_body().collect().await.expect("whole").to_bytes(), "brief");
}

#[tokio::test]
async fn one_address_has_only_so_many_connections() {
    let world = World::start(ListenLimits { connections_per_address_max: 2, ..ListenLimits::default() });

    let held = (world.connects(H2).await, world.connects(H2).await);
    world.tries(H2).await.expect_err("one too many");
    drop(held);

    let again = async { while world.tries(H2).await.is_err() {} };
    timeout(PATIENCE, again).await.expect("the places are given back");
}
