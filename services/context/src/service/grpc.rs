//! Each method as tonic calls it: whose call it is, and what it says.

use std::sync::Arc;

use mcp_proto::context::v1::{self as pb, context_service_server::ContextService};
use mcp_rpc::Call;
use tonic::{Request, Response, Status, Streaming};

use super::{By, Service, transfer::Pieces, watch::Answers};
use crate::{
    store::{Contexts, Summaries},
    window::Upstream,
};

#[tonic::async_trait]
impl<C: Contexts + Summaries> ContextService for Service<C> {
    async fn create_context(
        &self,
        request: Request<pb::CreateContextRequest>,
    ) -> Result<Response<pb::Context>, Status> {
        let (_, by, request) = self.opened(request)?;
        self.create(&by, request).await.map(Response::new)
    }

    async fn get_context(
        &self,
        request: Request<pb::GetContextRequest>,
    ) -> Result<Response<pb::Context>, Status> {
        let (_, by, request) = self.opened(request)?;
        self.get(&by, &request).await.map(Response::new)
    }

    async fn list_contexts(
        &self,
        request: Request<pb::ListContextsRequest>,
    ) -> Result<Response<pb::ListContextsResponse>, Status> {
        let (_, by, request) = self.opened(request)?;
        self.list(&by, &request).await.map(Response::new)
    }

    async fn update_context(
        &self,
        request: Request<pb::UpdateContextRequest>,
    ) -> Result<Response<pb::Context>, Status> {
        let (_, by, request) = self.opened(request)?;
        self.update(&by, request).await.map(Response::new)
    }

    async fn delete_context(
        &self,
        request: Request<pb::DeleteContextRequest>,
    ) -> Result<Response<()>, Status> {
        let (_, by, request) = self.opened(request)?;
        self.delete(&by, &request).await.map(Response::new)
    }

    async fn append_messages(
        &self,
        request: Request<pb::AppendMessagesRequest>,
    ) -> Result<Response<pb::AppendMessagesResponse>, Status> {
        let (_, by, request) = self.opened(request)?;
        self.append(&by, request).await.map(Response::new)
    }

    async fn list_messages(
        &self,
        request: Request<pb::ListMessagesRequest>,
    ) -> Result<Response<pb::ListMessagesResponse>, Status> {
        let (_, by, request) = self.opened(request)?;
        self.messages(&by, &request).await.map(Response::new)
    }

    async fn assemble_window(
        &self,
        request: Request<pb::AssembleWindowRequest>,
    ) -> Result<Response<pb::AssembleWindowResponse>, Status> {
        let (call, by, request) = self.opened(request)?;
        let summarizer = Upstream::new(self.summarization.clone(), call);
        self.window(&by, &request, &summarizer).await.map(Response::new)
    }

    async fn batch_get_contexts(
        &self,
        request: Request<pb::BatchGetContextsRequest>,
    ) -> Result<Response<pb::BatchGetContextsResponse>, Status> {
        let (_, by, request) = self.opened(request)?;
        self.many(&by, &request).await.map(Response::new)
    }

    async fn list_context_revisions(
        &self,
        request: Request<pb::ListContextRevisionsRequest>,
    ) -> Result<Response<pb::ListContextRevisionsResponse>, Status> {
        let (_, by, request) = self.opened(request)?;
        self.revisions(&by, &request).await.map(Response::new)
    }

    async fn search_contexts(
        &self,
        request: Request<pb::SearchContextsRequest>,
    ) -> Result<Response<pb::SearchContextsResponse>, Status> {
        let (_, by, request) = self.opened(request)?;
        self.find(&by, &request).await.map(Response::new)
    }

    async fn fork_context(
        &self,
        request: Request<pb::ForkContextRequest>,
    ) -> Result<Response<pb::Context>, Status> {
        let (_, by, request) = self.opened(request)?;
        self.fork(&by, request).await.map(Response::new)
    }

    type WatchContextStream = Answers;

    async fn watch_context(
        &self,
        request: Request<pb::WatchContextRequest>,
    ) -> Result<Response<Self::WatchContextStream>, Status> {
        let (call, by, request) = self.opened(request)?;
        let end = self.end(&call)?;
        self.watch(by, end, &request).await.map(Response::new)
    }

    type ExportContextsStream = Pieces;

    async fn export_contexts(
        &self,
        request: Request<pb::ExportContextsRequest>,
    ) -> Result<Response<Self::ExportContextsStream>, Status> {
        let (_, by, request) = self.opened(request)?;
        self.export(by, &request).map(Response::new)
    }

    async fn import_contexts(
        &self,
        request: Request<Streaming<pb::ImportContextsRequest>>,
    ) -> Result<Response<pb::ImportContextsResponse>, Status> {
        let (_, by, mut pieces) = self.opened(request)?;
        self.import(&by, &mut pieces).await.map(Response::new)
    }
}

impl<C: Contexts> Service<C> {
    fn opened<T>(&self, request: Request<T>) -> Result<(Arc<Call>, By, T), Status> {
        let call = Call::of(&request)?;
        let caller = call.caller()?;
        let principal = caller
            .credential()
            .map_or_else(|| caller.peer().to_string(), |credential| credential.user().to_string());
        let by = By { scope: call.tenant_scope()?, principal };
        self.tenants.note(&by.scope);
        Ok((call, by, request.into_inner()))
    }
}
