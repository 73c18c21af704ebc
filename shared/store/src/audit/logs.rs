//! The task that gives rows their places and signs, a batch a tenant.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use mcp_audit::{AuditFuture, AuditLost, AuditRow, LogSeat, ROWS_LOST, TenantLogs, log::Entry};
use mcp_tenancy::{Evidence, TenantScope};
use mcp_types::uuid_v7;

use super::{
    Queue,
    queue::{Waiting, Work},
    rows,
};
use crate::{Db, StoreError, TenantTx};

/// How long rows gather before they get their places: with the batch itself, the merge delay.
const GATHER: Duration = Duration::from_millis(400);
/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Tenants that are written at once.
const TENANTS_AT_ONCE: usize = 4;

/// A row with its id and salt.
struct Drawn {
    id: [u8; 16],
    entry: Entry,
}

/// The audit logs of a service's tenants, in its database.
#[derive(Debug)]
pub struct TenantAudit {
    seat: LogSeat,
    db: Db,
    queue: Arc<Queue>,
}

// === impl TenantAudit ===

impl TenantAudit {
    /// Keeps the logs of `db`'s tenants from now on, signing as `seat` says, on the runtime at hand.
    pub fn start(db: &Db, seat: LogSeat) -> Arc<Self> {
        let queue = Arc::clone(db.audit_queue());
        tokio::spawn(run(db.clone(), seat.clone(), Arc::clone(&queue)));
        Arc::new(Self { seat, db: db.clone(), queue })
    }
}

impl TenantLogs for TenantAudit {
    fn evidence(&self, row: &AuditRow) -> Result<Arc<Evidence>, AuditLost> {
        let Drawn { id, entry } = Drawn::of(row, &self.seat)?;
        Ok(Arc::new(Evidence::new(id, entry.leaf().as_bytes(), entry.to_bytes())))
    }

    fn record(&self, scope: &TenantScope, row: &AuditRow) -> Result<(), AuditLost> {
        // Its salt is drawn and its bytes are made by the task: the call that it is about goes on.
        self.queue.push(scope, row.clone())
    }

    fn keep<'a>(&'a self, scope: &'a TenantScope, evidence: &'a Arc<Evidence>) -> AuditFuture<'a> {
        Box::pin(async move {
            let scope = scope.clone().with_evidence(Some(Arc::clone(evidence)));
            let kept = async { self.db.within(&scope).await?.commit().await };
            kept.await.map_err(|error: StoreError| AuditLost::Refused(Arc::new(error)))
        })
    }

    fn flush(&self) -> AuditFuture<'_> {
        Box::pin(async move { self.queue.flush().await.map_err(|_| AuditLost::Closed) })
    }
}

impl Drop for TenantAudit {
    fn drop(&mut self) {
        self.queue.close();
    }
}

// === impl Drawn ===

impl Drawn {
    fn of(row: &AuditRow, seat: &LogSeat) -> Result<Self, AuditLost> {
        // By the row's own time, so that rows of one batch stand in the order in which things happened.
        let id = *uuid_v7(row.time, &*seat.entropy).as_bytes();
        let entry = Entry::of(row, &*seat.entropy).map_err(|error| AuditLost::Refused(Arc::new(error)))?;
        Ok(Self { id, entry })
    }

    async fn insert(&self, tx: &mut TenantTx) -> Result<(), StoreError> {
        rows::insert(tx, &self.id, self.entry.leaf().as_bytes(), &self.entry.to_bytes()).await
    }
}

/// Works until the logs are let go of and nothing is left to do.
async fn run(db: Db, seat: LogSeat, queue: Arc<Queue>) {
    let mut failing = false;
    loop {
        let Work { tenants, flushes, closed } = queue.next(GATHER).await;
        let outcomes = stream::iter(tenants).map(|waiting| settle(&db, &seat, waiting));
        let outcomes: Vec<_> = outcomes.buffer_unordered(TENANTS_AT_ONCE).collect().await;
        let mut failed = false;
        for (waiting, error) in outcomes.into_iter().filter_map(Result::err) {
            failed = true;
            metrics::counter!("mcp_audit_batches_failed_total").increment(1);
            if !std::mem::replace(&mut failing, true) {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, tenant = %waiting.scope.tenant(), "cannot write a tenant's audit log");
            }
            queue.put_back(waiting);
        }
        if !failed && std::mem::take(&mut failing) {
            tracing::info!("tenants' audit logs are written again");
        }
        if failed && closed {
            tracing::error!("audit rows that nobody waited for are lost");
            return;
        }
        if failed {
            // Whoever wanted to hear hears nothing, which tells them that it was not done.
            drop(flushes);
            tokio::time::sleep(AGAIN).await;
            continue;
        }
        for done in flushes {
            let _ = done.send(());
        }
        if closed {
            return;
        }
    }
}

/// Writes what waits in one tenant, and gives all its rows their places.
async fn settle(db: &Db, seat: &LogSeat, waiting: Waiting) -> Result<(), (Waiting, StoreError)> {
    match write(db, seat, &waiting).await {
        Ok(()) => Ok(()),
        Err(error) => Err((waiting, error)),
    }
}

async fn write(db: &Db, seat: &LogSeat, waiting: &Waiting) -> Result<(), StoreError> {
    let origin = seat.origin(Some(waiting.scope.tenant()));
    let mut tx = db.within(&waiting.scope).await?;
    // The log tells of its own gaps.
    let lost = (waiting.lost > 0).then(|| AuditRow {
        reason: Some(ROWS_LOST.into()),
        count: Some(waiting.lost),
        ..AuditRow::at(seat.clock.now())
    });
    for row in lost.iter().chain(&waiting.rows) {
        let drawn = Drawn::of(row, seat).map_err(StoreError::unreadable("write down an audit row"))?;
        drawn.insert(&mut tx).await?;
    }
    let mut placed = rows::sequence(&mut tx, &seat.signer, &origin).await?;
    tx.commit().await?;
    // A backlog is worked off in further transactions, so that writers get their turn in between.
    while placed > 0 {
        let mut tx = db.within(&waiting.scope).await?;
        placed = rows::sequence(&mut tx, &seat.signer, &origin).await?;
        tx.commit().await?;
    }
    Ok(())
}
