//! What the layers do to a call, over a true socket with true certificates.
#![expect(clippy::panic, reason = "a service that panics when it is told to")]

use std::{net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use mcp_proto::summarization::v1::{
    ListEnginesRequest, ListEnginesResponse, SummarizeRequest, SummarizeResponse, SummarizeStreamRequest,
    SummarizeStreamResponse,
    summarization_service_client::SummarizationServiceClient,
    summarization_service_server::{SummarizationService, SummarizationServiceServer},
};
use mcp_rpc::{Call, mesh_channel, reason_of};
use mcp_runtime::Shell;
use mcp_testkit::{TestIssuer, TestMesh, loopback, shell};
use tokio_stream::Stream;
use tonic::{Code, Request, Response, Status, service::Routes, transport::Channel};

/// A service that does what its text says.
#[derive(Clone, Debug)]
struct Obedient;

#[tonic::async_trait]
impl SummarizationService for Obedient {
    async fn summarize(
        &self,
        request: Request<SummarizeRequest>,
    ) -> Result<Response<SummarizeResponse>, Status> {
        let call = Call::of(&request)?;
        match request.get_ref().text.as_str() {
            "panic" => panic!("as told"),
            "sleep" => std::future::pending().await,
            _ => {}
        }
        let scope = call.tenant_scope()?;
        // Names what the handler was told, so that a test can compare.
        let engine = format!("{} {}", scope.tenant(), call.request_id());
        Ok(Response::new(SummarizeResponse { engine, ..Default::default() }))
    }

    type SummarizeStreamStream = Pin<Box<dyn Stream<Item = Result<SummarizeStreamResponse, Status>> + Send>>;

    async fn summarize_stream(
        &self,
        _: Request<SummarizeStreamRequest>,
    ) -> Result<Response<Self::SummarizeStreamStream>, Status> {
        Ok(Response::new(Box::pin(tokio_stream::pending())))
    }

    async fn list_engines(
        &self,
        _: Request<ListEnginesRequest>,
    ) -> Result<Response<ListEnginesResponse>, Status> {
        Ok(Response::new(ListEnginesResponse::default()))
    }
}

struct World {
    mesh: TestMesh,
    issuer: TestIssuer,
    address: SocketAddr,
    shell: Shell,
    served: tokio::task::JoinHandle<Result<(), mcp_runtime::Failure>>,
    folder: tempfile::TempDir,
}

impl World {
    async fn start() -> Self {
        let (mesh, issuer, shell) = (TestMesh::new(), TestIssuer::new(), shell());
        let folder = tempfile::tempdir().expect("a folder");
        let listener = loopback();
        let address = listener.local_addr().expect("bound");
        let joined = mesh.join("summarization", folder.path(), &issuer, &shell).await;
        let of_service = shell.clone();
        let served = tokio::spawn(async move {
            joined
                .serve(listener, &of_service, || Routes::new(SummarizationServiceServer::new(Obedient)))
                .await
        });
        shell.readiness().serving().await;
        Self { mesh, issuer, address, shell, served, folder }
    }

    fn client_as(&self, service: &str) -> SummarizationServiceClient<Channel> {
        let channel = mesh_channel(self.address, self.mesh.id("summarization"), self.mesh.live(service));
        SummarizationServiceClient::new(channel).max_encoding_message_size(usize::MAX)
    }

    fn call(&self, text: &str) -> Request<SummarizeRequest> {
        let mut request = Request::new(SummarizeRequest { text: text.to_owned(), ..Default::default() });
        let token = self.issuer.transaction_token(|claims| claims.scope = "summarization.use".to_owned());
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().expect("ascii"));
        request
    }

    async fn connect(&self) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
        let config = self.mesh.live("gateway").client_config(&self.mesh.id("summarization")).expect("usable");
        let tcp = tokio::net::TcpStream::connect(self.address).await.expect("connected");
        let name = rustls::pki_types::ServerName::try_from("mesh.internal").expect("a name");
        tokio_rustls::TlsConnector::from(config).connect(name, tcp).await.expect("shaken hands")
    }

    fn audit(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("audit.jsonl")).expect("an audit log")
    }
}

#[tokio::test]
async fn a_handler_learns_who_calls_and_the_answer_carries_the_request_id() {
    let world = World::start().await;
    let mut call = world.call("hello");
    call.metadata_mut().insert("x-request-id", "r-1".parse().expect("ascii"));

    let answer = world.client_as("gateway").summarize(call).await.expect("let in");

    assert_eq!(answer.metadata().get("x-request-id").map(|id| id.as_bytes()), Some(&b"r-1"[..]));
    assert!(answer.get_ref().engine.ends_with(" r-1"), "{answer:?}");
}

#[tokio::test]
async fn a_panic_fails_its_call_and_no_other() {
    let world = World::start().await;
    let mut client = world.client_as("gateway");

    let failed = client.summarize(world.call("panic")).await.expect_err("panicked");
    let next = client.summarize(world.call("hello")).await;

    assert_eq!(failed.code(), Code::Internal);
    assert_eq!(failed.message(), "internal error");
    assert!(next.is_ok(), "{next:?}");
}

