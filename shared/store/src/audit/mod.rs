//! The audit logs of tenants: a row in the write's own transaction, and a moment later its place in the tree.
//!
//! ```text
//! rows.rs    the tables: rows, tiles, what was signed last
//! queue.rs   what waits: rows that nobody waits for, tenants whose rows have no place yet
//! logs.rs    the task that gives places and signs, a batch a tenant
//! read.rs    a log read back: for its owner with contents, for anybody who holds the file without
//! ```
//!
//! Writers do not meet at the log: a row is inserted without a place, by an id of its own. One task a service gives
//! places, in batches, at most about a second later (the merge delay); until then a row is durable, but no checkpoint
//! covers it.

mod logs;
mod queue;
mod read;
mod rows;

use std::sync::Arc;

use mcp_tenancy::{Evidence, TenantScope};

pub use self::{
    logs::TenantAudit,
    read::{AuditEntry, AuditHead, FileLog},
};
pub(crate) use self::{queue::Queue, rows::TABLES};
use crate::{StoreError, TenantTx};

/// The audit rows that a transaction takes along.
#[derive(Debug)]
pub(crate) struct Along {
    evidence: Vec<Arc<Evidence>>,
    scope: TenantScope,
    queue: Arc<Queue>,
}

// === impl Along ===

impl Along {
    pub(crate) fn new(scope: &TenantScope, queue: &Arc<Queue>) -> Self {
        let (bare, queue) = (scope.clone().with_evidence(None), Arc::clone(queue));
        let mut along = Self { evidence: Vec::new(), scope: bare, queue };
        along.add(scope);
        along
    }

    pub(crate) fn add(&mut self, scope: &TenantScope) {
        // What another transaction of the call has committed is there.
        self.evidence.extend(scope.evidence().filter(|it| !it.is_taken()).cloned());
    }

    /// Writes the rows into `tx`, which is about to be committed.
    pub(crate) async fn write(&self, tx: &mut TenantTx) -> Result<(), StoreError> {
        for evidence in &self.evidence {
            let written = rows::insert(tx, evidence.id(), evidence.leaf(), evidence.entry()).await;
            if let Err(error) = written {
                self.evidence.iter().for_each(|it| it.refuse());
                return Err(error);
            }
        }
        Ok(())
    }

    /// Tells that the transaction was committed.
    pub(crate) fn committed(self) {
        if self.evidence.is_empty() {
            return;
        }
        self.evidence.iter().for_each(|it| it.take());
        self.queue.has_rows(&self.scope);
    }
}
