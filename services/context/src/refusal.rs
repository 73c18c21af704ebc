//! Every refusal a caller hears from this service.

use std::{collections::HashMap, error::Error as _};

use mcp_rpc::{internal, not_found, refusal};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{
    fields::{BadFields, BadMask},
    filter::{BadFilter, BadOrder},
    page::BadPageToken,
    read_mask::BadReadMask,
    store::{ContextsError, Holding},
    window::Room,
};

/// What the caller hears of the store's answer.
pub(crate) fn of_store(error: ContextsError) -> Status {
    match error {
        ContextsError::NotFound => not_found(),
        ContextsError::EtagMismatch => refusal(
            Code::Aborted,
            "ETAG_MISMATCH",
            "the etag is not the context's current one: read it again and repeat the change",
        ),
        ContextsError::RequestIdReused => refusal(
            Code::InvalidArgument,
            "REQUEST_ID_REUSED",
            "the request ID was used with another body: choose a new one",
        ),
        ContextsError::Full => {
            refusal(Code::FailedPrecondition, "CONTEXT_FULL", "the context takes no more messages")
        }
        ContextsError::MessageOutOfRange(count) => refusal(
            Code::OutOfRange,
            "MESSAGE_OUT_OF_RANGE",
            format!("the context has {count} messages: `message_count` must not be above that"),
        ),
        ContextsError::ForksTooDeep => refusal(
            Code::FailedPrecondition,
            "FORKS_TOO_DEEP",
            "the context is a fork of a fork 32 times over: fork one that it comes from",
        ),
        ContextsError::VersionOutOfRange => refusal(
            Code::OutOfRange,
            "VERSION_OUT_OF_RANGE",
            "changes after that version are not kept: read the context and go on from its version",
        ),
        ContextsError::Quota { what, held, most } => quota(what, held, most),
        ContextsError::Store(fault) if fault.is_passing() => {
            tracing::warn!(cause = %mcp_rpc::chain(&fault), "the store is busy");
            refusal(Code::Unavailable, "STORE_BUSY", "the store is busy: try again")
        }
        ContextsError::Store(_) | ContextsError::Unreadable { .. } => internal("keep contexts", &error),
    }
}

/// The tenant would hold more than it may: no time to wait for, something has to go first.
fn quota(what: Holding, held: u64, most: u64) -> Status {
    let words = format!("the tenant would hold {held} {what}; it may hold {most}: delete some first");
    let mut details = ErrorDetails::with_error_info("QUOTA", mcp_rpc::REASON_DOMAIN, HashMap::new());
    details.add_quota_failure_violation(format!("tenant:{what}"), words.clone());
    Status::with_error_details(Code::ResourceExhausted, words, details)
}

/// A field breaks a rule that the codec could not see.
pub(crate) fn field(words: impl Into<String>) -> Status {
    refusal(Code::InvalidArgument, "FIELD_INVALID", words)
}

/// What is pinned alone takes more than a window may.
pub(crate) fn pinned_too_long(pinned: Room, budget: Room) -> Status {
    let words = if pinned.tokens > budget.tokens {
        let (took, most) = (pinned.tokens, budget.tokens);
        format!("the pinned messages alone take {took} tokens of a budget of {most}: raise `max_tokens`")
    } else {
        let (took, most) = (pinned.bytes, budget.bytes);
        format!("the pinned messages alone take {took} bytes of the {most} that an answer may have")
    };
    refusal(Code::FailedPrecondition, "PINNED_TOO_LONG", words)
}

