//! Messages: appended, listed, measured.

use super::*;
use std::fmt::Write as _;

pub(super) async fn messages_are_numbered_from_one_in_their_order(contexts: impl Contexts) {
    let acme = scope("acme");
    let id = create(&contexts, &acme, "t").await.id;
    append(&contexts, &acme, id, &["one", "two"]).await;

    let heads = append(&contexts, &acme, id, &["three"]).await;

    assert_eq!(heads.iter().map(|head| head.n).collect::<Vec<_>>(), [3]);
    let page = contexts.messages(&acme, id, 0, ALL).await.expect("a page");
    assert_eq!(texts(&page.rows), ["one", "two", "three"]);
    assert_eq!(page.rows[2].head, heads[0]);
    let page = contexts.messages(&acme, id, 1, Limit { rows: 1, ..ALL }).await.expect("a page");
    assert_eq!((texts(&page.rows), page.more), (vec!["two"], true));
    assert_eq!(texts(&contexts.range(&acme, id, 2..=3).await.expect("two")), ["two", "three"]);
    assert_eq!(contexts.get(&acme, id).await.expect("read").message_count, 3);
}

pub(super) async fn appends_at_once_leave_no_gap_and_no_double(contexts: impl Contexts) {
    let acme = scope("acme");
    let id = create(&contexts, &acme, "t").await.id;

    let appends = (0..16).map(|_| append(&contexts, &acme, id, &["a", "b", "c"]));
    let answers = join_all(appends).await;

    for heads in &answers {
        assert!(heads.windows(2).all(|pair| pair[1].n == pair[0].n + 1), "{heads:?}");
    }
    let numbers: HashSet<_> = answers.iter().flatten().map(|head| head.n).collect();
    assert_eq!(numbers, (1..=48).collect());
    assert_eq!(contexts.get(&acme, id).await.expect("read").message_count, 48);
}

pub(super) async fn an_append_changes_the_contexts_etag(contexts: impl Contexts) {
    let acme = scope("acme");
    let before = create(&contexts, &acme, "t").await;

    append(&contexts, &acme, before.id, &["x"]).await;

    let after = contexts.get(&acme, before.id).await.expect("read");
    assert_ne!(etag(after.id, after.version), etag(before.id, before.version));
    assert!(after.updated > before.updated);
}

pub(super) async fn a_full_context_takes_no_message(contexts: impl Contexts) {
    let acme = scope("acme");
    let id = create(&contexts, &acme, "t").await.id;
    let many = usize::try_from(MESSAGES_MAX).expect("small") + 1;

    let refused = contexts.append(&acme, &at(9), id, said(&vec!["x"; many])).await;

    assert!(matches!(refused, Err(ContextsError::Full)), "{refused:?}");
    assert_eq!(contexts.get(&acme, id).await.expect("read").message_count, 0);
}

pub(super) async fn a_message_page_ends_before_its_bytes(contexts: impl Contexts) {
    let acme = scope("acme");
    let id = create(&contexts, &acme, "t").await.id;
    append(&contexts, &acme, id, &["12345678901", "1234", "123456", "1"]).await;
    let limit = Limit { rows: 200, bytes: 10 };

    let first = contexts.messages(&acme, id, 0, limit).await.expect("a page");
    let second = contexts.messages(&acme, id, 1, limit).await.expect("a page");
    let third = contexts.messages(&acme, id, 3, limit).await.expect("a page");

    assert_eq!((texts(&first.rows), first.more), (vec!["12345678901"], true));
    assert_eq!((texts(&second.rows), second.more), (vec!["1234", "123456"], true));
    assert_eq!((texts(&third.rows), third.more), (vec!["1"], false));
}

pub(super) async fn messages_keep_their_text_byte_for_byte(contexts: impl Contexts) {
    let acme = scope("acme");
    let id = create(&contexts, &acme, "t").await.id;
    let mut long = String::new();
    for n in 0..200_000 {
        let _ = write!(long, "{n} \u{1f600}\r\n");
    }
    let said = ["cafe\u{301}", " \t\u{1}\u{feff}", "'; DROP TABLE messages; --", &long[..2_097_152]];

    append(&contexts, &acme, id, &said).await;

    assert_eq!(texts(&contexts.range(&acme, id, 1..=4).await.expect("all")), said);
}

pub(super) async fn sizes_are_those_of_the_texts(contexts: impl Contexts + Summaries) {
    let acme = scope("acme");
    let id = create(&contexts, &acme, "t").await.id;
    append(&contexts, &acme, id, &["one two", "…"]).await;

    let sizes = contexts.measure(&acme, id, &[1..=1, 2..=2]).await.expect("sizes");

    let of = |tokens, bytes| Measure { messages: 1, tokens, bytes };
    assert_eq!(sizes, [of(2, 7), of(0, 3)]);
}
