//! The one place where errors become answers: code, stable reason, words; causes stay in the log.

use std::{collections::HashMap, error::Error, time::Duration};

use mcp_tenancy::{Denied, Refusal};
use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The domain of every reason (`google.rpc.ErrorInfo.domain`).
pub const REASON_DOMAIN: &str = "mcp";

/// A refusal: `code`, the stable `reason` that programs match on, and `words` for people.
pub fn refusal(code: Code, reason: &'static str, words: impl Into<String>) -> Status {
    let details = ErrorDetails::with_error_info(reason, REASON_DOMAIN, HashMap::new());
    Status::with_error_details(code, words, details)
}

/// RESOURCE_EXHAUSTED with the time after which to try again.
pub fn exhausted(reason: &'static str, words: impl Into<String>, retry_after: Duration) -> Status {
    let mut details = ErrorDetails::with_error_info(reason, REASON_DOMAIN, HashMap::new());
    details.set_retry_info(Some(retry_after));
    Status::with_error_details(Code::ResourceExhausted, words, details)
}

/// INTERNAL: the chain of causes goes to the log, nothing of it to the caller.
pub fn internal(doing: &'static str, error: &(dyn Error + 'static)) -> Status {
    tracing::error!(doing, cause = %chain(error), "a call failed");
    refusal(Code::Internal, "INTERNAL", "internal error")
}

/// NOT_FOUND, always word for word the same: what is another tenant's looks like what never was.
pub fn not_found() -> Status {
    refusal(Code::NotFound, "NOT_FOUND", "no such resource")
}

/// What the caller hears of a [`Denied`].
pub fn denied(denied: &Denied) -> Status {
    let code = match denied.refusal() {
        Refusal::Unauthenticated => Code::Unauthenticated,
        Refusal::Forbidden => Code::PermissionDenied,
        Refusal::Malformed => Code::InvalidArgument,
        Refusal::Unavailable => Code::Unavailable,
        Refusal::Internal => Code::Internal,
    };
    refusal(code, denied.reason(), denied.to_caller())
}

/// The reason that a status of ours carries, if it does.
pub fn reason_of(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}

/// The reason in the value of a `grpc-status-details-bin` header.
pub(crate) fn reason_in(details: &[u8]) -> Option<String> {
    let details = tonic_types::pb::Status::decode(details).ok()?;
    let info = details.details.iter().find(|any| any.type_url.ends_with("/google.rpc.ErrorInfo"))?;
    tonic_types::pb::ErrorInfo::decode(&*info.value).ok().map(|info| info.reason)
}

/// An error and its causes in one line, outermost first.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
