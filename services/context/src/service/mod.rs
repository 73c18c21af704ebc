//! The wire: proto messages in, proto messages and statuses out.

mod grpc;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use aws_lc_rs::digest::{self, SHA256};
use mcp_proto::context::v1 as pb;
use mcp_rpc::internal;
use mcp_tenancy::TenantScope;
use mcp_types::{Clock, Entropy, uuid_v7};
use tonic::{Status, transport::Channel};
use uuid::Uuid;

use crate::{
    fields::{Fields, Mask},
    names::ContextId,
    page::{BadPageToken, PageOf, PageTokens},
    refusal,
    store::{Age, Contexts, Limit, NewMessage, Once, Target, Write},
    tokens,
    window::{Room, Summarize, assemble},
    wire,
};

/// Rows of a page where the client does not say, and at most.
const PAGE_ROWS_DEFAULT: u32 = 50;
const PAGE_ROWS_MAX: u32 = 200;
/// Text in one answer: with names and numbers it stays below the 4 MiB that gRPC clients take.
const ANSWER_BYTES_MAX: u64 = 3 * 1024 * 1024;
/// Texts longer than this, together, are counted where they hold up no other call.
const COUNT_INLINE_BYTES_MAX: usize = 64 * 1024;

/// Answers the calls of `mcp.context.v1.ContextService`.
#[derive(Debug)]
pub(crate) struct Service<C> {
    /// The rows.
    pub(crate) store: Arc<C>,
    /// Makes and reads page tokens.
    pub(crate) pages: PageTokens,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Chance.
    pub(crate) entropy: Arc<dyn Entropy>,
    /// To the summarization service.
    pub(crate) summarization: Channel,
}

/// Whose call it is.
#[derive(Clone, Debug)]
pub(crate) struct By {
    /// The tenant that it acts in.
    pub(crate) scope: TenantScope,
    /// Who acts: the user's name.
    pub(crate) principal: String,
}

// === impl Service ===

impl<C: Contexts> Service<C> {
    async fn create(&self, by: &By, request: pb::CreateContextRequest) -> Result<pb::Context, Status> {
        let write = self.write(by, "CreateContext", &request.request_id, &request)?;
        let fields = Fields::of(request.context.ok_or_else(no_context)?)?;
        let id = ContextId::new(uuid_v7(write.now, &*self.entropy));

        let stored = self.store.create(&by.scope, &write, id, fields).await;
        stored.map(wire::context).map_err(refusal::of_store)
    }

    async fn get(&self, by: &By, request: &pb::GetContextRequest) -> Result<pb::Context, Status> {
        let id = named(&request.name)?;

        let found = self.store.get(&by.scope, id).await;
        found.map(wire::context).map_err(refusal::of_store)
    }

    async fn list(
        &self,
        by: &By,
        request: &pb::ListContextsRequest,
    ) -> Result<pb::ListContextsResponse, Status> {
        let here = PageOf { scope: &by.scope, method: "ListContexts", parent: &[] };
        let after = match request.page_token.as_str() {
            "" => None,
            token => {
                let cursor = self.pages.read(here, token)?;
                Some(Age::from_cursor(&cursor).ok_or(BadPageToken)?)
            }
        };

        let page = self.store.list(&by.scope, after, limit(request.page_size)).await;
        let page = page.map_err(refusal::of_store)?;
        let last = page.rows.last().filter(|_| page.more);
        let next_page_token =
            last.map(|last| self.pages.make(here, &last.age().to_cursor())).unwrap_or_default();
        let contexts = page.rows.into_iter().map(wire::context).collect();
        Ok(pb::ListContextsResponse { contexts, next_page_token })
    }

    async fn update(&self, by: &By, request: pb::UpdateContextRequest) -> Result<pb::Context, Status> {
        let write = self.write(by, "UpdateContext", &request.request_id, &request)?;
        let context = request.context.ok_or_else(no_context)?;
        let mask = Mask::of(request.update_mask.as_ref())?;
        let target = target(&context.name, &context.etag)?;
        let fields = Fields::of(context)?;

        let stored = self.store.update(&by.scope, &write, target, fields, mask).await;
        stored.map(wire::context).map_err(refusal::of_store)
    }

    async fn delete(&self, by: &By, request: &pb::DeleteContextRequest) -> Result<(), Status> {
        let write = self.write(by, "DeleteContext", &request.request_id, request)?;
        let target = target(&request.name, &request.etag)?;

        self.store.delete(&by.scope, &write, target).await.map_err(refusal::of_store)
    }

