//! What happened to a context, and what it was.

use super::*;

async fn retitle(contexts: &impl Contexts, scope: &TenantScope, id: ContextId, title: &str) -> Context {
    contexts.update(scope, &at(8), target(id), titled(title), mask("title")).await.expect("changed")
}

fn told(changes: &[Change]) -> Vec<(u64, String)> {
    let told = |change: &Change| match &change.event {
        Event::Updated(context) => (change.version, format!("is {}", context.fields.title)),
        Event::Appended(messages) => (change.version, texts(messages).join(",")),
    };
    changes.iter().map(told).collect()
}

pub(super) async fn changes_are_told_in_order_without_a_gap(contexts: impl Contexts) {
    let acme = scope("acme");
    let id = create(&contexts, &acme, "t").await.id;
    append(&contexts, &acme, id, &["a", "b"]).await;
    retitle(&contexts, &acme, id, "u").await;
    append(&contexts, &acme, id, &["c"]).await;

    let changes = contexts.changes(&acme, id, 0, ALL).await.expect("changes");
    let all = [(1, "is t"), (2, "a,b"), (3, "is u"), (4, "c")].map(|(at, told)| (at, told.to_owned()));
    assert_eq!(told(&changes), all);
    let rest = contexts.changes(&acme, id, 2, ALL).await.expect("changes");
    assert_eq!(told(&rest), all[2..]);
    assert_eq!(contexts.changes(&acme, id, 4, ALL).await.expect("changes"), []);

    let ahead = contexts.changes(&acme, id, 5, ALL).await;
    assert!(matches!(ahead, Err(ContextsError::VersionOutOfRange)), "{ahead:?}");
    absent(contexts.changes(&scope("globex"), id, 0, ALL).await);
    contexts.delete(&acme, &at(9), target(id)).await.expect("deleted");
    absent(contexts.changes(&acme, id, 4, ALL).await);
}

pub(super) async fn changes_are_read_in_pieces(contexts: impl Contexts) {
    let acme = scope("acme");
    let id = create(&contexts, &acme, "t").await.id;
    for text in ["12345", "1234567", "1"] {
        append(&contexts, &acme, id, &[text]).await;
    }

    let two = contexts.changes(&acme, id, 0, Limit { rows: 2, ..ALL }).await.expect("changes");
    assert_eq!(two.len(), 2);
    let narrow = contexts.changes(&acme, id, 1, Limit { bytes: 10, ..ALL }).await.expect("changes");
    assert_eq!(told(&narrow), [(2, "12345".to_owned())]);

    // One that is too long by itself comes without what is too long in it.
    append(&contexts, &acme, id, &["123", "12345678901", "12"]).await;
    let last = contexts.changes(&acme, id, 4, Limit { bytes: 10, ..ALL }).await.expect("changes");
    assert_eq!(told(&last), [(5, "123,,12".to_owned())]);
}

pub(super) async fn what_was_forgotten_is_refused_and_not_left_out(contexts: impl Contexts) {
    let acme = scope("acme");
    let id = create(&contexts, &acme, "t").await.id;
    for n in 0..105 {
        retitle(&contexts, &acme, id, &format!("{n}")).await;
    }

    let forgotten = contexts.changes(&acme, id, 0, ALL).await;
    assert!(matches!(forgotten, Err(ContextsError::VersionOutOfRange)), "{forgotten:?}");
    let forgotten = contexts.changes(&acme, id, 5, ALL).await;
    assert!(matches!(forgotten, Err(ContextsError::VersionOutOfRange)), "{forgotten:?}");
    let kept = contexts.changes(&acme, id, 6, ALL).await.expect("kept");
    assert_eq!((kept.len(), kept[0].version, kept[99].version), (100, 7, 106));
}

pub(super) async fn an_old_version_is_read_as_it_was(contexts: impl Contexts) {
    let acme = scope("acme");
    let first = create(&contexts, &acme, "t").await;
    append(&contexts, &acme, first.id, &["a b"]).await;
    let second = retitle(&contexts, &acme, first.id, "u").await;
    append(&contexts, &acme, first.id, &["c"]).await;

    assert_eq!(contexts.at(&acme, first.id, 1).await.expect("kept"), first);
    assert_eq!(contexts.at(&acme, first.id, 3).await.expect("kept"), second);
    assert_eq!((second.message_count, second.tokens), (1, 2));
    for other in [0, 2, 4, 5] {
        absent(contexts.at(&acme, first.id, other).await);
    }
    absent(contexts.at(&scope("globex"), first.id, 1).await);
}

pub(super) async fn only_the_newest_revisions_are_kept(contexts: impl Contexts) {
    let acme = scope("acme");
    let id = create(&contexts, &acme, "t").await.id;
    for n in 0..105 {
        retitle(&contexts, &acme, id, &format!("{n}")).await;
    }

    let (mut before, mut versions) = (None, Vec::new());
    loop {
        let page = contexts.revisions(&acme, id, before, Limit { rows: 30, ..ALL }).await.expect("a page");
        versions.extend(page.rows.iter().map(|revision| revision.version));
        before = versions.last().copied();
        if !page.more {
            break;
        }
    }
    assert_eq!(versions, (7..=106).rev().collect::<Vec<_>>());
    absent(contexts.revisions(&scope("globex"), id, None, ALL).await);
}
