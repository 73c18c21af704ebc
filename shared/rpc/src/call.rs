//! One call as the layers and the handler see it: who, what, until when.

use std::sync::{Arc, OnceLock};

use mcp_tenancy::{Caller, Denied, Evidence, MethodPolicy, PeerIdentity, PlatformScope, TenantScope};
use mcp_types::{Redacted, RequestId};
use tokio::time::Instant;
use tonic::{Status, metadata::MetadataValue};

use crate::{
    conn::Connection,
    status::{denied, refusal},
    trace::TraceContext,
};

/// The header that joins what one request leaves behind.
pub const REQUEST_ID: &str = "x-request-id";
/// The header that repeats the tenant of the token.
pub const TENANT_ID: &str = "x-tenant-id";
/// The header of W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";

/// One call.
///
/// The outermost layer makes it; each layer below adds what it found, once; the layers above read it when the
/// answer passes them.
#[derive(Debug)]
pub struct Call {
    request_id: RequestId,
    trace: TraceContext,
    connection: Arc<Connection>,
    policy: OnceLock<&'static MethodPolicy>,
    deadline: OnceLock<Instant>,
    caller: OnceLock<Caller>,
    token: OnceLock<Redacted<Box<str>>>,
    denied: OnceLock<Denied>,
    evidence: OnceLock<Arc<Evidence>>,
}

// === impl Call ===

impl Call {
    pub(crate) fn new(request_id: RequestId, trace: TraceContext, connection: Arc<Connection>) -> Self {
        Self {
            request_id,
            trace,
            connection,
            policy: OnceLock::new(),
            deadline: OnceLock::new(),
            caller: OnceLock::new(),
            token: OnceLock::new(),
            denied: OnceLock::new(),
            evidence: OnceLock::new(),
        }
    }

    /// The call that `request` belongs to.
    ///
    /// # Errors
    ///
    /// INTERNAL where the request did not come through the layers.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Arc<Self>, Status> {
        let call = request.extensions().get::<Arc<Self>>().cloned();
        call.ok_or_else(|| refusal(tonic::Code::Internal, "INTERNAL", "internal error"))
    }

    pub(crate) fn in_extensions(extensions: &http::Extensions) -> Option<&Arc<Self>> {
        extensions.get::<Arc<Self>>()
    }

    /// Who calls.
    ///
    /// # Errors
    ///
    /// INTERNAL where nobody was admitted.
    pub fn caller(&self) -> Result<&Caller, Status> {
        self.caller.get().ok_or_else(|| refusal(tonic::Code::Internal, "INTERNAL", "internal error"))
    }

    /// The right to act inside the caller's tenant; what is written there takes the call's audit row along.
    ///
    /// # Errors
    ///
    /// INTERNAL where the method's policy does not act in the caller's tenant.
    pub fn tenant_scope(&self) -> Result<TenantScope, Status> {
        let scope = self.caller()?.tenant_scope().map_err(|refused| denied(&refused))?;
        Ok(scope.with_evidence(self.evidence.get().cloned()))
    }

    /// The right to act on the platform's own tables.
    ///
    /// # Errors
    ///
    /// INTERNAL where the method's policy does not act on them.
    pub fn platform_scope(&self) -> Result<PlatformScope, Status> {
        self.caller()?.platform_scope().map_err(|refused| denied(&refused))
    }

    /// What joins this call's traces in logs and audit.
    pub fn request_id(&self) -> &RequestId {
        &self.request_id
    }

    /// Where it stands in its trace.
    pub fn trace(&self) -> TraceContext {
        self.trace
    }

    /// The other end of the connection.
    pub fn peer(&self) -> &PeerIdentity {
        self.connection.peer()
    }

    /// The connection it came by.
    pub fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// When it must have ended.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline.get().copied()
    }

    /// What its method demands, once it was looked up.
    pub fn policy(&self) -> Option<&'static MethodPolicy> {
        self.policy.get().copied()
    }

    /// Why it was refused, if it was.
    pub fn denied(&self) -> Option<&Denied> {
        self.denied.get()
    }

    pub(crate) fn found(&self, policy: &'static MethodPolicy) {
        let _ = self.policy.set(policy);
    }

    pub(crate) fn until(&self, deadline: Instant) {
        let _ = self.deadline.set(deadline);
    }

    pub(crate) fn admitted(&self, caller: Caller, token: Option<&str>) {
        if let Some(token) = token {
            let _ = self.token.set(Redacted::new(token.into()));
        }
        let _ = self.caller.set(caller);
    }

    pub(crate) fn refused(&self, denied: Denied) {
        let _ = self.denied.set(denied);
    }

    pub(crate) fn proved_by(&self, evidence: Arc<Evidence>) {
        let _ = self.evidence.set(evidence);
    }

    pub(crate) fn admitted_caller(&self) -> Option<&Caller> {
        self.caller.get()
    }

    /// A request to another service for the same user: same token, request ID and trace, and what is left of the deadline.
    ///
    /// The certificate that the channel shows is this service's own, so both identities travel.
    pub fn forward<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        let mut set = |name: &'static str, value: &str| {
            if let Ok(value) = MetadataValue::try_from(value) {
                request.metadata_mut().insert(name, value);
            }
        };
        set(REQUEST_ID, self.request_id.as_str());
        set(TRACEPARENT, &self.trace.to_string());
        if let Some(token) = self.token.get() {
            set("authorization", &format!("Bearer {}", token.expose()));
        }
        if let Some(credential) = self.caller.get().and_then(Caller::credential) {
            set(TENANT_ID, credential.tenant().as_str());
        }
        if let Some(deadline) = self.deadline() {
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        }
        request
    }
}
