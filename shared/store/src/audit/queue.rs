//! What waits: rows that nobody waits for, and tenants whose rows have no place yet.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mcp_audit::{AuditLost, AuditRow};
use mcp_tenancy::TenantScope;
use mcp_types::TenantSlug;
use tokio::sync::{Notify, oneshot};

/// Rows that may wait, over all tenants. Of one tenant a quarter of it, so that none takes the room of all.
const ROWS_MAX: usize = 16_384;

/// What waits to be written and to be given places.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Somebody wants to be done now rather than soon.
    urgent: Notify,
    /// There is something to do.
    work: Notify,
}

#[derive(Debug, Default)]
struct State {
    tenants: HashMap<TenantSlug, Waiting>,
    rows: usize,
    flushes: Vec<oneshot::Sender<()>>,
    closed: bool,
}

/// What waits in one tenant.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) scope: TenantScope,
    pub(super) rows: Vec<AuditRow>,
    /// Rows that could not be kept since the log last said so.
    pub(super) lost: u64,
}

/// What is to be done now.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) tenants: Vec<Waiting>,
    /// Who wants to hear that it is done.
    pub(super) flushes: Vec<oneshot::Sender<()>>,
    /// Whether nothing more will come.
    pub(super) closed: bool,
}

// === impl Queue ===

impl Queue {
    /// Says that the tenant of `scope` has rows without a place.
    pub(crate) fn has_rows(&self, scope: &TenantScope) {
        self.state().waiting(scope);
        self.work.notify_one();
    }

    /// Takes a row that nobody waits for.
    pub(super) fn push(&self, scope: &TenantScope, row: AuditRow) -> Result<(), AuditLost> {
        let mut state = self.state();
        if state.closed {
            return Err(AuditLost::Closed);
        }
        let is_full = state.rows >= ROWS_MAX;
        let waiting = state.waiting(scope);
        if is_full || waiting.rows.len() >= ROWS_MAX / 4 {
            waiting.lost += 1;
            return Err(AuditLost::Full);
        }
        waiting.rows.push(row);
        state.rows += 1;
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// Puts back what could not be written, before what has come since.
    pub(super) fn put_back(&self, waiting: Waiting) {
        let mut state = self.state();
        state.rows += waiting.rows.len();
        let there = state.waiting(&waiting.scope);
        let newer = std::mem::replace(&mut there.rows, waiting.rows);
        there.rows.extend(newer);
        there.lost += waiting.lost;
        drop(state);
        self.work.notify_one();
    }

    /// Hears when all that waits now is written and has its place.
    pub(super) fn flush(&self) -> oneshot::Receiver<()> {
        let (done, heard) = oneshot::channel();
        self.state().flushes.push(done);
        self.work.notify_one();
        self.urgent.notify_one();
        heard
    }

    /// Takes no more rows; those that are here are still written.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.work.notify_one();
        self.urgent.notify_one();
    }

    /// Waits until there is something to do, and then at most `gather` for more of it.
    pub(super) async fn next(&self, gather: Duration) -> Work {
        while self.is_idle() {
            self.work.notified().await;
        }
        // What was wanted urgently before may have left its mark; being early does no harm.
        let _ = tokio::time::timeout(gather, self.urgent.notified()).await;
        let mut state = self.state();
        state.rows = 0;
        Work {
            tenants: state.tenants.drain().map(|(_, waiting)| waiting).collect(),
            flushes: std::mem::take(&mut state.flushes),
            closed: state.closed,
        }
    }

    fn is_idle(&self) -> bool {
        let state = self.state();
        state.tenants.is_empty() && state.flushes.is_empty() && !state.closed
    }

    /// No change under this lock can be left half-way by a panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn waiting(&mut self, scope: &TenantScope) -> &mut Waiting {
        self.tenants.entry(scope.tenant().clone()).or_insert_with(|| Waiting {
            scope: scope.clone().with_evidence(None),
            rows: Vec::new(),
            lost: 0,
        })
    }
}
