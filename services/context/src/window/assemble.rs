//! Carries out a plan: fetches the messages, has the older ones summarised, and holds what comes back to its room.

use std::future::Future;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mcp_tenancy::TenantScope;
use tonic::Status;

use super::{How, Room, SEPARATOR, Step, plan};
use crate::{
    names::ContextId,
    refusal,
    store::{Contexts, Message},
    tokens,
};

/// Summaries under way at once for one window.
const CALLS_AT_ONCE: usize = 2;

/// Makes a long text short.
pub(crate) trait Summarize: Sync {
    /// Summarises `text` in `tokens` tokens at most, of whatever tokenizer it has.
    fn summarize(&self, text: String, tokens: u32) -> impl Future<Output = Result<String, Status>> + Send;
}

/// A part of a window.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Part {
    /// A message's text, or the summary of several.
    pub(crate) text: String,
    /// Who said it; 0 for a summary.
    pub(crate) role: i32,
    /// Whether it is a summary.
    pub(crate) summarized: bool,
    /// The first message that it stands for.
    pub(crate) first: u64,
    /// The last message that it stands for.
    pub(crate) last: u64,
    /// Its length in tokens.
    pub(crate) tokens: u32,
}

/// Makes a window over the context `id`.
pub(crate) async fn assemble(
    store: &impl Contexts,
    summarizer: &impl Summarize,
    scope: &TenantScope,
    id: ContextId,
    budget: Room,
) -> Result<Vec<Part>, Status> {
    let sizes = store.sizes(scope, id).await.map_err(refusal::of_store)?;
    // Messages never change, so the plan holds even where others are appended meanwhile.
    let steps = plan(&sizes, budget);
    drop(sizes);
    stream::iter(steps)
        .map(|step| carry_out(store, summarizer, scope, id, step))
        .buffered(CALLS_AT_ONCE)
        .try_concat()
        .await
}

async fn carry_out(
    store: &impl Contexts,
    summarizer: &impl Summarize,
    scope: &TenantScope,
    id: ContextId,
    step: Step,
) -> Result<Vec<Part>, Status> {
    let Step { first, last, how } = step;
    let summary = |text: String, tokens| Part { text, role: 0, summarized: true, first, last, tokens };
    match how {
        How::Named => Ok(vec![summary(String::new(), 0)]),
        How::Verbatim => {
            let messages = fetch(store, scope, id, step).await?;
            Ok(messages.into_iter().map(Part::from).collect())
        }
        How::Summarized(room) => {
            let text = joined(fetch(store, scope, id, step).await?);
            let tokens = u32::try_from(room.tokens).unwrap_or(u32::MAX);
            let said = summarizer.summarize(text, tokens).await?;
            // The budget is ours to keep, whatever the summarizer calls a token.
            let (kept, counted) =
                tokens::cut(said.trim(), tokens, usize::try_from(room.bytes).unwrap_or(usize::MAX));
            Ok(vec![summary(kept.to_owned(), counted)])
        }
    }
}

async fn fetch(
    store: &impl Contexts,
    scope: &TenantScope,
    id: ContextId,
    step: Step,
) -> Result<Vec<Message>, Status> {
    let messages = store.range(scope, id, step.first..=step.last).await.map_err(refusal::of_store)?;
    // The context was deleted since its sizes were read.
    if messages.len() as u64 != step.last - step.first + 1 {
        return Err(mcp_rpc::not_found());
    }
    Ok(messages)
}

fn joined(messages: Vec<Message>) -> String {
    let mut text = String::with_capacity(messages.iter().map(|message| message.text.len() + 2).sum());
    for message in messages {
        if !text.is_empty() {
            text.push_str(SEPARATOR);
        }
        text.push_str(&message.text);
    }
    text
}

// === impl Part ===

impl From<Message> for Part {
    fn from(Message { head, text }: Message) -> Self {
        Self { text, role: head.role, summarized: false, first: head.n, last: head.n, tokens: head.tokens }
    }
}

#[cfg(test)]
mod tests {
    //! Windows over messages that are really stored; only the summarizer is a stand-in.

    use std::sync::Mutex;

    use mcp_rpc::{reason_of, refusal};
    use mcp_testkit::TestIssuer;
    use mcp_types::Timestamp;
    use proptest::prelude::*;
    use tonic::Code;
    use uuid::Uuid;

    use super::*;
    use crate::{
        fields::Fields,
        store::{NewMessage, SqliteContexts, Target, Write, sqlite_contexts},
    };

    /// Says the whole text again, whatever it was asked, and remembers what it was asked.
    #[derive(Default)]
    struct Parrot {
        asked: Mutex<Vec<(String, u32)>>,
    }

    /// Summarises for nobody.
    struct Unwilling;

    impl Summarize for Parrot {
        async fn summarize(&self, text: String, tokens: u32) -> Result<String, Status> {
            self.asked.lock().expect("whole").push((text.clone(), tokens));
            Ok(text)
        }
    }

    impl Summarize for Unwilling {
        async fn summarize(&self, _: String, _: u32) -> Result<String, Status> {
            Err(refusal(Code::PermissionDenied, "PERMISSION_MISSING", "needs `summarization.use`"))
        }
    }

    const WRITE: Write = Write { now: Timestamp::from_unix_secs(1), once: None };

