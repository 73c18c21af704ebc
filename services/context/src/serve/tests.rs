//! The service in a mesh: real listeners, certificates, tokens and layers. The summarization service is a stand-in
//! that notes who called it.

use std::{net::SocketAddr, sync::Mutex};

use mcp_proto::{
    context::v1::{self as pb, context_service_client::ContextServiceClient},
    summarization::v1::{
        ListEnginesRequest, ListEnginesResponse, SummarizeRequest, SummarizeResponse, SummarizeStreamRequest,
        SummarizeStreamResponse,
        length::Limit,
        summarization_service_server::{SummarizationService, SummarizationServiceServer},
    },
};
use mcp_rpc::{Call, reason_of};
use mcp_testkit::{TestIssuer, TestMesh, loopback, shell};
use tempfile::TempDir;
use tonic::{Code, Request, Response, Status, transport::Channel};

use super::*;

/// Who called for a summary, on whose behalf, under which request ID, and for how many tokens.
type Noted = ([String; 3], Option<Limit>);

/// Notes who calls, and says one sentence.
#[derive(Clone, Default)]
struct Scribe {
    noted: Arc<Mutex<Vec<Noted>>>,
}

struct World {
    issuer: TestIssuer,
    scribe: Scribe,
    upstream: SocketAddr,
    shells: Vec<Shell>,
    serving: Vec<tokio::task::JoinHandle<Result<(), Failure>>>,
    client: Channel,
    folder: TempDir,
}

#[tonic::async_trait]
impl SummarizationService for Scribe {
    async fn summarize(
        &self,
        request: Request<SummarizeRequest>,
    ) -> Result<Response<SummarizeResponse>, Status> {
        let call = Call::of(&request)?;
        let caller = call.caller()?;
        let credential = caller.credential().expect("a user");
        let user = format!("{} of {}", credential.user(), credential.tenant());
        let limit = request.get_ref().length.and_then(|length| length.limit);
        let noted = ([caller.peer().to_string(), user, call.request_id().to_string()], limit);
        self.noted.lock().expect("whole").push(noted);
        Ok(Response::new(SummarizeResponse {
            summary: "All was said.".to_owned(),
            engine: request.get_ref().engine.clone(),
            ..Default::default()
        }))
    }

    type SummarizeStreamStream = futures_util::stream::Empty<Result<SummarizeStreamResponse, Status>>;

    async fn summarize_stream(
        &self,
        _: Request<SummarizeStreamRequest>,
    ) -> Result<Response<Self::SummarizeStreamStream>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }

    async fn list_engines(
        &self,
        _: Request<ListEnginesRequest>,
    ) -> Result<Response<ListEnginesResponse>, Status> {
        Err(Status::unimplemented("not asked for here"))
    }
}

impl World {
    async fn start() -> Self {
        let (mesh, issuer, scribe) = (TestMesh::new(), TestIssuer::new(), Scribe::default());
        let folder = tempfile::tempdir().expect("a folder");
        let [context_folder, other, edge] = ["context", "summarization", "gateway"].map(|service| {
            let below = folder.path().join(service);
            std::fs::create_dir(&below).expect("a folder");
            below
        });
        let shells = vec![shell(), shell(), shell()];
        let (listener, upstream) = (loopback(), loopback());
        let context = listener.local_addr().expect("bound");
        let address = upstream.local_addr().expect("bound");
        let config = Config { summarization: address, ..Config::default() };

        let summarization = mesh.join("summarization", &other, &issuer, &shells[1]).await;
        let (said, its) = (scribe.clone(), shells[1].clone());
        let routes = move || Routes::new(SummarizationServiceServer::new(said.clone()));
        let scribing = tokio::spawn(async move { summarization.serve(upstream, &its, routes).await });

        let kept = open(&config, &context_folder, &shells[0]).await.expect("opens");
        let own = mesh.join("context", &context_folder, &issuer, &shells[0]).await;
        let its = shells[0].clone();
        let keeping = tokio::spawn(async move { serve(&config, &own, kept, listener, &its).await });

        for shell in &shells[..2] {
            shell.readiness().serving().await;
        }
        let gateway = mesh.join("gateway", &edge, &issuer, &shells[2]).await;
        let client = gateway.channel(context, &name("context").expect("a name"));
        let serving = vec![keeping, scribing];
        Self { issuer, scribe, upstream: address, shells, serving, client, folder }
    }

