//! Whether a call is repeated, and when: by its method's policy, by what was answered, within a budget.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use mcp_proto::{POLICIES, POOL};
use mcp_tenancy::{Idempotency, Streaming};
use prost_reflect::DynamicMessage;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The frame's head before a message (gRPC over HTTP/2, "Length-Prefixed-Message").
const HEAD_BYTES: usize = 5;

/// How often a call is tried, and how long it waits between.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Retries {
    /// Tries altogether, the first one included; 1 repeats nothing.
    pub tries_max: u32,
    /// The longest first wait; it doubles with each further one, and chance takes a part of it.
    pub wait_first: Duration,
    /// The longest wait. Where the platform asks for more, its refusal is handed on instead.
    pub wait_max: Duration,
}

/// How much trouble is left before nobody repeats anything (gRFC A6, "Throttling").
///
/// Each failure takes a whole, each success gives back a tenth; while less than half is left, nothing is repeated: a
/// platform in trouble shall not be asked three times as much as one that is well.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    tenths: Arc<AtomicU32>,
}

/// What an answer means for the call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// It stands.
    Final,
    /// The platform did nothing and says when to come back, or may have done something that can be done again.
    Again {
        /// Not earlier than this.
        after: Duration,
        /// Whether the call may have had an effect.
        unsure: bool,
    },
    /// The token had ended.
    Renew,
}

// === impl Retries ===

impl Default for Retries {
    fn default() -> Self {
        Self { tries_max: 4, wait_first: Duration::from_millis(100), wait_max: Duration::from_secs(10) }
    }
}

impl Retries {
    /// The wait before try number `next` (the second is 2), with `chance` out of the whole of `u32`; `None` where the
    /// platform asks for longer than is waited.
    pub(crate) fn wait(&self, next: u32, at_least: Duration, chance: u32) -> Option<Duration> {
        let doubled = self.wait_first.saturating_mul(1 << next.saturating_sub(2).min(16));
        let jittered = doubled.min(self.wait_max).mul_f64(f64::from(chance) / f64::from(u32::MAX));
        (at_least <= self.wait_max).then(|| at_least.saturating_add(jittered))
    }
}

// === impl Budget ===

impl Budget {
    const FULL: u32 = 100;

    /// Counts a success.
    pub(crate) fn succeeded(&self) {
        self.change(|tenths| tenths.saturating_add(1).min(Self::FULL));
    }

    /// Counts a failure, and says whether it may be repeated.
    pub(crate) fn failed(&self) -> bool {
        self.change(|tenths| tenths.saturating_sub(10)) > Self::FULL / 2
    }

    fn change(&self, change: impl Fn(u32) -> u32) -> u32 {
        let before =
            self.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tenths| Some(change(tenths)));
        change(before.unwrap_or_default())
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self { tenths: Arc::new(AtomicU32::new(Self::FULL)) }
    }
}

// === impl Verdict ===

impl Verdict {
    /// What `status` means.
    pub(crate) fn of(status: &Status) -> Self {
        let details = status.get_error_details();
        let retry_after = details.retry_info().and_then(|info| info.retry_delay);
        match (status.code(), retry_after) {
            (Code::Unavailable, after) => Self::Again { after: after.unwrap_or_default(), unsure: true },
            // With a time to come back it is a limit; without, a message too large, which time does not mend.
            (Code::ResourceExhausted, Some(after)) => Self::Again { after, unsure: false },
            (Code::Unauthenticated, _)
                if details.error_info().is_some_and(|info| info.reason == "TOKEN_EXPIRED") =>
            {
                Self::Renew
            }
            _ => Self::Final,
        }
    }
}

/// Whether the request of a method can be kept to be sent again: it is one message.
pub(crate) fn is_one_message(path: &str) -> bool {
    POLICIES.of(path).is_some_and(|policy| matches!(policy.streaming, Streaming::Unary | Streaming::Server))
}

/// Whether the call of `path` with this framed message may be made twice.
pub(crate) fn is_repeatable(path: &str, body: &[u8]) -> bool {
    match POLICIES.of(path).map(|policy| policy.idempotency) {
        Some(Idempotency::NoSideEffects | Idempotency::Natural) => true,
        Some(Idempotency::ByRequestId) => carries_request_id(path, body),
        Some(Idempotency::None) | None => false,
    }
}

