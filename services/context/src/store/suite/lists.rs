//! Lists: filtered, ordered, in pages.

use super::*;
use crate::filter::{Filter, Order};

fn query(filter: &str, order: &str) -> Query {
    Query { filter: Filter::parse(filter).expect("a filter"), order: Order::parse(order).expect("an order") }
}

async fn listed(contexts: &impl Contexts, scope: &TenantScope, query: &Query) -> Vec<String> {
    let page = contexts.list(scope, query, None, ALL).await.expect("a page");
    page.rows.into_iter().map(|context| context.fields.title).collect()
}

/// Three contexts, stored one second after the other.
async fn three(contexts: &impl Contexts, scope: &TenantScope) -> Vec<Context> {
    let mut stored = Vec::new();
    for (second, (title, kind, tags)) in [
        (1, ("a", "chat", vec!["red", "big"])),
        (2, ("b", "ticket", vec!["red"])),
        (3, ("c", "chat", vec![])),
    ] {
        let fields = Fields {
            kind: kind.to_owned(),
            tags: tags.into_iter().map(str::to_owned).collect(),
            ..titled(title)
        };
        stored.push(contexts.create(scope, &at(second), id(), fields).await.expect("stored"));
    }
    stored
}

pub(super) async fn a_filter_lets_through_what_it_says(contexts: impl Contexts) {
    let acme = scope("acme");
    three(&contexts, &acme).await;
    let moment = time(2);

    for (filter, expected) in [
        (String::new(), vec!["c", "b", "a"]),
        ("type = chat".to_owned(), vec!["c", "a"]),
        ("tags : red".to_owned(), vec!["b", "a"]),
        ("tags : red AND tags : big".to_owned(), vec!["a"]),
        ("tags : red AND type = chat".to_owned(), vec!["a"]),
        ("tags : blue".to_owned(), vec![]),
        (format!("create_time > \"{moment}\""), vec!["c"]),
        (format!("create_time <= \"{moment}\""), vec!["b", "a"]),
        (format!("update_time >= \"{moment}\" AND create_time < \"{}\"", time(3)), vec!["b"]),
        (format!("expire_time < \"{moment}\""), vec![]),
    ] {
        assert_eq!(listed(&contexts, &acme, &query(&filter, "")).await, expected, "{filter}");
    }
}

pub(super) async fn a_list_is_ordered_as_it_is_asked(contexts: impl Contexts) {
    let acme = scope("acme");
    let stored = three(&contexts, &acme).await;
    // The oldest was changed last.
    append(&contexts, &acme, stored[0].id, &["x"]).await;

    for (order, expected) in [
        ("create_time", ["a", "b", "c"]),
        ("create_time desc", ["c", "b", "a"]),
        ("update_time", ["b", "c", "a"]),
        ("update_time desc", ["a", "c", "b"]),
    ] {
        assert_eq!(listed(&contexts, &acme, &query("", order)).await, expected, "{order}");
    }
    assert_eq!(listed(&contexts, &acme, &query("type = chat", "update_time desc")).await, ["a", "c"]);
}

pub(super) async fn several_are_got_together_or_none(contexts: impl Contexts) {
    let acme = scope("acme");
    let stored = three(&contexts, &acme).await;
    let ids: Vec<_> = [2, 0, 1].map(|at: usize| stored[at].id).into();

    let got = contexts.many(&acme, &ids).await.expect("all there");

    assert_eq!(got.iter().map(|context| context.id).collect::<Vec<_>>(), ids);
    absent(contexts.many(&acme, &[stored[0].id, id()]).await);
    absent(contexts.many(&scope("globex"), &ids).await);
}

pub(super) async fn every_page_of_a_long_list_is_as_long_and_none_comes_twice(contexts: impl Contexts) {
    let acme = scope("acme");
    for second in 0..25 {
        contexts.create(&acme, &at(second / 3), id(), titled("t")).await.expect("stored");
    }
    for order in ["create_time", "create_time desc", "update_time", "update_time desc"] {
        let query = query("", order);
        let (mut after, mut pages, mut seen) = (None, 0, HashSet::new());
        loop {
            let page = contexts.list(&acme, &query, after, Limit { rows: 4, ..ALL }).await.expect("a page");
            after = page.rows.last().map(|last| last.place(query.order));
            assert!(page.rows.iter().all(|context| seen.insert(context.id)), "{order}: twice");
            pages += 1;
            if !page.more {
                break;
            }
            assert_eq!(page.rows.len(), 4);
        }
        assert_eq!((pages, seen.len()), (7, 25), "{order}");
    }
}