/// Hands on what the summarization service answered.
///
/// What it said itself is passed on as it said it; what happened on the way is ours to explain.
pub(crate) fn of_upstream(status: &Status) -> Status {
    let Some(cause) = status.source() else {
        return Status::with_details(status.code(), status.message(), status.details().to_vec().into());
    };
    if matches!(status.code(), Code::DeadlineExceeded) || cause.is::<tonic::TimeoutExpired>() {
        return refusal(Code::DeadlineExceeded, "DEADLINE", "the call took longer than its deadline");
    }
    tracing::warn!(cause = %mcp_rpc::chain(status), "the summarization service was not reached");
    refusal(Code::Unavailable, "SUMMARIZATION_UNAVAILABLE", "the summarization service cannot be reached now")
}

impl From<BadPageToken> for Status {
    fn from(error: BadPageToken) -> Self {
        refusal(Code::InvalidArgument, "PAGE_TOKEN_REFUSED", error.to_string())
    }
}

impl From<BadFilter> for Status {
    fn from(error: BadFilter) -> Self {
        refusal(Code::InvalidArgument, "FILTER_REFUSED", error.to_string())
    }
}

impl From<BadOrder> for Status {
    fn from(error: BadOrder) -> Self {
        refusal(Code::InvalidArgument, "ORDER_REFUSED", error.to_string())
    }
}

impl From<BadReadMask> for Status {
    fn from(error: BadReadMask) -> Self {
        refusal(Code::InvalidArgument, "READ_MASK_REFUSED", error.to_string())
    }
}

impl From<BadMask> for Status {
    fn from(error: BadMask) -> Self {
        refusal(Code::InvalidArgument, "UPDATE_MASK_REFUSED", error.to_string())
    }
}

impl From<BadFields> for Status {
    fn from(error: BadFields) -> Self {
        field(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    //! Codes and reasons that clients rely on.

    use super::*;

    #[test]
    fn what_the_summarization_service_refused_is_passed_on() {
        let said = refusal(Code::PermissionDenied, "PERMISSION_MISSING", "needs `summarization.use`");

        let heard = of_upstream(&said);

        assert_eq!(
            (heard.code(), heard.message(), heard.details()),
            (said.code(), said.message(), said.details())
        );
    }

    #[test]
    fn what_failed_on_the_way_does_not_show_the_way() {
        let lost = Status::from_error(Box::new(std::io::Error::other("127.0.0.1:7404 refused")));

        let heard = of_upstream(&lost);

        assert_eq!(heard.code(), Code::Unavailable);
        assert!(!heard.message().contains("127.0.0.1"), "{heard:?}");
    }

    #[test]
    fn each_refusal_has_its_reason() {
        for (error, code, reason) in [
            (ContextsError::NotFound, Code::NotFound, "NOT_FOUND"),
            (ContextsError::EtagMismatch, Code::Aborted, "ETAG_MISMATCH"),
            (ContextsError::RequestIdReused, Code::InvalidArgument, "REQUEST_ID_REUSED"),
            (ContextsError::Store(mcp_store::StoreError::Crowded), Code::Unavailable, "STORE_BUSY"),
            (ContextsError::Full, Code::FailedPrecondition, "CONTEXT_FULL"),
            (ContextsError::MessageOutOfRange(1), Code::OutOfRange, "MESSAGE_OUT_OF_RANGE"),
            (ContextsError::ForksTooDeep, Code::FailedPrecondition, "FORKS_TOO_DEEP"),
            (ContextsError::VersionOutOfRange, Code::OutOfRange, "VERSION_OUT_OF_RANGE"),
            (
                ContextsError::Quota { what: Holding::Bytes, held: 2, most: 1 },
                Code::ResourceExhausted,
                "QUOTA",
            ),
        ] {
            let status = of_store(error);
            assert_eq!((status.code(), mcp_rpc::reason_of(&status).as_deref()), (code, Some(reason)));
        }
        let token = Status::from(BadPageToken);
        assert_eq!(mcp_rpc::reason_of(&token).as_deref(), Some("PAGE_TOKEN_REFUSED"));
        assert_eq!(mcp_rpc::reason_of(&Status::from(BadMask)).as_deref(), Some("UPDATE_MASK_REFUSED"));
    }
}
