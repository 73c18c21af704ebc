//! When to renew what ends, as arithmetic: at two thirds of its life, a little earlier or later by chance, so that a
//! fleet that was started together does not come back together.

use std::time::Duration;

use mcp_types::{Entropy, Timestamp};

/// What was granted for a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Term {
    /// From when.
    pub(super) from: Timestamp,
    /// For how long.
    pub(super) life: Duration,
}

// === impl Term ===

impl Term {
    /// When it ends.
    pub(super) fn end(self) -> Timestamp {
        self.from.plus(self.life)
    }

    /// When to renew it: at 60 to 70 % of its life.
    pub(super) fn renew_at(self, entropy: &dyn Entropy) -> Timestamp {
        let mut drawn = [0; 4];
        entropy.fill(&mut drawn);
        let thousandths = 600 + u32::from_le_bytes(drawn) % 101;
        self.from.plus(self.life / 1000 * thousandths)
    }

    /// Whether a renewal that granted `granted` in place of this is nearing the longest life there is: half of what
    /// was asked for, or less. Then another one is needed instead of more time for this one.
    pub(super) fn is_worn_by(self, granted: Duration) -> bool {
        granted <= self.life / 2
    }
}

/// How long to wait before the `attempt`-th try after a failure: doubled each time from 100 ms to 5 s, by chance no
/// less than half of it, and never past a quarter of what is `left`.
pub(super) fn backoff(attempt: u32, left: Duration, entropy: &dyn Entropy) -> Duration {
    let mut drawn = [0; 4];
    entropy.fill(&mut drawn);
    let full = Duration::from_millis(100).saturating_mul(1 << attempt.min(6)).min(Duration::from_secs(5));
    let share = 500 + u32::from_le_bytes(drawn) % 501;
    (full / 1000 * share).min((left / 4).max(Duration::from_millis(50)))
}

#[cfg(test)]
mod tests {
    //! Times, whatever chance says.

    use mcp_types::SystemEntropy;

    use super::*;

    #[test]
    fn renewal_comes_between_three_fifths_and_seven_tenths() {
        let term = Term { from: Timestamp::from_unix_secs(1_000), life: Duration::from_secs(1_000) };
        for _ in 0..1_000 {
            let at = term.renew_at(&SystemEntropy).unix_millis();
            assert!((1_600_000..=1_700_000).contains(&at), "{at}");
        }
    }

    #[test]
    fn a_short_renewal_means_that_the_end_is_near() {
        let term = Term { from: Timestamp::default(), life: Duration::from_secs(60) };
        assert!(!term.is_worn_by(Duration::from_secs(60)));
        assert!(!term.is_worn_by(Duration::from_secs(31)));
        assert!(term.is_worn_by(Duration::from_secs(30)));
    }

    #[test]
    fn tries_come_slower_but_not_past_the_end() {
        let long = Duration::from_secs(3600);
        for attempt in 0..100 {
            let wait = backoff(attempt, long, &SystemEntropy);
            assert!((Duration::from_millis(50)..=Duration::from_secs(5)).contains(&wait), "{wait:?}");
            assert!(backoff(attempt, Duration::from_secs(1), &SystemEntropy) <= Duration::from_millis(250));
        }
    }
}
