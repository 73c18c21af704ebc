//! One context, several, pages of them, and what is found in them.

use aws_lc_rs::digest::{Context as Digest, SHA256};
use mcp_proto::context::v1 as pb;
use tonic::{Code, Status};

use super::{ANSWER_BYTES_MAX, By, Service, limit, named};
use crate::{
    filter::{Filter, Order},
    names::ContextId,
    page::{BadPageToken, PageOf},
    read_mask::ReadMask,
    refusal,
    store::{Contexts, Place, Query, Search},
    wire,
};

/// Hits of a page where the client does not say, and at most.
const HITS_DEFAULT: usize = 20;
const HITS_MAX: usize = 100;

impl<C: Contexts> Service<C> {
    pub(super) async fn get(&self, by: &By, request: &pb::GetContextRequest) -> Result<pb::Context, Status> {
        let mask = ReadMask::of(request.read_mask.as_ref())?;
        let (id, version) =
            ContextId::parse_at(&request.name).map_err(|error| refusal::field(error.to_string()))?;

        let found = match version {
            None => self.store.get(&by.scope, id).await.map(wire::context),
            Some(version) => self.store.at(&by.scope, id, version).await.map(wire::revision),
        };
        found.map(|context| mask.cut(context)).map_err(refusal::of_store)
    }

    pub(super) async fn many(
        &self,
        by: &By,
        request: &pb::BatchGetContextsRequest,
    ) -> Result<pb::BatchGetContextsResponse, Status> {
        let mask = ReadMask::of(request.read_mask.as_ref())?;
        let ids = request.names.iter().map(|name| named(name)).collect::<Result<Vec<_>, _>>()?;

        let found = self.store.many(&by.scope, &ids).await.map_err(refusal::of_store)?;
        let contexts = found.into_iter().map(|context| mask.cut(wire::context(context))).collect();
        let answer = pb::BatchGetContextsResponse { contexts };
        if prost::Message::encoded_len(&answer) as u64 > ANSWER_BYTES_MAX {
            return Err(mcp_rpc::refusal(
                Code::ResourceExhausted,
                "ANSWER_TOO_LONG",
                "together they are longer than an answer may be: ask for fewer, or name fewer fields in `read_mask`",
            ));
        }
        Ok(answer)
    }

    pub(super) async fn list(
        &self,
        by: &By,
        request: &pb::ListContextsRequest,
    ) -> Result<pb::ListContextsResponse, Status> {
        let mask = ReadMask::of(request.read_mask.as_ref())?;
        let query =
            Query { filter: Filter::parse(&request.filter)?, order: Order::parse(&request.order_by)? };
        let question = question(&[&request.filter, &request.order_by]);
        let here = PageOf { scope: &by.scope, method: "ListContexts", question: &question };
        let after = match request.page_token.as_str() {
            "" => None,
            token => {
                let cursor = self.pages.read(here, token)?;
                Some(Place::from_cursor(&cursor).ok_or(BadPageToken)?)
            }
        };

        let page = self.store.list(&by.scope, &query, after, limit(request.page_size)).await;
        let page = page.map_err(refusal::of_store)?;
        let last = page.rows.last().filter(|_| page.more);
        let next_page_token =
            last.map(|last| self.pages.make(here, &last.place(query.order).to_cursor())).unwrap_or_default();
        let contexts = page.rows.into_iter().map(|context| mask.cut(wire::context(context))).collect();
        Ok(pb::ListContextsResponse { contexts, next_page_token })
    }

    pub(super) async fn revisions(
        &self,
        by: &By,
        request: &pb::ListContextRevisionsRequest,
    ) -> Result<pb::ListContextRevisionsResponse, Status> {
        let id = named(&request.name)?;
        let here = PageOf { scope: &by.scope, method: "ListContextRevisions", question: id.as_bytes() };
        let before = match request.page_token.as_str() {
            "" => None,
            token => Some(self.number(here, token)?),
        };

        let page = self.store.revisions(&by.scope, id, before, limit(request.page_size)).await;
        let page = page.map_err(refusal::of_store)?;
        let last = page.rows.last().filter(|_| page.more);
        let next_page_token =
            last.map(|last| self.pages.make(here, &last.version.to_be_bytes())).unwrap_or_default();
        let contexts = page.rows.into_iter().map(wire::revision).collect();
        Ok(pb::ListContextRevisionsResponse { contexts, next_page_token })
    }

    pub(super) async fn messages(
        &self,
        by: &By,
        request: &pb::ListMessagesRequest,
    ) -> Result<pb::ListMessagesResponse, Status> {
        let id = named(&request.parent)?;
        let here = PageOf { scope: &by.scope, method: "ListMessages", question: id.as_bytes() };
        let after = match request.page_token.as_str() {
            "" => 0,
            token => self.number(here, token)?,
        };

        let page = self.store.messages(&by.scope, id, after, limit(request.page_size)).await;
        let page = page.map_err(refusal::of_store)?;
        let last = page.rows.last().filter(|_| page.more);
        let next_page_token =
            last.map(|last| self.pages.make(here, &last.head.n.to_be_bytes())).unwrap_or_default();
        let messages = page.rows.into_iter().map(|message| wire::message(id, message)).collect();
        Ok(pb::ListMessagesResponse { messages, next_page_token })
    }

    pub(super) async fn find(
        &self,
        by: &By,
        request: &pb::SearchContextsRequest,
    ) -> Result<pb::SearchContextsResponse, Status> {
        let search = Search {
            query: request.query.clone(),
            filter: Filter::parse(&request.filter)?,
            context: if request.context.is_empty() { None } else { Some(named(&request.context)?) },
        };
        let question = question(&[&request.query, &request.filter, &request.context, &request.language]);
        let here = PageOf { scope: &by.scope, method: "SearchContexts", question: &question };
        let after = match request.page_token.as_str() {
            "" => None,
            token => Some(self.pages.read(here, token)?),
        };
        let limit = match usize::try_from(request.page_size) {
            Ok(0) | Err(_) => HITS_DEFAULT,
            Ok(hits) => hits.min(HITS_MAX),
        };

        let found = self.store.search(&by.scope, &search, limit, after.as_deref()).await;
        let found = found.map_err(refusal::of_store)?;
        Ok(pb::SearchContextsResponse {
            hits: found.hits.into_iter().map(wire::hit).collect(),
            next_page_token: found.next.map(|next| self.pages.make(here, &next)).unwrap_or_default(),
            truncated: found.truncated,
        })
    }

    fn number(&self, here: PageOf<'_>, token: &str) -> Result<u64, BadPageToken> {
        let cursor = self.pages.read(here, token)?;
        Ok(u64::from_be_bytes(cursor.try_into().map_err(|_| BadPageToken)?))
    }
}

/// Tells what pages are of: a digest of everything that decides it.
fn question(parts: &[&str]) -> Vec<u8> {
    let mut digest = Digest::new(&SHA256);
    for part in parts {
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    digest.finish().as_ref().to_vec()
}
