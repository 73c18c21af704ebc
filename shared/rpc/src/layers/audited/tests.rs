//! A write and its row: together, or neither.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use mcp_audit::{AuditFuture, TenantLogs, log::Entry};
use mcp_proto::POLICIES;
use mcp_tenancy::{Admission, Gate, PeerIdentity};
use mcp_testkit::TestIssuer;
use mcp_types::{SystemClock, SystemEntropy};
use tonic::Status;
use tower::ServiceExt as _;

use super::*;
use crate::{conn::Connection, trace::TraceContext};

const CREATE: &str = "/mcp.context.v1.ContextService/CreateContext";
const GET: &str = "/mcp.context.v1.ContextService/GetContext";

/// What each log was given, as `log: what`.
#[derive(Debug, Default)]
struct Told {
    rows: Mutex<Vec<String>>,
    is_full: AtomicBool,
}

impl Told {
    fn tell(&self, what: String) -> Result<(), AuditLost> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(AuditLost::Full);
        }
        self.rows.lock().expect("not poisoned").push(what);
        Ok(())
    }

    fn rows(&self) -> Vec<String> {
        self.rows.lock().expect("not poisoned").clone()
    }
}

fn said(row: &AuditRow) -> String {
    let method = row.method.as_deref().and_then(|method| method.rsplit('/').next()).unwrap_or_default();
    let code = row.code.as_deref().map(|code| format!(" {code}")).unwrap_or_default();
    format!("{method}{code}")
}

#[derive(Debug)]
struct Own(Arc<Told>);

impl AuditSink for Own {
    fn record(&self, row: AuditRow) -> Result<(), AuditLost> {
        self.0.tell(format!("own: {}", said(&row)))
    }

    fn record_durably(&self, row: AuditRow) -> AuditFuture<'_> {
        Box::pin(async move { self.0.tell(format!("own first: {}", said(&row))) })
    }

    fn flush(&self) -> AuditFuture<'_> {
        Box::pin(async { Ok(()) })
    }
}

#[derive(Debug)]
struct Tenants(Arc<Told>);

impl TenantLogs for Tenants {
    fn evidence(&self, row: &AuditRow) -> Result<Arc<Evidence>, AuditLost> {
        let entry = Entry::of(row, &SystemEntropy).expect("json");
        Ok(Arc::new(Evidence::new([0; 16], entry.leaf().as_bytes(), entry.to_bytes())))
    }

    fn record(&self, scope: &TenantScope, row: &AuditRow) -> Result<(), AuditLost> {
        self.0.tell(format!("{}: {}", scope.tenant(), said(row)))
    }

    fn keep<'a>(&'a self, scope: &'a TenantScope, evidence: &'a Arc<Evidence>) -> AuditFuture<'a> {
        Box::pin(async move {
            let row = Entry::from_bytes(evidence.entry()).expect("an entry").row().expect("a row");
            self.0.tell(format!("{} afterwards: {}", scope.tenant(), said(&row)))
        })
    }

    fn flush(&self) -> AuditFuture<'_> {
        Box::pin(async { Ok(()) })
    }
}

struct World {
    told: Arc<Told>,
    ledger: Arc<mcp_audit::Ledger>,
}

impl World {
    fn new() -> Self {
        let told = Arc::<Told>::default();
        Self { ledger: Arc::new(mcp_audit::Ledger::new(Own(Arc::clone(&told)), None)), told }
    }

    fn with_tenant_logs() -> Self {
        let world = Self::new();
        world.ledger.attach(Arc::new(Tenants(Arc::clone(&world.told))));
        world
    }

