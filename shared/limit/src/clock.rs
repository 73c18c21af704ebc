//! The time that limits count by: it only goes forward, and a test may turn it.

use std::{sync::Arc, time::Duration};

use governor::{
    clock::{self, Clock as _},
    nanos::Nanos,
};

/// Tells limits the time.
#[derive(Clone, Debug)]
pub struct LimitClock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// The machine's monotonic clock, from the moment the limit was made.
    Machine { began: <clock::MonotonicClock as clock::Clock>::Instant },
    /// Whatever clock is handed in.
    Given(Arc<dyn mcp_types::Clock>),
}

// === impl LimitClock ===

impl LimitClock {
    /// The machine's monotonic clock, which nobody can set back.
    pub fn machine() -> Self {
        Self(Source::Machine { began: clock::MonotonicClock.now() })
    }

    /// A clock that is handed in, for tests and simulations. In a running process take
    /// [`LimitClock::machine`]: under a wall clock that is set back, a limit stands still.
    pub fn given(clock: Arc<dyn mcp_types::Clock>) -> Self {
        Self(Source::Given(clock))
    }

    /// Nanoseconds since some fixed moment.
    pub(crate) fn now_ns(&self) -> u64 {
        match &self.0 {
            Source::Machine { began } => nanos(clock::MonotonicClock.now().duration_since(*began)),
            Source::Given(clock) => {
                u64::try_from(clock.now().unix_millis()).unwrap_or(0).saturating_mul(1_000_000)
            }
        }
    }
}

impl Default for LimitClock {
    fn default() -> Self {
        Self::machine()
    }
}

impl clock::Clock for LimitClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.now_ns())
    }
}

/// A duration in nanoseconds, cut to what fits.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
