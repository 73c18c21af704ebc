//! What is found by what, on both engines.

use super::*;

on_both_engines! {
    words_are_found_in_every_form_and_language_at_once
    phrases_prefixes_and_what_must_or_must_not_be_there
    a_title_says_more_than_a_text
    a_search_is_narrowed_by_collection_facets_and_time
    pages_follow_on_one_another
    a_search_that_would_read_too_much_says_that_it_did_not
    another_key_finds_nothing_and_is_told_so
    the_rows_say_no_word_no_frequency_and_no_number_of_terms
    a_document_put_again_is_found_by_what_it_says_now
    a_collection_is_removed_in_portions
    the_tables_are_as_declared
    writers_of_one_tenant_get_numbers_of_their_own
}

async fn words_are_found_in_every_form_and_language_at_once(house: House) {
    let shelf = Shelf::new(&house).await;
    let (index, mut tx) = (&shelf.index, shelf.tx().await);
    for (name, text) in [
        (
            "en",
            "The committee postponed the meetings until the reports had been written and approved by everybody.",
        ),
        (
            "de",
            "Der Ausschuss hat die Sitzungen verschoben, bis die Berichte geschrieben und von allen gebilligt sind.",
        ),
        (
            "fr",
            "Le comité a reporté les réunions jusqu'à ce que les rapports soient rédigés et approuvés par tous.",
        ),
        ("ru", "Комитет отложил заседания до тех пор, пока отчёты не будут написаны и одобрены всеми."),
        ("ja", "委員会は、報告書が書かれて承認されるまで会議を延期しました。"),
        ("th", "คณะกรรมการเลื่อนการประชุมจนกว่ารายงานจะเสร็จ"),
        ("ko", "위원회는 보고서가 작성될 때까지 회의를 연기했다."),
    ] {
        put(index, &mut tx, name, text).await;
    }
    for (query, name) in [
        ("meeting", "en"),
        ("APPROVING", "en"),
        ("Sitzung", "de"),
        ("Bericht", "de"),
        ("réunion", "fr"),
        ("reunion", "fr"),
        ("отчет", "ru"),
        ("заседание", "ru"),
        ("会議", "ja"),
        ("書", "ja"),
        ("ประชุม", "th"),
        ("보고서를", "ko"),
    ] {
        assert_eq!(find(index, &mut tx, query).await.first().map(String::as_str), Some(name), "{query}");
    }
    let both = find(index, &mut tx, "meeting Sitzung").await;
    assert_eq!(both.len(), 2, "{both:?}");
}

async fn phrases_prefixes_and_what_must_or_must_not_be_there(house: House) {
    let shelf = Shelf::new(&house).await;
    let (index, mut tx) = (&shelf.index, shelf.tx().await);
    put(index, &mut tx, "together", "We wrote the annual budget plan together.").await;
    put(index, &mut tx, "apart", "The plan is annual, and so is the budget of it.").await;
    put(index, &mut tx, "neither", "Planning the party.").await;
    put_in(index, &mut tx, b"c", "titled", &[(Field::Title, "Planetarium"), (Field::Tags, "stars")]).await;

    assert_eq!(find(index, &mut tx, "\"annual budget\"").await, ["together"]);
    assert_eq!(find(index, &mut tx, "\"budget plans\" annual").await, ["together"]);
    assert_eq!(find(index, &mut tx, "plan -budget").await, ["neither"]);
    assert_eq!(find(index, &mut tx, "plan +party").await, ["neither"]);
    assert_eq!(find(index, &mut tx, "plan -\"annual budget\"").await, ["neither", "apart"]);
    assert_eq!(find(index, &mut tx, "planet*").await, ["titled"]);
    assert_eq!(find(index, &mut tx, "plan*").await.len(), 4, "prefixes of titles, words of texts");
    assert_eq!(find(index, &mut tx, "star*").await, ["titled"]);
    for nothing in ["", "the", "-plan", "pl*", "\"budget annual\"", "nowhere"] {
        assert!(find(index, &mut tx, nothing).await.is_empty(), "{nothing}");
    }
}

async fn a_title_says_more_than_a_text(house: House) {
    let shelf = Shelf::new(&house).await;
    let (index, mut tx) = (&shelf.index, shelf.tx().await);
    put_in(index, &mut tx, b"c", "text", &[(Field::Title, "party cake"), (Field::Text, "budget music")])
        .await;
    put_in(index, &mut tx, b"c", "title", &[(Field::Title, "budget cake"), (Field::Text, "party music")])
        .await;
    assert_eq!(find(index, &mut tx, "budget").await, ["title", "text"]);
}

