//! The wire: proto messages in, proto messages and statuses out.
//!
//! ```text
//! grpc.rs     each method as tonic calls it
//! reads.rs    one context, several, pages of them, and what is found in them
//! watch.rs    changes as they happen
//! watches.rs  who watches what
//! window.rs   windows
//! upkeep.rs   what has ended is removed
//! transfer/   contexts out as lines of JSON, and in again
//! ```

mod grpc;
mod reads;
#[cfg(test)]
mod tests;
mod transfer;
mod upkeep;
mod watch;
mod watches;
mod window;

use std::sync::Arc;

use aws_lc_rs::digest::{self, SHA256};
use mcp_proto::context::v1 as pb;
use mcp_rpc::internal;
use mcp_runtime::Stop;
use mcp_tenancy::TenantScope;
use mcp_types::{Clock, Entropy, uuid_v7};
use tonic::{Status, transport::Channel};
use uuid::Uuid;

use crate::{
    fields::{Fields, Mask},
    names::ContextId,
    page::PageTokens,
    refusal,
    store::{Contexts, Limit, NewMessage, Once, Source, Target, Write},
    tokens, wire,
};

pub(crate) use self::{
    upkeep::{Tenants, sweep},
    watches::Watches,
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
    /// Who watches what; one for all cores.
    pub(crate) watches: Arc<Watches>,
    /// The tenants that calls came from, for the sweeper.
    pub(crate) tenants: Arc<Tenants>,
    /// The word to stop, which ends watches.
    pub(crate) stop: Stop,
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
        let fields = Fields::of(request.context.ok_or_else(no_context)?, write.now)?;
        let id = ContextId::new(uuid_v7(write.now, &*self.entropy));

        let stored = self.store.create(&by.scope, &write, id, fields).await;
        stored.map(wire::context).map_err(refusal::of_store)
    }

    async fn update(&self, by: &By, request: pb::UpdateContextRequest) -> Result<pb::Context, Status> {
        let write = self.write(by, "UpdateContext", &request.request_id, &request)?;
        let context = request.context.ok_or_else(no_context)?;
        let mask = Mask::of(request.update_mask.as_ref())?;
        let target = target(&context.name, &context.etag)?;
        let fields = Fields::of(context, write.now)?;

        let id = target.id;
        let stored = self.store.update(&by.scope, &write, target, fields, mask).await;
        let stored = stored.map_err(refusal::of_store)?;
        self.watches.tell(&by.scope, id);
        Ok(wire::context(stored))
    }

    async fn fork(&self, by: &By, request: pb::ForkContextRequest) -> Result<pb::Context, Status> {
        let write = self.write(by, "ForkContext", &request.request_id, &request)?;
        let source = Source {
            id: named(&request.name)?,
            count: (request.message_count > 0).then_some(request.message_count),
        };
        let fields = request.context.map(|context| Fields::of(context, write.now)).transpose()?;
        let id = ContextId::new(uuid_v7(write.now, &*self.entropy));

        let stored = self.store.fork(&by.scope, &write, source, id, fields).await;
        stored.map(wire::context).map_err(refusal::of_store)
    }

    async fn delete(&self, by: &By, request: &pb::DeleteContextRequest) -> Result<(), Status> {
        let write = self.write(by, "DeleteContext", &request.request_id, request)?;
        let target = target(&request.name, &request.etag)?;

        let id = target.id;
        self.store.delete(&by.scope, &write, target).await.map_err(refusal::of_store)?;
        self.watches.tell(&by.scope, id);
        Ok(())
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
        self.watches.tell(&by.scope, id);
        let messages = heads.iter().map(|head| wire::head(id, head)).collect();
        Ok(pb::AppendMessagesResponse { messages })
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
            pinned: message.pinned,
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
