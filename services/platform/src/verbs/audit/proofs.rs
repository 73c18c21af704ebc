//! `mcp audit checkpoint`, `export` and `prove`: evidence to take elsewhere.

use std::{
    fs,
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use mcp_audit::log::{Consistency, Entry, ExportWriter, Hash, Inclusion, Tiles};
use mcp_runtime::Failure;
use serde_json::json;

use super::logs::{Log, kept_checkpoint};
use crate::{
    cli::{
        Format,
        audit::{ExportArgs, LogArgs, ProveArgs},
    },
    output,
};

/// Prints what was signed last.
pub(super) fn checkpoint(args: &LogArgs, format: Format) -> Result<(), Failure> {
    let log = args.logs.find_one()?;
    let checkpoint = log.checkpoint()?;
    match format {
        Format::Json => output::json(&json!({
            "origin": checkpoint.origin(), "size": checkpoint.size(), "root": checkpoint.root().to_string(),
            "checkpoint": checkpoint.note(), "key": log.key()?.to_string(),
        })),
        Format::Text | Format::Markdown => output::line(checkpoint.note().trim_end()),
    }
    Ok(())
}

/// Writes a whole log.
pub(super) fn export(args: &ExportArgs, format: Format) -> Result<(), Failure> {
    let log = args.logs.find_one()?;
    let Some(path) = &args.out else {
        return write_export(&log, BufWriter::new(io::stdout())).map(drop);
    };
    let cannot = |source| Failure::io(format!("write {}", path.display()), source);
    let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let rows = write_export(&log, BufWriter::new(file.map_err(cannot)?))?;
    match format {
        Format::Json => output::json(&json!({"log": log.name(), "rows": rows, "file": path})),
        Format::Text | Format::Markdown => {
            output::line(format_args!("{rows} rows of {} in {}", log.name(), path.display()));
        }
    }
    Ok(())
}

fn write_export(log: &Log, to: impl Write + Send) -> Result<u64, Failure> {
    let cannot = |source| Failure::io("write the export", source);
    let key = log.key()?;
    let mut rows = 0;
    let export = log.fold(
        |checkpoint| ExportWriter::begin(to, &key, checkpoint).map_err(cannot),
        |export, row| {
            rows += 1;
            export.row(row.index, &row.leaf, row.entry.as_ref()).map_err(cannot)
        },
    )?;
    export.finish().map_err(cannot)?;
    Ok(rows)
}

/// Proves that a row is in the log, or that the log grew out of an older checkpoint.
pub(super) fn prove(args: &ProveArgs, format: Format) -> Result<(), Failure> {
    let log = args.logs.find_one()?;
    let (mut leaves, mut asked) = (Vec::new(), None);
    let checkpoint = log.fold(
        |checkpoint| Ok(checkpoint.clone()),
        |_, row| {
            if row.index.is_some() {
                leaves.push(row.leaf.hash());
            }
            if row.index.is_some() && row.index == args.index {
                asked = Some((row.leaf, row.entry));
            }
            Ok(())
        },
    )?;
    let (tree, tiles) = Tiles::over(leaves);
    if tree.root() != checkpoint.root() {
        return Err(Failure::input(format!("the audit log of {} is not what was signed", log.name()))
            .advise("`mcp audit verify` says what is wrong"));
    }
    let cannot = |source: mcp_audit::log::BadProof| {
        Failure::input(format!("the audit log of {} cannot prove that", log.name())).because(source)
    };
    if let Some(file) = &args.from {
        let older = kept_checkpoint(file)?;
        let proof = Consistency::prove(checkpoint.size(), older.size(), &tiles).map_err(cannot)?;
        proof.verify(&checkpoint, &older).map_err(cannot)?;
        output::json(&json!({
            "older": older.note(), "newer": checkpoint.note(), "path": texts(proof.path()),
        }));
        return Ok(());
    }
    let proof = Inclusion::prove(checkpoint, args.index.unwrap_or_default(), &tiles).map_err(cannot)?;
    match format {
        Format::Json => {
            let (leaf, entry) = asked.unzip();
            let entry = entry.flatten();
            output::json(&json!({
                "index": proof.index(), "proof": proof.to_text(), "path": texts(proof.path()),
                "checkpoint": proof.checkpoint().note(),
                "leaf": leaf.map(|leaf| BASE64_STANDARD.encode(leaf.as_bytes())),
                "salt": entry.as_ref().and_then(Entry::salt).map(|salt| BASE64_STANDARD.encode(salt)),
                "content": entry.as_ref().map(|entry| String::from_utf8_lossy(entry.content())),
            }));
        }
        Format::Text | Format::Markdown => output::line(proof.to_text().trim_end()),
    }
    Ok(())
}

fn texts(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(ToString::to_string).collect()
}
