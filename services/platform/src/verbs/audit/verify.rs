//! `mcp audit verify`: whether anybody changed a log.

use std::{fs::File, io::BufReader, path::Path};

use anstyle::{AnsiColor, Style};
use mcp_audit::log::{Checkpoint, ExportReader, LogKey, Verification, Verified};
use mcp_runtime::Failure;
use serde_json::{Value, json};

use super::logs::{Log, kept_checkpoint, stated_key};
use crate::{
    cli::{Format, audit::VerifyArgs},
    output::{self, FAINT, GOOD},
};

const BAD: Style = AnsiColor::Red.on_default().bold();
const CAUTION: Style = AnsiColor::Yellow.on_default();

/// What was found about one log.
struct Checked {
    name: String,
    origin: String,
    /// Whether the key came from whoever asks, not from beside the log.
    pinned: bool,
    /// Whether its contents are sealed to whoever checks.
    sealed: bool,
    verified: Verified,
}

/// Checks the logs where they lie, or an export.
pub(super) fn verify(args: &VerifyArgs, format: Format) -> Result<(), Failure> {
    let older: Vec<_> = args.against.iter().map(|file| kept_checkpoint(file)).collect::<Result<_, _>>()?;
    let key = args.key.as_deref().map(stated_key).transpose()?;
    let checked = match &args.export {
        Some(file) => vec![of_export(file, key.as_ref(), &older)?],
        None => {
            let logs = args.logs.find()?;
            let of_one = key.is_some() || !older.is_empty();
            let logs = if of_one { vec![args.logs.find_one()?] } else { logs };
            let mut checked = Vec::new();
            for log in &logs {
                // Of a tenant that has only just begun nothing may be signed yet; whoever kept a checkpoint knows better.
                if older.is_empty() && log.tenant().is_some() && log.head()?.is_none() {
                    continue;
                }
                checked.push(of_log(log, key.as_ref(), &older)?);
            }
            checked
        }
    };
    match format {
        Format::Json => output::json(&checked.iter().map(as_json).collect()),
        Format::Text | Format::Markdown => {
            checked.iter().for_each(print);
            if checked.iter().any(|it| !it.pinned) {
                output::line(format_args!(
                    "{CAUTION}by the key that lies beside the log or in the export; `--key` takes one that you kept{CAUTION:#}"
                ));
            }
        }
    }
    let unsound: Vec<_> =
        checked.iter().filter(|it| !it.verified.is_sound()).map(|it| it.name.as_str()).collect();
    if unsound.is_empty() {
        return Ok(());
    }
    Err(Failure::input(format!("not what was signed: {}", unsound.join(", ")))
        .advise("keep the files as they are, take the service's state from a backup, and see docs/audit.md"))
}

fn of_log(log: &Log, key: Option<&LogKey>, older: &[Checkpoint]) -> Result<Checked, Failure> {
    let key_used = key.cloned().map_or_else(|| log.key(), Ok)?;
    let (origin, check) = log.fold(
        |checkpoint| Ok((checkpoint.origin().to_owned(), begin(key_used, checkpoint, older))),
        |(_, check), row| {
            check.row(row.index, &row.leaf, row.entry.as_ref());
            Ok(())
        },
    )?;
    let sealed = log.tenant().is_some();
    Ok(Checked { name: log.name(), origin, pinned: key.is_some(), sealed, verified: check.finish() })
}

fn of_export(file: &Path, key: Option<&LogKey>, older: &[Checkpoint]) -> Result<Checked, Failure> {
    let cannot = || Failure::input(format!("cannot read the export {}", file.display()));
    let lines = BufReader::new(File::open(file).map_err(|source| cannot().because(source))?);
    let export = ExportReader::begin(lines).map_err(|source| cannot().because(source))?;
    let checkpoint = export.checkpoint().clone();
    let check = begin(key.unwrap_or(export.key()).clone(), &checkpoint, older);
    let verified = check.run(export).map_err(|source| cannot().because(source))?;
    let (name, origin) = (file.display().to_string(), checkpoint.origin().to_owned());
    Ok(Checked { name, origin, pinned: key.is_some(), sealed: false, verified })
}

fn begin(key: LogKey, checkpoint: &Checkpoint, older: &[Checkpoint]) -> Verification {
    let check = Verification::of(key, checkpoint.clone());
    older.iter().cloned().fold(check, Verification::against)
}

fn print(checked: &Checked) {
    let Checked { name, origin, sealed, verified, .. } = checked;
    let (style, verdict) = if verified.is_sound() { (GOOD, "sound") } else { (BAD, "CHANGED") };
    let waiting = Some(verified.waiting).filter(|rows| *rows > 0);
    let waiting = waiting.map(|rows| format!(", {rows} not signed yet")).unwrap_or_default();
    let erased = Some(verified.erased).filter(|rows| *rows > 0);
    let hidden = if *sealed { "sealed or erased" } else { "erased" };
    let erased = erased.map(|rows| format!(", {rows} {hidden}")).unwrap_or_default();
    output::line(format_args!(
        "{style}{verdict}{style:#} {name}: {} rows signed{erased}{waiting} {FAINT}{origin}{FAINT:#}",
        verified.size
    ));
    for finding in &verified.findings {
        output::line(format_args!("  {BAD}-{BAD:#} {finding}"));
    }
    if verified.more_findings > 0 {
        output::line(format_args!("  {BAD}-{BAD:#} and {} findings more", verified.more_findings));
    }
}

fn as_json(checked: &Checked) -> Value {
    let Checked { name, origin, pinned, sealed, verified } = checked;
    json!({
        "log": name, "origin": origin, "sound": verified.is_sound(), "key_pinned": pinned, "sealed": sealed,
        "size": verified.size, "rows": verified.rows, "erased": verified.erased, "waiting": verified.waiting,
        "sound_up_to": verified.sound, "more_findings": verified.more_findings,
        "findings": verified.findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}
