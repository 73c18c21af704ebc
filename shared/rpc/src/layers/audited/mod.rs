//! Records the decision about each call: a write does not happen without its row.
//!
//! Where the caller's tenant has a log of its own, the row of a write travels with the scope and is committed by the
//! write's own transaction. Elsewhere the row is on the disk before the handler runs.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use base64::{
    Engine as _,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::Request;
use mcp_audit::{AuditLost, AuditRow, AuditSink, Decision, Word};
use mcp_tenancy::{AuditClass, Evidence, TenantScope};
use mcp_types::Clock;
use pin_project_lite::pin_project;
use tonic::{Code, body::Body};
use tower::{Layer, Service};

use super::Answer;
use crate::{
    call::Call,
    layers::observe::code_in,
    rpc_metrics::code_name,
    status::{reason_in, refusal},
};

/// How `-bin` headers are written: base64, with or without padding (gRPC over HTTP/2, "Custom-Metadata").
const DETAILS: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The wait for a row that must be kept.
type Recorded = Pin<Box<dyn Future<Output = Result<(), AuditLost>> + Send>>;

/// Puts [`Audited`] before a service.
#[derive(Clone, Debug)]
pub(crate) struct AuditedLayer {
    shared: Arc<Shared>,
    /// Where it stands: above the gate it records refusals, below it what was let in.
    records: Records,
}

/// Where rows go, and what they have in common.
#[derive(Debug)]
struct Shared {
    sink: Arc<dyn AuditSink>,
    clock: Arc<dyn Clock>,
    service: Arc<str>,
    listener: &'static str,
}

/// Which decisions a layer records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Records {
    /// Those of the layers below it that refused, the codec's too.
    Refusals,
    /// That the call was let in.
    Admissions,
}

/// Records decisions.
#[derive(Clone, Debug)]
pub(crate) struct Audited<S> {
    layer: AuditedLayer,
    inner: S,
}