    fn room(tokens: u64) -> Room {
        Room { tokens, bytes: 3 << 20 }
    }

    fn acme() -> TenantScope {
        TestIssuer::new().scope("acme")
    }

    async fn holding(contexts: &SqliteContexts, texts: &[String]) -> ContextId {
        let id = ContextId::new(Uuid::from_u128(7));
        contexts.create(&acme(), &WRITE, id, Fields::default()).await.expect("stored");
        let messages = texts
            .iter()
            .map(|text| NewMessage { role: 2, text: text.clone(), tokens: tokens::count(text) })
            .collect();
        contexts.append(&acme(), &WRITE, id, messages).await.expect("appended");
        id
    }

    fn words(count: usize) -> String {
        vec!["word"; count].join(" ")
    }

    #[tokio::test]
    async fn what_fits_comes_back_word_for_word_and_costs_no_call() {
        let (contexts, _alive) = sqlite_contexts().await;
        let id = holding(&contexts, &["one  two".to_owned(), "three\n".to_owned()]).await;

        let parts = assemble(&contexts, &Unwilling, &acme(), id, room(16)).await.expect("a window");

        let said: Vec<_> = parts.iter().map(|part| (part.text.as_str(), part.first, part.last)).collect();
        assert_eq!(said, [("one  two", 1, 1), ("three\n", 2, 2)]);
        assert!(parts.iter().all(|part| !part.summarized && part.role == 2));
    }

    #[tokio::test]
    async fn older_messages_are_summarised_together_within_what_is_left() {
        let (contexts, _alive) = sqlite_contexts().await;
        let id = holding(&contexts, &[words(30), words(30), words(60)]).await;
        let parrot = Parrot::default();

        let parts = assemble(&contexts, &parrot, &acme(), id, room(80)).await.expect("a window");

        let [summary, newest] = parts.as_slice() else { panic!("{parts:?}") };
        assert_eq!((summary.first, summary.last, summary.summarized, summary.role), (1, 2, true, 0));
        // The parrot said sixty words; twenty were free.
        assert_eq!((summary.tokens, tokens::count(&summary.text)), (20, 20));
        assert_eq!((newest.first, newest.last, newest.summarized, newest.tokens), (3, 3, false, 60));
        let asked = parrot.asked.into_inner().expect("whole");
        assert_eq!(asked, [(format!("{}\n\n{}", words(30), words(30)), 20)]);
    }

    #[tokio::test]
    async fn what_the_summarizer_refuses_is_what_the_caller_hears() {
        let (contexts, _alive) = sqlite_contexts().await;
        let id = holding(&contexts, &[words(30)]).await;

        let refused = assemble(&contexts, &Unwilling, &acme(), id, room(16)).await.expect_err("refused");

        assert_eq!(refused.code(), Code::PermissionDenied);
        assert_eq!(reason_of(&refused).as_deref(), Some("PERMISSION_MISSING"));
    }

    #[tokio::test]
    async fn a_context_without_messages_has_no_parts_and_an_absent_one_is_not_found() {
        let (contexts, _alive) = sqlite_contexts().await;
        let id = holding(&contexts, &[]).await;
        assert_eq!(assemble(&contexts, &Unwilling, &acme(), id, room(16)).await.expect("a window"), []);

        contexts.delete(&acme(), &WRITE, Target { id, etag: None }).await.expect("deleted");

        let absent = assemble(&contexts, &Unwilling, &acme(), id, room(16)).await.expect_err("absent");
        assert_eq!((absent.code(), absent.message()), (Code::NotFound, mcp_rpc::not_found().message()));
    }

    #[tokio::test]
    async fn a_long_history_is_summarised_in_segments() {
        let (contexts, _alive) = sqlite_contexts().await;
        let id = holding(&contexts, &[words(350_000), words(350_000), words(150)]).await;
        let parrot = Parrot::default();

        let parts = assemble(&contexts, &parrot, &acme(), id, room(200)).await.expect("a window");

        let cited: Vec<_> = parts.iter().map(|part| (part.first, part.last, part.tokens)).collect();
        assert_eq!(cited, [(1, 1, 25), (2, 2, 25), (3, 3, 150)]);
        let asked = parrot.asked.into_inner().expect("whole");
        assert!(asked.iter().all(|(text, tokens)| text.len() <= 2 << 20 && *tokens == 25));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn a_window_keeps_to_its_budget_whatever_the_summarizer_says(
            texts in prop::collection::vec("[a-z]{1,8}( [a-z.…]{1,8}){0,40}", 1..12),
            budget in 16_u64..120,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            let parts = runtime.block_on(async {
                let (contexts, _alive) = sqlite_contexts().await;
                let id = holding(&contexts, &texts).await;
                assemble(&contexts, &Parrot::default(), &acme(), id, room(budget)).await.expect("a window")
            });

            prop_assert!(parts.iter().map(|part| u64::from(part.tokens)).sum::<u64>() <= budget);
            let mut next = 1;
            for part in &parts {
                prop_assert_eq!(part.first, next);
                prop_assert_eq!(tokens::count(&part.text), part.tokens);
                next = part.last + 1;
            }
            prop_assert_eq!(next, texts.len() as u64 + 1);
        }
    }
}
