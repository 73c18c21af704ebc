//! Contexts: stored, listed, changed, deleted.

use super::*;

pub(super) async fn a_context_is_read_back_as_it_was_stored(contexts: impl Contexts) {
    let acme = scope("acme");
    let value = prost_types::Value { kind: Some(prost_types::value::Kind::NumberValue(0.1)) };
    let data = prost_types::Struct { fields: [("number".to_owned(), value)].into() };
    let fields = Fields {
        kind: "chat".to_owned(),
        title: "Überall \u{1f600} \"'--;".to_owned(),
        description: "two\nlines".to_owned(),
        tags: vec!["b".to_owned(), "a,\"]".to_owned()],
        data: Data::of(Some(&data)).expect("within the bounds"),
        expires: Some(time(1_000)),
    };

    let stored = contexts.create(&acme, &at(7), id(), fields.clone()).await.expect("stored");

    assert_eq!(contexts.get(&acme, stored.id).await.expect("read back"), stored);
    assert_eq!((stored.version, stored.message_count), (1, 0));
    assert_eq!((stored.created, stored.updated), (time(7), time(7)));
    assert_eq!(stored.fields, fields);
}

pub(super) async fn a_context_is_unknown_to_every_other_tenant(contexts: impl Contexts) {
    let (acme, globex) = (scope("acme"), scope("globex"));
    let id = create(&contexts, &acme, "ours").await.id;
    append(&contexts, &acme, id, &["secret"]).await;

    absent(contexts.get(&globex, id).await);
    absent(
        contexts.update(&globex, &at(9), target(id), Fields::default(), Mask::of(None).expect("mask")).await,
    );
    absent(contexts.append(&globex, &at(9), id, said(&["x"])).await);
    absent(contexts.messages(&globex, id, 0, ALL).await);
    absent(contexts.delete(&globex, &at(9), target(id)).await);
    assert_eq!(contexts.range(&globex, id, 1..=1).await.expect("nothing"), []);
    assert_eq!(contexts.list(&globex, &Query::default(), None, ALL).await.expect("nothing").rows, []);
    assert_eq!(contexts.get(&acme, id).await.expect("still there").message_count, 1);
}

pub(super) async fn an_id_never_given_out_is_unknown(contexts: impl Contexts) {
    let acme = scope("acme");
    absent(contexts.get(&acme, id()).await);
    absent(contexts.messages(&acme, id(), 0, ALL).await);
    absent(contexts.append(&acme, &at(1), id(), said(&["x"])).await);
    absent(contexts.delete(&acme, &at(1), target(id())).await);
}

pub(super) async fn a_list_begins_with_the_newest_and_pages_through_all(contexts: impl Contexts) {
    let acme = scope("acme");
    for now in [3, 1, 5, 2, 4] {
        contexts.create(&acme, &at(now), id(), titled("t")).await.expect("stored");
    }

    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page =
            contexts.list(&acme, &Query::default(), after, Limit { rows: 2, ..ALL }).await.expect("a page");
        after = page.rows.last().map(|last| last.place(Order::default()));
        listed.extend(page.rows.iter().map(|context| context.created));
        if !page.more {
            break;
        }
    }

    assert_eq!(listed, [5, 4, 3, 2, 1].map(time));
}

pub(super) async fn contexts_of_one_millisecond_are_told_apart(contexts: impl Contexts) {
    let acme = scope("acme");
    let mut ids = HashSet::new();
    for _ in 0..7 {
        ids.insert(contexts.create(&acme, &at(1), id(), titled("t")).await.expect("stored").id);
    }

    let mut listed = Vec::new();
    let mut after = None;
    while listed.len() < 7 {
        let page =
            contexts.list(&acme, &Query::default(), after, Limit { rows: 3, ..ALL }).await.expect("a page");
        after = page.rows.last().map(|last| last.place(Order::default()));
        listed.extend(page.rows.iter().map(|context| context.id));
    }

    assert!(listed.is_sorted_by(|a, b| a > b), "{listed:?}");
    assert_eq!(listed.into_iter().collect::<HashSet<_>>(), ids);
}

