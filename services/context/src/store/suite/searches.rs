//! What is said, found by its words.

use super::*;
use crate::filter::Filter;

fn words(query: &str) -> Search {
    Search { query: query.to_owned(), filter: Filter::default(), context: None }
}

async fn found(
    contexts: &impl Contexts,
    scope: &TenantScope,
    search: &Search,
) -> Vec<(ContextId, Option<u64>)> {
    let found = contexts.search(scope, search, 50, None).await.expect("searched");
    assert!(!found.truncated && found.next.is_none());
    found.hits.into_iter().map(|hit| (hit.context.id, hit.message)).collect()
}

pub(super) async fn words_are_found_where_they_were_said(contexts: impl Contexts) {
    let acme = scope("acme");
    assert_eq!(found(&contexts, &acme, &words("budget")).await, [], "nothing was ever written");
    let plan = create(&contexts, &acme, "The marmalade plan").await.id;
    let other = create(&contexts, &acme, "Weather").await.id;
    append(&contexts, &acme, plan, &["We meet on Monday to talk of oranges.", "Nothing else."]).await;
    append(&contexts, &acme, other, &["It rains."]).await;

    assert_eq!(found(&contexts, &acme, &words("orange")).await, [(plan, Some(1))]);
    assert_eq!(found(&contexts, &acme, &words("marmalade")).await, [(plan, None)]);
    assert_eq!(found(&contexts, &acme, &words("\"meet on monday\"")).await, [(plan, Some(1))]);
    assert_eq!(found(&contexts, &acme, &words("tomatoes")).await, []);

    let hits = contexts.search(&acme, &words("oranges"), 50, None).await.expect("searched").hits;
    let [hit] = hits.as_slice() else { panic!("{hits:?}") };
    assert_eq!(hit.context.fields.title, "The marmalade plan");
    assert_eq!(hit.highlights.iter().map(|run| &hit.snippet[run.clone()]).collect::<Vec<_>>(), ["oranges"]);
}

pub(super) async fn what_was_changed_or_deleted_is_not_found_any_more(contexts: impl Contexts) {
    let acme = scope("acme");
    let id = create(&contexts, &acme, "Cucumbers").await.id;
    append(&contexts, &acme, id, &["Of radishes."]).await;
    contexts.update(&acme, &at(8), target(id), titled("Leeks"), mask("title")).await.expect("changed");

    assert_eq!(found(&contexts, &acme, &words("cucumbers")).await, []);
    assert_eq!(found(&contexts, &acme, &words("leeks")).await, [(id, None)]);
    contexts.delete(&acme, &at(9), target(id)).await.expect("deleted");
    for gone in ["leeks", "radishes"] {
        assert_eq!(found(&contexts, &acme, &words(gone)).await, [], "{gone}");
    }
}

pub(super) async fn a_search_keeps_to_its_filter_and_its_context(contexts: impl Contexts) {
    let acme = scope("acme");
    let chat = Fields { kind: "chat".to_owned(), tags: vec!["x".to_owned()], ..titled("One") };
    let chat = contexts.create(&acme, &at(5), id(), chat).await.expect("stored").id;
    let ticket = Fields { kind: "ticket".to_owned(), ..titled("Two") };
    let ticket = contexts.create(&acme, &at(6), id(), ticket).await.expect("stored").id;
    for id in [chat, ticket] {
        append(&contexts, &acme, id, &["A walnut."]).await;
    }
    let within =
        |filter: &str| Search { filter: Filter::parse(filter).expect("a filter"), ..words("walnut") };

    assert_eq!(found(&contexts, &acme, &words("walnut")).await.len(), 2);
    for (filter, only) in [
        ("type = chat".to_owned(), chat),
        ("type = ticket".to_owned(), ticket),
        ("tags : x".to_owned(), chat),
        (format!("create_time > \"{}\"", time(5)), ticket),
    ] {
        assert_eq!(found(&contexts, &acme, &within(&filter)).await, [(only, Some(1))], "{filter}");
    }
    assert_eq!(found(&contexts, &acme, &within("type = chat AND tags : y")).await, []);
    let here = Search { context: Some(ticket), ..words("walnut") };
    assert_eq!(found(&contexts, &acme, &here).await, [(ticket, Some(1))]);
    let nowhere = Search { context: Some(id()), ..words("walnut") };
    absent(contexts.search(&acme, &nowhere, 5, None).await);
}

pub(super) async fn a_search_pages_through_its_hits(contexts: impl Contexts) {
    let acme = scope("acme");
    let id = create(&contexts, &acme, "t").await.id;
    let said: Vec<String> = (1..=11).map(|n| format!("pear {}", "and so on ".repeat(n))).collect();
    append(&contexts, &acme, id, &said.iter().map(String::as_str).collect::<Vec<_>>()).await;

    let (mut after, mut seen, mut scores) = (None, HashSet::new(), Vec::new());
    loop {
        let page = contexts.search(&acme, &words("pear"), 4, after.as_deref()).await.expect("searched");
        assert!(page.hits.len() <= 4);
        for hit in &page.hits {
            assert!(seen.insert(hit.message), "twice: {hit:?}");
            scores.push(hit.score);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 11);
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
}

pub(super) async fn a_fork_is_found_by_what_it_shares(contexts: impl Contexts) {
    let acme = scope("acme");
    let parent = create(&contexts, &acme, "t").await.id;
    append(&contexts, &acme, parent, &["A hedgehog.", "A badger."]).await;
    let source = Source { id: parent, count: Some(1) };
    let child = contexts.fork(&acme, &at(7), source, id(), Some(titled("u"))).await.expect("forked").id;

    assert_eq!(found(&contexts, &acme, &words("hedgehog")).await, [(parent, Some(1))]);
    let in_child = |query| Search { context: Some(child), ..words(query) };
    assert_eq!(found(&contexts, &acme, &in_child("hedgehog")).await, [(child, Some(1))]);
    assert_eq!(found(&contexts, &acme, &in_child("badger")).await, []);

    contexts.delete(&acme, &at(9), target(parent)).await.expect("deleted");
    assert_eq!(found(&contexts, &acme, &words("hedgehog")).await, [(child, Some(1))]);
    assert_eq!(found(&contexts, &acme, &words("badger")).await, []);
}

pub(super) async fn another_tenants_words_are_not_found(contexts: impl Contexts) {
    let (acme, globex) = (scope("acme"), scope("globex"));
    let id = create(&contexts, &acme, "Marzipan").await.id;
    create(&contexts, &globex, "Other").await;
    append(&contexts, &acme, id, &["Of nougat."]).await;

    assert_eq!(found(&contexts, &globex, &words("marzipan nougat")).await, []);
    absent(contexts.search(&globex, &Search { context: Some(id), ..words("nougat") }, 5, None).await);
}
