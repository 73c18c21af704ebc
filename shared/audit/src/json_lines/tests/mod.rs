//! What a log keeps, what it tells of what it lost, and that nobody can fill it from outside.

mod signed;

use std::{
    fs::{self, File},
    io::BufReader,
    os::unix::fs::PermissionsExt as _,
    sync::{
        Mutex,
        atomic::{AtomicI64, Ordering},
        mpsc,
    },
};

use mcp_types::Timestamp;

use super::*;
use crate::{Decision, ROWS_LOST, rows};

/// A disk that a test can fill, break and hold up.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    text: Vec<u8>,
    synced_bytes: usize,
    syncs: usize,
    is_full: bool,
    fails_to_sync: bool,
    /// The writer says that it is in the disk's hands, and waits to be let go.
    held: Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>,
}

impl Disk {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("not poisoned")
    }

    fn rows(&self) -> Vec<AuditRow> {
        rows(&*self.state().text).map(|row| row.expect("whole")).collect()
    }

    /// Holds the next batch; gives a way to see that it is held and one to let it go.
    fn hold(&self) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
        let (arrive, arrived) = mpsc::channel();
        let (go, going) = mpsc::channel();
        self.state().held = Some((arrive, going));
        (arrived, go)
    }
}

impl Medium for Disk {
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let held = self.state().held.take();
        if let Some((arrive, going)) = held {
            arrive.send(()).expect("watched");
            going.recv().expect("let go");
        }
        let mut state = self.state();
        if state.is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.text.extend_from_slice(lines);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state();
        if state.fails_to_sync {
            return Err(io::Error::other("worn out"));
        }
        state.synced_bytes = state.text.len();
        state.syncs += 1;
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Dial(AtomicI64);

impl Clock for Dial {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_secs(self.0.load(Ordering::SeqCst))
    }
}

fn row(name: impl Into<String>) -> AuditRow {
    AuditRow {
        principal: Some(name.into().into()),
        decision: Some(Decision::Allow),
        ..AuditRow::at(Timestamp::default())
    }
}

fn refusal(method: usize, reason: &'static str) -> AuditRow {
    AuditRow {
        listener: Some("edge".into()),
        method: Some(format!("/m/{method}").into()),
        decision: Some(Decision::Deny),
        reason: Some(reason.into()),
        ..AuditRow::at(Timestamp::from_unix_millis(1000 + i64::try_from(method).expect("fits")))
    }
}

fn names(rows: &[AuditRow]) -> Vec<&str> {
    rows.iter().filter_map(|row| row.principal.as_deref()).collect()
}

fn read(file: &Path) -> Vec<io::Result<AuditRow>> {
    rows(BufReader::new(File::open(file).expect("opens"))).collect()
}

#[tokio::test]
async fn rows_are_kept_in_order_for_the_owner_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("audit/context.jsonl");
    let log = JsonLines::open(&file, Options::default()).expect("opens");

    log.record(row("one")).expect("room");
    log.record_durably(row("two")).await.expect("kept");
    log.record(row("three")).expect("room");
    log.flush().await.expect("kept");

    let kept: Vec<_> = read(&file).into_iter().map(|row| row.expect("whole")).collect();
    assert_eq!(names(&kept), ["one", "two", "three"]);
    assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    let folder = fs::metadata(dir.path().join("audit")).expect("there");
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn what_was_waited_for_is_there_after_a_kill() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("audit.jsonl");
    let log = JsonLines::open(&file, Options::default()).expect("opens");
    log.record_durably(row("one")).await.expect("kept");
    // A process that is killed runs no destructor; what it leaves is what the disk has now.
    let killed = dir.path().join("killed.jsonl");
    fs::copy(&file, &killed).expect("copied");

    let log = JsonLines::open(&killed, Options::default()).expect("opens again");
    log.record_durably(row("two")).await.expect("kept");
    let kept: Vec<_> = read(&killed).into_iter().map(|row| row.expect("whole")).collect();
    assert_eq!(names(&kept), ["one", "two"]);
}

