//! Makes windows: a context's messages within a budget, what is pinned and what is newest word for word, what is older
//! summarised.
//!
//! ```text
//! tree.rs      segments: runs of messages whose borders never move
//! newest.rs    what goes word for word: as many of the newest as three quarters of the budget take
//! older.rs     what becomes of the segments before them, and how long each summary may be
//! share.rs     lengths of summaries, shared out
//! condense.rs  a segment's summary: the one that is kept, or a new one
//! upstream.rs  the summarization service
//! ```
//!
//! The same state gives the same window, whoever asks and however often: what is in it follows from the messages, the
//! budget and the tokenizer alone, and a summary once made is kept and is what everybody gets. Nothing is left out
//! unsaid: each message is in the range of some part, if only of one without text where the budget has no room; and
//! where a summary is needed that nobody can make now, there is no window.

mod condense;
mod newest;
mod older;
mod share;
mod tree;
mod upstream;

use std::{
    future::Future,
    ops::{Add, RangeInclusive, Sub},
};

use mcp_tenancy::TenantScope;
use tokio::sync::Semaphore;
use tonic::Status;

use self::tree::Segment;
pub(crate) use self::upstream::Upstream;
use crate::{
    names::ContextId,
    refusal,
    store::{Contexts, Measure, Message, Summaries},
    tokens::{Tokenizer, aside},
};

/// Bytes of an answer that are not text, for each part: two names, counts and tags.
pub(crate) const PART_BYTES: u64 = 256;

/// Calls to the summarization service under way at once for one window; so many segments' texts are in memory.
const CALLS_AT_ONCE: usize = 2;

/// Makes a long text short.
pub(crate) trait Summarize: Sync {
    /// What makes the summaries.
    fn engine(&self) -> &Engine;

    /// Summarises `text` in about `words` words.
    fn summarize(&self, text: String, words: u32) -> impl Future<Output = Result<String, Status>> + Send;
}

/// What makes summaries: a part of what they are kept under.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Engine {
    /// Its name, as the summarization service knows it.
    pub(crate) name: String,
    /// The digest of its model; empty where it has none.
    pub(crate) model: String,
}

/// What a window may hold, or what parts of it take.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Room {
    /// In tokens.
    pub(crate) tokens: u64,
    /// In bytes of the answer.
    pub(crate) bytes: u64,
}

/// A part of a window.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Part {
    /// A message's text, or the summary of several.
    pub(crate) text: String,
    /// Who said it; 0 for a summary.
    pub(crate) role: i32,
    /// Whether it is a summary.
    pub(crate) summarized: bool,
    /// Whether it is there because it is pinned.
    pub(crate) pinned: bool,
    /// What made the summary.
    pub(crate) engine: String,
    /// The first message that it stands for.
    pub(crate) first: u64,
    /// The last message that it stands for.
    pub(crate) last: u64,
    /// Its length in tokens.
    pub(crate) tokens: u32,
}

/// A window in the making.
struct Making<'a, S, Z> {
    store: &'a S,
    summarizer: &'a Z,
    scope: &'a TenantScope,
    id: ContextId,
    tokenizer: Tokenizer,
    calls: Semaphore,
}

/// Makes a window over the context `id`.
pub(crate) async fn assemble(
    store: &(impl Contexts + Summaries),
    summarizer: &impl Summarize,
    scope: &TenantScope,
    id: ContextId,
    tokenizer: Tokenizer,
    budget: Room,
) -> Result<Vec<Part>, Status> {
    let calls = Semaphore::new(CALLS_AT_ONCE);
    let making = Making { store, summarizer, scope, id, tokenizer, calls };
    // What is appended from here on is for the next window.
    let count = store.get(scope, id).await.map_err(refusal::of_store)?.message_count;

    let mut parts = making.pinned(budget).await?;
    let left = budget - taken(&parts);
    let newest = making.newest(count, left).await?;
    let left = left - taken(&newest.parts);
    parts.extend(making.older(newest.first, count, left).await?);
    parts.extend(newest.parts);
    // What is pinned within a summarised segment stands behind the segment's summary.
    parts.sort_by_key(|part| (part.first, !part.summarized));
    Ok(parts)
}

/// What parts take together.
fn taken(parts: &[Part]) -> Room {
    parts.iter().fold(Room::default(), |room, part| room + part.room())
}

// === impl Making ===

