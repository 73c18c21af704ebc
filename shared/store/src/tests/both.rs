//! What callers may count on, whichever engine keeps the rows.

use futures_util::TryStreamExt as _;

use super::{
    house::{NOTES, PLATFORM, TAGS, insert},
    *,
};

on_both_engines! {
    a_tenant_sees_its_own_rows_and_no_others
    a_tenant_that_never_wrote_reads_nothing
    who_reads_cannot_write
    what_is_dropped_without_a_commit_leaves_no_trace
    a_call_that_is_cut_off_leaves_no_trace_and_no_lock
    a_reader_waits_for_no_writer_and_sees_one_moment
    writers_of_one_tenant_who_lock_lose_nothing
    values_come_back_as_they_went
    a_column_of_another_type_is_an_error_and_no_value
    whoever_has_enough_rows_may_go_on_with_the_transaction
    a_conflict_that_is_expected_is_no_error
    a_new_migration_leaves_what_the_version_before_needs
    a_migration_that_was_edited_is_refused
    a_migration_that_fails_leaves_all_as_it_was
    migrations_are_numbered_from_one_without_gaps
    a_service_without_platform_tables_has_no_rows_there
}

async fn a_tenant_sees_its_own_rows_and_no_others(house: House) {
    let db = house.open().await;
    put(&db, &tenant("acme"), "acme's plan").await;
    put(&db, &tenant("globex"), "globex' plan").await;
    let mut tx = db.platform(&platform()).await.expect("platform");
    insert(&mut tx, "nobody's plan").await;
    tx.commit().await.expect("committed");

    assert_eq!(notes(&db, &tenant("acme")).await, ["acme's plan"]);
    assert_eq!(notes(&db, &tenant("globex")).await, ["globex' plan"]);
    assert_eq!(select(&mut db.read_platform(&platform()).await.expect("read")).await, ["nobody's plan"]);

    let mut tx = db.within(&tenant("acme")).await.expect("within");
    let all = sql("UPDATE note SET text = 'acme''s now'").execute(&mut tx).await.expect("updated");
    assert_eq!(all, 1, "all rows are the tenant's rows");
    tx.commit().await.expect("committed");
    assert_eq!(notes(&db, &tenant("globex")).await, ["globex' plan"]);
}

async fn a_tenant_that_never_wrote_reads_nothing(house: House) {
    let db = house.open().await;
    assert!(notes(&db, &tenant("acme")).await.is_empty());
    put(&db, &tenant("acme"), "now").await;
    assert_eq!(notes(&db, &tenant("acme")).await, ["now"]);
    assert!(notes(&db, &tenant("globex")).await.is_empty());
}

async fn who_reads_cannot_write(house: House) {
    let db = house.open().await;
    put(&db, &tenant("acme"), "kept").await;
    for scope in [tenant("acme"), tenant("globex")] {
        let mut tx = db.read(&scope).await.expect("read");
        assert!(sql("DELETE FROM note").execute(&mut tx).await.is_err());
        assert!(sql("INSERT INTO note (text) VALUES ('x')").execute(&mut tx).await.is_err());
    }
    let mut tx = db.read_platform(&platform()).await.expect("read");
    assert!(sql("DELETE FROM note").execute(&mut tx).await.is_err());
    drop(tx);
    assert_eq!(notes(&db, &tenant("acme")).await, ["kept"]);
}

async fn what_is_dropped_without_a_commit_leaves_no_trace(house: House) {
    let db = house.open().await;
    put(&db, &tenant("acme"), "kept").await;

    let mut tx = db.within(&tenant("acme")).await.expect("within");
    insert(&mut tx, "dropped").await;
    drop(tx);

    assert_eq!(notes(&db, &tenant("acme")).await, ["kept"]);
    put(&db, &tenant("acme"), "later").await;
    assert_eq!(notes(&db, &tenant("acme")).await, ["kept", "later"]);
}

