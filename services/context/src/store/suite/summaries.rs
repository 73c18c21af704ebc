//! Measures of messages, and summaries that are kept.

use super::*;

/// Enough messages that their measure is noted.
const MANY: usize = 300;

/// A context of `count` messages of three tokens and nine bytes each; every fifth is pinned.
async fn talk(contexts: &StoredContexts, count: usize) -> ContextId {
    let context = create(contexts, &scope("acme"), "talk").await;
    let messages: Vec<_> =
        (1..=count).map(|n| NewMessage { pinned: n % 5 == 0, ..said(&["one a two"]).remove(0) }).collect();
    for messages in messages.chunks(100) {
        contexts.append(&scope("acme"), &at(6), context.id, messages.to_vec()).await.expect("appended");
    }
    context.id
}

fn of(messages: u64) -> Measure {
    Measure { messages, tokens: messages * 3, bytes: messages * 9 }
}

fn saying(text: &str) -> Summary {
    Summary { digest: [7; 32], tokens: 2, text: text.to_owned() }
}

pub(super) async fn runs_are_measured_without_what_is_pinned(contexts: StoredContexts) {
    let id = talk(&contexts, MANY).await;
    let runs = [1..=4, 5..=5, 4..=10, 1..=256, 1..=300];

    // The second time the long ones are looked up.
    for _ in 0..2 {
        let measures = contexts.measure(&scope("acme"), id, &runs).await.expect("measured");
        assert_eq!(measures, [of(4), of(0), of(5), of(205), of(240)]);
    }
    assert_eq!(contexts.measure_pinned(&scope("acme"), id).await.expect("measured"), of(60));
    absent(contexts.measure(&scope("globex"), id, &runs).await);
    absent(contexts.measure_pinned(&scope("globex"), id).await);
}

pub(super) async fn what_is_pinned_is_found_in_order_and_in_forks(contexts: StoredContexts) {
    let id = talk(&contexts, 12).await;
    let fork = super::id();
    let source = Source { id, count: Some(7) };
    contexts.fork(&scope("acme"), &at(7), source, fork, None).await.expect("forked");
    let more = NewMessage { pinned: true, ..said(&["and on"]).remove(0) };
    contexts.append(&scope("acme"), &at(8), fork, vec![more]).await.expect("appended");

    for (id, numbers) in [(id, [5, 10]), (fork, [5, 8])] {
        let pinned = contexts.pinned(&scope("acme"), id).await.expect("found");
        assert_eq!(pinned.iter().map(|message| message.head.n).collect::<Vec<_>>(), numbers);
        assert!(pinned.iter().all(|message| message.head.pinned));
    }
    let measured = contexts.measure(&scope("acme"), fork, &[1..=8, 6..=7]).await.expect("measured");
    assert_eq!(measured, [of(6), of(2)]);
    absent(contexts.pinned(&scope("globex"), id).await);
}

pub(super) async fn the_first_summary_is_the_one_that_is_kept(contexts: StoredContexts) {
    let id = talk(&contexts, 4).await;
    let (scope, run, maker) = (scope("acme"), 1..=4, [1; 32]);
    assert_eq!(contexts.summary(&scope, id, &run, &maker).await.expect("looked up"), None);

    let kept =
        join_all(["a", "b", "c", "d"].map(|text| contexts.keep(&scope, id, &run, &maker, saying(text))))
            .await;

    let kept: Vec<_> = kept.into_iter().map(|summary| summary.expect("kept")).collect();
    assert!(kept.iter().all(|summary| *summary == kept[0]), "{kept:?}");
    let found = contexts.summary(&scope, id, &run, &maker).await.expect("looked up").expect("kept");
    assert_eq!((&found, found.text.as_str()), (&kept[0], kept[0].text.as_str()));
}

pub(super) async fn a_summary_is_its_makers_and_its_messages_alone(contexts: StoredContexts) {
    let (id, other) = (talk(&contexts, 8).await, talk(&contexts, 8).await);
    let (acme, run, maker) = (scope("acme"), 1..=4, [1; 32]);
    contexts.keep(&acme, id, &run, &maker, saying("a")).await.expect("kept");

    for (id, run, maker) in
        [(id, 1..=4, [2; 32]), (id, 5..=8, maker), (id, 1..=1, maker), (other, 1..=4, maker)]
    {
        assert_eq!(contexts.summary(&acme, id, &run, &maker).await.expect("looked up"), None);
    }
    assert_eq!(contexts.summary(&scope("globex"), id, &run, &maker).await.expect("looked up"), None);
    absent(contexts.keep(&scope("globex"), id, &run, &maker, saying("b")).await);
}

pub(super) async fn a_summary_goes_with_its_context(contexts: StoredContexts) {
    let id = talk(&contexts, MANY).await;
    let (acme, run, maker) = (scope("acme"), 1..=256, [1; 32]);
    contexts.measure(&acme, id, std::slice::from_ref(&run)).await.expect("measured");
    contexts.keep(&acme, id, &run, &maker, saying("a")).await.expect("kept");

    contexts.delete(&acme, &at(9), target(id)).await.expect("deleted");

    assert_eq!(contexts.summary(&acme, id, &run, &maker).await.expect("looked up"), None);
    absent(contexts.keep(&acme, id, &run, &maker, saying("a")).await);
    let mut tx = contexts.db().read(&acme).await.expect("begins");
    let (left,): (u64,) = mcp_store::sql("SELECT CAST(COUNT(*) AS BIGINT) FROM segments")
        .doing("count segments")
        .fetch_one(&mut tx)
        .await
        .expect("a count");
    assert_eq!(left, 0);
}
