//! The edge over true sockets: TLS, both versions of HTTP, bodies larger than a window, and the drain.

use std::{
    fs, io, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc, time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mcp_proto::summarization::v1::SummarizeRequest;
use mcp_rpc::{ListenLimits, listen};
use mcp_runtime::{Cores, Failure, Profile, Shell, Stop};
use mcp_types::{Clock as _, SystemClock};
use prost::Message as _;
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    version::{TLS12, TLS13},
};
use rustls_pki_types::CertificateDer;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::world::{SUMMARIZE, World, post};
use crate::{CertificateFiles, edge::Connections, framing::envelope::wrap, tls::EdgeTls};

/// A listener of an edge, from outside.
pub(super) struct Outside {
    pub(super) address: SocketAddr,
    pub(super) root: CertificateDer<'static>,
}

struct Wire {
    world: World,
    outside: Outside,
    stop: Stop,
    serving: JoinHandle<Result<(), Failure>>,
    _folder: tempfile::TempDir,
}

impl Wire {
    async fn new() -> Self {
        let world = World::new().await;
        let folder = tempfile::tempdir().expect("a folder");
        let (files, root) = certificate(folder.path());
        let tls = EdgeTls::load(&files, SystemClock.now()).expect("loads");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = world.core.edge.pages.stop.clone();
        let shell = Shell::new(Cores::start(1).expect("a core"), stop.clone(), Profile::Development);
        let core = Arc::clone(&world.core);
        let serving = tokio::spawn(async move {
            let connections = move || Connections(Arc::clone(&core));
            listen(listener, &shell, ListenLimits::default(), "edge", move || tls.config(), connections).await
        });
        Self { world, outside: Outside { address, root }, stop, serving, _folder: folder }
    }

    async fn send(&self, version: Version, request: Request<Full<Bytes>>) -> Response<Incoming> {
        self.outside.send(version, request).await
    }
}

/// A certificate for `localhost` in files, and itself.
pub(super) fn certificate(folder: &Path) -> (CertificateFiles, CertificateDer<'static>) {
    let files = CertificateFiles { chain: folder.join("chain.pem"), key: folder.join("key.pem") };
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("signed");
    fs::write(&files.chain, certificate.pem()).expect("written");
    fs::write(&files.key, key.serialize_pem()).expect("written");
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).expect("set");
    (files, certificate.der().clone())
}

// === impl Outside ===

impl Outside {
    async fn connect(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[u8],
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).expect("a root");
        let mut config = ClientConfig::builder_with_provider(mcp_svid::provider())
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        let stream = TcpStream::connect(self.address).await?;
        TlsConnector::from(Arc::new(config)).connect("localhost".try_into().expect("a name"), stream).await
    }

    pub(super) async fn send(&self, version: Version, request: Request<Full<Bytes>>) -> Response<Incoming> {
        self.send_slowly(version, request).await.expect("an answer")
    }

    async fn send_slowly(
        &self,
        version: Version,
        mut request: Request<Full<Bytes>>,
    ) -> hyper::Result<Response<Incoming>> {
        *request.version_mut() = version;
        if version == Version::HTTP_2 {
            let uri = format!("https://localhost{}", request.uri());
            *request.uri_mut() = uri.parse().expect("a URI");
            let stream = TokioIo::new(self.connect(&[&TLS13], b"h2").await.expect("connected"));
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
            tokio::spawn(connection);
            sender.send_request(request).await
        } else {
            request.headers_mut().insert("host", "localhost".parse().expect("a value"));
            let stream = TokioIo::new(self.connect(&[&TLS12], b"http/1.1").await.expect("connected"));
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(stream).await.expect("HTTP/1.1");
            tokio::spawn(connection);
            sender.send_request(request).await
        }
    }
}

pub(super) fn text(text: String) -> Bytes {
    wrap(0, &SummarizeRequest { text, ..Default::default() }.encode_to_vec())
}

pub(super) async fn end(response: Response<Incoming>) -> (Bytes, Option<HeaderMap>) {
    let gathered = response.into_body().collect().await.expect("a body");
    let trailers = gathered.trailers().cloned();
    (gathered.to_bytes(), trailers)
}

