//! Repeats: one request ID, one write, one answer.

use super::*;
use std::time::Duration;

pub(super) async fn a_repeat_gets_the_first_answer(contexts: impl Contexts) {
    let acme = scope("acme");
    let write = once(1, "alice", "CreateContext", 1);
    let first = contexts.create(&acme, &write, id(), titled("t")).await.expect("stored");
    let said_once = once(1, "alice", "AppendMessages", 1);
    let heads = contexts.append(&acme, &said_once, first.id, said(&["a"])).await.expect("appended");
    let change = once(1, "alice", "UpdateContext", 1);
    let changed =
        contexts.update(&acme, &change, target(first.id), titled("u"), mask("title")).await.expect("changed");
    let end = once(1, "alice", "DeleteContext", 1);
    contexts.delete(&acme, &end, target(first.id)).await.expect("deleted");

    // All of them again, though the context is gone.
    assert_eq!(contexts.create(&acme, &write, id(), titled("t")).await.expect("again"), first);
    assert_eq!(contexts.append(&acme, &said_once, first.id, said(&["a"])).await.expect("again"), heads);
    let again = contexts.update(&acme, &change, target(first.id), titled("u"), mask("title")).await;
    assert_eq!(again.expect("again"), changed);
    contexts.delete(&acme, &end, target(first.id)).await.expect("again");
    absent(contexts.get(&acme, first.id).await);
}

pub(super) async fn a_request_id_with_another_body_is_refused(contexts: impl Contexts) {
    let acme = scope("acme");
    let first = once(1, "alice", "CreateContext", 1);
    contexts.create(&acme, &first, id(), titled("t")).await.expect("stored");

    let refused = contexts.create(&acme, &once(1, "alice", "CreateContext", 2), id(), titled("u")).await;

    assert!(matches!(refused, Err(ContextsError::RequestIdReused)), "{refused:?}");
    assert_eq!(contexts.list(&acme, &Query::default(), None, ALL).await.expect("listed").rows.len(), 1);
}

pub(super) async fn request_ids_are_scoped(contexts: impl Contexts) {
    let (acme, globex) = (scope("acme"), scope("globex"));
    let first = once(1, "alice", "CreateContext", 1);
    let stored = contexts.create(&acme, &first, id(), titled("t")).await.expect("stored");

    // Another user, another method, another tenant: other bodies, and no refusal.
    let bob = once(1, "bob", "CreateContext", 2);
    contexts.create(&acme, &bob, id(), titled("u")).await.expect("stored");
    let append = once(1, "alice", "AppendMessages", 2);
    contexts.append(&acme, &append, stored.id, said(&["x"])).await.expect("appended");
    let elsewhere = once(1, "alice", "CreateContext", 2);
    contexts.create(&globex, &elsewhere, id(), titled("v")).await.expect("stored");

    assert_eq!(contexts.list(&acme, &Query::default(), None, ALL).await.expect("listed").rows.len(), 2);
}

pub(super) async fn a_request_id_is_forgotten_after_a_day(contexts: impl Contexts) {
    let acme = scope("acme");
    let first = once(1, "alice", "CreateContext", 1);
    contexts.create(&acme, &first, id(), titled("t")).await.expect("stored");
    let later = |body, after: Duration| Write {
        now: first.now.plus(after),
        ..once(1, "alice", "CreateContext", body)
    };

    let within = later(2, REMEMBERED - Duration::from_millis(1));
    let refused = contexts.create(&acme, &within, id(), titled("u")).await;
    assert!(matches!(refused, Err(ContextsError::RequestIdReused)), "{refused:?}");

    let beyond = later(2, REMEMBERED);
    let stored = contexts.create(&acme, &beyond, id(), titled("u")).await.expect("stored");
    let again = contexts.create(&acme, &beyond, id(), titled("u")).await.expect("again");
    assert_eq!(stored, again);
    assert_eq!(stored.fields.title, "u");
}

pub(super) async fn requests_at_once_under_one_id_write_once(contexts: impl Contexts) {
    let acme = scope("acme");
    let into = create(&contexts, &acme, "t").await.id;
    let append = once(1, "alice", "AppendMessages", 1);
    let create = once(1, "alice", "CreateContext", 1);

    let (appended, created) = tokio::join!(
        join_all((0..8).map(|_| contexts.append(&acme, &append, into, said(&["a", "b"])))),
        join_all((0..8).map(|_| contexts.create(&acme, &create, id(), titled("u")))),
    );

    let appended: Vec<_> = appended.into_iter().map(|answer| answer.expect("an answer")).collect();
    assert!(appended.iter().all(|answer| *answer == appended[0]), "{appended:?}");
    let created: Vec<_> = created.into_iter().map(|answer| answer.expect("an answer")).collect();
    assert!(created.iter().all(|answer| *answer == created[0]), "{created:?}");
    assert_eq!(contexts.get(&acme, into).await.expect("read").message_count, 2);
    assert_eq!(contexts.list(&acme, &Query::default(), None, ALL).await.expect("listed").rows.len(), 2);
}

pub(super) async fn a_refused_write_is_not_remembered(contexts: impl Contexts) {
    let acme = scope("acme");
    let stored = create(&contexts, &acme, "t").await;
    let stale = Target { id: stored.id, etag: Some("stale".to_owned()) };
    let write = once(9, "alice", "DeleteContext", 1);
    let refused = contexts.delete(&acme, &write, stale).await;
    assert!(matches!(refused, Err(ContextsError::EtagMismatch)), "{refused:?}");

    let corrected = once(9, "alice", "DeleteContext", 2);
    contexts.delete(&acme, &corrected, read(&stored)).await.expect("deleted");
}
