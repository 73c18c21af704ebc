//! Older states put back: all of one, or parts.

use super::*;

/// A copy of what was in a folder.
struct Copy {
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Copy {
    fn of(folder: &Path) -> Self {
        let files = files_below(folder).into_iter();
        Self { files: files.map(|file| (file.clone(), fs::read(&file).expect("readable"))).collect() }
    }

    /// Puts the folder back to what it was.
    fn restore(&self, folder: &Path) {
        fs::remove_dir_all(folder).expect("removed");
        for (file, bytes) in &self.files {
            disk::write_unnamed(file, bytes).expect("written");
        }
    }
}

/// A store that has come a way, with a copy of its folder and its mark after each step.
async fn grown(home: &Home) -> Vec<(Copy, Vec<u8>)> {
    let mut copies = Vec::new();
    let store = home.open().expect("opens");
    for step in 0..7_u8 {
        match step {
            4 => assert!(store.delete(&path("b")).await.expect("delete")),
            _ => {
                let name = if step % 3 == 1 { "b" } else { "a" };
                store.put(&path(name), secret(&[step])).await.expect("put");
            }
        }
        copies.push((Copy::of(&home.folder()), fs::read(home.mark()).expect("a mark")));
    }
    copies
}

#[tokio::test]
async fn the_whole_folder_of_an_earlier_day_is_refused() {
    let home = Home::new();
    let copies = grown(&home).await;
    let (newest, earlier) = copies.split_last().expect("copies");
    for (day, (copy, _)) in earlier.iter().enumerate() {
        copy.restore(&home.folder());
        let refusals = [home.open().map(drop), home.read_only().map(drop)];
        for refusal in refusals {
            let refusal = refusal.expect_err("older");
            assert!(matches!(refusal, SecretsError::RolledBack { .. }), "day {day}: {refusal:?}");
            assert!(refusal.to_string().contains("mcp secrets accept"), "{refusal}");
        }
    }
    newest.0.restore(&home.folder());
    let store = home.open().expect("the newest is fine");
    assert_eq!(store.get(&path("a")).await.expect("get"), Some(secret(&[6])));
}

#[tokio::test]
async fn the_index_of_an_earlier_day_is_refused() {
    let home = Home::new();
    let copies = grown(&home).await;
    let index = home.folder().join("index");
    for (copy, _) in copies.iter().rev().skip(1) {
        let (_, bytes) = copy.files.iter().find(|(file, _)| *file == index).expect("an index");
        fs::write(&index, bytes).expect("written");
        assert!(matches!(home.open(), Err(SecretsError::RolledBack { .. })));
    }
}

#[tokio::test]
async fn an_index_that_is_cut_by_what_was_acknowledged_is_refused() {
    let home = Home::new();
    let store = home.open().expect("opens");
    store.put(&path("a"), secret(b"x")).await.expect("put");
    store.put(&path("b"), secret(b"y")).await.expect("put");
    drop(store);
    let index = home.folder().join("index");
    let whole = fs::read(&index).expect("readable");
    for bytes in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        fs::write(&index, &whole[..bytes]).expect("written");
        let refusal = home.open().expect_err("cut");
        let is_clear = matches!(refusal, SecretsError::RolledBack { .. } | SecretsError::IndexDamaged { .. });
        assert!(is_clear, "{bytes}: {refusal:?}");
        assert_eq!(fs::read(&index).expect("readable").len(), bytes, "and left as it is");
    }
    fs::remove_file(&index).expect("removed");
    assert!(matches!(home.open(), Err(SecretsError::IndexMissing { .. })));
    assert!(matches!(home.read_only(), Err(SecretsError::IndexMissing { .. })));
    fs::write(&index, &whole).expect("written");
    home.open().expect("whole again");
}

#[tokio::test]
async fn an_emptied_folder_is_not_taken_for_a_new_one() {
    let home = Home::new();
    grown(&home).await;
    fs::remove_dir_all(home.folder()).expect("removed");
    assert!(matches!(home.open(), Err(SecretsError::IndexMissing { .. })));
    // Nor where the mark went with the index, while there are secrets.
    let home = Home::new();
    grown(&home).await;
    fs::remove_file(home.folder().join("index")).expect("removed");
    fs::remove_file(home.mark()).expect("removed");
    assert!(matches!(home.open(), Err(SecretsError::IndexMissing { .. })));
    assert!(home.file("a").exists());
}

#[tokio::test]
async fn an_older_version_of_a_secret_is_found() {
    let home = Home::new();
    let store = home.open().expect("opens");
    store.put(&path("a"), secret(b"old")).await.expect("put");
    let old = fs::read(home.file("a")).expect("readable");
    store.put(&path("a"), secret(b"new")).await.expect("put");
    fs::write(home.file("a"), old).expect("written");

    assert!(matches!(store.get(&path("a")).await, Err(SecretsError::Tampered { .. })));
    drop(store);
    let store = home.open().expect("opens");
    assert!(matches!(store.get(&path("a")).await, Err(SecretsError::Tampered { .. })));
}

