//! The wire: messages in, summaries and statuses out.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _, future, stream};
use mcp_proto::summarization::v1::{
    self as wire, ListEnginesRequest, ListEnginesResponse, SummarizeRequest, SummarizeResponse,
    SummarizeStreamRequest, SummarizeStreamResponse, summarization_service_server::SummarizationService,
};
use mcp_rpc::{Call, exhausted, internal, refusal};
use tonic::{Code, Request, Response, Status};

use crate::{
    catalog::Catalog,
    engine::{Job, Length, Sentence, Style, Summary},
    pool::{Lost, Pool, Ticket},
};

/// After this long a caller who found the queue full may try again: most summaries take far less.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Answers the calls of `mcp.summarization.v1.SummarizationService`.
#[derive(Clone)]
pub(crate) struct Summarization {
    catalog: Arc<Catalog>,
    pool: Pool,
}

/// What a request of either form asks for.
#[derive(Debug)]
struct Wish {
    engine: String,
    job: Job,
}

/// A summary under way.
#[derive(Debug)]
struct Underway {
    engine: &'static str,
    style: Style,
    ticket: Ticket<Summary>,
}

type Parts = Pin<Box<dyn Stream<Item = Result<SummarizeStreamResponse, Status>> + Send>>;

// === impl Summarization ===

impl Summarization {
    /// Summarises with the engines of `catalog` on the threads of `pool`.
    pub(crate) fn new(catalog: Catalog, pool: Pool) -> Self {
        Self { catalog: Arc::new(catalog), pool }
    }

    /// Begins a summary; a refusal comes at once.
    fn begin(&self, Wish { engine, job }: Wish) -> Result<Underway, Status> {
        let Some(engine) = self.catalog.find(&engine).map(Arc::clone) else {
            // The API's rule holds the name to letters, digits and hyphens, so that it may be repeated.
            let words = format!("there is no engine \"{engine}\"");
            return Err(refusal(Code::InvalidArgument, "ENGINE_UNKNOWN", words));
        };
        let (name, style) = (engine.name(), job.style);
        let ticket = self
            .pool
            .submit(move || engine.summarize(&job))
            .map_err(|_| exhausted("SUMMARIES_WAITING", "too many summaries are waiting", RETRY_AFTER))?;
        Ok(Underway { engine: name, style, ticket })
    }

    /// The whole summary in one message.
    async fn whole(&self, wish: Wish) -> Result<SummarizeResponse, Status> {
        let Underway { engine, style, ticket } = self.begin(wish)?;
        let summary = ticket.await.map_err(lost)?;
        Ok(SummarizeResponse {
            summary: summary.set_out(style),
            engine: engine.to_owned(),
            semantic_score: summary.semantic_score,
            source_spans: summary.sentences.iter().map(span).collect(),
            source_words: narrow(summary.source_words),
            summary_words: narrow(summary.summary_words),
        })
    }

    /// The summary a sentence a message; what is sent is final and in order.
    ///
    /// Which sentence comes first is known only when all have been weighed, so the parts follow each other at once;
    /// what streaming spares is holding a long summary whole on its way, and it is what engines that write
    /// word by word need.
    fn parts(&self, wish: Wish) -> Result<Parts, Status> {
        let Underway { engine, style, ticket } = self.begin(wish)?;
        let parts = stream::once(ticket).flat_map(move |summary| match summary {
            Ok(summary) => stream::iter(messages(engine, style, summary)).left_stream(),
            Err(error) => stream::once(future::ready(Err(lost(error)))).right_stream(),
        });
        Ok(Box::pin(parts))
    }

    /// The engines there are.
    fn engines(&self) -> ListEnginesResponse {
        ListEnginesResponse {
            engines: self
                .catalog
                .all()
                .map(|engine| wire::Engine {
                    name: engine.name().to_owned(),
                    description: engine.description().to_owned(),
                })
                .collect(),
            default_engine: self.catalog.default_name().to_owned(),
        }
    }
}

/// A message for each sentence, and one with the totals.
fn messages(
    engine: &'static str,
    style: Style,
    summary: Summary,
) -> impl Iterator<Item = Result<SummarizeStreamResponse, Status>> {
    let totals = SummarizeStreamResponse {
        engine: engine.to_owned(),
        semantic_score: summary.semantic_score,
        source_words: narrow(summary.source_words),
        summary_words: narrow(summary.summary_words),
        done: true,
        ..SummarizeStreamResponse::default()
    };
    let mut next = 0;
    let parts = std::iter::from_fn(move || {
        let part = summary.part(next, style)?;
        let source_spans = vec![span(&summary.sentences[next])];
        next += 1;
        Some(SummarizeStreamResponse {
            summary: part,
            engine: engine.to_owned(),
            source_spans,
            ..SummarizeStreamResponse::default()
        })
    });
    parts.chain(std::iter::once(totals)).map(Ok)
}

fn span(sentence: &Sentence) -> wire::SourceSpan {
    wire::SourceSpan { start_byte: narrow(sentence.start_byte), end_byte: narrow(sentence.end_byte) }
}

/// A count within a text; the API bounds texts far below 2^32 bytes.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn lost(error: Lost) -> Status {
    internal("summarise", &error)
}

#[tonic::async_trait]
impl SummarizationService for Summarization {
    async fn summarize(
        &self,
        request: Request<SummarizeRequest>,
    ) -> Result<Response<SummarizeResponse>, Status> {
        // Nothing here is a tenant's, but nobody without one is served.
        Call::of(&request)?.tenant_scope()?;
        Ok(Response::new(self.whole(request.into_inner().into()).await?))
    }

    type SummarizeStreamStream = Parts;

    async fn summarize_stream(
        &self,
        request: Request<SummarizeStreamRequest>,
    ) -> Result<Response<Parts>, Status> {
        Call::of(&request)?.tenant_scope()?;
        Ok(Response::new(self.parts(request.into_inner().into())?))
    }

    async fn list_engines(
        &self,
        request: Request<ListEnginesRequest>,
    ) -> Result<Response<ListEnginesResponse>, Status> {
        Call::of(&request)?.tenant_scope()?;
        Ok(Response::new(self.engines()))
    }
}

// === impl Wish ===

/// The two requests have the same fields and no common type.
macro_rules! wish_of {
    ($request:ident) => {
        impl From<$request> for Wish {
            fn from(request: $request) -> Self {
                let style = match request.style() {
                    wire::Style::Bullets => Style::Bullets,
                    wire::Style::Unspecified | wire::Style::Paragraph => Style::Paragraph,
                };
                let $request { text, length, engine, context, query, .. } = request;
                let length = length_of(length);
                Self { engine, job: Job { text, length, style, context, query } }
            }
        }
    };
}

wish_of!(SummarizeRequest);
wish_of!(SummarizeStreamRequest);

fn length_of(length: Option<wire::Length>) -> Length {
    use wire::length::Limit;
    match length.and_then(|length| length.limit) {
        None => Length::default(),
        Some(Limit::MaxWords(words)) => Length::Words(words),
        Some(Limit::MaxSentences(sentences)) => Length::Sentences(sentences),
        Some(Limit::MaxTokens(tokens)) => Length::Tokens(tokens),
        Some(Limit::Ratio(ratio)) => Length::Ratio(ratio),
    }
}

#[cfg(test)]
mod tests;