#[tokio::test]
async fn a_line_cut_short_is_ended_and_harms_no_other() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("audit.jsonl");
    drop(JsonLines::open(&file, Options::default()).expect("opens"));
    let whole = serde_json::to_string(&row("one")).expect("json");
    fs::write(&file, format!("{whole}\n{}", &whole[..20])).expect("written");

    let log = JsonLines::open(&file, Options::default()).expect("opens");
    log.record_durably(row("two")).await.expect("kept");

    let kept = read(&file);
    assert_eq!(kept.len(), 3);
    assert_eq!(kept[0].as_ref().expect("whole"), &row("one"));
    assert_eq!(kept[1].as_ref().expect_err("torn").kind(), io::ErrorKind::InvalidData);
    assert_eq!(kept[2].as_ref().expect("whole"), &row("two"));
}

#[test]
fn a_log_has_one_writer() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("audit.jsonl");
    let log = JsonLines::open(&file, Options::default()).expect("opens");
    let refusal = JsonLines::open(&file, Options::default()).expect_err("taken");
    assert_eq!(refusal.source.kind(), io::ErrorKind::WouldBlock);
    drop(log);
    assert!(JsonLines::open(&file, Options::default()).is_ok());
}

#[test]
fn a_dropped_log_writes_what_it_holds() {
    let disk = Disk::default();
    let log = JsonLines::over(disk.clone(), Options::default()).expect("starts");
    for n in 0..3000 {
        log.record(row(n.to_string())).expect("room");
    }
    drop(log);
    assert_eq!(disk.rows().len(), 3000);
    let state = disk.state();
    assert_eq!(state.synced_bytes, state.text.len());
}

#[tokio::test]
async fn a_row_is_synced_before_it_is_acknowledged_and_one_sync_serves_many() {
    let disk = Disk::default();
    let log = Arc::new(JsonLines::over(disk.clone(), Options::default()).expect("starts"));
    let (held, go) = disk.hold();

    let first = tokio::spawn({
        let log = Arc::clone(&log);
        async move { log.record_durably(row("first")).await }
    });
    tokio::task::spawn_blocking(move || held.recv()).await.expect("joined").expect("held");
    let rest: Vec<_> =
        (0..50).map(|n| log.queue.push_awaited(Some(row(n.to_string()))).expect("room")).collect();
    assert!(!first.is_finished(), "nothing is acknowledged while the disk has not answered");
    go.send(()).expect("waiting");

    first.await.expect("joined").expect("kept");
    for answer in rest {
        answer.await.expect("answered").expect("kept");
        let state = disk.state();
        assert_eq!(state.synced_bytes, state.text.len());
    }
    assert_eq!(disk.state().syncs, 2);
    assert_eq!(disk.rows().len(), 51);
}

#[tokio::test]
async fn a_full_disk_stops_what_waits_for_its_row_and_nothing_else_and_recovers() {
    let disk = Disk::default();
    let log = JsonLines::over(disk.clone(), Options::default()).expect("starts");
    disk.state().is_full = true;

    let refused = log.record_durably(row("write")).await;
    assert!(matches!(&refused, Err(AuditLost::Disk(error)) if error.kind() == io::ErrorKind::StorageFull));
    log.record(row("read")).expect("nobody waits for it");
    log.flush().await.expect_err("still full");
    disk.state().is_full = false;

    log.record_durably(row("later")).await.expect("kept");
    let kept = disk.rows();
    assert_eq!(names(&kept), ["later"]);
    assert_eq!(
        (kept[0].reason.as_deref(), kept[0].count),
        (Some(ROWS_LOST), Some(1)),
        "the log tells of its gap"
    );
}

#[tokio::test]
async fn a_disk_that_cannot_sync_acknowledges_nothing() {
    let disk = Disk::default();
    let log = JsonLines::over(disk.clone(), Options::default()).expect("starts");
    disk.state().fails_to_sync = true;
    assert!(matches!(log.record_durably(row("write")).await, Err(AuditLost::Disk(_))));
    disk.state().fails_to_sync = false;
    log.record_durably(row("later")).await.expect("kept");
}

