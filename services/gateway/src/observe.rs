//! What is kept of each request: one line in the log, its counts, and for a refusal a row in the audit log.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use http::StatusCode;
use mcp_audit::{AuditRow, AuditSink, Decision};
use mcp_rpc::{RpcMetrics, TraceContext, code_name};
use mcp_tenancy::Credential;
use mcp_types::{Clock, RequestId};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use tonic::Code;

use crate::{access_log::AccessLog, framing::request::Meter, refusal::Refusal, routes::Route};

/// Where the edge's requests are told of.
pub(crate) struct Observer {
    pub(crate) log: AccessLog,
    pub(crate) metrics: RpcMetrics,
    pub(crate) audit: Arc<dyn AuditSink>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// One request, from its head to the end of its answer.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) request_id: RequestId,
    pub(crate) trace: TraceContext,
    pub(crate) client: IpAddr,
    /// The protocol.
    pub(crate) spoken: &'static str,
    pub(crate) asked: Asked,
    /// Who signed in, once that was proved.
    pub(crate) credential: Option<Arc<Credential>>,
    pub(crate) status: StatusCode,
    /// How an RPC ended; none where the client went away before it did.
    pub(crate) code: Option<Code>,
    /// Why it was refused here; empty where it was not.
    pub(crate) reason: &'static str,
    pub(crate) took: Duration,
    /// How long the service took until its answer began.
    pub(crate) upstream: Option<Duration>,
    pub(crate) request_bytes: u64,
    pub(crate) answer_bytes: u64,
}

/// What was asked for.
#[derive(Debug)]
pub(crate) enum Asked {
    /// A method.
    Method(Arc<Route>),
    /// A method that there is not, or that has no route.
    NoMethod,
    /// One of the edge's own pages, by its name in metrics.
    Page(&'static str),
}

/// Keeps an [`Entry`] until the request has ended, then tells of it.
pub(crate) struct Record {
    observer: Arc<Observer>,
    /// Taken when told.
    entry: Option<Entry>,
    began: Instant,
    meter: Option<Arc<Meter>>,
    /// The request's place among those answered at once.
    place: Option<OwnedSemaphorePermit>,
}

// === impl Observer ===

impl Observer {
    /// Writes the audit row of a refusal.
    fn refused(&self, entry: &Entry, refusal: &Refusal) {
        self.metrics.denied(refusal.reason());
        let (method, class) = match &entry.asked {
            Asked::Method(route) => (route.policy.path, Some(route.policy.audit)),
            Asked::NoMethod => ("unknown", None),
            // A page is no decision about anybody's data; that it was refused is in the log.
            Asked::Page(_) => return,
        };
        let credential = entry.credential.as_deref();
        let row = AuditRow {
            request_id: Some(entry.request_id.clone()),
            trace_id: Some(entry.trace.trace_id().to_string().into()),
            service: Some("gateway".into()),
            listener: Some("edge".into()),
            method: Some(method.into()),
            peer: Some("unidentified".into()),
            principal: credential.map(|credential| credential.user().shared().into()),
            tenant: credential.map(|credential| credential.tenant().clone()),
            decision: Some(Decision::Deny),
            class,
            code: Some(code_name(refusal.code()).into()),
            reason: Some(refusal.reason().into()),
            rule: Some(refusal.rule().to_owned().into()),
            ..AuditRow::at(self.clock.now())
        };
        if self.audit.record(row).is_err() {
            metrics::counter!("mcp_audit_rows_lost_total").increment(1);
            tracing::error!(request_id = %entry.request_id, "the audit row of a refusal was lost");
        }
    }

    fn ended(&self, entry: Entry) {
        match &entry.asked {
            Asked::Method(route) => {
                self.metrics.handled(Some(route.policy), entry.code.unwrap_or(Code::Cancelled), entry.took);
            }
            Asked::NoMethod => self.metrics.handled(None, entry.code.unwrap_or(Code::Cancelled), entry.took),
            Asked::Page(page) => {
                let status = entry.status.as_u16().to_string();
                metrics::counter!("mcp_edge_http_requests_total", "page" => *page, "status" => status)
                    .increment(1);
            }
        }
        self.log.write(entry);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}

// === impl Record ===

impl Record {
    /// Begins to keep `entry`.
    pub(crate) fn begin(observer: Arc<Observer>, entry: Entry, began: Instant) -> Self {
        Self { observer, entry: Some(entry), began, meter: None, place: None }
    }

    /// Adds what was found out.
    pub(crate) fn with(&mut self, add: impl FnOnce(&mut Entry)) {
        if let Some(entry) = &mut self.entry {
            add(entry);
        }
    }

    /// Counts the request's body from now on.
    pub(crate) fn metered(&mut self, meter: Arc<Meter>) {
        self.meter = Some(meter);
    }

    /// Holds a place until the answer has ended.
    pub(crate) fn holds(&mut self, place: OwnedSemaphorePermit) {
        self.place = Some(place);
    }

    /// Gives the place back before the answer has ended: nothing is left to be done for it.
    pub(crate) fn leaves(&mut self) {
        self.place = None;
    }

    /// The request was refused.
    pub(crate) fn refused(&mut self, refusal: &Refusal) {
        let Some(entry) = &mut self.entry else { return };
        entry.reason = refusal.reason();
        entry.code = Some(refusal.code());
        self.observer.refused(entry, refusal);
        tracing::debug!(
            request_id = %entry.request_id,
            reason = refusal.reason(),
            rule = refusal.rule(),
            client = %entry.client,
            "refused"
        );
    }

    /// The answer carried its code.
    pub(crate) fn ended(&mut self, code: Code) {
        self.with(|entry| entry.code = Some(code));
    }

    /// So much of the answer was sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.with(|entry| entry.answer_bytes += bytes as u64);
    }

    /// How long the request has taken so far.
    pub(crate) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// How long the service took, where one was asked, and its name.
    pub(crate) fn upstream(&self) -> Option<(Duration, &'static str)> {
        let entry = self.entry.as_ref()?;
        match &entry.asked {
            Asked::Method(route) => Some((entry.upstream?, route.upstream.name())),
            Asked::NoMethod | Asked::Page(_) => None,
        }
    }

    /// Whether an RPC was asked for.
    pub(crate) fn is_rpc(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| !matches!(entry.asked, Asked::Page(_)))
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let Some(mut entry) = self.entry.take() else { return };
        entry.took = self.began.elapsed();
        entry.request_bytes = self.meter.as_ref().map_or(0, |meter| meter.bytes());
        self.observer.ended(entry);
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("entry", &self.entry).finish_non_exhaustive()
    }
}
