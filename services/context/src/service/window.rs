//! Windows, as the wire asks for them.

use mcp_proto::context::v1 as pb;
use tonic::Status;

use super::{ANSWER_BYTES_MAX, By, Service, named};
use crate::{
    refusal,
    store::{Contexts, Summaries},
    tokens::Tokenizer,
    window::{Room, Summarize, assemble},
    wire,
};

impl<C: Contexts + Summaries> Service<C> {
    pub(super) async fn window(
        &self,
        by: &By,
        request: &pb::AssembleWindowRequest,
        summarizer: &impl Summarize,
    ) -> Result<pb::AssembleWindowResponse, Status> {
        let id = named(&request.name)?;
        let tokenizer = Tokenizer::named(&request.tokenizer)
            .ok_or_else(|| refusal::field("`tokenizer` must be one that the method names"))?;
        let budget = Room { tokens: request.max_tokens.into(), bytes: ANSWER_BYTES_MAX };

        let parts = assemble(&*self.store, summarizer, &by.scope, id, tokenizer, budget).await?;
        Ok(pb::AssembleWindowResponse {
            token_count: parts.iter().map(|part| part.tokens).sum(),
            parts: parts.into_iter().map(|part| wire::part(id, part)).collect(),
            tokenizer: tokenizer.name().to_owned(),
        })
    }
}
