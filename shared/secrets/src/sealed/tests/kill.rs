//! Killed at every step of the disk, and disks that refuse for a while: what was acknowledged is there, and the store
//! opens.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    super::{
        fuse::{Life, live},
        opening,
    },
    *,
};

/// What a process does with its store.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Put(&'static str, u8),
    Delete(&'static str),
    /// It stops and starts.
    Restart,
}

/// What each secret may be: one value where the last change was acknowledged, more where one was not.
#[derive(Debug, Default)]
struct Expected(BTreeMap<&'static str, Vec<Option<u8>>>);

impl Expected {
    fn note(&mut self, deed: Deed, is_acknowledged: bool) {
        let (path, value) = match deed {
            Deed::Put(path, value) => (path, Some(value)),
            Deed::Delete(path) => (path, None),
            Deed::Restart => return,
        };
        let may_be = self.0.entry(path).or_insert_with(|| vec![None]);
        if is_acknowledged {
            may_be.clear();
        }
        may_be.push(value);
    }

    /// Holds the store to it, and its folder to the store.
    fn hold(&self, store: &Inner, home: &Home) {
        for (name, may_be) in &self.0 {
            let found = store.get(&path(name)).expect("readable").map(|it| it.expose()[0]);
            assert!(may_be.contains(&found), "{name} is {found:?}, not one of {may_be:?}");
        }
        let files = disk::secrets_below(&home.folder().join("sealed")).expect("readable");
        assert_eq!(files.len(), store.entries().len(), "a file for each secret, and no other");
        assert_eq!(fs::read_dir(home.folder().join("tmp")).expect("readable").count(), 0);
    }
}

fn open(home: &Home) -> Result<Inner, SecretsError> {
    let places = places(&home.folder(), &home.master(), Profile::Development)?;
    opening::open(places, &home.master(), Arc::new(SystemEntropy))
}

fn does(store: &Inner, deed: Deed) -> Result<(), SecretsError> {
    match deed {
        Deed::Put(name, value) => store.put(&path(name), &secret(&[value])),
        Deed::Delete(name) => store.delete(&path(name)).map(drop),
        Deed::Restart => Ok(()),
    }
}

/// Does `deeds` until the process is dead, starts again, and says whether it died.
fn killed_after(steps: u32, deeds: &[Deed]) -> bool {
    let home = Home::new();
    let mut expected = Expected::default();
    live(Life::Steps(steps));
    let mut store = open(&home).ok();
    for deed in deeds {
        if matches!(deed, Deed::Restart) {
            drop(store.take());
            store = open(&home).ok();
        }
        let Some(store) = &store else { break };
        let outcome = does(store, *deed);
        expected.note(*deed, outcome.is_ok());
        if outcome.is_err() {
            break;
        }
    }
    drop(store);
    let died = live(Life::Unbounded) == Life::Dead;

    let store = open(&home).unwrap_or_else(|error| panic!("locked out after {steps} steps: {error:?}"));
    expected.hold(&store, &home);
    store.put(&path("after"), &secret(b"!")).expect("goes on");
    died
}

const LONG_ENOUGH: [Deed; 8] = [
    Deed::Put("a", 1),
    Deed::Put("b/c", 2),
    Deed::Put("a", 3),
    Deed::Delete("b/c"),
    Deed::Restart,
    Deed::Put("a", 4),
    // The index has grown long by now, and begins anew.
    Deed::Put("a", 5),
    Deed::Put("d", 6),
];

#[test]
fn a_process_killed_at_any_step_loses_nothing_that_it_acknowledged() {
    let mut steps = 0;
    while killed_after(steps, &LONG_ENOUGH) {
        steps += 1;
    }
    assert!(steps > 60, "the deeds take {steps} steps");
}

/// Does `deeds` on a disk that refuses from one step on for the length of one deed, as a full one does.
fn refused_after(steps: u32, deeds: &[Deed]) {
    let home = Home::new();
    let mut store = open(&home).expect("opens");
    let mut expected = Expected::default();
    live(Life::Steps(steps));
    for deed in deeds {
        if matches!(deed, Deed::Restart) {
            live(Life::Unbounded);
            drop(store);
            store = open(&home).expect("opens again");
            continue;
        }
        let outcome = does(&store, *deed);
        expected.note(*deed, outcome.is_ok());
        if outcome.is_err() {
            live(Life::Unbounded);
        }
    }
    live(Life::Unbounded);
    drop(store);
    let store = open(&home).unwrap_or_else(|error| panic!("locked out after {steps} steps: {error:?}"));
    expected.hold(&store, &home);
}

#[test]
fn a_disk_that_refuses_for_a_while_loses_nothing_that_was_acknowledged() {
    for steps in 0..90 {
        refused_after(steps, &LONG_ENOUGH);
    }
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let name = proptest::sample::select(vec!["a", "a/b", "c", "d/e/f"]);
    let deed = prop_oneof![
        4 => (name.clone(), any::<u8>()).prop_map(|(name, value)| Deed::Put(name, value)),
        2 => name.prop_map(Deed::Delete),
        1 => Just(Deed::Restart),
    ];
    proptest::collection::vec(deed, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_process_does_a_kill_loses_nothing(steps in 0_u32..300, deeds in deeds()) {
        killed_after(steps, &deeds);
        refused_after(steps, &deeds);
    }
}
