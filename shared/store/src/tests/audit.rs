//! Tenants' audit logs: a row with its write or neither, places a moment later, nothing changed unseen.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use mcp_audit::{
    AuditRow, Decision, LogSeat, TenantLogs,
    log::{Inclusion, LogKey, LogSigner, SEED_BYTES, Tiles, Verification, Verified},
};
use mcp_tenancy::{Evidence, TenantScope};
use mcp_types::{SystemClock, SystemEntropy, TenantSlug, Timestamp};

use super::{house::insert, *};

/// A database whose tenants' logs are kept.
struct Kept {
    db: Db,
    seat: LogSeat,
    logs: Arc<TenantAudit>,
}

impl Kept {
    async fn new(house: &House) -> Self {
        let db = house.open_with(sealing(house)).await.expect("opens");
        let seat = LogSeat {
            signer: Arc::new(LogSigner::from_seed(&[3; SEED_BYTES]).expect("a seed")),
            trust_domain: "mcp.local".parse().expect("a domain"),
            service: service("context"),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        };
        let logs = TenantAudit::start(&db, seat.clone());
        Self { db, seat, logs }
    }

    fn key(&self, tenant: &TenantSlug) -> LogKey {
        self.seat.signer.key(&self.seat.origin(Some(tenant)))
    }

    /// A scope with the row of a write by `name`.
    fn writing(&self, slug: &str, name: &str) -> (TenantScope, Arc<Evidence>) {
        let evidence = self.logs.evidence(&row(name)).expect("evidence");
        (tenant(slug).with_evidence(Some(Arc::clone(&evidence))), evidence)
    }

    async fn log(&self, slug: &str) -> (Vec<AuditEntry>, Option<AuditHead>) {
        let mut entries = Vec::new();
        let head = self.db.read_audit(&tenant(slug), &mut |entry| entries.push(entry)).await.expect("read");
        (entries, head)
    }

    async fn names(&self, slug: &str) -> Vec<String> {
        self.log(slug).await.0.iter().map(name).collect()
    }

    async fn verify(&self, slug: &str) -> Verified {
        let (entries, head) = self.log(slug).await;
        let mut check = Verification::of(self.key(tenant(slug).tenant()), head.expect("signed"));
        for entry in &entries {
            check.row(entry.place, &entry.leaf, entry.entry.as_ref());
        }
        check.finish()
    }
}

fn sealing(house: &House) -> Options {
    Options { keys: Some(house.keys()), ..options() }
}

fn row(name: &str) -> AuditRow {
    // Each a millisecond after the one before: that is the order in which they stand.
    static NOW: AtomicI64 = AtomicI64::new(1_700_000_000_000);
    let now = Timestamp::from_unix_millis(NOW.fetch_add(1, Ordering::SeqCst));
    AuditRow { principal: Some(name.to_owned().into()), decision: Some(Decision::Allow), ..AuditRow::at(now) }
}

fn name(entry: &AuditEntry) -> String {
    let row = entry.entry.as_ref().expect("there").row().expect("a row");
    row.principal.as_deref().map_or_else(|| format!("lost {:?}", row.count), str::to_owned)
}

async fn a_write_and_its_row_are_there_together_or_not_at_all(house: House) {
    let kept = Kept::new(&house).await;
    let (scope, evidence) = kept.writing("acme", "alice");
    put(&kept.db, &scope, "one").await;
    assert!(evidence.is_taken());
    assert_eq!(kept.names("acme").await, ["alice"]);

    let (scope, evidence) = kept.writing("acme", "bob");
    let mut tx = kept.db.within(&scope).await.expect("within");
    insert(&mut tx, "two").await;
    drop(tx);
    assert!(!evidence.is_taken() && !evidence.is_refused());
    assert_eq!(
        (kept.names("acme").await, notes(&kept.db, &scope).await),
        (vec!["alice".into()], vec!["one".into()])
    );
    // Of another tenant nothing is there.
    assert!(kept.names("globex").await.is_empty());
}

async fn a_call_with_several_transactions_has_one_row(house: House) {
    let kept = Kept::new(&house).await;
    let (scope, _) = kept.writing("acme", "alice");
    for text in ["one", "two", "three"] {
        put(&kept.db, &scope, text).await;
    }
    // Two that began before either was committed.
    let (scope, _) = kept.writing("acme", "bob");
    let (one, two) = tokio::join!(put(&kept.db, &scope, "four"), put(&kept.db, &scope, "five"));
    assert_eq!(((), ()), (one, two));
    assert_eq!(kept.names("acme").await, ["alice", "bob"]);
}

async fn one_transaction_of_several_calls_takes_the_rows_of_all(house: House) {
    let kept = Kept::new(&house).await;
    let ((alices, alice), (bobs, bob)) = (kept.writing("acme", "alice"), kept.writing("acme", "bob"));
    let mut tx = kept.db.within(&alices).await.expect("within");
    tx.take_along(&bobs);
    insert(&mut tx, "one").await;
    tx.commit().await.expect("committed");
    assert!(alice.is_taken() && bob.is_taken());
    let names: BTreeSet<_> = kept.names("acme").await.into_iter().collect();
    assert_eq!(names, BTreeSet::from(["alice".to_owned(), "bob".to_owned()]));
}

