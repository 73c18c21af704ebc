//! The table.

use std::fmt::Write as _;

use crate::generator::Outcome;

/// Ticks of the kernel in a second (proc(5), `_SC_CLK_TCK`): Linux shows user space 100 on every machine.
const TICKS_PER_SECOND: f64 = 100.0;

/// One line.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    what: &'static str,
    bytes: usize,
    outcome: Outcome,
    /// CPU ticks of each server process.
    spent: Vec<(&'static str, u64)>,
}

// === impl Row ===

impl Row {
    pub(crate) fn new(
        what: &'static str,
        bytes: usize,
        outcome: Outcome,
        spent: Vec<(&'static str, u64)>,
    ) -> Self {
        Self { what, bytes, outcome, spent }
    }
}

/// The table as text.
pub(crate) fn render(rows: &[Row]) -> String {
    let mut text = String::from(
        "| what | bytes | requests | failed | requests/s | p50 ms | p99 ms | CPU s per 100k, by server process |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for Row { what, bytes, outcome, spent } in rows {
        let answered = outcome.answered.max(1) as f64;
        let per_second = answered / outcome.took.as_secs_f64();
        let ms = |share| outcome.percentile(share).as_secs_f64() * 1000.0;
        let spent: Vec<_> = spent
            .iter()
            .map(|(name, ticks)| {
                let seconds = *ticks as f64 / TICKS_PER_SECOND;
                format!("{name} {:.2}", seconds * 100_000.0 / answered)
            })
            .collect();
        let _ = writeln!(
            text,
            "| {what} | {bytes} | {} | {} | {per_second:.0} | {:.2} | {:.2} | {} |",
            outcome.answered,
            outcome.failed,
            ms(0.5),
            ms(0.99),
            spent.join(", "),
        );
    }
    text
}
