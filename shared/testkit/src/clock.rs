//! A clock that stands until it is told to go on.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use mcp_types::{Clock, Timestamp};

/// A clock that stands until it is told to go on.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

// === impl ManualClock ===

impl ManualClock {
    /// Stands at this many seconds after the Unix epoch.
    pub fn at(unix_secs: i64) -> Arc<Self> {
        Self::standing(Timestamp::from_unix_secs(unix_secs))
    }

    /// Stands at `moment`.
    pub fn standing(moment: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(moment.unix_millis())))
    }

    /// Goes on by `duration`.
    pub fn advance(&self, duration: Duration) {
        let millis = i64::try_from(duration.as_millis()).expect("a test's clock stays within the calendar");
        self.0.fetch_add(millis, Ordering::SeqCst);
    }

    /// Goes to `moment`, back in time too.
    pub fn set(&self, moment: Timestamp) {
        self.0.store(moment.unix_millis(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    //! It stands, and goes on.

    use super::*;

    #[test]
    fn the_clock_moves_only_when_told() {
        let clock = ManualClock::at(1_700_000_000);
        assert_eq!(clock.now(), clock.now());

        clock.advance(Duration::from_millis(1500));
        assert_eq!(clock.now().unix_millis(), 1_700_000_001_500);

        clock.set(Timestamp::default());
        assert_eq!(clock.now(), Timestamp::default());
    }
}