    fn asks<T>(&self, permissions: &str, message: T) -> Request<T> {
        let token = self.issuer.transaction_token(|claims| claims.scope = permissions.into());
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        metadata.insert("authorization", format!("Bearer {token}").parse().expect("a header"));
        metadata.insert("x-tenant-id", "acme".parse().expect("a header"));
        metadata.insert("x-request-id", "the-request".parse().expect("a header"));
        request
    }

    fn contexts(&self) -> ContextServiceClient<Channel> {
        ContextServiceClient::new(self.client.clone())
    }

    /// A context of which a window of 16 tokens needs a summary.
    async fn talk(&self) -> String {
        let create = pb::CreateContextRequest { context: Some(pb::Context::default()), ..Default::default() };
        let stored =
            self.contexts().create_context(self.asks("context.write", create)).await.expect("stored");
        let parent = stored.into_inner().name;
        let say = |text: &str| pb::Message { role: 2, text: text.to_owned(), ..Default::default() };
        let messages = vec![say(&"word ".repeat(20)), say("the newest message")];
        let append = pb::AppendMessagesRequest { parent: parent.clone(), messages, ..Default::default() };
        self.contexts().append_messages(self.asks("context.write", append)).await.expect("appended");
        parent
    }

    /// Stops the services and returns what they served in.
    async fn stop(self) -> TempDir {
        drop(self.client);
        for shell in &self.shells {
            shell.stop.request();
        }
        for served in self.serving {
            served.await.expect("no panic").expect("a clean end");
        }
        self.folder
    }
}

fn window(name: String) -> pb::AssembleWindowRequest {
    pb::AssembleWindowRequest { name, max_tokens: 16, ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_is_summarised_over_the_mesh_under_both_identities() {
    let world = World::start().await;
    let name = world.talk().await;

    let request = world.asks("context.read summarization.use", window(name.clone()));
    let window = world.contexts().assemble_window(request).await.expect("a window").into_inner();

    let parts: Vec<_> = window.parts.iter().map(|part| (part.text.as_str(), part.token_count)).collect();
    assert_eq!(parts, [("All was said.", 3), ("the newest message", 3)]);
    assert_eq!(window.parts[0].last_message, format!("{name}/messages/1"));
    let noted = world.scribe.noted.lock().expect("whole").clone();
    let by = ["service/context", "alice of acme", "the-request"].map(str::to_owned);
    assert_eq!(noted, [(by, Some(Limit::MaxTokens(8)))]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_without_the_right_to_summaries_hears_the_other_services_refusal() {
    let world = World::start().await;
    let name = world.talk().await;

    let refused = world.contexts().assemble_window(world.asks("context.read", window(name))).await;

    let refused = refused.expect_err("no `summarization.use`");
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("summarization.use"), "{refused:?}");
    assert!(reason_of(&refused).is_some(), "{refused:?}");
    assert!(world.scribe.noted.lock().expect("whole").is_empty());
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_without_its_summarizer_says_so_and_no_more() {
    let world = World::start().await;
    let name = world.talk().await;
    world.shells[1].stop.request();
    while std::net::TcpStream::connect_timeout(&world.upstream, std::time::Duration::from_secs(1)).is_ok() {
        tokio::task::yield_now().await;
    }

    let request = world.asks("context.read summarization.use", window(name));
    let refused = world.contexts().assemble_window(request).await.expect_err("nobody there");

    assert_eq!(
        (refused.code(), reason_of(&refused).as_deref()),
        (Code::Unavailable, Some("SUMMARIZATION_UNAVAILABLE"))
    );
    assert!(!refused.message().contains("127.0.0.1"), "{refused:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let world = World::start().await;
    let name = world.talk().await;
    let folder = world.stop().await;

    let shell = shell();
    let kept = open(&Config::default(), &folder.path().join("context"), &shell).await.expect("opens again");

    let id = crate::names::ContextId::parse(&name).expect("a name");
    let scope = TestIssuer::new().scope("acme");
    let context = crate::store::Contexts::get(&*kept.store, &scope, id).await.expect("still there");
    assert_eq!(context.message_count, 2);
    kept.store.db().close().await;
}
