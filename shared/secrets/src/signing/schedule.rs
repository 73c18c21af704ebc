//! Which key signs, which are published, when the next is made: a function of the generations and the time.
//!
//! ```text
//!           made          signs             the next signs        the last token it signed is over
//! next      |--- lead ---|
//! current                |---- period ------|
//! previous                                  |------ overlap ------|
//! published |------------------------------------------------------|
//! ```
//!
//! So whoever fetches the published keys once a `lead` knows a key before it meets a token of it, and no token
//! outlives the publication of its key.

use std::time::Duration;

use mcp_types::Timestamp;

/// How keys follow each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Schedule {
    /// How long a key signs.
    pub period: Duration,
    /// How long it is published before that: longer than anybody keeps published keys in memory.
    pub lead: Duration,
    /// How long it is published after that: the longest life of a token, and what clocks may be off.
    pub overlap: Duration,
}

/// One key of a ring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Generation {
    /// Counted up from 1, one by one.
    pub number: u64,
    /// When it begins to sign.
    pub signs_from: Timestamp,
    /// Whether all before it are to be believed no longer.
    pub withdraws: bool,
}

/// What is to be done, and what holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// The number of the one that signs; none where there are no keys.
    pub signing: Option<u64>,
    /// The numbers of those to publish, in order.
    pub published: Vec<u64>,
    /// The numbers of those that are over.
    pub retired: Vec<u64>,
    /// When the key that is to be made now shall begin to sign; none where none is to be made.
    pub make: Option<Timestamp>,
}

// === impl Schedule ===

impl Schedule {
    /// What is to be done at `now` with `generations`, which are in the order of their numbers.
    pub fn plan(&self, generations: &[Generation], now: Timestamp) -> Plan {
        let Some(latest) = generations.last() else {
            return Plan { make: Some(now), ..Plan::default() };
        };
        let withdrawn_below =
            generations.iter().rev().find(|it| it.withdraws).map_or(0, |withdrawing| withdrawing.number);
        let is_published = |index: usize, generation: &Generation| {
            let is_over =
                generations.get(index + 1).is_some_and(|next| next.signs_from.plus(self.overlap) <= now);
            generation.number >= withdrawn_below && !is_over
        };
        let (published, retired): (Vec<_>, Vec<_>) =
            generations.iter().enumerate().partition(|(index, generation)| is_published(*index, generation));
        let numbers = |some: Vec<(usize, &Generation)>| some.into_iter().map(|(_, it)| it.number).collect();

        let is_due = latest.signs_from.plus(self.period).minus(self.lead) <= now;
        let make = is_due.then(|| latest.signs_from.plus(self.period).max(now.plus(self.lead)));
        let signing = Self::signing(generations, now).map(|it| it.number);
        Plan { signing, published: numbers(published), retired: numbers(retired), make }
    }

    /// The one that signs at `now`: the latest whose time has come, and the first where none's has, as after a clock
    /// was set back.
    pub fn signing(generations: &[Generation], now: Timestamp) -> Option<&Generation> {
        generations.iter().rev().find(|it| it.withdraws || it.signs_from <= now).or(generations.first())
    }
}

#[cfg(test)]
mod tests {
    //! Days in the life of a ring.

    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3600;
    const SCHEDULE: Schedule = Schedule {
        period: Duration::from_secs(24 * 3600),
        lead: Duration::from_secs(3600),
        overlap: Duration::from_secs(660),
    };

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_unix_secs(secs)
    }

    fn generation(number: u64, signs_from: i64) -> Generation {
        Generation { number, signs_from: at(signs_from), withdraws: false }
    }

    #[test]
    fn the_first_key_signs_at_once() {
        let plan = SCHEDULE.plan(&[], at(5));
        assert_eq!(plan, Plan { make: Some(at(5)), ..Plan::default() });
    }

    #[test]
    fn the_next_is_made_a_lead_before_it_signs() {
        let ring = [generation(1, 0)];
        assert_eq!(SCHEDULE.plan(&ring, at(23 * HOUR - 1)).make, None);
        assert_eq!(SCHEDULE.plan(&ring, at(23 * HOUR)).make, Some(at(24 * HOUR)));
    }

    #[test]
    fn next_current_and_previous_are_published_in_their_time() {
        let ring = [generation(1, 0), generation(2, 24 * HOUR)];
        let plan = |secs| SCHEDULE.plan(&ring, at(secs));
        assert_eq!((plan(23 * HOUR).signing, plan(23 * HOUR).published), (Some(1), vec![1, 2]));
        assert_eq!((plan(24 * HOUR).signing, plan(24 * HOUR).published), (Some(2), vec![1, 2]));
        let over = plan(24 * HOUR + 660);
        assert_eq!((over.published, over.retired), (vec![2], vec![1]));
        assert!(plan(24 * HOUR + 659).retired.is_empty());
    }

    #[test]
    fn after_a_long_stop_the_old_key_signs_until_the_new_one_is_known() {
        let ring = [generation(1, 0)];
        let plan = SCHEDULE.plan(&ring, at(100 * HOUR));
        assert_eq!((plan.signing, plan.make), (Some(1), Some(at(101 * HOUR))));
    }

    #[test]
    fn a_withdrawing_key_signs_at_once_and_all_before_are_over() {
        let ring = [
            generation(1, 0),
            generation(2, 2 * HOUR),
            Generation { withdraws: true, ..generation(3, HOUR) },
        ];
        // Even by a clock that was set back since.
        let plan = SCHEDULE.plan(&ring, at(0));
        assert_eq!((plan.signing, plan.published, plan.retired), (Some(3), vec![3], vec![1, 2]));
    }

    proptest! {
        #[test]
        fn whatever_signs_was_published_for_a_lead_and_no_token_outlives_its_key(
            steps in proptest::collection::vec(1..40_000_i64, 1..200),
        ) {
            let mut ring: Vec<Generation> = Vec::new();
            let mut published_since = std::collections::HashMap::new();
            let mut last_signed = std::collections::HashMap::new();
            let mut now = 1_000_000;
            for step in steps {
                now += step;
                let plan = SCHEDULE.plan(&ring, at(now));
                ring.retain(|it| !plan.retired.contains(&it.number));
                if let Some(signs_from) = plan.make {
                    let number = ring.last().map_or(1, |it| it.number + 1);
                    ring.push(Generation { number, signs_from, withdraws: false });
                }
                let plan = SCHEDULE.plan(&ring, at(now));
                for number in &plan.published {
                    published_since.entry(*number).or_insert(now);
                }
                let signing = plan.signing.expect("there is always a key");
                prop_assert!(plan.published.contains(&signing));
                prop_assert!(signing == 1 || now - published_since[&signing] >= HOUR);
                last_signed.insert(signing, now);
                for number in plan.retired {
                    // A token of the last moment, and the clocks' leeway.
                    prop_assert!(now - last_signed.get(&number).unwrap_or(&0) >= 660);
                }
            }
        }
    }
}
