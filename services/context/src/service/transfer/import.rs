//! Pieces -> lines -> contexts, all or none.
//!
//! What comes is staged as it comes, in transactions of its own, so that no other writer waits for a slow client. Only
//! once the manifest has confirmed everything is it shown, all at once. What is staged and never shown is swept.

use aws_lc_rs::digest::{Context as Digest, SHA256};
use futures_util::{Stream, TryStreamExt as _};
use mcp_proto::context::v1 as pb;
use mcp_rpc::refusal;
use mcp_types::{Timestamp, uuid_v7};
use tonic::{Code, Status};
use uuid::Uuid;

use super::{
    super::{By, Service, counted},
    export::hex,
    line::{BadLine, FORM, Line, Manifest},
};
use crate::{
    fields::Fields,
    names::ContextId,
    refusal as refusals,
    store::{Contexts, Imported, Once, Write},
};

/// Bytes of a line: six for each of a text's, with room for the rest.
const LINE_BYTES_MAX: usize = 13 * 1024 * 1024;
/// Contexts of one import: their names are in the answer.
const CONTEXTS_MAX: usize = 10_000;
/// Messages and bytes that are stored at once.
const BATCH_MESSAGES: usize = 100;
const BATCH_BYTES: usize = 1024 * 1024;

/// An import under way.
struct Import<'a, C> {
    service: &'a Service<C>,
    by: &'a By,
    now: Timestamp,
    stage: Uuid,
    imported: Imported,
    batch: Vec<pb::Message>,
    batch_bytes: usize,
    /// Messages that the context before still has to come, by its own line.
    due: u64,
    lines: u64,
    digest: Digest,
    confirmed: bool,
}

impl<C: Contexts> Service<C> {
    pub(in super::super) async fn import(
        &self,
        by: &By,
        pieces: &mut (impl Stream<Item = Result<pb::ImportContextsRequest, Status>> + Send + Unpin),
    ) -> Result<pb::ImportContextsResponse, Status> {
        let now = self.clock.now();
        let stage = uuid_v7(now, &*self.entropy);
        let mut import = Import {
            service: self,
            by,
            now,
            stage,
            imported: Imported { contexts: Vec::new(), messages: 0 },
            batch: Vec::new(),
            batch_bytes: 0,
            due: 0,
            lines: 0,
            digest: Digest::new(&SHA256),
            confirmed: false,
        };
        let imported = import.run(pieces).await;
        let ours = imported.as_ref().is_ok_and(|kept| *kept == import.imported);
        if !ours && !import.imported.contexts.is_empty() {
            // Also after a repeat, which is answered with what the first one stored.
            if let Err(error) = self.store.unstage(&by.scope, stage).await {
                tracing::warn!(cause = %mcp_rpc::chain(&error), "a failed import waits for the sweeper");
            }
        }
        let Imported { contexts, messages } = imported?;
        let contexts = contexts
            .into_iter()
            .map(|(source, id)| pb::ImportedContext { source, name: id.to_string() })
            .collect();
        Ok(pb::ImportContextsResponse { contexts, message_count: messages })
    }
}

// === impl Import ===