async fn a_write_whose_row_cannot_be_written_does_not_happen(house: House) {
    let kept = Kept::new(&house).await;
    put(&kept.db, &kept.writing("acme", "alice").0, "one").await;
    // Large enough that it needs room which its write does not.
    let evidence = Arc::new(Evidence::new([9; 16], &[1; 33], vec![0; 1 << 20]));
    let scope = tenant("acme").with_evidence(Some(Arc::clone(&evidence)));
    let refuse = async |refuses: bool| {
        match &house.server {
        Some(server) => drop(server.database.sql(if refuses {
            "ALTER TABLE context.mcp_audit_row ADD CONSTRAINT full_disk CHECK (length(sealed) < 9000) NOT VALID"
        } else {
            "ALTER TABLE context.mcp_audit_row DROP CONSTRAINT full_disk"
        })),
        None => {
            let mut tx = kept.db.within(&tenant("acme")).await.expect("within");
            let pages = if refuses { "PRAGMA max_page_count = 1" } else { "PRAGMA max_page_count = 1000000" };
            sql(pages).fetch_one::<(i64,)>(&mut tx).await.expect("set");
        }
    }
    };
    refuse(true).await;

    let mut tx = kept.db.within(&scope).await.expect("within");
    insert(&mut tx, "two").await;
    let refused = tx.commit().await.expect_err("no row, no write");

    assert!(house.engine() == Engine::Postgres || matches!(refused, StoreError::Full { .. }), "{refused:?}");
    assert!(evidence.is_refused() && !evidence.is_taken());
    // Reads go on, and once there is room the next write does too.
    assert_eq!(notes(&kept.db, &scope).await, ["one"]);
    refuse(false).await;
    put(&kept.db, &kept.writing("acme", "carol").0, "three").await;
    assert_eq!(kept.names("acme").await, ["alice", "carol"]);
}

async fn rows_get_their_places_and_a_checkpoint_that_proves_them(house: House) {
    let kept = Kept::new(&house).await;
    for at in 0..30 {
        put(&kept.db, &kept.writing("acme", &format!("writer-{at:02}")).0, &format!("note-{at}")).await;
        kept.logs.record(&tenant("acme"), &row("reader")).expect("room");
    }
    kept.logs.flush().await.expect("written");
    let found = kept.verify("acme").await;
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.size, found.rows, found.waiting), (60, 60, 0));

    // It goes on where it was, and each row is proved.
    put(&kept.db, &kept.writing("acme", "last").0, "last").await;
    kept.logs.flush().await.expect("written");
    let (entries, head) = kept.log("acme").await;
    let head = head.expect("signed");
    assert_eq!((head.size(), head.origin()), (61, "mcp/mcp.local/context/acme"));
    let (_, tiles) = Tiles::over(entries.iter().map(|entry| entry.leaf.hash()));
    for entry in &entries {
        let proof = Inclusion::prove(head.clone(), entry.place.expect("placed"), &tiles).expect("proved");
        proof.verify(entry.leaf.hash(), &kept.key(tenant("acme").tenant())).expect("holds");
    }
}

async fn more_rows_than_a_batch_and_a_tile_hold_are_placed(house: House) {
    let kept = Kept::new(&house).await;
    for at in 0..2500 {
        kept.logs.record(&tenant("acme"), &row(&format!("reader-{at}"))).expect("room");
    }
    kept.logs.flush().await.expect("written");
    let found = kept.verify("acme").await;
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.size, 2500);
}

