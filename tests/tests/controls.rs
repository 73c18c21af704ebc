//! Every promise, what enforces it and what proves it: `docs/controls.yaml` against the tree.

use std::collections::{BTreeMap, BTreeSet};

use mcp_tests::tree;
use serde::Deserialize;

/// How many controls each chapter has.
const CHAPTERS: [(char, u32); 11] = [
    ('A', 17),
    ('B', 11),
    ('C', 6),
    ('D', 5),
    ('E', 9),
    ('F', 9),
    ('G', 7),
    ('H', 9),
    ('I', 7),
    ('J', 8),
    ('K', 10),
];

#[test]
fn every_control_is_listed_once_and_in_order() {
    let expected: Vec<_> = CHAPTERS
        .into_iter()
        .flat_map(|(chapter, count)| (1..=count).map(move |number| format!("{chapter}{number}")))
        .collect();
    let listed: Vec<_> = controls().into_iter().map(|control| control.id).collect();

    assert_eq!(listed, expected);
}

#[test]
fn every_control_says_what_it_promises() {
    for control in controls() {
        assert!((10..=400).contains(&control.promise.len()), "{}: {:?}", control.id, control.promise);
    }
}

#[test]
fn what_enforces_a_control_is_there() {
    for control in controls() {
        for path in &control.enforced_by {
            assert!(tree::root().join(path).exists(), "{}: there is no {path}", control.id);
        }
    }
}

#[test]
fn what_proves_a_control_is_there() {
    let files: BTreeMap<_, _> = tree::files().into_iter().map(|file| (file.path, file.text)).collect();
    for control in controls() {
        for proof in &control.tests {
            let (path, name) = proof.split_once("::").unwrap_or((proof, ""));
            let text = files.get(path).unwrap_or_else(|| unreachable!("{}: there is no {path}", control.id));
            let is_there = name.is_empty() || names_test(text, name);
            assert!(is_there, "{}: {path} has no test `{name}`", control.id);
        }
    }
}

#[test]
fn what_is_built_has_something_that_enforces_and_proves_it() {
    for control in controls() {
        let built = control.status != Status::Planned;
        assert_eq!(built, !control.tests.is_empty(), "{}: {:?}", control.id, control.status);
        assert_eq!(built, !control.enforced_by.is_empty(), "{}: {:?}", control.id, control.status);
    }
}

/// The list is written by hand and may only shrink: a change of it shows in a review, and no tool writes it.
#[test]
fn what_is_planned_is_what_was_planned_or_less() {
    let text = std::fs::read_to_string(tree::root().join("tests/planned-controls.txt")).expect("readable");
    let kept: Vec<_> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let planned: Vec<_> = controls()
        .into_iter()
        .filter(|control| control.status == Status::Planned)
        .map(|control| control.id)
        .collect();

    assert_eq!(kept.iter().collect::<BTreeSet<_>>().len(), kept.len(), "each is listed once");
    assert_eq!(planned, kept, "built? take it off tests/planned-controls.txt; nothing is ever put on it");
}

fn controls() -> Vec<Control> {
    let text = std::fs::read_to_string(tree::root().join("docs/controls.yaml")).expect("readable");
    serde_yaml_ng::from_str(&text).expect("a list of controls")
}

/// Whether a file has the test: a function in Rust or Python, a title in JavaScript.
fn names_test(text: &str, name: &str) -> bool {
    text.contains(&format!("fn {name}("))
        || text.contains(&format!("def {name}("))
        || text.contains(&format!("\"{name}\""))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Control {
    id: String,
    promise: String,
    status: Status,
    #[serde(default)]
    enforced_by: Vec<String>,
    #[serde(default)]
    tests: Vec<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// Nothing of it is built.
    Planned,
    /// Some of it holds, and is shown.
    Partial,
    /// All of it holds, and is shown.
    Done,
}
