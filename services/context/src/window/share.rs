//! Shares out what a budget leaves for the older messages, in lengths that budgets have in common.
//!
//! A summary's length is part of what it is kept under. Lengths are powers of two, so that windows of many
//! budgets are made of the same few summaries.

use super::{PART_BYTES, Room};

/// The shortest summary that says something.
pub(super) const LENGTH_MIN: u32 = 8;
/// The longest, of any text; the summarization service makes none above 200,000 words.
const LENGTH_MAX: u32 = 1 << 17;
/// Bytes that a summary may take for each of its tokens.
pub(super) const TOKEN_BYTES: u64 = 16;

/// The lengths, in tokens, of summaries that take `room` together, the newest segment's last.
///
/// `longest` has, for each, the tokens beyond which a longer summary would not say more. Where there is room for
/// some alone, those furthest back get none: their length is 0.
pub(super) fn lengths(room: Room, longest: &[u32]) -> Vec<u32> {
    let told = longest.len().min(usize::try_from(afforded(room)).unwrap_or(usize::MAX));
    let untold = longest.len() - told;
    let even = even(room, told);
    let most = |longest: u32| longest.clamp(LENGTH_MIN, LENGTH_MAX).next_power_of_two();
    let mut lengths: Vec<u32> = longest
        .iter()
        .enumerate()
        .map(|(i, &longest)| if i < untold { 0 } else { even.min(most(longest)) })
        .collect();
    // What rounding down left over goes to the newest.
    let mut left =
        lengths.iter().filter(|&&length| length > 0).fold(room, |left, &length| left - taken(length));
    for (length, &longest) in lengths.iter_mut().zip(longest).skip(untold).rev() {
        let more = taken(*length);
        let more = Room { tokens: more.tokens, bytes: more.bytes - PART_BYTES };
        if *length < most(longest) && more.fits(left) {
            left = left - more;
            *length *= 2;
        }
    }
    lengths
}

/// What a summary of `length` tokens may take.
pub(super) fn taken(length: u32) -> Room {
    Room { tokens: length.into(), bytes: u64::from(length) * TOKEN_BYTES + PART_BYTES }
}

/// How many of the shortest summaries `room` takes.
fn afforded(room: Room) -> u64 {
    let least = taken(LENGTH_MIN);
    (room.tokens / least.tokens).min(room.bytes / least.bytes)
}

/// The length of each of `count` summaries that take `room` together.
fn even(room: Room, count: usize) -> u32 {
    let count = (count as u64).max(1);
    let (tokens, bytes) =
        (room.tokens / count, (room.bytes / count).saturating_sub(PART_BYTES) / TOKEN_BYTES);
    let most = u32::try_from(tokens.min(bytes)).unwrap_or(u32::MAX).min(LENGTH_MAX);
    most.checked_ilog2().map_or(0, |power| 1 << power)
}

#[cfg(test)]
mod tests {
    //! Shares stay within their room and miss little of it.

    use proptest::prelude::*;

    use super::*;

    const LONG: u32 = u32::MAX;

    fn room(tokens: u64) -> Room {
        Room { tokens, bytes: 3 << 20 }
    }

    #[test]
    fn lengths_are_even_and_what_is_left_goes_to_the_newest() {
        assert_eq!(lengths(room(100), &[LONG; 3]), [32, 32, 32]);
        assert_eq!(lengths(room(64), &[LONG; 3]), [16, 16, 32]);
        assert_eq!(lengths(room(129), &[LONG]), [128]);
        assert!(lengths(room(5), &[]).is_empty());
    }

    #[test]
    fn where_room_is_short_the_furthest_back_go_without() {
        assert_eq!(lengths(room(20), &[LONG; 4]), [0, 0, 8, 8]);
        assert_eq!(lengths(room(7), &[LONG; 2]), [0, 0]);
    }

    #[test]
    fn no_summary_is_longer_than_says_more() {
        assert_eq!(lengths(room(100_000), &[2_048, LONG]), [2_048, 65_536]);
        assert_eq!(lengths(room(100_000), &[1]), [LENGTH_MIN]);
    }

    #[test]
    fn bytes_are_shared_like_tokens() {
        let tight = Room { tokens: 1_000_000, bytes: 2 * (64 * TOKEN_BYTES + PART_BYTES) };
        assert_eq!(lengths(tight, &[LONG; 2]), [64, 64]);
    }

    proptest! {
        #[test]
        fn shares_stay_within_their_room(
            tokens in 0_u64..1_000_000,
            bytes in 0_u64..(3 << 20),
            longest in prop::collection::vec(prop_oneof![1_u32..5_000, Just(LONG)], 0..40),
        ) {
            let room = Room { tokens, bytes };
            let lengths = lengths(room, &longest);
            let sum = lengths.iter().filter(|&&length| length > 0).fold(Room::default(), |sum, &l| sum + taken(l));
            prop_assert!(sum.fits(room), "{:?}", sum);
            prop_assert!(lengths.iter().all(|&l| l == 0 || l.is_power_of_two() && l >= LENGTH_MIN));
            // Only the furthest back go without, and only where not even one more fits.
            let untold = lengths.iter().take_while(|&&length| length == 0).count();
            prop_assert!(lengths[untold..].iter().all(|&length| length > 0));
            prop_assert!(untold == 0 || !(sum + taken(LENGTH_MIN)).fits(room) || untold < longest.len());
        }

        #[test]
        fn more_room_never_makes_the_first_length_shorter(tokens in 0_u64..100_000, more in 0_u64..100_000, count in 1_usize..30) {
            let longest = vec![LONG; count];
            let (less, more) = (lengths(room(tokens), &longest), lengths(room(tokens + more), &longest));
            prop_assert!(less[0] <= more[0]);
        }
    }
}