async fn a_search_is_narrowed_by_collection_facets_and_time(house: House) {
    let shelf = Shelf::new(&house).await;
    let (index, mut tx) = (&shelf.index, shelf.tx().await);
    for (collection, name) in [("a", "1"), ("b", "333"), ("a", "22"), ("b", "4444")] {
        put_in(index, &mut tx, collection.as_bytes(), name, &[(Field::Text, "the same plan")]).await;
    }
    index
        .describe(&mut tx, b"a", &[("type", "note"), ("tag", "red"), ("tag", "blue")])
        .await
        .expect("described");
    index.describe(&mut tx, b"b", &[("type", "note"), ("tag", "red")]).await.expect("described");

    let of = |facets| Narrowing { facets, ..Narrowing::default() };
    assert_eq!(find_in(index, &mut tx, "plan", &of(&[("type", "note")])).await.len(), 4);
    assert_eq!(find_in(index, &mut tx, "plan", &of(&[("tag", "red"), ("tag", "blue")])).await, ["22", "1"]);
    assert!(find_in(index, &mut tx, "plan", &of(&[("tag", "green")])).await.is_empty());
    assert!(find_in(index, &mut tx, "plan", &of(&[("type", "red")])).await.is_empty());
    let between = Narrowing { made_from: Some(2), made_until: Some(4), ..Narrowing::default() };
    assert_eq!(find_in(index, &mut tx, "plan", &between).await, ["22", "333"]);
    let within = Narrowing { collection: Some(b"b"), made_until: Some(4), ..Narrowing::default() };
    assert_eq!(find_in(index, &mut tx, "plan", &within).await, ["333"]);
    let within = Narrowing { collection: Some(b"b"), facets: &[("tag", "blue")], ..Narrowing::default() };
    assert!(find_in(index, &mut tx, "plan", &within).await.is_empty());

    index.describe(&mut tx, b"b", &[("tag", "blue")]).await.expect("described");
    assert_eq!(find_in(index, &mut tx, "plan", &of(&[("tag", "blue")])).await.len(), 4);
}

async fn pages_follow_on_one_another(house: House) {
    let shelf = Shelf::new(&house).await;
    let (index, mut tx) = (&shelf.index, shelf.tx().await);
    for n in 0..25 {
        put(index, &mut tx, &format!("{n:02}"), &format!("plan {}", "filler ".repeat(n % 5))).await;
    }
    let query = Query::parse("plan");
    let all = find(index, &mut tx, "plan").await;
    assert_eq!(all.len(), 25);
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let found = index.search(&mut tx, &query, &Narrowing::default(), 10, after).await.expect("searched");
        paged.extend(names(&found));
        assert!(!found.truncated);
        let Some(next) = found.next else { break };
        after = After::from_bytes(&next.to_bytes());
        assert_eq!(after, Some(next));
    }
    assert_eq!(paged, all);
    assert_eq!(After::from_bytes(&[0; 19]), None);
}

async fn a_search_that_would_read_too_much_says_that_it_did_not(house: House) {
    let shelf = Shelf::with(&house, IndexOptions { postings_max: 10, ..IndexOptions::default() }).await;
    let (index, mut tx) = (&shelf.index, shelf.tx().await);
    put(index, &mut tx, "old", "common rare").await;
    for n in 0..20 {
        put(index, &mut tx, &format!("{n}"), "common word").await;
    }
    let search = async |tx: &mut TenantTx, query| {
        let query = Query::parse(query);
        index.search(tx, &query, &Narrowing::default(), 3, None).await.expect("searched")
    };
    let found = search(&mut tx, "common").await;
    assert!(found.truncated);
    assert_eq!(names(&found), ["19", "18", "17"], "the newest are looked at");
    let found = search(&mut tx, "common rare").await;
    assert_eq!(names(&found)[0], "old", "the rare word comes first, and has room");
    assert!(!search(&mut tx, "rare").await.truncated);
    assert!(search(&mut tx, &"w ".repeat(2_000)).await.truncated);
}

async fn another_key_finds_nothing_and_is_told_so(house: House) {
    let shelf = Shelf::new(&house).await;
    let (index, mut tx) = (&shelf.index, shelf.tx().await);
    put(index, &mut tx, "one", "the plan").await;
    put(index, &mut tx, "two", "the plan").await;
    let other = Index::new(&[8; 32], IndexOptions::default());
    assert!(find(&other, &mut tx, "plan").await.is_empty());
    assert!(other.is_stale(&mut tx).await.expect("asked"));
    assert!(!index.is_stale(&mut tx).await.expect("asked"));

    put(&other, &mut tx, "one", "the plan").await;
    assert_eq!(find(&other, &mut tx, "plan").await, ["one"]);
    assert!(other.is_stale(&mut tx).await.expect("asked"), "the second is still to come");
    put(&other, &mut tx, "two", "the plan").await;
    other.renew(&mut tx).await.expect("renewed");
    assert!(!other.is_stale(&mut tx).await.expect("asked"));
    assert_eq!(find(&other, &mut tx, "plan").await, ["two", "one"]);
    assert!(find(index, &mut tx, "plan").await.is_empty());
}

