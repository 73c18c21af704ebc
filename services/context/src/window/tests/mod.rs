//! Windows over messages that are really stored; only the summarizer is a stand-in.

mod budgets;
mod kept;
mod pinned;
mod segments;

use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering},
};

use mcp_rpc::{reason_of, refusal};
use mcp_testkit::TestIssuer;
use mcp_types::Timestamp;
use tonic::Code;
use uuid::Uuid;

use super::*;
use crate::{
    fields::Fields,
    store::{NewMessage, StoredContexts, Target, Write, sqlite_contexts},
    tokens,
};

/// Says the whole text again, whatever it was asked, and remembers what it was asked.
#[derive(Default)]
struct Parrot {
    engine: Engine,
    asked: Mutex<Vec<(String, u32)>>,
}

/// Never says the same twice.
#[derive(Default)]
struct Fickle {
    engine: Engine,
    said: AtomicU32,
}

/// Summarises for nobody.
#[derive(Default)]
struct Unwilling {
    engine: Engine,
}

impl Summarize for Parrot {
    fn engine(&self) -> &Engine {
        &self.engine
    }

    async fn summarize(&self, text: String, words: u32) -> Result<String, Status> {
        self.asked.lock().expect("whole").push((text.clone(), words));
        Ok(text)
    }
}

impl Summarize for Fickle {
    fn engine(&self) -> &Engine {
        &self.engine
    }

    async fn summarize(&self, _: String, _: u32) -> Result<String, Status> {
        // Others get their turn between the question and the answer.
        tokio::task::yield_now().await;
        Ok(format!("saying {}", self.said.fetch_add(1, Ordering::Relaxed)))
    }
}

impl Summarize for Unwilling {
    fn engine(&self) -> &Engine {
        &self.engine
    }

    async fn summarize(&self, _: String, _: u32) -> Result<String, Status> {
        Err(refusal(Code::Unavailable, "SUMMARIZATION_UNAVAILABLE", "nobody is there"))
    }
}

impl Parrot {
    fn asked(&self) -> usize {
        self.asked.lock().expect("whole").len()
    }
}

const WRITE: Write = Write { now: Timestamp::from_unix_secs(1), once: None };
const WORDS: Tokenizer = Tokenizer::UnicodeWords;

fn room(tokens: u64) -> Room {
    Room { tokens, bytes: 3 << 20 }
}

fn acme() -> TenantScope {
    TestIssuer::new().scope("acme")
}

fn words(count: usize) -> String {
    vec!["word"; count].join(" ")
}

/// A context that holds `texts`; those that begin with a `!` are pinned.
async fn holding(contexts: &StoredContexts, texts: &[String]) -> ContextId {
    let id = ContextId::new(Uuid::from_u128(7));
    contexts.create(&acme(), &WRITE, id, Fields::default()).await.expect("stored");
    append(contexts, id, texts).await;
    id
}

async fn append(contexts: &StoredContexts, id: ContextId, texts: &[String]) {
    for texts in texts.chunks(100) {
        let messages = texts.iter().map(|text| NewMessage {
            role: 2,
            text: text.clone(),
            tokens: tokens::count(text),
            pinned: text.starts_with('!'),
        });
        contexts.append(&acme(), &WRITE, id, messages.collect()).await.expect("appended");
    }
}

async fn window(
    contexts: &StoredContexts,
    summarizer: &impl Summarize,
    id: ContextId,
    tokens: u64,
) -> Result<Vec<Part>, Status> {
    assemble(contexts, summarizer, &acme(), id, WORDS, room(tokens)).await
}

/// The first and last message of each part, and its tokens.
fn cited(parts: &[Part]) -> Vec<(u64, u64, u32)> {
    parts.iter().map(|part| (part.first, part.last, part.tokens)).collect()
}

fn refused(answer: Result<Vec<Part>, Status>, code: Code, reason: &str) -> Status {
    let status = answer.expect_err("refused");
    assert_eq!((status.code(), reason_of(&status).as_deref()), (code, Some(reason)));
    status
}