    /// Calls `path` as alice of acme; the handler does `work` with its scope.
    async fn call<F>(&self, path: &str, work: impl FnOnce(TenantScope) -> F + Clone) -> Option<Code>
    where
        F: Future<Output = Result<(), Status>>,
    {
        let peer = PeerIdentity::service("gateway", [1; 32]);
        let policy = POLICIES.of(path).expect("a method");
        let credential = TestIssuer::new().credential("acme", "alice", &["context.read", "context.write"]);
        let admission = Admission { tenant_header: None };
        let caller = Gate::admit_user(policy, &peer, &credential, admission).expect("admitted");
        let connection = Arc::new(Connection::new(peer, "127.0.0.1:1".parse().expect("an address")));
        let call = Arc::new(Call::new(
            "r-1".parse().expect("an id"),
            TraceContext::begin(&SystemEntropy),
            connection,
        ));
        call.found(policy);
        call.admitted(caller, None);
        let layer = AuditedLayer::new(
            Arc::<mcp_audit::Ledger>::clone(&self.ledger),
            Arc::new(SystemClock),
            "context".into(),
            "mesh",
        );
        let service = tower::service_fn(move |request: Request<()>| {
            let work = work.clone();
            async move {
                let call = Call::in_extensions(request.extensions()).cloned().expect("a call");
                let worked = work(call.tenant_scope().expect("a scope")).await;
                Ok(worked.map_or_else(|status| status.into_http(), |()| http::Response::new(Body::empty())))
            }
        });
        let mut request = Request::new(());
        request.extensions_mut().insert(call);
        let service = layer.of(Records::Admissions).layer(service);
        let answer = service.oneshot(request).await.unwrap_or_else(|never| match never {});
        code_in(answer.headers())
    }

    async fn writes(&self) -> Option<Code> {
        self.call(CREATE, async |scope: TenantScope| {
            scope.evidence().inspect(|evidence| evidence.take());
            Ok(())
        })
        .await
    }
}

#[tokio::test]
async fn a_write_takes_its_row_along_and_nothing_is_written_beside_it() {
    let world = World::with_tenant_logs();
    assert_eq!(world.writes().await, None);
    assert!(world.told.rows().is_empty(), "{:?}", world.told.rows());
}

#[tokio::test]
async fn a_write_that_no_transaction_recorded_is_recorded_before_its_answer() {
    let world = World::with_tenant_logs();
    assert_eq!(world.call(CREATE, async |_| Ok(())).await, None);
    assert_eq!(world.told.rows(), ["acme afterwards: CreateContext"]);
}

#[tokio::test]
async fn a_write_whose_row_cannot_be_kept_is_unavailable() {
    let world = World::with_tenant_logs();
    world.told.is_full.store(true, Ordering::SeqCst);
    assert_eq!(world.call(CREATE, async |_| Ok(())).await, Some(Code::Unavailable));
    // The transaction was refused its row: whatever the handler made of that, the caller hears why.
    let refused = world
        .call(CREATE, async |scope: TenantScope| {
            scope.evidence().inspect(|evidence| evidence.refuse());
            Err(Status::internal("the store did not answer"))
        })
        .await;
    assert_eq!(refused, Some(Code::Unavailable));
}

#[tokio::test]
async fn a_full_log_stops_no_read() {
    let world = World::with_tenant_logs();
    world.told.is_full.store(true, Ordering::SeqCst);
    assert_eq!(world.call(GET, async |_| Ok(())).await, None);
}

#[tokio::test]
async fn a_write_that_came_to_nothing_is_told_with_its_code() {
    let world = World::with_tenant_logs();
    let failed = world.call(CREATE, async |_| Err(Status::not_found("no such context"))).await;
    assert_eq!(failed, Some(Code::NotFound));
    assert_eq!(world.told.rows(), ["acme: CreateContext NotFound"]);
}

#[tokio::test]
async fn a_read_goes_to_its_tenants_log_and_carries_no_evidence() {
    let world = World::with_tenant_logs();
    let read = world
        .call(GET, async |scope: TenantScope| {
            assert!(scope.evidence().is_none());
            Ok(())
        })
        .await;
    assert_eq!(read, None);
    assert_eq!(world.told.rows(), ["acme: GetContext"]);
}

#[tokio::test]
async fn without_tenants_logs_a_write_waits_for_its_row_first() {
    let world = World::new();
    assert_eq!(world.writes().await, None);
    assert_eq!(world.told.rows(), ["own first: CreateContext"]);
    world.told.is_full.store(true, Ordering::SeqCst);
    let reached = Arc::new(AtomicBool::new(false));
    let reaches = Arc::clone(&reached);
    let refused = world
        .call(CREATE, async move |_| {
            reaches.store(true, Ordering::SeqCst);
            Ok(())
        })
        .await;
    assert_eq!((refused, reached.load(Ordering::SeqCst)), (Some(Code::Unavailable), false));
}