async fn the_rows_say_no_word_no_frequency_and_no_number_of_terms(house: House) {
    let shelf = Shelf::new(&house).await;
    let (index, mut tx) = (&shelf.index, shelf.tx().await);
    put(index, &mut tx, "once", "zebra crossing").await;
    put(index, &mut tx, "often", &"zebra ".repeat(9)).await;
    put(index, &mut tx, "again", "zebra crossing").await;

    let loads: Vec<(i64,)> = sql("SELECT load FROM search_posting").fetch_all(&mut tx).await.expect("read");
    let distinct: std::collections::HashSet<_> = loads.iter().collect();
    assert_eq!(loads.len(), 24, "eight for each, whatever it says");
    assert!(distinct.len() >= 23, "equal loads look different");
    let rows: Vec<(i64, Vec<u8>)> =
        sql("SELECT doc, terms FROM search_document").fetch_all(&mut tx).await.expect("read");
    assert!(rows.iter().all(|(_, terms)| !terms.windows(5).any(|it| it == b"zebra")));
}

async fn a_document_put_again_is_found_by_what_it_says_now(house: House) {
    let shelf = Shelf::new(&house).await;
    let (index, mut tx) = (&shelf.index, shelf.tx().await);
    put(index, &mut tx, "one", "the old plan").await;
    let before = rows_of(&mut tx).await;
    put(index, &mut tx, "one", "the new budget").await;
    assert_eq!(find(index, &mut tx, "budget").await, ["one"]);
    assert!(find(index, &mut tx, "plan old").await.is_empty());
    put(index, &mut tx, "one", "the old plan").await;
    assert_eq!(rows_of(&mut tx).await, before);
    assert!(index.remove(&mut tx, b"one").await.expect("removed"));
    assert!(!index.remove(&mut tx, b"one").await.expect("removed"));
    assert_eq!(rows_of(&mut tx).await, [0, 0, 0]);
}

async fn a_collection_is_removed_in_portions(house: House) {
    let shelf = Shelf::new(&house).await;
    let (index, mut tx) = (&shelf.index, shelf.tx().await);
    for n in 0..5 {
        put_in(index, &mut tx, b"a", &format!("{n}"), &[(Field::Text, "plan")]).await;
    }
    put_in(index, &mut tx, b"b", "kept", &[(Field::Text, "plan")]).await;
    index.describe(&mut tx, b"a", &[("type", "note")]).await.expect("described");
    assert_eq!(index.remove_collection(&mut tx, b"a", 3).await.expect("removed"), 3);
    assert_eq!(index.remove_collection(&mut tx, b"a", 3).await.expect("removed"), 2);
    assert_eq!(find(index, &mut tx, "plan").await, ["kept"]);
    let (facets,): (i64,) =
        sql("SELECT COUNT(*) FROM search_facet").fetch_one(&mut tx).await.expect("counted");
    assert_eq!(facets, 0);
}

async fn the_tables_are_as_declared(house: House) {
    let shelf = Shelf::new(&house).await;
    assert_eq!(shelf.db.check_tables(&tenant("acme")).await.expect("checked"), Vec::<String>::new());
}

/// On PostgreSQL at once, in one lane and in several; on SQLite one after the other.
async fn writers_of_one_tenant_get_numbers_of_their_own(house: House) {
    let shelf = Shelf::new(&house).await;
    let put_some = async |writer: u8| {
        for n in 0..10 {
            let mut tx = shelf.tx().await;
            let collection = [writer % 3];
            put_in(
                &shelf.index,
                &mut tx,
                &collection,
                &format!("{writer}-{n}"),
                &[(Field::Text, "the plan")],
            )
            .await;
            tx.commit().await.expect("committed");
        }
    };
    futures_util::join!(put_some(0), put_some(1), put_some(2), put_some(3));

    let mut tx = shelf.tx().await;
    let found = find(&shelf.index, &mut tx, "plan").await;
    assert_eq!(found.len(), 40);
    let newest = found.iter().position(|it| it.ends_with("-9")).expect("found");
    let oldest = found.iter().position(|it| it.ends_with("-0")).expect("found");
    assert!(newest < oldest, "of equals the newer come first: {found:?}");
    assert_eq!(rows_of(&mut tx).await, [40, 320, 80]);
}
