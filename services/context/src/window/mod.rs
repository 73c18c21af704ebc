//! Plans a window over a context: which messages go verbatim, which summarised, within a budget.
//!
//! Pure: sizes and a budget in, steps out, the same for the same. What each step needs is fetched and
//! summarised in `assemble.rs`. The newest messages go verbatim as far as three quarters of the budget
//! allow, the newest of all even if it needs the rest. What is older is summarised in segments whose
//! borders depend on the messages before them alone, so that a context that grows keeps its borders.

mod assemble;
mod upstream;

use std::ops::{Add, Range, Sub};

use crate::store::MessageSize;

pub(crate) use self::{
    assemble::{Part, Summarize, assemble},
    upstream::Upstream,
};

/// Bytes of an answer that are not text, for each part: two names, counts and tags.
pub(crate) const PART_BYTES: u64 = 192;

/// Text that one call to the summarization service carries.
const SEGMENT_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Messages that one call carries: a row in memory costs more than a short text.
const SEGMENT_MESSAGES_MAX: usize = 65_536;
/// Calls that one window may cost. What lies before them is named, but not told.
const SEGMENTS_MAX: usize = 16;
/// A summary below this says too little to be worth a call, where there is a choice.
const SUMMARY_TOKENS_MIN: u64 = 16;
/// The longest summary that the summarization service makes.
const SUMMARY_TOKENS_MAX: u64 = 200_000;
/// Between two messages in a segment's text.
const SEPARATOR: &str = "\n\n";
/// Held back from verbatim text, so that the summaries' parts find room.
const RESERVED_BYTES: u64 = (SEGMENTS_MAX as u64 + 1) * PART_BYTES;

/// What a window may hold, or what parts of it take.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Room {
    /// In tokens.
    pub(crate) tokens: u64,
    /// In bytes of the answer.
    pub(crate) bytes: u64,
}

/// One step of a window: a run of messages, numbered from 1, and what becomes of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Step {
    /// The first message.
    pub(crate) first: u64,
    /// The last message.
    pub(crate) last: u64,
    /// What becomes of them.
    pub(crate) how: How,
}

/// What becomes of a run of messages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum How {
    /// Each is a part of its own, word for word.
    Verbatim,
    /// They are one part, summarised within this room.
    Summarized(Room),
    /// They are one part without text: the budget leaves them no room, or they hold no words.
    Named,
}

/// Plans a window over messages of these sizes, the oldest first.
pub(crate) fn plan(sizes: &[MessageSize], budget: Room) -> Vec<Step> {
    let count = sizes.len();
    if count == 0 {
        return Vec::new();
    }
    if verbatim(sizes).fits(budget) {
        return vec![step(0..count, How::Verbatim)];
    }

    let reserved = Room { tokens: 0, bytes: RESERVED_BYTES };
    let budget = budget - reserved;
    let tail = count - newest(sizes, budget);
    let left = budget - verbatim(&sizes[tail..]);

    let mut segments = segments(&sizes[..tail.min(count - 1)]);
    let mut weights: Vec<u64> = segments.iter().map(|segment| tokens(&sizes[segment.clone()])).collect();
    if tail == count {
        // Not even the newest fits. It has the most to say of what comes next: half of the room is its own.
        weights.push(weights.iter().sum::<u64>().max(1));
        segments.push(count - 1..count);
    }

    let told = usize::try_from(left.tokens / SUMMARY_TOKENS_MIN).unwrap_or(usize::MAX).clamp(1, SEGMENTS_MAX);
    let untold = segments.len().saturating_sub(told);
    let whole: u64 = weights[untold..].iter().sum();
    let mut steps: Vec<Step> = Vec::new();
    for (i, segment) in segments.into_iter().enumerate() {
        let room = if i < untold { Room::default() } else { left.share(weights[i], whole) };
        match steps.last_mut() {
            Some(before) if room.tokens == 0 && before.how == How::Named => before.last = segment.end as u64,
            _ if room.tokens == 0 => steps.push(step(segment, How::Named)),
            _ => steps.push(step(segment, How::Summarized(room))),
        }
    }
    if tail < count {
        steps.push(step(tail..count, How::Verbatim));
    }
    steps
}

/// How many of the newest messages go verbatim.
fn newest(sizes: &[MessageSize], budget: Room) -> usize {
    let most = Room { tokens: budget.tokens * 3 / 4, bytes: budget.bytes * 3 / 4 };
    let mut taken = Room::default();
    let mut kept = 0;
    for size in sizes.iter().rev() {
        taken = taken + verbatim(std::slice::from_ref(size));
        if !taken.fits(if kept == 0 { budget } else { most }) {
            break;
        }
        kept += 1;
    }
    kept
}

/// Cuts messages into runs whose joined texts one call can carry.
fn segments(sizes: &[MessageSize]) -> Vec<Range<usize>> {
    let mut segments = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (i, size) in sizes.iter().enumerate() {
        let longer = bytes + SEPARATOR.len() as u64 + u64::from(size.bytes);
        if i > start && (longer > SEGMENT_BYTES_MAX || i - start == SEGMENT_MESSAGES_MAX) {
            segments.push(start..i);
            (start, bytes) = (i, u64::from(size.bytes));
        } else {
            bytes = if i == start { u64::from(size.bytes) } else { longer };
        }
    }
    if start < sizes.len() {
        segments.push(start..sizes.len());
    }
    segments
}

fn verbatim(sizes: &[MessageSize]) -> Room {
    sizes.iter().fold(Room::default(), |room, size| {
        room + Room { tokens: size.tokens.into(), bytes: u64::from(size.bytes) + PART_BYTES }
    })
}

fn tokens(sizes: &[MessageSize]) -> u64 {
    sizes.iter().map(|size| u64::from(size.tokens)).sum()
}

fn step(range: Range<usize>, how: How) -> Step {
    Step { first: range.start as u64 + 1, last: range.end as u64, how }
}

// === impl Room ===

impl Room {
    fn fits(self, within: Self) -> bool {
        self.tokens <= within.tokens && self.bytes <= within.bytes
    }

    /// The share of one who has `weight` of `whole`, rounded down.
    fn share(self, weight: u64, whole: u64) -> Self {
        let of = |amount: u64| {
            let share = u128::from(amount) * u128::from(weight) / u128::from(whole.max(1));
            u64::try_from(share).unwrap_or(amount)
        };
        Self { tokens: of(self.tokens).min(SUMMARY_TOKENS_MAX), bytes: of(self.bytes) }
    }
}

impl Add for Room {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self { tokens: self.tokens + more.tokens, bytes: self.bytes + more.bytes }
    }
}

/// Down to nothing, not below.
impl Sub for Room {
    type Output = Self;

    fn sub(self, less: Self) -> Self {
        Self { tokens: self.tokens.saturating_sub(less.tokens), bytes: self.bytes.saturating_sub(less.bytes) }
    }
}

#[cfg(test)]
mod tests;