#[tokio::test]
async fn a_deleted_secret_put_back_is_gone_all_the_same() {
    let home = Home::new();
    let store = home.open().expect("opens");
    store.put(&path("a"), secret(b"old")).await.expect("put");
    let (file, bytes) = (home.file("a"), fs::read(home.file("a")).expect("readable"));
    store.delete(&path("a")).await.expect("delete");
    fs::write(&file, bytes).expect("written");

    assert_eq!(store.get(&path("a")).await.expect("get"), None);
    drop(store);
    let store = home.open().expect("opens");
    assert_eq!(store.get(&path("a")).await.expect("get"), None);
    assert!(!file.exists(), "and is swept");
}

#[tokio::test]
async fn a_mark_that_is_behind_follows() {
    let home = Home::new();
    let copies = grown(&home).await;
    let newest = fs::read(home.mark()).expect("a mark");
    // As a kill before the mark leaves it, or a copy of the master key's folder of an earlier day.
    for (_, mark) in &copies {
        fs::write(home.mark(), mark).expect("written");
        drop(home.open().expect("opens"));
        let slots = |bytes: &[u8]| bytes.chunks(512).map(<[u8]>::to_vec).max().expect("slots");
        assert_eq!(slots(&fs::read(home.mark()).expect("a mark")), slots(&newest));
    }
}

#[tokio::test]
async fn a_missing_or_torn_mark_is_told_and_what_is_there_can_be_accepted() {
    let home = Home::new();
    grown(&home).await;
    for junk in [None, Some(vec![]), Some(vec![0; 1024])] {
        match junk {
            None => fs::remove_file(home.mark()).expect("removed"),
            Some(junk) => fs::write(home.mark(), junk).expect("written"),
        }
        let refusal = home.open().expect_err("no mark");
        assert!(matches!(refusal, SecretsError::MarkMissing { .. }), "{refusal:?}");
        assert!(matches!(home.read_only(), Err(SecretsError::MarkMissing { .. })));

        assert_eq!(home.accept().expect("accepted"), 1);
        let store = home.open().expect("opens");
        assert_eq!(store.get(&path("a")).await.expect("get"), Some(secret(&[6])));
    }
}

#[tokio::test]
async fn one_torn_slot_of_the_mark_locks_nobody_out() {
    let home = Home::new();
    grown(&home).await;
    let whole = fs::read(home.mark()).expect("a mark");
    for slot in 0..2 {
        let mut torn = whole.clone();
        torn[slot * 512 + 40] ^= 1;
        fs::write(home.mark(), torn).expect("written");
        drop(home.open().expect("opens"));
    }
}

#[tokio::test]
async fn an_earlier_day_can_be_accepted_and_the_later_one_is_then_the_older() {
    let home = Home::new();
    let copies = grown(&home).await;
    copies[2].0.restore(&home.folder());
    assert!(matches!(home.open(), Err(SecretsError::RolledBack { .. })));

    assert_eq!(home.accept().expect("accepted"), 2);

    let store = home.open().expect("opens");
    assert_eq!(store.get(&path("a")).await.expect("get"), Some(secret(&[2])));
    assert_eq!(store.get(&path("b")).await.expect("get"), Some(secret(&[1])));
    drop(store);
    copies.last().expect("copies").0.restore(&home.folder());
    assert!(matches!(home.open(), Err(SecretsError::RolledBack { .. })));
}

#[tokio::test]
async fn a_damaged_index_can_be_made_again_out_of_the_files() {
    let home = Home::new();
    grown(&home).await;
    fs::write(home.folder().join("index"), b"junk").expect("written");
    let refusal = home.open().expect_err("damaged");
    assert!(matches!(refusal, SecretsError::IndexDamaged { .. }), "{refusal:?}");

    assert_eq!(home.accept().expect("accepted"), 1);

    let store = home.open().expect("opens");
    assert_eq!(store.get(&path("a")).await.expect("get"), Some(secret(&[6])));
    store.put(&path("a"), secret(b"on")).await.expect("goes on");
}

#[tokio::test]
async fn a_reader_does_not_follow_into_the_past() {
    let home = Home::new();
    let copies = grown(&home).await;
    let reader = home.read_only().expect("opens");
    let newest = Copy::of(&home.folder());

    copies[3].0.restore(&home.folder());
    assert!(matches!(reader.get(&path("a")).await, Err(SecretsError::RolledBack { .. })));
    // Not even where the mark went back too: this process has seen more.
    fs::write(home.mark(), &copies[3].1).expect("written");
    assert!(matches!(reader.get(&path("a")).await, Err(SecretsError::RolledBack { .. })));
    newest.restore(&home.folder());
    assert_eq!(reader.get(&path("a")).await.expect("get"), Some(secret(&[6])));
}
