//! What becomes of the messages before the newest: short segments go word for word, long ones are summarised.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tonic::Status;

use super::{
    CALLS_AT_ONCE, Making, Part, Room, Summarize,
    condense::{JOINED_LENGTH_MAX, is_direct},
    share::{self, lengths},
    taken,
    tree::{Segment, cover},
};
use crate::{
    store::{Contexts, Measure, Summaries},
    tokens::Tokenizer,
};

/// A segment, and what becomes of it.
struct Step {
    segment: Segment,
    measure: Measure,
    how: How,
}

/// What becomes of a segment.
enum How {
    /// That is not yet known; its messages, once they were counted.
    Open(Option<Vec<Part>>),
    /// It goes word for word.
    Verbatim(Vec<Part>),
    /// It is summarised in so many tokens; in none where the budget has no room for it.
    Summarized(u32),
}

// === impl Making ===

impl<S: Contexts + Summaries, Z: Summarize> Making<'_, S, Z> {
    /// What is told within `room` of the messages before `first`, of `count` in all.
    pub(super) async fn older(&self, first: u64, count: u64, room: Room) -> Result<Vec<Part>, Status> {
        // A newest message that does not fit is a segment of its own.
        let too_long = (first > count && count > 0).then(|| Segment::message(count));
        let mut segments = cover(first - 1 - u64::from(too_long.is_some()));
        segments.extend(too_long);
        let measured = self.measure(segments).await?;
        let mut steps: Vec<Step> = measured
            .into_iter()
            // What is all pinned is there already.
            .filter(|(_, measure)| measure.messages > 0)
            .map(|(segment, measure)| Step { segment, measure, how: How::Open(None) })
            .collect();
        let left = self.leave_short(&mut steps, room).await?;
        self.share_out(&mut steps, left, too_long.is_some());
        stream::iter(merged(steps)).map(|step| self.told(step)).buffered(CALLS_AT_ONCE).try_concat().await
    }

    /// Gives word for word what takes no more than its share. Returns what is left of `room` for the others.
    async fn leave_short(&self, steps: &mut [Step], mut room: Room) -> Result<Room, Status> {
        loop {
            // What a short one leaves over makes the others' shares larger, so another look may find more.
            let open = steps.iter().filter(|step| matches!(step.how, How::Open(_))).count() as u64;
            let share = room.split(open);
            let mut found = false;
            for step in &mut *steps {
                let How::Open(counted) = &mut step.how else { continue };
                if !self.may_fit(step.measure, share) {
                    continue;
                }
                let parts = match counted.take() {
                    Some(parts) => parts,
                    None => self.counted(self.messages(step.segment.range()).await?).await?,
                };
                let whole = taken(&parts);
                if whole.fits(share) {
                    room = room - whole;
                    step.how = How::Verbatim(parts);
                    found = true;
                } else {
                    *counted = Some(parts);
                }
            }
            if !found {
                return Ok(room);
            }
        }
    }

    /// Whether it is worth a count whether messages of this measure fit.
    fn may_fit(&self, measure: Measure, share: Room) -> bool {
        let least = self.least(measure);
        let tokens = self.tokenizer.guess(measure.tokens, measure.bytes).max(least.tokens);
        Room { tokens, ..least }.fits(share)
    }

    /// Says how long each summary is. Half of `room` is the newest message's where it did not fit.
    fn share_out(&self, steps: &mut [Step], room: Room, newest_too_long: bool) {
        let mut open: Vec<&mut Step> =
            steps.iter_mut().filter(|step| matches!(step.how, How::Open(_))).collect();
        let longest: Vec<u32> = open.iter().map(|step| self.longest(step.measure, step.segment)).collect();
        let own = usize::from(newest_too_long && longest.len() > 1);
        let (before, newest) = longest.split_at(longest.len() - own);
        let room = room.split(1 + own as u64);
        let shares = lengths(room, before).into_iter().chain(lengths(room, newest));
        for (step, length) in open.iter_mut().zip(shares) {
            step.how = How::Summarized(length);
        }
    }

    /// Beyond which length a summary would not say more.
    fn longest(&self, measure: Measure, segment: Segment) -> u32 {
        if !is_direct(measure, segment) {
            return JOINED_LENGTH_MAX;
        }
        let tokens = match self.tokenizer {
            Tokenizer::UnicodeWords => measure.tokens,
            // No token is shorter than a byte.
            Tokenizer::Cl100kBase | Tokenizer::O200kBase => measure.bytes,
        };
        u32::try_from(tokens).unwrap_or(u32::MAX)
    }

    async fn told(&self, step: Told) -> Result<Vec<Part>, Status> {
        Ok(match step {
            Told::Verbatim(parts) => parts,
            Told::Untold { first, last } => vec![Part { summarized: true, first, last, ..Part::default() }],
            Told::Summarized { segment, measure, length } => {
                let summary = self.condense(segment, measure, length).await?;
                vec![Part {
                    text: summary.text,
                    summarized: true,
                    engine: self.summarizer.engine().on_the_wire(),
                    first: *segment.range().start(),
                    last: *segment.range().end(),
                    tokens: summary.tokens,
                    ..Part::default()
                }]
            }
        })
    }
}

/// A step, decided.
enum Told {
    Verbatim(Vec<Part>),
    Summarized {
        segment: Segment,
        measure: Measure,
        length: u32,
    },
    /// Messages that the budget has no room for: a part without text.
    Untold {
        first: u64,
        last: u64,
    },
}

/// Decided steps, neighbours without room made one.
fn merged(steps: Vec<Step>) -> Vec<Told> {
    let mut told: Vec<Told> = Vec::with_capacity(steps.len());
    for Step { segment, measure, how } in steps {
        let (first, last) = segment.range().into_inner();
        match (how, told.last_mut()) {
            (How::Verbatim(parts), _) => told.push(Told::Verbatim(parts)),
            (How::Summarized(length), _) if length >= share::LENGTH_MIN => {
                told.push(Told::Summarized { segment, measure, length });
            }
            (_, Some(Told::Untold { last: before, .. })) if *before + 1 == first => *before = last,
            _ => told.push(Told::Untold { first, last }),
        }
    }
    told
}
