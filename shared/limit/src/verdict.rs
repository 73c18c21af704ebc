//! What a decision says, in the terms of `ratelimit-*` headers and `google.rpc.RetryInfo`.

use std::time::Duration;

/// The call is within its limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Remaining {
    /// How many calls fit into an untouched limit.
    pub calls_max: u32,
    /// How many more fit now.
    pub calls: u32,
    /// When all of them will fit again, if none is made until then.
    pub full_after: Duration,
}

/// The call is beyond its limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("beyond the limit of {calls_max} calls")]
pub struct Exceeded {
    /// How many calls fit into an untouched limit.
    pub calls_max: u32,
    /// When the next one will fit. Never zero.
    pub retry_after: Duration,
}
