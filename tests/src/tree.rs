//! The tree itself, for the tests that hold it to its promises.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The root of the tree.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the tree has a root")
}

/// A file of the tree.
#[derive(Clone, Debug)]
pub struct TreeFile {
    /// Relative to the root, with `/` between parts.
    pub path: String,
    /// What it says; lossy where it is no text.
    pub text: String,
}

/// Every file that is in git or could be: what `.gitignore` names is not of the tree.
pub fn files() -> Vec<TreeFile> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root())
        .output()
        .expect("git runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let listed = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let mut paths: Vec<_> = listed.split('\0').filter(|path| !path.is_empty()).collect();
    paths.sort_unstable();
    paths.dedup();
    paths
        .into_iter()
        // What was deleted and is not committed yet is still listed.
        .filter_map(|path| Some((path, fs::read(root().join(path)).ok()?)))
        .map(|(path, bytes)| TreeFile {
            path: path.to_owned(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        })
        .collect()
}

/// Every Rust file.
pub fn rust_files() -> Vec<TreeFile> {
    files().into_iter().filter(|file| file.path.ends_with(".rs")).collect()
}

// === impl TreeFile ===

impl TreeFile {
    /// Whether it lies in one of `folders`.
    pub fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }

    /// Its lines with their numbers, comments left out.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.text.lines().enumerate().map(|(at, line)| (at + 1, line));
        numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// `path:line` of each line of code that `matches`.
    pub fn places(&self, matches: impl Fn(&str) -> bool) -> Vec<String> {
        self.code().filter(|(_, line)| matches(line)).map(|(at, _)| format!("{}:{at}", self.path)).collect()
    }
}