async fn a_call_that_is_cut_off_leaves_no_trace_and_no_lock(house: House) {
    let db = house.open().await;
    let (written, is_written) = tokio::sync::oneshot::channel();
    let call = tokio::spawn({
        let db = db.clone();
        async move {
            let mut tx = db.within(&tenant("acme")).await.expect("within");
            tx.lock(&[b"note"]).await.expect("locked");
            insert(&mut tx, "half").await;
            let _ = written.send(());
            std::future::pending::<()>().await;
            drop(tx);
        }
    });
    is_written.await.expect("written");
    // One that still waits for its turn is cut off too.
    let waiting = tokio::spawn({
        let db = db.clone();
        async move {
            let mut tx = db.within(&tenant("acme")).await.expect("within");
            tx.lock(&[b"note"]).await.expect("locked");
        }
    });
    tokio::task::yield_now().await;
    waiting.abort();
    call.abort();

    let mut tx = db.within(&tenant("acme")).await.expect("within");
    tx.lock(&[b"note"]).await.expect("locked");
    insert(&mut tx, "whole").await;
    tx.commit().await.expect("committed");
    assert_eq!(notes(&db, &tenant("acme")).await, ["whole"]);
}

async fn a_reader_waits_for_no_writer_and_sees_one_moment(house: House) {
    let db = house.open().await;
    put(&db, &tenant("acme"), "first").await;

    let mut reader = db.read(&tenant("acme")).await.expect("read");
    assert_eq!(select(&mut reader).await, ["first"]);
    let mut writer = db.within(&tenant("acme")).await.expect("within");
    insert(&mut writer, "second").await;
    assert_eq!(notes(&db, &tenant("acme")).await, ["first"], "not committed yet");
    writer.commit().await.expect("committed");
    assert_eq!(select(&mut reader).await, ["first"], "the moment at which it began");
    drop(reader);
    assert_eq!(notes(&db, &tenant("acme")).await, ["first", "second"]);
}

