//! Budgets by key and class, refilled as time goes.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use governor::{Quota, RateLimiter, middleware::StateInformationMiddleware};
use mcp_tenancy::RateClass;

use crate::{
    Exceeded, LimitClock, Quotas, Remaining,
    clock::nanos,
    quotas::{CLASSES, place},
    store::BoundedStore,
};

#[cfg(test)]
pub(crate) mod tests;

/// The most keys whose budgets are kept, per class. At about 30 bytes each, 2 MiB a class.
pub const KEYS_MAX: usize = 65_536;

/// Whose budget a call takes from; made by [`Limits::key`], and worth keeping beside what it was made from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LimitKey(pub(crate) u64);

/// Budgets by key and class.
///
/// Each is a bucket of a minute's calls that refills evenly (the generic cell rate algorithm): exact in
/// the long run, and twice a minute's calls in the worst single minute. Where a window must hold
/// exactly, take [`crate::IpLimit`].
#[derive(Debug)]
pub struct Limits {
    budgets: [Budget; CLASSES.len()],
    clock: LimitClock,
    hasher: RandomState,
}

#[derive(Debug)]
struct Budget {
    calls_max: u32,
    call: Duration,
    limiter: Limiter,
}

type Limiter = RateLimiter<LimitKey, BoundedStore, LimitClock, StateInformationMiddleware>;

// === impl Limits ===

impl Limits {
    /// Budgets of `quotas`, for at most [`KEYS_MAX`] keys a class.
    pub fn new(quotas: Quotas, clock: LimitClock) -> Self {
        Self::bounded(quotas, clock, KEYS_MAX)
    }

    /// Budgets of `quotas`, for at most `keys_max` keys a class.
    pub fn bounded(quotas: Quotas, clock: LimitClock, keys_max: usize) -> Self {
        let budgets = CLASSES.map(|class| {
            let quota = Quota::per_minute(quotas.of(class));
            let call = quota.replenish_interval();
            let store = BoundedStore::new(keys_max, nanos(call));
            let limiter = Limiter::new(quota, store, clock.clone());
            Budget { calls_max: quotas.of(class).get(), call, limiter }
        });
        // Keyed by chance, so that nobody can choose a name that shares another's budget.
        Self { budgets, clock, hasher: RandomState::new() }
    }

    /// The key that belongs to `parts`, such as a tenant and a user.
    pub fn key(&self, parts: &[&str]) -> LimitKey {
        LimitKey(self.hasher.hash_one(parts))
    }

    /// How many budgets are kept, for a gauge.
    pub fn keys(&self) -> usize {
        self.budgets.iter().map(|budget| budget.limiter.len()).sum()
    }

    /// Takes one call of `class` from the budget of `key`.
    ///
    /// # Errors
    ///
    /// [`Exceeded`] where the budget is spent; the refused call takes nothing.
    pub fn check(&self, key: LimitKey, class: RateClass) -> Result<Remaining, Exceeded> {
        let budget = &self.budgets[place(class)];
        match budget.limiter.check_key(&key) {
            Ok(snapshot) => {
                let calls = snapshot.remaining_burst_capacity();
                let spent = budget.calls_max.saturating_sub(calls);
                Ok(Remaining {
                    calls_max: budget.calls_max,
                    calls,
                    full_after: budget.call.saturating_mul(spent),
                })
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(governor::clock::Clock::now(&self.clock));
                Err(Exceeded { calls_max: budget.calls_max, retry_after: wait.max(Duration::from_nanos(1)) })
            }
        }
    }
}
