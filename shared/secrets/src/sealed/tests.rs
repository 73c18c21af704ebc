//! What a sealed store keeps, and what it refuses to serve.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use mcp_types::SystemEntropy;
use tempfile::TempDir;

use super::*;
use crate::suite::{Fresh, keepers};

const CANARY: &[u8] = b"canary-7f3a-do-not-leak";

struct Home {
    dir: TempDir,
}

impl Home {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder") }
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("data/secrets")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("keys/master.key")
    }

    fn open(&self) -> Result<SealedStore, SecretsError> {
        SealedStore::open(&self.folder(), &self.key(), Arc::new(SystemEntropy))
    }

    fn read_only(&self) -> Result<SealedStore, SecretsError> {
        SealedStore::open_read_only(&self.folder(), &self.key(), Arc::new(SystemEntropy))
    }

    fn file(&self, path: &str) -> PathBuf {
        self.folder().join("sealed").join(format!("{path}.sealed"))
    }
}

fn path(text: &str) -> SecretPath {
    text.parse().expect("a path")
}

fn secret(bytes: &[u8]) -> Secret {
    Secret::new(bytes.to_vec())
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("readable").map(|it| it.expect("entry").path());
    entries.flat_map(|it| if it.is_dir() { files_below(&it) } else { vec![it] }).collect()
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).expect("there").permissions().mode() & 0o777
}

#[tokio::test]
async fn what_was_put_is_there_after_a_restart() {
    let home = Home::new();
    let store = home.open().expect("opens");
    store.put(&path("a/b"), secret(b"one")).await.expect("put");
    store.put(&path("a/b"), secret(b"two")).await.expect("put");
    store.put(&path("a"), secret(b"")).await.expect("put");
    drop(store);

    let store = home.open().expect("opens again");
    assert_eq!(store.get(&path("a/b")).await.expect("get"), Some(secret(b"two")));
    assert_eq!(store.get(&path("a")).await.expect("get"), Some(secret(b"")));
    assert_eq!(store.get(&path("a/b/c")).await.expect("get"), None);
}

#[tokio::test]
async fn all_who_race_to_make_a_key_go_on_with_the_same_one() {
    let home = Home::new();
    let store = home.open().expect("opens");
    let racers = (0..16_u8).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { store.put_if_absent(&path("key"), secret(&[n])).await.expect("put") })
    });
    let racers: Vec<_> = racers.collect();

    let winner = store.put_if_absent(&path("key"), secret(b"late")).await.expect("put");
    for racer in racers {
        assert_eq!(racer.await.expect("joined"), winner);
    }
    assert_eq!(store.get(&path("key")).await.expect("get"), Some(winner));
}

#[tokio::test]
async fn a_deleted_secret_is_gone_and_the_rest_is_listed() {
    let home = Home::new();
    let store = home.open().expect("opens");
    for name in ["t/b/key", "t/a", "t/a/key", "tt/x"] {
        store.put(&path(name), secret(b"x")).await.expect("put");
    }

    assert!(store.delete(&path("t/a")).await.expect("delete"));
    assert!(!store.delete(&path("t/a")).await.expect("delete"));
    assert_eq!(store.get(&path("t/a")).await.expect("get"), None);
    assert_eq!(store.list(&path("t")).await.expect("list"), [path("t/a/key"), path("t/b/key")]);
    assert_eq!(store.list(&path("nothing")).await.expect("list"), []);
}

#[tokio::test]
async fn nothing_on_the_disk_shows_a_secret_and_nobody_else_may_look() {
    let home = Home::new();
    let store = home.open().expect("opens");
    store.put(&path("a/b"), secret(CANARY)).await.expect("put");

    let files = files_below(home.dir.path());
    assert_eq!(files.len(), 3, "a lock, a key and a secret: {files:?}");
    for file in files {
        let bytes = fs::read(&file).expect("readable");
        assert!(!bytes.windows(CANARY.len()).any(|it| it == CANARY), "{file:?}");
        assert_eq!(mode(&file), 0o600, "{file:?}");
    }
    for folder in [home.folder(), home.folder().join("sealed/a"), home.dir.path().join("keys")] {
        assert_eq!(mode(&folder), 0o700, "{folder:?}");
    }
    assert!(!format!("{store:?}").contains("canary"));
}

