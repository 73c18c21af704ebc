//! The summarization service, called over the mesh as the caller's own.

use std::sync::Arc;

use mcp_proto::summarization::v1::{
    Length, Style, SummarizeRequest, length::Limit, summarization_service_client::SummarizationServiceClient,
};
use mcp_rpc::{Call, internal};
use tonic::{Status, transport::Channel};

use super::{Engine, Summarize};
use crate::refusal;

/// The summarization service, for one call of ours.
///
/// Two identities travel: our certificate makes the connection, the caller's transaction token is sent on.
#[derive(Debug)]
pub(crate) struct Upstream {
    engine: Engine,
    channel: Channel,
    call: Arc<Call>,
}

/// The summarization service used another engine than the one that was asked for.
#[derive(Debug, thiserror::Error)]
#[error("the engine `{asked}` was asked for, `{answered}` answered")]
struct OtherEngine {
    asked: String,
    answered: String,
}

// === impl Upstream ===

impl Upstream {
    /// Calls over `channel` on behalf of `call`.
    pub(crate) fn new(channel: Channel, call: Arc<Call>) -> Self {
        Self { engine: Engine::default(), channel, call }
    }
}

impl Summarize for Upstream {
    fn engine(&self) -> &Engine {
        &self.engine
    }

    async fn summarize(&self, text: String, words: u32) -> Result<String, Status> {
        let request = self.call.forward(SummarizeRequest {
            text,
            length: Some(Length { limit: Some(Limit::MaxTokens(words)) }),
            style: Style::Paragraph.into(),
            engine: self.engine.name.clone(),
            ..SummarizeRequest::default()
        });
        let answer = SummarizationServiceClient::new(self.channel.clone()).summarize(request).await;
        let answer = answer.map_err(|status| refusal::of_upstream(&status))?.into_inner();
        if answer.engine != self.engine.name {
            // What another engine says must not be kept under this one's name.
            return Err(internal(
                "summarise",
                &OtherEngine { asked: self.engine.name.clone(), answered: answer.engine },
            ));
        }
        Ok(answer.summary)
    }
}