    async fn append(
        &self,
        by: &By,
        request: pb::AppendMessagesRequest,
    ) -> Result<pb::AppendMessagesResponse, Status> {
        let write = self.write(by, "AppendMessages", &request.request_id, &request)?;
        let id = named(&request.parent)?;
        let messages = counted(request.messages).await?;

        let stored = self.store.append(&by.scope, &write, id, messages).await;
        let heads = stored.map_err(refusal::of_store)?;
        let messages = heads.iter().map(|head| wire::head(id, head)).collect();
        Ok(pb::AppendMessagesResponse { messages })
    }

    async fn messages(
        &self,
        by: &By,
        request: &pb::ListMessagesRequest,
    ) -> Result<pb::ListMessagesResponse, Status> {
        let id = named(&request.parent)?;
        let here = PageOf { scope: &by.scope, method: "ListMessages", parent: id.as_bytes() };
        let after = match request.page_token.as_str() {
            "" => 0,
            token => {
                let cursor = self.pages.read(here, token)?;
                u64::from_be_bytes(cursor.try_into().map_err(|_| BadPageToken)?)
            }
        };

        let page = self.store.messages(&by.scope, id, after, limit(request.page_size)).await;
        let page = page.map_err(refusal::of_store)?;
        let last = page.rows.last().filter(|_| page.more);
        let next_page_token =
            last.map(|last| self.pages.make(here, &last.head.n.to_be_bytes())).unwrap_or_default();
        let messages = page.rows.into_iter().map(|message| wire::message(id, message)).collect();
        Ok(pb::ListMessagesResponse { messages, next_page_token })
    }

    async fn window(
        &self,
        by: &By,
        request: &pb::AssembleWindowRequest,
        summarizer: &impl Summarize,
    ) -> Result<pb::AssembleWindowResponse, Status> {
        let id = named(&request.name)?;
        let budget = Room { tokens: request.max_tokens.into(), bytes: ANSWER_BYTES_MAX };

        let parts = assemble(&*self.store, summarizer, &by.scope, id, budget).await?;
        Ok(pb::AssembleWindowResponse {
            token_count: parts.iter().map(|part| part.tokens).sum(),
            parts: parts.into_iter().map(|part| wire::part(id, part)).collect(),
            tokenizer: tokens::TOKENIZER.to_owned(),
        })
    }

    /// What the store must know of a write.
    fn write(
        &self,
        by: &By,
        method: &'static str,
        request_id: &str,
        request: &impl prost::Message,
    ) -> Result<Write, Status> {
        let now = self.clock.now();
        if request_id.is_empty() {
            return Ok(Write { now, once: None });
        }
        let request_id =
            Uuid::try_parse(request_id).map_err(|_| refusal::field("`request_id` must be a UUID"))?;
        let mut body = [0; 32];
        body.copy_from_slice(digest::digest(&SHA256, &request.encode_to_vec()).as_ref());
        Ok(Write { now, once: Some(Once { principal: by.principal.clone(), method, request_id, body }) })
    }
}

fn named(name: &str) -> Result<ContextId, Status> {
    ContextId::parse(name).map_err(|error| refusal::field(error.to_string()))
}

fn target(name: &str, etag: &str) -> Result<Target, Status> {
    let etag = (!etag.is_empty()).then(|| etag.to_owned());
    Ok(Target { id: named(name)?, etag })
}

fn no_context() -> Status {
    refusal::field("`context` must be set")
}

fn limit(page_size: i32) -> Limit {
    let rows = match u32::try_from(page_size) {
        Ok(0) | Err(_) => PAGE_ROWS_DEFAULT,
        Ok(rows) => rows.min(PAGE_ROWS_MAX),
    };
    Limit { rows, bytes: ANSWER_BYTES_MAX }
}

async fn counted(messages: Vec<pb::Message>) -> Result<Vec<NewMessage>, Status> {
    let count = |messages: Vec<pb::Message>| -> Vec<NewMessage> {
        let counted = messages.into_iter().map(|message| NewMessage {
            role: message.role,
            tokens: tokens::count(&message.text),
            text: message.text,
        });
        counted.collect()
    };
    if messages.iter().map(|message| message.text.len()).sum::<usize>() <= COUNT_INLINE_BYTES_MAX {
        return Ok(count(messages));
    }
    tokio::task::spawn_blocking(move || count(messages))
        .await
        .map_err(|error| internal("count tokens", &error))
}
