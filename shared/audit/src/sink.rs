//! Where rows go: off the call's path, or waited for.

use std::{fmt, future::Future, io, pin::Pin, sync::Arc};

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
}
