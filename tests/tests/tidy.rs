//! What the tree promises of itself: the crate graph, who may hold what, and how a file begins.

use std::{collections::BTreeMap, process::Command};

use mcp_tests::tree::{self, TreeFile};
use serde_json::Value;

#[test]
fn dependencies_only_point_down() {
    let workspace = Workspace::read();
    let upward: Vec<_> = workspace
        .edges()
        .into_iter()
        .filter(|(from, to)| workspace.levels[from] <= workspace.levels[to])
        .collect();

    assert!(upward.is_empty(), "these crates lean on their own level or above: {upward:?}");
}

#[test]
fn every_crate_states_its_level() {
    // Reading is what fails.
    assert!(Workspace::read().levels.len() > 10);
}

#[test]
fn the_gateway_holds_neither_store_nor_secrets_nor_authority() {
    let held: Vec<_> = Workspace::read()
        .reached_from("mcp-gateway")
        .into_iter()
        .filter(|name| {
            let forbidden = ["mcp-store", "mcp-secrets", "mcp-pki", "mcp-testkit", "mcp-auth", "mcp-ca"];
            forbidden.contains(&name.as_str())
        })
        .collect();

    assert!(held.is_empty(), "the edge is the first to fall: it holds nothing worth taking, but: {held:?}");
}

#[test]
fn only_who_issues_certificates_holds_the_authority() {
    let holders: Vec<_> = Workspace::read()
        .edges()
        .into_iter()
        .filter(|(_, to)| to == "mcp-pki")
        .map(|(from, _)| from)
        .filter(|from| !["mcp-ca", "mcp-platform", "mcp-testkit", "mcp-tests"].contains(&from.as_str()))
        .collect();

    assert!(holders.is_empty(), "these hold the certificate authority: {holders:?}");
}

#[test]
fn the_testkit_is_in_no_shipped_crate() {
    let holders: Vec<_> = Workspace::read()
        .edges()
        .into_iter()
        .filter(|(from, to)| to == "mcp-testkit" && from != "mcp-tests")
        .collect();

    assert!(holders.is_empty(), "a dev-dependency and nothing else: {holders:?}");
}

#[test]
fn no_service_depends_on_another() {
    let services = ["mcp-ca", "mcp-auth", "mcp-context", "mcp-summarization", "mcp-gateway"];
    let pairs: Vec<_> = Workspace::read()
        .edges()
        .into_iter()
        .filter(|(from, to)| services.contains(&from.as_str()) && services.contains(&to.as_str()))
        .collect();

    assert!(pairs.is_empty(), "services meet over mTLS and nowhere else: {pairs:?}");
}

#[test]
fn sql_is_spoken_in_the_stores_alone() {
    let offenders = places(|file| !file.is_in(&["shared/store/", "tests/"]), |line| line.contains("sqlx"));

    assert!(
        offenders.is_empty(),
        "sqlx belongs into shared/store; all else says `mcp_store::sql`: {offenders:?}"
    );
}

#[test]
fn no_statement_is_put_together_from_strings() {
    // Everywhere else the compiler sees to it: a statement's text is `&'static str`.
    let homes = ["shared/store/src/sql/", "shared/store/src/schema/statements.rs", "tests/"];
    let offenders = places(
        |file| !file.is_in(&homes),
        |line| line.contains("AssertSqlSafe") || line.contains("Sql::built") || line.contains("QueryBuilder"),
    );

    assert!(offenders.is_empty(), "values go into placeholders, never into the text: {offenders:?}");
}

#[test]
fn only_auth_and_ca_act_for_the_platform_itself() {
    let homes = ["services/auth/", "services/ca/", "shared/tenancy/", "tests/"];
    let elsewhere = |file: &TreeFile| !file.is_in(&homes) && !is_of_tests(file);
    let acting = places(elsewhere, |line| line.contains("of_the_platform_itself"));
    // Other things are entered too; a tenant only where there is the scope to enter it from.
    let entering = places(|file| elsewhere(file) && file.text.contains("PlatformScope"), enters_a_tenant);

    assert!(
        acting.is_empty() && entering.is_empty(),
        "tenancy begins in auth and nowhere else: {acting:?} {entering:?}"
    );
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let silent: Vec<_> = tree::rust_files()
        .into_iter()
        .filter(|file| !file.text.starts_with("//! "))
        .map(|file| file.path)
        .collect();

    assert!(silent.is_empty(), "these begin with no `//!`: {silent:?}");
}

#[test]
fn a_file_can_be_read_in_one_sitting() {
    let long: Vec<_> = tree::rust_files()
        .into_iter()
        .map(|file| (file.text.lines().count(), file.path))
        .filter(|(lines, _)| *lines > 600)
        .collect();

    assert!(long.is_empty(), "these are longer than 600 lines: {long:?}");
}

#[test]
fn nothing_is_left_for_later() {
    // In pieces, so that this file does not find itself.
    let marks = [["todo", "!("].concat(), ["unimplemented", "!("].concat(), ["#[ign", "ore"].concat()];
    let offenders = places(|_| true, |line| marks.iter().any(|mark| line.contains(mark)));

    assert!(offenders.is_empty(), "neither promises nor tests that do not run: {offenders:?}");
}

