//! What a budget takes, whatever was said and whatever the summarizer answers.

use proptest::prelude::*;

use super::*;

#[tokio::test]
async fn what_fits_comes_back_word_for_word_and_costs_no_call() {
    let (contexts, _alive) = sqlite_contexts().await;
    let id = holding(&contexts, &["one  two".to_owned(), "three\n".to_owned()]).await;

    let parts = window(&contexts, &Unwilling::default(), id, 16).await.expect("a window");

    let said: Vec<_> = parts.iter().map(|part| (part.text.as_str(), part.first, part.last)).collect();
    assert_eq!(said, [("one  two", 1, 1), ("three\n", 2, 2)]);
    assert!(parts.iter().all(|part| !part.summarized && part.role == 2 && part.engine.is_empty()));
}

#[tokio::test]
async fn the_newest_go_word_for_word_up_to_three_quarters() {
    let (contexts, _alive) = sqlite_contexts().await;
    let id = holding(&contexts, &[words(50), words(40), words(40), words(35)]).await;

    let parts = window(&contexts, &Parrot::default(), id, 100).await.expect("a window");

    // Twenty-five are left for two segments: eight for each, and as many again for the newer one.
    assert_eq!(cited(&parts), [(1, 1, 8), (2, 2, 16), (3, 3, 40), (4, 4, 35)]);
    assert_eq!(parts.iter().map(|part| part.summarized).collect::<Vec<_>>(), [true, true, false, false]);
    assert_eq!(parts[0].engine, "extractive");
}

#[tokio::test]
async fn the_newest_may_take_what_the_older_would_have_had() {
    let (contexts, _alive) = sqlite_contexts().await;
    let id = holding(&contexts, &[words(50), words(50), words(100)]).await;

    let parts = window(&contexts, &Unwilling::default(), id, 100).await.expect("a window");

    // They are named, if not told.
    assert_eq!(cited(&parts), [(1, 2, 0), (3, 3, 100)]);
    assert!(parts[0].summarized && parts[0].text.is_empty() && parts[0].engine.is_empty());
}

#[tokio::test]
async fn a_newest_message_beyond_the_budget_is_summarised_by_itself() {
    let (contexts, _alive) = sqlite_contexts().await;
    let id = holding(&contexts, &vec![words(200); 5]).await;

    let parts = window(&contexts, &Parrot::default(), id, 128).await.expect("a window");

    assert_eq!(cited(&parts), [(1, 4, 64), (5, 5, 64)]);
}

#[tokio::test]
async fn what_is_short_goes_word_for_word_though_it_is_old() {
    let (contexts, _alive) = sqlite_contexts().await;
    let id = holding(&contexts, &["in short".to_owned(), words(500), words(60)]).await;

    let parts = window(&contexts, &Parrot::default(), id, 100).await.expect("a window");

    assert_eq!(cited(&parts), [(1, 1, 2), (2, 2, 32), (3, 3, 60)]);
    assert_eq!((parts[0].text.as_str(), parts[0].summarized), ("in short", false));
}

#[tokio::test]
async fn a_context_without_messages_has_no_parts_and_an_absent_one_is_not_found() {
    let (contexts, _alive) = sqlite_contexts().await;
    let id = holding(&contexts, &[]).await;
    assert_eq!(window(&contexts, &Unwilling::default(), id, 16).await.expect("a window"), []);

    contexts.delete(&acme(), &WRITE, Target { id, etag: None }).await.expect("deleted");

    let absent = refused(window(&contexts, &Unwilling::default(), id, 16).await, Code::NotFound, "NOT_FOUND");
    assert_eq!(absent.message(), mcp_rpc::not_found().message());
}

/// A part that a window may not have.
fn broken(parts: &[Part], tokenizer: Tokenizer, budget: u64, texts: &[String]) -> Option<String> {
    if parts.iter().map(|part| u64::from(part.tokens)).sum::<u64>() > budget {
        return Some("it is above its budget".to_owned());
    }
    let mut seen = vec![false; texts.len()];
    let mut before = (0, false);
    for part in parts {
        if tokenizer.count(&part.text) != part.tokens {
            return Some(format!("its count is wrong: {part:?}"));
        }
        let (first, last) =
            (usize::try_from(part.first).expect("few"), usize::try_from(part.last).expect("few"));
        seen[first - 1..last].fill(true);
        if !part.summarized && texts[first - 1] != part.text {
            return Some(format!("it is not what was said: {part:?}"));
        }
        if (part.first, !part.summarized) <= before {
            return Some(format!("it is out of order: {part:?}"));
        }
        before = (part.first, !part.summarized);
    }
    (!seen.iter().all(|&seen| seen)).then(|| format!("something is not cited: {seen:?}"))
}

/// The first of the newest messages that stand word for word without a gap.
fn verbatim_from(parts: &[Part], count: usize) -> u64 {
    let mut from = count as u64 + 1;
    for part in parts.iter().rev().filter(|part| !part.summarized) {
        if part.last + 1 == from {
            from = part.first;
        }
    }
    from
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn a_window_keeps_to_its_budget_and_cites_everything_whatever_the_summarizer_says(
        texts in prop::collection::vec("!?[a-zé漢]{1,8}( [a-zé漢.…]{1,8}){0,40}", 1..40),
        budget in 16_u64..400,
        more in 0_u64..400,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (contexts, _alive) = sqlite_contexts().await;
            let id = holding(&contexts, &texts).await;
            for tokenizer in [WORDS, Tokenizer::Cl100kBase, Tokenizer::O200kBase] {
                let assembled = async |tokens| {
                    assemble(&contexts, &Parrot::default(), &acme(), id, tokenizer, room(tokens)).await
                };
                let pinned: u64 = texts
                    .iter()
                    .filter(|text| text.starts_with('!'))
                    .map(|text| u64::from(tokenizer.count(text)))
                    .sum();
                if pinned > budget {
                    refused(assembled(budget).await, Code::FailedPrecondition, "PINNED_TOO_LONG");
                    continue;
                }
                let parts = assembled(budget).await.expect("a window");
                prop_assert_eq!(broken(&parts, tokenizer, budget, &texts), None);
                prop_assert_eq!(&parts, &assembled(budget).await.expect("the same window"));
                let larger = assembled(budget + more).await.expect("a window");
                prop_assert_eq!(broken(&larger, tokenizer, budget + more, &texts), None);
                // More budget never makes a message that stood word for word a part of a summary.
                prop_assert!(verbatim_from(&larger, texts.len()) <= verbatim_from(&parts, texts.len()));
            }
            Ok(())
        })?;
    }
}
