//! The field's usual metrics for gRPC servers, with every handle looked up once.

use std::time::Duration;

use mcp_tenancy::{MethodPolicy, PolicyTable};
use metrics::{Counter, Histogram, counter, histogram};
use tonic::Code;

/// All codes there are, by number.
const CODES: [(Code, &str); 17] = [
    (Code::Ok, "OK"),
    (Code::Cancelled, "Canceled"),
    (Code::Unknown, "Unknown"),
    (Code::InvalidArgument, "InvalidArgument"),
    (Code::DeadlineExceeded, "DeadlineExceeded"),
    (Code::NotFound, "NotFound"),
    (Code::AlreadyExists, "AlreadyExists"),
    (Code::PermissionDenied, "PermissionDenied"),
    (Code::ResourceExhausted, "ResourceExhausted"),
    (Code::FailedPrecondition, "FailedPrecondition"),
    (Code::Aborted, "Aborted"),
    (Code::OutOfRange, "OutOfRange"),
    (Code::Unimplemented, "Unimplemented"),
    (Code::Internal, "Internal"),
    (Code::Unavailable, "Unavailable"),
    (Code::DataLoss, "DataLoss"),
    (Code::Unauthenticated, "Unauthenticated"),
];

/// `grpc_server_handled_total` and `grpc_server_handling_seconds` of one listener.
pub struct RpcMetrics {
    policies: PolicyTable,
    listener: &'static str,
    methods: Vec<Method>,
    unknown: Method,
}

struct Method {
    handled: [std::sync::OnceLock<Counter>; CODES.len()],
    seconds: std::sync::OnceLock<Histogram>,
}

// === impl RpcMetrics ===

impl RpcMetrics {
    /// Handles for every method of `policies`, for the listener of this name.
    pub fn new(policies: PolicyTable, listener: &'static str) -> Self {
        let methods = policies.methods.iter().map(|_| Method::new()).collect();
        Self { policies, listener, methods, unknown: Method::new() }
    }

    /// Counts a finished call; `None` is a method that there is not.
    pub fn handled(&self, policy: Option<&'static MethodPolicy>, code: Code, took: Duration) {
        let place = policy.and_then(|policy| {
            self.policies.methods.binary_search_by(|known| known.path.cmp(policy.path)).ok()
        });
        let method = place.map_or(&self.unknown, |place| &self.methods[place]);
        // The caller chooses what an unknown method is called, so its name is no label.
        let (service, name) =
            policy.map_or(("unknown", "unknown"), |policy| (policy.service(), policy.method()));
        let number = code as usize;
        let handled = method.handled[number].get_or_init(|| {
            counter!("grpc_server_handled_total", "listener" => self.listener, "grpc_service" => service,
                "grpc_method" => name, "grpc_code" => CODES[number].1)
        });
        let seconds = method.seconds.get_or_init(|| {
            histogram!("grpc_server_handling_seconds", "listener" => self.listener, "grpc_service" => service,
                "grpc_method" => name)
        });
        handled.increment(1);
        seconds.record(took.as_secs_f64());
    }

    /// Counts a refusal by its reason.
    pub fn denied(&self, reason: &'static str) {
        counter!("mcp_denied_total", "listener" => self.listener, "reason" => reason).increment(1);
    }
}

impl std::fmt::Debug for RpcMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RpcMetrics").field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// The name of a code, as the metrics and the log write it.
pub fn code_name(code: Code) -> &'static str {
    CODES[code as usize].1
}

// === impl Method ===

impl Method {
    fn new() -> Self {
        Self { handled: Default::default(), seconds: std::sync::OnceLock::new() }
    }
}
