//! A file of rows that proves itself: over restarts, kills and other people's editors.

use std::{fs, io, sync::Arc};

use mcp_types::{SystemEntropy, Timestamp};

use super::*;
use crate::{
    Decision,
    log::{LogFiles, Verification, Verified},
};

struct House {
    dir: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder") }
    }

    fn files(&self) -> LogFiles {
        LogFiles::of(&self.dir.path().join("audit.jsonl"))
    }

    fn origin() -> crate::log::Origin {
        let (domain, service) = ("mcp.local".parse().expect("a domain"), "gateway".parse().expect("a name"));
        crate::log::Origin::of(&domain, &service, None)
    }

    fn open(&self) -> Result<JsonLines, CannotOpen> {
        let files = self.files();
        let signer = Arc::new(files.signer(&SystemEntropy).expect("a key"));
        let signing = Signing { signer, origin: Self::origin(), entropy: Arc::new(SystemEntropy) };
        JsonLines::open(files.rows(), Options { signing: Some(signing), ..Options::default() })
    }

    /// Opens the log, writes rows to it, and closes it.
    async fn write(&self, rows: std::ops::Range<usize>) {
        let log = self.open().expect("opens");
        for at in rows {
            log.record_durably(row(at)).await.expect("kept");
        }
    }

    fn verify(&self) -> Verified {
        let files = self.files();
        let checkpoint = files.checkpoint().expect("readable").expect("signed");
        let mut check = Verification::of(files.key().expect("readable").expect("there"), checkpoint);
        for (at, entry) in (0..).zip(files.entries(0).expect("readable")) {
            let (entry, _) = entry.expect("read");
            check.row(Some(at), &entry.leaf(), Some(&entry));
        }
        check.finish()
    }

    fn refusal(&self) -> String {
        let refused = self.open().expect_err("changed");
        assert_eq!(refused.source.kind(), io::ErrorKind::InvalidData);
        refused.source.to_string()
    }

    fn edit(&self, edit: impl FnOnce(&mut Vec<String>)) {
        let path = self.dir.path().join("audit.jsonl");
        let mut lines: Vec<_> =
            fs::read_to_string(&path).expect("readable").lines().map(str::to_owned).collect();
        edit(&mut lines);
        fs::write(path, lines.join("\n") + "\n").expect("written");
    }
}

fn row(at: usize) -> AuditRow {
    AuditRow {
        principal: Some(format!("user-{at}").into()),
        decision: Some(Decision::Allow),
        ..AuditRow::at(Timestamp::default())
    }
}

#[tokio::test]
async fn what_was_written_is_signed_and_goes_on_after_a_restart() {
    let house = House::new();
    house.write(0..3).await;
    assert_eq!((house.verify().size, house.verify().is_sound()), (3, true));
    house.write(3..300).await;
    let found = house.verify();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!((found.size, found.rows), (300, 300));
    assert_eq!(house.files().progress().tree.size(), 300);
    // Whoever reads rows and knows nothing of trees still reads them.
    let text = fs::read(house.files().rows()).expect("readable");
    assert_eq!(rows(&*text).filter_map(Result::ok).count(), 300);
}

#[tokio::test]
async fn a_running_log_signs_within_its_delay() {
    let house = House::new();
    let log = house.open().expect("opens");
    log.record(row(0)).expect("room");
    let begun = tokio::time::Instant::now();
    while house.files().checkpoint().expect("readable").is_none_or(|it| it.size() < 1) {
        assert!(begun.elapsed() < 20 * witness::MERGE_DELAY_MAX, "no checkpoint covers the row");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(log);
}

#[tokio::test]
async fn what_a_kill_left_unsigned_is_signed_by_the_next_process() {
    let house = House::new();
    house.write(0..5).await;
    let (signed, progress) = (fs::read(house.dir.path().join("audit.checkpoint")), house.files().progress());
    house.write(5..9).await;
    // As a kill would leave it: the rows are there, the checkpoint and the tree are those of before.
    fs::write(house.dir.path().join("audit.checkpoint"), signed.expect("there")).expect("written");
    house.files().put_progress(&progress).expect("written");
    house.write(9..10).await;
    assert_eq!((house.verify().size, house.verify().is_sound()), (10, true));
}

#[tokio::test]
async fn a_line_cut_short_by_a_kill_is_a_leaf_like_any_other() {
    let house = House::new();
    house.write(0..4).await;
    let path = house.dir.path().join("audit.jsonl");
    let whole = fs::read(&path).expect("readable");
    fs::write(&path, [&whole[..], b"{\"time\":\"19"].concat()).expect("written");
    house.write(4..6).await;
    let found = house.verify();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.size, 7);
}

#[tokio::test]
async fn the_tree_is_made_again_where_its_file_is_lost_or_bent() {
    let house = House::new();
    house.write(0..20).await;
    fs::write(house.dir.path().join("audit.tree"), "{}").expect("written");
    house.write(20..21).await;
    fs::remove_file(house.dir.path().join("audit.tree")).expect("removed");
    house.write(21..22).await;
    assert_eq!((house.verify().size, house.verify().is_sound()), (22, true));
}

#[tokio::test]
async fn a_log_that_was_changed_is_not_gone_on_with() {
    for change in [
        (|lines| lines[2] = lines[2].replace("user-2", "user-3")) as fn(&mut Vec<String>),
        |lines| drop(lines.remove(1)),
        |lines| lines.swap(0, 1),
        |lines| lines.truncate(4),
        |lines| lines.clear(),
    ] {
        let house = House::new();
        house.write(0..5).await;
        // Without the tree's file every row is read again; with it only a check does that.
        fs::remove_file(house.dir.path().join("audit.tree")).expect("removed");
        house.edit(change);
        assert!(house.refusal().contains("the audit log was changed"), "{}", house.refusal());
        assert!(!house.verify().is_sound());
    }
}

#[tokio::test]
async fn a_checkpoint_of_another_key_is_not_gone_on_from() {
    let house = House::new();
    house.write(0..5).await;
    fs::remove_file(house.dir.path().join("audit.key")).expect("removed");
    assert!(house.refusal().contains("not signed by"), "{}", house.refusal());
}

#[test]
fn keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let house = House::new();
    drop(house.open().expect("opens"));
    let mode = |name: &str| fs::metadata(house.dir.path().join(name)).expect("there").permissions().mode();
    assert_eq!(mode("audit.key") & 0o777, 0o600);
    assert!(crate::log::read_signer("c2hvcnQ=").is_err());
}