#[tokio::test]
async fn a_secret_sealed_twice_shares_no_bytes_but_the_header() {
    let home = Home::new();
    let store = home.open().expect("opens");
    store.put(&path("a"), secret(CANARY)).await.expect("put");
    let first = fs::read(home.file("a")).expect("readable");
    store.put(&path("a"), secret(CANARY)).await.expect("put");
    let second = fs::read(home.file("a")).expect("readable");

    assert_eq!(first[..16], second[..16]);
    assert_ne!(first[16..48], second[16..48], "salts");
    assert_ne!(first[48..60], second[48..60], "nonces");
    assert_ne!(first[60..], second[60..], "ciphertexts");
}

#[tokio::test]
async fn every_changed_or_missing_byte_is_noticed() {
    let home = Home::new();
    let store = home.open().expect("opens");
    store.put(&path("a"), secret(b"some secret")).await.expect("put");
    let whole = fs::read(home.file("a")).expect("readable");

    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        fs::write(home.file("a"), &changed).expect("written");
        let refusal = store.get(&path("a")).await.expect_err("changed");
        let expected = match at {
            0..8 => matches!(refusal, SecretsError::Malformed { .. }),
            8..16 => matches!(refusal, SecretsError::WrongMasterKey { .. }),
            _ => matches!(refusal, SecretsError::Tampered { .. }),
        };
        assert!(expected, "byte {at}: {refusal:?}");

        fs::write(home.file("a"), &whole[..at]).expect("written");
        let refusal = store.get(&path("a")).await.expect_err("cut short");
        let is_clear = matches!(refusal, SecretsError::Malformed { .. } | SecretsError::Tampered { .. });
        assert!(is_clear, "cut at {at}: {refusal:?}");
    }

    let longer = [&*whole, b"x"].concat();
    fs::write(home.file("a"), longer).expect("written");
    assert!(matches!(store.get(&path("a")).await, Err(SecretsError::Tampered { .. })));
}

#[tokio::test]
async fn a_file_put_in_anothers_place_does_not_open() {
    let home = Home::new();
    let store = home.open().expect("opens");
    store.put(&path("acme/key"), secret(b"acme's")).await.expect("put");
    store.put(&path("globex/key"), secret(b"globex'")).await.expect("put");

    fs::copy(home.file("acme/key"), home.file("globex/key")).expect("copied");

    assert!(matches!(store.get(&path("globex/key")).await, Err(SecretsError::Tampered { .. })));
    assert!(store.get(&path("acme/key")).await.is_ok());
}

#[tokio::test]
async fn another_master_key_is_named_as_the_cause() {
    let home = Home::new();
    let store = home.open().expect("opens");
    store.put(&path("a"), secret(b"x")).await.expect("put");
    drop(store);

    fs::write(home.key(), [7; 32]).expect("written");
    let store = home.open().expect("opens");
    assert!(matches!(store.get(&path("a")).await, Err(SecretsError::WrongMasterKey { .. })));
    // What cannot be read is not silently replaced by whoever makes keys on first use.
    let refused = store.put_if_absent(&path("a"), secret(b"y")).await;
    assert!(matches!(refused, Err(SecretsError::WrongMasterKey { .. })));
}

#[tokio::test]
async fn a_lost_master_key_is_not_replaced_while_secrets_wait_for_it() {
    let home = Home::new();
    let store = home.open().expect("opens");
    store.put(&path("a/b/c"), secret(b"x")).await.expect("put");
    drop(store);

    fs::remove_file(home.key()).expect("removed");
    assert!(matches!(home.open(), Err(SecretsError::MasterKeyMissing { .. })));
    assert!(matches!(home.read_only(), Err(SecretsError::MasterKeyMissing { .. })));
    assert!(!home.key().exists());
}

#[test]
fn a_master_key_that_others_may_read_is_refused() {
    let home = Home::new();
    drop(home.open().expect("opens"));

    for bits in [0o640, 0o604, 0o660, 0o610] {
        fs::set_permissions(home.key(), fs::Permissions::from_mode(bits)).expect("set");
        let refusal = home.open().expect_err("exposed");
        assert!(matches!(refusal, SecretsError::Exposed { mode, .. } if mode == bits), "{refusal:?}");
        assert!(matches!(home.read_only(), Err(SecretsError::Exposed { .. })));
    }
    fs::set_permissions(home.key(), fs::Permissions::from_mode(0o400)).expect("set");
    assert!(home.open().is_ok(), "read-only for the owner is stricter, and fine");
}

