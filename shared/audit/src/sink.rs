//! Where rows go: off the call's path, waited for, or into the transaction of the write itself.

use std::{fmt, future::Future, io, pin::Pin, sync::Arc};

use mcp_tenancy::{Evidence, TenantScope};

use crate::AuditRow;

/// An answer that is on its way.
pub type AuditFuture<'a> = Pin<Box<dyn Future<Output = Result<(), AuditLost>> + Send + 'a>>;

/// Keeps rows.
pub trait AuditSink: fmt::Debug + Send + Sync + 'static {
    /// Takes `row` without waiting: for reads and refusals. A process that is killed within moments may
    /// lose it.
    ///
    /// # Errors
    ///
    /// [`AuditLost`] where there is no room for it.
    fn record(&self, row: AuditRow) -> Result<(), AuditLost>;

    /// Takes `row` and answers once it is on the disk: for writes and administration, *before* they
    /// happen. What answered with an error must not happen; its row may be there all the same.
    fn record_durably(&self, row: AuditRow) -> AuditFuture<'_>;

    /// Answers once all that was recorded before is on the disk, folded rows too.
    fn flush(&self) -> AuditFuture<'_>;

    /// `row` as evidence that a write inside its tenant takes along into its own transaction; none where the tenant has
    /// no log of its own here, so that the row must be recorded durably before the write.
    fn evidence(&self, row: &AuditRow) -> Option<Arc<Evidence>> {
        let _ = row;
        None
    }

    /// As [`AuditSink::record`], into the tenant's own log where it has one.
    ///
    /// # Errors
    ///
    /// As [`AuditSink::record`].
    fn record_within(&self, scope: &TenantScope, row: AuditRow) -> Result<(), AuditLost> {
        let _ = scope;
        self.record(row)
    }

    /// Keeps evidence that no write took, and answers once it is on the disk. `row` is what it was made from.
    fn keep<'a>(
        &'a self,
        scope: &'a TenantScope,
        evidence: &'a Arc<Evidence>,
        row: AuditRow,
    ) -> AuditFuture<'a> {
        let _ = (scope, evidence);
        self.record_durably(row)
    }

    /// Hears of a row that was kept in the transaction of its write.
    fn kept(&self, row: AuditRow) {
        let _ = row;
    }
}

/// Keeps the logs of a service's tenants, each apart.
pub trait TenantLogs: fmt::Debug + Send + Sync + 'static {
    /// `row` as evidence that a write takes along.
    ///
    /// # Errors
    ///
    /// [`AuditLost`] where it cannot be written down.
    fn evidence(&self, row: &AuditRow) -> Result<Arc<Evidence>, AuditLost>;

    /// Takes `row` for the log of the scope's tenant without waiting.
    ///
    /// # Errors
    ///
    /// [`AuditLost`] where there is no room for it.
    fn record(&self, scope: &TenantScope, row: &AuditRow) -> Result<(), AuditLost>;

    /// Keeps evidence that no write took, and answers once it is on the disk.
    fn keep<'a>(&'a self, scope: &'a TenantScope, evidence: &'a Arc<Evidence>) -> AuditFuture<'a>;

    /// Answers once all that was recorded before is on the disk and signed.
    fn flush(&self) -> AuditFuture<'_>;
}

/// Why a row was not kept.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditLost {
    /// More rows wait than may wait; the disk does not keep up.
    #[error("too many audit rows wait for the disk")]
    Full,
    /// The disk refused. Later rows are tried again.
    #[error("disk refused the audit row")]
    Disk(#[source] Arc<io::Error>),
    /// The log has been closed.
    #[error("audit log is closed")]
    Closed,
    /// The database of the tenant's log refused.
    #[error("the tenant's audit log took no row")]
    Refused(#[source] Arc<dyn std::error::Error + Send + Sync>),
}
