//! What a refusal of the platform means for a verb: words, advice, exit code.

use mcp_runtime::Failure;
use tonic::{Code, Status};

/// The platform answered `status` to an attempt to `doing`.
pub(crate) fn refused(doing: &str, status: Status) -> Failure {
    let words = status.message().to_owned();
    let failure = match status.code() {
        Code::InvalidArgument | Code::OutOfRange => Failure::input(format!("cannot {doing}: {words}")),
        Code::PermissionDenied | Code::Unauthenticated | Code::FailedPrecondition => {
            Failure::no_permission(format!("cannot {doing}: {words}"))
        }
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
            return Failure::unavailable(format!("cannot {doing}: the platform does not answer"))
                .because(status)
                .advise("is it running? `mcp up` starts it; `--data-dir` says which one is meant");
        }
        Code::ResourceExhausted => Failure::temporary(format!("cannot {doing}: {words}")),
        _ => Failure::software(format!("cannot {doing}: {words}")),
    };
    match mcp_rpc::reason_of(&status) {
        Some(reason) => failure.because(format!("the platform gave the reason {reason}")),
        None => failure,
    }
}
