//! `mcp audit list` and `mcp audit tail`: rows for people, or as JSON lines.

use std::{collections::VecDeque, thread, time::Duration};

use anstyle::{AnsiColor, Style};
use mcp_audit::{AuditRow, Decision};
use mcp_runtime::Failure;

use super::logs::Log;
use crate::{
    cli::{
        Format,
        audit::{Filter, ListArgs, TailArgs},
    },
    output::{self, FAINT, STRONG},
};

/// How often a followed log is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const ALLOWED: Style = AnsiColor::Green.on_default();
const DENIED: Style = AnsiColor::Red.on_default().bold();

/// Rows of several logs, by time, and where each log ended.
#[derive(Default)]
struct Newest {
    /// With the name of its log.
    rows: Vec<(String, AuditRow)>,
    ends: Vec<u64>,
}

/// Prints rows of all logs that are meant, by time.
pub(super) fn list(args: &ListArgs, format: Format) -> Result<(), Failure> {
    let newest = Newest::of(&args.logs.find_open()?, &args.filter, args.limit)?;
    newest.rows.iter().for_each(|(log, row)| print(log, row, format));
    Ok(())
}

/// Prints the newest rows, and goes on as they come.
pub(super) fn tail(args: &TailArgs, format: Format) -> Result<(), Failure> {
    let logs = args.logs.find_open()?;
    let Newest { rows, mut ends } = Newest::of(&logs, &args.filter, args.lines)?;
    rows.iter().for_each(|(log, row)| print(log, row, format));
    if !args.follow {
        return Ok(());
    }
    loop {
        thread::sleep(LOOK_EVERY);
        for (log, end) in logs.iter().zip(&mut ends) {
            log.each_from(*end, |_, entry, now| {
                *end = now;
                if let Some(row) = entry.row().ok().filter(|row| args.filter.takes(row)) {
                    print(&log.name(), &row, format);
                }
                Ok(())
            })?;
        }
    }
}

// === impl Newest ===

impl Newest {
    /// The newest rows of `logs` that `filter` takes, at most so many.
    fn of(logs: &[Log], filter: &Filter, most: usize) -> Result<Self, Failure> {
        let mut newest = Self::default();
        for log in logs {
            let (mut of_log, mut end) = (VecDeque::new(), 0);
            log.each_from(0, |_, entry, now| {
                end = now;
                // A line that was cut short by a kill is no row; `verify` counts it all the same.
                if let Some(row) = entry.row().ok().filter(|row| filter.takes(row)) {
                    of_log.push_back(row);
                    if of_log.len() > most {
                        of_log.pop_front();
                    }
                }
                Ok(())
            })?;
            newest.rows.extend(of_log.into_iter().map(|row| (log.name(), row)));
            newest.ends.push(end);
        }
        newest.rows.sort_by_key(|(_, row)| row.time);
        newest.rows.drain(..newest.rows.len().saturating_sub(most));
        Ok(newest)
    }
}

fn print(log: &str, row: &AuditRow, format: Format) {
    if format == Format::Json {
        match serde_json::to_string(row) {
            Ok(text) => output::line(text),
            Err(error) => tracing::error!(%error, "a row cannot be written as JSON"),
        }
        return;
    }
    let (style, decision) = match row.decision {
        Some(Decision::Allow) => (ALLOWED, "allow"),
        Some(Decision::Deny) => (DENIED, "deny "),
        None => (FAINT, "-    "),
    };
    let method = row.method.as_deref().unwrap_or("-").rsplit('.').next().unwrap_or_default();
    let who = row.principal.as_deref().or(row.peer.as_deref()).unwrap_or("-");
    let whose = row.tenant.as_ref().map(|tenant| format!("@{tenant}")).unwrap_or_default();
    let reason = row.reason.as_deref().map(|reason| format!(" {reason}")).unwrap_or_default();
    let count = row.count.map(|count| format!(" x{count}")).unwrap_or_default();
    let rule = row.rule.as_deref().map(|rule| format!(" ({rule})")).unwrap_or_default();
    let request = row.request_id.as_ref().map(|id| format!(" {id}")).unwrap_or_default();
    output::line(format_args!(
        "{FAINT}{}{FAINT:#} {style}{decision}{style:#} {log} {STRONG}{method}{STRONG:#} {who}{whose}{DENIED}{reason}{DENIED:#}{count}{FAINT}{rule}{request}{FAINT:#}",
        row.time
    ));
}

// === impl Filter ===

impl Filter {
    fn takes(&self, row: &AuditRow) -> bool {
        let decision = row.decision.map(|it| if it == Decision::Allow { "allow" } else { "deny" });
        let request = row.request_id.as_ref().map(|id| id.as_str());
        self.request_id.as_deref().is_none_or(|wanted| request == Some(wanted))
            && self.principal.as_deref().is_none_or(|wanted| row.principal.as_deref() == Some(wanted))
            && self.decision.as_deref().is_none_or(|wanted| decision == Some(wanted))
    }
}
