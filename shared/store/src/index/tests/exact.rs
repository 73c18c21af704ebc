//! Whatever is put in and taken out, the index answers as an honest look at every document would.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, test_runner::Config};

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

proptest! {
    #![proptest_config(Config { cases: 48, ..Config::default() })]

    #[test]
    fn every_word_of_every_document_is_found_and_nothing_of_those_removed(steps in vec(step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let shelf = Shelf::new().await;
            let (index, mut tx) = (&shelf.index, shelf.tx().await);
            let mut model: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
            for step in &steps {
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
        });
    }
}