#[tokio::test]
async fn a_call_ends_at_its_callers_deadline() {
    let world = World::start().await;
    let token = world.issuer.transaction_token(|claims| claims.scope = "summarization.use".to_owned());
    let message =
        prost::Message::encode_to_vec(&SummarizeRequest { text: "sleep".to_owned(), ..Default::default() });
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).expect("short").to_be_bytes());
    frame.extend(message);

    // By hand: tonic's own client would give up by itself at the same moment.
    let request =
        http::Request::post("https://mesh.internal/mcp.summarization.v1.SummarizationService/Summarize")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {token}"))
            .header("grpc-timeout", "50m")
            .body(http_body_util::Full::new(bytes::Bytes::from(frame)))
            .expect("a request");
    let io = hyper_util::rt::TokioIo::new(world.connect().await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(hyper_util::rt::TokioExecutor::new(), io)
            .await
            .expect("shaken hands");
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.expect("an answer");

    let code = answer.headers().get("grpc-status").map(|status| Code::from_bytes(status.as_bytes()));
    assert_eq!(code, Some(Code::DeadlineExceeded));
}

#[tokio::test]
async fn a_stream_ends_at_its_callers_deadline_too() {
    let world = World::start().await;
    let message = SummarizeStreamRequest { text: "hello".to_owned(), ..Default::default() };
    let mut call = world.call("hello").map(|_| message);
    call.metadata_mut().insert("grpc-timeout", "80m".parse().expect("ascii"));

    let mut stream = world.client_as("gateway").summarize_stream(call).await.expect("opened").into_inner();
    let late = stream.message().await.expect_err("too late");

    assert_eq!(late.code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_malformed_deadline_is_refused_not_ignored() {
    let world = World::start().await;
    let mut call = world.call("hello");
    call.metadata_mut().insert("grpc-timeout", "soon".parse().expect("ascii"));

    let refused = world.client_as("gateway").summarize(call).await.expect_err("malformed");

    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(reason_of(&refused).as_deref(), Some("TIMEOUT_MALFORMED"));
}

#[tokio::test]
async fn a_malformed_request_id_is_refused_and_not_repeated() {
    let world = World::start().await;
    let mut call = world.call("hello");
    call.metadata_mut().insert("x-request-id", "two words".parse().expect("ascii"));

    let refused = world.client_as("gateway").summarize(call).await.expect_err("malformed");

    assert_eq!(reason_of(&refused).as_deref(), Some("REQUEST_ID_MALFORMED"));
    assert!(!format!("{refused:?}").contains("two words"));
}

#[tokio::test]
async fn a_message_beyond_its_methods_size_is_refused_by_its_length_alone() {
    let world = World::start().await;
    let text = "x".repeat(4 * 1024 * 1024);

    let refused = world.client_as("gateway").summarize(world.call(&text)).await.expect_err("too large");

    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(reason_of(&refused).as_deref(), Some("REQUEST_TOO_LARGE"));
}

#[tokio::test]
async fn a_peer_that_the_policy_does_not_name_is_refused_and_the_row_says_which_rule() {
    let world = World::start().await;

    let refused = world.client_as("auth").summarize(world.call("hello")).await.expect_err("not named");
    world.shell.stop.request();
    world.served.await.expect("no panic").expect("drained");
    let rows = std::fs::read_to_string(world.folder.path().join("audit.jsonl")).expect("an audit log");

    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(rows.contains("PEER_NOT_ALLOWED") && rows.contains("gateway, context"), "{rows}");
}

#[tokio::test]
async fn what_was_let_in_is_recorded_when_the_service_has_stopped() {
    let world = World::start().await;
    world.client_as("gateway").summarize(world.call("hello")).await.expect("let in");
    world.shell.stop.request();

    let World { served, folder, .. } = world;
    served.await.expect("no panic").expect("drained");
    let rows = std::fs::read_to_string(folder.path().join("audit.jsonl")).expect("an audit log");

    assert!(rows.contains("\"decision\":\"allow\""), "{rows}");
    assert!(rows.contains("/mcp.summarization.v1.SummarizationService/Summarize"), "{rows}");
}

#[tokio::test]
async fn a_call_in_flight_finishes_after_the_word_to_stop() {
    let world = Arc::new(World::start().await);
    let mut stream = {
        let message = SummarizeStreamRequest { text: "hello".to_owned(), ..Default::default() };
        let mut call = world.call("hello").map(|_| message);
        call.metadata_mut().insert("grpc-timeout", "400m".parse().expect("ascii"));
        world.client_as("gateway").summarize_stream(call).await.expect("opened").into_inner()
    };

    world.shell.stop.request();
    let ended = tokio::time::timeout(Duration::from_secs(5), stream.message()).await.expect("ends");

    // Its own deadline ended it, not the stop.
    assert_eq!(ended.expect_err("late").code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn two_services_agree_on_a_post_quantum_key_exchange() {
    let world = World::start().await;

    let tls = world.connect().await;

    let group = tls.get_ref().1.negotiated_key_exchange_group().expect("agreed").name();
    assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
}

#[tokio::test]
async fn probes_ask_for_health_without_a_user() {
    let world = World::start().await;
    let channel = mesh_channel(world.address, world.mesh.id("summarization"), world.mesh.live("gateway"));

    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    let answer = health.check(tonic_health::pb::HealthCheckRequest::default()).await.expect("public");

    assert_eq!(answer.into_inner().status(), tonic_health::pb::health_check_response::ServingStatus::Serving);
    assert!(!world.audit().contains("Health"), "probes leave no rows");
}
