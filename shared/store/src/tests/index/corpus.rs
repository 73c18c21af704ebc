//! A real corpus that every checkout has: what the pinned Python packages say of their functions and classes.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

/// A piece of documentation: its first paragraph, and the rest.
pub(super) struct Piece {
    pub(super) summary: String,
    pub(super) body: String,
}

/// Every docstring of the tools' packages that has a summary and something more to say.
pub(super) fn pieces() -> Vec<Piece> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/lib");
    let mut files = Vec::new();
    list(&root, &mut files);
    files.sort();
    assert!(!files.is_empty(), "no Python packages under {}: run `make tools`", root.display());

    let mut known = HashSet::new();
    let mut pieces = Vec::new();
    for file in files {
        let Ok(source) = fs::read_to_string(&file) else { continue };
        let docstrings = source.split("\"\"\"").skip(1).step_by(2);
        for docstring in docstrings {
            let Some((summary, body)) = docstring.trim().split_once("\n\n") else { continue };
            let words = summary.split_whitespace().count();
            let enough = (4..=20).contains(&words) && body.split_whitespace().count() >= 30;
            // Some packages carry copies of one another.
            if enough && known.insert(body.to_owned()) {
                pieces.push(Piece { summary: summary.to_owned(), body: body.to_owned() });
            }
        }
    }
    pieces
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(&path, files);
        } else if path.extension().is_some_and(|it| it == "py") {
            files.push(path);
        }
    }
}
