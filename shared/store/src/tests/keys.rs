//! What is sealed opens in its place and nowhere else; keys are rotated while calls go on; a forgotten tenant is gone.

use std::{fs, time::Duration};

use super::*;

const CARDS: Table = Table {
    name: "card",
    columns: &[
        Column::key("deck"),
        Column::key("n"),
        Column::sealed("front"),
        Column::sealed("back"),
        Column::clear("seen", "a count that says nothing of what is on the card"),
    ],
};
const FRONT: SealedColumn = CARDS.sealed("front");
const BACK: SealedColumn = CARDS.sealed("back");
const CARD: Migration = Migration {
    version: 1,
    name: "cards",
    sqlite: "CREATE TABLE card (
                 deck TEXT NOT NULL, n INTEGER NOT NULL, front BLOB NOT NULL, back BLOB, seen INTEGER NOT NULL,
                 PRIMARY KEY (deck, n)
             ) STRICT;",
    postgres: "CREATE TABLE card (
                   tenant TEXT NOT NULL DEFAULT guard.tenant(), deck TEXT NOT NULL, n BIGINT NOT NULL,
                   front BYTEA NOT NULL, back BYTEA, seen BIGINT NOT NULL, PRIMARY KEY (tenant, deck, n)
               );",
};

on_both_engines! {
    what_is_sealed_opens_in_its_place_and_nowhere_else
    a_row_moved_to_another_tenant_does_not_open
    a_planted_word_is_nowhere_in_the_clear
    the_first_keys_outlive_a_write_that_was_taken_back
    keys_are_kept_for_a_bounded_time_and_number
    a_rotated_key_seals_anew_while_calls_go_on
    a_rotation_waits_for_who_writes_under_the_old_key
    resealing_that_was_cut_off_goes_on
    a_forgotten_tenant_is_gone_and_no_other
    declared_tables_are_held_against_the_real_ones
    without_a_keeper_nothing_is_sealed
}

fn cards(house: &House) -> Options {
    Options { tenant: &[CARD], tables: &[CARDS], keys: Some(house.keys()), ..Options::default() }
}

fn row(n: i64) -> Vec<u8> {
    row_id(&["spades".into(), n.into()])
}

async fn put_card(db: &Db, scope: &mcp_tenancy::TenantScope, n: i64, text: &str) {
    let mut tx = db.within(scope).await.expect("within");
    let front = tx.seal(&FRONT, &row(n), text.as_bytes()).expect("sealed");
    sql("INSERT INTO card (deck, n, front, back, seen) VALUES ('spades', $1, $2, NULL, 0)")
        .bind(n)
        .bind(front)
        .execute(&mut tx)
        .await
        .expect("inserted");
    tx.commit().await.expect("committed");
}

async fn fronts(db: &Db, scope: &mcp_tenancy::TenantScope) -> Vec<String> {
    let mut tx = db.read(scope).await.expect("read");
    let sealer = tx.sealer();
    let rows: Vec<(i64, Vec<u8>)> =
        sql("SELECT n, front FROM card ORDER BY n").fetch_all(&mut tx).await.expect("read");
    let opened = rows.into_iter().map(|(n, front)| sealer.open(&FRONT, &row(n), &front).expect("opened"));
    opened.map(|it| String::from_utf8(it).expect("text")).collect()
}

