//! What the door lets through, and that the number of tenants costs nothing.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use mcp_tenancy::{PlatformScope, TenantScope};
use mcp_types::ServiceName;
use tempfile::TempDir;

use super::*;

const NOTES: Migration = Migration {
    version: 1,
    name: "notes",
    postgres: "",
    sqlite: "CREATE TABLE note (text TEXT NOT NULL UNIQUE) STRICT;",
};
const TAGS: Migration = Migration {
    version: 2,
    name: "tags",
    postgres: "",
    sqlite: "CREATE TABLE tag (note TEXT NOT NULL REFERENCES note (text), word TEXT NOT NULL) STRICT;
          CREATE INDEX tag_by_word ON tag (word);",
};
const PLATFORM: Migration = Migration {
    version: 1,
    name: "tenants",
    postgres: "",
    sqlite: "CREATE TABLE note (text TEXT NOT NULL) STRICT;",
};

struct House {
    dir: TempDir,
}

impl House {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder") }
    }

    /// Where a sync costs nothing, if the machine has such a place: for tests about numbers, not about disks.
    fn in_memory() -> Self {
        tempfile::tempdir_in("/dev/shm").map_or_else(|_| Self::new(), |dir| Self { dir })
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("data/context")
    }

    fn file(&self, tenant: &str) -> PathBuf {
        self.folder().join(format!("tenants/{tenant}.db"))
    }

    async fn open(&self) -> Db {
        self.open_with(options()).await.expect("opens")
    }

    async fn open_with(&self, options: Options) -> Result<Db, StoreError> {
        Db::open(&self.folder(), &service("context"), options).await
    }
}

fn options() -> Options {
    Options { tenant: &[NOTES], platform: &[PLATFORM], ..Options::default() }
}

fn service(name: &str) -> ServiceName {
    name.parse().expect("a name")
}

fn tenant(slug: &str) -> TenantScope {
    PlatformScope::of_the_platform_itself().enter(slug.parse().expect("a slug"))
}

async fn insert(tx: &mut sqlx::SqliteConnection, text: &str) {
    sqlx::query("INSERT INTO note (text) VALUES ($1)").bind(text).execute(tx).await.expect("inserted");
}

async fn put(db: &Db, scope: &TenantScope, text: &str) {
    let mut tx = db.within(scope).await.expect("within");
    insert(&mut tx, text).await;
    tx.commit().await.expect("committed");
}

async fn select(tx: &mut sqlx::SqliteConnection) -> Vec<String> {
    sqlx::query_scalar("SELECT text FROM note ORDER BY text").fetch_all(tx).await.expect("selected")
}

async fn notes(db: &Db, scope: &TenantScope) -> Vec<String> {
    select(&mut db.read(scope).await.expect("read")).await
}

#[tokio::test]
async fn a_tenant_sees_its_own_rows_and_no_others() {
    let house = House::new();
    let db = house.open().await;
    put(&db, &tenant("acme"), "acme's plan").await;
    put(&db, &tenant("globex"), "globex' plan").await;
    let platform = PlatformScope::of_the_platform_itself();
    let mut tx = db.platform(&platform).await.expect("platform");
    insert(&mut tx, "nobody's plan").await;
    tx.commit().await.expect("committed");

    assert_eq!(notes(&db, &tenant("acme")).await, ["acme's plan"]);
    assert_eq!(notes(&db, &tenant("globex")).await, ["globex' plan"]);
    assert_eq!(select(&mut db.read_platform(&platform).await.expect("read")).await, ["nobody's plan"]);
    db.close().await;
    let bytes = fs::read(house.file("globex")).expect("readable");
    assert!(!bytes.windows(11).any(|it| it == b"acme's plan"));
}

#[tokio::test]
async fn a_tenant_that_never_wrote_reads_nothing_and_leaves_no_file() {
    let house = House::new();
    let db = house.open().await;

    assert!(notes(&db, &tenant("acme")).await.is_empty());
    let mut tx = db.read(&tenant("acme")).await.expect("read");
    assert!(sqlx::query("INSERT INTO note (text) VALUES ('x')").execute(&mut *tx).await.is_err());
    drop(tx);
    assert!(notes(&db, &tenant("globex")).await.is_empty());
    assert!(!house.file("acme").exists());
    assert_eq!(db.files_open(), 0);

    put(&db, &tenant("acme"), "now").await;
    assert_eq!(notes(&db, &tenant("acme")).await, ["now"]);
}