pub(super) async fn a_list_page_ends_before_its_bytes(contexts: impl Contexts) {
    let acme = scope("acme");
    for _ in 0..4 {
        create(&contexts, &acme, &"t".repeat(100)).await;
    }

    let page =
        contexts.list(&acme, &Query::default(), None, Limit { rows: 200, bytes: 250 }).await.expect("a page");

    assert_eq!((page.rows.len(), page.more), (2, true));
}

pub(super) async fn an_update_takes_over_what_the_mask_names(contexts: impl Contexts) {
    let acme = scope("acme");
    let fields = Fields { tags: vec!["kept".to_owned()], ..titled("old") };
    let stored = contexts.create(&acme, &at(1), id(), fields).await.expect("stored");

    let changed =
        contexts.update(&acme, &at(2), read(&stored), titled("new"), mask("title")).await.expect("changed");

    assert_eq!(changed.fields, Fields { tags: vec!["kept".to_owned()], ..titled("new") });
    assert_eq!((changed.created, changed.updated), (time(1), time(2)));
    assert_ne!(etag(changed.id, changed.version), etag(stored.id, stored.version));
    assert_eq!(contexts.get(&acme, stored.id).await.expect("read back"), changed);
}

pub(super) async fn an_update_with_an_old_etag_changes_nothing(contexts: impl Contexts) {
    let acme = scope("acme");
    let stored = create(&contexts, &acme, "first").await;
    let changed = contexts
        .update(&acme, &at(8), target(stored.id), titled("second"), mask("title"))
        .await
        .expect("changed");

    let refused = contexts.update(&acme, &at(9), read(&stored), titled("third"), mask("title")).await;

    assert!(matches!(refused, Err(ContextsError::EtagMismatch)), "{refused:?}");
    assert_eq!(contexts.get(&acme, stored.id).await.expect("read back"), changed);
}

pub(super) async fn of_two_updates_with_one_etag_one_wins(contexts: impl Contexts) {
    let acme = scope("acme");
    let stored = create(&contexts, &acme, "first").await;
    let now = at(9);

    let update = |title| contexts.update(&acme, &now, read(&stored), titled(title), mask("title"));
    let results = join_all(["a", "b", "c", "d"].map(update)).await;

    let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 3));
    assert!(lost.iter().all(|lost| matches!(lost, Err(ContextsError::EtagMismatch))), "{lost:?}");
}

pub(super) async fn a_deleted_context_is_gone_with_its_messages(contexts: impl Contexts) {
    let acme = scope("acme");
    let id = create(&contexts, &acme, "t").await.id;
    append(&contexts, &acme, id, &["one", "two"]).await;

    contexts.delete(&acme, &at(9), target(id)).await.expect("deleted");

    absent(contexts.get(&acme, id).await);
    absent(contexts.messages(&acme, id, 0, ALL).await);
    assert_eq!(contexts.range(&acme, id, 1..=2).await.expect("nothing"), []);
    assert_eq!(contexts.list(&acme, &Query::default(), None, ALL).await.expect("nothing").rows, []);
    absent(contexts.delete(&acme, &at(9), target(id)).await);
}

pub(super) async fn a_delete_with_an_old_etag_changes_nothing(contexts: impl Contexts) {
    let acme = scope("acme");
    let stored = create(&contexts, &acme, "t").await;
    append(&contexts, &acme, stored.id, &["said since"]).await;

    let refused = contexts.delete(&acme, &at(9), read(&stored)).await;

    assert!(matches!(refused, Err(ContextsError::EtagMismatch)), "{refused:?}");
    let now = contexts.get(&acme, stored.id).await.expect("still there");
    contexts.delete(&acme, &at(9), read(&now)).await.expect("deleted");
}
