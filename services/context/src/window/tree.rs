//! The segments of a context: aligned runs of messages, each a power of four long.
//!
//! ```text
//! messages   1 2 3 4  5 6 7 8  9 10 11 12  13 14 15 16  17 18
//! level 0    . . . .  . . . .  .  .  .  .   .  .  .  .   .  .
//! level 1    [-----]  [-----]  [--------]   [--------]   (not yet)
//! level 2    [---------------------------------------]
//! ```
//!
//! A segment's borders are in its name, so neither a budget nor what is appended later moves them, and since
//! messages never change, neither does what a whole segment says. What lies before message `n` is covered by at
//! most three segments a level: the further back, the more messages each stands for.

use std::ops::RangeInclusive;

/// Segments in a segment of the next level.
pub(crate) const FAN_IN: u64 = 4;
/// The highest level: one segment of it holds more messages than a context may have.
const LEVEL_MAX: u8 = 10;

/// An aligned run of messages, all of which are there.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Segment {
    level: u8,
    index: u64,
}

/// The fewest segments that hold the first `count` messages, the oldest first.
pub(crate) fn cover(count: u64) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut covered = 0;
    for level in (0..=LEVEL_MAX).rev() {
        let length = length(level);
        while count - covered >= length {
            segments.push(Segment { level, index: covered / length });
            covered += length;
        }
    }
    segments
}

const fn length(level: u8) -> u64 {
    FAN_IN.pow(level as u32)
}

// === impl Segment ===

impl Segment {
    /// The segment that is message number `n` alone.
    pub(crate) const fn message(n: u64) -> Self {
        Self { level: 0, index: n - 1 }
    }

    /// How often runs were joined to make it; 0 is a message.
    pub(crate) const fn level(self) -> u8 {
        self.level
    }

    /// The numbers of its first and its last message.
    pub(crate) const fn range(self) -> RangeInclusive<u64> {
        let length = length(self.level);
        self.index * length + 1..=(self.index + 1) * length
    }

    /// What it was joined of, the oldest first; nothing where it is a message.
    pub(crate) fn children(self) -> impl DoubleEndedIterator<Item = Self> {
        let level = self.level.checked_sub(1);
        let indices = self.index * FAN_IN..(self.index + 1) * FAN_IN;
        level.into_iter().flat_map(move |level| indices.clone().map(move |index| Self { level, index }))
    }
}

#[cfg(test)]
mod tests {
    //! Borders that stay, and covers without a gap.

    use proptest::prelude::*;

    use super::*;

    fn ranges(segments: &[Segment]) -> Vec<(u64, u64)> {
        segments.iter().map(|segment| (*segment.range().start(), *segment.range().end())).collect()
    }

    #[test]
    fn a_cover_is_coarse_far_back_and_fine_near_its_end() {
        assert_eq!(ranges(&cover(27)), [(1, 16), (17, 20), (21, 24), (25, 25), (26, 26), (27, 27)]);
        assert_eq!(ranges(&cover(16)), [(1, 16)]);
        assert_eq!(cover(0), []);
    }

    #[test]
    fn a_segment_is_its_children() {
        let [quarter] = cover(4)[..] else { panic!("one segment") };
        assert_eq!(ranges(&quarter.children().collect::<Vec<_>>()), [(1, 1), (2, 2), (3, 3), (4, 4)]);
        assert_eq!(Segment::message(7).range(), 7..=7);
        assert_eq!(Segment::message(7).children().count(), 0);
    }

    #[test]
    fn the_longest_context_has_few_segments() {
        assert!(cover(999_999).len() <= 30, "{}", cover(999_999).len());
    }

    proptest! {
        #[test]
        fn a_cover_holds_each_message_once(count in 0_u64..1_000_000) {
            let mut next = 1;
            for segment in cover(count) {
                let range = segment.range();
                prop_assert_eq!(*range.start(), next);
                // Aligned: a border of this level wherever the context ends.
                prop_assert_eq!((range.start() - 1) % length(segment.level()), 0);
                next = range.end() + 1;
            }
            prop_assert_eq!(next, count + 1);
        }

        #[test]
        fn what_is_appended_moves_no_border(count in 0_u64..100_000, more in 0_u64..100_000) {
            let longer = cover(count + more);
            for segment in cover(count) {
                let range = segment.range();
                let holder = longer.iter().find(|other| other.range().contains(range.start())).expect("covered");
                prop_assert!(holder.range().contains(range.end()), "{:?} cuts {:?}", holder, segment);
            }
        }
    }
}