async fn places_come_by_themselves_within_the_merge_delay(house: House) {
    let kept = Kept::new(&house).await;
    put(&kept.db, &kept.writing("acme", "alice").0, "one").await;
    let begun = tokio::time::Instant::now();
    while kept.db.audit_head(&tenant("acme")).await.expect("read").is_none() {
        assert!(begun.elapsed().as_secs() < 20, "no checkpoint covers the row");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(kept.verify("acme").await.is_sound());
}

async fn each_tenant_has_a_log_of_its_own(house: House) {
    let kept = Kept::new(&house).await;
    for slug in ["acme", "globex", "initech"] {
        for at in 0..3 {
            put(&kept.db, &kept.writing(slug, &format!("{slug}-{at}")).0, &format!("{slug}-{at}")).await;
        }
    }
    kept.logs.flush().await.expect("written");
    for slug in ["acme", "globex", "initech"] {
        assert_eq!(kept.names(slug).await, [0, 1, 2].map(|at| format!("{slug}-{at}")));
        let found = kept.verify(slug).await;
        assert!(found.is_sound() && found.size == 3, "{slug}: {found:?}");
    }
}

async fn what_users_did_is_sealed(house: House) {
    let kept = Kept::new(&house).await;
    put(&kept.db, &kept.writing("acme", "zebrafink").0, "one").await;
    kept.logs.flush().await.expect("written");
    let mut tx = kept.db.read(&tenant("acme")).await.expect("read");
    let sealed: Vec<(Vec<u8>, Vec<u8>)> =
        sql("SELECT leaf, sealed FROM mcp_audit_row").fetch_all(&mut tx).await.expect("selected");
    assert_eq!(sealed.len(), 1);
    for bytes in sealed.iter().flat_map(|(leaf, sealed)| [leaf, sealed]) {
        assert!(!bytes.windows(9).any(|window| window == b"zebrafink"));
    }
}

async fn a_rotated_key_leaves_the_log_as_it_was(house: House) {
    let kept = Kept::new(&house).await;
    for at in 0..5 {
        put(&kept.db, &kept.writing("acme", &format!("before-{at}")).0, &format!("{at}")).await;
    }
    kept.logs.flush().await.expect("written");
    kept.db.rotate_key(&tenant("acme")).await.expect("rotated");
    put(&kept.db, &kept.writing("acme", "after").0, "after").await;
    kept.db.reseal(&tenant("acme"), &mut |_| ()).await.expect("sealed anew");
    kept.logs.flush().await.expect("written");
    assert_eq!(kept.names("acme").await.len(), 6);
    assert!(kept.verify("acme").await.is_sound());
}

async fn erased_rows_leave_the_log_sound(house: House) {
    let kept = Kept::new(&house).await;
    for at in 0..6 {
        put(&kept.db, &kept.writing("acme", &format!("writer-{at}")).0, &format!("{at}")).await;
    }
    kept.logs.flush().await.expect("written");
    let mut tx = kept.db.within(&tenant("acme")).await.expect("within");
    sql("UPDATE mcp_audit_row SET sealed = NULL WHERE place < $1")
        .bind(4_i64)
        .execute(&mut tx)
        .await
        .expect("erased");
    tx.commit().await.expect("committed");
    let found = kept.verify("acme").await;
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.rows, found.erased), (6, 4));
}

async fn what_is_changed_behind_its_back_is_found(house: House) {
    let kept = Kept::new(&house).await;
    for at in 0..6 {
        put(&kept.db, &kept.writing("acme", &format!("writer-{at}")).0, &format!("{at}")).await;
    }
    kept.logs.flush().await.expect("written");
    let change = async |statement: &'static str| {
        let mut tx = kept.db.within(&tenant("acme")).await.expect("within");
        sql(statement).execute(&mut tx).await.expect("changed");
        tx.commit().await.expect("committed");
        kept.verify("acme").await
    };
    assert!(
        !change("UPDATE mcp_audit_row SET place = place + 1000 WHERE place >= 2").await.is_sound(),
        "moved"
    );
    assert!(
        change("UPDATE mcp_audit_row SET place = place - 1000 WHERE place >= 1002").await.is_sound(),
        "put back"
    );
    assert!(!change("DELETE FROM mcp_audit_row WHERE place = 5").await.is_sound(), "cut");
}

async fn what_a_kill_left_without_a_place_gets_one_later(house: House) {
    let kept = Kept::new(&house).await;
    put(&kept.db, &kept.writing("acme", "alice").0, "one").await;
    kept.logs.flush().await.expect("written");
    // A process that ends here has committed the row and given it no place.
    let Kept { db, seat, logs } = kept;
    let evidence = logs.evidence(&row("bob")).expect("evidence");
    drop(logs);
    put(&db, &tenant("acme").with_evidence(Some(evidence)), "two").await;
    let db = match house.engine() {
        Engine::Sqlite => {
            db.close().await;
            house.open_with(sealing(&house)).await.expect("opens again")
        }
        Engine::Postgres => db,
    };
    let logs = TenantAudit::start(&db, seat.clone());
    let kept = Kept { db, seat, logs };
    put(&kept.db, &kept.writing("acme", "carol").0, "three").await;
    kept.logs.flush().await.expect("written");
    assert_eq!(kept.names("acme").await, ["alice", "bob", "carol"]);
    assert!(kept.verify("acme").await.is_sound());
}

on_both_engines! {
    a_write_and_its_row_are_there_together_or_not_at_all
    a_call_with_several_transactions_has_one_row
    one_transaction_of_several_calls_takes_the_rows_of_all
    a_write_whose_row_cannot_be_written_does_not_happen
    rows_get_their_places_and_a_checkpoint_that_proves_them
    more_rows_than_a_batch_and_a_tile_hold_are_placed
    places_come_by_themselves_within_the_merge_delay
    each_tenant_has_a_log_of_its_own
    what_users_did_is_sealed
    a_rotated_key_leaves_the_log_as_it_was
    erased_rows_leave_the_log_sound
    what_is_changed_behind_its_back_is_found
    what_a_kill_left_without_a_place_gets_one_later
}