async fn what_is_sealed_opens_in_its_place_and_nowhere_else(house: House) {
    let db = house.open_with(cards(&house)).await.expect("opens");
    let tx = db.within(&tenant("acme")).await.expect("within");
    let sealed = tx.seal(&FRONT, &row(1), b"secret").expect("sealed");
    assert_eq!(tx.open(&FRONT, &row(1), &sealed).expect("opened"), b"secret");
    assert_ne!(tx.seal(&FRONT, &row(1), b"secret").expect("sealed"), sealed, "equal values look different");

    let elsewhere = [
        tx.open(&BACK, &row(1), &sealed),
        tx.open(&FRONT, &row(2), &sealed),
        tx.open(&FRONT, &row(1), &sealed[..sealed.len() - 1]),
        tx.open(&FRONT, &row(1), b""),
        tx.open(&FRONT, &row(1), &[&[0, 0, 0, 0], &sealed[4..]].concat()),
    ];
    for refusal in elsewhere {
        assert!(matches!(refusal, Err(StoreError::Unopenable { table: "card", .. })), "{refusal:?}");
    }
    let newer = tx.open(&FRONT, &row(1), &[&[0, 0, 0, 9], &sealed[4..]].concat());
    assert!(newer.is_err_and(|it| it.is_passing()), "perhaps another process has just made the key");
    drop(tx);

    let other = db.within(&tenant("globex")).await.expect("within");
    assert!(matches!(other.open(&FRONT, &row(1), &sealed), Err(StoreError::Unopenable { .. })));
    let keys = [other.index_key(), db.within(&tenant("acme")).await.expect("within").index_key()];
    let [Some(one), Some(two)] = keys else { panic!("both have written") };
    assert_ne!(one.expose(), two.expose());
    assert!(db.read(&tenant("initech")).await.expect("read").index_key().is_none(), "has never written");
}

async fn a_row_moved_to_another_tenant_does_not_open(house: House) {
    let db = house.open_with(cards(&house)).await.expect("opens");
    put_card(&db, &tenant("acme"), 1, "acme's").await;
    put_card(&db, &tenant("globex"), 1, "globex'").await;
    let mut tx = db.read(&tenant("acme")).await.expect("read");
    let (front,): (Vec<u8>,) = sql("SELECT front FROM card").fetch_one(&mut tx).await.expect("read");
    drop(tx);
    // By whoever holds the database, with its own keys along.
    let mut tx = db.within(&tenant("globex")).await.expect("within");
    sql("UPDATE card SET front = $1").bind(front).execute(&mut tx).await.expect("updated");
    tx.commit().await.expect("committed");
    let mut tx = db.read(&tenant("globex")).await.expect("read");
    let (front,): (Vec<u8>,) = sql("SELECT front FROM card").fetch_one(&mut tx).await.expect("read");
    assert!(matches!(tx.open(&FRONT, &row(1), &front), Err(StoreError::Unopenable { .. })));
}

async fn a_planted_word_is_nowhere_in_the_clear(house: House) {
    let db = house.open_with(cards(&house)).await.expect("opens");
    for n in 0..20 {
        put_card(&db, &tenant("acme"), n, "canary-7f3a").await;
    }
    assert!(holds(&house, "spades"), "what is in clear is found");
    assert!(!holds(&house, "canary-7f3a"), "while it is open, logs included");
    db.close().await;
    assert!(!holds(&house, "canary-7f3a"));
}

/// Whether a word is in any of the database's files, its logs and dumps included.
fn holds(house: &House, word: &str) -> bool {
    if house.engine() == Engine::Postgres {
        let dump = house.server().database.sql("SELECT encode(front, 'escape'), deck FROM context.card");
        house.server().database.sql("CHECKPOINT");
        return dump.contains(word) || grep(house.server().database.server().folder(), word);
    }
    grep(&house.folder(), word)
}

fn grep_file(file: &std::path::Path, word: &str) -> bool {
    fs::read(file).is_ok_and(|bytes| bytes.windows(word.len()).any(|it| it == word.as_bytes()))
}

fn grep(folder: &std::path::Path, word: &str) -> bool {
    fs::read_dir(folder).expect("readable").any(|entry| {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            return grep(&path, word);
        }
        grep_file(&path, word)
    })
}

async fn the_first_keys_outlive_a_write_that_was_taken_back(house: House) {
    let db = house.open_with(cards(&house)).await.expect("opens");
    let tx = db.within(&tenant("acme")).await.expect("within");
    let sealed = tx.seal(&FRONT, &row(1), b"x").expect("sealed");
    drop(tx);
    db.close().await;
    let db = house.open_with(cards(&house)).await.expect("opens");
    let tx = db.within(&tenant("acme")).await.expect("within");
    assert_eq!(tx.open(&FRONT, &row(1), &sealed).expect("opened"), b"x");
}