pin_project! {
    /// A call whose decision is being recorded.
    #[project = AuditingProjection]
    pub(crate) enum Auditing<S, B, F> where S: Service<Request<B>, Future = F> {
        /// Waits for the row, then goes on.
        Row { recorded: Recorded, inner: S, request: Option<Request<B>> },
        /// Goes on with its row, which the write takes along; then sees to it that it was taken.
        Proved { #[pin] inner: F, proof: Option<Proof> },
        /// Keeps the row that no write took, and holds the answer back until then.
        Kept { recorded: Recorded, answer: Option<Answer> },
        /// Goes on, then looks at how it ended.
        Call { #[pin] inner: F, watch: Option<(Arc<Shared>, Arc<Call>)> },
        /// Is refused, since its row could not be kept.
        Lost,
    }
}

/// The row of a write, and where it is looked for afterwards.
#[derive(Debug)]
pub(crate) struct Proof {
    shared: Arc<Shared>,
    scope: TenantScope,
    evidence: Arc<Evidence>,
    row: AuditRow,
}

// === impl AuditedLayer ===

impl<S> Layer<S> for AuditedLayer {
    type Service = Audited<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Audited { layer: self.clone(), inner }
    }
}

impl AuditedLayer {
    /// Records in `sink` what `service` decides on its `listener`; refusals, until told otherwise.
    pub(crate) fn new(
        sink: Arc<dyn AuditSink>,
        clock: Arc<dyn Clock>,
        service: Arc<str>,
        listener: &'static str,
    ) -> Self {
        Self { shared: Arc::new(Shared { sink, clock, service, listener }), records: Records::Refusals }
    }

    /// The same log, for the decisions that `records` names.
    pub(crate) fn of(&self, records: Records) -> Self {
        Self { shared: Arc::clone(&self.shared), records }
    }
}

// === impl Shared ===

impl Shared {
    fn row(&self, call: &Call, decision: Decision) -> AuditRow {
        let credential = call.admitted_caller().and_then(|caller| caller.credential());
        AuditRow {
            request_id: Some(call.request_id().clone()),
            trace_id: Some(call.trace().trace_id().to_string().into()),
            service: Some(Arc::clone(&self.service).into()),
            listener: Some(self.listener.into()),
            method: Some(call.policy().map_or("unknown", |policy| policy.path).into()),
            peer: Some(call.connection().peer_name().into()),
            principal: credential.map(|credential| credential.user().shared().into()),
            tenant: credential.map(|credential| credential.tenant().clone()),
            decision: Some(decision),
            class: call.policy().map(|policy| policy.audit),
            ..AuditRow::at(self.clock.now())
        }
    }

    /// Records a refusal, told by the gate or read from the answer of a layer below it.
    fn refused(&self, call: &Call, code: Code, headers: &http::HeaderMap) {
        let (reason, rule): (Word, Option<Word>) = match call.denied() {
            Some(denied) => (denied.reason().into(), Some(denied.to_string().into())),
            None => match refusal_in(code, headers) {
                Some(reason) => {
                    // What the gate refused is counted with the call; of this only the answer tells.
                    metrics::counter!("mcp_denied_total", "listener" => self.listener, "reason" => reason.clone())
                        .increment(1);
                    (reason.into(), None)
                }
                None => return,
            },
        };
        let row = AuditRow {
            code: Some(code_name(code).into()),
            reason: Some(reason),
            rule,
            ..self.row(call, Decision::Deny)
        };
        self.keep(row);
    }

    /// Records a row that nobody waits for; where the log is full, that is counted and told, and calls go on.
    fn keep(&self, row: AuditRow) {
        self.tell(self.sink.record(row));
    }

    /// As [`Shared::keep`], in the log of the scope's tenant.
    fn keep_within(&self, scope: &TenantScope, row: AuditRow) {
        self.tell(self.sink.record_within(scope, row));
    }

    fn tell(&self, kept: Result<(), AuditLost>) {
        if let Err(lost) = kept {
            metrics::counter!("mcp_audit_rows_lost_total").increment(1);
            tracing::error!(service = %self.service, %lost, "an audit row was lost");
        }
    }
}

// === impl Proof ===

impl Proof {
    /// Lets the call's scope carry `row`, where the tenant's own log takes it.
    fn of(shared: &Arc<Shared>, call: &Call, row: &AuditRow) -> Option<Self> {
        let scope = scope_of(call)?;
        let evidence = shared.sink.evidence(row)?;
        call.proved_by(Arc::clone(&evidence));
        Some(Self { shared: Arc::clone(shared), scope, evidence, row: row.clone() })
    }

    /// Looks for the row when the call has ended with `answer`: what is still to be done, or the answer.
    fn settle(self, answer: Answer) -> Settled {
        let Self { shared, scope, evidence, row } = self;
        let code = answer.as_ref().map_or(None, |response| code_in(response.headers()));
        let failed = code.filter(|code| *code != Code::Ok);
        match failed {
            _ if evidence.is_taken() => {
                shared.sink.kept(row);
                Settled::Done(answer)
            }
            Some(_) if evidence.is_refused() => Settled::Lost,
            Some(code) => {
                // Nothing was written; that it was let in and came to nothing is told like a read.
                shared.keep_within(&scope, AuditRow { code: Some(code_name(code).into()), ..row });
                Settled::Done(answer)
            }
            None => {
                // A repeat, or a write beside the tenant's rows: no transaction took the row, so it is kept by itself.
                let sink = Arc::clone(&shared.sink);
                let recorded = Box::pin(async move { sink.keep(&scope, &evidence, row).await });
                Settled::Keep(recorded, answer)
            }
        }
    }
}

/// What is still to be done about a call that has ended.
enum Settled {
    /// Nothing: its row is where it should be.
    Done(Answer),
    /// To keep its row, and to answer then.
    Keep(Recorded, Answer),
    /// To say that its row could not be kept.
    Lost,
}

/// The right to act inside the caller's tenant, where the method acts there.
fn scope_of(call: &Call) -> Option<TenantScope> {
    call.admitted_caller()?.tenant_scope().ok()
}

// === impl Audited ===

impl<S, B> Service<Request<B>> for Audited<S>
where
    S: Service<Request<B>, Response = http::Response<Body>, Error = std::convert::Infallible> + Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Auditing<S, B, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(call) = Call::in_extensions(request.extensions()).cloned() else { return Auditing::Lost };
        if self.layer.records == Records::Refusals {
            let watch = Some((Arc::clone(&self.layer.shared), call));
            return Auditing::Call { inner: self.inner.call(request), watch };
        }
        let row = self.layer.shared.row(&call, Decision::Allow);
        match call.policy().map(|policy| policy.audit) {
            Some(AuditClass::Refusals) => {}
            Some(AuditClass::Read) => match scope_of(&call) {
                Some(scope) => self.layer.shared.keep_within(&scope, row),
                None => self.layer.shared.keep(row),
            },
            Some(AuditClass::Write | AuditClass::Admin | AuditClass::Authentication) | None => {
                if let Some(proof) = Proof::of(&self.layer.shared, &call, &row) {
                    return Auditing::Proved { inner: self.inner.call(request), proof: Some(proof) };
                }
                let sink = Arc::clone(&self.layer.shared.sink);
                let recorded = Box::pin(async move { sink.record_durably(row).await });
                return Auditing::Row { recorded, inner: self.inner.clone(), request: Some(request) };
            }
        }
        Auditing::Call { inner: self.inner.call(request), watch: None }
    }
}

