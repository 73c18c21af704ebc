//! The newest messages, word for word.

use tonic::Status;

use super::{Making, PART_BYTES, Part, Room, Summarize, tree::cover};
use crate::{
    store::{Contexts, Summaries},
    tokens::Tokenizer,
};

/// Held back from what goes word for word, so that the parts of what is older find room: a cover has thirty segments
/// at most, and the newest message may be one more.
const RESERVED_BYTES: u64 = 31 * PART_BYTES;

/// The newest messages of a window.
pub(super) struct Newest {
    /// The number of the first of them; one more than there are messages where not even the newest fits.
    pub(super) first: u64,
    /// Those that are not pinned, the oldest first.
    pub(super) parts: Vec<Part>,
}

/// Messages taken one by one, the newest first.
struct Taking {
    budget: Room,
    used: Room,
    parts: Vec<Part>,
    first: u64,
    /// How many parts there were, and which message was the first, while three quarters of the budget sufficed.
    marked: (usize, u64),
}

// === impl Making ===

impl<S: Contexts + Summaries, Z: Summarize> Making<'_, S, Z> {
    /// All of the `count` messages if `budget` takes them; or else as many of the newest as three quarters of it take,
    /// and the very newest even if it needs all of it.
    pub(super) async fn newest(&self, count: u64, budget: Room) -> Result<Newest, Status> {
        // The whole of a context has no older parts to hold room for.
        let whole = self.measure(cover(count)).await?;
        let least = whole.iter().fold(Room::default(), |sum, (_, measure)| sum + self.least(*measure));
        let is_whole = self.tokenizer == Tokenizer::UnicodeWords && least.fits(budget);
        let reserved = Room { tokens: 0, bytes: if is_whole { 0 } else { RESERVED_BYTES } };
        let mut taking = Taking::within(budget - reserved, count);
        let mut stack = whole;
        while let Some((segment, measure)) = stack.pop() {
            if !(taking.used + self.least(measure)).fits(taking.budget) {
                if segment.level() == 0 {
                    return Ok(taking.stopped());
                }
                stack.extend(self.measure(segment.children().collect()).await?);
                continue;
            }
            let unpinned = self.messages(segment.range()).await?;
            for part in self.counted(unpinned).await?.into_iter().rev() {
                if !taking.takes(part) {
                    return Ok(taking.stopped());
                }
            }
            taking.reach(*segment.range().start());
        }
        Ok(taking.all())
    }
}

// === impl Taking ===

impl Taking {
    fn within(budget: Room, count: u64) -> Self {
        let first = count + 1;
        Self { budget, used: Room::default(), parts: Vec::new(), first, marked: (0, first) }
    }

    /// Takes `part` if it fits.
    fn takes(&mut self, part: Part) -> bool {
        let used = self.used + part.room();
        if !used.fits(self.budget) {
            // What is pinned on the way to it is there already.
            self.reach(part.last + 1);
            return false;
        }
        self.used = used;
        self.first = part.first;
        self.parts.push(part);
        if self.parts.len() == 1 {
            self.marked = (1, self.first);
        }
        self.mark();
        true
    }

    /// Goes on to message `first`: what lies between is taken or pinned.
    fn reach(&mut self, first: u64) {
        self.first = first;
        self.mark();
    }

    fn mark(&mut self) {
        if self.used.fits(self.budget.most()) || self.marked.0 == self.parts.len() {
            self.marked = (self.parts.len(), self.first);
        }
    }

    /// What is taken where there is more than fits.
    fn stopped(mut self) -> Newest {
        let (count, first) = self.marked;
        self.parts.truncate(count);
        self.parts.reverse();
        Newest { first, parts: self.parts }
    }

    /// What is taken where all of it fits.
    fn all(mut self) -> Newest {
        self.parts.reverse();
        Newest { first: 1, parts: self.parts }
    }
}