impl<S: Contexts + Summaries, Z: Summarize> Making<'_, S, Z> {
    /// What is pinned.
    async fn pinned(&self, budget: Room) -> Result<Vec<Part>, Status> {
        let measure = self.store.measure_pinned(self.scope, self.id).await.map_err(refusal::of_store)?;
        if measure.messages == 0 {
            return Ok(Vec::new());
        }
        // Sizes first: what cannot fit is not read.
        let least = self.least(measure);
        if !least.fits(budget) {
            return Err(refusal::pinned_too_long(least, budget));
        }
        let pinned = self.store.pinned(self.scope, self.id).await.map_err(refusal::of_store)?;
        let mut parts = self.counted(pinned).await?;
        let taken = taken(&parts);
        if !taken.fits(budget) {
            return Err(refusal::pinned_too_long(taken, budget));
        }
        parts.iter_mut().for_each(|part| part.pinned = true);
        Ok(parts)
    }

    async fn measure(&self, segments: Vec<Segment>) -> Result<Vec<(Segment, Measure)>, Status> {
        let runs: Vec<_> = segments.iter().map(|segment| segment.range()).collect();
        let measures = self.store.measure(self.scope, self.id, &runs).await.map_err(refusal::of_store)?;
        Ok(segments.into_iter().zip(measures).collect())
    }

    /// The messages in `run` that are not pinned.
    async fn messages(&self, run: RangeInclusive<u64>) -> Result<Vec<Message>, Status> {
        let count = run.end() - run.start() + 1;
        let messages = self.store.range(self.scope, self.id, run).await.map_err(refusal::of_store)?;
        // The context was deleted since its messages were counted.
        if messages.len() as u64 != count {
            return Err(mcp_rpc::not_found());
        }
        Ok(messages.into_iter().filter(|message| !message.head.pinned).collect())
    }

    /// Messages word for word.
    async fn counted(&self, messages: Vec<Message>) -> Result<Vec<Part>, Status> {
        let tokenizer = self.tokenizer;
        if tokenizer == Tokenizer::UnicodeWords {
            return Ok(messages.into_iter().map(Part::from).collect());
        }
        let bytes = messages.iter().map(|message| message.text.len()).sum();
        let recount = move |message: Message| {
            let tokens = tokenizer.count(&message.text);
            Part { tokens, ..message.into() }
        };
        aside(tokenizer, bytes, move || messages.into_iter().map(recount).collect()).await
    }

    /// The least that messages of this measure take word for word.
    fn least(&self, measure: Measure) -> Room {
        let Measure { messages, tokens, bytes } = measure;
        Room { tokens: self.tokenizer.least(tokens, bytes), bytes: bytes + messages * PART_BYTES }
    }
}

// === impl Part ===

impl Part {
    fn room(&self) -> Room {
        Room { tokens: self.tokens.into(), bytes: self.text.len() as u64 + PART_BYTES }
    }
}

impl From<Message> for Part {
    fn from(Message { head, text }: Message) -> Self {
        Self { text, role: head.role, first: head.n, last: head.n, tokens: head.tokens, ..Self::default() }
    }
}

// === impl Engine ===

impl Engine {
    /// Its name, and after a `/` its model where it has one.
    fn on_the_wire(&self) -> String {
        if self.model.is_empty() { self.name.clone() } else { format!("{}/{}", self.name, self.model) }
    }
}

impl Default for Engine {
    /// The one that every platform has: it picks sentences, by rules alone.
    fn default() -> Self {
        Self { name: "extractive".to_owned(), model: String::new() }
    }
}

// === impl Room ===

impl Room {
    fn fits(self, within: Self) -> bool {
        self.tokens <= within.tokens && self.bytes <= within.bytes
    }

    /// The room of each of `count` that share it.
    fn split(self, count: u64) -> Self {
        Self { tokens: self.tokens / count.max(1), bytes: self.bytes / count.max(1) }
    }

    /// Three quarters of it.
    fn most(self) -> Self {
        Self { tokens: self.tokens * 3 / 4, bytes: self.bytes * 3 / 4 }
    }
}

impl Add for Room {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self { tokens: self.tokens + more.tokens, bytes: self.bytes + more.bytes }
    }
}

/// Down to nothing, not below.
impl Sub for Room {
    type Output = Self;

    fn sub(self, less: Self) -> Self {
        Self { tokens: self.tokens.saturating_sub(less.tokens), bytes: self.bytes.saturating_sub(less.bytes) }
    }
}

#[cfg(test)]
mod tests;
