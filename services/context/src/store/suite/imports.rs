//! Imports: staged, then shown all at once.

use super::*;

pub(super) async fn what_is_staged_is_not_seen_until_it_is_published(contexts: impl Contexts) {
    let acme = scope("acme");
    let (stage, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let ids = [id(), id()];
    for id in ids {
        contexts.stage(&acme, time(5), stage, id, titled("staged quince")).await.expect("staged");
        contexts.stage_messages(&acme, time(5), stage, id, said(&["a quince"])).await.expect("staged");
    }
    absent(contexts.stage_messages(&acme, time(5), other, ids[0], said(&["x"])).await);
    let quince = Search { query: "quince".to_owned(), filter: Default::default(), context: None };

    absent(contexts.get(&acme, ids[0]).await);
    absent(contexts.append(&acme, &at(6), ids[0], said(&["x"])).await);
    absent(contexts.delete(&acme, &at(6), target(ids[0])).await);
    assert_eq!(contexts.list(&acme, &Query::default(), None, ALL).await.expect("listed").rows, []);
    assert!(contexts.search(&acme, &quince, 9, None).await.expect("searched").hits.is_empty());
    assert!(!contexts.sweep(&acme).await.expect("nothing to sweep"));

    let imported = Imported { contexts: ids.map(|id| (id.to_string(), id)).into(), messages: 2 };
    let write = once(1, "alice", "ImportContexts", 1);
    let published = contexts.publish(&acme, &write, stage, imported.clone()).await.expect("published");
    assert_eq!(published, imported);
    assert_eq!(contexts.list(&acme, &Query::default(), None, ALL).await.expect("listed").rows.len(), 2);
    assert_eq!(contexts.messages(&acme, ids[1], 0, ALL).await.expect("there").rows.len(), 1);
    assert_eq!(contexts.search(&acme, &quince, 9, None).await.expect("searched").hits.len(), 4);

    let again = Imported { contexts: Vec::new(), messages: 0 };
    assert_eq!(contexts.publish(&acme, &write, other, again).await.expect("again"), imported);
}

pub(super) async fn what_is_given_up_is_swept(contexts: impl Contexts) {
    let acme = scope("acme");
    let (stage, id) = (Uuid::from_u128(1), id());
    contexts.stage(&acme, time(5), stage, id, titled("t")).await.expect("staged");
    contexts.stage_messages(&acme, time(5), stage, id, said(&["a"])).await.expect("staged");

    contexts.unstage(&acme, stage).await.expect("given up");
    while contexts.sweep(&acme).await.expect("swept") {}

    // Its ID is free again: nothing is left of it.
    contexts.create(&acme, &at(6), id, titled("u")).await.expect("stored");
    append(&contexts, &acme, id, &["b"]).await;
}
