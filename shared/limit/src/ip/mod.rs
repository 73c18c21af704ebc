//! Never more than so many requests of an address in any window, in bounded memory.

use std::{
    collections::HashMap,
    fmt,
    hash::{BuildHasher as _, RandomState},
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
};

use crate::{Exceeded, LimitClock, Rate, Remaining, clock::nanos, window::Window};

#[cfg(test)]
mod tests;

/// The most sources that have a window of their own. Under [`Rate::default`] a window takes at most
/// 1 KiB, so all together 32 MiB, and a hundredth of that while sources are well-behaved.
pub const SOURCES_MAX: usize = 32_768;

const SHARDS: usize = 16;
/// Windows in each shard for the sources that found no room; see [`Shard::crowd`].
const CROWD_WINDOWS: usize = 64;

/// A limit by address, exact: in no window, wherever it begins, are more requests admitted than the rate
/// says. (A bucket that refills would admit twice as many in the worst one.) Refused requests do not count.
///
/// An IPv6 address counts with its /64, since whoever has one has them all; an IPv4 address in IPv6 form
/// counts as itself.
pub struct IpLimit {
    rate: Rate,
    clock: LimitClock,
    hasher: RandomState,
    shards: Box<[Mutex<Shard>]>,
    sources_per_shard_max: usize,
}

/// Whoever counts as one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Source {
    V4(u32),
    /// The upper half of the address.
    V6(u64),
}

#[derive(Debug, Default)]
struct Shard {
    windows: HashMap<Source, Window>,
    /// Windows that sources share, by hash, when there is no room for one of their own. Sharing is
    /// stricter than the rate, never laxer, and a flood of addresses costs a newcomer its share of a
    /// window instead of all service. A source leaves the crowd only once its shared window is empty, so
    /// that its old and its new window never add up to more than the rate.
    crowd: Vec<Window>,
    /// The latest moment seen: two threads may take the time in one order and the lock in the other.
    now_ns: u64,
    swept_ns: u64,
}

// === impl IpLimit ===

impl IpLimit {
    /// Holds every source to `rate`, with windows for at most [`SOURCES_MAX`] of them.
    pub fn new(rate: Rate, clock: LimitClock) -> Self {
        Self::bounded(rate, clock, SOURCES_MAX)
    }

    /// Holds every source to `rate`, with windows for at most `sources_max` of them.
    pub fn bounded(rate: Rate, clock: LimitClock, sources_max: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard::new())).collect();
        let sources_per_shard_max = sources_max.div_ceil(SHARDS).max(1);
        Self { rate, clock, hasher: RandomState::new(), shards, sources_per_shard_max }
    }

    /// The rate that every source is held to.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Counts a request of `ip`.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] where the window is full; the refused request is not counted.
    pub fn check(&self, ip: IpAddr) -> Result<Remaining, Exceeded> {
        let source = Source::of(ip);
        let hash = self.hasher.hash_one(source);
        let crowd = ((hash / SHARDS as u64) % CROWD_WINDOWS as u64) as usize;
        let mut shard =
            self.shards[(hash % SHARDS as u64) as usize].lock().unwrap_or_else(PoisonError::into_inner);
        shard.check(source, crowd, self.clock.now_ns(), self.rate, self.sources_per_shard_max)
    }

    /// How many sources have a window of their own.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|it| it.lock().unwrap_or_else(PoisonError::into_inner).windows.len()).sum()
    }
}

impl fmt::Debug for IpLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IpLimit").field("rate", &self.rate).finish_non_exhaustive()
    }
}

// === impl Shard ===

impl Shard {
    fn new() -> Self {
        Self { crowd: (0..CROWD_WINDOWS).map(|_| Window::default()).collect(), ..Self::default() }
    }

    fn check(
        &mut self,
        source: Source,
        crowd: usize,
        now_ns: u64,
        rate: Rate,
        sources_max: usize,
    ) -> Result<Remaining, Exceeded> {
        self.now_ns = self.now_ns.max(now_ns);
        // What idle sources hold is given back once a window, whoever calls.
        self.sweep(rate, nanos(rate.window()));
        if let Some(window) = self.windows.get_mut(&source) {
            return window.admit(self.now_ns, rate);
        }
        if !self.crowd[crowd].forget(self.now_ns, rate) {
            return self.crowd[crowd].admit(self.now_ns, rate);
        }
        if self.windows.len() >= sources_max {
            // Often enough to find room soon, too seldom for a flood of addresses to make it a burden.
            self.sweep(rate, nanos(rate.window()) / 64);
        }
        if self.windows.len() >= sources_max {
            return self.crowd[crowd].admit(self.now_ns, rate);
        }
        self.windows.entry(source).or_default().admit(self.now_ns, rate)
    }

    /// Drops the windows that are empty, unless that was done within `pause_ns`.
    fn sweep(&mut self, rate: Rate, pause_ns: u64) {
        if self.now_ns - self.swept_ns <= pause_ns {
            return;
        }
        self.swept_ns = self.now_ns;
        let now_ns = self.now_ns;
        self.windows.retain(|_, window| !window.forget(now_ns, rate));
        self.windows.shrink_to(self.windows.len() * 2);
    }
}

// === impl Source ===

impl Source {
    fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.to_bits()),
            IpAddr::V6(ip) => Self::V6(upper_half(ip)),
        }
    }
}

fn upper_half(ip: Ipv6Addr) -> u64 {
    (ip.to_bits() >> 64) as u64
}
