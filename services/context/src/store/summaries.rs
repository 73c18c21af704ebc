//! What windows are made of besides messages: how long segments are, what is pinned, and summaries that are kept.

use std::{fmt, future::Future, ops::RangeInclusive};

use mcp_tenancy::TenantScope;

use super::{ContextsError, Message};
use crate::names::ContextId;

/// Measures messages, and keeps summaries of them.
///
/// Messages never change, so a run of them is as good as what it says: a summary is kept under the numbers of its
/// first and its last message and under its maker. It goes with its context.
pub(crate) trait Summaries: fmt::Debug + Send + Sync + 'static {
    /// Measures runs of messages, those that are pinned left out, without a look at what they say.
    fn measure(
        &self,
        scope: &TenantScope,
        id: ContextId,
        runs: &[RangeInclusive<u64>],
    ) -> impl Future<Output = Result<Vec<Measure>, ContextsError>> + Send;

    /// Measures what is pinned.
    fn measure_pinned(
        &self,
        scope: &TenantScope,
        id: ContextId,
    ) -> impl Future<Output = Result<Measure, ContextsError>> + Send;

    /// Returns what is pinned, in order.
    fn pinned(
        &self,
        scope: &TenantScope,
        id: ContextId,
    ) -> impl Future<Output = Result<Vec<Message>, ContextsError>> + Send;

    /// Returns the summary of a run of messages by that maker, if one is kept.
    fn summary(
        &self,
        scope: &TenantScope,
        id: ContextId,
        run: &RangeInclusive<u64>,
        maker: &Maker,
    ) -> impl Future<Output = Result<Option<Summary>, ContextsError>> + Send;

    /// Keeps a summary, unless one is kept already. Returns the one that is kept.
    fn keep(
        &self,
        scope: &TenantScope,
        id: ContextId,
        run: &RangeInclusive<u64>,
        maker: &Maker,
        summary: Summary,
    ) -> impl Future<Output = Result<Summary, ContextsError>> + Send;
}

/// A SHA-256 of all that a summary depends on besides what was said.
pub(crate) type Maker = [u8; 32];

/// How long messages are together.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Measure {
    /// How many there are.
    pub(crate) messages: u64,
    /// In tokens of `unicode-words`.
    pub(crate) tokens: u64,
    /// In bytes.
    pub(crate) bytes: u64,
}

/// A summary that is kept.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Summary {
    /// The SHA-256 of what was summarised.
    pub(crate) digest: [u8; 32],
    /// Its length, as its maker counts.
    pub(crate) tokens: u32,
    /// What it says.
    pub(crate) text: String,
}

// === impl Summary ===

/// Says nothing of what was said.
impl fmt::Debug for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Summary").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}
