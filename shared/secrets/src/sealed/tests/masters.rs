//! Master keys out of passphrases, and stores that change theirs.

use super::{
    super::fuse::{Life, live},
    *,
};

fn words(text: &str) -> Secret {
    secret(text.as_bytes())
}

fn header(home: &Home) -> PathBuf {
    home.dir.path().join("keys/passphrase.header")
}

fn change(home: &Home, old: &Master, new: &Master) -> Result<usize, SecretsError> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    SealedStore::change_master(&home.folder(), old, new, Profile::Development, &entropy)
}

#[tokio::test]
async fn a_passphrase_opens_what_it_sealed_and_no_other_does() {
    let home = Home::new();
    let right = Master::passphrase(words("correct horse battery"), &header(&home));
    let store = home.open_under(&right).expect("opens");
    store.put(&path("a"), secret(CANARY)).await.expect("put");
    drop(store);

    let store = home.open_under(&right).expect("opens again");
    assert_eq!(store.get(&path("a")).await.expect("get"), Some(secret(CANARY)));
    drop(store);
    let wrong = Master::passphrase(words("correct horse batterz"), &header(&home));
    let refusal = home.open_under(&wrong).expect_err("wrong");
    assert!(matches!(refusal, SecretsError::WrongMasterKey { .. }), "{refusal:?}");
    for text in [format!("{right:?}"), format!("{refusal:?} {refusal}")] {
        assert!(!text.contains("horse"), "{text}");
    }

    // The salt is as needed as the words.
    fs::remove_file(header(&home)).expect("removed");
    assert!(matches!(home.open_under(&right), Err(SecretsError::MasterKeyMissing { .. })));
}

#[test]
fn no_store_is_made_with_a_passphrase_that_can_be_guessed() {
    let home = Home::new();
    let refusal = home.open_under(&Master::passphrase(words("hunter2"), &header(&home)));
    assert!(matches!(refusal, Err(SecretsError::PassphraseShort { .. })), "{refusal:?}");
    assert!(!header(&home).exists());
}

#[tokio::test]
async fn a_mark_can_lie_where_the_key_does_not() {
    let home = Home::new();
    let mark = home.dir.path().join("elsewhere/mark");
    let master = home.master().marked_in(&mark);
    drop(home.open_under(&master).expect("opens"));
    assert!(mark.exists() && !home.mark().exists());
    home.open_under(&master).expect("opens again");
}

#[tokio::test]
async fn a_changed_master_key_opens_everything_and_the_old_one_nothing() {
    let home = Home::new();
    let store = home.open().expect("opens");
    for name in ["a", "b/c", "d"] {
        store.put(&path(name), secret(name.as_bytes())).await.expect("put");
    }
    assert!(store.delete(&path("d")).await.expect("delete"));
    let new = Master::passphrase(words("correct horse battery"), &header(&home));
    assert!(matches!(change(&home, &home.master(), &new), Err(SecretsError::Locked { .. })));
    drop(store);
    let old_file = fs::read(home.file("a")).expect("readable");

    assert_eq!(change(&home, &home.master(), &new).expect("changed"), 2);

    assert!(matches!(home.open(), Err(SecretsError::WrongMasterKey { .. })));
    assert_ne!(fs::read(home.file("a")).expect("readable"), old_file);
    let store = home.open_under(&new).expect("opens");
    assert_eq!(store.get(&path("a")).await.expect("get"), Some(secret(b"a")));
    assert_eq!(store.get(&path("b/c")).await.expect("get"), Some(secret(b"b/c")));
    assert_eq!(store.get(&path("d")).await.expect("get"), None);
    drop(store);
    assert!(matches!(change(&home, &new, &new), Err(SecretsError::SameMasterKey { .. })));
}

/// A store of two secrets under `home`'s own key.
fn filled(home: &Home, old: &Master) {
    let places = places(&home.folder(), old, Profile::Development).expect("places");
    let store = opening::open(places, old, Arc::new(SystemEntropy)).expect("opens");
    for name in ["a", "b"] {
        store.put(&path(name), &secret(name.as_bytes())).expect("put");
    }
}

/// Changes the master key until the process is dead, and says whether it died.
fn killed_after(steps: u32, shared_mark: Option<&str>) -> bool {
    let home = Home::new();
    let new_key = home.dir.path().join("keys/new.key");
    let marked = |master: Master| match shared_mark {
        Some(name) => master.marked_in(&home.dir.path().join(name)),
        None => master,
    };
    let (old, new) = (marked(home.master()), marked(Master::file(&new_key)));
    filled(&home, &old);

    live(Life::Steps(steps));
    let outcome = change(&home, &old, &new);
    let died = live(Life::Unbounded) == Life::Dead;
    assert_eq!(outcome.is_err(), died, "{outcome:?}");

    let opened = |master: &Master| {
        let places = places(&home.folder(), master, Profile::Development).expect("places");
        opening::open(places, master, Arc::new(SystemEntropy))
    };
    let (store, master) = match opened(&old) {
        Ok(store) => (store, &old),
        Err(SecretsError::WrongMasterKey { .. }) => {
            (opened(&new).unwrap_or_else(|error| panic!("{steps}: {error:?}")), &new)
        }
        Err(error) => panic!("locked out after {steps} steps: {error:?}"),
    };
    for name in ["a", "b"] {
        assert_eq!(store.get(&path(name)).expect("get"), Some(secret(name.as_bytes())), "{steps}");
    }
    // With fewer changes than the attempt that was cut off: what it left behind must not count.
    assert!(store.delete(&path("b")).expect("delete"));
    drop(store);
    if std::ptr::eq(master, &old) {
        assert_eq!(change(&home, &old, &new).expect("through at last"), 1);
    }
    let store = opened(&new).unwrap_or_else(|error| panic!("{steps}: {error:?}"));
    assert_eq!(store.get(&path("a")).expect("get"), Some(secret(b"a")));
    died
}

#[test]
fn a_change_of_the_master_key_killed_at_any_step_leaves_one_that_opens() {
    for shared_mark in [None, Some("the-mark")] {
        let mut steps = 0;
        while killed_after(steps, shared_mark) {
            steps += 1;
        }
        assert!(steps > 25, "{steps} steps");
    }
}
