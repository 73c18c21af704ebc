//! Refusals of strangers beyond a rate: one row with a count, so that nobody can fill the log from outside.

use std::time::Duration;

use mcp_types::Timestamp;

use crate::{AuditRow, Decision, ROWS_FOLDED, Word};

/// Kinds of refusal that are counted apart; further ones are counted together.
const KINDS_MAX: usize = 64;

/// The refusals of the running interval.
#[derive(Debug)]
pub(super) struct Folds {
    rows_max: u32,
    interval: Duration,
    began: Timestamp,
    passed: u32,
    folds: Vec<Fold>,
}

/// Refusals of one kind. What a stranger can choose freely, such as the method, is not part of it.
#[derive(Debug)]
struct Fold {
    kind: [Option<Word>; 4],
    count: u64,
    first: Timestamp,
    last: Timestamp,
}

// === impl Folds ===

impl Folds {
    /// Lets `rows_max` refusals pass in each `interval`.
    pub(super) fn new(rows_max: u32, interval: Duration) -> Self {
        Self { rows_max, interval, began: Timestamp::default(), passed: 0, folds: Vec::new() }
    }

    /// Gives the row back where it may pass, or counts it.
    pub(super) fn pass(&mut self, row: AuditRow) -> Option<AuditRow> {
        if self.passed < self.rows_max {
            self.passed += 1;
            return Some(row);
        }
        let mut kind = [row.service, row.listener, row.code, row.reason];
        if self.folds.len() >= KINDS_MAX && !self.folds.iter().any(|it| it.kind == kind) {
            kind = [const { None }; 4];
        }
        match self.folds.iter_mut().find(|it| it.kind == kind) {
            Some(fold) => {
                fold.count += 1;
                fold.last = row.time;
            }
            None => self.folds.push(Fold { kind, count: 1, first: row.time, last: row.time }),
        }
        None
    }

    /// Ends the interval where it is over at `now`, and gives its folded rows.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<AuditRow> {
        // A clock that was set back must not hold rows for as long as it was set back.
        let is_over = now.since(self.began) >= self.interval || now < self.began;
        if !is_over {
            return Vec::new();
        }
        self.began = now;
        self.passed = 0;
        self.take()
    }

    /// Gives the folded rows now; the interval goes on.
    pub(super) fn take(&mut self) -> Vec<AuditRow> {
        self.folds.drain(..).map(Fold::into_row).collect()
    }

    /// Whether rows wait for the interval's end.
    pub(super) fn is_empty(&self) -> bool {
        self.folds.is_empty()
    }
}

// === impl Fold ===

impl Fold {
    fn into_row(self) -> AuditRow {
        let [service, listener, code, reason] = self.kind;
        AuditRow {
            service,
            listener,
            decision: Some(Decision::Deny),
            code,
            reason: Some(reason.unwrap_or(ROWS_FOLDED.into())),
            count: Some(self.count),
            since: Some(self.first),
            ..AuditRow::at(self.last)
        }
    }
}
