//! The summarization service, called over the mesh as the caller's own.

use std::sync::Arc;

use mcp_proto::summarization::v1::{
    Length, Style, SummarizeRequest, length::Limit, summarization_service_client::SummarizationServiceClient,
};
use mcp_rpc::Call;
use tonic::{Status, transport::Channel};

use super::Summarize;
use crate::refusal;

/// The summarization service, for one call of ours.
///
/// Two identities travel: our certificate makes the connection, the caller's transaction token is sent on.
#[derive(Debug)]
pub(crate) struct Upstream {
    channel: Channel,
    call: Arc<Call>,
}

// === impl Upstream ===

impl Upstream {
    /// Calls over `channel` on behalf of `call`.
    pub(crate) fn new(channel: Channel, call: Arc<Call>) -> Self {
        Self { channel, call }
    }
}

impl Summarize for Upstream {
    async fn summarize(&self, text: String, tokens: u32) -> Result<String, Status> {
        let request = self.call.forward(SummarizeRequest {
            text,
            length: Some(Length { limit: Some(Limit::MaxTokens(tokens)) }),
            style: Style::Paragraph.into(),
            ..SummarizeRequest::default()
        });
        let answer = SummarizationServiceClient::new(self.channel.clone()).summarize(request).await;
        answer.map(|answer| answer.into_inner().summary).map_err(|status| refusal::of_upstream(&status))
    }
}
