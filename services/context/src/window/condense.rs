//! A segment's summary: the one that is kept, or a new one.
//!
//! A segment whose text one call carries is summarised from it; a longer one from the summaries of the four segments
//! that it is made of. How a segment is summarised follows from its messages alone. Each summary is kept as soon as it
//! is there, so a call that runs out of time leaves the next one less to do.

use aws_lc_rs::digest::{Context as Hasher, SHA256};
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, future::BoxFuture, stream};
use mcp_rpc::internal;
use tonic::Status;

use super::{
    CALLS_AT_ONCE, Making, Summarize,
    share::TOKEN_BYTES,
    tree::{FAN_IN, Segment},
};
use crate::{
    refusal,
    store::{Contexts, Maker, Measure, Message, Summaries, Summary},
    tokens::aside,
};

/// How texts are joined and what is asked: changes with every change of the rules below.
const PROMPT_VERSION: u32 = 1;
/// Text that one call carries: as much as the longest message, so that each message is summarised from its text.
const DIRECT_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Messages that one call carries: in memory a message takes more than its text.
const DIRECT_LEVEL_MAX: u8 = 7;
/// The length of a summary that is summarised further.
const CHILD_LENGTH: u32 = 512;
/// Beyond this, a summary of summaries would be longer than what it is made of.
pub(super) const JOINED_LENGTH_MAX: u32 = CHILD_LENGTH * FAN_IN as u32;
/// A segment this short enters the summary of a longer one as it is.
const WHOLE_BYTES_MAX: u64 = 2048;
/// Between two texts.
const SEPARATOR: &str = "\n\n";

/// Whether one call carries the text of a segment.
pub(super) fn is_direct(measure: Measure, segment: Segment) -> bool {
    let separators = measure.messages.saturating_sub(1) * SEPARATOR.len() as u64;
    segment.level() == 0
        || segment.level() <= DIRECT_LEVEL_MAX && measure.bytes + separators <= DIRECT_BYTES_MAX
}

// === impl Making ===

impl<S: Contexts + Summaries, Z: Summarize> Making<'_, S, Z> {
    /// The summary of `segment` in at most `length` tokens.
    pub(super) fn condense(
        &self,
        segment: Segment,
        measure: Measure,
        length: u32,
    ) -> BoxFuture<'_, Result<Summary, Status>> {
        async move {
            let (run, maker) = (segment.range(), self.maker(length));
            let kept = self.store.summary(self.scope, self.id, &run, &maker).await;
            if let Some(kept) = kept.map_err(refusal::of_store)? {
                return Ok(kept);
            }
            let new = if is_direct(measure, segment) {
                // Held while the text is in memory, and never while another segment is waited for.
                let _turn = self.turn().await?;
                let messages = self.messages(run.clone()).await?;
                self.shortened(digest_of(&messages), joined(messages.into_iter().map(|it| it.text)), length)
                    .await?
            } else {
                let children = self.measure(segment.children().collect()).await?;
                let (digests, texts): (Vec<_>, Vec<_>) = stream::iter(children)
                    .map(|(child, measure)| self.child(child, measure))
                    .buffered(CALLS_AT_ONCE)
                    .try_collect::<Vec<_>>()
                    .await?
                    .into_iter()
                    .unzip();
                let _turn = self.turn().await?;
                self.shortened(digest_of_children(&digests), joined(texts.into_iter()), length).await?
            };
            self.store.keep(self.scope, self.id, &run, &maker, new).await.map_err(refusal::of_store)
        }
        .boxed()
    }

    /// What a segment says in the summary of a longer one, and the digest of its messages.
    async fn child(&self, segment: Segment, measure: Measure) -> Result<([u8; 32], String), Status> {
        if measure.bytes <= WHOLE_BYTES_MAX && is_direct(measure, segment) {
            let messages = self.messages(segment.range()).await?;
            return Ok((digest_of(&messages), joined(messages.into_iter().map(|it| it.text))));
        }
        let Summary { digest, text, .. } = self.condense(segment, measure, CHILD_LENGTH).await?;
        Ok((digest, text))
    }

    /// Has `text` summarised, and holds what comes back to its length.
    async fn shortened(&self, digest: [u8; 32], text: String, length: u32) -> Result<Summary, Status> {
        let tokenizer = self.tokenizer;
        if text.is_empty() {
            return Ok(Summary { digest, tokens: 0, text });
        }
        let said = self.summarizer.summarize(text, tokenizer.words(length)).await?;
        // The budget is ours to keep, whatever the summarizer calls a word.
        let bytes = usize::try_from(u64::from(length) * TOKEN_BYTES).unwrap_or(usize::MAX);
        let cut = move || {
            let (text, tokens) = tokenizer.cut(said.trim(), length, bytes);
            Summary { digest, tokens, text: text.to_owned() }
        };
        aside(tokenizer, bytes, cut).await
    }

    async fn turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Status> {
        self.calls.acquire().await.map_err(|error| internal("wait for a turn to summarise", &error))
    }

    /// All that a summary in `length` tokens depends on besides what is summarised.
    fn maker(&self, length: u32) -> Maker {
        let engine = self.summarizer.engine();
        let numbers = [PROMPT_VERSION, length, self.tokenizer.words(length)].map(u32::to_be_bytes).concat();
        let texts = [&engine.name, &engine.model, self.tokenizer.name()].map(str::as_bytes);
        digest("mcp window summary 1", texts.into_iter().chain([&numbers[..]]))
    }
}

fn joined(texts: impl Iterator<Item = String>) -> String {
    let mut whole = String::new();
    for text in texts.filter(|text| !text.is_empty()) {
        if !whole.is_empty() {
            whole.push_str(SEPARATOR);
        }
        whole.push_str(&text);
    }
    whole
}

/// The digest of what messages say.
fn digest_of(messages: &[Message]) -> [u8; 32] {
    digest("mcp window messages 1", messages.iter().map(|message| message.text.as_bytes()))
}

fn digest_of_children(digests: &[[u8; 32]]) -> [u8; 32] {
    digest("mcp window segments 1", digests.iter().map(|digest| &digest[..]))
}

/// The SHA-256 of `parts`, each after its length, for one purpose.
fn digest<'p>(purpose: &'static str, parts: impl Iterator<Item = &'p [u8]>) -> [u8; 32] {
    let mut hasher = Hasher::new(&SHA256);
    for part in std::iter::once(purpose.as_bytes()).chain(parts) {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(hasher.finish().as_ref());
    digest
}