impl<C: Contexts> Import<'_, C> {
    async fn run(
        &mut self,
        pieces: &mut (impl Stream<Item = Result<pb::ImportContextsRequest, Status>> + Send + Unpin),
    ) -> Result<Imported, Status> {
        let mut rest: Vec<u8> = Vec::new();
        let mut whole = Digest::new(&SHA256);
        let mut request_id = None;
        while let Some(pb::ImportContextsRequest { lines, request_id: id }) = pieces.try_next().await? {
            request_id.get_or_insert(id);
            whole.update(&lines);
            rest.extend_from_slice(&lines);
            let mut taken = 0;
            while let Some(length) = rest[taken..].iter().position(|byte| *byte == b'\n') {
                self.line(&rest[taken..=taken + length]).await?;
                taken += length + 1;
            }
            rest.drain(..taken);
            if rest.len() > LINE_BYTES_MAX {
                return Err(self.bad("it is longer than any line of an export"));
            }
        }
        if !rest.is_empty() {
            self.line(&rest).await?;
        }
        if !self.confirmed {
            return Err(mismatch("the file has no manifest at its end: it is not whole"));
        }
        let mut body = [0; 32];
        body.copy_from_slice(whole.finish().as_ref());
        let write = Write { now: self.now, once: self.once(&request_id.unwrap_or_default(), body)? };
        let imported = self.imported.clone();
        let published = self.service.store.publish(&self.by.scope, &write, self.stage, imported).await;
        published.map_err(refusals::of_store)
    }

    fn once(&self, request_id: &str, body: [u8; 32]) -> Result<Option<Once>, Status> {
        if request_id.is_empty() {
            return Ok(None);
        }
        let request_id =
            Uuid::try_parse(request_id).map_err(|_| refusals::field("`request_id` must be a UUID"))?;
        let principal = self.by.principal.clone();
        Ok(Some(Once { principal, method: "ImportContexts", request_id, body }))
    }

    async fn line(&mut self, bytes: &[u8]) -> Result<(), Status> {
        self.lines += 1;
        if self.confirmed {
            return Err(self.bad("nothing may follow the manifest"));
        }
        match Line::parse(bytes).map_err(|error| self.broken(&error))? {
            Line::Context(line) => {
                self.digest.update(bytes);
                let (source, due) = (line.name.clone(), line.message_count);
                let context = pb::Context::try_from(*line).map_err(|error| self.broken(&error))?;
                self.context(source, due, context).await
            }
            Line::Message(line) => {
                self.digest.update(bytes);
                let message = pb::Message::try_from(line).map_err(|error| self.broken(&error))?;
                self.message(message).await
            }
            Line::Manifest(manifest) => {
                self.end_context().await?;
                self.confirm(&manifest)
            }
        }
    }

    async fn context(&mut self, source: String, due: u64, context: pb::Context) -> Result<(), Status> {
        self.end_context().await?;
        if self.imported.contexts.len() == CONTEXTS_MAX {
            return Err(self.bad("an import takes 10,000 contexts: split the file"));
        }
        mcp_proto::validate(&context).map_err(|status| self.bad(status.message()))?;
        ContextId::parse(&source).map_err(|error| self.bad(&error.to_string()))?;
        let fields = Fields::of(context, self.now).map_err(|error| self.bad(&error.to_string()))?;
        let id = ContextId::new(uuid_v7(self.now, &*self.service.entropy));
        let staged = self.service.store.stage(&self.by.scope, self.now, self.stage, id, fields).await;
        staged.map_err(refusals::of_store)?;
        self.imported.contexts.push((source, id));
        self.due = due;
        Ok(())
    }

    async fn message(&mut self, message: pb::Message) -> Result<(), Status> {
        if self.due == 0 {
            return Err(self.bad("the context before it has fewer messages"));
        }
        mcp_proto::validate(&message).map_err(|status| self.bad(status.message()))?;
        self.due -= 1;
        self.imported.messages += 1;
        self.batch_bytes += message.text.len();
        self.batch.push(message);
        if self.batch.len() == BATCH_MESSAGES || self.batch_bytes >= BATCH_BYTES {
            self.flush().await
        } else {
            Ok(())
        }
    }

    async fn end_context(&mut self) -> Result<(), Status> {
        if self.due > 0 {
            return Err(self.bad("the context before it has more messages"));
        }
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Status> {
        let Some((_, id)) = self.imported.contexts.last().filter(|_| !self.batch.is_empty()) else {
            return Ok(());
        };
        let id = *id;
        self.batch_bytes = 0;
        let messages = counted(std::mem::take(&mut self.batch)).await?;
        let store = &self.service.store;
        let staged = store.stage_messages(&self.by.scope, self.now, self.stage, id, messages).await;
        staged.map_err(refusals::of_store)
    }

    fn confirm(&mut self, manifest: &Manifest) -> Result<(), Status> {
        let came = Manifest {
            form: FORM,
            contexts: self.imported.contexts.len() as u64,
            messages: self.imported.messages,
            sha256: hex(self.digest.clone().finish().as_ref()),
        };
        if *manifest != came {
            return Err(mismatch(
                "the manifest does not confirm what came before it: the file was changed or cut",
            ));
        }
        self.confirmed = true;
        Ok(())
    }

    fn broken(&self, error: &BadLine) -> Status {
        self.bad(&error.to_string())
    }

    fn bad(&self, words: &str) -> Status {
        refusal(Code::InvalidArgument, "IMPORT_REFUSED", format!("line {}: {words}", self.lines))
    }
}

fn mismatch(words: &'static str) -> Status {
    refusal(Code::InvalidArgument, "MANIFEST_MISMATCH", words)
}
