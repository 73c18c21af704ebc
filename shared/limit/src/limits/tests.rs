//! What a budget gives, and that many keys cost bounded memory.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use mcp_types::{Clock, Timestamp};

use super::*;

#[derive(Debug, Default)]
pub(crate) struct Dial(AtomicI64);

impl Dial {
    pub(crate) fn turn(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).expect("fits"), Ordering::SeqCst);
    }
}

impl Clock for Dial {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::SeqCst))
    }
}

fn limits(dial: &Arc<Dial>, keys_max: usize) -> Limits {
    Limits::bounded(Quotas::default(), LimitClock::given(Arc::<Dial>::clone(dial)), keys_max)
}

#[test]
fn a_budget_is_spent_and_refills_evenly() {
    let dial = Arc::new(Dial::default());
    let limits = limits(&dial, 100);
    let alice = limits.key(&["acme", "alice"]);

    let first = limits.check(alice, RateClass::Sensitive).expect("within");
    let expected = Remaining { calls_max: 120, calls: 119, full_after: Duration::from_millis(500) };
    assert_eq!(first, expected);
    for _ in 1..120 {
        limits.check(alice, RateClass::Sensitive).expect("within");
    }
    let exceeded = limits.check(alice, RateClass::Sensitive).expect_err("spent");
    assert_eq!(exceeded, Exceeded { calls_max: 120, retry_after: Duration::from_millis(500) });

    dial.turn(exceeded.retry_after);
    assert_eq!(limits.check(alice, RateClass::Sensitive).expect("one came back").calls, 0);
    assert!(limits.check(alice, RateClass::Sensitive).is_err());
    dial.turn(Duration::from_secs(60));
    assert_eq!(limits.check(alice, RateClass::Sensitive).expect("all came back").calls, 119);
}

#[test]
fn keys_and_classes_do_not_touch_each_others_budgets() {
    let dial = Arc::new(Dial::default());
    let limits = limits(&dial, 100);
    let (alice, bob) = (limits.key(&["acme", "alice"]), limits.key(&["acme", "bob"]));
    while limits.check(alice, RateClass::Sensitive).is_ok() {}

    assert_eq!(limits.check(bob, RateClass::Sensitive).expect("bob's own").calls, 119);
    for (class, calls_max) in [
        (RateClass::Read, 6000),
        (RateClass::Write, 1200),
        (RateClass::Heavy, 600),
        (RateClass::Upkeep, 6000),
    ] {
        assert_eq!(limits.check(alice, class).expect("another class").calls_max, calls_max);
    }
}

#[test]
fn where_one_part_ends_and_the_next_begins_matters() {
    let limits = limits(&Arc::default(), 100);
    assert_ne!(limits.key(&["ab", "c"]), limits.key(&["a", "bc"]));
    assert_eq!(limits.key(&["ab", "c"]), limits.key(&["ab", "c"]));
}

#[test]
fn a_flood_of_keys_costs_bounded_memory_and_frees_nobody_who_spent_much() {
    let dial = Arc::new(Dial::default());
    let limits = limits(&dial, 1000);
    let spender = limits.key(&["acme", "spender"]);
    while limits.check(spender, RateClass::Sensitive).is_ok() {}

    for n in 0..50_000 {
        let _ = limits.check(limits.key(&["acme", &n.to_string()]), RateClass::Sensitive);
    }

    assert!(limits.keys() <= 1008);
    assert!(limits.check(spender, RateClass::Sensitive).is_err(), "still spent");
}

#[test]
fn budgets_that_are_full_again_are_forgotten_first() {
    let dial = Arc::new(Dial::default());
    let limits = limits(&dial, 16);
    for n in 0..100 {
        let _ = limits.check(limits.key(&[&n.to_string()]), RateClass::Read);
        dial.turn(Duration::from_secs(60));
    }
    assert!(limits.keys() <= 16);
}

#[test]
fn a_tenant_may_have_several_times_a_principals_budget() {
    let quotas = Quotas::default().times(NonZeroU32::new(10).expect("not zero"));
    assert_eq!(quotas.of(RateClass::Write).get(), 12_000);
}
