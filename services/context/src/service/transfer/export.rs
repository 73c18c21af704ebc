//! Contexts -> lines, in pieces.
//!
//! A task reads ahead of the client by one piece. A context's messages are those that it had when its line was written: they
//! are only ever appended, so that is one moment.

use std::sync::Arc;

use aws_lc_rs::digest::{Context as Digest, SHA256};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use mcp_proto::context::v1 as pb;
use tokio::sync::mpsc;
use tonic::Status;

use super::{
    super::{By, Service, named},
    line::{FORM, Line, Manifest},
};
use crate::{
    filter::{Filter, Order},
    names::ContextId,
    refusal,
    store::{Context, Contexts, Limit, Query},
    wire,
};

/// A piece is sent once it is this long.
const PIECE_BYTES: usize = 256 * 1024;
/// No piece is longer: a longer line is sent in several.
const PIECE_BYTES_MAX: usize = 3 * 1024 * 1024;
/// Read at once.
const PAGE: Limit = Limit { rows: 100, bytes: 1024 * 1024 };

/// What an export sends.
pub(in super::super) type Pieces = BoxStream<'static, Result<pb::ExportContextsResponse, Status>>;

/// What to export.
enum Which {
    These(Vec<ContextId>),
    All(Filter),
}

/// An export under way.
struct Export<C> {
    store: Arc<C>,
    by: By,
    pieces: mpsc::Sender<Result<pb::ExportContextsResponse, Status>>,
    piece: Vec<u8>,
    digest: Digest,
    contexts: u64,
    messages: u64,
}

/// Nobody listens any longer, or the reason why the export ends.
struct Over(Option<Status>);

impl<C: Contexts> Service<C> {
    pub(in super::super) fn export(
        &self,
        by: By,
        request: &pb::ExportContextsRequest,
    ) -> Result<Pieces, Status> {
        let which = if request.names.is_empty() {
            Which::All(Filter::parse(&request.filter)?)
        } else if request.filter.is_empty() {
            Which::These(request.names.iter().map(|name| named(name)).collect::<Result<_, _>>()?)
        } else {
            return Err(refusal::field("`filter` must be empty where `names` is not"));
        };
        let (pieces, sent) = mpsc::channel(1);
        let export = Export {
            store: Arc::clone(&self.store),
            by,
            pieces: pieces.clone(),
            piece: Vec::new(),
            digest: Digest::new(&SHA256),
            contexts: 0,
            messages: 0,
        };
        tokio::spawn(async move {
            if let Err(Over(Some(status))) = export.run(which).await {
                let _ = pieces.send(Err(status)).await;
            }
        });
        Ok(stream::unfold(sent, async |mut sent| sent.recv().await.map(|piece| (piece, sent))).boxed())
    }
}

// === impl Export ===

impl<C: Contexts> Export<C> {
    async fn run(mut self, which: Which) -> Result<(), Over> {
        match which {
            Which::These(ids) => {
                for id in ids {
                    let context = self.store.get(&self.by.scope, id).await?;
                    self.context(context).await?;
                }
            }
            Which::All(filter) => {
                let query = Query { filter, order: Order { by_update: false, ascending: true } };
                let mut after = None;
                loop {
                    let page = self.store.list(&self.by.scope, &query, after, PAGE).await?;
                    after = page.rows.last().map(|last| last.place(query.order));
                    for context in page.rows {
                        self.context(context).await?;
                    }
                    if !page.more {
                        break;
                    }
                }
            }
        }
        let sha256 = hex(self.digest.clone().finish().as_ref());
        let (contexts, messages) = (self.contexts, self.messages);
        self.line(&Line::Manifest(Manifest { form: FORM, contexts, messages, sha256 })).await?;
        self.send().await
    }

    async fn context(&mut self, context: Context) -> Result<(), Over> {
        let (id, count) = (context.id, context.message_count);
        self.contexts += 1;
        self.line(&Line::Context(Box::new(wire::context(context).into()))).await?;
        let mut last = 0;
        while last < count {
            let page = self.store.messages(&self.by.scope, id, last, PAGE).await?;
            for message in page.rows.into_iter().take_while(|message| message.head.n <= count) {
                last = message.head.n;
                self.messages += 1;
                self.line(&Line::Message(wire::message(id, message).into())).await?;
            }
        }
        Ok(())
    }

    async fn line(&mut self, line: &Line) -> Result<(), Over> {
        let line = line.to_bytes();
        self.digest.update(&line);
        if !self.piece.is_empty() && self.piece.len() + line.len() > PIECE_BYTES_MAX {
            self.send().await?;
        }
        self.piece.extend_from_slice(&line);
        if self.piece.len() >= PIECE_BYTES { self.send().await } else { Ok(()) }
    }

    async fn send(&mut self) -> Result<(), Over> {
        for lines in std::mem::take(&mut self.piece).chunks(PIECE_BYTES_MAX) {
            let piece = pb::ExportContextsResponse { lines: lines.to_vec() };
            self.pieces.send(Ok(piece)).await.map_err(|_| Over(None))?;
        }
        Ok(())
    }
}

// === impl Over ===

impl From<crate::store::ContextsError> for Over {
    fn from(error: crate::store::ContextsError) -> Self {
        Self(Some(refusal::of_store(error)))
    }
}

/// In hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
