//! What is pinned is always there, once, and counts.

use super::*;

fn talk() -> Vec<String> {
    (0..40).map(|n| if n == 4 { format!("! {}", words(10)) } else { words(20) }).collect()
}

#[tokio::test]
async fn what_is_pinned_is_there_however_old_and_however_small_the_budget() {
    let (contexts, _alive) = sqlite_contexts().await;
    let id = holding(&contexts, &talk()).await;

    for budget in [16, 40, 100, 300, 10_000] {
        let parts = window(&contexts, &Parrot::default(), id, budget).await.expect("a window");
        let pinned: Vec<_> = parts.iter().filter(|part| part.pinned).collect();
        let [pinned] = pinned[..] else { panic!("{parts:?}") };
        assert_eq!((pinned.first, pinned.last, pinned.tokens, pinned.summarized), (5, 5, 10, false));
        assert!(parts.iter().map(|part| u64::from(part.tokens)).sum::<u64>() <= budget);
        assert_eq!(parts.iter().filter(|part| !part.summarized && part.first == 5).count(), 1);
    }
}

#[tokio::test]
async fn what_is_pinned_stands_behind_the_summary_of_its_segment_and_is_not_in_it() {
    let (contexts, _alive) = sqlite_contexts().await;
    let id = holding(&contexts, &talk()).await;
    let parrot = Parrot::default();

    let parts = window(&contexts, &parrot, id, 400).await.expect("a window");

    let at = parts.iter().position(|part| part.pinned).expect("pinned");
    assert_eq!((parts[at - 1].first, parts[at - 1].last, parts[at - 1].tokens), (1, 16, 16));
    assert!(parrot.asked.lock().expect("whole").iter().all(|(text, _)| !text.contains('!')));
}

#[tokio::test]
async fn a_segment_of_what_is_pinned_needs_no_summary() {
    let (contexts, _alive) = sqlite_contexts().await;
    let texts: Vec<_> = (0..4).map(|_| "! always".to_owned()).chain([words(30)]).collect();
    let id = holding(&contexts, &texts).await;

    let parts = window(&contexts, &Unwilling::default(), id, 34).await.expect("a window");

    assert_eq!(cited(&parts), [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 4, 1), (5, 5, 30)]);
    assert!(parts[..4].iter().all(|part| part.pinned));
}

#[tokio::test]
async fn what_is_pinned_beyond_the_budget_is_refused_with_the_numbers() {
    let (contexts, _alive) = sqlite_contexts().await;
    let id = holding(&contexts, &[format!("! {}", words(20)), format!("! {}", words(13))]).await;

    for tokenizer in [WORDS, Tokenizer::Cl100kBase, Tokenizer::O200kBase] {
        let answer = assemble(&contexts, &Parrot::default(), &acme(), id, tokenizer, room(20)).await;
        let refused = refused(answer, Code::FailedPrecondition, "PINNED_TOO_LONG");
        assert!(refused.message().contains("of a budget of 20"), "{refused:?}");
    }
    let refused = refused(
        window(&contexts, &Parrot::default(), id, 32).await,
        Code::FailedPrecondition,
        "PINNED_TOO_LONG",
    );
    assert!(refused.message().contains("33 tokens of a budget of 32"), "{refused:?}");

    let narrow = Room { tokens: 1_000, bytes: 300 };
    let answer = assemble(&contexts, &Parrot::default(), &acme(), id, WORDS, narrow).await;
    let refused = super::refused(answer, Code::FailedPrecondition, "PINNED_TOO_LONG");
    assert!(refused.message().contains("bytes of the 300"), "{refused:?}");
}
