//! What waits for the disk.

use std::{
    collections::VecDeque,
    mem,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mcp_types::Timestamp;
use tokio::sync::oneshot;

use super::{Options, folds::Folds};
use crate::{AuditLost, AuditRow};

/// Rows written at once; bounds the memory that a batch takes.
const BATCH_ROWS_MAX: usize = 1024;

/// Tells whoever waits for a row.
pub(super) type Answer = oneshot::Sender<Result<(), AuditLost>>;

/// Rows on their way from the calls to the writer.
pub(super) struct Queue {
    options: Options,
    state: Mutex<State>,
    /// Wakes the writer.
    woken: Condvar,
}

struct State {
    entries: VecDeque<Entry>,
    folds: Folds,
    /// Entries that somebody waits for.
    awaited: usize,
    /// Rows that were turned away since the log last said so.
    lost: u64,
    closed: bool,
}

/// A row, or with none the wish to be told that all before it is written.
pub(super) struct Entry {
    pub(super) row: Option<AuditRow>,
    pub(super) answer: Option<Answer>,
}

/// What the writer takes at once.
pub(super) struct Batch {
    pub(super) entries: VecDeque<Entry>,
    /// Rows that were turned away before these.
    pub(super) lost: u64,
}

// === impl Queue ===

impl Queue {
    pub(super) fn new(options: Options) -> Self {
        let state = State {
            entries: VecDeque::new(),
            folds: Folds::new(options.stranger_rows_max, options.fold_interval),
            awaited: 0,
            lost: 0,
            closed: false,
        };
        Self { options, state: Mutex::new(state), woken: Condvar::new() }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    /// Takes a row that nobody waits for.
    pub(super) fn push(&self, row: AuditRow) -> Result<(), AuditLost> {
        let is_strangers = row.is_refusal_of_a_stranger();
        let now = is_strangers.then(|| self.now());
        let mut state = self.state();
        if state.closed {
            return Err(AuditLost::Closed);
        }
        if let Some(now) = now {
            state.unfold_due(now);
        }
        let was_empty = state.folds.is_empty();
        let row = if is_strangers { state.folds.pass(row) } else { Some(row) };
        let Some(row) = row else {
            if was_empty {
                // The writer may sleep without end; the first fold gives it an end to wake at.
                self.woken.notify_one();
            }
            return Ok(());
        };
        // The last quarter is kept for rows that a write waits for.
        let rows_max = self.options.queue_rows_max - self.options.queue_rows_max / 4;
        if state.entries.len() >= rows_max {
            state.lost += 1;
            return Err(AuditLost::Full);
        }
        state.entries.push_back(Entry { row: Some(row), answer: None });
        // A wake-up costs more than the row: one for the first, one when they are many.
        if state.entries.len() == 1 || state.entries.len() == rows_max / 2 {
            self.woken.notify_one();
        }
        Ok(())
    }

    /// Takes a row that somebody waits for, or with none the wish to see all others written.
    pub(super) fn push_awaited(
        &self,
        row: Option<AuditRow>,
    ) -> Result<oneshot::Receiver<Result<(), AuditLost>>, AuditLost> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.state();
        if state.closed {
            return Err(AuditLost::Closed);
        }
        if row.is_none() {
            state.unfold();
        }
        if state.entries.len() >= self.options.queue_rows_max {
            return Err(AuditLost::Full);
        }
        state.entries.push_back(Entry { row, answer: Some(answer) });
        state.awaited += 1;
        self.woken.notify_one();
        Ok(answered)
    }

    /// Takes no more rows; the writer writes those it has and ends.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.woken.notify_one();
    }

    /// Drops what is still here, so that whoever waits for it hears that it is lost.
    pub(super) fn abandon(&self) {
        let mut state = self.state();
        state.closed = true;
        state.entries.clear();
    }

    /// Counts rows that the disk did not take.
    pub(super) fn count_lost(&self, rows: u64) {
        self.state().lost += rows;
    }

    /// Waits for rows, and gives none once closed and empty. After `rest_max` it gives an empty batch.
    pub(super) fn next(&self, rest_max: Option<Duration>) -> Option<Batch> {
        let mut state = self.state();
        loop {
            if state.closed {
                state.unfold();
                if state.entries.is_empty() {
                    return None;
                }
                break;
            }
            state.unfold_due(self.now());
            if !state.entries.is_empty() {
                break;
            }
            let fold =
                (!state.folds.is_empty()).then(|| self.options.fold_interval.min(Duration::from_secs(1)));
            match [rest_max, fold].into_iter().flatten().min() {
                None => state = self.woken.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(longest) => {
                    let (held, waited) =
                        self.woken.wait_timeout(state, longest).unwrap_or_else(PoisonError::into_inner);
                    state = held;
                    if waited.timed_out() && rest_max == Some(longest) && state.entries.is_empty() {
                        return Some(state.take_batch());
                    }
                }
            }
        }
        if state.awaited == 0 && state.entries.len() < self.options.queue_rows_max / 4 && !state.closed {
            state = self.wait(state, self.options.gather);
        }
        Some(state.take_batch())
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>, longest: Duration) -> MutexGuard<'a, State> {
        self.woken.wait_timeout(state, longest).unwrap_or_else(PoisonError::into_inner).0
    }

    /// No change under this lock can be left half-way by a panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn unfold_due(&mut self, now: Timestamp) {
        let rows = self.folds.take_due(now);
        self.push_all(rows);
    }

    fn unfold(&mut self) {
        let rows = self.folds.take();
        self.push_all(rows);
    }

    /// Folded rows are few and stand for many: they go in whether there is room or not.
    fn push_all(&mut self, rows: Vec<AuditRow>) {
        self.entries.extend(rows.into_iter().map(|row| Entry { row: Some(row), answer: None }));
    }

    fn take_batch(&mut self) -> Batch {
        let entries = if self.entries.len() <= BATCH_ROWS_MAX {
            mem::take(&mut self.entries)
        } else {
            self.entries.drain(..BATCH_ROWS_MAX).collect()
        };
        self.awaited -= entries.iter().filter(|it| it.answer.is_some()).count();
        Batch { entries, lost: mem::take(&mut self.lost) }
    }
}
