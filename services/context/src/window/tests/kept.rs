//! Summaries that are kept: the same state gives the same window, whoever asks, whatever has happened.

use futures_util::future::join_all;

use super::*;

/// Messages of which a window of 100 tokens needs summaries.
fn talk() -> Vec<String> {
    (0..24).map(|n| format!("message {n} {}", words(30))).collect()
}

#[tokio::test]
async fn a_summary_once_made_is_what_everybody_gets() {
    let (contexts, _alive) = sqlite_contexts().await;
    let id = holding(&contexts, &talk()).await;
    let fickle = Fickle::default();

    let first = window(&contexts, &fickle, id, 100).await.expect("a window");
    let calls = fickle.said.load(Ordering::Relaxed);
    let second = window(&contexts, &fickle, id, 100).await.expect("a window");
    let without = window(&contexts, &Unwilling::default(), id, 100).await.expect("what is kept needs nobody");

    assert!(calls > 1);
    assert_eq!(fickle.said.load(Ordering::Relaxed), calls);
    assert_eq!((&second, &without), (&first, &first));
}

#[tokio::test]
async fn of_windows_at_once_all_are_the_same() {
    let (contexts, _alive) = sqlite_contexts().await;
    let id = holding(&contexts, &talk()).await;
    let fickle = Fickle::default();

    let windows = join_all((0..8).map(|_| window(&contexts, &fickle, id, 100))).await;

    let windows: Vec<_> = windows.into_iter().map(|window| window.expect("a window")).collect();
    assert!(windows.iter().all(|window| window == &windows[0]), "{windows:?}");
}

#[tokio::test]
async fn without_a_summarizer_there_is_no_window_that_needs_a_new_summary() {
    let (contexts, _alive) = sqlite_contexts().await;
    let id = holding(&contexts, &talk()).await;

    let unwilling = Unwilling::default();
    refused(window(&contexts, &unwilling, id, 100).await, Code::Unavailable, "SUMMARIZATION_UNAVAILABLE");

    window(&contexts, &Parrot::default(), id, 100).await.expect("a window");
    window(&contexts, &unwilling, id, 100).await.expect("everything is kept");
}

#[tokio::test]
async fn what_was_summarised_before_a_failure_is_not_summarised_again() {
    /// Answers so many calls, and no more.
    struct Tired {
        engine: Engine,
        left: AtomicU32,
    }
    impl Summarize for Tired {
        fn engine(&self) -> &Engine {
            &self.engine
        }
        async fn summarize(&self, text: String, words: u32) -> Result<String, Status> {
            let took =
                self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            match took {
                Ok(_) => Parrot::default().summarize(text, words).await,
                Err(_) => Unwilling::default().summarize(text, words).await,
            }
        }
    }
    let (contexts, _alive) = sqlite_contexts().await;
    let id = holding(&contexts, &talk()).await;

    let whole = Parrot::default();
    let (other, _alive_too) = sqlite_contexts().await;
    holding(&other, &talk()).await;
    window(&other, &whole, id, 100).await.expect("a window");
    let needed = whole.asked();

    let tired = Tired { engine: Engine::default(), left: AtomicU32::new(2) };
    refused(window(&contexts, &tired, id, 100).await, Code::Unavailable, "SUMMARIZATION_UNAVAILABLE");
    let rest = Parrot::default();
    window(&contexts, &rest, id, 100).await.expect("a window");

    assert_eq!(rest.asked(), needed - 2);
}

#[tokio::test]
async fn another_engine_model_tokenizer_or_length_has_summaries_of_its_own() {
    let (contexts, _alive) = sqlite_contexts().await;
    let id = holding(&contexts, &talk()).await;
    let other = |name: &str, model: &str| Parrot {
        engine: Engine { name: name.to_owned(), model: model.to_owned() },
        ..Parrot::default()
    };
    window(&contexts, &Parrot::default(), id, 100).await.expect("a window");

    for parrot in [other("abstractive", ""), other("extractive", "0af1")] {
        let parts = window(&contexts, &parrot, id, 100).await.expect("a window");
        assert!(parrot.asked() > 1);
        assert_eq!(parts[0].engine, parrot.engine.on_the_wire());
    }
    let (counted, longer) = (Parrot::default(), Parrot::default());
    assemble(&contexts, &counted, &acme(), id, Tokenizer::Cl100kBase, room(100)).await.expect("a window");
    window(&contexts, &longer, id, 400).await.expect("a window");
    assert!(counted.asked() > 1 && longer.asked() > 1);
}

#[tokio::test]
async fn budgets_that_are_close_share_their_summaries() {
    let (contexts, _alive) = sqlite_contexts().await;
    let id = holding(&contexts, &talk()).await;
    window(&contexts, &Parrot::default(), id, 120).await.expect("a window");

    let again = Parrot::default();
    window(&contexts, &again, id, 121).await.expect("a window");

    assert_eq!(again.asked(), 0);
}

#[tokio::test]
async fn what_is_appended_leaves_the_older_summaries_as_they_are() {
    let (contexts, _alive) = sqlite_contexts().await;
    let id = holding(&contexts, &talk()).await;
    let before = window(&contexts, &Fickle::default(), id, 150).await.expect("a window");
    append(&contexts, id, &[words(30)]).await;

    // Thirty more tokens for what is new.
    let after = window(&contexts, &Unwilling::default(), id, 180).await.expect("a window");

    assert_eq!(before.iter().filter(|part| part.summarized).count(), 3);
    assert_eq!(after[..6], before[..6]);
}

#[tokio::test]
async fn a_summary_is_nowhere_in_clear() {
    let (contexts, folder) = sqlite_contexts().await;
    let id = holding(&contexts, &talk()).await;
    let parts = window(&contexts, &Fickle::default(), id, 100).await.expect("a window");
    assert!(parts[0].text.starts_with("saying"));

    let mut folders = vec![folder.path().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("a type").is_dir() {
                folders.push(entry.path());
                continue;
            }
            files += 1;
            let bytes = std::fs::read(entry.path()).expect("a file");
            assert!(!bytes.windows(6).any(|bytes| bytes == b"saying"), "{entry:?}");
        }
    }
    assert!(files > 0);
}

#[tokio::test]
async fn summaries_go_with_their_context() {
    let (contexts, _alive) = sqlite_contexts().await;
    let id = holding(&contexts, &talk()).await;
    window(&contexts, &Parrot::default(), id, 100).await.expect("a window");
    contexts.delete(&acme(), &WRITE, Target { id, etag: None }).await.expect("deleted");

    // The same ID, and the same messages: nothing of the first is left.
    let again = Parrot::default();
    let (id, mut tx) =
        (holding(&contexts, &talk()).await, contexts.db().read(&acme()).await.expect("begins"));
    let (left,): (u64,) = mcp_store::sql("SELECT CAST(COUNT(*) AS BIGINT) FROM summaries")
        .doing("count summaries")
        .fetch_one(&mut tx)
        .await
        .expect("a count");
    drop(tx);
    assert_eq!(left, 0);
    window(&contexts, &again, id, 100).await.expect("a window");
    assert!(again.asked() > 1);
}
