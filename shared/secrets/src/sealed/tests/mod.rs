//! What a sealed store keeps, and what it refuses to serve.
//!
//! ```text
//! kill.rs      killed at every step, and disks that refuse
//! rollback.rs  older states put back
//! masters.rs   passphrases, and changes of the master key
//! escrow.rs    copies of wrapping keys, apart
//! ```

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

mod escrow;
mod kill;
mod masters;
mod rollback;

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

    fn mark(&self) -> PathBuf {
        self.dir.path().join("keys/master.key.mark")
    }

    fn master(&self) -> Master {
        Master::file(&self.key())
    }

    fn open(&self) -> Result<SealedStore, SecretsError> {
        self.open_under(&self.master())
    }

    fn open_under(&self, master: &Master) -> Result<SealedStore, SecretsError> {
        SealedStore::open(&self.folder(), master, Profile::Development, Arc::new(SystemEntropy))
    }

    fn read_only(&self) -> Result<SealedStore, SecretsError> {
        let entropy = Arc::new(SystemEntropy);
        SealedStore::open_read_only(&self.folder(), &self.master(), Profile::Development, entropy)
    }

    fn accept(&self) -> Result<usize, SecretsError> {
        SealedStore::accept(&self.folder(), &self.master(), Profile::Development, &SystemEntropy)
    }

    /// The only file of the secret at `path`.
    fn file(&self, path: &str) -> PathBuf {
        let found = disk::secrets_below(&self.folder().join("sealed")).expect("readable");
        let mut files = found.into_iter().filter(|it| it.path.as_str() == path).map(|it| it.file);
        let file = files.next().expect("a file");
        assert!(files.next().is_none(), "one version of {path}");
        file
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
async fn nothing_on_the_disk_shows_a_secret_and_nobody_else_may_look() {
    let home = Home::new();
    let store = home.open().expect("opens");
    store.put(&path("a/b"), secret(CANARY)).await.expect("put");

    let files = files_below(home.dir.path());
    assert_eq!(files.len(), 5, "a lock, a key, its mark, an index and a secret: {files:?}");
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

    let file = home.file("a");
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        for bytes in [&changed[..], &whole[..at]] {
            fs::write(&file, bytes).expect("written");
            let refusal = store.get(&path("a")).await.expect_err("changed");
            assert!(matches!(refusal, SecretsError::Tampered { .. }), "byte {at}: {refusal:?}");
        }
    }

    let longer = [&*whole, b"x"].concat();
    fs::write(&file, longer).expect("written");
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
async fn another_master_key_is_named_as_the_cause() {
    let home = Home::new();
    let store = home.open().expect("opens");
    store.put(&path("a"), secret(b"x")).await.expect("put");
    drop(store);

    fs::write(home.key(), [7; 32]).expect("written");

    for refusal in [home.open(), home.read_only()] {
        assert!(matches!(refusal, Err(SecretsError::WrongMasterKey { .. })), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_removed_file_is_missed() {
    let home = Home::new();
    let store = home.open().expect("opens");
    store.put(&path("a"), secret(b"x")).await.expect("put");
    fs::remove_file(home.file("a")).expect("removed");

    assert!(matches!(store.get(&path("a")).await, Err(SecretsError::FileMissing { .. })));
    // What cannot be read is not silently replaced by whoever makes keys on first use.
    let refused = store.put_if_absent(&path("a"), secret(b"y")).await;
    assert!(matches!(refused, Err(SecretsError::FileMissing { .. })), "{refused:?}");
}

#[tokio::test]
async fn production_has_no_sealed_store() {
    let home = Home::new();
    for profile in [Profile::Production, Profile::Staging] {
        let entropy = Arc::new(SystemEntropy);
        let refusal = SealedStore::open(&home.folder(), &home.master(), profile, entropy.clone());
        let refusal = refusal.expect_err("refused");
        assert!(matches!(refusal, SecretsError::NotForProfile { .. }), "{refusal:?}");
        assert!(refusal.to_string().contains("keeper = \"vault\""), "{refusal}");
        let refusal = SealedStore::open_read_only(&home.folder(), &home.master(), profile, entropy);
        assert!(matches!(refusal, Err(SecretsError::NotForProfile { .. })));
    }
    assert!(!home.folder().exists() && !home.key().exists());
}

#[tokio::test]
async fn a_store_of_a_time_before_the_index_is_taken_in() {
    let home = Home::new();
    let key = home.master().load_or_create(&SystemEntropy).expect("a key");
    let old = home.folder().join("sealed/a/b.sealed");
    let sealed = envelope::seal(&key, &path("a/b"), &secret(b"kept"), &SystemEntropy).expect("sealed");
    disk::write_unnamed(&old, &sealed).expect("written");

    let store = home.open().expect("opens");
    assert_eq!(store.get(&path("a/b")).await.expect("get"), Some(secret(b"kept")));
    assert!(!old.exists());
    drop(store);
    let store = home.open().expect("opens again");
    assert_eq!(store.get(&path("a/b")).await.expect("get"), Some(secret(b"kept")));
}

async fn fresh() -> Fresh<Home> {
    let home = Home::new();
    let store = home.open().expect("opens");
    let wrapping = SealedWrapping::new(store.clone(), Arc::new(SystemEntropy));
    Fresh { secrets: Arc::new(store), wrapping: Arc::new(wrapping), _alive: home }
}

keepers!(fresh);