// === impl Auditing ===

impl<S, B> Future for Auditing<S, B, S::Future>
where
    S: Service<Request<B>, Response = http::Response<Body>, Error = std::convert::Infallible>,
{
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        loop {
            let next = match self.as_mut().project() {
                AuditingProjection::Row { recorded, inner, request } => {
                    let kept = ready!(recorded.as_mut().poll(cx));
                    match (kept, request.take()) {
                        (Ok(()), Some(request)) => Self::Call { inner: inner.call(request), watch: None },
                        (Err(_), _) | (_, None) => Self::Lost,
                    }
                }
                AuditingProjection::Proved { inner, proof } => {
                    let answered = ready!(inner.poll(cx));
                    let Some(proof) = proof.take() else { return Poll::Ready(answered) };
                    match proof.settle(answered) {
                        Settled::Done(answer) => return Poll::Ready(answer),
                        Settled::Keep(recorded, answer) => Self::Kept { recorded, answer: Some(answer) },
                        Settled::Lost => Self::Lost,
                    }
                }
                AuditingProjection::Kept { recorded, answer } => {
                    match (ready!(recorded.as_mut().poll(cx)), answer.take()) {
                        (Ok(()), Some(answer)) => return Poll::Ready(answer),
                        (Err(_), _) | (_, None) => Self::Lost,
                    }
                }
                AuditingProjection::Call { inner, watch } => {
                    let answered = ready!(inner.poll(cx));
                    if let (Ok(response), Some((shared, call))) = (&answered, watch.take())
                        && let Some(code) = code_in(response.headers())
                        && code != Code::Ok
                    {
                        shared.refused(&call, code, response.headers());
                    }
                    return Poll::Ready(answered);
                }
                AuditingProjection::Lost => {
                    metrics::counter!("mcp_audit_rows_lost_total").increment(1);
                    tracing::error!("a call was refused since its audit row could not be kept");
                    let status = refusal(
                        Code::Unavailable,
                        "AUDIT_UNAVAILABLE",
                        "the audit log takes no rows; nothing was done",
                    );
                    return Poll::Ready(Ok(status.into_http()));
                }
            };
            self.set(next);
        }
    }
}

/// The reason of an answer by which a layer below the gate, or the codec, refused a call.
fn refusal_in(code: Code, headers: &http::HeaderMap) -> Option<String> {
    if !matches!(
        code,
        Code::InvalidArgument | Code::ResourceExhausted | Code::PermissionDenied | Code::Unauthenticated
    ) && code != Code::Unimplemented
    {
        return None;
    }
    let details = headers.get("grpc-status-details-bin")?;
    reason_in(&DETAILS.decode(details.as_bytes()).ok()?)
}

#[cfg(test)]
mod tests;
