//! Forks: shared without a copy, apart from then on.

use super::*;

async fn fork(contexts: &impl Contexts, scope: &TenantScope, of: ContextId, count: Option<u64>) -> Context {
    contexts.fork(scope, &at(7), Source { id: of, count }, id(), None).await.expect("forked")
}

async fn said_in(contexts: &impl Contexts, scope: &TenantScope, id: ContextId) -> Vec<String> {
    let page = contexts.messages(scope, id, 0, ALL).await.expect("a page");
    let numbers: Vec<_> = page.rows.iter().map(|message| message.head.n).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let ranged = contexts.range(scope, id, 1..=numbers.len() as u64).await.expect("a range");
    assert_eq!(ranged, page.rows);
    assert_eq!(contexts.get(scope, id).await.expect("there").message_count, numbers.len() as u64);
    page.rows.into_iter().map(|message| message.text).collect()
}

pub(super) async fn a_fork_shares_what_was_said_and_no_more(contexts: impl Contexts) {
    let acme = scope("acme");
    let parent = create(&contexts, &acme, "t").await.id;
    append(&contexts, &acme, parent, &["one two", "three", "four"]).await;

    let child = fork(&contexts, &acme, parent, Some(2)).await;
    append(&contexts, &acme, parent, &["of the parent"]).await;
    append(&contexts, &acme, child.id, &["of the child"]).await;

    assert_eq!((child.message_count, child.tokens, child.version), (2, 3, 1));
    assert_eq!(child.fork, Some(Fork { of: parent, count: 2 }));
    assert_eq!(said_in(&contexts, &acme, parent).await, ["one two", "three", "four", "of the parent"]);
    assert_eq!(said_in(&contexts, &acme, child.id).await, ["one two", "three", "of the child"]);
    let page = contexts.messages(&acme, child.id, 1, Limit { rows: 1, ..ALL }).await.expect("a page");
    assert_eq!((texts(&page.rows), page.more), (vec!["three"], true));
    assert_eq!(texts(&contexts.range(&acme, child.id, 2..=3).await.expect("two")), ["three", "of the child"]);
}

pub(super) async fn a_fork_outlives_what_it_was_forked_from(contexts: impl Contexts) {
    let acme = scope("acme");
    let parent = create(&contexts, &acme, "t").await.id;
    append(&contexts, &acme, parent, &["a", "b", "c"]).await;
    let [short, long] =
        [fork(&contexts, &acme, parent, Some(1)).await, fork(&contexts, &acme, parent, Some(2)).await];

    contexts.delete(&acme, &at(9), target(parent)).await.expect("deleted");
    while contexts.sweep(&acme).await.expect("swept") {}
    absent(contexts.get(&acme, parent).await);
    assert_eq!(said_in(&contexts, &acme, long.id).await, ["a", "b"]);

    contexts.delete(&acme, &at(9), target(long.id)).await.expect("deleted");
    while contexts.sweep(&acme).await.expect("swept") {}
    assert_eq!(said_in(&contexts, &acme, short.id).await, ["a"]);
    append(&contexts, &acme, short.id, &["still"]).await;
    assert_eq!(said_in(&contexts, &acme, short.id).await, ["a", "still"]);
}

pub(super) async fn a_fork_of_a_fork_reads_through_all_of_them(contexts: impl Contexts) {
    let acme = scope("acme");
    let first = create(&contexts, &acme, "t").await.id;
    append(&contexts, &acme, first, &["1", "2", "3"]).await;
    let second = fork(&contexts, &acme, first, Some(2)).await.id;
    append(&contexts, &acme, second, &["3'", "4'"]).await;
    let third = fork(&contexts, &acme, second, Some(3)).await.id;
    append(&contexts, &acme, third, &["4\""]).await;
    let early = fork(&contexts, &acme, third, Some(1)).await.id;

    for gone in [second, first] {
        assert_eq!(said_in(&contexts, &acme, third).await, ["1", "2", "3'", "4\""]);
        contexts.delete(&acme, &at(9), target(gone)).await.expect("deleted");
    }
    assert_eq!(said_in(&contexts, &acme, third).await, ["1", "2", "3'", "4\""]);
    contexts.delete(&acme, &at(9), target(third)).await.expect("deleted");
    assert_eq!(said_in(&contexts, &acme, early).await, ["1"]);
}

pub(super) async fn a_fork_has_its_own_or_its_parents_fields(contexts: impl Contexts) {
    let acme = scope("acme");
    let fields = Fields { kind: "chat".to_owned(), expires: Some(time(1_000)), ..titled("t") };
    let parent = contexts.create(&acme, &at(5), id(), fields.clone()).await.expect("stored").id;

    let same = fork(&contexts, &acme, parent, None).await;
    let source = Source { id: parent, count: None };
    let other = contexts.fork(&acme, &at(7), source, id(), Some(titled("u"))).await.expect("forked");

    assert_eq!(same.fields, Fields { expires: None, ..fields });
    assert_eq!(other.fields, titled("u"));
    assert_eq!(contexts.get(&acme, other.id).await.expect("there"), other);
}

pub(super) async fn a_fork_takes_no_message_that_is_not_there(contexts: impl Contexts) {
    let acme = scope("acme");
    let parent = create(&contexts, &acme, "t").await.id;
    append(&contexts, &acme, parent, &["a"]).await;

    let refused = contexts.fork(&acme, &at(7), Source { id: parent, count: Some(2) }, id(), None).await;
    assert!(matches!(refused, Err(ContextsError::MessageOutOfRange(1))), "{refused:?}");
    absent(contexts.fork(&acme, &at(7), Source { id: id(), count: None }, id(), None).await);
    absent(contexts.fork(&scope("globex"), &at(7), Source { id: parent, count: None }, id(), None).await);
}

pub(super) async fn forks_are_so_deep_and_no_deeper(contexts: impl Contexts) {
    let acme = scope("acme");
    let mut last = create(&contexts, &acme, "t").await.id;
    for _ in 0..32 {
        append(&contexts, &acme, last, &["x"]).await;
        last = fork(&contexts, &acme, last, None).await.id;
    }
    append(&contexts, &acme, last, &["x"]).await;

    let refused = contexts.fork(&acme, &at(7), Source { id: last, count: None }, id(), None).await;
    assert!(matches!(refused, Err(ContextsError::ForksTooDeep)), "{refused:?}");
    // With fewer messages it comes from fewer.
    contexts.fork(&acme, &at(7), Source { id: last, count: Some(32) }, id(), None).await.expect("forked");
}
