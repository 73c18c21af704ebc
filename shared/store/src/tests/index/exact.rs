//! Whatever is put in and taken out, the index answers as an honest look at every document would.

use std::{cell::Cell, collections::BTreeMap};

use mcp_tenancy::TenantScope;
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Put(u8, Vec<usize>),
    Remove(u8),
}

const WORDS: [&str; 12] = [
    "plan",
    "budget",
    "Häuser",
    "réunion",
    "заседание",
    "the",
    "die",
    "l'homme",
    "会議室",
    "x1.5",
    "os.path",
    "plans",
];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u8..6, vec(0..WORDS.len(), 0..12)).prop_map(|(name, words)| Step::Put(name, words)),
        1 => (0_u8..6).prop_map(Step::Remove),
    ]
}

fn text(words: &[usize]) -> String {
    words.iter().map(|at| WORDS[*at]).collect::<Vec<_>>().join(" ")
}

fn check(engine: Engine, cases: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (db, _house) = runtime.block_on(async {
        let house = House::new(engine).await;
        (open(&house).await, house)
    });
    let case = Cell::new(0);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let checked = runner.run(&vec(step(), 1..25), |steps| {
        // A tenant for each, since they share a database.
        case.set(case.get() + 1);
        runtime.block_on(agrees(&db, &tenant(&format!("case-{}", case.get())), &steps));
        Ok(())
    });
    checked.expect("agrees");
}

async fn agrees(db: &Db, tenant: &TenantScope, steps: &[Step]) {
    let mut tx = db.within(tenant).await.expect("within");
    let index = &Index::of(&tx, IndexOptions::default()).expect("a key");
    let mut model: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Put(name, words) => {
                put(index, &mut tx, &name.to_string(), &text(words)).await;
                model.insert(*name, words.clone());
            }
            Step::Remove(name) => {
                let there = index.remove(&mut tx, name.to_string().as_bytes()).await.expect("removed");
                assert_eq!(there, model.remove(name).is_some());
            }
        }
    }
    for (at, word) in WORDS.iter().enumerate() {
        let found = find(index, &mut tx, word).await;
        for (name, words) in &model {
            let says_something = !matches!(*word, "the" | "die");
            if words.contains(&at) && says_something {
                assert!(found.contains(&name.to_string()), "{word} of {name}: {found:?}");
            }
        }
        assert!(found.iter().all(|name| model.contains_key(&name.parse().expect("a number"))));
    }
    for name in model.keys() {
        index.remove(&mut tx, name.to_string().as_bytes()).await.expect("removed");
    }
    assert_eq!(rows_of(&mut tx).await, [0, 0, 0]);
}

#[test]
fn every_word_is_found_and_nothing_of_what_was_removed_on_sqlite() {
    check(Engine::Sqlite, 40);
}

#[test]
fn every_word_is_found_and_nothing_of_what_was_removed_on_postgres() {
    check(Engine::Postgres, 16);
}
