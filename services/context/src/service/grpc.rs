//! Each method as tonic calls it: whose call it is, and what it says.

use std::sync::Arc;

use futures_util::stream::BoxStream;
use mcp_proto::context::v1::{self as pb, context_service_server::ContextService};
use mcp_rpc::Call;
use tonic::{Request, Response, Status, Streaming};

use super::{By, Service};
use crate::{store::Contexts, window::Upstream};

#[tonic::async_trait]
impl<C: Contexts> ContextService for Service<C> {
    async fn create_context(
        &self,
        request: Request<pb::CreateContextRequest>,
    ) -> Result<Response<pb::Context>, Status> {
        let (_, by, request) = opened(request)?;
        self.create(&by, request).await.map(Response::new)
    }

    async fn get_context(
        &self,
        request: Request<pb::GetContextRequest>,
    ) -> Result<Response<pb::Context>, Status> {
        let (_, by, request) = opened(request)?;
        self.get(&by, &request).await.map(Response::new)
    }

    async fn list_contexts(
        &self,
        request: Request<pb::ListContextsRequest>,
    ) -> Result<Response<pb::ListContextsResponse>, Status> {
        let (_, by, request) = opened(request)?;
        self.list(&by, &request).await.map(Response::new)
    }

    async fn update_context(
        &self,
        request: Request<pb::UpdateContextRequest>,
    ) -> Result<Response<pb::Context>, Status> {
        let (_, by, request) = opened(request)?;
        self.update(&by, request).await.map(Response::new)
    }

    async fn delete_context(
        &self,
        request: Request<pb::DeleteContextRequest>,
    ) -> Result<Response<()>, Status> {
        let (_, by, request) = opened(request)?;
        self.delete(&by, &request).await.map(Response::new)
    }

    async fn append_messages(
        &self,
        request: Request<pb::AppendMessagesRequest>,
    ) -> Result<Response<pb::AppendMessagesResponse>, Status> {
        let (_, by, request) = opened(request)?;
        self.append(&by, request).await.map(Response::new)
    }

    async fn list_messages(
        &self,
        request: Request<pb::ListMessagesRequest>,
    ) -> Result<Response<pb::ListMessagesResponse>, Status> {
        let (_, by, request) = opened(request)?;
        self.messages(&by, &request).await.map(Response::new)
    }

    async fn assemble_window(
        &self,
        request: Request<pb::AssembleWindowRequest>,
    ) -> Result<Response<pb::AssembleWindowResponse>, Status> {
        let (call, by, request) = opened(request)?;
        let summarizer = Upstream::new(self.summarization.clone(), call);
        self.window(&by, &request, &summarizer).await.map(Response::new)
    }

    async fn batch_get_contexts(
        &self,
        request: Request<pb::BatchGetContextsRequest>,
    ) -> Result<Response<pb::BatchGetContextsResponse>, Status> {
        let _ = opened(request)?;
        Err(Status::unimplemented("not served yet"))
    }

    async fn list_context_revisions(
        &self,
        request: Request<pb::ListContextRevisionsRequest>,
    ) -> Result<Response<pb::ListContextRevisionsResponse>, Status> {
        let _ = opened(request)?;
        Err(Status::unimplemented("not served yet"))
    }

    async fn search_contexts(
        &self,
        request: Request<pb::SearchContextsRequest>,
    ) -> Result<Response<pb::SearchContextsResponse>, Status> {
        let _ = opened(request)?;
        Err(Status::unimplemented("not served yet"))
    }

    async fn fork_context(
        &self,
        request: Request<pb::ForkContextRequest>,
    ) -> Result<Response<pb::Context>, Status> {
        let _ = opened(request)?;
        Err(Status::unimplemented("not served yet"))
    }

    type WatchContextStream = BoxStream<'static, Result<pb::WatchContextResponse, Status>>;

    async fn watch_context(
        &self,
        request: Request<pb::WatchContextRequest>,
    ) -> Result<Response<Self::WatchContextStream>, Status> {
        let _ = opened(request)?;
        Err(Status::unimplemented("not served yet"))
    }

    type ExportContextsStream = BoxStream<'static, Result<pb::ExportContextsResponse, Status>>;

    async fn export_contexts(
        &self,
        request: Request<pb::ExportContextsRequest>,
    ) -> Result<Response<Self::ExportContextsStream>, Status> {
        let _ = opened(request)?;
        Err(Status::unimplemented("not served yet"))
    }

    async fn import_contexts(
        &self,
        request: Request<Streaming<pb::ImportContextsRequest>>,
    ) -> Result<Response<pb::ImportContextsResponse>, Status> {
        let _ = opened(request)?;
        Err(Status::unimplemented("not served yet"))
    }
}

fn opened<T>(request: Request<T>) -> Result<(Arc<Call>, By, T), Status> {
    let call = Call::of(&request)?;
    let caller = call.caller()?;
    let principal = caller
        .credential()
        .map_or_else(|| caller.peer().to_string(), |credential| credential.user().to_string());
    let by = By { scope: call.tenant_scope()?, principal };
    Ok((call, by, request.into_inner()))
}