async fn keys_are_kept_for_a_bounded_time_and_number(house: House) {
    let keys = Keys { tenants_max: 2, kept_max: Duration::from_secs(60), ..house.keys() };
    let wrapping = std::sync::Arc::clone(&keys.wrapping);
    let db = house.open_with(Options { keys: Some(keys), ..cards(&house) }).await.expect("opens");
    for slug in ["t1", "t2", "t3", "t4"] {
        put_card(&db, &tenant(slug), 1, slug).await;
        assert!(db.keys_kept() <= 2);
    }
    for slug in ["t1", "t2", "t3", "t4"] {
        assert_eq!(fronts(&db, &tenant(slug)).await, [slug]);
    }

    // While the keeper is away, what is unwrapped serves; then it fails closed.
    assert!(wrapping.destroy(tenant("t4").tenant()).await.expect("destroyed"));
    assert_eq!(fronts(&db, &tenant("t4")).await, ["t4"]);
    house.clock.advance(Duration::from_secs(60));
    let refusal = db.read(&tenant("t4")).await.map(drop).expect_err("no longer unwrapped");
    assert!(matches!(refusal, StoreError::Keys { .. }) && !refusal.is_passing(), "{refusal:?}");
    let refusal = db.within(&tenant("t4")).await.map(drop).expect_err("no new key in its place");
    assert!(matches!(refusal, StoreError::Keys { .. }), "{refusal:?}");
    assert_eq!(fronts(&db, &tenant("t1")).await, ["t1"], "the others go on");
}

async fn a_rotated_key_seals_anew_while_calls_go_on(house: House) {
    let db = house.open_with(cards(&house)).await.expect("opens");
    let acme = tenant("acme");
    for n in 0..250 {
        put_card(&db, &acme, n, &format!("card {n}")).await;
    }
    put_card(&db, &tenant("globex"), 1, "globex'").await;
    // Another process of the service, on a server; the same one, in a folder.
    let other = match house.engine() {
        Engine::Postgres => house.open_with(cards(&house)).await.expect("opens"),
        Engine::Sqlite => db.clone(),
    };
    assert_eq!(fronts(&other, &acme).await.len(), 250);
    let index = db.read(&acme).await.expect("read").index_key().expect("a key");

    assert_eq!(db.rotate_key(&acme).await.expect("rotated"), 2);
    put_card(&db, &acme, 250, "card 250").await;
    assert_eq!(fronts(&other, &acme).await.len(), 251, "under both keys, in both processes");
    let calls = tokio::spawn({
        let (other, acme) = (other.clone(), tenant("acme"));
        async move {
            for n in 251..330 {
                put_card(&other, &acme, n, &format!("card {n}")).await;
                assert_eq!(fronts(&other, &acme).await.len(), usize::try_from(n + 1).expect("small"));
            }
        }
    });
    let mut told = Vec::new();
    let done = db.reseal(&acme, &mut |it| told.push((it.table, it.rows))).await.expect("resealed");
    calls.await.expect("no call failed");
    assert_eq!((done.version, done.keys_removed), (2, 1));
    told.retain(|(table, _)| *table == "card");
    assert!(done.rows >= 250 && told.len() >= 3 && told.is_sorted(), "{done:?} {told:?}");

    for db in [&db, &other] {
        assert_eq!(fronts(db, &acme).await.len(), 330);
        assert_eq!(fronts(db, &tenant("globex")).await, ["globex'"]);
    }
    let mut tx = db.read(&acme).await.expect("read");
    let rows: Vec<(Vec<u8>,)> = sql("SELECT front FROM card").fetch_all(&mut tx).await.expect("read");
    assert!(rows.iter().all(|(front,)| front.starts_with(&[0, 0, 0, 2])), "none is under the old key");
    assert_eq!(tx.index_key().expect("a key").expose(), index.expose());
    drop(tx);
    let again = db.reseal(&acme, &mut |_| ()).await.expect("nothing to do");
    assert_eq!((again.version, again.keys_removed), (2, 0));
}