fn carries_request_id(path: &str, body: &[u8]) -> bool {
    let message = || {
        let (service, method) = path.trim_start_matches('/').split_once('/')?;
        let service = POOL.get_service_by_name(service)?;
        let method = service.methods().find(|known| known.name() == method)?;
        let message = DynamicMessage::decode(method.input(), body.get(HEAD_BYTES..)?).ok()?;
        message.get_field_by_name("request_id").map(|id| id.as_str().is_some_and(|id| !id.is_empty()))
    };
    message().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    //! What is repeated, and when.

    use mcp_proto::context::v1::{AppendMessagesRequest, GetContextRequest};
    use prost::Message;
    use tonic_types::ErrorDetails;

    use super::*;

    const APPEND: &str = "/mcp.context.v1.ContextService/AppendMessages";

    fn framed(message: &impl Message) -> Vec<u8> {
        let mut frame = vec![0; HEAD_BYTES];
        message.encode(&mut frame).unwrap();
        frame
    }

    #[test]
    fn a_read_may_be_repeated_and_a_write_only_with_its_id() {
        let get = framed(&GetContextRequest::default());
        assert!(is_repeatable("/mcp.context.v1.ContextService/GetContext", &get));

        let mut append = AppendMessagesRequest::default();
        assert!(!is_repeatable(APPEND, &framed(&append)));
        append.request_id = "0190b3c5-8f1a-7cc0-a6f0-8e6f6b5c0f11".to_owned();
        assert!(is_repeatable(APPEND, &framed(&append)));

        assert!(!is_repeatable("/mcp.auth.v1.MemberService/CreateMember", &[0; 5]));
        assert!(!is_repeatable("/no.Such/Method", &[0; 5]));
    }

    #[test]
    fn only_requests_of_one_message_are_kept() {
        assert!(is_one_message(APPEND));
        assert!(is_one_message("/mcp.summarization.v1.SummarizationService/SummarizeStream"));
        assert!(!is_one_message("/mcp.auth.v1.AuthService/WatchAccess"));
        assert!(!is_one_message("/no.Such/Method"));
    }

    #[test]
    fn a_limit_says_when_to_come_back_and_a_size_does_not() {
        let after = Duration::from_secs(3);
        let limited = Status::with_error_details(
            Code::ResourceExhausted,
            "slower",
            ErrorDetails::with_retry_info(Some(after)),
        );
        assert_eq!(Verdict::of(&limited), Verdict::Again { after, unsure: false });
        assert_eq!(Verdict::of(&Status::resource_exhausted("too large")), Verdict::Final);
    }

    #[test]
    fn an_expired_token_is_renewed_and_another_refusal_is_not() {
        let expired = |reason: &str| {
            let details = ErrorDetails::with_error_info(reason, "mcp", std::collections::HashMap::new());
            Verdict::of(&Status::with_error_details(Code::Unauthenticated, "no", details))
        };
        assert_eq!(expired("TOKEN_EXPIRED"), Verdict::Renew);
        assert_eq!(expired("TOKEN_SIGNATURE"), Verdict::Final);
        assert_eq!(Verdict::of(&Status::permission_denied("no")), Verdict::Final);
    }

    #[test]
    fn waits_grow_are_jittered_and_end() {
        let retries = Retries::default();
        let wait = |next, chance| retries.wait(next, Duration::ZERO, chance).unwrap();

        assert_eq!(wait(2, u32::MAX), Duration::from_millis(100));
        assert_eq!(wait(4, u32::MAX), Duration::from_millis(400));
        assert_eq!(wait(60, u32::MAX), retries.wait_max);
        assert_eq!(wait(4, 0), Duration::ZERO);
        // What the platform asked for is waited in full, and too much of it is not waited at all.
        assert_eq!(retries.wait(2, Duration::from_secs(2), 0), Some(Duration::from_secs(2)));
        assert_eq!(retries.wait(2, Duration::from_secs(60), 0), None);
    }

    #[test]
    fn after_some_failures_nothing_is_repeated_until_successes_pay_it_back() {
        let budget = Budget::default();
        assert!((0..4).all(|_| budget.failed()));
        assert!(!budget.failed());
        for _ in 0..20 {
            budget.succeeded();
        }
        assert!(budget.failed());
    }
}