async fn writers_of_one_tenant_who_lock_lose_nothing(house: House) {
    let db = house.open().await;
    let writers: Vec<_> = (0..50)
        .map(|_| {
            let db = db.clone();
            tokio::spawn(async move {
                let mut tx = db.within(&tenant("acme")).await.expect("within");
                tx.lock(&[b"number"]).await.expect("locked");
                let next = select(&mut tx).await.len();
                insert(&mut tx, &format!("{next:03}")).await;
                tx.commit().await.expect("committed");
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("joined");
    }
    assert_eq!(notes(&db, &tenant("acme")).await.len(), 50);
}

async fn values_come_back_as_they_went(house: House) {
    const TABLE: Migration = Migration {
        version: 1,
        name: "values",
        sqlite: "CREATE TABLE thing (n INTEGER PRIMARY KEY, i INTEGER, t TEXT, b BLOB) STRICT;",
        postgres: "CREATE TABLE thing (
                       tenant TEXT NOT NULL DEFAULT guard.tenant(), n BIGINT NOT NULL, i BIGINT, t TEXT, b BYTEA,
                       PRIMARY KEY (tenant, n)
                   );",
    };
    type Thing = (i64, Option<i64>, Option<String>, Option<Vec<u8>>);
    let db = house.open_with(Options { tenant: &[TABLE], ..Options::default() }).await.expect("opens");
    let mut tx = db.within(&tenant("acme")).await.expect("within");
    let things: [Thing; 4] = [
        (1, Some(i64::MIN), Some("ä\u{1F600}'; --".to_owned()), Some(vec![0, 255, 7])),
        (2, Some(i64::MAX), Some(String::new()), Some(Vec::new())),
        (3, None, None, None),
        (4, Some(0), Some("x".repeat(100_000)), Some(vec![9; 100_000])),
    ];
    for (n, i, t, b) in things.clone() {
        let insert = sql("INSERT INTO thing (n, i, t, b) VALUES ($1, $2, $3, $4) RETURNING n");
        let (back,): (u32,) =
            insert.bind(n).bind(i).bind(t).bind(b).fetch_one(&mut tx).await.expect("inserted");
        assert_eq!(i64::from(back), n);
    }
    let back: Vec<Thing> =
        sql("SELECT n, i, t, b FROM thing ORDER BY n").fetch_all(&mut tx).await.expect("read");
    assert_eq!(back, things);
    let by_bytes: Option<(i64,)> = sql("SELECT n FROM thing WHERE b = $1")
        .bind([0_u8, 255, 7])
        .fetch_optional(&mut tx)
        .await
        .expect("read");
    assert_eq!(by_bytes, Some((1,)));
    let (some, many, sum, one): (bool, u64, i64, i64) = sql(
        "SELECT EXISTS (SELECT 1 FROM thing), COUNT(*), CAST(COALESCE(SUM(n), 0) AS BIGINT), 1 FROM thing",
    )
    .fetch_one(&mut tx)
    .await
    .expect("counted");
    assert_eq!((some, many, sum, one), (true, 4, 10, 1));
    // By the number alone: of texts each engine has its own order, unless the column says which.
    let beyond: Vec<(i64,)> = sql("SELECT n FROM thing WHERE (n, t) > ($1, $2) ORDER BY n LIMIT $3")
        .bind(1_i64)
        .bind("\u{10FFFF}")
        .bind(1_i64)
        .fetch_all(&mut tx)
        .await
        .expect("read");
    assert_eq!(beyond, [(2,)]);
}

async fn a_column_of_another_type_is_an_error_and_no_value(house: House) {
    let db = house.open().await;
    put(&db, &tenant("acme"), "12").await;
    let mut tx = db.read(&tenant("acme")).await.expect("read");
    assert!(sql("SELECT text FROM note").fetch_one::<(i64,)>(&mut tx).await.is_err());
    let null =
        sql("SELECT CAST(NULL AS TEXT) FROM note").doing("read nothing").fetch_one::<(String,)>(&mut tx);
    assert!(matches!(null.await, Err(StoreError::Refused { doing: "read nothing", .. })));
    let none = sql("SELECT text FROM note WHERE text = 'x'").fetch_one::<(String,)>(&mut tx).await;
    assert!(matches!(none, Err(StoreError::Refused { .. })));
}

async fn whoever_has_enough_rows_may_go_on_with_the_transaction(house: House) {
    let db = house.open().await;
    let mut tx = db.within(&tenant("acme")).await.expect("within");
    for n in 0..500 {
        insert(&mut tx, &format!("{n:03}")).await;
    }
    for _ in 0..3 {
        let mut rows = sql("SELECT text FROM note ORDER BY text").fetch::<(String,)>(&mut tx);
        assert_eq!(rows.try_next().await.expect("a row"), Some(("000".to_owned(),)));
    }
    insert(&mut tx, "more").await;
    let mut rows = sql("SELECT text FROM note").fetch::<(String,)>(&mut tx);
    assert!(rows.try_next().await.expect("a row").is_some());
    drop(rows);
    tx.commit().await.expect("committed");
    assert_eq!(notes(&db, &tenant("acme")).await.len(), 501);
}

async fn a_conflict_that_is_expected_is_no_error(house: House) {
    let db = house.open().await;
    put(&db, &tenant("acme"), "one").await;
    let mut tx = db.within(&tenant("acme")).await.expect("within");
    let again = sql("INSERT INTO note (text) VALUES ($1) ON CONFLICT DO NOTHING").bind("one");
    assert_eq!(again.execute(&mut tx).await.expect("no error"), 0);
    tx.commit().await.expect("committed");

    let mut tx = db.within(&tenant("acme")).await.expect("within");
    let refused =
        sql("INSERT INTO note (text) VALUES ($1)").doing("put a note").bind("one").execute(&mut tx).await;
    assert!(matches!(refused, Err(StoreError::Refused { doing: "put a note", .. })), "{refused:?}");
}

async fn a_new_migration_leaves_what_the_version_before_needs(house: House) {
    let old = house.open().await;
    put(&old, &tenant("acme"), "old").await;
    if house.engine() == Engine::Sqlite {
        old.close().await;
    }

    let db = house.open_with(Options { tenant: &[NOTES, TAGS], ..options() }).await.expect("opens");
    let mut tx = db.within(&tenant("acme")).await.expect("within");
    let tag = |note| sql("INSERT INTO tag (note, word) VALUES ($1, 'x')").bind(note);
    tag("old").execute(&mut tx).await.expect("tagged");
    tx.commit().await.expect("committed");
    let mut tx = db.within(&tenant("acme")).await.expect("within");
    assert!(tag("none").execute(&mut tx).await.is_err(), "foreign keys hold");
    drop(tx);
    let mut tx = db.within(&tenant("globex")).await.expect("within");
    assert!(tag("old").execute(&mut tx).await.is_err(), "another tenant's note is no note");
    drop(tx);

    // The version before still runs beside the new one, or after it.
    match house.engine() {
        Engine::Postgres => put(&old, &tenant("acme"), "beside").await,
        Engine::Sqlite => db.close().await,
    }
    let db = house.open().await;
    put(&db, &tenant("acme"), "still").await;
}

async fn a_migration_that_was_edited_is_refused(house: House) {
    const EDITED: Migration =
        Migration { sqlite: "CREATE TABLE note (a TEXT);", postgres: "SELECT 1;", ..NOTES };
    const EDITED_PLATFORM: Migration =
        Migration { sqlite: "CREATE TABLE note (a TEXT);", postgres: "SELECT 1;", ..PLATFORM };
    let db = house.open().await;
    put(&db, &tenant("acme"), "x").await;
    db.close().await;

    let mut refusals = Vec::new();
    refusals.extend(house.open_with(Options { platform: &[EDITED_PLATFORM], ..options() }).await.err());
    match house.open_with(Options { tenant: &[EDITED], ..options() }).await {
        Err(refusal) => refusals.push(refusal),
        // A file is looked at when it is needed.
        Ok(db) => {
            refusals.extend(db.within(&tenant("acme")).await.err());
            refusals.extend(db.read(&tenant("acme")).await.err());
        }
    }
    assert_eq!(refusals.len(), if house.engine() == Engine::Sqlite { 3 } else { 2 });
    for refusal in refusals {
        assert!(matches!(refusal, StoreError::MigrationChanged { version: 1, .. }), "{refusal:?}");
    }
}

async fn a_migration_that_fails_leaves_all_as_it_was(house: House) {
    const BROKEN: Migration = Migration {
        version: 2,
        name: "broken",
        sqlite: "CREATE TABLE half (a TEXT); CREATE TABLE note (b TEXT);",
        postgres: "CREATE TABLE half (a TEXT); CREATE TABLE note (b TEXT);",
    };
    let db = house.open().await;
    put(&db, &tenant("acme"), "x").await;
    db.close().await;

    let refusal = match house.open_with(Options { tenant: &[NOTES, BROKEN], ..options() }).await {
        Ok(db) => db.within(&tenant("acme")).await.map(drop).expect_err("broken"),
        Err(refusal) => refusal,
    };
    assert!(matches!(refusal, StoreError::Refused { doing: "migrate", .. }), "{refusal:?}");

    let db = house.open().await;
    assert_eq!(notes(&db, &tenant("acme")).await, ["x"]);
    let mut tx = db.read(&tenant("acme")).await.expect("read");
    assert!(sql("SELECT a FROM half").fetch_all::<(String,)>(&mut tx).await.is_err());
}

async fn migrations_are_numbered_from_one_without_gaps(house: House) {
    for tenant in [&[TAGS][..], &[NOTES, NOTES], &[TAGS, NOTES]] {
        let refusal = house.open_with(Options { tenant, ..options() }).await;
        assert!(matches!(refusal, Err(StoreError::MigrationOutOfOrder { .. })));
    }
}

async fn a_service_without_platform_tables_has_no_rows_there(house: House) {
    let db = house.open_with(Options { platform: &[], ..options() }).await.expect("opens");
    match db.platform(&platform()).await {
        Err(refusal) => assert!(matches!(refusal, StoreError::NoPlatform)),
        Ok(mut tx) => {
            let rows = sql("SELECT text FROM note").fetch_all::<(String,)>(&mut tx).await;
            assert!(rows.is_err(), "not even the tenants' table of that name is seen");
        }
    }
}
