//! What has ended, and the sweeper.

use std::time::Duration;

use super::*;

fn ending(seconds: i64) -> Fields {
    Fields { expires: Some(time(seconds)), ..titled("a gooseberry") }
}

pub(super) async fn what_has_ended_is_gone_at_once_and_its_rows_soon_after(fresh: &Fresh) {
    let (contexts, acme) = (&fresh.contexts, scope("acme"));
    let id = contexts.create(&acme, &at(10), id(), ending(20)).await.expect("stored").id;
    let stays = create(contexts, &acme, "stays").await.id;
    append(contexts, &acme, id, &["gooseberries"]).await;
    fresh.clock.set(time(19));
    assert_eq!(contexts.get(&acme, id).await.expect("there").fields.expires, Some(time(20)));
    assert!(!contexts.sweep(&acme).await.expect("nothing to sweep"));

    fresh.clock.set(time(20));
    let gooseberry = Search { query: "gooseberry".to_owned(), filter: Default::default(), context: None };
    absent(contexts.get(&acme, id).await);
    absent(contexts.at(&acme, id, 1).await);
    absent(contexts.messages(&acme, id, 0, ALL).await);
    absent(contexts.changes(&acme, id, 0, ALL).await);
    absent(contexts.append(&acme, &at(20), id, said(&["x"])).await);
    absent(contexts.update(&acme, &at(20), target(id), titled("x"), mask("title")).await);
    assert_eq!(contexts.range(&acme, id, 1..=1).await.expect("nothing"), []);
    let listed = contexts.list(&acme, &Query::default(), None, ALL).await.expect("listed").rows;
    assert_eq!(listed.iter().map(|context| context.id).collect::<Vec<_>>(), [stays]);
    assert!(contexts.search(&acme, &gooseberry, 9, None).await.expect("searched").hits.is_empty());

    while contexts.sweep(&acme).await.expect("swept") {}
    // Back in time it would be found, were it still there.
    fresh.clock.set(time(19));
    absent(contexts.get(&acme, id).await);
    assert!(contexts.get(&acme, stays).await.is_ok());
}

pub(super) async fn a_long_context_is_removed_bit_by_bit(fresh: &Fresh) {
    let (contexts, acme) = (&fresh.contexts, scope("acme"));
    let id = create(contexts, &acme, "t").await.id;
    for _ in 0..8 {
        append(contexts, &acme, id, &vec!["x"; 100]).await;
    }
    contexts.delete(&acme, &at(9), target(id)).await.expect("deleted");
    absent(contexts.get(&acme, id).await);

    let mut rounds = 0;
    while contexts.sweep(&acme).await.expect("swept") {
        rounds += 1;
    }
    assert!(rounds >= 1, "more than one round removes");
    assert!(!contexts.sweep(&acme).await.expect("swept"), "and nothing is left");
}

pub(super) async fn an_end_can_be_put_off(fresh: &Fresh) {
    let (contexts, acme) = (&fresh.contexts, scope("acme"));
    let id = contexts.create(&acme, &at(10), id(), ending(20)).await.expect("stored").id;
    contexts.update(&acme, &at(11), target(id), ending(30), mask("expire_time")).await.expect("put off");
    fresh.clock.set(time(25));
    assert!(contexts.get(&acme, id).await.is_ok());
    contexts.update(&acme, &at(26), target(id), titled("t"), mask("ttl")).await.expect("for good");
    fresh.clock.advance(Duration::from_secs(1_000_000));
    while contexts.sweep(&acme).await.expect("swept") {}
    assert_eq!(contexts.get(&acme, id).await.expect("there").fields.expires, None);
}