#[test]
fn an_exception_to_a_lint_carries_its_reason() {
    let silent: Vec<_> = tree::rust_files()
        .into_iter()
        .flat_map(|file| {
            let silent = exceptions(&file.text).filter(|said| !said.contains("reason = \""));
            silent.map(|said| format!("{}: {said}", file.path)).collect::<Vec<_>>()
        })
        .collect();

    assert!(silent.is_empty(), "these state no reason: {silent:?}");
}

#[test]
fn every_ban_of_a_method_carries_its_reason() {
    let text = std::fs::read_to_string(tree::root().join("clippy.toml")).expect("readable");
    let silent: Vec<_> =
        text.lines().filter(|line| line.contains("path = ") && !line.contains("reason = ")).collect();

    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn the_tree_knows_no_machine_that_it_was_built_on() {
    let places = ["work", "root", "farm", "home"].map(|folder| format!("/{folder}/"));
    let offenders: Vec<_> = tree::files()
        .into_iter()
        .flat_map(|file| lines_of(&file, |line| places.iter().any(|place| line.contains(place))))
        .collect();

    assert!(offenders.is_empty(), "paths of one machine: {offenders:?}");
}

#[test]
fn the_tree_names_no_registry() {
    let hosts = ["crates.", "npmjs.", "pypi.", "pythonhosted.", "proxy.golang."]
        .map(|host| [host, if host == "crates." || host == "npmjs." { "" } else { "org" }].concat());
    let names_one = |line: &str| {
        line.split("://").skip(1).any(|after| {
            let host = after.split('/').next().unwrap_or_default();
            hosts.iter().any(|known| host.contains(known)) || host.starts_with("registry.")
        })
    };
    let offenders: Vec<_> = tree::files()
        .into_iter()
        // Cargo writes the index's name for each package, and any mirror answers to it.
        .filter(|file| file.path != "Cargo.lock")
        .flat_map(|file| lines_of(&file, names_one))
        .collect();

    assert!(
        offenders.is_empty(),
        "packages come by name and hash, from wherever a machine gets them: {offenders:?}"
    );
}

fn places(whose: impl Fn(&TreeFile) -> bool, matches: impl Fn(&str) -> bool) -> Vec<String> {
    tree::rust_files().iter().filter(|file| whose(file)).flat_map(|file| file.places(&matches)).collect()
}

fn lines_of(file: &TreeFile, matches: impl Fn(&str) -> bool) -> Vec<String> {
    let numbered = file.text.lines().enumerate();
    numbered.filter(|(_, line)| matches(line)).map(|(at, _)| format!("{}:{}", file.path, at + 1)).collect()
}

/// Whether a file is compiled for tests alone.
fn is_of_tests(file: &TreeFile) -> bool {
    file.path.ends_with("/tests.rs") || ["/tests/", "/benches/"].iter().any(|it| file.path.contains(it))
}

/// Whether a line calls `PlatformScope::enter`: the one `enter` that takes something.
fn enters_a_tenant(line: &str) -> bool {
    line.split(".enter(").skip(1).any(|after| !after.starts_with(')'))
}

/// The text of each attribute that lifts a lint.
fn exceptions(text: &str) -> impl Iterator<Item = &str> {
    ["allow(", "expect("].into_iter().flat_map(move |kind| {
        text.match_indices(kind).filter_map(move |(at, _)| {
            let before = &text[..at];
            let is_attribute = before.ends_with("#[") || before.ends_with("#![");
            is_attribute.then(|| &text[at..at + text[at..].find(")]").unwrap_or(text.len() - at)])
        })
    })
}

/// The crates of the workspace, as cargo knows them.
struct Workspace {
    levels: BTreeMap<String, u64>,
    packages: Vec<Value>,
}

// === impl Workspace ===

impl Workspace {
    fn read() -> Self {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
            .current_dir(tree::root())
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let packages = metadata["packages"].as_array().expect("packages").clone();
        let levels = packages
            .iter()
            .map(|package| {
                let name = package["name"].as_str().expect("a name").to_owned();
                let level = package["metadata"]["layer"]["level"].as_u64();
                let level = level.unwrap_or_else(|| unreachable!("{name} states no layer.level"));
                (name, level)
            })
            .collect();
        Self { levels, packages }
    }

    /// Ordinary dependencies within the workspace. Dev-dependencies may point anywhere.
    fn edges(&self) -> Vec<(String, String)> {
        let mut edges = Vec::new();
        for package in &self.packages {
            let from = package["name"].as_str().expect("a name");
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            let ordinary = dependencies.iter().filter(|dependency| dependency["kind"].is_null());
            let names = ordinary.filter_map(|dependency| dependency["name"].as_str());
            edges.extend(
                names.filter(|to| self.levels.contains_key(*to)).map(|to| (from.to_owned(), to.to_owned())),
            );
        }
        edges
    }

    /// Everything of the workspace that `from` is built with.
    fn reached_from(&self, from: &str) -> Vec<String> {
        let edges = self.edges();
        let mut reached = vec![from.to_owned()];
        let mut at = 0;
        while let Some(name) = reached.get(at).cloned() {
            at += 1;
            for (_, to) in edges.iter().filter(|(of, _)| *of == name) {
                if !reached.contains(to) {
                    reached.push(to.clone());
                }
            }
        }
        reached.split_off(1)
    }
}