#[tokio::test]
async fn a_megabyte_goes_there_and_back_over_both_versions_of_http() {
    let wire = Wire::new().await;
    let token = wire.world.token();
    let large = "x".repeat(1 << 20);

    for version in [Version::HTTP_11, Version::HTTP_2] {
        let request = post(SUMMARIZE, "application/grpc-web", Some(&token), text(large.clone()));
        let (body, trailers) = end(wire.send(version, request).await).await;
        assert!(body.len() > 1 << 20 && trailers.is_none(), "{version:?}: {}", body.len());
        assert!(body.ends_with(b"grpc-status:0\r\n"), "{version:?}");
        let request = post(SUMMARIZE, "application/json", Some(&token), format!(r#"{{"text":"{large}"}}"#));
        let response = wire.send(version, request).await;
        assert_eq!(response.status(), 200, "{version:?}");
        assert!(end(response).await.0.len() > 1 << 20, "{version:?}");
    }
    let (_, trailers) =
        end(wire.send(Version::HTTP_2, post(SUMMARIZE, "application/grpc", Some(&token), text(large))).await)
            .await;
    assert_eq!(trailers.expect("trailers")["grpc-status"], "0");
}

#[tokio::test]
async fn a_request_that_is_too_large_hears_so_over_the_wire() {
    let wire = Wire::new().await;
    let token = wire.world.token();
    let large = "x".repeat(5 << 20);

    let response = wire
        .send(Version::HTTP_2, post(SUMMARIZE, "application/grpc", Some(&token), text(large.clone())))
        .await;
    assert_eq!(response.headers()["grpc-status"], "8");
    // Over HTTP/1.1 the connection would be closed under the sender, were the rest not read.
    for version in [Version::HTTP_2, Version::HTTP_11] {
        let request = post(SUMMARIZE, "application/proto", Some(&token), text(large.clone()));
        let response = wire.send(version, request).await;
        assert_eq!(response.status(), 413, "{version:?}");
        assert_eq!(response.headers()["x-frame-options"], "DENY");
        assert!(end(response).await.0.starts_with(b"{"), "{version:?}");
    }
}

#[tokio::test]
async fn only_tls_is_spoken() {
    let wire = Wire::new().await;

    let mut plain = TcpStream::connect(wire.outside.address).await.expect("connected");
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("sent");
    let mut heard = Vec::new();
    let _ = plain.read_to_end(&mut heard).await;
    assert!(!heard.starts_with(b"HTTP"), "{heard:?}");
    let stream = wire.outside.connect(&[&TLS13, &TLS12], b"h2").await.expect("connected");
    assert_eq!(stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let group = stream.get_ref().1.negotiated_key_exchange_group().map(|group| group.name());
    assert_eq!(group, Some(rustls::NamedGroup::X25519MLKEM768));
}

#[tokio::test]
async fn a_call_in_flight_is_finished_and_an_endless_one_ended_when_the_edge_stops() {
    let wire = Wire::new().await;
    let token = wire.world.token();
    // The first call, so that the exchange is done and the second one's time is its own.
    wire.send(Version::HTTP_2, post(SUMMARIZE, "application/grpc", Some(&token), text("x".into()))).await;
    let watch = post("/grpc.health.v1.Health/Watch", "application/grpc", None, wrap(0, b""));
    let watching = wire.send(Version::HTTP_2, watch).await;
    assert_eq!(watching.status(), 200);

    let slow = wire
        .outside
        .send_slowly(Version::HTTP_2, post(SUMMARIZE, "application/grpc", Some(&token), text("slow".into())));
    let stop = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        wire.stop.request();
    };
    let (slow, ()) = tokio::join!(slow, stop);
    let (_, trailers) = end(slow.expect("an answer")).await;
    assert_eq!(trailers.expect("trailers")["grpc-status"], "0");
    let (_, trailers) = end(watching).await;
    assert_eq!(trailers.expect("trailers")["grpc-status"], "14");
    let served = tokio::time::timeout(Duration::from_secs(5), wire.serving).await.expect("drains");
    served.expect("no panic").expect("served");
}