async fn a_rotation_waits_for_who_writes_under_the_old_key(house: House) {
    let db = house.open_with(cards(&house)).await.expect("opens");
    let mut tx = db.within(&tenant("acme")).await.expect("within");
    let front = tx.seal(&FRONT, &row(1), b"under the old key").expect("sealed");
    let rotation = tokio::spawn({
        let db = db.clone();
        async move {
            db.rotate_key(&tenant("acme")).await.expect("rotated");
            db.reseal(&tenant("acme"), &mut |_| ()).await.expect("resealed")
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!rotation.is_finished(), "or the key would be taken away from what is yet to be committed");
    sql("INSERT INTO card (deck, n, front, back, seen) VALUES ('spades', 1, $1, NULL, 0)")
        .bind(front)
        .execute(&mut tx)
        .await
        .expect("inserted");
    tx.commit().await.expect("committed");
    assert_eq!(rotation.await.expect("joined").keys_removed, 1);
    assert_eq!(fronts(&db, &tenant("acme")).await, ["under the old key"]);
}

async fn resealing_that_was_cut_off_goes_on(house: House) {
    let db = house.open_with(cards(&house)).await.expect("opens");
    let acme = tenant("acme");
    for n in 0..250 {
        put_card(&db, &acme, n, &format!("card {n}")).await;
    }
    db.rotate_key(&acme).await.expect("rotated");
    let (told, is_told) = std::sync::mpsc::channel();
    let half = tokio::spawn({
        let (db, acme) = (db.clone(), tenant("acme"));
        async move {
            let mut stop = false;
            let mut progress = |it: Progress| {
                told.send(it.rows).expect("heard");
                assert!(!std::mem::replace(&mut stop, true), "cut off at the second batch");
            };
            db.reseal(&acme, &mut progress).await
        }
    });
    assert!(half.await.is_err());
    assert_eq!(is_told.try_iter().collect::<Vec<_>>(), [100, 200]);
    let mut told = Vec::new();
    db.reseal(&acme, &mut |it| told.push(it.rows)).await.expect("resealed");
    assert_eq!(told.first(), Some(&250), "it began where it was");
    assert_eq!(fronts(&db, &acme).await.len(), 250);
}

async fn a_forgotten_tenant_is_gone_and_no_other(house: House) {
    let db = house.open_with(cards(&house)).await.expect("opens");
    put_card(&db, &tenant("acme"), 1, "acme's").await;
    put_card(&db, &tenant("globex"), 1, "globex'").await;
    let before = house.dir.path().join("backup");
    if house.engine() == Engine::Sqlite {
        house::copy(&house.folder(), &before);
    }

    let proof = db.forget_tenant(&tenant("acme")).await.expect("forgotten");
    assert!(proof.wrapping_key_destroyed && proof.rows > 0, "{proof:?}");
    assert_eq!(
        proof.keys.iter().map(|it| (&*it.purpose, it.version)).collect::<Vec<_>>(),
        [("data", 1), ("index", 1)]
    );
    assert!(fronts(&db, &tenant("acme")).await.is_empty());
    assert_eq!(fronts(&db, &tenant("globex")).await, ["globex'"]);
    let again = db.forget_tenant(&tenant("acme")).await.expect("nothing is left");
    assert!(!again.wrapping_key_destroyed && again.keys.is_empty(), "{again:?}");

    if house.engine() == Engine::Sqlite {
        assert!(!grep_file(&house.file("acme"), "spades"), "nor is anything of them left in its file");
        // A backup of the data, from before, does not open: not even for the service itself.
        db.close().await;
        fs::copy(before.join("tenants/acme.db"), house.file("acme")).expect("restored");
        for log in ["-wal", "-shm"] {
            let _ = fs::copy(
                before.join(format!("tenants/acme.db{log}")),
                house.folder().join(format!("tenants/acme.db{log}")),
            );
        }
        let db = house.open_with(cards(&house)).await.expect("opens");
        let refusal = db.read(&tenant("acme")).await.map(drop).expect_err("no key");
        assert!(matches!(refusal, StoreError::Keys { .. }), "{refusal:?}");
        assert_eq!(fronts(&db, &tenant("globex")).await, ["globex'"]);
    } else {
        let left = house.server().database.sql("SELECT count(*) FROM context.card WHERE tenant = 'acme'");
        assert_eq!(left, "0");
    }
}

async fn declared_tables_are_held_against_the_real_ones(house: House) {
    const WRONG: Table = Table {
        name: "card",
        columns: &[
            Column::key("deck"),
            Column::sealed("n"),
            Column::clear("front", "?"),
            Column::sealed("gone"),
        ],
    };
    const GONE: Table = Table { name: "gone", columns: &[] };
    let db = house.open_with(cards(&house)).await.expect("opens");
    put_card(&db, &tenant("acme"), 1, "x").await;
    assert_eq!(db.check_tables(&tenant("acme")).await.expect("looked"), [""; 0]);
    db.close().await;

    let wrong = Options { tables: &[WRONG, GONE], ..cards(&house) };
    let db = house.open_with(wrong).await.expect("opens");
    let found = db.check_tables(&tenant("acme")).await.expect("looked").join("\n");
    for expected in [
        "column card.back is there and not declared",
        "column card.seen is there and not declared",
        "column card.gone is declared and not there",
        "column card.n and the primary key differ",
        "column card.n is declared sealed and is of type",
        "table gone is declared and not there",
    ] {
        assert!(found.contains(expected), "{expected} in\n{found}");
    }
}

async fn without_a_keeper_nothing_is_sealed(house: House) {
    let db = house.open_with(Options { keys: None, ..cards(&house) }).await.expect("opens");
    let tx = db.within(&tenant("acme")).await.expect("within");
    assert!(matches!(tx.seal(&FRONT, &row(1), b"x"), Err(StoreError::NoKey { .. })));
    assert!(tx.index_key().is_none());
    drop(tx);
    assert!(db.rotate_key(&tenant("acme")).await.is_err());
}

/// The file itself says whose it is; whoever can write it can make it say otherwise.
#[tokio::test]
async fn a_file_that_claims_to_be_another_tenants_does_not_open() {
    let house = House::new(Engine::Sqlite).await;
    let db = house.open_with(cards(&house)).await.expect("opens");
    put_card(&db, &tenant("acme"), 1, "acme's").await;
    put_card(&db, &tenant("globex"), 1, "globex'").await;
    db.close().await;
    fs::copy(house.file("acme"), house.file("globex")).expect("copied");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(house.file("globex"));
    let mut file = sqlx::ConnectOptions::connect(&options).await.expect("opened");
    sqlx::query("UPDATE mcp_file SET owner = 'globex'").execute(&mut file).await.expect("forged");
    sqlx::Connection::close(file).await.expect("closed");

    let db = house.open_with(cards(&house)).await.expect("opens");
    for refusal in [
        db.read(&tenant("globex")).await.map(drop).expect_err("acme's keys"),
        db.within(&tenant("globex")).await.map(drop).expect_err("acme's keys"),
    ] {
        assert!(matches!(refusal, StoreError::Keys { doing: "unwrap a tenant's key", .. }), "{refusal:?}");
    }
    assert_eq!(fronts(&db, &tenant("acme")).await, ["acme's"]);
}

#[test]
fn no_two_rows_share_a_name() {
    let names = [
        row_id(&["ab".into(), "c".into()]),
        row_id(&["a".into(), "bc".into()]),
        row_id(&["abc".into(), "".into()]),
        row_id(&["abc".into()]),
        row_id(&["abc".into(), 0.into()]),
    ];
    for (at, one) in names.iter().enumerate() {
        assert!(names[at + 1..].iter().all(|it| it != one));
    }
    assert_eq!(row_id(&[(&[1, 2, 3]).into()]), [1, 2, 3]);
}
