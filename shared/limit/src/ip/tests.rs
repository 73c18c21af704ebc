//! The promise of the window, against a plain model of it and against floods.

use std::{collections::HashMap, sync::Arc, time::Duration};

use proptest::prelude::*;

use super::*;
use crate::limits::tests::Dial;

const WINDOW_MS: u64 = 2_000;
const CALLS_MAX: usize = 5;

struct Edge {
    dial: Arc<Dial>,
    limit: IpLimit,
    now_ms: u64,
    admitted: HashMap<IpAddr, Vec<u64>>,
}

impl Edge {
    fn new(sources_max: usize) -> Self {
        let dial = Arc::new(Dial::default());
        let rate = format!("{CALLS_MAX}/{}s", WINDOW_MS / 1000).parse().expect("a rate");
        let limit = IpLimit::bounded(rate, LimitClock::given(Arc::<Dial>::clone(&dial)), sources_max);
        Self { dial, limit, now_ms: 0, admitted: HashMap::new() }
    }

    fn turn(&mut self, by_ms: u64) {
        self.dial.turn(Duration::from_millis(by_ms));
        self.now_ms += by_ms;
    }

    fn call(&mut self, ip: IpAddr) -> Result<Remaining, Exceeded> {
        let verdict = self.limit.check(ip);
        if verdict.is_ok() {
            self.admitted.entry(ip).or_default().push(self.now_ms);
        }
        verdict
    }

    /// How many calls of `ip` were admitted in the window that ends now.
    fn lately(&self, ip: IpAddr) -> usize {
        let since = self.now_ms.saturating_sub(WINDOW_MS);
        self.admitted.get(&ip).map_or(0, |it| it.iter().filter(|&&then| then >= since).count())
    }

    /// The most calls of one source in any window, wherever it begins.
    fn worst(&self) -> usize {
        let worst = self.admitted.values().flat_map(|moments| {
            let within =
                |from: &u64| moments.iter().filter(|&then| (*from..=from + WINDOW_MS).contains(then)).count();
            moments.iter().map(within).collect::<Vec<_>>()
        });
        worst.max().unwrap_or(0)
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn v4(n: u32) -> IpAddr {
    IpAddr::V4(n.into())
}

#[test]
fn by_default_the_101st_request_of_a_minute_is_refused() {
    let dial = Arc::new(Dial::default());
    let limit = IpLimit::new(Rate::default(), LimitClock::given(Arc::<Dial>::clone(&dial)));
    for n in 0..100 {
        assert_eq!(limit.check(ip("192.0.2.1")).expect("within").calls, 99 - n);
        dial.turn(Duration::from_millis(10));
    }

    let exceeded = limit.check(ip("192.0.2.1")).expect_err("beyond");
    assert_eq!(exceeded.calls_max, 100);
    assert_eq!(exceeded.retry_after, Duration::from_secs(59) + Duration::from_nanos(1));
    assert!(limit.check(ip("192.0.2.2")).is_ok(), "another address");
    dial.turn(Duration::from_secs(59));
    assert!(limit.check(ip("192.0.2.1")).is_err(), "both ends of a window count");
    dial.turn(Duration::from_millis(1));
    assert!(limit.check(ip("192.0.2.1")).is_ok(), "the oldest no longer counts");
    assert!(limit.check(ip("192.0.2.1")).is_err(), "but the second oldest does");
}

#[test]
fn the_end_of_one_minute_and_the_start_of_the_next_are_no_loophole() {
    let mut edge = Edge::new(100);
    edge.turn(WINDOW_MS - 1);
    while edge.call(v4(1)).is_ok() {}
    edge.turn(2);
    assert!(edge.call(v4(1)).is_err());
}

#[test]
fn a_64_counts_as_one_and_a_mapped_address_as_itself() {
    let mut edge = Edge::new(100);
    for n in 0..CALLS_MAX {
        edge.call(ip(&format!("2001:db8:1:2:{n}::1"))).expect("within");
        edge.call(ip(&format!("192.0.2.{n}"))).expect("within");
    }
    assert!(edge.call(ip("2001:db8:1:2:ffff::1")).is_err());
    assert!(edge.call(ip("2001:db8:1:3::1")).is_ok());

    for _ in 0..CALLS_MAX {
        edge.call(ip("::ffff:198.51.100.1")).expect("within");
    }
    assert!(edge.call(ip("198.51.100.1")).is_err());
}

#[test]
fn idle_sources_are_forgotten() {
    let mut edge = Edge::new(10_000);
    for n in 0..5_000 {
        edge.call(v4(n)).expect("within");
    }
    assert_eq!(edge.limit.len(), 5_000);
    edge.turn(WINDOW_MS + 1);
    for n in 0..1_000 {
        let _ = edge.call(v4(1_000_000 + n));
    }
    assert!(edge.limit.len() <= 1_000, "{}", edge.limit.len());
}

#[test]
fn a_flood_of_addresses_is_bounded_and_does_not_shut_the_door() {
    let mut edge = Edge::new(160);
    let admitted = (0..100_000).filter(|&n| edge.call(v4(n)).is_ok()).count();

    assert!(edge.limit.len() <= 160);
    assert!(admitted <= 160 + SHARDS * CROWD_WINDOWS * CALLS_MAX, "{admitted}");
    assert!(edge.call(v4(0)).is_ok(), "who was there first is not pushed out");
    edge.turn(WINDOW_MS + 1);
    assert!(edge.call(v4(2_000_000)).is_ok(), "a newcomer after the flood");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn with_room_a_call_is_admitted_exactly_when_the_window_before_it_has_room(
        calls in prop::collection::vec((0_u64..WINDOW_MS / 2, 0_u32..4), 1..300),
    ) {
        let mut edge = Edge::new(10_000);
        for (pause_ms, n) in calls {
            edge.turn(pause_ms / 4);
            let (source, lately) = (v4(n), edge.lately(v4(n)));
            match edge.call(source) {
                Ok(remaining) => prop_assert_eq!(remaining.calls as usize, CALLS_MAX - lately - 1),
                Err(exceeded) => {
                    prop_assert_eq!(lately, CALLS_MAX);
                    // Whoever waits as long as it was told is admitted.
                    let oldest = edge.admitted[&source].iter().rev().nth(CALLS_MAX - 1).copied();
                    let free_ms = oldest.expect("admitted before") + WINDOW_MS - edge.now_ms;
                    prop_assert_eq!(exceeded.retry_after, Duration::from_millis(free_ms) + Duration::from_nanos(1));
                }
            }
        }
        prop_assert!(edge.worst() <= CALLS_MAX);
    }

    #[test]
    fn without_room_no_window_holds_more_either(
        calls in prop::collection::vec((0_u64..WINDOW_MS, 0_u32..200), 1..1500),
    ) {
        let mut edge = Edge::new(16);
        for (pause_ms, n) in calls {
            edge.turn(pause_ms / 200);
            let _ = edge.call(v4(n % 40));
        }
        prop_assert!(edge.worst() <= CALLS_MAX);
    }
}