#[tokio::test]
async fn a_slow_disk_fills_the_queue_to_its_bound_with_room_left_for_writes() {
    let disk = Disk::default();
    let options = Options { queue_rows_max: 40, ..Options::default() };
    let log = JsonLines::over(disk.clone(), options).expect("starts");
    let (held, go) = disk.hold();
    let first = log.queue.push_awaited(Some(row("first"))).expect("room");
    tokio::task::spawn_blocking(move || held.recv()).await.expect("joined").expect("held");

    let taken = (0..100).filter(|n| log.record(row(n.to_string())).is_ok()).count();
    assert_eq!(taken, 30);
    let awaited: Vec<_> = (0..20).map_while(|_| log.queue.push_awaited(Some(row("write"))).ok()).collect();
    assert_eq!(awaited.len(), 10);
    assert!(matches!(log.record_durably(row("write")).await, Err(AuditLost::Full)));
    go.send(()).expect("waiting");

    first.await.expect("answered").expect("kept");
    for answer in awaited {
        answer.await.expect("answered").expect("kept");
    }
    let lost: u64 = disk.rows().iter().filter_map(|row| row.count).sum();
    assert_eq!(lost, 70, "what was turned away is counted in the log itself");
}

#[tokio::test]
async fn a_flood_of_strangers_is_a_few_rows_and_a_count() {
    let disk = Disk::default();
    let dial = Arc::new(Dial(AtomicI64::new(100)));
    let clock = Arc::<Dial>::clone(&dial);
    let log = JsonLines::over(disk.clone(), Options { clock, ..Options::default() }).expect("starts");

    for n in 0..100_000 {
        log.record(refusal(n, if n % 2 == 0 { "TOKEN_MISSING" } else { "TOKEN_EXPIRED" })).expect("taken");
    }
    log.record(row("alice")).expect("the flood takes no room from others");
    log.flush().await.expect("kept");

    let kept = disk.rows();
    assert_eq!(kept.len(), 20 + 1 + 2);
    let folded: Vec<_> = kept.iter().filter(|row| row.count.is_some()).collect();
    assert_eq!(folded.iter().filter_map(|row| row.count).sum::<u64>(), 99_980);
    assert_eq!(folded[0].reason.as_deref(), Some("TOKEN_MISSING"));
    assert_eq!(folded[0].listener.as_deref(), Some("edge"));
    assert_eq!(folded[0].method, None, "what a stranger chooses is not kept apart");
    assert_eq!(folded[0].since, Some(Timestamp::from_unix_millis(1020)));
    assert_eq!(folded[0].time, Timestamp::from_unix_millis(1000 + 99_998));

    // The next interval begins with rows of their own again.
    dial.0.fetch_add(10, Ordering::SeqCst);
    log.record(refusal(7, "TOKEN_MISSING")).expect("taken");
    log.flush().await.expect("kept");
    assert_eq!(disk.rows().last().and_then(|row| row.method.clone()).as_deref(), Some("/m/7"));
}

#[tokio::test]
async fn kinds_of_refusal_are_bounded_too() {
    let disk = Disk::default();
    let dial = Arc::new(Dial(AtomicI64::new(100)));
    let log = JsonLines::over(disk.clone(), Options { clock: dial, ..Options::default() }).expect("starts");
    for n in 0..10_000 {
        let listener = Some(format!("listener-{n}").into());
        log.record(AuditRow { listener, ..refusal(n, "TOKEN_MISSING") }).expect("taken");
    }
    log.flush().await.expect("kept");

    let kept = disk.rows();
    assert!(kept.len() <= 20 + 65, "{}", kept.len());
    assert_eq!(kept.iter().map(|row| row.count.unwrap_or(1)).sum::<u64>(), 10_000);
}

#[tokio::test]
async fn refusals_of_known_callers_are_never_folded() {
    let disk = Disk::default();
    let log = JsonLines::over(disk.clone(), Options::default()).expect("starts");
    for n in 0..500 {
        let peer = Some("service/gateway".into());
        log.record(AuditRow { peer, ..refusal(n, "PERMISSION_MISSING") }).expect("taken");
    }
    log.flush().await.expect("kept");
    assert_eq!(disk.rows().len(), 500);
}
