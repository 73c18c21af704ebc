//! Files: a bounded number of them open, each in its own tenant's place.

use std::{fs, os::unix::fs::PermissionsExt as _};

use super::{
    house::{copy, insert},
    *,
};

async fn house() -> House {
    House::new(Engine::Sqlite).await
}

#[tokio::test]
async fn a_tenant_that_never_wrote_has_no_file() {
    let house = house().await;
    let db = house.open().await;
    assert!(notes(&db, &tenant("acme")).await.is_empty());
    assert!(!house.file("acme").exists());
    assert_eq!(db.files_open(), 0);
    put(&db, &tenant("acme"), "acme's plan").await;
    put(&db, &tenant("globex"), "globex' plan").await;
    db.close().await;
    let bytes = fs::read(house.file("globex")).expect("readable");
    assert!(!bytes.windows(11).any(|it| it == b"acme's plan"));
}

#[tokio::test]
async fn a_thousand_tenants_share_a_few_open_files() {
    let house = house().await.in_memory();
    let db = house.open_with(Options { files_open_max: 8, ..options() }).await.expect("opens");
    let held = db.within(&tenant("held")).await.expect("within");
    for n in 0..1000 {
        let scope = tenant(&format!("t{n}"));
        let mut tx = db.within(&scope).await.expect("within");
        insert(&mut tx, &format!("{n}")).await;
        tx.commit().await.expect("committed");
        assert!(db.files_open() <= 8, "{}", db.files_open());
    }
    let open = handles_below(&house.folder());
    assert!(open <= 9 * 3 * 3, "{open} handles: the platform's file and eight tenants'");

    for n in (0..1000).step_by(7) {
        assert_eq!(notes(&db, &tenant(&format!("t{n}"))).await, [format!("{n}")]);
    }
    assert!(db.files_open() <= 8);
    held.commit().await.expect("what is in use is never closed");
}

/// Files below `folder` that this process has open.
fn handles_below(folder: &std::path::Path) -> usize {
    let handles = fs::read_dir("/proc/self/fd").expect("readable");
    let paths = handles.filter_map(|it| fs::read_link(it.ok()?.path()).ok());
    paths.filter(|it| it.starts_with(folder)).count()
}

#[tokio::test]
async fn when_all_open_files_are_in_use_the_next_waits_its_time_and_no_longer() {
    let house = house().await;
    let wait_max = std::time::Duration::from_millis(200);
    let db = house.open_with(Options { files_open_max: 2, wait_max, ..options() }).await.expect("opens");
    let first = db.within(&tenant("t1")).await.expect("within");
    let _second = db.within(&tenant("t2")).await.expect("within");

    let refusal = db.within(&tenant("t3")).await.expect_err("no room");
    assert!(matches!(refusal, StoreError::Crowded) && refusal.is_passing());
    let refusal = db.within(&tenant("t1")).await.expect_err("taken");
    assert!(matches!(refusal, StoreError::Unreachable(_)) && refusal.is_passing());
    let third = tokio::spawn({
        let db = db.clone();
        async move { db.within(&tenant("t3")).await.map(drop) }
    });
    tokio::task::yield_now().await;
    drop(first);
    third.await.expect("joined").expect("room again");
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_kill_and_nothing_else_is() {
    let house = house().await;
    let db = house.open().await;
    put(&db, &tenant("acme"), "committed").await;
    let mut open = db.within(&tenant("acme")).await.expect("within");
    insert(&mut open, "not committed").await;
    // A kill closes nothing: what is on the disk now is what it leaves.
    let after = self::house().await;
    copy(&house.folder(), &after.folder());

    let db = after.open().await;
    assert_eq!(notes(&db, &tenant("acme")).await, ["committed"]);
    put(&db, &tenant("acme"), "later").await;
    assert_eq!(notes(&db, &tenant("acme")).await, ["committed", "later"]);
}

#[tokio::test]
async fn a_file_killed_before_its_first_migration_is_brought_up() {
    let house = house().await;
    drop(house.open().await);
    fs::write(house.file("acme"), b"").expect("written");
    let db = house.open().await;
    assert!(notes(&db, &tenant("acme")).await.is_empty());
    put(&db, &tenant("acme"), "x").await;
}

#[tokio::test]
async fn a_file_put_in_anothers_place_is_refused() {
    let house = house().await;
    let db = house.open().await;
    put(&db, &tenant("acme"), "acme's").await;
    db.close().await;
    fs::copy(house.file("acme"), house.file("globex")).expect("copied");

    let db = house.open().await;
    let refusal = db.read(&tenant("globex")).await.map(drop).expect_err("acme's");
    assert!(matches!(refusal, StoreError::Misplaced { .. }), "{refusal:?}");
    db.close().await;
    let other = Db::open(&house.folder(), &service("auth"), options()).await;
    assert!(matches!(other, Err(StoreError::Misplaced { .. })), "another service's folder");
}

#[tokio::test]
async fn nobody_else_may_look() {
    let house = house().await;
    let db = house.open().await;
    put(&db, &tenant("acme"), "x").await;
    for folder in [house.folder(), house.folder().join("tenants")] {
        assert_eq!(mode(&folder), 0o700, "{folder:?}");
        for entry in fs::read_dir(&folder).expect("readable") {
            let path = entry.expect("entry").path();
            assert!(path.is_dir() || mode(&path) == 0o600, "{path:?}");
        }
    }
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[tokio::test]
async fn a_service_without_platform_tables_has_no_file_for_them() {
    let house = house().await;
    let db = house.open_with(Options { platform: &[], ..options() }).await.expect("opens");
    assert!(!house.folder().join("platform.db").exists());
    assert!(db.platform(&platform()).await.is_err());
}

#[tokio::test]
async fn a_full_disk_is_told_apart_and_nothing_is_torn() {
    let house = house().await;
    let db = house.open().await;
    put(&db, &tenant("acme"), "kept").await;
    let mut tx = db.within(&tenant("acme")).await.expect("within");
    // The same code that a full disk has, without one.
    let (pages,): (i64,) = sql("PRAGMA page_count").fetch_one(&mut tx).await.expect("counted");
    let limit: &'static str = Box::leak(format!("PRAGMA max_page_count = {pages}").into_boxed_str());
    sql(limit).fetch_one::<(i64,)>(&mut tx).await.expect("limited");
    let large = sql("INSERT INTO note (text) VALUES ($1)").doing("put a note").bind("x".repeat(100_000));
    let refusal = large.execute(&mut tx).await.expect_err("full");
    assert!(
        matches!(refusal, StoreError::Full { doing: "put a note", .. }) && refusal.is_passing(),
        "{refusal:?}"
    );
    drop(tx);
    assert_eq!(notes(&db, &tenant("acme")).await, ["kept"]);

    let mut tx = db.within(&tenant("acme")).await.expect("within");
    sql("PRAGMA max_page_count = 1000000").fetch_one::<(i64,)>(&mut tx).await.expect("room again");
    insert(&mut tx, &"x".repeat(100_000)).await;
    tx.commit().await.expect("committed");
}