#[tokio::test]
async fn who_reads_cannot_write() {
    let house = House::new();
    let db = house.open().await;
    put(&db, &tenant("acme"), "kept").await;
    let mut tx = db.read(&tenant("acme")).await.expect("read");
    assert!(sqlx::query("DELETE FROM note").execute(&mut *tx).await.is_err());
    drop(tx);
    assert_eq!(notes(&db, &tenant("acme")).await, ["kept"]);
}

#[tokio::test]
async fn what_is_dropped_without_a_commit_leaves_no_trace() {
    let house = House::new();
    let db = house.open().await;
    put(&db, &tenant("acme"), "kept").await;

    let mut tx = db.within(&tenant("acme")).await.expect("within");
    insert(&mut tx, "dropped").await;
    drop(tx);

    assert_eq!(notes(&db, &tenant("acme")).await, ["kept"]);
    put(&db, &tenant("acme"), "later").await;
    assert_eq!(notes(&db, &tenant("acme")).await, ["kept", "later"]);
}

#[tokio::test]
async fn a_call_that_is_cut_off_leaves_no_trace_and_no_lock() {
    let house = House::new();
    let db = house.open().await;
    let (written, is_written) = tokio::sync::oneshot::channel();
    let call = tokio::spawn({
        let db = db.clone();
        async move {
            let mut tx = db.within(&tenant("acme")).await.expect("within");
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
        async move { db.within(&tenant("acme")).await.map(drop) }
    });
    tokio::task::yield_now().await;
    waiting.abort();
    call.abort();

    put(&db, &tenant("acme"), "whole").await;
    assert_eq!(notes(&db, &tenant("acme")).await, ["whole"]);
}

#[tokio::test]
async fn a_reader_waits_for_no_writer_and_sees_one_moment() {
    let house = House::new();
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_one_tenant_take_turns_and_all_succeed() {
    let house = House::new();
    let db = house.open().await;
    let writers: Vec<_> = (0..100)
        .map(|n| {
            let db = db.clone();
            tokio::spawn(async move {
                let mut tx = db.within(&tenant("acme")).await.expect("within");
                // Reads first: a transaction that upgraded its lock would find the file changed.
                let before = select(&mut tx).await.len();
                insert(&mut tx, &format!("{n}")).await;
                assert_eq!(select(&mut tx).await.len(), before + 1);
                tx.commit().await.expect("committed");
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("joined");
    }
    assert_eq!(notes(&db, &tenant("acme")).await.len(), 100);
}

#[tokio::test]
async fn a_thousand_tenants_share_a_few_open_files() {
    let house = House::in_memory();
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
    let house = House::new();
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
    let house = House::new();
    let db = house.open().await;
    put(&db, &tenant("acme"), "committed").await;
    let mut open = db.within(&tenant("acme")).await.expect("within");
    insert(&mut open, "not committed").await;
    // A kill closes nothing: what is on the disk now is what it leaves.
    let after = House::new();
    copy(&house.folder(), &after.folder());

    let db = after.open().await;
    assert_eq!(notes(&db, &tenant("acme")).await, ["committed"]);
    put(&db, &tenant("acme"), "later").await;
    assert_eq!(notes(&db, &tenant("acme")).await, ["committed", "later"]);
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("readable") {
        let path = entry.expect("entry").path();
        let to = to.join(path.file_name().expect("named"));
        if path.is_dir() { copy(&path, &to) } else { assert!(fs::copy(&path, &to).is_ok()) }
    }
}

#[tokio::test]
async fn a_file_killed_before_its_first_migration_is_brought_up() {
    let house = House::new();
    drop(house.open().await);
    fs::write(house.file("acme"), b"").expect("written");
    let db = house.open().await;
    assert!(notes(&db, &tenant("acme")).await.is_empty());
    put(&db, &tenant("acme"), "x").await;
}

#[tokio::test]
async fn a_new_migration_reaches_old_files_when_they_are_opened() {
    let house = House::new();
    let db = house.open().await;
    put(&db, &tenant("acme"), "old").await;
    db.close().await;

    let newer = Options { tenant: &[NOTES, TAGS], ..options() };
    let db = house.open_with(newer).await.expect("opens");
    let mut tx = db.read(&tenant("acme")).await.expect("read");
    let tags: i64 = sqlx::query_scalar("SELECT count(*) FROM tag").fetch_one(&mut *tx).await.expect("there");
    assert_eq!(tags, 0);
    drop(tx);
    let mut tx = db.within(&tenant("acme")).await.expect("within");
    let refused = sqlx::query("INSERT INTO tag (note, word) VALUES ('none', 'x')").execute(&mut *tx).await;
    assert!(refused.is_err(), "foreign keys hold");
    drop(tx);
    db.close().await;

    // The version before still runs beside the new one.
    let db = house.open().await;
    assert_eq!(notes(&db, &tenant("acme")).await, ["old"]);
    put(&db, &tenant("acme"), "still").await;
}

#[tokio::test]
async fn a_migration_that_was_edited_is_refused() {
    let house = House::new();
    let db = house.open().await;
    put(&db, &tenant("acme"), "x").await;
    db.close().await;

    const EDITED: Migration = Migration { sqlite: "CREATE TABLE note (text TEXT);", ..NOTES };
    let db = house.open_with(Options { tenant: &[EDITED], ..options() }).await.expect("opens");
    for refusal in [
        db.within(&tenant("acme")).await.map(drop).expect_err("edited"),
        db.read(&tenant("acme")).await.map(drop).expect_err("edited"),
    ] {
        assert!(matches!(refusal, StoreError::MigrationChanged { version: 1, .. }), "{refusal:?}");
    }
    const EDITED_PLATFORM: Migration = Migration { sqlite: "CREATE TABLE note (text TEXT);", ..PLATFORM };
    let refusal = house.open_with(Options { platform: &[EDITED_PLATFORM], ..options() }).await;
    assert!(matches!(refusal, Err(StoreError::MigrationChanged { version: 1, .. })));
}

#[tokio::test]
async fn a_migration_that_fails_leaves_the_file_as_it_was() {
    let house = House::new();
    let db = house.open().await;
    put(&db, &tenant("acme"), "x").await;
    db.close().await;

    const BROKEN: Migration = Migration {
        version: 2,
        name: "broken",
        postgres: "",
        sqlite: "CREATE TABLE half (a TEXT); CREATE TABLE note (b TEXT);",
    };
    let db = house.open_with(Options { tenant: &[NOTES, BROKEN], ..options() }).await.expect("opens");
    let refusal = db.within(&tenant("acme")).await.map(drop).expect_err("broken");
    assert!(matches!(refusal, StoreError::Refused { doing: "migrate", .. }), "{refusal:?}");

    let db = house.open().await;
    let mut tx = db.read(&tenant("acme")).await.expect("read");
    let half: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = 'half'")
        .fetch_one(&mut *tx)
        .await
        .expect("counted");
    assert_eq!(half, 0);
}

#[tokio::test]
async fn migrations_are_numbered_from_one_without_gaps() {
    let house = House::new();
    for tenant in [&[TAGS][..], &[NOTES, NOTES], &[TAGS, NOTES]] {
        let refusal = house.open_with(Options { tenant, ..options() }).await;
        assert!(matches!(refusal, Err(StoreError::MigrationOutOfOrder { .. })));
    }
}

#[tokio::test]
async fn a_file_put_in_anothers_place_is_refused() {
    let house = House::new();
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
    let house = House::new();
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
    let house = House::new();
    let db = house.open_with(Options { platform: &[], ..options() }).await.expect("opens");
    assert!(!house.folder().join("platform.db").exists());
    assert!(db.platform(&PlatformScope::of_the_platform_itself()).await.is_err());
}
