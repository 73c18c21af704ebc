//! A service's logs together: its own, and from when they are there its tenants'; a copy of every row where one is asked for.

use std::sync::{Arc, OnceLock};

use mcp_tenancy::{Evidence, TenantScope};
use mcp_types::{Clock, Entropy, ServiceName, TenantSlug, TrustDomain};

use crate::{
    AuditFuture, AuditLost, AuditRow, AuditSink, TenantLogs,
    log::{LogSigner, Origin},
};

/// A service's logs together.
#[derive(Debug)]
pub struct Ledger {
    /// The service's own: strangers, the platform's tables, methods without stored data.
    own: Box<dyn AuditSink>,
    tenants: OnceLock<Arc<dyn TenantLogs>>,
    /// Every row again, for whoever ships logs. Not signed, and nobody waits for it.
    copy: Option<Box<dyn AuditSink>>,
}

/// What the logs of a service's tenants are kept with.
#[derive(Clone, Debug)]
pub struct LogSeat {
    /// Signs the checkpoints.
    pub signer: Arc<LogSigner>,
    /// The trust domain in the logs' names.
    pub trust_domain: TrustDomain,
    /// The service in the logs' names.
    pub service: ServiceName,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where salts and ids are drawn from.
    pub entropy: Arc<dyn Entropy>,
}

// === impl LogSeat ===

impl LogSeat {
    /// The log of `tenant`, or with none the service's own.
    pub fn origin(&self, tenant: Option<&TenantSlug>) -> Origin {
        Origin::of(&self.trust_domain, &self.service, tenant)
    }
}

// === impl Ledger ===

impl Ledger {
    /// The service's own log, and a place to copy every row to.
    pub fn new(own: impl AuditSink, copy: Option<Box<dyn AuditSink>>) -> Self {
        Self { own: Box::new(own), tenants: OnceLock::new(), copy }
    }

    /// From now on tenants' rows go to `tenants`; only the first call counts.
    pub fn attach(&self, tenants: Arc<dyn TenantLogs>) {
        let _ = self.tenants.set(tenants);
    }

    fn copied(&self, row: &AuditRow) {
        if let Some(copy) = &self.copy
            && copy.record(row.clone()).is_err()
        {
            metrics::counter!("mcp_audit_copies_lost_total").increment(1);
        }
    }
}

impl AuditSink for Ledger {
    fn record(&self, row: AuditRow) -> Result<(), AuditLost> {
        self.copied(&row);
        self.own.record(row)
    }

    fn record_durably(&self, row: AuditRow) -> AuditFuture<'_> {
        self.copied(&row);
        self.own.record_durably(row)
    }

    fn flush(&self) -> AuditFuture<'_> {
        Box::pin(async move {
            if let Some(copy) = &self.copy {
                copy.flush().await?;
            }
            if let Some(tenants) = self.tenants.get() {
                tenants.flush().await?;
            }
            self.own.flush().await
        })
    }

    fn evidence(&self, row: &AuditRow) -> Option<Arc<Evidence>> {
        // Where it cannot be made, the row is written first: that is the stricter way.
        self.tenants.get()?.evidence(row).ok()
    }

    fn record_within(&self, scope: &TenantScope, row: AuditRow) -> Result<(), AuditLost> {
        self.copied(&row);
        match self.tenants.get() {
            Some(tenants) => tenants.record(scope, &row),
            None => self.own.record(row),
        }
    }

    fn keep<'a>(
        &'a self,
        scope: &'a TenantScope,
        evidence: &'a Arc<Evidence>,
        row: AuditRow,
    ) -> AuditFuture<'a> {
        self.copied(&row);
        match self.tenants.get() {
            Some(tenants) => tenants.keep(scope, evidence),
            None => self.own.record_durably(row),
        }
    }

    fn kept(&self, row: AuditRow) {
        self.copied(&row);
    }
}