#[test]
fn a_folder_that_others_may_write_to_is_refused() {
    let home = Home::new();
    drop(home.open().expect("opens"));
    fs::set_permissions(home.folder(), fs::Permissions::from_mode(0o770)).expect("set");
    assert!(matches!(home.open(), Err(SecretsError::Exposed { .. })));
}

#[test]
fn a_master_key_of_another_length_is_refused() {
    let home = Home::new();
    drop(home.open().expect("opens"));
    fs::write(home.key(), [7; 31]).expect("written");
    assert!(matches!(home.open(), Err(SecretsError::MasterKeyMalformed { .. })));
}

#[tokio::test]
async fn one_process_writes_and_others_may_read() {
    let home = Home::new();
    let writer = home.open().expect("opens");
    writer.put(&path("a"), secret(b"x")).await.expect("put");

    assert!(matches!(home.open(), Err(SecretsError::Locked { .. })));
    let reader = home.read_only().expect("opens");
    assert_eq!(reader.get(&path("a")).await.expect("get"), Some(secret(b"x")));
    writer.put(&path("a"), secret(b"y")).await.expect("put");
    assert_eq!(reader.get(&path("a")).await.expect("get"), Some(secret(b"y")));
    assert!(matches!(reader.put(&path("a"), secret(b"z")).await, Err(SecretsError::ReadOnly)));
    assert!(matches!(reader.put_if_absent(&path("b"), secret(b"z")).await, Err(SecretsError::ReadOnly)));
    assert!(matches!(reader.delete(&path("a")).await, Err(SecretsError::ReadOnly)));

    drop(writer);
    assert!(home.open().is_ok());
}

#[tokio::test]
async fn what_a_killed_writer_left_half_done_is_swept_and_changes_nothing() {
    let home = Home::new();
    let store = home.open().expect("opens");
    store.put(&path("a"), secret(b"whole")).await.expect("put");
    drop(store);
    let half = home.folder().join("tmp/.0badc0de");
    fs::write(&half, b"mcpseal\x01half").expect("written");
    // A folder is made before its file is renamed into it.
    fs::create_dir(home.folder().join("sealed/b")).expect("made");

    let store = home.open().expect("opens");
    assert!(!half.exists());
    assert_eq!(store.get(&path("a")).await.expect("get"), Some(secret(b"whole")));
    assert_eq!(store.get(&path("b/c")).await.expect("get"), None);
    store.put(&path("b/c"), secret(b"x")).await.expect("put");
}

#[tokio::test]
async fn a_put_that_fails_leaves_the_old_secret_and_no_litter() {
    let home = Home::new();
    let store = home.open().expect("opens");
    store.put(&path("a"), secret(b"old")).await.expect("put");
    // A folder in the place of the file: the rename is refused by the system.
    fs::create_dir_all(home.file("b").join("c")).expect("made");

    let refusal = store.put(&path("b"), secret(b"x")).await.expect_err("refused");
    assert!(matches!(refusal, SecretsError::Disk { doing: "replace", .. }), "{refusal:?}");
    assert_eq!(fs::read_dir(home.folder().join("tmp")).expect("readable").count(), 0);
    assert_eq!(store.get(&path("a")).await.expect("get"), Some(secret(b"old")));
}

#[tokio::test]
async fn the_longest_secret_passes_and_one_byte_more_does_not() {
    let home = Home::new();
    let store = home.open().expect("opens");
    let longest = Secret::draw(SECRET_BYTES_MAX, &SystemEntropy);
    store.put(&path("a"), longest.clone()).await.expect("put");
    assert_eq!(store.get(&path("a")).await.expect("get"), Some(longest));

    let refusal = store.put(&path("a"), Secret::draw(SECRET_BYTES_MAX + 1, &SystemEntropy)).await;
    assert!(matches!(refusal, Err(SecretsError::TooLong { .. })));
}

async fn fresh() -> Fresh<Home> {
    let home = Home::new();
    let store = home.open().expect("opens");
    let wrapping = SealedWrapping::new(store.clone(), Arc::new(SystemEntropy));
    Fresh { secrets: Arc::new(store), wrapping: Arc::new(wrapping), _alive: home }
}

keepers!(fresh);
